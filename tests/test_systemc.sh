#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The TLM-2.0 module (tests/systemc.cpp, plain and with sanitizers), the platform around it on good and
# bad input, and what docs/systemc.md shows. Prints "ok NAME" or "not ok NAME" a check.
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

check() { # NAME CONDITION...
    local name=$1
    shift
    if "$@"; then echo "ok $name"; else
        echo "not ok $name"
        tail -n 20 "$work/stdout" "$work/stderr" 2>/dev/null | sed 's/^/# /'
        status=1
    fi
}

run() { "$@" >"$work/stdout" 2>"$work/stderr" </dev/null; }
has() { grep -Eq -- "$1" "$work/stdout"; }

# Exit 2, the expected words in one line on stderr (argp adds its own hint), no report of sanitizer or simulator.
bad() { # NAME WORDS COMMAND...
    local name=$1 words=$2 rc
    shift 2
    run "$@"
    rc=$?
    [ $rc -eq 2 ] && grep -Eq -- "$words" "$work/stderr" && [ "$(grep -vc '^Try ' "$work/stderr")" -eq 1 ]
    check "$name" [ $? -eq 0 ]
}

for san in "" 1; do
    at=$build${san:+/asan}
    label=plain
    [ -z "$san" ] || label=sanitizers
    run make -s BUILD="$build" SAN=$san systemc "$at/tests/systemc"
    check "$label: builds" [ $? -eq 0 ]
    "$at/tests/systemc" >"$work/out" 2>"$work/stderr"
    rc=$?
    grep -E '^(ok|not ok|#) ' "$work/out" | sed -E "s/^(ok|not ok) /\1 $label: /"
    grep -q '^not ok' "$work/out" && status=1
    cp "$work/out" "$work/stdout"
    check "$label: the test ends by itself" [ $rc -eq "$(grep -c '^not ok' "$work/out" | sed 's/[1-9].*/1/')" ]

    platform=$at/dmt-platform
    for capture in gups redis nested; do
        run "$platform" --capture sim/captures/$capture --requests 20000 --cycle-requests 1000
        check "$label: $capture runs in both timings" [ $? -eq 0 ]
        check "$label: $capture: nothing differs" has '^1000 answers compared, 0 differ$'
    done
    for config in default pipelined; do
        run "$platform" -c $config --requests 3000 --cycle-requests 3000 --contexts 1 --quantum 0
        check "$label: one context takes the same time in both, $config" awk \
            '/^(loosely|cycle)/ { n[$1 == "loosely"] = $(NF - 3) " " $(NF - 2) } END { exit n[0] == "" || n[0] != n[1] }' \
            "$work/stdout"
    done
    run "$platform" --mode ca --cycle-requests 500 --no-dmi -c uncached --capture sim/captures/nested
    check "$label: one timing alone" has '^cycle-accurate +500 '
    run "$platform" --help
    check "$label: --help" [ $? -eq 0 ]
    bad "$label: unknown option" "unrecognized option" "$platform" --nonsense
    bad "$label: unknown mode" "not lt, ca or both" "$platform" --mode fast
    bad "$label: unknown configuration" "is not one of" "$platform" -c huge
    bad "$label: a number that is none" "--requests: .*many" "$platform" --requests many
    bad "$label: no request" "at least 1" "$platform" --requests 0
    bad "$label: an argument too many" "not an option" "$platform" sim/captures/gups
    bad "$label: no such capture" "nowhere/state: cannot open" "$platform" --capture nowhere
    bad "$label: a guest on one register set" "more than configuration smallest has" \
        "$platform" -c smallest --capture sim/captures/nested
    mkdir -p "$work/damaged" && cp sim/captures/gups/* "$work/damaged"
    head -c 5000 sim/captures/gups/memory.zst >"$work/damaged/memory.zst"
    bad "$label: damaged memory" "memory.zst" "$platform" --capture "$work/damaged"
    cp sim/captures/gups/memory.zst "$work/damaged" && echo 'mode = sideways' >"$work/damaged/state"
    bad "$label: damaged state" "state:1: mode" "$platform" --capture "$work/damaged"
    "$platform" --mode lt --requests 100 >/dev/full 2>"$work/stderr"
    check "$label: standard output that is full" [ $? -eq 2 ]
done

# ---------------------------------------------------------------- docs/systemc.md
blocks() { awk -v want="$1" '/^```/ { inside = !inside; on = inside && $0 == "```" want; next } on' docs/systemc.md; }

blocks cpp >"$work/example.cpp"
compile=$(blocks "" | grep '^g++')
compile=${compile/example.cpp/$work/example.cpp}
compile=${compile/-o example/-o $work/example}
run bash -c "${compile//build\//$build/}"
check "docs: the example builds" [ $? -eq 0 ]
run "$work/example"
check "docs: the example prints what the page says" has "^$(grep -oE '`./example` prints `[^`]+' docs/systemc.md | cut -d'`' -f4)$"
while read -r line; do
    # Numbers that only take longer are made smaller.
    line=$(sed -E 's/--requests [0-9]+/--requests 40000/' <<<"$line")
    run bash -c "${line/build\//$build/}"
    check "docs: $line" [ $? -eq 0 ]
done < <(blocks "" | grep '^build/dmt-platform')
exit $status
