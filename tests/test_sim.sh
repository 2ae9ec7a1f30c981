#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dmt sim and dmt report as a user has them: units of every environment with their RTL windows, the same
# results whatever the number of processes and after an interruption, a trace, bad input, and that the
# machine's keys are documented. Prints "ok NAME" or "not ok NAME" a check. BUILD: the build folder.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$top" && realpath "${BUILD:-build}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

check() { # NAME CONDITION...
    local name=$1
    shift
    if "$@" >said 2>&1; then echo "ok $label: $name"; else
        echo "not ok $label: $name"
        cat said stdout stderr 2>/dev/null | sed 's/^/# /' | head -n 25
    fi
}

# Bad input: exit status 2, one line that says these words, and nothing left behind.
bad() { # NAME WORDS COMMAND...
    local name=$1 words=$2 before rc
    shift 2
    before=$(ls -A)
    "$@" >stdout 2>stderr </dev/null
    rc=$?
    [ $rc -eq 2 ] && grep -Eq -- "$words" stderr && [ "$(grep -vc '^Try ' stderr)" -eq 1 ] && [ "$(ls -A)" = "$before" ]
    check "$name" [ $? -eq 0 ]
}

# What does not depend on the computer.
content() { # DIR
    cat "$1"/*.json | grep -v '"host_'
}

results() {
    local small="--scale 0.002 -n 30000 --warmup 20000"
    "$dmt" sim -w gups,redis -e all -p all $small --set tlb.l2.entries=0 -j 2 -o r >stdout 2>stderr
    check "every environment and page size, RTL agrees" [ $? -eq 0 ]
    check "it says how many walks the RTL repeated" grep -Eq '^RTL: [1-9][0-9]{3,} walks repeated, 0 differ$' stdout
    check "a file a unit" [ "$(ls r | grep -c '\.json$')" -eq 12 ]
    check "no part files are left" [ "$(ls -A r | wc -l)" -eq 12 ]
    check "every design has walks" [ -z "$(grep -l '^   "walks": 0,' r/*.4k.json)" ]
    content r >once
    touch -d '1 hour ago' r/*.json
    "$dmt" sim -w gups,redis -e all -p all $small --set tlb.l2.entries=0 -j 2 -o r >stdout 2>stderr
    check "what is there is not run again" [ -z "$(find r -name '*.json' -mmin -30)" ]
    "$dmt" sim -w gups -e virt $small -j 1 -o r >stdout 2>stderr
    check "a unit of another machine is" [ -n "$(find r -name 'gups.virt.4k.json' -mmin -30)" ]
    "$dmt" sim -w gups,redis -e all -p all $small --set tlb.l2.entries=0 -j 1 -o r >stdout 2>stderr
    content r >twice
    check "one process gives what two give" cmp once twice
    "$dmt" report r --out page.html >stdout 2>stderr
    check "dmt report" [ $? -eq 0 ]
    check "it has a page" grep -q '</html>' page.html
    "$dmt" sim -w gups -e virt -p 4k --design nested,pvdmt $small --fragment 80 --set dmt.registers=1 -o f >stdout 2>stderr
    check "little memory in one piece, one register" [ $? -eq 0 ]
    "$dmt" sim --trace "$top/sim/captures/gups/trace.zst" --maps "$top/sim/captures/gups/maps" -e all -n 50000 \
        --warmup 20000 -o t >stdout 2>stderr
    check "a recorded trace" [ $? -eq 0 ]
    check "RTL agrees on it" grep -Eq '^RTL: [1-9][0-9]* walks repeated, 0 differ$' stdout
    "$dmt" sim -w xsbench -e native -d radix,dmt --scale 0.002 -n 50000 --warmup 20000 --set walker.count=4 \
        --set walker.window=64 --set memory.banks=16 -o w >stdout 2>stderr
    check "several walks at a time, memory in banks" [ $? -eq 0 ]
}

interrupted() {
    local run="sim -w gups,btree -e native,virt --scale 0.02 -n 900000 --warmup 100000 --windows 0 -j 2"
    set -m
    "$dmt" $run -o i >stdout 2>stderr &
    local pid=$!
    # As soon as one design of the first unit is done: how long that takes depends on the computer.
    while kill -0 $pid 2>kill && ! ls i/*.part >kill 2>&1; do
        sleep 0.02
    done
    kill -INT $pid
    wait $pid
    check "Ctrl-C: signal status" [ $? -eq 130 ]
    set +m
    check "Ctrl-C: no process goes on" [ -z "$(pgrep -f "$dmt sim -w gups,btree" || true)" ]
    check "Ctrl-C: whole files only" [ -z "$(ls -A i | grep -Ev '\.json(\..*\.part)?$')" ]
    "$dmt" $run -o i >stdout 2>stderr
    check "the run goes on" [ $? -eq 0 ]
    "$dmt" $run -o whole >stdout 2>stderr
    content i >once
    content whole >twice
    check "and ends as one that was not stopped" cmp once twice
}

# A unit's command makes it again, whatever its paths are.
pasted() {
    local command
    mkdir "it's here"
    cp "$top/sim/captures/gups/trace.zst" "$top/sim/captures/gups/maps" "it's here"
    echo 'pwc.clocks = 2' >'a machine'
    "$dmt" sim --trace "it's here/trace.zst" --maps "it's here/maps" -d radix -n 2000 --warmup 1000 --windows 0 \
        -m 'a machine' --set 'ntlb.entries = 16' -o q >stdout 2>stderr
    check "a path with blank and apostrophe" [ $? -eq 0 ]
    command=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["command"])' q/*.json)
    (eval "dmt() { '$dmt' \"\$@\"; }; $command -o again") >stdout 2>stderr
    check "the command of the unit runs in a shell" [ $? -eq 0 ]
    content q >once
    content again >twice
    check "and makes the same" cmp once twice
}

# A trace of 4000 loads, each so many bytes after the one before.
loads() { # STEP
    awk -v step="$1" 'BEGIN { for (i = 0; i < 4000; i++) printf " L %x,8\n", 268435456 + i * step % 268435456 }'
}

# Results are kept as long as they are those of the files they were made from, and of this program.
kept() {
    local run="sim --trace s/trace --maps s/maps -e native -d radix,dmt -n 3000 --warmup 1000 --windows 0 -j 1 -o c"
    local gen="sim -w gups,btree -e native -d radix --scale 0.002 -n 3000 --warmup 1000 --windows 0 -o g"
    local said='units? of another program or trace'
    mkdir s
    loads 4096 >s/trace
    printf '10000000-20000000 rw-p 00000000 00:00 0\n' >s/maps
    "$dmt" $run >stdout 2>stderr
    touch -d '1 hour ago' c/*.json
    loads 4096 >s/trace
    "$dmt" $run >stdout 2>stderr
    check "the same trace: kept" [ -z "$(find c -name '*.json' -mmin -30)" ]
    check "and nothing is said" [ ! -s stderr ]
    content c >once
    loads 8256 >s/trace
    "$dmt" $run >stdout 2>stderr
    check "another trace of that name: made anew" [ -n "$(find c -name '*.json' -mmin -30)" ]
    check "with its results" [ "$(content c | grep -v '"inputs"' | cksum)" != "$(grep -v '"inputs"' once | cksum)" ]
    check "which is said in a line" grep -Exq "dmt: 1 ${said/s?/} is made anew" stderr
    touch -d '1 hour ago' c/*.json
    echo '7ffff0000000-7ffff0001000 rw-p 00000000 00:00 0' >>s/maps
    "$dmt" $run >stdout 2>stderr
    check "other maps: made anew" [ -n "$(find c -name '*.json' -mmin -30)" ]
    # The part of a design that an interrupted run left, told by a number that no run makes.
    "$dmt" $run -d radix >stdout 2>stderr
    sed "s/--design radix/--design radix,dmt/; s/\"exits\": 0/\"exits\": 77/" c/s_trace.native.4k.json >part
    rm c/*
    cp part c/s_trace.native.4k.json.radix.part
    "$dmt" $run >stdout 2>stderr
    check "a part that is there: kept" grep -q '"exits": 77' c/s_trace.native.4k.json
    rm c/*
    cp part c/s_trace.native.4k.json.radix.part
    echo >>s/maps
    "$dmt" $run >stdout 2>stderr
    check "a part of other maps: made anew" grep -Eq "$said" stderr
    check "and not taken" [ -z "$(grep '"exits": 77' c/*.json)" ]

    "$dmt" $gen >stdout 2>stderr
    touch -d '1 hour ago' g/*.json
    cp "$dmt" another
    echo >>another
    content g >once
    "$PWD/another" $gen >stdout 2>stderr
    check "another program: made anew" [ "$(find g -name '*.json' -mmin -30 | wc -l)" -eq 2 ]
    check "which is said" grep -Exq "another: 2 ${said/\?/} are made anew" stderr
    content g >twice
    check "only the line of the program differs" cmp once twice
    touch -d '1 hour ago' g/*.json
    sed -i 's/"version": [0-9]*/"version": 1/' g/gups.native.4k.json
    "$PWD/another" $gen >stdout 2>stderr
    check "another format: made anew" [ "$(find g -name '*.json' -mmin -30)" = g/gups.native.4k.json ]
    check "and said" grep -Eq "1 ${said/s?/} is made anew" stderr
    "$PWD/another" $gen -n 4000 >stdout 2>stderr
    check "another command is no other program" [ ! -s stderr ]
    bad "a trace that can be read once only" 'expected a regular file' "$dmt" sim --trace /dev/zero --maps s/maps -o none
}

# Traces that share a file name, in one folder of results.
names() {
    local run="-n 3000 --warmup 1000 -d radix --windows 0 -o n" c
    for c in gups redis; do
        "$dmt" sim --trace "$top/sim/captures/$c/trace.zst" --maps "$top/sim/captures/$c/maps" $run >stdout 2>>stderr
    done
    check "two traces of one file name" [ "$(cd n && echo *)" = "gups_trace_zst.native.4k.json redis_trace_zst.native.4k.json" ]
    check "a report has both" bash -c "'$dmt' report n --out none --csv - | grep -c '/trace.zst,native,4k' | grep -qx 2"
    mkdir -p x/y z/y
    loads 64 >x/y/t
    loads 4096 >z/y/t
    printf '10000000-20000000 rw-p 00000000 00:00 0\n' >m
    "$dmt" sim --trace x/y/t --maps m $run >stdout 2>stderr
    content n >once
    bad "two traces of one folder's and file name" 'n/y_t.native.4k.json: there are results of another trace .*--trace x/y/t ' \
        "$dmt" sim --trace z/y/t --maps m $run
    content n >twice
    check "the first one's results stay" cmp once twice
    "$dmt" sim --trace ./x/y/t --maps m $run >stdout 2>stderr
    check "another path to the same trace" [ $? -eq 0 ]
}

# The processes that run the designs, and those of their systems, once as many are there: each system's design here is one.
workers_of() { # PID SYSTEMS
    for _ in {1..1000}; do
        systems=$(pgrep -P "$1" | paste -sd,)
        designs=$([ -z "$systems" ] || pgrep -P "$systems" | paste -sd,)
        workers=$systems,$designs
        [ "$(tr , '\n' <<<"$designs" | grep -c .)" -eq "$2" ] && return
        sleep 0.02
    done
}

running() { # PID,..
    ps -o stat= -p "$1" | grep -qv '^Z'
}

# End a run without its knowing; status 1: its processes ended, too.
bereave() { # PID
    kill -KILL "$1"
    wait "$1" 2>kill
    for _ in {1..200}; do
        running "$workers" || break
        sleep 0.02
    done
    running "$workers"
}

# A run whose parent is ended so that it can do nothing about it, and one that loses a process.
orphans() {
    local run="sim -w gups -e native --scale 0.02 -n 900000000 --warmup 1000 --windows 0 -j 2 -o k" pid workers
    "$dmt" $run -d radix,dmt >stdout 2>stderr &
    pid=$!
    workers_of $pid 2
    check "a process a design" running "$workers"
    bereave $pid
    check "kill -9: no process goes on" [ $? -eq 1 ]
    check "kill -9: nothing half-written" [ -z "$(ls -A k)" ]
    kill -KILL ${workers//,/ } 2>kill
    (trap '' TERM; exec "$dmt" $run -d radix,dmt) >stdout 2>stderr &
    pid=$!
    workers_of $pid 2
    bereave $pid
    check "kill -9: no process goes on that ignores SIGTERM" [ $? -eq 1 ]
    kill -KILL ${workers//,/ } 2>kill
    "$dmt" $run -d radix,fpt,asap >stdout 2>stderr & # all three over one system
    pid=$!
    workers_of $pid 2
    sleep 0.5
    check "no more processes at once than places" [ "$(pgrep -cP "$systems")" -eq 2 ]
    kill -TERM $pid
    wait $pid
    for process in design system; do
        "$dmt" $run -d radix >stdout 2>stderr &
        pid=$!
        workers_of $pid 1
        [ $process = design ] && kill -TERM "${designs:-$pid}" || kill -TERM "${systems:-$pid}"
        wait $pid
        check "a $process's process that is ended from outside" [ $? -eq 2 ]
        check "is said" grep -q 'the process was ended by signal 15' stderr
        running "$workers"
        check "and leaves none behind" [ $? -eq 1 ]
    done
}

bad_input() {
    local run="sim -w gups --scale 0.001 -n 1000 --warmup 1000"
    printf 'pwc.l4.entries = 2\n\nmemory.clock = 100\n' >key
    printf '# fine\nmemory.clocks = fast\n' >value
    printf 'nothing\n' >form
    bad "machine: unknown key" "key:3: unknown key 'memory.clock'" "$dmt" $run -m key
    bad "machine: no number" "value:2: memory.clocks: 'fast' is not a number from 1 to 100000" "$dmt" $run -m value
    bad "machine: no key = value" "form:1: 'nothing': expected key = value" "$dmt" $run -m form
    printf 'ntlb.entries = 16\n# again\npwc.clocks = 2\nntlb.entries = 16\n' >twice
    bad "machine: a key twice" "twice:4: ntlb.entries is in line 1 already" "$dmt" $run -m twice
    bad "machine: no such file" 'none: cannot open' "$dmt" $run -m none
    bad "--set: out of range" "walker.count: '5' is not a number from 1 to 4" "$dmt" $run --set walker.count=5
    bad "sets no power of two" 'tlb.l2: 1530 entries in 12 ways' "$dmt" $run --set tlb.l2.entries=1530
    bad "clocks that go down" 'expected cache.l1d <= cache.l2' "$dmt" $run --set cache.l2.clocks=60
    bad "no workload" 'expected --workload, or --trace' "$dmt" sim -n 10
    bad "trace without maps" 'expected --workload, or --trace' "$dmt" sim --trace x
    bad "unknown workload" "--workload: 'gup' is not one" "$dmt" sim -w gup
    bad "no name between commas" "--workload: '' is not one" "$dmt" sim -w ,, -o out
    bad "no name after a comma" "--env: '' is not one" "$dmt" $run -e virt, -o out
    bad "a long list" "--design: 'no' is not one" "$dmt" $run -d "$(printf 'radix,%.0s' {1..300})no" -o out
    bad "unknown environment" "--env: 'host' is not one" "$dmt" $run -e host
    bad "unknown page size" "--pages: '2m' is not one" "$dmt" $run -p 2m
    bad "unknown design" "--design: 'tlb' is not one" "$dmt" $run -d tlb
    bad "design of another environment" 'no design named agile for native' "$dmt" $run -d agile -o .
    bad "scale" "--scale: '2' is not" "$dmt" $run --scale 2
    bad "no accesses" '--accesses: at least 1' "$dmt" $run -n 0
    bad "folder that cannot be made" 'cannot write' "$dmt" $run -o none/out
    mkdir -p out
    bad "trace that ends in the warm-up" 'within the warm-up of 900000000' "$dmt" sim --warmup 900000000 \
        --trace "$top/sim/captures/gups/trace.zst" --maps "$top/sim/captures/gups/maps" -d dmt -o out
    touch t.zst m.maps
    bad "a command that is too long to be kept" 'the command of a unit has 4[0-9]{3} characters' "$dmt" sim -o . \
        --trace "$(printf './%.0s' {1..2035})t.zst" --maps m.maps
    bad "report of nothing" 'none' "$dmt" report none
}

for which in dmt asan/dmt; do
    dmt=$build/$which label=$which
    [ -x "$dmt" ] || { echo "not ok $label: no such program"; continue; }
    rm -rf ./*
    touch stdout stderr said
    bad_input
    if [ $which = dmt ]; then
        results
        pasted
        kept
        names
        interrupted
        orphans
        "$dmt" sim --keys >once
        sed -n '/^<!-- from `dmt sim --keys` -->$/,/^$/p' "$top/docs/evaluation.md" | grep '^|' >twice
        check "keys are documented" diff once twice
        check "--list" bash -c "'$dmt' sim --list | grep -q pvdmt"
    else
        "$dmt" sim -w gups,graph500 -e all -p all --scale 0.001 -n 4000 --warmup 2000 --set tlb.l2.entries=0 -j 2 -o s >stdout 2>stderr
        check "every design under the sanitizers" [ $? -eq 0 ]
    fi
done
