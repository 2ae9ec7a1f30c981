#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generate the register headers and the register reference from rtl/dmt_regs.rdl.

  gen_regs.py            write rtl/dmt_regs.vh, cmodel/include/dmt/regs.h, docs/registers.md
  gen_regs.py --check    exit 1 and show the difference when one of them is not what the RDL yields
"""
import argparse
import difflib
import os
import sys
from pathlib import Path

from systemrdl import RDLCompileError, RDLCompiler
from systemrdl.node import RegfileNode, RegNode
from systemrdl.rdltypes import OnWriteType
from systemrdl.rdltypes.user_enum import UserEnumMeta

TOP = Path(__file__).resolve().parent.parent
RDL = "rtl/dmt_regs.rdl"
WIDTH = 110  # of a source line
BANNER = f"Generated from {RDL} by rtl/gen_regs.py (make regs). Do not edit."


class Enum:
    """A list of codes: prefix DMT_FOO_ and (member, value, description)."""

    def __init__(self, rdl_enum, width):
        self.name = rdl_enum.type_name.removesuffix("_e")
        self.prefix = f"DMT_{self.name.upper()}"
        # SZ_ only keeps the RDL names from starting with a digit.
        self.members = [(m.name.removeprefix("SZ_"), m.value, m.rdl_desc) for m in rdl_enum]
        self.width = width or max(1, max(v for _, v, _ in self.members).bit_length())


class Field:
    def __init__(self, node, prefix):
        self.name = node.inst_name
        self.macro = f"{prefix}_{node.inst_name}"
        self.lsb, self.msb, self.width = node.lsb, node.msb, node.width
        self.mask = ((1 << node.width) - 1) << node.lsb
        self.reset = node.get_property("reset") or 0
        self.desc = node.get_property("desc") or ""
        encode = node.get_property("encode")
        self.encode = encode.type_name if encode else None
        if node.get_property("onwrite") == OnWriteType.woclr:
            self.access = "write 1 to clear"
        else:
            self.access = {"rw": "read, write", "r": "read", "w": "write"}[node.get_property("sw").name]


class Reg:
    """A register; `prefix` names its fields, `macro` its offset inside the window."""

    def __init__(self, node, prefix, offset):
        self.name = node.inst_name
        self.title = node.get_property("name")
        self.desc = node.get_property("desc") or ""
        self.macro = f"{prefix}_{node.inst_name.upper()}"
        self.offset = offset
        self.fields = sorted((Field(f, self.macro) for f in node.fields()), key=lambda f: -f.lsb)
        self.reset = sum(f.reset << f.lsb for f in self.fields)


class Array:
    """Registers that a window repeats (the TEA registers)."""

    def __init__(self, node, prefix):
        self.name = node.inst_name
        self.macro = f"{prefix}_{node.inst_name.upper()}"
        self.offset, self.stride = node.raw_address_offset, node.array_stride
        self.count = node.array_dimensions[0]
        self.regs = [Reg(r, f"DMT_{node.inst_name.upper()}", r.raw_address_offset) for r in node.registers()]


class Window:
    def __init__(self, node):
        self.name = node.inst_name
        self.prefix = f"DMT_{node.inst_name}"
        self.base = node.raw_address_offset
        self.count = node.array_dimensions[0] if node.is_array else None
        self.stride = node.array_stride if node.is_array else None
        self.arrays, self.regs = [], []
        for child in node.children(unroll=False):
            if isinstance(child, RegfileNode):
                self.arrays.append(Array(child, self.prefix))
            elif isinstance(child, RegNode):
                self.regs.append(Reg(child, self.prefix, child.raw_address_offset))

    def all_regs(self):
        return [r for a in self.arrays for r in a.regs] + self.regs


class Map:
    def __init__(self, path):
        compiler = RDLCompiler()
        compiler.compile_file(str(path))
        top = compiler.elaborate().top
        self.title, self.desc = top.get_property("name"), top.get_property("desc")
        self.windows = [Window(n) for n in top.children(unroll=False)]
        widths = {f.encode: f.width for w in self.windows for r in w.all_regs() for f in r.fields if f.encode}
        # The namespace, not the fields, is asked for enumerations: some codes appear only on pins.
        declared = [entry[0] for entry in compiler.namespace.type_ns_stack[0].values()]
        self.enums = [Enum(e, widths.get(e.type_name)) for e in declared if isinstance(e, UserEnumMeta)]
        unknown = set(widths) - {e.name + "_e" for e in self.enums}
        if unknown:
            raise SystemExit(f"gen_regs: fields use enumerations that are not at the top of {RDL}: {unknown}")


def verilog(regs):
    out = ["// SPDX-License-Identifier: Apache-2.0", f"// {BANNER}",
           "`ifndef DMT_REGS_VH", "`define DMT_REGS_VH"]

    def define(name, value):
        out.append(f"`define {name:<38} {value}")

    for e in regs.enums:
        out += ["", f"// {e.name}"]
        for name, value, _ in e.members:
            define(f"{e.prefix}_{name}", f"{e.width}'d{value}")
    for w in regs.windows:
        out += ["", f"// window {w.name}: base on the CSR bus, offsets inside the window"]
        if w.count:
            define(f"{w.prefix}_BASE(k)", f"(14'h{w.base:04x} + 14'h{w.stride:04x} * (k))")
            define(f"{w.prefix}_N", w.count)
        else:
            define(f"{w.prefix}_BASE", f"14'h{w.base:04x}")
        for a in w.arrays:
            define(f"{a.macro}_N", a.count)
            define(f"{a.macro}_STRIDE", f"12'h{a.stride:03x}")
            for r in a.regs:
                define(f"{w.prefix}_{a.name.upper()}_{r.name.upper()}(i)",
                       f"(12'h{a.offset + r.offset:03x} + 12'h{a.stride:03x} * (i))")
        for r in w.regs:
            define(r.macro, f"12'h{r.offset:03x}")
        for r in w.all_regs():
            out += ["", f"// {r.macro}: {r.title}"]
            define(f"{r.macro}_RESET", f"64'h{r.reset:016x}")
            for f in r.fields:
                define(f"{f.macro}_LSB", f.lsb)
                define(f"{f.macro}_W", f.width)
                define(f"{f.macro}_MASK", f"64'h{f.mask:016x}")
    return out + ["", "`endif"]


def c_header(regs):
    out = ["/* SPDX-License-Identifier: Apache-2.0", f" * {BANNER}",
           " * Codes on the pins and the CSR map. X_LIST(X) expands X(member, value) for each code,",
           " * and DMT_<window>_REG_LIST(X) X(register, offset) for each register but the TEA registers;",
           " * _LSB, _W and _MASK are a field's position, width and mask in place, _RESET a register's",
           " * value after reset. */",
           "#ifndef DMT_REGS_H", "#define DMT_REGS_H", "", "#include <stdint.h>"]

    def define(name, value):
        out.append(f"#define {name:<38} {value}")

    for e in regs.enums:
        out += ["", f"enum dmt_{e.name} {{"]
        for name, value, desc in e.members:
            line = f"    {e.prefix}_{name} = {value}, /**< {desc} */"
            out += [line] if len(line) <= WIDTH else [f"    /** {desc} */", f"    {e.prefix}_{name} = {value},"]
        out += ["};", f"#define {e.prefix}_LIST(X) \\"]
        items = [f"    X({name}, {value})" for name, value, _ in e.members]
        out += [i + " \\" for i in items[:-1]] + [items[-1]]
    for w in regs.windows:
        out += ["", f"/* window {w.name}: base on the CSR bus, offsets inside the window, in bytes */"]
        if w.count:
            define(f"{w.prefix}_BASE(k)", f"(0x{w.base:04x}u + 0x{w.stride:04x}u * (k))")
            define(f"{w.prefix}_N", f"{w.count}u")
        else:
            define(f"{w.prefix}_BASE", f"0x{w.base:04x}u")
        for a in w.arrays:
            define(f"{a.macro}_N", f"{a.count}u")
            define(f"{a.macro}_STRIDE", f"0x{a.stride:03x}u")
            for r in a.regs:
                define(f"{w.prefix}_{a.name.upper()}_{r.name.upper()}(i)",
                       f"(0x{a.offset + r.offset:03x}u + 0x{a.stride:03x}u * (i))")
        for r in w.regs:
            define(r.macro, f"0x{r.offset:03x}u")
        out += [f"#define {w.prefix}_REG_LIST(X) \\"]
        out += [f"    X({r.name}, 0x{r.offset:03x}u) \\" for r in w.regs[:-1]]
        out += [f"    X({w.regs[-1].name}, 0x{w.regs[-1].offset:03x}u)"]
        for r in w.all_regs():
            out += ["", f"/* {r.macro}: {r.title} */"]
            define(f"{r.macro}_RESET", f"UINT64_C(0x{r.reset:016x})")
            for f in r.fields:
                define(f"{f.macro}_LSB", f.lsb)
                define(f"{f.macro}_W", f.width)
                define(f"{f.macro}_MASK", f"UINT64_C(0x{f.mask:016x})")
    return out + ["", "#endif"]


def markdown(regs):
    out = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", f"<!-- {BANNER} -->",
           f"# {regs.title}", "", regs.desc, "",
           "Bits that no field names read as zero. Names in C (`cmodel/include/dmt/regs.h`) and Verilog "
           "(`rtl/dmt_regs.vh`): `DMT_` + window + register for the offset, then `_` + field + `_LSB`, "
           "`_W`, `_MASK`; the fields of TEA registers begin with `DMT_TEA_WORD0` to `DMT_TEA_WORD3`.", "",
           "## Windows", "", "| address | window |", "|---|---|"]
    for w in regs.windows:
        for k in range(w.count or 1):
            name = f"{w.name}[{k}]" if w.count else w.name
            out.append(f"| 0x{w.base + k * (w.stride or 0):04X} | [{name}](#window-{w.name.lower()}) |")

    def cell(text):
        return text.replace("|", "\\|")

    def reg_table(w):
        out.extend(["| offset | register | what |", "|---|---|---|"])
        for a in w.arrays:
            for r in a.regs:
                name = f"{a.name.upper()}[i].{r.name.upper()}, i < {a.count}"
                out.append(f"| 0x{a.offset + r.offset:03X} + 0x{a.stride:02X}*i | {name} | {cell(r.title)} |")
        for r in w.regs:
            out.append(f"| 0x{r.offset:03X} | {r.name} | {cell(r.title)} |")
        out.append("")

    def reg_section(title, r):
        out.extend([f"### {title}", "", r.title + ".", ""])
        if r.desc:
            out.extend([r.desc, ""])
        out.extend(["| bits | field | access | reset | what |", "|---|---|---|---|---|"])
        for f in r.fields:
            bits = str(f.lsb) if f.width == 1 else f"{f.msb}:{f.lsb}"
            text = cell(f.desc)
            if f.encode:
                enum = f.encode.removesuffix("_e")
                text += f" ([{enum}](#{enum}))"
            reset = f"0x{f.reset:X}" if f.reset > 9 else str(f.reset)
            out.append(f"| {bits} | {f.name} | {f.access} | {reset} | {text} |")
        out.append("")

    for w in regs.windows:
        out += ["", f"## Window {w.name}", ""]
        reg_table(w)
        for a in w.arrays:
            for r in a.regs:
                reg_section(f"{a.name.upper()}[i].{r.name.upper()}", r)
        for r in w.regs:
            reg_section(f"{w.name}.{r.name}", r)
    out += ["## Codes", ""]
    for e in regs.enums:
        out += [f"### {e.name}", "", f"`{e.prefix}_*`, {e.width} bits.", ""]
        out += ["| value | name | meaning |", "|---|---|---|"]
        out += [f"| {value} | {name} | {cell(desc)} |" for name, value, desc in e.members] + [""]
    return out[:-1]


def defined_twice(lines):
    """Names that the Verilog header defines more than once: two things of the map would share a name."""
    names = [line.split()[1].split("(")[0] for line in lines if line.startswith("`define")]
    return sorted({n for n in names if names.count(n) > 1})


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true", help="compare, write nothing")
    check = args.parse_args().check
    try:
        regs = Map(TOP / RDL)
    except RDLCompileError as e:
        sys.exit(f"gen_regs: {RDL}: {e}")
    vh = verilog(regs)
    if twice := defined_twice(vh):
        sys.exit(f"gen_regs: {RDL}: names that clash in the headers: {', '.join(twice)}")
    stale = []
    for path, lines in (("rtl/dmt_regs.vh", vh), ("cmodel/include/dmt/regs.h", c_header(regs)),
                        ("docs/registers.md", markdown(regs))):
        text, file = "\n".join(lines) + "\n", TOP / path
        have = file.read_text() if file.exists() else ""
        if text == have:
            continue
        stale.append(path)
        if check:
            sys.stdout.writelines(difflib.unified_diff(have.splitlines(True), text.splitlines(True),
                                                       path, f"{path} (from {RDL})"))
        else:
            temporary = file.with_name(file.name + ".new")
            temporary.write_text(text)
            os.replace(temporary, file)
            print(f"wrote {path}")
    if check and stale:
        sys.exit(f"gen_regs: not what {RDL} yields: {', '.join(stale)} (run `make regs`)")
    if check:
        print(f"registers: the headers and docs/registers.md are what {RDL} yields")


if __name__ == "__main__":
    main()
