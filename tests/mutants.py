#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutation campaign: is every bug of tests/mutants.toml caught?

Each worker has a copy of the tree under BUILD/mutants. A mutant is one text
replacement there; make rebuilds what depends on it (of the RTL the mutant's
configuration only: its `config`, else the default), then random lockstep runs
look for it, and when those find nothing, the test suites (with the RTL of the
default and one more configuration). The first that fails has caught the mutant.
The same runs on the unchanged tree must find nothing. Bugs of software, of the SystemC
module and of the evaluator are looked for by their own tests alone. What was found is kept
in BUILD/mutants.json and used again while the tree stays the same.

Exit status: 0 all caught, 1 some survived, 2 could not run.
"""
import argparse
import concurrent.futures
import fnmatch
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = "tests/mutants.toml"
REPORT = "docs/verification.md"
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
SOURCES = ["Makefile", "rtl", "cmodel", "tb", "sim", "tests"]
# What is taken over from a build. Objects have the name of their build directory in
# their dependencies, so they are of use only when that is the same.
ANY_BUILD = ["configs.mk", "configs.h", "setup", "verilated"]
SAME_BUILD = ["flags", "obj", "libdmt.a", "dmt", "tests"]
CONFIGS = "rtl/configs.json"
CONFIG = "default"
# Configurations that suites run on besides; others stay as built from unchanged RTL, to save time.
SUITE_CONFIGS = {"uncached"}
# Another simulator on the same sources has the same bug, and would differ from the kept models only.
BLIND = {"test_icarus"}
SEEDS = range(1, 11)
CYCLES = 300_000
COSIM_LIMIT, SUITE_LIMIT, MAKE_LIMIT = 120, 600, 1800  # seconds
KEYS = {"name", "file", "what", "old", "new"}
OPTIONAL = {"config"}
GROUPS = [("RTL", ("rtl/",)), ("cycle model", ("cmodel/src/cycle",)),
          ("architectural model and rules", ("cmodel/src/arch.c", "cmodel/src/rules.c")),
          ("software", ("cmodel/src/space", "cmodel/src/tea_manager", "cmodel/src/cluster")),
          ("SystemC module", ("tb/systemc/",)), ("evaluator", ("sim/eval/",))]
SOFTWARE, TLM, EVAL = (name for name, _ in GROUPS[-3:])
OWN_TESTS = (SOFTWARE, TLM, EVAL)  # no RTL changes, and no random runs
TLM_TEST = "build/tests/systemc"
# As the Makefile's, as far as they decide whether something compiles.
C_FLAGS = ["-std=c11", "-D_DEFAULT_SOURCE", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
C_INCLUDES = [".", "cmodel/include", "cmodel/src", "tb", "sim"]
# The suite that is most about a file first: (beginnings of file names, suite). The others follow, the
# quick ones, at the end of the list, first.
SUITES = {SOFTWARE: [((), "test_scenario"), ((), "test_os"), (("cluster",), "test_tea"), (("",), "test_space")],
          EVAL: [(("workload",), "test_workloads"), (("rtl",), "test_eval_rtl"), (("system",), "test_eval_system"),
                 (("formula", "result", "summary", "paper"), "test_eval_result"),
                 (("design", "elastic", "tables"), "test_eval_designs"), (("",), "test_eval_machine")]}


class CannotRun(Exception):
    """The campaign itself has a problem; nothing can be said about mutants."""


# ------------------------------------------------------------------- the list

def group_of(mutant):
    for name, prefixes in GROUPS:
        if mutant["file"].startswith(prefixes):
            return name
    return None


def own_suites(group, file=""):
    """The group's, in the order in which they are to look for a bug of this file."""
    own = [s for begins, s in SUITES.get(group, []) if Path(file).name.startswith(begins)]
    return own + [s for _, s in reversed(SUITES.get(group, [])) if s not in own]


def config_of(mutant):
    """The configuration that random runs look for it in."""
    return mutant.get("config", CONFIG)


def load(root):
    """The list, checked against the sources under root."""
    try:
        mutants = tomllib.loads((root / LIST).read_text())["mutant"]
    except (tomllib.TOMLDecodeError, KeyError) as e:
        raise CannotRun(f"{LIST}: {e}") from e
    problems, names = [], set()
    configs = json.loads((root / CONFIGS).read_text())
    for number, m in enumerate(mutants, 1):
        who = f"{LIST}: mutant {number} ({m.get('name', 'no name')})"
        if set(m) - OPTIONAL != KEYS:
            problems.append(f"{who}: expected the keys {', '.join(sorted(KEYS))} and perhaps "
                            f"{', '.join(sorted(OPTIONAL))}")
            continue
        if config_of(m) not in configs:
            problems.append(f"{who}: config {config_of(m)} is none of {CONFIGS}: {', '.join(configs)}")
        if m["name"] in names:
            problems.append(f"{who}: name used twice")
        names.add(m["name"])
        if not group_of(m):
            problems.append(f"{who}: {m['file']} belongs to none of {', '.join(g for g, _ in GROUPS)}")
        elif not (root / m["file"]).is_file():
            problems.append(f"{who}: {m['file']} does not exist")
        elif (found := (root / m["file"]).read_text().count(m["old"])) != 1:
            problems.append(f"{who}: old text occurs {found} times in {m['file']}, expected once")
        elif m["old"] == m["new"]:
            problems.append(f"{who}: changes nothing")
    if problems:
        raise CannotRun("\n".join(problems))
    return mutants


def mutated(text, mutant):
    return text.replace(mutant["old"], mutant["new"])


def compile_error(mutant, build):
    """What a compiler says against a mutant in Verilog or C; nothing when it compiles, or is in another language."""
    file = Path(mutant["file"])
    text = mutated((ROOT / file).read_text(), mutant)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / file.name).write_text(text)
        if file.parts[0] == "rtl":
            files = [f for f in (ROOT / "rtl/dmt.f").read_text().split() if f.startswith("rtl/")]
            params = json.loads((ROOT / CONFIGS).read_text())[config_of(mutant)]
            args = ["iverilog", "-g2005", "-t", "null", f"-I{scratch}", "-Irtl", "-s", "dmt_mmu",
                    *[f"-Pdmt_mmu.{k}={v}" for k, v in params.items()],
                    *[f"{scratch}/{file.name}" if f == mutant["file"] else f for f in files]]
        elif file.suffix == ".c":
            args = ["gcc", *C_FLAGS, *[f"-I{i}" for i in (*C_INCLUDES, build, file.parent)], f"{scratch}/{file.name}"]
        else:
            return ""
        done = subprocess.run(args, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.stdout.replace(f"{scratch}/", "") if done.returncode else ""


def check_compiled(mutants, build, jobs):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        said = list(pool.map(lambda m: compile_error(m, build), mutants))
    problems = [f"{LIST}: mutant {m['name']} does not compile: {s.splitlines()[0]}" for m, s in zip(mutants, said) if s]
    if problems:
        raise CannotRun("\n".join(problems))


# ------------------------------------------------------------------- commands

children, children_lock = set(), threading.Lock()


def command(args, cwd, limit, log):
    """Run in a process group of its own. Exit status (negative: signal), or None after the limit."""
    of_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    env = {k: v for k, v in os.environ.items() if k not in of_make}
    with open(log, "w") as out:
        with subprocess.Popen(args, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, start_new_session=True) as child:
            with children_lock:
                children.add(child)
            try:
                return child.wait(limit)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                return None
            finally:
                with children_lock:
                    children.discard(child)


def stop_children():
    with children_lock:
        for child in children:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def tail(log, lines=15):
    return "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-lines:])


# ------------------------------------------------------------------- one tree

class Tree:
    """A copy of the project with a build of its own."""

    def __init__(self, path):
        self.path = path
        self.log = path / "log"
        self.kept = set()  # configurations that may be of other RTL, however new they are

    def make(self, targets, keep=()):
        """Bring targets up to date; the RTL of the configurations to keep counts as such."""
        for config in keep:
            for product in (f"verilated/{config}/model.a", f"obj/tb/rtl_dut.{config}.o"):
                (self.path / "build" / product).touch()
        for config in self.kept - set(keep):
            os.utime(self.path / f"build/verilated/{config}/model.a", (0, 0))
        self.kept = set(keep)
        code = command(["make", "JOBS=1", "BUILD=build", *targets], self.path, MAKE_LIMIT, self.log)
        if code != 0:
            raise CannotRun(f"{self.path}: make {' '.join(targets)} failed:\n{tail(self.log)}")

    def suites(self):
        """Names of the Criterion binaries that could see a bug."""
        return sorted({c.stem for c in (self.path / "tests").glob("test_*.c")} - BLIND)

    def cosim(self, seed, config):
        """None when nothing was found, else (who, what, clock)."""
        code = command(["build/dmt", "cosim", "--config", config, "--seed", str(seed),
                        "--cycles", str(CYCLES), "--waves-dir="], self.path, COSIM_LIMIT, self.log)
        if code == 0:
            return None
        text = self.log.read_text(errors="replace")
        place = re.search(r"^divergence: .* cycle (\d+) ", text, re.M)
        signal_name = re.search(r"^ *signal (\S+): expected \S+ got \S+ \((.*)\)$", text, re.M)
        if code == 1 and place and signal_name:
            by_pins = signal_name[2] == "the two models differ"
            return ("lockstep" if by_pins else "judge",
                    signal_name[1] if by_pins else f"{signal_name[1]}, {signal_name[2]}", int(place[1]))
        if code is None:
            return ("time limit", f"the run did not end within {COSIM_LIMIT} s", None)
        if code < 0:
            return ("crash", f"signal {-code}", None)
        raise CannotRun(f"{self.path}: dmt cosim --seed {seed} ended with {code}:\n{tail(self.log)}")

    def suite(self, name):
        """None when all tests pass, else (who, what, None)."""
        tap = self.path / "tap"
        tap.unlink(missing_ok=True)
        code = command([f"build/tests/{name}", f"--tap={tap}"], self.path, SUITE_LIMIT, self.log)
        if code == 0:
            return None
        if code is None:
            return (name, f"did not end within {SUITE_LIMIT} s", None)
        said = tap.read_text(errors="replace") if tap.exists() else ""
        failed = re.search(r"^not ok - (.*)$", said, re.M)
        return (name, failed[1].strip() if failed else f"ended with {code}", None)

    def tlm(self):
        """Like suite(), of the SystemC module."""
        self.make([TLM_TEST])
        code = command([TLM_TEST], self.path, SUITE_LIMIT, self.log)
        if code == 0:
            return None
        if code is None:
            return ("systemc", f"did not end within {SUITE_LIMIT} s", None, None)
        failed = re.search(r"^not ok (.*)$", self.log.read_text(errors="replace"), re.M)
        return ("systemc", failed[1] if failed else f"ended with {code}", None, None)

    def own_tests(self, mutant):
        """Like suite(), of the mutant's group: its suites one after the other, those first that are about the file."""
        group = group_of(mutant)
        if group == TLM:
            return self.tlm()
        for name in own_suites(group, mutant["file"]):
            self.make([f"build/tests/{name}"])
            found = self.suite(name)
            if found:
                return *found, None
        return None

    def hunt(self, suites, config):
        """Look for a bug. (who, what, seed, clocks until then) or None."""
        for n, seed in enumerate(SEEDS):
            found = self.cosim(seed, config)
            if found:
                who, what, clock = found
                return who, what, seed, None if clock is None else n * CYCLES + clock
        if suites:
            self.make([f"build/tests/{s}" for s in suites], configs_but(config, CONFIG, *SUITE_CONFIGS))
        for name in suites:
            found = self.suite(name)
            if found:
                return found[0], found[1], None, None
        return None


def prepare(build, work):
    """The unchanged tree as a copy that later edits of the sources do not reach."""
    base = Tree(work / "base")
    shutil.rmtree(work, ignore_errors=True)
    (base.path / "build").mkdir(parents=True)
    for name in SOURCES:
        copy(ROOT / name, base.path / name)
    # The RTL of a mutant runs for a few seconds: what counts is that it compiles fast.
    makefile = base.path / "Makefile"
    makefile.write_text(makefile.read_text().replace("OPT_FAST=-O2", "OPT_FAST=-O0"))
    for name in ANY_BUILD + (SAME_BUILD if build == ROOT / "build" else []):
        if (build / name).exists():
            copy(build / name, base.path / "build" / name)
    return base


def copy(src, dst):
    if src.is_dir():
        shutil.copytree(src, dst, symlinks=True)  # keeps times, which make goes by
    else:
        shutil.copy2(src, dst)


# ------------------------------------------------------------------- campaign

class Store:
    """What was found in the tree as it is now, so that a campaign can be interrupted and goes on where it was."""

    def __init__(self, path):
        digest = hashlib.sha256()
        for f in sorted(f for top in SOURCES for f in (ROOT / top, *(ROOT / top).rglob("*")) if f.is_file()):
            if f != ROOT / LIST and f.suffix != ".pyc":
                digest.update(f"{f.relative_to(ROOT)} {f.stat().st_size} ".encode() + f.read_bytes())
        self.path, self.tree, self.found = path, digest.hexdigest(), {}
        try:
            kept = json.loads(path.read_text())
            if kept["tree"] == self.tree:
                self.found = kept["found"]
        except (OSError, ValueError, KeyError):
            pass  # nothing that is of use

    @staticmethod
    def key(mutant, with_suites):
        return hashlib.sha256(json.dumps([mutant[k] for k in ("file", "old", "new")]
                                         + [config_of(mutant), with_suites]).encode()).hexdigest()

    def put(self, key, found):
        self.found[key] = found
        write_whole(self.path, json.dumps({"tree": self.tree, "found": self.found}))


def write_whole(path, text):
    """The file as it was, or all of the new text."""
    part = path.with_name(path.name + ".new")
    part.write_text(text)
    part.replace(path)


def configs_but(*needed):
    """Configurations that runs do not need."""
    return [c for c in json.loads((ROOT / CONFIGS).read_text()) if c not in needed]


def attempt(trees, mutant, suites):
    """Put one mutant into a free tree and hunt it: (result of hunt, seconds)."""
    of = trees[group_of(mutant) in OWN_TESTS]
    tree = of.get()
    source = tree.path / mutant["file"]
    text = source.read_text()
    config = config_of(mutant)
    start = time.monotonic()
    try:
        source.write_text(mutated(text, mutant))
        if group_of(mutant) in OWN_TESTS:
            return tree.own_tests(mutant), time.monotonic() - start
        tree.make(["dmt"], configs_but(config))
        return tree.hunt(suites, config), time.monotonic() - start
    except CannotRun as e:
        raise CannotRun(f"mutant {mutant['name']}: {e}") from e
    finally:
        source.write_text(text)  # with a new time: the next make rebuilds it
        of.put(tree)


def campaign(mutants, build, jobs, with_suites):
    work, store = build / "mutants", Store(build / "mutants.json")
    results = {m["name"]: store.found[key] for m in mutants if (key := store.key(m, with_suites)) in store.found}
    total, mutants = len(mutants), [m for m in mutants if m["name"] not in results]
    if results:
        print(f"mutants: {len(results)} of {total} are known from before ({store.path})", flush=True)
    if not mutants:
        return results
    print(f"mutants: building the unchanged tree in {work}/base", flush=True)
    base = prepare(build, work)
    walkers = [m for m in mutants if group_of(m) not in OWN_TESTS]
    others = [m for m in mutants if group_of(m) in OWN_TESTS]
    groups = {group_of(m) for m in others}
    own = [TLM_TEST] * (TLM in groups) + [f"build/tests/{s}" for g in sorted(groups) for s in own_suites(g)]
    configs = sorted({config_of(m) for m in walkers})
    suites = base.suites() if with_suites and walkers else []
    base.make(["build/setup/base", "build/setup/test", *["dmt"] * bool(walkers), *[f"build/tests/{s}" for s in suites],
               *own])
    check_compiled(mutants, base.path / "build", jobs)
    checks = [f"{len(SEEDS)} runs of {CYCLES} clocks of {c}" for c in configs] + suites
    print(f"mutants: it must pass {', '.join(checks + own)}", flush=True)

    def must_pass(found):
        if found:
            raise CannotRun(f"the unchanged tree already fails, so nothing can be said: {found[0]}: {found[1]}\n"
                            + tail(base.log, 40))

    for config in configs:
        must_pass(base.hunt(suites if config == configs[-1] else [], config))
    for m in {group_of(m): m for m in others}.values():
        must_pass(base.own_tests(m))
    # These have trees of their own, whose RTL stays whole in every configuration.
    trees = {True: queue.Queue(), False: queue.Queue()}
    for of, name, n in ((True, "whole", len(others)), (False, "worker", len(walkers))):
        for i in range(min(jobs, n)):
            copy(base.path, work / f"{name}{i}")
            trees[of].put(Tree(work / f"{name}{i}"))

    # Neighbours in the list touch the same files, which saves rebuilding.
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        pending = {pool.submit(attempt, trees, m, suites): m for m in mutants}
        try:
            for done in concurrent.futures.as_completed(pending):
                m, (found, seconds) = pending[done], done.result()
                results[m["name"]] = found
                store.put(store.key(m, with_suites), found)
                print(f"{len(results):4}/{total}  {m['name']:<26} {describe(found)}"
                      f"  ({seconds:.0f} s)", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_children()
            raise
    return results


def keep_one(mutant, build):
    """A tree with one mutant in it and its command built, to debug as one would an unknown bug."""
    print(f"mutants: putting {mutant['name']} into a copy of the tree and building it", flush=True)
    tree = prepare(build, build / "mutants" / mutant["name"])
    source = tree.path / mutant["file"]
    source.write_text(mutated(source.read_text(), mutant))
    tree.make(["dmt"], configs_but(config_of(mutant)))
    print(f"{os.path.relpath(tree.path)}")


def describe(found):
    if not found:
        return "SURVIVED"
    who, what, seed, clocks = found
    after = "" if clocks is None else f" after {clocks:,} clocks"
    return f"{who}: {what}" + (f" (seed {seed}){after}" if seed is not None else "")


INTRO = (f"Random runs: seeds {SEEDS[0]} to {SEEDS[-1]}, {CYCLES:,} clocks each, of the {CONFIG} configuration "
         "or the one that is named. Clocks are counted over all runs until the bug showed.")


def table(mutants, results):
    """Each group's part, by name."""
    parts = {}
    for group, _ in GROUPS:
        mine = [m for m in mutants if group_of(m) == group and m["name"] in results]
        if not mine:
            continue
        caught = sum(1 for m in mine if results[m["name"]])
        lines = [f"**{group}: {caught} of {len(mine)} caught**", "",
                 "| bug | file | caught by | at | clocks |", "|---|---|---|---|---:|"]
        for m in mine:
            who, what, seed, clocks = results[m["name"]] or ("**survived**", "", None, None)
            at = what.replace("|", "\\|") + (f", seed {seed}" if seed is not None else "")
            bug = m["what"].replace("|", "\\|") + (f" ({m['config']})" if "config" in m else "")
            after = "" if clocks is None else f"{clocks:,}"
            lines.append(f"| {bug} | {Path(m['file']).name} | {who} | {at} | {after} |")
        parts[group] = "\n".join(lines)
    return parts


def together(parts):
    return "\n\n".join([INTRO, *(parts[group] for group, _ in GROUPS if group in parts)])


def write_report(path, parts):
    """Put the parts in place of those that were there; parts of other groups stay."""
    old = path.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise CannotRun(f"{path}: expected one line '{BEGIN}' and after it one line '{END}'")
    there = re.findall(r"^(\*\*(.*): \d+ of \d+ caught\*\*\n\n(?:\|.*\n)+)", old[old.index(BEGIN):old.index(END)], re.M)
    text = together({group: part.rstrip() for part, group in there} | parts)
    new = old[:old.index(BEGIN) + len(BEGIN)] + "\n" + text.rstrip() + "\n" + old[old.index(END):]
    write_whole(path, new)


def main():
    p = argparse.ArgumentParser(prog="tests/mutants.sh", description=__doc__.split("\n\n")[1],
                                epilog="Example: tests/mutants.sh build --only 'match-*' --jobs 2")
    p.add_argument("build", nargs="?", default="build", help="build directory (default: build)")
    p.add_argument("--check", action="store_true", help="only check that the list fits the sources")
    p.add_argument("--compile", action="store_true", help="only check that, and that those in Verilog and C compile")
    p.add_argument("--only", action="append", metavar="PATTERN",
                   help="only mutants whose name or file matches")
    p.add_argument("--group", choices=[g for g, _ in GROUPS], help="only mutants of this group")
    p.add_argument("--jobs", type=int, default=os.cpu_count(), help="trees at a time (default: processors)")
    p.add_argument("--no-suites", action="store_true", help="random runs only")
    p.add_argument("--keep", metavar="NAME", help="look for nothing: leave a tree with this mutant, built, to debug")
    p.add_argument("--docs", action="store_true", help=f"write the table into {REPORT} (whole list or group only)")
    a = p.parse_args()
    if a.keep and (a.only or a.group or a.no_suites or a.docs or a.check or a.compile):
        p.error("--keep goes with no other option")
    if a.docs and (a.only or a.no_suites):
        p.error("--docs needs the whole list, or a whole group, and all suites")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        mutants = load(ROOT)
        if a.compile:
            check_compiled(mutants, (ROOT / a.build).resolve(), max(1, a.jobs))
        if a.check or a.compile:
            print(f"{len(mutants)} mutants fit the sources")
            return 0
        if a.group:
            mutants = [m for m in mutants if group_of(m) == a.group]
        if a.only:
            mutants = [m for m in mutants
                       if any(fnmatch.fnmatch(m["name"], o) or fnmatch.fnmatch(m["file"], o) for o in a.only)]
            if not mutants:
                raise CannotRun(f"--only {' '.join(a.only)}: no such mutant")
        build = (ROOT / a.build).resolve()
        if a.keep:
            mutants = [m for m in mutants if m["name"] == a.keep]
            if not mutants:
                raise CannotRun(f"--keep {a.keep}: no such mutant")
            keep_one(mutants[0], build)
            return 0
        start = time.monotonic()
        results = campaign(mutants, build, max(1, a.jobs), not a.no_suites)
        parts = table(mutants, results)
        (build / "mutants").mkdir(exist_ok=True)
        (build / "mutants" / "report.md").write_text(together(parts) + "\n")
        if a.docs:
            write_report(ROOT / REPORT, parts)
    except CannotRun as e:
        print(f"mutants: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    survivors = [m for m in mutants if not results[m["name"]]]
    for m in survivors:
        print(f"survivor: {m['name']} ({m['file']}): {m['what']}")
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants caught "
          f"in {time.monotonic() - start:.0f} s ({build / 'mutants' / 'report.md'})")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
