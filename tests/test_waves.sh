#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Waves for people: the scenarios of `dmt waves`, lines of text and views in every waveform, that
# GTKWave opens them, pictures and tables in documents, and every command on their pages.
# Prints "ok NAME" or "not ok NAME" a check. BUILD: the build folder.
set -u
cd "$(dirname "$0")/.."
build=${BUILD:-build}
dmt=$build/dmt
scratch=$(mktemp -d)
example=lost-taken-as-done
trap 'rm -rf "$scratch" "$build/mutants/$example"' EXIT
status=0

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/    /' "$scratch/said" | tail -n 25
        status=1
    fi
}

# WORDS COMMAND...: bad input is refused with exit status 2 and these words, and leaves nothing behind.
refused() {
    local words=$1 before
    shift
    before=$(ls -A "$scratch")
    "$@" >"$scratch/said" 2>"$scratch/err"
    [ $? -eq 2 ] && grep -q -- "$words" "$scratch/err" || { cat "$scratch/err"; return 1; }
    rm -f "$scratch/err"
    [ "$(ls -A "$scratch")" = "$before" ] || { ls -A "$scratch"; return 1; }
}

# FST WORDS...: GTKWave, without a display, opens file and view, and shows these signals.
shown() {
    local fst=$1 word
    shift
    cat >"$scratch/show.tcl" <<'END'
foreach s [gtkwave::getDisplayedSignals] { puts "shown $s" }
exit 0
END
    timeout 60 xvfb-run -a gtkwave -S "$scratch/show.tcl" "$fst" "${fst%.fst}.gtkw" >"$scratch/shown" 2>&1
    for word in "$@"; do
        grep -qE "^shown $word" "$scratch/shown" || { echo "not shown: $word"; cat "$scratch/shown"; return 1; }
    done
}

# ---- scenarios: references and clocks are asserted by the command itself
scenes=$("$dmt" waves --list | cut -d' ' -f1)
for which in dmt asan/dmt; do
    [ -x "$build/$which" ] || continue
    for s in $scenes; do
        check "$which: scenario $s has the references and clocks that it should" \
            "$build/$which" waves "$s" --out "$scratch/$s.fst" --events "$scratch/$s.json"
    done
done
for s in native stream pvdmt nested radix sizes drain dirty bring-up; do
    check "there is a scenario $s" grep -qx "$s" <<<"$scenes"
done
well_formed() { /usr/bin/python3 -c 'import json,sys; [json.load(open(f)) for f in sys.argv[1:]]' "$scratch"/*.json; }
check "events are JSON" well_formed

# ---- what waveforms tell
same_text() { # SCENARIO: the walks read back out of the file are those that were seen live
    "$dmt" waves "$1" --out "$scratch/$1.fst" >"$scratch/live" && "$dmt" waves --from "$scratch/$1.fst" >"$scratch/back" &&
        diff "$scratch/live" "$scratch/back"
}
for s in $scenes; do check "walks read back: $s" same_text "$s"; done

# Random runs: as many walks and references as the architectural model counted. Where caches change
# between the passes of a walk of several stages the pins leave a little room (tb/walklog.h).
counts() { # MODE SEED SLACK
    local walks refs back
    "$dmt" cosim --mode "$1" --seed "$2" --walks 1500 --waves "$scratch/random.fst" >"$scratch/run" || return 1
    walks=$(sed -nE 's/^walks: *([0-9]+).*/\1/p' "$scratch/run")
    refs=$(sed -nE 's/^references: *([0-9]+).*/\1/p' "$scratch/run")
    back=$("$dmt" waves --from "$scratch/random.fst" | tail -n 1)
    echo "run: $walks walks, $refs references; waveform: $back"
    [[ $back =~ ^([0-9]+)\ walks?\ answered,\ ([0-9]+)\ references?$ ]] && [ "${BASH_REMATCH[1]}" = "$walks" ] &&
        [ $((BASH_REMATCH[2] - refs)) -le "$3" ] && [ $((refs - BASH_REMATCH[2])) -le "$3" ]
}
for seed in 1 2; do
    check "random run, native, seed $seed: walks and references" counts native $seed 0
    check "random run, virt, seed $seed: walks and references" counts virt $seed 8
    check "random run, nested, seed $seed: walks and references" counts nested $seed 8
done

again() { # lines of text are replaced, not added to
    "$dmt" waves --from "$scratch/pvdmt.fst" --out "$scratch/copy.fst" >/dev/null &&
        "$dmt" waves --from "$scratch/copy.fst" --out "$scratch/copy.fst" | diff - "$scratch/pvdmt.txt" &&
        [ "$(grep -c '^walks\.' "$scratch/copy.gtkw")" -eq "$(grep -c '^walks\.' "$scratch/pvdmt.gtkw")" ]
}
"$dmt" waves pvdmt --out "$scratch/pvdmt.fst" >"$scratch/pvdmt.txt"
check "lines of text are made anew" again
window() { # a window that begins and ends in the middle of walks
    "$dmt" cosim --seed 3 --walks 600 --waves "$scratch/window.fst" --waves-from 700 --waves-to 1500 >/dev/null &&
        "$dmt" waves --from "$scratch/window.fst" >"$scratch/window.txt" && grep -q 'began earlier' "$scratch/window.txt"
}
check "a window into a run" window
from_a_write() { # .. that begins in register writes: each keeps its own answer, which is after it
    "$dmt" cosim --seed 3 --walks 20 --waves "$scratch/window.fst" --waves-from 1043 --waves-to 1150 >/dev/null &&
        "$dmt" waves --from "$scratch/window.fst" >"$scratch/window.txt" && cat "$scratch/window.txt" &&
        grep -q '^register write .* (1 after' "$scratch/window.txt" &&
        ! grep -qE '\([0-9]{6,} after' "$scratch/window.txt"
}
check "a window that begins in register writes" from_a_write

# ---- views open
check "GTKWave shows a scenario's walks" shown "$scratch/pvdmt.fst" walks.context00_walk walks.context00_reads \
    TOP.dmt_mmu.req_valid_i TOP.dmt_mmu.m_araddr_o
check "GTKWave shows parallel reads and surplus ones" shown "$scratch/sizes.fst" walks.context00_reads02 walks.context00_surplus
check "GTKWave shows register writes" shown "$scratch/drain.fst" walks.register_writes
software() {
    "$dmt" cosim --scenario nested-tenants --operations 10 --waves "$scratch/software.fst" >/dev/null &&
        shown "$scratch/software.fst" walks.context00_walk walks.register_writes
}
check "GTKWave shows software at work" software
codes() { # codes on pins are words: stage, status
    grep -B1 'u_front.mode_i' "$scratch/pvdmt.gtkw" | grep -q 'mode.txt' &&
        grep -qx "1 s1 guest" "$scratch/pvdmt.gtkw.stage.txt" && grep -q "2 .*PF" "$scratch/pvdmt.gtkw.status.txt" &&
        grep -B1 'resp_status_o' "$scratch/pvdmt.gtkw" | grep -q 'status.txt'
}
check "codes have names" codes

# ---- bad input
check "no scenario" refused 'give a scenario' "$dmt" waves
check "unknown scenario" refused "'odd' is not a scenario" "$dmt" waves odd
check "two scenarios" refused 'one scenario at a time' "$dmt" waves native pvdmt
check "not an FST's name" refused 'does not end in .fst' "$dmt" waves native --out "$scratch/x.vcd"
check "nowhere to write" refused 'none/x.fst' "$dmt" waves native --out "$scratch/none/x.fst"
check "nowhere to write events" refused 'none/x.json' "$dmt" waves native --events "$scratch/none/x.json"
check "nowhere to write a copy" refused 'none/x.fst' "$dmt" waves --from "$scratch/pvdmt.fst" --out "$scratch/none/x.fst"
check "no such waveform" refused 'No such file' "$dmt" waves --from "$scratch/none.fst"
check "not a waveform" refused 'cannot be read as an FST' "$dmt" waves --from README.md
check "a waveform cut short" refused 'cut.fst' bash -c "head -c 3000 '$scratch/pvdmt.fst' >'$scratch/said' &&
    cp '$scratch/said' '$scratch/cut.fst' && '$dmt' waves --from '$scratch/cut.fst'; rc=\$?; rm '$scratch/cut.fst'; exit \$rc"
check "a table of another scenario" refused 'bring-up' "$dmt" waves native --table

# ---- pictures and tables in documents are what the RTL does
pictures() {
    local f
    mkdir -p "$scratch/drawn"
    /usr/bin/python3 -B docs/waves/draw.py "$dmt" "$scratch/drawn" || return 1
    for f in "$scratch"/drawn/*.svg docs/waves/*.svg; do
        cmp "$scratch/drawn/$(basename "$f")" "docs/waves/$(basename "$f")" || { echo "make pictures draws it anew"; return 1; }
    done
}
check "pictures are up to date" pictures
check "pictures are XML" /usr/bin/python3 -c 'import sys, xml.dom.minidom as m; [m.parse(f) for f in sys.argv[1:]]' docs/waves/*.svg
page() {
    cp docs/integration.md "$scratch/integration.md"
    /usr/bin/python3 -B docs/waves/draw.py --page "$dmt" "$scratch/integration.md" &&
        cmp docs/integration.md "$scratch/integration.md" && grep -q '^| 1 | 0x3018 | HOST.MAXPA |' docs/integration.md
}
check "the bring-up of the integration guide is what runs" page
check "parameters and ports of the datasheet are the RTL's" /usr/bin/python3 -B rtl/interface.py --check
stale() { # .. and would be missed: another port, another default
    cp -r rtl cmodel docs "$scratch/tree/" && "$@" && ! /usr/bin/python3 -B "$scratch/tree/rtl/interface.py" --check
}
mkdir -p "$scratch/tree"
top=$scratch/tree/rtl/dmt_mmu.v
check "a new port would be noticed" stale sed -i 's/input  wire  *rst_i,.*/&\n    input  wire             more_i,/' "$top"
check "another width would be noticed" stale sed -i 's/\[33:0\]      resp_error_o/[34:0]      resp_error_o/' "$top"
check "another configuration would be noticed" stale \
    sed -i 's/"CTX_N": 64/"CTX_N": 63/' "$scratch/tree/rtl/configs.json"
rm -rf "$scratch/tree"

# ---- commands on the pages: lines of ```sh blocks, in order; "# exit status N" says what is expected, else 0
viewer() { # FST VIEW: as a reader would, but without a display, and it must show walks
    timeout 60 xvfb-run -a gtkwave -S "$scratch/show.tcl" "$@" | tee "$scratch/shown"
    grep -q '^shown walks.context00_walk' "$scratch/shown"
}
export -f viewer
export scratch
commands() { # PAGE
    local line want got n=0
    while IFS= read -r line <&3; do
        want=$(sed -nE 's/.*# exit status ([0-9]+)$/\1/p' <<<"$line")
        line=$(sed -E 's/ *# .*$//' <<<"$line")
        # Inside the example's copy the build folder is its own: only the way there is ours.
        case $line in
            "(cd"*) line="${line/ build\// $build/}" ;;
            *) line=$(sed -E "s#(^| )build/#\1$build/#g; s#mutants.sh build #mutants.sh $build #" <<<"$line") ;;
        esac
        line=${line//make waves/make -s BUILD=$build JOBS=1 waves}
        line=${line/gtkwave /viewer }
        env -u DISPLAY -u WAYLAND_DISPLAY -u MAKEFLAGS -u MAKELEVEL bash -c "$line" </dev/null >"$scratch/out$n" 2>&1
        got=$?
        if [ "$got" -ne "${want:-0}" ]; then
            echo "$1: '$line': exit status $got, expected ${want:-0}"
            cat "$scratch/out$n"
            return 1
        fi
        n=$((n + 1))
    done 3< <(sed -n '/^```sh$/,/^```$/p' "$1" | grep -v '^```')
    echo "$n commands"
    [ $n -gt 0 ]
}
check "commands of docs/integration.md" commands docs/integration.md
check "commands of docs/debugging.md" commands docs/debugging.md
# What that page says of their output: who objects, how to repeat it, and the lost write that ends in OK.
shown_lines() { # N OUTPUT: every line of the N-th listing of the page, but for what ".." leaves out, is in the output
    local line
    awk -v want="$1" '/^```/ { inside = !inside; plain = inside && $0 == "```"; n += plain; next } plain && n == want' \
        docs/debugging.md | grep -vF '..' >"$scratch/listing"
    [ -s "$scratch/listing" ] || { echo "there is no listing $1"; return 1; }
    while IFS= read -r line; do
        grep -qF -- "$line" "$2" || { echo "not printed: $line"; return 1; }
    done <"$scratch/listing"
}
told() {
    grep -q '^divergence: seed 1 ' "$scratch/out1" && grep -q '(the two models differ)$' "$scratch/out1" &&
        grep -q '^replay with waves: build/dmt cosim ' "$scratch/out1" &&
        shown_lines 1 "$scratch/out1" && shown_lines 2 "$scratch/out4" &&
        grep -q 'gtkwave build/waves/default-1.gtkw' "$scratch/out1" &&
        grep -A1 'A/D write s[0-2] LOST' "$scratch/out4" | grep -q '^  #[0-9]* OK .*(1 lost)' &&
        grep -A1 'A/D write s0 LOST' "$scratch/out5" | grep -q 'A/D read ' &&
        grep -q '^> .*lost' "$scratch/out6"
}
check "the example's bug is where docs/debugging.md finds it" told
exit $status
