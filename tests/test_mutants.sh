#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The list of mutants fits the sources, and a list that does not is refused. The campaign itself,
# which takes much longer, is `make mutants`. Prints "ok NAME" or "not ok NAME" a check.
set -u
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/    /' "$scratch/said"
        status=1
    fi
}

# EXPECTED: what the runner must say about the copied tree, and nothing else, with exit status 2
refused() {
    /usr/bin/python3 "$scratch/tree/tests/mutants.py" --check >"$scratch/out" 2>&1
    [ $? -eq 2 ] && grep -q "$1" "$scratch/out" && [ "$(wc -l <"$scratch/out")" -eq 1 ] || { cat "$scratch/out"; return 1; }
}

check "every mutant's text is in the sources once, and it compiles" /usr/bin/python3 tests/mutants.py "${BUILD:-build}" --compile

mkdir -p "$scratch/tree/tests" "$scratch/tree/cmodel" "$scratch/tree/sim" "$scratch/tree/tb"
cp -r rtl "$scratch/tree/"
cp -r sim/eval "$scratch/tree/sim/"
cp -r tb/systemc "$scratch/tree/tb/"
cp -r cmodel/src "$scratch/tree/cmodel/"
cp tests/mutants.py tests/mutants.toml "$scratch/tree/tests/"
check "in a copy of the sources, too" /usr/bin/python3 "$scratch/tree/tests/mutants.py" --check
sed -i "s/{57'd0, lacks_d, lacks_a, 5'd0}/64'd32/" "$scratch/tree/rtl/dmt_walk_step.v"
check "text that is gone is found out" refused "mutant .*(a-not-set): old text occurs 0 times"
cp rtl/dmt_walk_step.v "$scratch/tree/rtl/"
sed -n 's|^ *wire \(lost *= .*;\)$|// \1|p' rtl/dmt_entry.v >>"$scratch/tree/rtl/dmt_entry.v"
check "text that is there twice is found out" refused "mutant .*(lost-taken-as-done): old text occurs 2 times"
cp rtl/dmt_entry.v "$scratch/tree/rtl/"
sed -i '0,/^config = "pipelined"/s//config = "pipelines"/' "$scratch/tree/tests/mutants.toml"
check "a configuration that is not there is found out" refused "config pipelines is none of rtl/configs.json: tiny"
exit $status
