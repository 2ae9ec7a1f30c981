#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Trace a program of this machine with Valgrind's lackey.
#
#   lackey.sh OUT SKIP RECORDS PROGRAM [ARGUMENT...]
#
# writes OUT.lackey.zst (RECORDS lines after the first SKIP) and OUT.maps (the
# areas of the process at the end of the trace), then ends the program.
# Example: lackey.sh /tmp/sort 1000000 4000000 sort /usr/share/dict/words
# Then:    dmt import --trace /tmp/sort.lackey.zst --maps /tmp/sort.maps ...
set -eu
[ $# -ge 4 ] || { sed -n '3,10p' "$0" >&2; exit 2; }
out=$1 skip=$2 records=$3
shift 3
for tool in valgrind zstd awk; do
    command -v $tool > /dev/null || { echo "lackey.sh: $tool is not installed" >&2; exit 2; }
done

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null || :; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
mkfifo "$dir/trace"
valgrind -q --tool=lackey --trace-mem=yes --log-file="$dir/trace" "$@" > "$dir/out" 2>&1 &
pid=$!
# At the last record the reader copies the maps while the process waits for
# room in the pipe, so trace and areas belong together.
awk -v from="$skip" -v n="$records" -v maps="cat /proc/$pid/maps > '$out.maps'" '
    /^(I | [LSM]) / {
        seen++
        if (seen <= from) next
        print
        if (seen == from + n) { system(maps); exit }
    }
    END { if (seen < from + n) print "lackey.sh: the program ended after " seen " records" > "/dev/stderr" }
' < "$dir/trace" | zstd -q -19 -f -o "$out.lackey.zst"
ls -l "$out.lackey.zst" "$out.maps"
