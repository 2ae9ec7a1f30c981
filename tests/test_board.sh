#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# dmt board against the RTL of the board core, bit by bit over its simulated UART:
# what it does on good and bad lines, and what it says when there is no board.
# Prints "ok NAME" or "not ok NAME" a check. BUILD: the build folder.
set -u
cd "$(dirname "$0")/.."
top=$PWD
make -s board-sim SAN= BUILD="${BUILD:-build}" || exit 1
build=$(readlink -f "${BUILD:-build}")
sim=$build/dmt-board-sim
dmt=$build/dmt
asan=$build/asan/dmt # where frames come damaged
[ -x "$asan" ] || asan=$dmt
work=$(mktemp -d)
board= # its process
trap 'down; rm -rf "$work"' EXIT
cd "$work" || exit 1
status=0

check() { # NAME CONDITION...
    local name=$1
    shift
    if "$@"; then echo "ok $name"; else
        echo "not ok $name"
        sed 's/^/# /' stdout stderr 2>/dev/null | tail -n 20
        status=1
    fi
}

down() {
    [ -z "$board" ] || { kill "$board"; wait "$board"; } 2>/dev/null
    board=
}

# A simulated board with these options; its port is in $port.
up() {
    down
    mkfifo name
    "$sim" "$@" > name 2> sim.err &
    board=$!
    read -r -t 20 port < name
    rm name
}

said() { grep -Eq -- "$1" "${2:-stdout}"; }

# Exit 2 and one line with these words, within 10 seconds.
bad() { # NAME WORDS COMMAND...
    local name=$1 words=$2 rc
    shift 2
    timeout 10 "$@" > stdout 2> stderr < /dev/null
    rc=$?
    [ $rc -eq 2 ] && said "$words" stderr && [ "$(grep -vc '^Try ' stderr)" -eq 1 ]
    check "$name" [ $? -eq 0 ]
}

good() { # NAME COMMAND...
    local name=$1
    shift
    timeout 300 "$@" > stdout 2> stderr < /dev/null
    check "$name" [ $? -eq 0 ]
}

# ---------------------------------------------------------------- RTL without a host
mapfile -t rtl < <(grep -h '^rtl/' "$top/rtl/dmt.f" "$top/rtl/fpga/board.f")
params() { # TOP: parameters of its dmt_board
    sed -nE '/dmt_board #/,/u_board/p' "$1" | grep -oE '\.[A-Z0-9_]+\([0-9]+\)' | sed -E 's/\.(.*)\((.*)\)/\1=\2/'
}
quiet() { said=$("$@" 2>&1) && [ -z "$said" ] || { echo "$said" | head -n 20 > stderr; false; }; }
drivers() { # TOP CELLS FILE
    (cd "$top" && yosys -q -p "read_verilog -Irtl -Irtl/fpga ${rtl[*]} $3; read_verilog -lib -specify +/$2;
        hierarchy -check -top $1; proc; check -assert; select -assert-none t:\$dlatch" 2>&1 |
        grep -vE '^$|Warning: Replacing memory|Warning: Replacing floating point'; exit "${PIPESTATUS[0]}")
}
for t in ulx3s:pipelined hx8k:tiny xilinx/arty:pipelined; do
    file=$top/rtl/fpga/${t%:*}_top.v name=$(basename "${t%:*}") config=${t#*:}
    mapfile -t p < <(params "$file")
    check "$name's walker is $config of rtl/configs.json" diff \
        <(printf '%s\n' "${p[@]}" | head -n 13 | sort) \
        <(/usr/bin/python3 "$top/rtl/configs.py" list | sed -n "s/^$config //p" | tr ' ' '\n' | sort)
    [ "$name" = arty ] || {
        cd "$top" || exit 1
        check "verilator -Wall, core of $name" quiet verilator --lint-only -Wall -fno-const-bit-op-tree -Irtl -Irtl/fpga \
            --top-module dmt_board "${p[@]/#/-G}" "${rtl[@]}"
        check "iverilog -g2005 -Wall, core of $name" quiet iverilog -g2005 -Wall -t null -Irtl -Irtl/fpga -s dmt_board \
            "${p[@]/#/-Pdmt_board.}" "${rtl[@]}"
        cd "$work" || exit 1
    }
done
check "yosys check -assert, ulx3s_top" quiet drivers ulx3s_top ecp5/cells_bb.v rtl/fpga/ulx3s_top.v
check "yosys check -assert, hx8k_top" quiet drivers hx8k_top ice40/cells_sim.v rtl/fpga/hx8k_top.v
check "yosys check -assert, arty_top" quiet drivers arty_top "xilinx/cells_sim.v +/xilinx/cells_xtra.v" rtl/fpga/xilinx/arty_top.v
check "rtl/fpga/board.f lists every rtl/fpga/dmt_*.v" diff \
    <(cd "$top" && ls rtl/fpga/dmt_*.v) <(grep '^rtl/' "$top/rtl/fpga/board.f" | sort)
pins_named() { # CONSTRAINTS TOP: the same ports in both
    diff <(grep -oE "$3" "$1" | sed -E "s/$3/\1/" | sed 's/\[.*//' | sort -u) \
        <(sed -n '/^) (/,/^);/p' "$2" | grep -oE '(input|output).*' | sed -E 's/,? *(\/\/.*)?$//; s/.* //' | sort -u)
}
rated() { # TOP KHZ-IN MULT DIVIDE LOWEST HIGHEST: its clock is what its PLL makes, oscillator within MHz; 3 Mbaud
    local khz divisor oscillator
    khz=$(value "$1" CLK_KHZ) divisor=$(value "$1" DIVISOR) oscillator=$(($2 * $3))
    echo "$1: CLK_KHZ $khz, PLL $oscillator kHz / $4, DIVISOR $divisor" > stderr
    [ "$khz" -eq $((oscillator / $4)) ] && [ "$khz" -eq $((3000 * divisor)) ] &&
        [ "$oscillator" -ge $(($5 * 1000)) ] && [ "$oscillator" -le $(($6 * 1000)) ]
}
value() { sed -nE "s/^ *parameter (\[[0-9:]+\] )?$2 = ([0-9]+'d)?([0-9]+).*/\3/p" "$1"; } # TOP PARAMETER
f=$top/rtl/fpga/ulx3s_top.v
check "ulx3s_top says its clock and runs the line at 3 Mbaud" rated "$f" 25000 "$(value "$f" MULT)" "$(value "$f" DIVIDE)" 400 800
f=$top/rtl/fpga/hx8k_top.v
check "hx8k_top does" rated "$f" 12000 $(($(value "$f" DIVF) + 1)) $((1 << $(value "$f" DIVQ))) 533 1066
f=$top/rtl/fpga/xilinx/arty_top.v
check "arty_top does" rated "$f" 100000 "$(value "$f" MULT)" "$(value "$f" DIVIDE)" 800 1600
check "ulx3s.lpf places every port" pins_named "$top/rtl/fpga/ulx3s.lpf" "$top/rtl/fpga/ulx3s_top.v" 'LOCATE COMP "([^"]*)"'
check "hx8k.pcf places every port" pins_named "$top/rtl/fpga/hx8k.pcf" "$top/rtl/fpga/hx8k_top.v" 'set_io ([^ ]*)'
check "arty.xdc places every port" pins_named "$top/rtl/fpga/xilinx/arty.xdc" "$top/rtl/fpga/xilinx/arty_top.v" \
    'PACKAGE_PIN.*get_ports \{?([a-z0-9_]+)'

# The CRC of the RTL, on bytes that Python's zlib judges.
cat > crc.v << 'END'
module crc;
    reg clk = 0, clear = 1, valid = 0;
    reg [7:0] data;
    wire [31:0] crc;
    wire busy, intact;
    integer i;
    dmt_crc32 u (.clk_i(clk), .clear_i(clear), .valid_i(valid), .data_i(data), .busy_o(busy), .crc_o(crc), .intact_o(intact));
    always #1 clk = !clk;
    initial begin
        @(negedge clk) clear = 0;
        for (i = 0; i < 300; i = i + 1) begin
            @(negedge clk) valid = 1; data = i * i + 7;
            @(negedge clk) valid = 0;
            while (busy) @(negedge clk);
            $display("%08x", crc);
        end
        $finish;
    end
endmodule
END
iverilog -g2005 -o crc crc.v "$top/rtl/fpga/dmt_crc32.v" && ./crc > crc.got
/usr/bin/python3 -c "
import zlib
d = bytes((i * i + 7) & 255 for i in range(300))
for i in range(300): print('%08x' % zlib.crc32(d[:i + 1]))" > crc.want
check "CRC of the RTL is zlib's" cmp crc.got crc.want

iverilog -g2005 -I"$top/rtl/fpga" -o store "$top/tests/frame_store.v" "$top/rtl/fpga/dmt_frame_store.v" "$top/rtl/dmt_fifo.v"
./store | sort -u
check "frame store: all of that was checked" [ "$(./store | grep -c '^ok')" -ge 31 ]

# ---------------------------------------------------------------- no board
touch file
bad "a port that does not exist" "ttyNONE: cannot open the port" "$dmt" board identify --port /dev/ttyNONE
bad "not a terminal" "file: not a serial port" "$dmt" board identify --port file
bad "no port given" "--port is required" "$dmt" board identify
bad "no such mode" "'walk': expected identify" "$dmt" board walk --port x
bad "a speed that ports do not have" "--baud: 12345 is not a speed" "$dmt" board identify --port x --baud 12345
up -c memory --mute
bad "nobody answers" "no answer from a board within 300 ms" "$dmt" board identify --port "$port" --timeout 300
up -c memory --mute
bad "nobody answers at once" "no answer from a board within 1 ms" "$dmt" board identify --port "$port" --timeout 1
up -c memory --garbage
bad "garbage answers" "no answer from a board within 400 ms" "$asan" board identify --port "$port" --timeout 400
up -c memory --version 7
bad "another version" "speaks version 7, this program 2" "$dmt" board identify --port "$port"
/usr/bin/python3 - > echo.port << 'END' &
import os, pty, tty
a, b = pty.openpty()
tty.setraw(b)
print(os.ttyname(b), flush=True)
while True:
    os.write(a, os.read(a, 4096))
END
echo=$!
while [ ! -s echo.port ]; do sleep 0.05; done
bad "an echo" "what is sent comes back" "$dmt" board identify --port "$(cat echo.port)"
kill $echo

# ---------------------------------------------------------------- the link
up -c memory
good "identify" "$dmt" board identify --port "$port"
check "  says its configuration" said "^configuration: tiny"
check "  says its memory" said "32 blocks of 256 bytes"
bad "a walker that never answers" "is there, but has not answered a translation for 2400 ms" \
    "$dmt" board cosim --port "$port" --seeds 1 -w 30 --timeout 600
up -c memory --flip 5000 --seed 4
bad "a line so bad that nothing gets on" "damaged: a bad line, or a walker that hangs|the greeting for 1200 ms|no answer from" \
    "$dmt" board load --port "$port" --bytes 8192 --timeout 300
up -c memory
"$dmt" board cosim --port "$port" --seeds 1 -w 30 --timeout 60000 > stdout 2> stderr < /dev/null &
host=$!
sleep 1
kill $host
timeout 5 tail --pid=$host -f /dev/null
check "a host that waits is stopped at once" [ $? -eq 0 ]
wait $host 2>/dev/null
check "  and says what it had" said '^requests: +0$'
up -c memory
flock "$port" sleep 3 &
lock=$!
sleep 0.2
bad "a port in use" "in use by another program" "$dmt" board identify --port "$port"
kill $lock
wait $lock 2>/dev/null
rate() { sed -nE 's/^rate: +([0-9]+)\..*/\1/p' stdout; }
up -c memory --patience 20
good "65536 random bytes over a good line" "$dmt" board load --port "$port" --bytes 65536
check "  take the line at 90 % of its raw rate or more" [ "$(rate)" -ge 90 ]
check "  and nothing is sent twice" said ' 0 of them again.* 0 bad.* 0 timeouts'
up -c memory --glitch
good "every byte with a wrong clock in it" "$dmt" board load --port "$port" --bytes 8192
check "  is heard by majority" said ' 0 of them again.* 0 bad.* 0 timeouts'
up -c memory --lose 200 --seed 2
/usr/bin/python3 - "$port" > slow.port << 'END' &
# A line of 3840 bytes a second, with all the port that a kernel gives before it.
import os, pty, sys, time, tty
host, port = pty.openpty()
tty.setraw(port)
board = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(board)
os.set_blocking(board, False)
os.set_blocking(host, False)
print(os.ttyname(port), flush=True)
while True:
    time.sleep(.01)
    for a, b in (host, board), (board, host):
        try:
            os.write(b, os.read(a, 38))
        except BlockingIOError:
            pass
END
slow=$!
while [ ! -s slow.port ]; do sleep 0.05; done
good "a slow line that loses bytes" "$dmt" board load --port "$(cat slow.port)" --bytes 4096 --baud 38400
check "  most of what is sent is sent once" awk '/^line:/ {sent = $2; again = $5} END {exit !(sent > 2 * again)}' stdout
kill $slow
up -c memory --flip 15 --lose 15 --twice 15 --seed 3
good "a million bytes written and read back over a bad line" "$dmt" board load --port "$port" --bytes 1000000 --seed 5
check "  all of them" said '^written: +10[0-9]{5} bytes, read back: 10[0-9]{5}, wrong words: 0'
check "  some frames were damaged and sent again" said ' [1-9][0-9]* of them again'
up -c memory --reset-at 30000
good "a board that is reset while loaded" "$asan" board load --port "$port" --bytes 50000
check "  is loaded again" said 'wrong words: 0, restarts: 1'
good "another host after the first" "$dmt" board identify --port "$port"
bad "a capture that does not fit" "do not fit into the board's 32 blocks" \
    "$dmt" board load --port "$port" --memory "$top/sim/captures/redis/memory.zst"

# ---------------------------------------------------------------- the small walker
# Two areas of 2 MiB whose leaf tables are contiguous, so that one register covers both; a page of
# 2 MiB; what is not accessed yet, not dirty, read-only or absent. In 32 bits of physical address.
/usr/bin/python3 - << 'END'
import random, struct
r = random.Random(4)
frames = {f: [0] * 512 for f in (1, 2, 3, 8, 9)}
frames[1][0] = 0x2027
frames[2][0] = 0x3007
frames[3][2:4] = 0x8027, 0x9007
frames[3][4] = 0x40000087
for i in range(1024):
    frames[8 + i // 512][i % 512] = r.choice((0, 0x01000007, 0x01000067, 0x01000025, 0x8000000001000063)) + (i << 12)
    if r.random() < .2: frames[8 + i // 512][i % 512] = 0
with open('mem', 'wb') as f:
    f.write(b'DMTFRAME' + struct.pack('<II', 1, 0))
    for n, words in frames.items():
        f.write(struct.pack('<Q512Q', n, *words))
state = 'mode = native\nmaxphyaddr = 32\ncr0 = 80010001\ncr3 = 1000\ncr4 = 20\nefer = d01\n'
tea = 'base_vpn=400 pages=400 sz=4k kind=pa base_pfn=8 allow=wux\n'
open('state', 'w').write(state + 'tea.0.0 = ' + tea)
open('five', 'w').write(state + 'tea.0.4 = ' + tea)
with open('requests.csv', 'w') as f:
    f.write('va,access,cpl,nonspec,poke\n')
    for i in range(80):
        va = r.choice((0x400000,) * 6 + (0x800000, 0xa00000, 0x800000000000, 0xffff800000000000)) + r.randrange(0x400000)
        poke = '8008=%x' % r.choice((0, 0x1000067, 0x1000007)) if i % 20 == 7 else ''
        f.write('%x,%s,%d,%d,%s\n' % (va, r.choice('rwx'), r.choice((0, 3)), r.random() < .9, poke))
END
columns() { cut -d, -f1-13 "$1"; } # all but the clocks, which boards without trace do not tell
up -c tiny
"$dmt" translate -c tiny -e rtl -s state -m mem -r requests.csv -o want.csv
good "translate on the small walker" "$dmt" board translate -p "$port" -s state -m mem -r requests.csv -o got.csv
check "  as dmt translate does" diff <(columns want.csv) <(columns got.csv)
for path in tea: radix 'ok.*0x[0-9a-f]+=0x' restart pf gp retry; do
    check "  some are $path" said "$path" got.csv
done
good "random scenarios on the small walker" "$dmt" board cosim -p "$port" --seeds 3 -w 100
check "  without divergence" said '^divergences: 0'
bad "a state with more sets than the board" "asks for a MAXPA outside|more register sets" \
    "$dmt" board translate -p "$port" -s "$top/sim/captures/nested/state" -m "$top/sim/captures/nested/memory.zst" 1000
bad "a state with more registers than the board" "a TEA register that the instance does not have" \
    "$dmt" board translate -p "$port" -s five -m mem 400000
"$dmt" board translate -p "$port" -s five -m mem 400000 -o left.csv > stdout 2> stderr
check "  leaves no output" [ ! -e left.csv ]
bad "no counters" "no counters" "$dmt" board counters -p "$port"
up -c tiny --flip 100 --lose 100 --twice 100 --reset-every 4000 --seed 2
good "translate with damage and resets" "$asan" board translate -p "$port" -s state -m mem -r requests.csv -o got.csv
check "  as dmt translate does all the same" diff <(columns want.csv) <(columns got.csv)
check "  it was reset" said 'was reset: starting again' stderr

# ---------------------------------------------------------------- the pipelined walker
up -c pipelined
redis=(-s "$top/sim/captures/redis/state" -m "$top/sim/captures/redis/memory.zst")
good "load a captured system" "$dmt" board load -p "$port" -m "$top/sim/captures/redis/memory.zst"
check "  whole and intact" said '^read back: .*, wrong: 0'
head -n 17 "$top/sim/captures/nested/oracle.csv" | sed -nE 's/^([0-9a-fx]+),([rwx]),.*/\1,\2,0/p' | sed '1iva,access,cpl' \
    > nested.csv
nested=(-s "$top/sim/captures/nested/state" -m "$top/sim/captures/nested/memory.zst" -r nested.csv)
"$dmt" translate -c pipelined -e rtl -l 6 "${nested[@]}" -o want.csv
good "translate a captured virtual machine" "$dmt" board translate -p "$port" "${nested[@]}" -o got.csv
check "  as dmt translate does, clock for clock" cmp want.csv got.csv
check "  sixteen of them" [ "$(wc -l < got.csv)" -eq 17 ]
good "counters" "$dmt" board counters -p "$port"
check "  count the requests" said "^request +$(($(wc -l < got.csv) - 1))$"
good "a trace" "$dmt" board cosim -p "$port" "${redis[@]}" -t "$top/sim/captures/redis/trace.zst" --limit 3000
check "  without divergence" said '^divergences: 0'
while read -r line; do
    read -ra words <<<"${line//\/dev\/pts\/3/$port}"
    cd "$top" || exit 1
    timeout 300 "${words[@]/#build\//$build/}" > "$work/stdout" 2> "$work/stderr" < /dev/null
    rc=$?
    cd "$work" || exit 1
    check "docs/board.md: $line" [ $rc -eq 0 ]
done < <(grep '^build/dmt board' "$top/docs/board.md")
check "  the last without divergence" said '^divergences: 0'
exit $status
