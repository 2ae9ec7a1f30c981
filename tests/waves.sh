#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Waves to look at, in GTKWave when there is a display: tests/waves.sh [BUILD].
# SCENARIO: one of `dmt waves --list` (default pvdmt), or software at work (`dmt cosim
# --scenario`: a name or a file); or else SEED, a random run.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build} scenario=${SCENARIO:-}
mkdir -p "$build/waves"
if [ -n "${SEED:-}" ] && [ -z "$scenario" ]; then
    fst=$build/waves/seed$SEED.fst
    "$build/dmt" cosim --seed "$SEED" --walks 500 --waves "$fst"
else
    scenario=${scenario:-pvdmt}
    fst=$build/waves/$(basename "$scenario").fst
    if "$build/dmt" waves --list | cut -d' ' -f1 | grep -qxF -- "$scenario"; then
        "$build/dmt" waves "$scenario" --out "$fst"
    else
        "$build/dmt" cosim --scenario "$scenario" --operations 30 --waves "$fst" || {
            code=$?
            [ $code -ne 2 ] || echo "Short scenarios: $("$build/dmt" waves --list | cut -d' ' -f1 | paste -sd' ')" >&2
            exit $code
        }
    fi
fi
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    echo "gtkwave $fst ${fst%.fst}.gtkw"
    exec gtkwave "$fst" "${fst%.fst}.gtkw"
fi
echo "No display here. To look: gtkwave $fst ${fst%.fst}.gtkw"
