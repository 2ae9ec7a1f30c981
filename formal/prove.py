#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proofs of isolation: formal/prove.py BUILD [PATTERN...]  (docs/formal.md)

Each design is a room of rtl/ with a file of properties put before its endmodule,
in a copy under BUILD/formal. Yosys reads it and its SAT solver decides:
  proof   the claim holds after any sequence of inputs: induction over one clock
          for what is kept (invariant), then each claim in any state where that holds
  cover   there is a run from reset that reaches it: the proof is not for nothing
  mutant  with a bug put into the RTL, the proof named must fail
Prints "ok NAME (seconds)" or "not ok NAME: why" a job and "N passed, N failed".
Patterns (fnmatch) choose jobs by name; --list names them, --parse only reads the designs.
A failed proof leaves its counterexample in BUILD/formal/NAME.vcd.

Exit status: 0 all passed, 1 something failed, 2 could not run.
"""
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 600  # seconds for one question to the solver

# What is cut away: outputs free but for the assumptions of walk.vh.
WALK_CUT = ("u_csr u_tea u_contexts u_port u_pwc u_resp u_counters u_trace"
            " g_stages.u_loader g_stages.u_roots g_stages.u_npwc")


class Design:
    def __init__(self, name, room, params, cut="", depth=3, file=None):
        self.name, self.room, self.params, self.cut, self.depth = name, room, params, cut, depth
        self.file = ROOT / "formal" / f"{file or name}.vh"
        text = self.file.read_text()
        self.wires = sorted(set(re.findall(r"\bok_\w+", text)))
        self.covers = re.findall(r"wire (see_\w+)", text)
        kept = re.search(r"wire invariant\s*=([^;]*);", text)
        if not kept:
            sys.exit(f"{self.file}: no wire invariant")
        inside = set(re.findall(r"ok_\w+", kept.group(1)))
        self.claims = [w for w in self.wires if w not in inside]


DESIGNS = [
    # physical addresses at their full width; contexts are any
    Design("walk", "dmt_mmu", {"PA_W": 52, "CTX_N": 2}, WALK_CUT),
    # four registers stand for any number: none looks at another but to find the lowest that hits
    Design("tea", "dmt_tea_file", {"PA_W": 52, "TEA_N": 4, "SETS": 3}, depth=7),
    Design("loader", "dmt_loader", {"PA_W": 52, "TEA_N": 4}, depth=6),
    Design("csr", "dmt_csr", {"PA_W": 52, "TEA_N": 4, "CNT_W": 0}, depth=8),
    Design("pipe-csr", "dmt_csr", {"PA_W": 52, "TEA_N": 4, "CNT_W": 0, "PIPE": 1}, depth=10, file="csr"),
]

# A claim that is shown with another, itself shown, taken as given: the solver finds it faster.
LEMMAS = {"ok_in_gtea": "ok_within"}

# name, design, claim that must fail, file, text, bug
MUTANTS = [
    ("no-bound", "tea", "ok_within", "dmt_tea_file.v",
     "(ok[set_i] && {1'b0, vpn_i} < bound_q[set_i])", "ok[set_i]"),
    ("guest-base", "tea", "ok_exact", "dmt_tea_file.v",
     "sel_gtea ? sel_gbase : base_pfn_q", "sel_gtea ? base_pfn_q[sx] : base_pfn_q"),
    ("no-revoke", "tea", "invariant", "dmt_tea_file.v",
     "resolution_q[3*AT +: 3] <= `DMT_RESOLUTION_REVOKED", "resolution_q[3*AT +: 3] <= resolution_q[3*AT +: 3]"),
    ("stays-resolved", "tea", "invariant", "dmt_tea_file.v",
     "if (rst_i || clear_i || written)", "if (rst_i || clear_i)"),
    ("no-second-stage", "walk", "invariant", "dmt_walk_step.v",
     "assign read_o   = pass_on && direct;", "assign read_o   = pass_on && (direct || (is_v && !leaf));"),
    ("owner-mix-up", "walk", "invariant", "dmt_walk_step.v",
     "s1_leaf ? owner1 : leaf ? FINAL : frame", "s1_leaf ? owner1 : leaf ? FINAL : below"),
    ("shadow-of-register", "walk", "invariant", "dmt_route.v",
     "next[`DMT_WALK_SHADOW] = !f_tea && !full_i;", "next[`DMT_WALK_SHADOW] = !full_i;"),
    ("table-write-unchecked", "walk", "invariant", "dmt_walk_step.v",
     "wire bad_loc0 = to_set && located && !loc0[0] && !bad_loc1;", "wire bad_loc0 = 1'b0;"),
    ("cached-unwritable", "walk", "invariant", "dmt_walk_step.v",
     "wire writable  = w && (!own_v || is_s1 || loc1[0]);", "wire writable  = 1'b1;"),
    ("unusable-launched", "walk", "invariant", "dmt_route.v",
     "assign refuse_o = f_wide || g_wide || h_wide || |bad;", "assign refuse_o = f_wide || g_wide || h_wide;"),
    ("walk-as-before", "walk", "ok_ahead", "dmt_mmu.v",
     "is_chain ? chain_walk : step_walk)", "is_chain ? chain_walk : c_walk)"),
    ("id-unchecked", "loader", "ok_entry", "dmt_loader.v",
     "wire fetch   = look && wanted && !bad_id;", "wire fetch   = look && wanted;"),
    ("image-of-other-set", "csr", "ok_image", "dmt_csr.v",
     "{1'b0, data_q[11:0]} >= count_of_win", "{1'b0, data_q[11:0]} >= icount[12:0]"),
    ("loader-not-awaited", "csr", "ok_interlock", "dmt_csr.v",
     "held && ripe && !b_valid_q && !load_busy_i && (!drains || idle_i)",
     "held && ripe && !b_valid_q && (!drains || idle_i)"),
    ("ripe-while-loading", "pipe-csr", "invariant", "dmt_csr.v",
     "(held && !load_busy_i && !exec && !rst_i)", "(held && !exec && !rst_i)"),
    ("ripe-too-early", "pipe-csr", "ok_ripe", "dmt_csr.v",
     "assign ripe = held_for_q[1];", "assign ripe = held_for_q[0];"),
    ("table-keeps-gteas", "csr", "ok_then_table_revokes", "dmt_csr.v",
     "revoke_all_o = new_table1 || new_table2 || op", "revoke_all_o = new_table1 || op"),
]


class CannotRun(Exception):
    """The tools or the sources; nothing can be said about the claims."""


def yosys(script, log):
    """Run a script; its log."""
    ys = log.with_suffix(".ys")
    ys.write_text(script)
    try:
        done = subprocess.run(["yosys", "-q", "-l", str(log), "-s", str(ys)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT + 60)
    except FileNotFoundError:
        raise CannotRun("yosys is not installed (make formal installs it)") from None
    except subprocess.TimeoutExpired:
        return "", "no answer"
    return log.read_text(errors="replace"), done.stderr.strip().split("\n")[-1] if done.returncode else ""


def elaborate(design, rtl, out):
    """The design with its properties, as RTLIL in `out`."""
    rooms = out.parent / (out.stem + ".rtl")
    shutil.rmtree(rooms, ignore_errors=True)
    shutil.copytree(rtl, rooms, ignore=shutil.ignore_patterns("synth", "__pycache__"))
    top = rooms / f"{design.room}.v"
    text, properties = top.read_text(), design.file.read_text()
    head, end = text.rsplit("endmodule", 1)
    top.write_text(f"{head}{properties}\nendmodule{end}")
    files = " ".join(str(f) for f in sorted(rooms.glob("dmt_*.v")))
    params = " ".join(f"-chparam {k} {v}" for k, v in design.params.items())
    cut = f"cd {design.room}\ncutpoint {design.cut}\ncd ..\n" if design.cut else ""
    _, error = yosys(f"read_verilog -formal -sv -I{rooms} {files}\nhierarchy -top {design.room} {params}\n{cut}"
                     f"prep -top {design.room} -flatten\nasync2sync\ncheck -assert\nmemory_map\nopt -fast\ndffunmap\n"
                     f"write_rtlil {out}\n", out.with_suffix(".log"))
    if error:
        raise CannotRun(f"{design.name}: {error}")


def ask(design, netlist, log, question, any_state=False):
    """Put one question to the solver. True: no counterexample (or no run); False: one; None: no answer."""
    free = "setattr -unset init w:*\n" if any_state else ""
    show = " ".join(f"-show {w}" for w in design.wires)
    text, error = yosys(f"read_rtlil {netlist}\ncd {design.room}\n{free}sat -set-assumes -timeout {LIMIT}"
                        f" -dump_vcd {log.with_suffix('.vcd')} {show} {question}\n", log)
    for line in text.splitlines():
        if "proven: SUCCESS" in line or "no model found" in line:
            log.with_suffix(".vcd").unlink(missing_ok=True)
            return True, ""
        if "proof failed" in line or "model found" in line:
            wrong = re.findall(r"\\(ok_\w+)\s+0\s+0\s+0\s", text + "\n")
            return False, ", ".join(sorted(set(wrong)))
    return None, error or "no answer"


def prove(design, netlist, log, claim):
    if claim == "invariant":
        return ask(design, netlist, log, "-prove invariant 1 -tempinduct -maxsteps 1")
    if claim.startswith("ok_then_"):  # over two clocks
        return ask(design, netlist, log, f"-prove {claim} 1 -tempinduct -maxsteps 1 -set invariant 1")
    lemma = f"-set {LEMMAS[claim]} 1 " if claim in LEMMAS else ""
    return ask(design, netlist, log, f"-seq 1 -set invariant 1 {lemma}-prove {claim} 1", any_state=True)


def jobs():
    """name, design, mutant or None, what to do with a netlist and a log -> passed, why not."""
    def proof(design, claim):
        def run(netlist, log):
            answer, said = prove(design, netlist, log, claim)
            return answer is True, (said if answer is None else f"{said or claim} fails, see {log.with_suffix('.vcd')}")
        return run

    def cover(design, wire):
        def run(netlist, log):
            answer, said = ask(design, netlist, log, f"-seq {design.depth} -set-at {design.depth} {wire} 1")
            return answer is False, said if answer is None else "never reached"
        return run

    def refuted(design, claim):
        def run(netlist, log):
            answer, said = prove(design, netlist, log, claim)
            return answer is False, said if answer is None else f"{claim} holds all the same"
        return run

    for d in DESIGNS:
        for claim in ["invariant"] + d.claims:
            yield f"{d.name}-{claim.removeprefix('ok_')}", d, None, proof(d, claim)
        for wire in d.covers:
            yield f"{d.name}-{wire.replace('_', '-', 1)}", d, None, cover(d, wire)
    for mutant in MUTANTS:
        d = next(d for d in DESIGNS if d.name == mutant[1])
        yield f"mutant-{mutant[0]}", d, mutant, refuted(d, mutant[2])


def mutate(mutant, out):
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(ROOT / "rtl", out, ignore=shutil.ignore_patterns("synth", "__pycache__"))
    file = out / mutant[3]
    file.write_text(file.read_text().replace(mutant[4], mutant[5]))
    return out


def check_mutants():
    """All of them, whichever are chosen: cheap, and the only look at them that `make test` takes."""
    for name, _, _, file, text, _ in MUTANTS:
        if (n := (ROOT / "rtl" / file).read_text().count(text)) != 1:
            raise CannotRun(f"mutant {name}: its text is {n} times in rtl/{file}")


def main(argv):
    options = {a for a in argv if a.startswith("--")}
    words = [a for a in argv if not a.startswith("--")]
    if options - {"--list", "--parse"} or not words:
        print("usage: formal/prove.py BUILD [--list|--parse] [PATTERN...]", file=sys.stderr)
        return 2
    build, patterns = Path(words[0]).resolve() / "formal", words[1:] or ["*"]
    todo = [j for j in jobs() if any(fnmatch.fnmatch(j[0], p) for p in patterns)]
    if not todo:
        print(f"formal/prove.py: no job matches {' '.join(patterns)}", file=sys.stderr)
        return 2
    if "--list" in options:
        print("\n".join(j[0] for j in todo))
        return 0
    check_mutants()
    build.mkdir(parents=True, exist_ok=True)
    os.nice(10)
    passed = failed = 0
    netlists = {}
    for name, design, mutant, run in todo:
        start = time.monotonic()
        if mutant:
            netlist = build / f"{name}.il"
            elaborate(design, mutate(mutant, build / f"{name}.mutated"), netlist)
        else:
            netlist = netlists.get(design.name)
            if not netlist:
                netlist = netlists[design.name] = build / f"{design.name}.il"
                elaborate(design, ROOT / "rtl", netlist)
        good, why = (True, "") if "--parse" in options else run(netlist, build / f"{name}.log")
        took = time.monotonic() - start
        print(f"ok {name} ({took:.0f} s)" if good else f"not ok {name}: {why} ({took:.0f} s)", flush=True)
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotRun as e:
        print(f"formal/prove.py: {e}", file=sys.stderr)
        sys.exit(2)
