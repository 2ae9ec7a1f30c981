#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Other people's flows. Runs every block of docs/flows.md and looks for what it says it prints; then what
# an installation must be, and that files and version are stated alike everywhere.
# Prints "ok NAME" or "not ok NAME" a check.
set -u
cd "$(dirname "$0")/.."
given=${BUILD:-build} # make is told the same as ever: another path for the same place would build everything anew
BUILD=$given
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
export BUILD SIM_BUILD=$BUILD/cocotb
top=$PWD python=$BUILD/venv/bin/python status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset MAKEFLAGS MAKELEVEL MFLAGS

check() { # NAME COMMAND...: passes when the command succeeds
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "ok $name"
    else
        echo "not ok $name"
        tail -n 40 <<<"$said" | sed 's/^/    /'
        status=1
    fi
}

make -s BUILD="$given" venv || { echo "not ok Python tools from PyPI"; exit 1; }

# ---------------------------------------------------------------- docs/flows.md, block by block
# $work/N.sh is the N-th block of commands, $work/N.expect what it must print; N.name the heading above it.
awk -v work="$work" '
    /^## /       { heading = substr($0, 4) }
    /^```c$/    { out = work "/translate.c"; next }
    /^```sh$/   { out = work "/" ++n ".sh"; print heading > (work "/" n ".name"); printf "" > (work "/" n ".expect"); next }
    /^```/      { if (out) close(out); out = ""; next }
    out && sub(/^# -> /, "") { print > (work "/" n ".expect"); next }
    out          { print > out }
' docs/flows.md

block() { # N
    local out expected code=0
    # Places that a reader may choose: the build folder, and where translate.c was written.
    sed "s,\$PWD/build/,$BUILD/,g; s,\$PWD/build\([ \"]\),$BUILD\1,g; s,\([ =]\)build/,\1$BUILD/,g
         s,^build/,$BUILD/,; s,^make ,make BUILD=$given JOBS=1 ,; s, translate\.c , $work/translate.c ," \
        "$work/$1.sh" >"$work/run.sh"
    TMPDIR=$work bash -e "$work/run.sh" >"$work/out" 2>&1 </dev/null || code=$?
    cat "$work/out"
    while read -r expected; do
        grep -qF -- "$expected" "$work/out" || { echo "missing in the output: $expected"; code=1; }
    done <"$work/$1.expect"
    return $code
}

rm -rf "$BUILD/fusesoc" # what is up to date would print nothing
blocks=$(ls "$work" | grep -c '\.sh$')
[ "$blocks" -ge 6 ] || { echo "not ok docs/flows.md has its blocks of commands"; status=1; }
for ((i = 1; i <= blocks; i++)); do
    check "docs/flows.md: $(cat "$work/$i.name"), commands $i" block "$i"
done

# ---------------------------------------------------------------- stated alike everywhere
core_file() {
    "$python" - <<'PY'
import json, re, sys
import yaml
core = yaml.safe_load(open("opendmt.core").read().split("\n", 1)[1])
files = [f if isinstance(f, str) else next(iter(f)) for f in core["filesets"]["rtl"]["files"]]
listed = re.findall(r"^rtl/\S+", open("rtl/dmt.f").read(), re.M)
headers = {"rtl/" + h for f in listed for h in re.findall(r'`include "(\S+)"', open(f).read())}
bad = [f"files: {sorted(set(files) ^ (set(listed) | headers))}"] if set(files) != set(listed) | headers else []
default = json.load(open("rtl/configs.json"))["default"]
have = {name: p["default"] for name, p in core["parameters"].items()}
module = open("rtl/dmt_mmu.v").read().split(") (", 1)[0]
own = {n: int(v) for n, v in re.findall(r"parameter (\w+) += (\d+)", module)}
if not have == default == own:
    bad.append(f"parameters: core {have}, rtl/configs.json {default}, rtl/dmt_mmu.v {own}")
for name, target in core["targets"].items():
    if name != "default" and sorted(target["parameters"]) != sorted(default):
        bad.append(f"target {name} does not take all parameters")
header = open("cmodel/include/dmt/api.h").read()
version = ".".join(re.findall(r"define DMT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))
if core["name"] != f"opendmt:ip:dmt_mmu:{version}":
    bad.append(f"name {core['name']}, version in dmt/api.h is {version}")
sys.exit("opendmt.core: " + "; ".join(bad) if bad else 0)
PY
}

# What is unreleased has a version that no release has; a release's version is the newest in the list.
changelog() {
    "$python" - "$1" <<'PY'
import re, sys
version = tuple(map(int, sys.argv[1].split(".")))
parts = re.split(r"^## \[(.+?)\].*$", open("CHANGELOG.md").read(), flags=re.M)[1:]
sections = dict(zip(parts[::2], parts[1::2]))
released = [tuple(map(int, name.split("."))) for name in sections if name != "Unreleased"]
pending = sections.get("Unreleased", "").strip()
newest = max(released, default=(0, 0, 0))
if newest > version or (newest == version) == bool(pending):
    sys.exit(f"CHANGELOG.md: newest release {newest}, unreleased changes: {bool(pending)}, but dmt/api.h says {version}")
PY
}

version=$(sed -nE 's/^.define DMT_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' cmodel/include/dmt/api.h | paste -sd.)
unpinned() { "$BUILD/venv/bin/pip" freeze --disable-pip-version-check | grep -vxF -f <(grep == tests/requirements.txt); }
pinned() { ! unpinned; }

check "every Python package is pinned" pinned
check "opendmt.core has the files, parameters and version of the RTL" core_file
check "CHANGELOG.md and version agree" changelog "$version"

# ---------------------------------------------------------------- an installation
stage=$work/stage prefix=$work/stage/opt/dmt
make -s BUILD="$given" JOBS=1 install DESTDIR="$stage" PREFIX=/opt/dmt >"$work/install" 2>&1 || cat "$work/install"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage
flags() { pkg-config "$@" dmt; }

same_version() {
    [ "$(flags --modversion)" = "$version" ] && [ "$("$prefix/bin/dmt" --version)" = "dmt $version" ] &&
        [ "$(readlink "$prefix/lib/libdmt.so.${version%%.*}")" = "libdmt.so.$version" ] &&
        objdump -p "$prefix/lib/libdmt.so" | grep -q "SONAME *libdmt.so.${version%%.*}$"
}

# The functions that headers declare, no more and no fewer, in both libraries.
exported() {
    local lib=$1
    shift
    printf '#include <dmt/%s>\n' $(cd "$prefix/include/dmt" && ls ./*.h) >"$work/all.c"
    gcc -E $(flags --cflags) "$work/all.c" | grep -oE '\bdmt_[a-z0-9_]+\(' | tr -d '(' | sort -u >"$work/declared"
    nm "$@" --defined-only "$prefix/lib/$lib" | awk 'NF == 3 { print $3 }' | sort >"$work/defined"
    [ -s "$work/declared" ] && diff "$work/declared" "$work/defined"
}

dpi_exported() { ! nm -D --defined-only "$prefix/lib/libdmt_dpi.so" | grep -v ' dmt_dpi_'; }

# As Verilator declares what the package imports, so C must.
dpi_prototypes() {
    echo '#include "Vdmt_dpi_tb__Dpi.h"
extern "C" {
#include "tb/dpi/dmt_dpi.h"
}' | g++ -std=c++17 -x c++ -fsyntax-only -I"$BUILD/dpi" -I. -I"$(verilator --getenv VERILATOR_ROOT)/include/vltstd" -
}

# The bench of the page with the library that sanitizers watch.
dpi_sanitized() {
    make -s BUILD="$given" JOBS=1 SAN=1 dpi &&
        LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
            LD_LIBRARY_PATH=$BUILD/asan "$BUILD/dpi/Vdmt_dpi_tb" +seed=3 >"$work/san" 2>&1 &&
        grep -q '^PASS' "$work/san" && ! grep -q 'Sanitizer\|runtime error' "$work/san" || { cat "$work/san"; return 1; }
}

consumer() { # COMPILER LINK...: translate.c of the page, built and run
    local compiler=$1
    shift
    $compiler -Wall -Wextra -Werror $(flags --cflags) "$work/translate.c" -x none "$@" -o "$work/translate" &&
        LD_LIBRARY_PATH=$prefix/lib "$work/translate" >"$work/said" &&
        diff - "$work/said" <<<"status 0 pa 89abc123 in 4 references
status 0 pa 89abc123 in 1 reference"
}

installed_rtl() {
    local list
    list=$(flags --variable=filelist) && sed "s,/opt/dmt/,$prefix/," "${list}" >"$work/installed.f" &&
        ! grep -E '^[^/+]' "$work/installed.f" && cd "$work" &&
        verilator --lint-only -Wall -fno-const-bit-op-tree --top-module dmt_mmu -f installed.f
}

installed_core() {
    cd "$work" && PATH=$BUILD/venv/bin:$PATH fusesoc --cores-root "$prefix/share/opendmt" run --build-root "$work/fs" \
        --target sim opendmt:ip:dmt_mmu
}

installed_cocotb() {
    PATH=$BUILD/venv/bin:$PATH make -C "$prefix/share/opendmt/tb/cocotb" SIM_BUILD="$work/cocotb" TESTCASE=registers
}

# Pages lead to pages and pictures that are there; to the tree's own folders only by name.
installed_pages() {
    local page target
    cd "$prefix/share/doc/opendmt" && for page in README.md CHANGELOG.md docs/*.md sim/*.md; do
        grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -v '^https\?://' | while read -r target; do
            [ -e "$(dirname "$page")/$target" ] || echo "$page: $target"
        done
    done | { ! grep .; }
}

installed_run() { cd "$work" && "$prefix/bin/dmt" run --limit 200 && [ -s dmt-run/report.html ]; }

uninstalled() {
    make -s BUILD="$given" uninstall DESTDIR="$stage" PREFIX=/opt/dmt && [ -z "$(find "$stage" ! -type d)" ]
}

check "one version in dmt.pc, the command and the shared library" same_version
check "the shared library exports the functions of its headers alone" exported libdmt.so -D
check "so does the static one" exported libdmt.a -g
check "libdmt_dpi.so exports dmt_dpi_* alone" dpi_exported
check "DPI prototypes are those that SystemVerilog imports" dpi_prototypes
check "the model over DPI under sanitizers" dpi_sanitized
check "headers are C++ too" g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$prefix/include" \
    -x c++ "$work/all.c"
check "a program in C, shared" consumer gcc $(flags --libs)
check "a program in C, static" consumer gcc "$prefix/lib/libdmt.a"
check "a program in C++, shared" consumer "g++ -std=c++11 -x c++" $(flags --libs)
check "a program in C++, static" consumer "g++ -std=c++11 -x c++" "$prefix/lib/libdmt.a"
check "an installed file list works from any folder" installed_rtl
check "an installed core works" installed_core
check "an installed cocotb example works" installed_cocotb
check "links of installed pages lead somewhere" installed_pages
check "an installed command finds its captures and writes where one is" installed_run
refused() {
    ! make -s BUILD="$given" install PREFIX=usr DESTDIR="$work/refused/" && [ ! -e "$work/refused" ] &&
        mkdir -p "$work/refused/usr/bin" && touch "$work/refused/usr/bin/dmt" &&
        ! make -s BUILD="$given" uninstall PREFIX=usr DESTDIR="$work/refused/" && [ -e "$work/refused/usr/bin/dmt" ]
}

check "a relative PREFIX is refused, and nothing written or removed" refused
check "nothing stays after make uninstall" uninstalled
exit $status
