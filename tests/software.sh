#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A million operations of software over all scenarios, every answer judged and all invariants checked after each
# operation, and a sample of them on the RTL in lockstep: tests/software.sh BUILD [SEEDS]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build} seeds=${2:-8}
operations=18000 sample=1000 sample_seeds=4
log=$build/logs/software
mkdir -p "$log"
rm -f "$log"/*

one() { # SCENARIO DUT OPERATIONS SEEDS
    local out=$log/$1-$2.log
    if "$build/dmt" cosim --scenario "$1" --dut "$2" --operations "$3" --seeds "$4" >"$out" 2>&1; then
        echo "ok $1 ($2): $(($3 * $4)) operations"
    else
        echo "not ok $1 ($2): see $out"
        grep -E '^FAILED|^divergence|^replay' "$out" | head -n 5
        return 1
    fi
}
export -f one
export log build

scenarios=$("$build/dmt" cosim --help | sed -n '/^Scenarios:/,/^$/p' | sed -nE 's/^  ([a-z-]+) .*/\1/p')
for s in $scenarios; do
    echo "$s arch $operations $seeds"
    echo "$s rtl $sample $sample_seeds"
done | xargs -P "$(nproc)" -L 1 bash -c 'one "$@"' _ || { echo "software: something failed"; exit 1; }
n=$(wc -w <<<"$scenarios")
echo "software: $((n * operations * seeds)) operations of $n scenarios, $((n * sample * sample_seeds)) of them again on the RTL, nothing found"
