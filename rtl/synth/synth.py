#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Area and clock of the named configurations and of single modules.

  synth.py OUT            synthesize, print the report and write OUT/report.md
  synth.py OUT --docs     the same, and write docs/area.md
  synth.py OUT --only RE  only the rows whose name matches; no report is written

A result is kept in OUT and used again while RTL, parameters and this script stay the same.
Environment: JOBS, how many tools run at once (2).
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "rtl"))
import configs  # noqa: E402

LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
FILES = [line for line in (TOP / "rtl/dmt.f").read_text().split() if line.startswith("rtl/")]
# Parameters that a module has besides those of its configuration, as dmt_mmu sets them.
DERIVED = {"ID_W": lambda p: max(1, (p["CTX_N"] - 1).bit_length())}
FLOWS = {
    # Memories become flip-flops in the first, LUT RAM where it fits in the others.
    "cells": f"synth -run begin:fine; opt -fast -full; memory_map; opt -undriven -fine; techmap; opt -fast; "
             f"dfflibmap -liberty {LIBERTY}; opt -fast; abc -liberty {LIBERTY}; opt_clean",
    "ecp5": "synth_ecp5 -abc9",
    "ice40": "synth_ice40",
}


class Row:
    """One module with one set of parameters."""

    def __init__(self, module, config, params, clock):
        self.module, self.config, self.clock = module, config, clock
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
    found, ahead = {"rtl/dmt_regs.vh", "rtl/synth/synth.py"}, [f"rtl/{module}.v"]
    while ahead:
        file = ahead.pop()
        found.add(file)
        words = set(re.findall(r"\w+", (TOP / file).read_text()))
        ahead += [f for f in FILES if Path(f).stem in words and f not in found]
    return sorted(found)


def rows():
    """Single modules and the whole IP per configuration, small things first."""
    for name, p in configs.load().items():
        if name != "largest":  # the step depends on PA_W alone, and largest has that of default
            yield Row("dmt_walk_step", name, p, clock=True)
        yield Row("dmt_contexts", name, p, clock=name != "largest")
        yield Row("dmt_tea_file", name, p, clock=False)
        yield Row("dmt_mmu", name, p, clock=name == "smallest")


# ---------------------------------------------------------------- tools
def run(command, log):
    start = time.time()
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    log.write_text(done.stdout)
    if done.returncode:
        raise SystemExit(f"synth: {command[0]} failed, see {log}:\n" + "\n".join(done.stdout.splitlines()[-5:]))
    return time.time() - start


def yosys(base, script, top):
    """Run a flow; the number of cells by type."""
    stat = base.with_suffix(".stat")
    base.with_suffix(".ys").write_text(script.replace("; ", "\n") + f"\ntee -q -o {stat} stat -json\n")
    run(["yosys", "-q", "-s", str(base.with_suffix(".ys"))], base.with_suffix(".log"))
    return json.loads(stat.read_text())["design"]["num_cells_by_type"]


def area(cells):
    """Liberty area in two-input NANDs."""
    text = LIBERTY.read_text()
    of = {m[1]: float(m[2]) for m in re.finditer(r"^\s*cell \((\w+)\) \{.*?^\s*area : ([\d.]+)", text, re.M | re.S)}
    return sum(of[c] * n for c, n in cells.items()) / of["NAND2X1"]


def wrapper(row, base):
    """The module between registers, loaded and read serially, so that nextpnr sees paths from register
    to register and four pins."""
    ports_json = base.with_suffix(".ports")
    run(["yosys", "-q", "-p", f"{row.select()} write_json {ports_json}"], base.with_suffix(".log"))
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


def clock(row, base):
    """HX8K clock in MHz of the module between registers, or None when it does not fit."""
    verilog, netlist = base.with_suffix(".v"), base.with_suffix(".json")
    verilog.write_text(wrapper(row, base))
    yosys(base, f"read_verilog -Irtl {' '.join(FILES)} {verilog}; hierarchy -check -top registered; "
                f"synth_ice40 -abc9 -device hx -json {netlist}", "registered")
    log = base.with_suffix(".nextpnr")
    command = ["nextpnr-ice40", "--hx8k", "--package", "ct256", "--json", str(netlist), "--seed", "1", "--freq", "100",
               "--timing-allow-fail"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    log.write_text(done.stdout)
    found = re.findall(r"Max frequency for clock +'[^']*': ([\d.]+) MHz", done.stdout)
    if done.returncode == 0 and found:
        return float(found[-1])
    if "Unable to find a placement" in done.stdout or "no Bels remaining" in done.stdout:
        return None
    raise SystemExit(f"synth: nextpnr-ice40 failed, see {log}")


# ---------------------------------------------------------------- one result
def result(row, flow, out):
    """The numbers of one row under one flow, from the store or from the tool."""
    base = out / f"{row.module}-{row.config}-{flow}"
    key = hashlib.sha256(repr(sorted(row.params.items())).encode())
    for f in sources(row.module):
        key.update((TOP / f).read_bytes())
    store = base.with_suffix(".result")
    if store.exists():
        kept = json.loads(store.read_text())
        if kept["key"] == key.hexdigest():
            return kept["value"]
    start = time.time()
    value = clock(row, base) if flow == "clock" else yosys(base, row.select() + FLOWS[flow], row.module)
    store.write_text(json.dumps({"key": key.hexdigest(), "value": value}))
    print(f"  {row.name}, {flow}: {time.time() - start:.0f} s", flush=True)
    return value


def count(cells, pattern):
    return sum(n for c, n in cells.items() if re.fullmatch(pattern, c))


def version(command, pattern):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return re.search(pattern, done.stdout)[0]


EXPECTED = {"ecp5": "LUT4|CCU2C|TRELLIS_DPR16X4|TRELLIS_FF|PFUMX|L6MUX21", "ice40": "SB_LUT4|SB_CARRY|SB_DFF.*"}


def unexpected(table):
    """Cells that the table has no column for (a multiplier, say), so that none goes unseen."""
    return [f"* {row.name} on {flow} also has {n} {cell}."
            for row, v in table for flow, known in EXPECTED.items()
            for cell, n in v[flow].items() if not re.fullmatch(known, cell)]


def report(table):
    out = ["| module | configuration | kGE | of them flip-flops | ECP5 LUT4 | carry | LUT RAM | flip-flops "
           "| iCE40 LUT4 | carry | flip-flops | HX8K clock, MHz |", "|---|---|" + "--:|" * 10]
    for row, v in table:
        ff = {c: n for c, n in v["cells"].items() if c.startswith(("DFF", "LATCH"))}
        mhz = "" if not row.clock else "does not fit" if v["clock"] is None else f"{v['clock']:.0f}"
        e, i = v["ecp5"], v["ice40"]
        numbers = [count(e, "LUT4"), count(e, "CCU2C"), count(e, "TRELLIS_DPR16X4"), count(e, "TRELLIS_FF"),
                   count(i, "SB_LUT4"), count(i, "SB_CARRY"), count(i, "SB_DFF.*")]
        out.append(f"| {row.module} | {row.config} | {area(v['cells']) / 1000:.1f} | {area(ff) / 1000:.1f} | "
                   + " | ".join(map(str, numbers)) + f" | {mhz} |")
    return out


NOTES = """
* kGE: thousand gate equivalents, area over that of a two-input NAND, mapped by Yosys to the OSU 0.18 um cells of
  Debian's qflow-tech-osu018; memories as flip-flops, no buffers, no scan, no clock tree.
* ECP5: `synth_ecp5 -abc9`. A carry cell (CCU2C) occupies two LUT4, a LUT RAM (DPR16X4) four. iCE40: `synth_ice40`;
  memories with asynchronous read become flip-flops there.
* HX8K clock: nextpnr-ice40 on the module between registers (`synth_ice40 -abc9 -device hx`, seed 1), so the path from
  register through the module to register; an empty cell was not tried.
* dmt_mmu is the whole IP with the walk trace port left open; dmt_tea_file, the TEA registers and their match, is
  contained in it and shown beside. dmt_walk_step depends on PA_W alone.
"""


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("out", type=Path)
    args.add_argument("--docs", action="store_true", help="write docs/area.md, too")
    args.add_argument("--only", metavar="RE", help="only rows whose 'module configuration' matches")
    options = args.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    wanted = [r for r in rows() if not options.only or re.search(options.only, r.name)]
    jobs = [(r, f) for r in wanted for f in [*FLOWS, *(["clock"] if r.clock else [])]]
    print(f"Synthesis: {len(jobs)} runs; results that are still valid are used again", flush=True)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        futures = [pool.submit(result, r, f, out) for r, f in jobs]
        try:
            values = [f.result() for f in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    by_row = {}
    for (row, flow), value in zip(jobs, values):
        by_row.setdefault(row, {})[flow] = value
    lines = report(by_row.items()) + [""] + unexpected(by_row.items())
    print("\n".join(lines))
    if options.only:
        return
    tools = ", ".join([version(["yosys", "-V"], r"Yosys [\d.]+"),
                       version(["nextpnr-ice40", "--version"], r"nextpnr\S* -- .*?[\d.]+")])
    text = "\n".join(["<!-- SPDX-License-Identifier: Apache-2.0 -->",
                      "<!-- Generated by rtl/synth/synth.py (make area). Do not edit. -->",
                      "# Area and clock", "", f"From one run of `make synth` ({tools}).", "", *lines, NOTES])
    for path in [out / "report.md", *([TOP / "docs/area.md"] if options.docs else [])]:
        path.with_suffix(".new").write_text(text)
        os.replace(path.with_suffix(".new"), path)
    print(f"written: {os.path.relpath(out / 'report.md')}")


if __name__ == "__main__":
    main()
