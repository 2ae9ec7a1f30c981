#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A picture of GTKWave showing a prepared view, without a display:
#   docs/waves/screenshot.sh DMT SCENARIO PNG
set -euo pipefail
[ $# = 3 ] || { echo "usage: docs/waves/screenshot.sh DMT SCENARIO PNG" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$1" waves "$2" --out "$scratch/$2.fst" >/dev/null
echo 'splash_disable on' >"$scratch/rc"
export SCENE=$2 PICTURE=$scratch/shot.png SCRATCH=$scratch
xvfb-run -a -s '-screen 0 1300x800x24' bash -c '
    cd "$SCRATCH"
    gtkwave -r rc "$SCENE.fst" "$SCENE.gtkw" >log 2>&1 &
    viewer=$!
    trap "kill $viewer" EXIT
    # A window without waves is of one size, one with them of another: wait until two shots agree.
    before=
    for _ in $(seq 60); do
        sleep 0.5
        import -window root "$PICTURE"
        now=$(sha256sum <"$PICTURE")
        [ "$now" != "$before" ] || [ "$(stat -c %s "$PICTURE")" -lt 20000 ] || exit 0
        before=$now
    done
    echo "GTKWave has shown nothing that stays:" >&2
    cat log >&2
    exit 1'
convert "$PICTURE" -strip +dither -colors 24 -define png:compression-level=9 "$scratch/small.png"
mv "$scratch/small.png" "$3"
