#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bitstream of a board, with area and clock (make fpga BOARD=..).

  fpga.py BOARD OUT         OUT/BOARD.bit (ECP5) or .bin (iCE40); for arty a netlist only (.json, .edif)
  fpga.py report OUT --docs the boards made so far, into docs/fpga.md; rows of others stay

Synthesis, place and route, and packing are kept in OUT and made again when a source, a
constraint or a tool's options change. A missed clock is an error, and no bitstream is left.
Tools: Yosys, nextpnr-ice40 and icepack from Debian; nextpnr-ecp5 and ecppack from the path
or from PyPI's YoWASP in $VENV (build/venv-fpga).
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
HERE = "rtl/fpga"
SEEDS = range(1, 5)
PATIENCE = 60  # turns of the router without getting nearer to its end

BOARDS = {
    "ulx3s": {
        "name": "ULX3S, LFE5U-85F-6", "top": f"{HERE}/ulx3s_top.v", "constraints": f"{HERE}/ulx3s.lpf",
        "synth": "synth_ecp5 -abc9 -nowidelut",
        # Whether it routes hangs on every bit of the netlist, so a hash of the sources is not among them: the
        # top's own BUILD stays.
        "build": "00000000",
        "pnr": ["nextpnr-ecp5", "--85k", "--speed", "6", "--package", "CABGA381", "--lpf", "{constraints}",
                "--router", "router2", "--json", "{json}", "--textcfg", "{base}.config"],
        "pack": ["ecppack", "--compress", "{base}.config", "{base}.bit"], "result": ".bit",
        "cells": {"LUT4": "LUT4", "carry": "CCU2C", "LUT RAM": "TRELLIS_DPR16X4", "flip-flops": "TRELLIS_FF",
                  "block RAM": "DP16KD"},
    },
    "hx8k": {
        "name": "iCE40HX-8K breakout", "top": f"{HERE}/hx8k_top.v", "constraints": f"{HERE}/hx8k.pcf",
        "synth": "synth_ice40 -abc9 -device hx",
        "pnr": ["nextpnr-ice40", "--hx8k", "--package", "ct256", "--pcf", "{constraints}", "--json", "{json}",
                "--asc", "{base}.asc", "--freq", "24"],
        "pack": ["icepack", "{base}.asc", "{base}.bin"], "result": ".bin",
        "cells": {"LUT4": "SB_LUT4", "carry": "SB_CARRY", "LUT RAM": None, "flip-flops": "SB_DFF.*",
                  "block RAM": "SB_RAM40.*"},
    },
    "arty": {
        "name": "Arty A7-100T (synthesis only)", "top": f"{HERE}/xilinx/arty_top.v", "constraints": f"{HERE}/xilinx/arty.xdc",
        "synth": "synth_xilinx -family xc7 -flatten -edif {base}.edif", "pnr": None, "pack": None, "result": ".json",
        "cells": {"LUT4": "LUT[1-6]", "carry": "CARRY4", "LUT RAM": "RAM.*M.*", "flip-flops": "FD.*",
                  "block RAM": "RAMB.*"},
    },
}


def fail(text):
    sys.exit(f"fpga: {text}")


def tool(name):
    """A program on the path, or YoWASP's of the same name."""
    yowasp = Path(os.environ.get("VENV", TOP / "build/venv-fpga")).absolute() / "bin" / f"yowasp-{name}"
    found = shutil.which(name) or (str(yowasp) if yowasp.exists() else None)
    if not found:
        fail(f"{name} is not installed (make fpga and make synth install it)")
    return found


def run(command, log, cwd):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    log.write_text(done.stdout)
    return done.stdout, done.returncode


def files(board):
    found = []
    for listed in ("rtl/dmt.f", f"{HERE}/board.f"):
        found += [line for line in (TOP / listed).read_text().split() if line.startswith("rtl/")]
    return found + [board["top"]]


def key(board):
    """What the result depends on."""
    used = [*files(board), board["constraints"], "rtl/dmt_regs.vh", "rtl/dmt_walk.vh", f"{HERE}/dmt_board.vh"]
    text = b"".join((TOP / f).read_bytes() for f in used) + json.dumps(board).encode()
    return hashlib.sha256(text).hexdigest()


def clocks(text):
    """Of each clock what was reached and what was asked for, MHz: the last report is that after routing."""
    found = {}
    for m in re.finditer(r"Max frequency for clock +'([^']*)': ([\d.]+) MHz \((?:PASS|FAIL) at ([\d.]+) MHz\)", text):
        found[m[1]] = (float(m[2]), float(m[3]))
    return found


class NoWay(Exception):
    """The router does not come to an end."""


def route(command, log, cwd):
    """Run nextpnr, watching its router: output and exit status, or NoWay when it gets no nearer to its end."""
    shown = sys.stderr.isatty()
    best, least, text = 0, None, []
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as tool, \
            open(log, "w", encoding="utf-8") as kept:
        try:
            for line in tool.stdout:
                text.append(line)
                kept.write(line)
                kept.flush()
                m = re.search(r"iter=(\d+) .*overused=(\d+)", line)
                if not m:
                    continue
                turn, overused = int(m[1]), int(m[2])
                if shown:
                    print(f"\r  routing, turn {turn}: {overused} wires are used twice   ", end="", file=sys.stderr, flush=True)
                if least is None or overused < least:
                    best, least = turn, overused
                elif turn - best >= PATIENCE:
                    raise NoWay(f"{least} wires were used twice in turn {best}, {overused} in turn {turn}")
        except BaseException:
            tool.terminate()
            raise
        finally:
            if shown and least is not None:
                print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
    return "".join(text), tool.returncode


def place(name, board, out, base):
    """Place and route with a few seeds until every clock is met; what was reached."""
    best = None
    for seed in SEEDS:
        start = time.time()
        fill = {"constraints": str(TOP / board["constraints"]), "json": f"{name}.json", "base": name}
        command = [c.format(**fill) for c in board["pnr"]]
        # A tool that sees only its own folder (YoWASP) gets the constraints there.
        shutil.copy(TOP / board["constraints"], out / Path(board["constraints"]).name)
        command = [Path(board["constraints"]).name if c == fill["constraints"] else c for c in command]
        try:
            text, status = route([tool(command[0]), *command[1:], "--seed", str(seed), "--timing-allow-fail"],
                                 base.with_suffix(".pnr.log"), out)
        except NoWay as e:
            print(f"  place and route, seed {seed}: no way found in {time.time() - start:.0f} s, {e}", flush=True)
            continue
        reached = clocks(text)
        if status or not reached:
            fail(f"{command[0]} failed, see {base}.pnr.log:\n" + "\n".join(text.splitlines()[-5:]))
        slack = min(got / asked for got, asked in reached.values())
        print(f"  place and route, seed {seed}: {time.time() - start:.0f} s, "
              + ", ".join(f"{got:.1f} MHz of {asked:.1f}" for got, asked in reached.values()), flush=True)
        if best is None or slack > best[0]:
            best = (slack, reached, seed)
        if slack >= 1:
            return reached, seed
    if best is None:
        fail(f"not routed with seeds {SEEDS[0]} to {SEEDS[-1]}, see {base}.pnr.log")
    fail(f"the clock is missed with seeds {SEEDS[0]} to {SEEDS[-1]}: at best "
         + ", ".join(f"{got:.1f} MHz of {asked:.1f}" for got, asked in best[1].values()))


def synthesize(name, board, base, build):
    """The netlist, unless it is there from before."""
    start, top, stat, done = time.time(), Path(board["top"]).stem, base.with_suffix(".stat"), base.with_suffix(".synth")
    if done.exists() and done.read_text() == key(board) and base.with_suffix(".json").exists():
        return
    done.unlink(missing_ok=True)
    script = (f"read_verilog -Irtl -Irtl/fpga {' '.join(files(board))}; "
              + ("" if "build" in board else f"chparam -set BUILD 32'h{build} {top}; ") +
              f"{board['synth'].format(base=base)} -top {top}; write_json {base}.json; tee -q -o {stat} stat -json")
    text, status = run(["yosys", "-q", "-p", script], base.with_suffix(".yosys.log"), TOP)
    if status:
        fail(f"yosys failed, see {base}.yosys.log:\n" + "\n".join(text.splitlines()[-5:]))
    done.write_text(key(board))
    print(f"  synthesis: {time.time() - start:.0f} s", flush=True)


def make(name, out):
    board, base, store = BOARDS[name], out / name, out / f"{name}.result"
    if store.exists() and json.loads(store.read_text())["key"] == key(board) \
            and (base.with_suffix(board["result"])).exists():
        print(f"fpga: {base.with_suffix(board['result'])} is up to date")
        return
    for stale in (store, base.with_suffix(".bit"), base.with_suffix(".bin")):
        stale.unlink(missing_ok=True)
    start, build = time.time(), board.get("build", key(board)[:8])
    synthesize(name, board, base, build)
    cells = json.loads(base.with_suffix(".stat").read_text())["design"]["num_cells_by_type"]
    reached, seed = place(name, board, out, base) if board["pnr"] else ({}, None)
    if board["pack"]:
        fill = {"base": name}
        command = [c.format(**fill) for c in board["pack"]]
        text, status = run([tool(command[0]), *command[1:]], base.with_suffix(".pack.log"), out)
        if status:
            base.with_suffix(board["result"]).unlink(missing_ok=True)
            fail(f"{command[0]} failed, see {base}.pack.log:\n{text}")
    counted = {what: sum(n for c, n in cells.items() if pattern and re.fullmatch(pattern, c))
               for what, pattern in board["cells"].items()}
    store.write_text(json.dumps({"key": key(board), "build": build, "cells": counted, "seed": seed, "clocks": reached}))
    print(f"fpga: {base.with_suffix(board['result'])}, build {build}, {time.time() - start:.0f} s")


def report(out, docs):
    page = TOP / "docs/fpga.md"
    rows = {line.split(" | ")[0]: line for line in page.read_text().splitlines() if line.startswith("| ")}
    columns = list(BOARDS["ulx3s"]["cells"])
    lines = ["| board | " + " | ".join(columns) + " | clock, MHz | asked for |", "|---|" + "--:|" * (len(columns) + 2)]
    made = 0
    for name, board in BOARDS.items():
        store = out / f"{name}.result"
        kept = json.loads(store.read_text()) if store.exists() else {"key": None}
        if kept["key"] != key(board):
            print(f"fpga: {name} was not made from these sources, its row stays: make fpga BOARD={name}", file=sys.stderr)
            lines += [rows[f"| {board['name']}"]] if f"| {board['name']}" in rows else []
            continue
        made += 1
        slowest = min(kept["clocks"].values(), key=lambda c: c[0] / c[1], default=None)
        clock = [f"{slowest[0]:.1f}", f"{slowest[1]:.1f}"] if slowest else ["", ""]
        lines.append(f"| {board['name']} | " + " | ".join(str(kept["cells"][c] or "") for c in columns) + " | "
                     + " | ".join(clock) + " |")
    if made == 0:
        fail(f"{out} has no board's result: make fpga BOARD=ulx3s")
    print("\n".join(lines))
    if docs:
        text = "\n".join(["<!-- SPDX-License-Identifier: Apache-2.0 -->",
                          "<!-- Generated by rtl/fpga/fpga.py report --docs (make fpga-report). Do not edit. -->",
                          "# Boards: area and clock", "",
                          "Whole boards (walker, memory, link), from `make fpga BOARD=ulx3s`, `hx8k` and `arty`. "
                          "[board.md](board.md) says what is on them;", "[area.md](area.md) has the walker alone.", "",
                          *lines, "",
                          "* ECP5: a carry cell (CCU2C) occupies two LUT4, a LUT RAM (DPR16X4) four.",
                          "* Clock: what nextpnr reports after routing, of the slowest clock; Arty is synthesized only "
                          "(`rtl/fpga/xilinx/arty.tcl` goes on with Vivado).", ""])
        page.with_suffix(".new").write_text(text)
        os.replace(page.with_suffix(".new"), page)
        print("written: docs/fpga.md")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("board", choices=[*BOARDS, "report"])
    args.add_argument("out", type=Path)
    args.add_argument("--docs", action="store_true", help="with report: write docs/fpga.md")
    options = args.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.board == "report":
        report(options.out.resolve(), options.docs)
    else:
        make(options.board, options.out.resolve())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("fpga: stopped")
