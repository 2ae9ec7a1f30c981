#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parameters and ports of dmt_mmu, from its source, as the tables of docs/datasheet.md:

  interface.py           print them
  interface.py --docs    write them into the page, between its markers
  interface.py --check   fail when the page says otherwise

Ranges are those of rtl/configs.py, configurations those of rtl/configs.json; ports must be
the pins of cmodel/include/dmt/pins.def, which states the widths of the widest instance.
"""
import re
import sys
from pathlib import Path

import configs

TOP = Path(__file__).resolve().parent.parent
SOURCE, PINS, PAGE = "rtl/dmt_mmu.v", "cmodel/include/dmt/pins.def", "docs/datasheet.md"
WIDEST = {"1": 1, "TAG_W": 16, "PA_W": 52, "ID_W": 8}


def fail(text):
    sys.exit(f"interface.py: {text}")


def header():
    """The module's header as lines: parameters, ports."""
    text = (TOP / SOURCE).read_text()
    m = re.search(r"^module dmt_mmu #\(\n(.*?)\n\) \(\n(.*?)\n\);", text, re.S | re.M)
    if not m:
        fail(f"{SOURCE}: no header 'module dmt_mmu #( .. ) ( .. );'")
    return m[1].splitlines(), m[2].splitlines()


def parameters(lines):
    """(name, default, what), with the comment above; neighbours share one."""
    comment, found, ranges = "", [], configs.RANGES
    for line in lines:
        if m := re.match(r"\s*// (.*)", line):
            comment = m[1]
        elif m := re.match(r"\s*parameter (\w+)\s*=\s*([^,]*),?$", line):
            if m[1] in ranges:
                found.append((m[1], m[2].strip(), re.sub(r", \d+\.\.\d+", "", comment)))
            elif "not to be set" not in comment:
                fail(f"{SOURCE}: parameter {m[1]} has no range in rtl/configs.py")
    if {f[0] for f in found} != set(ranges):
        fail(f"{SOURCE}: parameters and rtl/configs.py differ: "
             f"{', '.join(sorted(set(ranges) ^ {f[0] for f in found}))}")
    return found


def parameter_table(found):
    named = configs.load()
    out = ["| parameter | range | default | " + " | ".join(f"*{n}*" for n in named) + " | what |",
           "|---|---|--:|" + "--:|" * len(named) + "---|"]
    for name, default, what in found:
        low, high = configs.RANGES[name]
        if "default" in named and str(named["default"][name]) != default:
            fail(f"{SOURCE}: {name} is {default}, and {named['default'][name]} in the configuration default")
        values = " | ".join(str(c[name]) for c in named.values())
        out.append(f"| {name} | {low} to {high} | {default} | {values} | {what} |")
    return out


def width_of(text):
    """Bits of a range such as [PA_W-1:0], for the reader and of the widest instance."""
    if not text:
        return "1", 1
    m = re.fullmatch(r"\[(\w+)(-1)?:0\]", text)
    if not m:
        fail(f"{SOURCE}: width {text}: expected [N:0] or [PARAMETER-1:0]")
    bits = m[1] if m[2] else str(int(m[1]) + 1)
    return bits, WIDEST[bits] if bits in WIDEST else int(bits)


def port_table(lines):
    pins = {name + ("_i" if way == "IN" else "_o"): int(w)
            for way, name, w in re.findall(r"^PIN_(IN|OUT) ?\((\w+), (\d+)\)", (TOP / PINS).read_text(), re.M)}
    seen, out, row = set(), ["| port | direction | bits |", "|---|---|--:|"], None
    for line in lines:
        if m := re.match(r"\s*// (.*)", line):
            out.append(f"| **{m[1]}** | | |")
            continue
        m = re.match(r"\s*(input|output)\s+wire\s*(\[[^\]]*\])?\s*(\w+),?(?:\s*// (.*))?$", line)
        if not m:
            if line.strip():
                fail(f"{SOURCE}: port '{line.strip()}': expected 'input wire [range] name,'")
            continue
        bits, widest = width_of(m[2])
        if m[3] not in ("clk_i", "rst_i") and pins.get(m[3]) != widest:
            fail(f"{m[3]}: {widest} bits in the widest instance, {pins.get(m[3])} in {PINS}")
        seen.add(m[3])
        note = f" ({m[4]})" if m[4] else ""
        row = f"| {m[3]}{note} | {m[1]} | {bits} |"
        out.append(row)
    if missing := set(pins) - seen:
        fail(f"{SOURCE}: no port for {', '.join(sorted(missing))} of {PINS}")
    return out


def main():
    if sys.argv[1:] not in ([], ["--docs"], ["--check"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    params, ports = header()
    tables = {"parameters": parameter_table(parameters(params)), "ports": port_table(ports)}
    page = TOP / PAGE
    if sys.argv[1:] == []:
        print("\n".join(tables["parameters"] + [""] + tables["ports"]))
        return 0
    old = new = page.read_text()
    for name, lines in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        if new.count(begin) != 1 or new.count(end) != 1 or new.index(begin) > new.index(end):
            fail(f"{PAGE}: expected one line '{begin.strip()}' and after it one line '{end.strip()}'")
        new = new[:new.index(begin) + len(begin)] + "\n".join(lines) + "\n" + new[new.index(end):]
    if sys.argv[1:] == ["--check"]:
        if new != old:
            fail(f"{PAGE}: parameters or ports are not those of {SOURCE}; rtl/interface.py --docs writes them")
    elif new != old:
        part = page.with_name(page.name + ".new")
        part.write_text(new)
        part.replace(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
