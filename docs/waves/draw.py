#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Timing diagrams of the scenarios of `dmt waves`, as SVG.

  draw.py DMT OUT [SCENARIO ...]   run DMT (build/dmt) for each scenario of the list
                                   below and write OUT/<scenario>.svg
  draw.py --page DMT PAGE          write memory and registers of the scenario bring-up
                                   into PAGE (docs/integration.md), between its markers

A picture is a function of what the RTL did: pins, clock by clock, and the walks that
`dmt waves --events` puts together from them. Rows of one picture are equally long; a
walk of many references continues in the next row. Nothing but the standard library is
used, so that a picture is the same wherever it is drawn.
"""
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from html import escape
from pathlib import Path

CLOCK = 30          # pixels a clock
WIDER = {"radix": 42, "bring-up": 36}  # where bars are short
ROW = 1060          # pixels of clocks in one row, at most
LABEL = 158         # pixels for names
LINE, GAP = 22, 8   # height of a signal, space between signals
FONT = "font-family='DejaVu Sans Mono,Menlo,Consolas,monospace'"

# Signals by port: (name on the picture, kind, pins). A bus shows its value where its condition holds.
REQUEST = [("req_valid_i", "bit"), ("req_ready_o", "bit"), ("req_va_i", "bus", "req_valid")]
RESPONSE = [("resp_valid_o", "bit"), ("resp_pa_o", "bus", "resp_valid")]
READ = [("m_arvalid_o", "bit"), ("m_araddr_o", "bus", "m_arvalid"), ("m_rvalid_i", "bit")]
EXCLUSIVE = [("m_arlock_o", "bit")]
WRITE = [("m_awvalid_o", "bit"), ("m_bvalid_i", "bit"), ("m_bresp_i", "resp", "m_bvalid")]
CSR = [("s_awvalid_i", "bit"), ("s_bvalid_o", "bit")]
SCENES = {
    "native": REQUEST + READ + RESPONSE,
    "stream": REQUEST + READ + RESPONSE,
    "pvdmt": REQUEST + READ + RESPONSE,
    "nested": REQUEST + READ + RESPONSE,
    "radix": [REQUEST[0]] + [READ[0], READ[2]] + [RESPONSE[0]],
    "sizes": REQUEST + READ + RESPONSE,
    "drain": CSR + REQUEST + [READ[0], READ[2]] + RESPONSE,
    "dirty": [REQUEST[0], READ[0]] + EXCLUSIVE + [READ[2]] + WRITE + [RESPONSE[0]],
    "bring-up": CSR + REQUEST[:2] + [READ[0], READ[2]] + RESPONSE,
}
RESP = ["OKAY", "EXOKAY", "SLVERR", "DECERR"]
COLOURS = {"tea": "#cfe2f7", "radix": "#e4e4e4", "ad": "#e6d9f2", "lost": "#f6c6c6", "done": "#cfeccf",
           "walk": "#fdf3d0", "held": "#fbd9b5", "surplus": "#f7f7f7"}


def events(dmt, scene):
    with tempfile.TemporaryDirectory() as d:
        path = Path(d) / "events.json"
        run = subprocess.run([dmt, "waves", scene, "--events", str(path)], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"draw.py: dmt waves {scene}: {run.stderr.strip()}")
        return json.loads(path.read_text())


class Picture:
    def __init__(self, e, signals):
        self.e, self.signals, self.out = e, signals, []
        self.clocks = e["clocks"]
        self.clock = WIDER.get(e["scene"], CLOCK)
        rows = -(-self.clocks * self.clock // ROW)
        self.per_row = -(-self.clocks // rows)
        self.rows = [(a, min(a + self.per_row, self.clocks)) for a in range(0, self.clocks, self.per_row)]
        self.bars = self.lanes()
        self.width = max(LABEL + self.per_row * self.clock + 12, 640)
        self.title = textwrap.wrap(e["what"], int((self.width - 16) / 7.3))
        outcomes = [w["outcome"] for w in e["walks"]]
        if len({o.split("; ")[1] for o in outcomes}) == 1 and len(outcomes) > 2:
            outcomes = [f"every walk: {outcomes[0].split('; ')[1]}"]
        self.outcomes = outcomes

    def lanes(self):
        """Lines of text: (name, [(from, end, text, colour)]), `end` the clock after the last."""
        e, lanes = self.e, []
        for i, w in enumerate(e["walks"]):
            end = (w["ended"] if w["ended"] is not None else self.clocks - 1) + 1
            # A clock of waiting at the port is part of it.
            lanes.append([f"walk #{i}", [(w["began"], end + 1, w["request"], COLOURS["walk"])]])
            reads = {}
            for r in (r for r in e["refs"] if r["walk"] == i):
                kind = "surplus" if r["surplus"] else ("lost" if r["resp"] == "OKAY" else "done") if r["write"] else \
                    "ad" if not r["number"] else "tea" if r["tea"] else "radix"
                reads.setdefault((r["surplus"], r["lane"]), []).append((r["from"], r["to"] + 1, r["text"], COLOURS[kind]))
            lanes += [["", bars] for _, bars in sorted(reads.items())]
        if len(e["walks"]) > 4:
            lanes = self.merged(lanes)
        held = [(c["held"] - 1, c["answered"] + 1, c["text"], COLOURS["held"]) for c in e["register_writes"]]
        if len(held) > 4:  # their values stand in a table; numbers lead there
            held = [(a, b, f"{n} {re.sub(r'^LEVEL.[0-9].[.]|^HOST[.]| = .*', '', text)}", colour)
                    for n, (a, b, text, colour) in enumerate(held, 1)]
        if held:
            # Neighbouring writes that overlap take turns in two lines.
            lines = [[], []]
            for bar in held:
                line = min(lines, key=lambda l: l[-1][1] if l else -1)
                line.append(bar)
            lanes += [["register write" if not n else "", bars] for n, bars in enumerate(lines) if bars]
        return lanes

    @staticmethod
    def merged(lanes):
        """Walks whose reads are what there is to see: each read on its walk's line."""
        out = []
        for name, bars in lanes:
            if name:
                out.append([name, []])
            else:
                out[-1][1].extend(bars)
        return out

    # -------------------------------------------------------------- drawing
    def text(self, x, y, s, size=11, anchor="start", fill="#222", weight="normal"):
        self.out.append(f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size}' text-anchor='{anchor}' fill='{fill}'"
                        f" font-weight='{weight}'>{escape(s)}</text>")

    def box(self, x0, x1, y, text, fill, size=10):
        self.out.append(f"<rect x='{x0:g}' y='{y:g}' width='{x1 - x0:g}' height='{LINE - 4}' rx='3' fill='{fill}' "
                        f"stroke='#555' stroke-width='0.8'/>")
        room = int((x1 - x0 - 6) / (size * 0.605))
        if len(text) > room:
            text = text[:max(room - 1, 0)] + "…" if room > 1 else ""
        self.text(x0 + 4, y + LINE - 9, text, size)

    def draw(self):
        e = self.e
        y = 17
        for line in self.title:
            self.text(8, y, line, 12, weight="bold")
            y += 16
        self.text(8, y, f"configuration {e['config']}, memory answers {e['latency']} clock"
                        f"{'s' if e['latency'] > 1 else ''} after the address", 11, fill="#555")
        y += 12
        for first, last in self.rows:
            y = self.draw_row(first, last, y)
        for line in self.outcomes:
            self.text(8, y + 10, line, 11)
            y += 16
        head = (f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' height='{y + 6}' "
                f"viewBox='0 0 {self.width} {y + 6}'>")
        return "\n".join([head, f"<title>{escape(e['scene'])}: {escape(e['what'])}</title>",
                          f"<rect width='{self.width}' height='{y + 6}' fill='#fff'/>", *self.out, "</svg>"]) + "\n"

    def draw_row(self, first, last, top):
        """One row of clocks; where the next one begins."""
        x = lambda clock: LABEL + (clock - first) * self.clock
        lanes = [(name, [b for b in bars if b[0] < last and b[1] > first]) for name, bars in self.bars]
        lanes = [(name, bars) for name, bars in lanes if bars]
        bottom = top + 24 + (LINE + GAP) * (len(lanes) + len(self.signals))
        for c in range(first, last):
            self.out.append(f"<line x1='{x(c)}' y1='{top + 18}' x2='{x(c)}' y2='{bottom}' stroke='#ddd'/>")
            self.text(x(c) + self.clock / 2, top + 13, str(c - self.zero()), 10, "middle", "#555")
        self.text(LABEL - 8, top + 13, "clock", 10, "end", "#555")
        y = top + 24
        for name, bars in lanes:
            self.text(LABEL - 8, y + 13, name, 11, "end", weight="bold")
            for a, b, text, fill in bars:
                self.box(x(max(a, first)) + 1, x(min(b, last)) - 1, y, text, fill)
            y += LINE + GAP
        for signal in self.signals:
            self.text(LABEL - 8, y + 13, signal[0], 11, "end")
            values = [int(v, 16) for v in self.e["pins"][signal[0].rsplit("_", 1)[0]]]
            if signal[1] == "bit":
                self.wave(values, first, last, x, y)
            else:
                valid = [int(v, 16) for v in self.e["pins"][signal[2]]]
                self.bus(values, valid, first, last, x, y, signal[1])
            y += LINE + GAP
        return y + 12

    def zero(self):
        """Clock 0 of the picture: the first request is taken, or reset has ended."""
        return 0 if self.e["scene"] == "bring-up" else min(w["taken"] for w in self.e["walks"])

    def wave(self, values, first, last, x, y):
        high, low = y + 2, y + LINE - 6
        path, before = [], None
        for c in range(first, last):
            level = high if values[c] else low
            path.append(f"{'M' if before is None else 'L'}{x(c)} {level}")
            path.append(f"L{x(c + 1)} {level}")
            before = level
            if values[c]:
                self.out.append(f"<rect x='{x(c)}' y='{high}' width='{self.clock}' height='{low - high}' fill='#eaf4ea'/>")
        self.out.append(f"<path d='{' '.join(path)}' fill='none' stroke='#1a6b1a' stroke-width='1.4'/>")

    def bus(self, values, valid, first, last, x, y, kind):
        c = first
        self.out.append(f"<line x1='{x(first)}' y1='{y + 9}' x2='{x(last)}' y2='{y + 9}' stroke='#bbb'/>")
        while c < last:
            if not valid[c]:
                c += 1
                continue
            end = c
            while end < last and valid[end] and values[end] == values[c]:
                end += 1
            text = RESP[values[c]] if kind == "resp" else f"{values[c]:x}"
            a, b = x(c), x(end)
            size = 9 if kind == "bus" else min(9, (b - a - 3) / (len(text) * 0.605))
            room = (b - a - 2) / (size * 0.605)
            if len(text) > room:  # the last digits tell neighbours apart
                text = "…" + text[-max(int(room) - 1, 1):]
            self.out.append(f"<rect x='{a + 0.5}' y='{y}' width='{b - a - 1}' height='{LINE - 4}' fill='#fff' "
                            f"stroke='#1a4b8b'/>")
            self.text((a + b) / 2, y + LINE - 9, text, f"{size:.3g}", "middle")
            c = end


def fill(dmt, page):
    begin, end = "<!-- bring-up: begin -->\n", "<!-- bring-up: end -->\n"
    run = subprocess.run([dmt, "waves", "bring-up", "--table"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"draw.py: dmt waves bring-up: {run.stderr.strip()}")
    old = page.read_text()
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        sys.exit(f"draw.py: {page}: expected one line '{begin.strip()}' and after it one line '{end.strip()}'")
    part = page.with_name(page.name + ".new")
    part.write_text(old[:old.index(begin) + len(begin)] + run.stdout + old[old.index(end):])
    part.replace(page)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--page":
        fill(sys.argv[2], Path(sys.argv[3]))
        return 0
    if len(sys.argv) < 3 or not set(sys.argv[3:]) <= set(SCENES):
        print(__doc__.strip(), file=sys.stderr)
        print(f"scenarios: {', '.join(SCENES)}", file=sys.stderr)
        return 2
    dmt, out = sys.argv[1], Path(sys.argv[2])
    for scene in sys.argv[3:] or SCENES:
        picture = Picture(events(dmt, scene), SCENES[scene]).draw()
        part = out / f"{scene}.svg.new"
        part.write_text(picture)
        part.replace(out / f"{scene}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
