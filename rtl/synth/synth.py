#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Area and clock of the named configurations and of single modules.

  synth.py OUT            synthesize, print the report and write OUT/report.md
  synth.py OUT --docs     the same, and write docs/area.md and this walker's rows in docs/datasheet.md
  synth.py OUT --only RE  only the rows whose name matches; the report says so

A result is kept in OUT and used again while RTL, parameters and this script stay the same.
Environment: JOBS, how many tools run at once (2).
"""
import argparse
import concurrent.futures
import hashlib
import inspect
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "rtl"), str(TOP / "rtl/fpga")]
import configs  # noqa: E402
import fpga  # noqa: E402

LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
FILES = [line for line in (TOP / "rtl/dmt.f").read_text().split() if line.startswith("rtl/")]
# Parameters that a module has besides those of its configuration, as dmt_mmu sets them.
DERIVED = {"ID_W": lambda p: max(1, (p["CTX_N"] - 1).bit_length()) + (p["SETS"] - 1).bit_length()}
FLOWS = {
    # Memories become flip-flops in the first, LUT RAM where it fits in the others.
    "cells": f"synth -run begin:fine; opt -fast -full; memory_map; opt -undriven -fine; techmap; opt -fast; "
             f"dfflibmap -liberty {LIBERTY}; opt -fast; abc -liberty {LIBERTY}; opt_clean",
    "ecp5": "synth_ecp5 -abc9",
    "ice40": "synth_ice40",
}
CLOCK_FLOW = "synth_ice40 -abc9 -device hx"
CLOCK_ECP5 = "synth_ecp5 -abc9"
ECP5 = {"clock6": ["--85k", "--speed", "6"], "clock8": ["--um5g-85k", "--speed", "8"]}
NEXTPNR_ECP5 = ["--package", "CABGA381", "--seed", "1", "--freq", "100", "--timing-allow-fail",
                "--lpf-allow-unconstrained"]
NEXTPNR = ["nextpnr-ice40", "--hx8k", "--package", "ct256", "--seed", "1", "--freq", "100", "--timing-allow-fail"]
TOO_LONG = "too long"


class Row:
    """One module with one set of parameters."""

    def __init__(self, module, config, params, clocks):
        self.module, self.config, self.clocks = module, config, clocks
        self.params = {k: v for k, v in params.items() if k in parameters(module)}
        self.params.update({k: DERIVED[k](params) for k in parameters(module) if k in DERIVED})
        self.name = f"{module} {config}"

    def select(self):
        """Yosys commands up to the flat design. The walk trace port is left open, as a chip leaves it."""
        chparam = " ".join(f"-chparam {k} {v}" for k, v in self.params.items())
        open_trace = "delete -port o:wt_*; opt_clean; " if self.module == "dmt_mmu" else ""
        return (f"read_verilog -Irtl {' '.join(FILES)}; hierarchy -check -top {self.module} {chparam}; "
                f"proc; flatten; {open_trace}")


def parameters(module):
    """Names of the parameters in a module's header; all modules here have some."""
    text = re.sub(r"//.*", "", (TOP / f"rtl/{module}.v").read_text())
    names = re.findall(r"^\s*parameter\s+(\w+)", text[:text.index(");")], re.M)
    if not names:
        raise SystemExit(f"synth: rtl/{module}.v: found no parameter, expected `parameter NAME = ..` lines")
    return names


def sources(module):
    """The files that a module's result depends on: its own, those of modules in it, and what all share."""
    found, ahead = {"rtl/dmt_regs.vh"}, [f"rtl/{module}.v"]
    while ahead:
        file = ahead.pop()
        found.add(file)
        words = set(re.findall(r"\w+", (TOP / file).read_text()))
        ahead += [f for f in FILES if Path(f).stem in words and f not in found]
    return sorted(found)


def rows():
    """Single modules and the whole IP per configuration, small things first."""
    for name, p in configs.load().items():
        small = name == "smallest"
        if name in ("smallest", "default"):  # step, entry and route depend on PA_W alone
            yield Row("dmt_walk_step", name, p, ["clock"])
            yield Row("dmt_entry", name, p, ["clock"])
            yield Row("dmt_route", name, p, ["clock"])
        if name != "pipelined":  # contexts are those of default
            yield Row("dmt_contexts", name, p, [] if name == "largest" else ["clock"])
        yield Row("dmt_tea_file", name, p, [])
        yield Row("dmt_mmu", name, p, ["clock", *ECP5] if small else list(ECP5) if name == "pipelined" else [])
        if small:
            yield Row("dmt_mmu", "smallest, PIPE = 1", {**p, "PIPE": 1}, ["clock", *ECP5])


# ---------------------------------------------------------------- tools
class TooLong(Exception):
    """A tool did not end within the limit."""


class Tools:
    """Runs tools, each at most `limit` minutes long."""

    def __init__(self, limit):
        self.limit, self.running = limit, set()

    def run(self, command, log, may_fail=False, cwd=TOP):
        """Output and exit status; the output is kept in `log`."""
        # timeout(1) makes a process group, so that what yosys started (abc) ends with it.
        tool = subprocess.Popen(["timeout", "-k", "5", str(self.limit * 60), *command], cwd=cwd, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.running.add(tool)
        text = tool.communicate()[0]
        self.running.remove(tool)
        log.write_text(text)
        if tool.returncode == 124:
            raise TooLong
        if tool.returncode and not may_fail:
            raise SystemExit(f"synth: {command[0]} failed, see {log}:\n" + "\n".join(text.splitlines()[-5:]))
        return text, tool.returncode

    def yosys(self, base, script):
        """Run a script; the number of cells by type."""
        stat = base.with_suffix(".stat")
        base.with_suffix(".ys").write_text(script.replace("; ", "\n") + f"\ntee -q -o {stat} stat -json\n")
        self.run(["yosys", "-q", "-s", str(base.with_suffix(".ys"))], base.with_suffix(".log"))
        return json.loads(stat.read_text())["design"]["num_cells_by_type"]

    def stop(self):
        for tool in list(self.running):
            tool.terminate()


def area(cells):
    """Liberty area in two-input NANDs."""
    text = LIBERTY.read_text()
    of = {m[1]: float(m[2]) for m in re.finditer(r"^\s*cell \((\w+)\) \{.*?^\s*area : ([\d.]+)", text, re.M | re.S)}
    return sum(of[c] * n for c, n in cells.items()) / of["NAND2X1"]


def wrapper(tools, row, base):
    """The module between registers, loaded and read serially, so that nextpnr sees paths from register
    to register and four pins."""
    ports_json = base.with_suffix(".ports")
    tools.run(["yosys", "-q", "-p", f"{row.select()} write_json {ports_json}"], base.with_suffix(".log"))
    module = next(m for m in json.loads(ports_json.read_text())["modules"].values() if m["attributes"].get("top"))
    size, pins = {"input": 0, "output": 0}, []
    for port, d in module["ports"].items():
        if port == "clk_i":
            pins.append(".clk_i(clk)")
            continue
        width, at = len(d["bits"]), size[d["direction"]]
        pins.append(f".{port}({'in_q' if d['direction'] == 'input' else 'out'}[{at} +: {width}])")
        size[d["direction"]] += width
    params = ", ".join(f".{k}({v})" for k, v in row.params.items())
    n_in, n_out = size["input"], size["output"]
    return f"""
module registered (input clk, input load, input serial_i, output serial_o);
    reg [{n_in - 1}:0] in_q;
    reg [{n_out - 1}:0] out_q, shift_q;
    wire [{n_out - 1}:0] out;
    always @(posedge clk) begin
        in_q    <= {{in_q, serial_i}};
        out_q   <= out;
        shift_q <= load ? out_q : {{shift_q, 1'b0}};
    end
    assign serial_o = shift_q[{n_out - 1}];
    {row.module} #({params}) dut ({', '.join(pins)});
endmodule
"""


def clock_ecp5(tools, row, base, part):
    """The same on an ECP5 85F of a speed grade."""
    verilog, netlist = base.with_suffix(".v"), base.with_suffix(".json")
    verilog.write_text(wrapper(tools, row, base))
    tools.yosys(base, f"read_verilog -Irtl {' '.join(FILES)} {verilog}; hierarchy -check -top registered; "
                      f"{CLOCK_ECP5} -json {netlist}")
    # YoWASP's sees its own folder alone.
    text, status = tools.run([fpga.tool("nextpnr-ecp5"), *part, *NEXTPNR_ECP5, "--json", netlist.name],
                             base.with_suffix(".nextpnr"), may_fail=True, cwd=netlist.parent)
    found = re.findall(r"Max frequency for clock +'[^']*': ([\d.]+) MHz", text)
    if status or not found:
        raise SystemExit(f"synth: nextpnr-ecp5 failed, see {base.with_suffix('.nextpnr')}")
    return float(found[-1])


def clock(tools, row, base):
    """HX8K clock in MHz of the module between registers, or None when it does not fit."""
    verilog, netlist, log = base.with_suffix(".v"), base.with_suffix(".json"), base.with_suffix(".nextpnr")
    verilog.write_text(wrapper(tools, row, base))
    tools.yosys(base, f"read_verilog -Irtl {' '.join(FILES)} {verilog}; hierarchy -check -top registered; "
                      f"{CLOCK_FLOW} -json {netlist}")
    text, status = tools.run([*NEXTPNR, "--json", str(netlist)], log, may_fail=True)
    found = re.findall(r"Max frequency for clock +'[^']*': ([\d.]+) MHz", text)
    if status == 0 and found:
        return float(found[-1])
    if "Unable to find a placement" in text or "no bels remaining" in text.lower():
        return None
    raise SystemExit(f"synth: nextpnr-ice40 failed, see {log}")


# ---------------------------------------------------------------- one result
def result(tools, row, flow, out):
    """The numbers of one row under one flow, from the store or from the tool; TOO_LONG is not kept."""
    base = out / f"{row.module}-{re.sub('[^a-z0-9]+', '-', row.config.lower())}-{flow}"
    how = row.select() + (FLOWS[flow] if flow in FLOWS
                          else inspect.getsource(wrapper) + (CLOCK_FLOW + " ".join(NEXTPNR) if flow == "clock"
                                                             else CLOCK_ECP5 + " ".join(ECP5[flow] + NEXTPNR_ECP5)))
    key = hashlib.sha256(how.encode())
    for f in sources(row.module):
        key.update((TOP / f).read_bytes())
    store = base.with_suffix(".result")
    if store.exists():
        kept = json.loads(store.read_text())
        if kept["key"] == key.hexdigest():
            return kept["value"]
    start = time.time()
    try:
        value = (clock(tools, row, base) if flow == "clock"
                 else clock_ecp5(tools, row, base, ECP5[flow]) if flow in ECP5
                 else tools.yosys(base, row.select() + FLOWS[flow]))
    except TooLong:
        print(f"  {row.name}, {flow}: not ended after {tools.limit} minutes", flush=True)
        return TOO_LONG
    store.write_text(json.dumps({"key": key.hexdigest(), "value": value}))
    print(f"  {row.name}, {flow}: {time.time() - start:.0f} s", flush=True)
    return value


def count(cells, pattern):
    return sum(n for c, n in cells.items() if re.fullmatch(pattern, c))


def version(command, pattern):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return re.search(pattern, done.stdout)[1]


EXPECTED = {"ecp5": "LUT4|CCU2C|TRELLIS_DPR16X4|TRELLIS_FF|PFUMX|L6MUX21", "ice40": "SB_LUT4|SB_CARRY|SB_DFF.*"}


def unexpected(table):
    """Cells that the table has no column for (a multiplier, say), so that none goes unseen."""
    return [f"* {row.name} on {flow} also has {n} {cell}."
            for row, v in table for flow, known in EXPECTED.items() if v[flow] != TOO_LONG
            for cell, n in v[flow].items() if not re.fullmatch(known, cell)]


def megahertz(mhz, unfinished):
    return "does not fit" if mhz is None else unfinished if mhz == TOO_LONG else f"{mhz:.0f}" if mhz else ""


def report(table, limit):
    out = ["| module | configuration | kGE | of them flip-flops | ECP5 LUT4 | carry | LUT RAM | flip-flops "
           "| ECP5 clock, MHz: -6 | -8 | iCE40 LUT4 | carry | flip-flops | HX8K clock, MHz |", "|---|---|" + "--:|" * 12]
    unfinished = f"> {limit} min"
    for row, v in table:
        line = []
        if v["cells"] == TOO_LONG:
            line += [unfinished, ""]
        else:
            ff = {c: n for c, n in v["cells"].items() if c.startswith(("DFF", "LATCH"))}
            line += [f"{area(v['cells']) / 1000:.1f}", f"{area(ff) / 1000:.1f}"]
        for flow, columns in (("ecp5", ["LUT4", "CCU2C", "TRELLIS_DPR16X4", "TRELLIS_FF"]),
                              ("ice40", ["SB_LUT4", "SB_CARRY", "SB_DFF.*"])):
            line += ([unfinished] + [""] * (len(columns) - 1) if v[flow] == TOO_LONG
                     else [str(count(v[flow], c)) for c in columns])
            line += [megahertz(v.get(c, ""), unfinished) for c in (ECP5 if flow == "ecp5" else ["clock"])]
        out.append(f"| {row.module} | {row.config} | " + " | ".join(line) + " |")
    return out


NOTES = """
* kGE: thousand gate equivalents, area over that of a two-input NAND, mapped by Yosys to the OSU 0.18 um cells of
  Debian's qflow-tech-osu018; memories as flip-flops, no buffers, no scan, no clock tree.
* ECP5: `synth_ecp5 -abc9`. A carry cell (CCU2C) occupies two LUT4, a LUT RAM (DPR16X4) four. iCE40: `synth_ice40`;
  memories with asynchronous read become flip-flops there.
* ECP5 clock: nextpnr-ecp5 on the module between registers, seed 1, LFE5U-85F-6 (as on the ULX3S) and LFE5UM5G-85F-8.
* HX8K clock: nextpnr-ice40 on the module between registers (`synth_ice40 -abc9 -device hx`, seed 1), so the path from
  register through the module to register; an empty cell was not tried.
* "> N min": the tool had not ended by then (`synth.py --limit`).
* dmt_mmu is the whole IP with the walk trace port left open; dmt_tea_file, the TEA registers and their match, is
  contained in it and shown beside. dmt_walk_step, dmt_entry and dmt_route depend on PA_W alone; what smallest does not
  need of them (second stages) is there all the same when they stand alone, and gone in dmt_mmu.
"""


OWN_ROW = "| **dmt_mmu**"  # how the datasheet's rows of this walker begin, beside those of others
DATASHEET = TOP / "docs/datasheet.md"


def own_rows(table):
    """The same figures as the datasheet has them, as far as every flow of a row came to its end."""
    out = []
    for row, v in table:
        if row.module != "dmt_mmu" or row.config not in ("smallest", "smallest, PIPE = 1", "default", "pipelined"):
            continue
        if TOO_LONG in (v["cells"], v["ecp5"]):
            continue
        clock = " / ".join(megahertz(v[c], "") for c in ECP5 if v.get(c, "")) or ""
        out.append(f"{OWN_ROW} {row.config} | x86-64, {row.params['SETS'] - 1 or 'no'} second stages, DMT "
                   f"| {'n(L + 4) + 2' if row.params['PIPE'] else 'n(L + 1) + 1'} | {row.params['CTX_N']} | set, exclusive "
                   f"| {area(v['cells']) / 1000:.1f} | {count(v['ecp5'], 'LUT4')} | {count(v['ecp5'], 'TRELLIS_FF')} "
                   f"| {clock} | {megahertz(v.get('clock', ''), '')} |")
    return out


def refresh_datasheet(own):
    """Put the rows where those of before were."""
    lines = DATASHEET.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(OWN_ROW))
    lines = [line for line in lines if not line.startswith(OWN_ROW)]
    write(DATASHEET, "\n".join(lines[:at] + own + lines[at:]) + "\n")


def write(path, text):
    path.with_suffix(".new").write_text(text)
    os.replace(path.with_suffix(".new"), path)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out", type=Path)
    args.add_argument("--docs", action="store_true", help="write docs/area.md and the datasheet's rows, too")
    args.add_argument("--only", metavar="RE", help="only rows whose 'module configuration' matches")
    args.add_argument("--limit", metavar="MINUTES", type=int, default=60, help="of one tool run (60)")
    options = args.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    wanted = [r for r in rows() if not options.only or re.search(options.only, r.name)]
    jobs = [(r, f) for r in wanted for f in [*FLOWS, *r.clocks]]
    print(f"Synthesis: {len(jobs)} runs; results that are still valid are used again", flush=True)
    tools = Tools(options.limit)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        futures = [pool.submit(result, tools, r, f, out) for r, f in jobs]
        try:
            values = [f.result() for f in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            tools.stop()
            raise
    by_row = {}
    for (row, flow), value in zip(jobs, values):
        by_row.setdefault(row, {})[flow] = value
    lines = report(by_row.items(), options.limit) + [""] + unexpected(by_row.items())
    print("\n".join(lines))
    versions = ", ".join(["Yosys " + version(["yosys", "-V"], r"Yosys ([\d.]+)"),
                          "nextpnr-ice40 " + version(["nextpnr-ice40", "--version"], r"Version ([\w.]+)"),
                          "nextpnr-ecp5 " + version([fpga.tool("nextpnr-ecp5"), "--version"], r"Version (?:nextpnr-)?([\w.]+)")])
    only = f", rows that match `{options.only}`" if options.only else ""
    text = "\n".join(["<!-- SPDX-License-Identifier: Apache-2.0 -->",
                      "<!-- Generated by rtl/synth/synth.py (make area). Do not edit. -->",
                      "# Area and clock", "", f"From `make synth` ({versions}){only}.", "", *lines, NOTES])
    write(out / "report.md", text)
    if options.docs:
        write(TOP / "docs/area.md", text)
        refresh_datasheet(own_rows(by_row.items()))
    print(f"written: {os.path.relpath(out / 'report.md')}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("synth: stopped; results so far are kept")
