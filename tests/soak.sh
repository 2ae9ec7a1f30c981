#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Long random lockstep: tests/soak.sh [BUILD]. SEEDS (50) and CYCLES (110000) are a
# configuration's seeds and the clocks of each; FIRST (1) is the first seed.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build} seeds=${SEEDS:-50} cycles=${CYCLES:-110000} first=${FIRST:-1}
total=0 want=0

for config in $(/usr/bin/python3 rtl/configs.py list | cut -d' ' -f1); do
    echo "== $config: seeds $first to $((first + seeds - 1)), $cycles clocks each"
    out=$("$build/dmt" cosim --config "$config" --mode mix --seed "$first" --seeds "$seeds" --cycles "$cycles") ||
        { echo "$out"; exit 1; }
    echo "$out"
    clocks=$(sed -nE 's/^clocks: +([0-9]+).*/\1/p' <<<"$out")
    total=$((total + clocks)) want=$((want + seeds * cycles))
done
if [ "$total" -lt "$want" ]; then
    echo "soak: $total clocks were run, expected at least $want" >&2
    exit 1
fi
echo "soak: $total clocks in lockstep, $seeds seeds of each configuration, no divergence"
