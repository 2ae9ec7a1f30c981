#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The dmt command on good and bad input: exit codes, one clear line each,
# nothing half-written, signals. Runs the plain and the sanitized build.
# Prints "ok NAME" or "not ok NAME" a check. BUILD: the build folder.
set -u
cd "$(dirname "$0")/.."
build=$(readlink -f "${BUILD:-build}")
top=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

check() { # NAME CONDITION...
    local name=$1
    shift
    if "$@"; then echo "ok $label: $name"; else
        echo "not ok $label: $name"
        sed 's/^/# /' stderr 2>/dev/null | head -n 20
    fi
}

# Bad input: exit 2, the expected words on stderr, one line (argp adds its own
# hint), no sanitizer report, nothing on disk that was not there before.
bad() { # NAME WORDS COMMAND...
    local name=$1 words=$2 before rc
    shift 2
    before=$(ls -A)
    "$@" > stdout 2> stderr < /dev/null
    rc=$?
    [ $rc -eq 2 ] && grep -Eq -- "$words" stderr && [ "$(grep -vc '^Try ' stderr)" -eq 1 ] &&
        [ "$(ls -A)" = "$before" ]
    check "$name" [ $? -eq 0 ]
    rm -f out.*
}

good() { # NAME COMMAND...
    local name=$1
    shift
    "$@" > stdout 2> stderr < /dev/null
    check "$name" [ $? -eq 0 ]
}

# ---------------------------------------------------------------- inputs
cat > maps << 'END'
00400000-00500000 r-xp 00000000 00:00 1 /bin/program
00600000-00700000 rw-p 00000000 00:00 0 [heap]
7ffff0000000-7ffff0010000 rw-p 00000000 00:00 0 [stack]
END
python3 - << 'END'
import struct
with open('trace', 'w') as f:
    f.write('==12== Lackey\n')
    for i in range(3000):
        f.write('I  %08x,4\n' % (0x400000 + i * 172))
        f.write(' L %08x,8\n' % (0x600000 + i * 344 % 0x100000))
        if i % 3 == 0:
            f.write(' S %08x,8\n' % (0x7ffff0000000 + i * 8))
        if i % 7 == 0:
            f.write(' M %08x,8\n' % (0x600ffc + i))
with open('champsim', 'wb') as f:
    for i in range(50):
        f.write(struct.pack('<QBB2B4B2Q4Q', 0x400000 + i * 4, 0, 0, 1, 0, 2, 3, 0, 0, 0x600000 + i * 64, 0,
                            0x600800 + i * 8, 0, 0, 0))

def core(name, notes, cut=0, type=4, machine=62, paddr=0x1000, size=0x3000):
    note = b''
    for owner, desc in notes:
        owner += b'\0'
        note += struct.pack('<III', len(owner), len(desc), 0) + owner.ljust((len(owner) + 3) & ~3, b'\0')
        note += desc.ljust((len(desc) + 3) & ~3, b'\0')
    at = 64 + 2 * 56
    ehdr = b'\x7fELF\2\1\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', type, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    phdr = struct.pack('<IIQQQQQQ', 4, 0, at, 0, 0, len(note), len(note), 4)
    phdr += struct.pack('<IIQQQQQQ', 1, 7, at + len(note), 0, paddr, size, size, 4096)
    table = bytearray(size)
    if size >= 0x3000:  # root at 0x1000 -> 0x2000 -> 0x3000: 1 GiB page at VA 0
        struct.pack_into('<Q', table, 0, 0x2007)
        struct.pack_into('<Q', table, 0x1000, 0xe7)
    data = ehdr + phdr + note + bytes(table)
    open(name, 'wb').write(data[:len(data) - cut])

qemu = struct.pack('<II', 1, 440) + bytes(18 * 8 + 10 * 24) + struct.pack('<5Q', 0x80010033, 0, 0, 0x1000, 0x20) + bytes(8)
core('core', [(b'CORE', bytes(336)), (b'QEMU', qemu)])
core('core.vmcore', [(b'VMCOREINFO', b'OSRELEASE=6.1\n')])
core('core.nonote', [(b'CORE', bytes(336))])
core('core.cut', [(b'QEMU', qemu)], cut=100)
core('core.exec', [(b'QEMU', qemu)], type=2)
core('core.arm', [(b'QEMU', qemu)], machine=183)
core('core.high', [(b'QEMU', qemu)], paddr=1 << 60)
END
head -c 40 core > core.short
printf 'KDUMP   xxxxxxxxxxxxxxxx' > kdump
printf 'va,access,cpl\n500001c67b78,r,0\n700010000000,r,0\n123456000,w,0\n510000000008,r,0\n' > guest.requests
printf 'CR0=80010033 CR2=0 CR3=0000000000abc000 CR4=00000020\nEFER=0000000000001d00\n' > guest.registers
printf 'va,access,cpl\n400000,x,3\n600000,w,3\n601000,r,0\n123000,r,3\n8000000000000000,r,3\n' > requests

all_checks() {
rm -f memory* state* compact* out.*
"$dmt" import --trace trace --maps maps --build --registers 4 --out-memory memory --out-state state > stdout 2> stderr
check "import builds tables for a trace" [ $? -eq 0 -a -s memory -a -s state ]
grep -q 'tea.0.0' state; check "with registers in the state" [ $? -eq 0 ]
"$dmt" import --trace trace --out-trace compact > stdout 2> stderr; check "import makes a compact trace" [ -s compact ]
zstd -q -f memory -o memory.zst; zstd -q -f trace -o trace.zst; zstd -q -f state -o state.zst; zstd -q -f core -o core.zst

# ---- translate
for e in arch cycle rtl all; do
    good "translate on $e" "$dmt" translate -s state -m memory -e $e -r requests -o out.$e
    cut -d, -f1-13 out.$e > out.$e.cut
    check "$e gives what arch gives" cmp -s out.arch.cut out.$e.cut
done
check "results: header" [ "$(head -n 1 out.arch)" = va,access,cpl,status,pa,page,error,stage,gpa,path,refs,reads,ad_writes,cycles ]
check "results: a code page by TEA" grep -Eq '^0x400000,x,3,ok,0x[0-9a-f]+,4k,,,,tea:[0-9],1,1,,$' out.arch
check "results: a write sets D" grep -Eq '^0x600000,w,3,ok,0x[0-9a-f]+,4k,,,,tea:[0-9],1,2,0x[0-9a-f]+=0x[0-9a-f]+,$' out.arch
check "results: a fault" grep -Eq '^0x123000,r,3,pf,,,0x4,0,,radix,[0-9],[0-9],,$' out.arch
check "results: not canonical" grep -q '^0x8000000000000000,r,3,gp,,,,,,-,0,0,,$' out.arch
check "results: clocks" grep -Eq ',[0-9]+$' out.rtl
rm -f out.*
good "translate from compressed files" "$dmt" translate -s state.zst -m memory.zst -r requests -o out.z
good "translate addresses from the command line" "$dmt" translate -s state -m memory 400000 0x600000
check "two results" [ "$(wc -l < stdout)" -eq 3 ]
"$dmt" translate -s state -m memory -r - < requests > stdout 2> stderr; check "requests from standard input" [ "$(wc -l < stdout)" -eq 6 ]
printf 'va,access,cpl,poke,cr0\n600000,r,3,,\n600000,r,3,%s=0,\n600000,r,3,,80010033\n' \
    "$("$dmt" translate -s state -m memory -e arch -r <(printf 'va,access,cpl\n600000,w,3\n') | tail -n 1 | cut -d, -f13 | cut -d= -f1)" > out.pokes
"$dmt" translate -s state -m memory -e all -r out.pokes > stdout 2> stderr
check "poke takes a page away, and it stays away" [ "$(cut -d, -f4 stdout | tr '\n' ' ')" = "status ok pf pf " ]
good "an ELF core of QEMU" "$dmt" import -m core --out-state out.s --out-memory out.m
good "the same, compressed" "$dmt" import -m core.zst --out-state out.s2 --out-memory out.m2
check "both give the same" cmp -s out.m out.m2
"$dmt" translate -s out.s -m core 12345678 > stdout 2> stderr; check "a 1 GiB page out of the core" grep -q '^0x12345678,r,3,ok,0x12345678,1g,,,,radix,2,' stdout
good "a kdump core with --root" "$dmt" import -m core.vmcore --root 1000 --out-state out.s --out-memory out.m
tail -c +289 core > out.raw
truncate -s 12288 out.raw
good "a raw image" "$dmt" translate -s state -m out.raw --base 1000 0
rm -f out.*

# ---- guests
captured=$top/sim/captures/nested
guest() { "$dmt" translate -s "$captured/state" -m "$captured/memory.zst" "$@" > stdout 2> stderr; }
for e in arch cycle rtl all; do
    guest -e $e -r guest.requests -o out.$e
    check "a guest's requests on $e" [ $? -eq 0 -a ! -s stderr ]
    cut -d, -f1-13 out.$e > out.$e.cut
    check "$e gives what arch gives for a guest" cmp -s out.arch.cut out.$e.cut
done
check "guest: gpa and pa" grep -Eq '^0x500001c67b78,r,0,ok,0x60715b78,4k,,,0x8020715b78,radix/radix,[0-9]+,[0-9]+,,$' out.arch
check "guest: smallest page" grep -Eq '^0x700010000000,r,0,ok,0x[0-9a-f]+,1g,,,0x8010000000,' out.arch
check "guest: its own page fault" grep -Eq '^0x123456000,w,0,pf,,,0x2,1,,radix/radix,' out.arch
check "guest: a nested page fault" grep -Eq '^0x510000000008,r,0,npt_fault,,,0x10000000[0-9a-f],0,0x300000008,radix/radix,' out.arch
rm -f out.*
good "import: registers of every stage" "$dmt" import -m "$captured/memory.zst" -s "$captured/state" --registers 16 --gtea --out-memory out.m --out-state out.s
check "a gTEA table and registers over it" [ "$(grep -Ec '^(gtea\.1\.table|gtea\.1\.entries|tea\.1\.0 = .* kind=gtea .* gtea=0x0|tea\.0\.0 = .* kind=pa )' out.s)" -eq 4 ]
"$dmt" translate -s out.s -m out.m -e all -r guest.requests > stdout 2> stderr
check "guest: two references by gTEA" [ $? -eq 0 -a -n "$(grep -E '^0x500001c67b78,r,0,ok,0x60715b78,4k,,,0x8020715b78,tea:[0-9]+/tea:[0-9]+,2,2,,' stdout)" ]
printf 'va,access,cpl,gtea.1.entries,poke\n500001c67b78,r,0,,\n500001c67b78,r,0,2,\n500001c67b78,r,0,,%x=0\n' \
    $(($(sed -n 's/^gtea.1.table = //p' out.s) + 32)) > out.r
"$dmt" translate -s out.s -m out.m -e all -r out.r > stdout 2> stderr
check "guest: a gTEA that is out of reach, and one that is taken away" [ $? -eq 0 -a "$(cut -d, -f4 stdout | tr '\n' ' ')" = "status ok gtea gtea " ]
good "import: the same with TEAs in guest memory" "$dmt" import -m "$captured/memory.zst" -s "$captured/state" --registers 16 --out-memory out.m2 --out-state out.s2
"$dmt" translate -s out.s2 -m out.m2 -e all -r guest.requests > stdout 2> stderr
check "guest: three references by TEA" grep -Eq ',ok,0x60715b78,4k,,,0x8020715b78,tea:[0-9]+/tea:[0-9]+,3,[34],,' stdout
good "import: a guest of a guest" "$dmt" import -m "$captured/memory.zst" -s "$captured/state" --nest --registers 16 --gtea --out-memory out.m3 --out-state out.s3
"$dmt" translate -s out.s3 -m out.m3 -e all -r guest.requests > stdout 2> stderr
check "guest of a guest: three references by gTEA" grep -Eq ',ok,0x60715b78,4k,,,0x8020715b78,tea:[0-9]+/tea:[0-9]+/tea:[0-9]+,3,[34],,' stdout
sed -i '/^tea/d; s/^mode/fallback = full\nmode/' out.s3
"$dmt" translate -s out.s3 -m out.m3 -e all -r guest.requests > stdout 2> stderr
check "guest of a guest: no shadow, no registers" grep -Eq ',ok,0x60715b78,4k,,,0x8020715b78,radix/radix/radix,' stdout
good "a state file that is written and read again" "$dmt" import -s out.s --out-state out.again
check "is the same" cmp -s out.s out.again
"$dmt" import -m "$captured/memory.zst" --info-registers guest.registers --s0-root 1fa34000 --s0-format npt --maxphyaddr 40 --out-state out.s --out-memory out.m > stdout 2> stderr
check "import: the guest from registers and a nested root" cmp -s out.s "$captured/state"
good "import: EPT with all that can be set" "$dmt" import --info-registers guest.registers --mode nested --s0-root 1000 --s0-format ept --s0-levels 5 --s1-root 2000 --s1-format npt --s1-levels 4 \
    --shadow-root 3000 --shadow-format ept --shadow-levels 4 --set shadow.ad=on --set s0.mbec=on --set s1.tag=7 --set gtea.2.table=5000 --set gtea.2.entries=1000 --out-state out.s
check "it is in the state file" [ "$(grep -Ec '^(mode = nested|cr3 = 0xabc000|s0.levels = 5|s0.mbec = on|s1.root = 0x2000|s1.tag = 0x7|shadow.ad = on|gtea.2.entries = 0x1000)$' out.s)" -eq 8 ]
bad "import: format" "s0.format: 'vpt' is not one of ept npt" "$dmt" import --info-registers guest.registers --s0-root 1000 --s0-format vpt --out-state out.s
bad "import: a root without its format" 'mode virt needs s0.root and s0.format' "$dmt" import --info-registers guest.registers --s0-root 1000 --out-state out.s
bad "import: no such key" "'colour' is not a key" "$dmt" import --info-registers guest.registers --set colour=blue --out-state out.s
bad "import: a key without a value" "'fallback' is not key=value" "$dmt" import --info-registers guest.registers --set fallback --out-state out.s
bad "import: nested root not in memory" 'stage 0: the root table at 0x9000 is not' "$dmt" import -m "$captured/memory.zst" -s "$captured/state" --s0-root 9000 --out-memory out.m
bad "import: --nest of a native system" 'not one of mode virt' "$dmt" import -m memory -s state --nest --out-memory out.m --out-state out.s
bad "import: --gtea of a native system" 'native has no guest' "$dmt" import -m memory -s state --maps maps --registers 4 --gtea --out-memory out.m --out-state out.s
bad "import: registers without maps" 'needs --maps in mode native' "$dmt" import -m memory -s state --registers 4 --out-memory out.m --out-state out.s
rm -f out.*

# ---- memory files
bad "memory: missing file" 'nothing: cannot open: No such file' "$dmt" translate -s state -m nothing 0
bad "memory: a folder" 'is a folder' "$dmt" translate -s state -m / 0
bad "memory: foreign file" 'maps: offset 0: neither a frames file' "$dmt" translate -s state -m maps 0
: > empty; bad "memory: empty file" 'empty: offset 0: neither' "$dmt" translate -s state -m empty 0
head -c 9 memory > cut; bad "memory: cut header" 'cut: offset 9: .*16-byte header' "$dmt" translate -s state -m cut 0
head -c 5000 memory > cut; bad "memory: cut record" 'cut: offset 4120: frame record cut' "$dmt" translate -s state -m cut 0
{ head -c 8 memory; printf '\2\0\0\0\0\0\0\0'; } > cut; bad "memory: version" 'offset 8: .*version 0x2, expected 1' "$dmt" translate -s state -m cut 0
{ cat memory; tail -c 4104 memory; } > cut; bad "memory: frame twice" 'appears twice' "$dmt" translate -s state -m cut 0
{ head -c 16 memory; printf '\377\377\377\377\377\377\377\377'; head -c 4096 /dev/zero; } > cut; bad "memory: frame number" 'beyond 52-bit' "$dmt" translate -s state -m cut 0
head -c $(($(stat -c %s memory.zst) / 2)) memory.zst > cut; bad "memory: compressed and cut" 'cut: offset [0-9]+: compressed data ends early' "$dmt" translate -s state -m cut 0
{ head -c 200 memory.zst; head -c 300 /dev/zero; } > cut; bad "memory: compressed and damaged" 'cut: offset [0-9]+: (damaged zstd|compressed data ends)' "$dmt" translate -s state -m cut 0
bad "memory: raw of odd length" 'maps: offset 0: raw image is not a multiple' "$dmt" translate -s state -m maps --base 0 0
bad "memory: base not aligned" 'multiple of 1000' "$dmt" translate -s state -m maps --base 123 0
bad "ELF: no machine note" 'no QEMU or VMCOREINFO note' "$dmt" translate -s state -m core.nonote 0
bad "ELF: cut" 'offset [0-9]+: core is cut' "$dmt" translate -s state -m core.cut 0
bad "ELF: cut in the header" 'core.short: ' "$dmt" translate -s state -m core.short 0
bad "ELF: not a core" 'ELF type 2' "$dmt" translate -s state -m core.exec 0
bad "ELF: other machine" 'machine 183' "$dmt" translate -s state -m core.arm 0
bad "ELF: impossible address" 'beyond 52 bits' "$dmt" translate -s state -m core.high 0
bad "kdump-compressed dump" 'makedumpfile -E' "$dmt" translate -s state -m kdump 0
bad "import: no registers in a kdump core" 'no registers' "$dmt" import -m core.vmcore --out-state out.s
bad "import: root not in memory" 'root table at 0x9000 is not in this memory' "$dmt" import -m core --root 9000 --out-memory out.m

# ---- state files
bad_state() { # NAME WORDS LINES
    printf "$3" > cut
    bad "state: $1" "$2" "$dmt" translate -s cut -m memory 0
}
bad_state "unknown key" 'cut:2: unknown key .colour' 'mode = native\ncolour = blue\n'
bad_state "no equals sign" 'cut:1: expected key = value' 'mode native\n'
bad_state "unknown mode" 'cut:1: mode: .fast. is not one of off native virt nested' 'mode = fast\n'
bad_state "not a number" 'cut:3: cr3: .xyz. is not a hex' '# a comment\n\ncr3 = xyz\n'
bad_state "number too long" 'cut:1: cr3: .*ffffffffffffffff' 'cr3 = 10000000000000000\n'
bad_state "maxphyaddr" 'cut:1: maxphyaddr: .60. .*32 to 52' 'maxphyaddr = 60\n'
bad_state "key twice" 'cut:3: cr3 is given twice, first in line 1' 'cr3 = 1000\ncr0 = 1\ncr3 = 2000\n'
bad_state "root above maxphyaddr" 'cut:2: cr3 0x100000000000 has bits' 'maxphyaddr = 40\ncr3 = 100000000000\n'
bad_state "reserved cr3 bits" 'cut:1: cr3 ' 'cr3 = 10000000000000\n'
bad_state "pkru too long" 'cut:1: pkru' 'pkru = 100000000\n'
bad_state "tea: set" 'cut:1: unknown key .tea.3.0' 'tea.3.0 = base_vpn=0 pages=1 sz=4k base_pfn=0\n'
bad_state "tea: index" 'cut:1: unknown key .tea.0.64' 'tea.0.64 = base_vpn=0 pages=1 sz=4k base_pfn=0\n'
bad_state "tea: unknown field" 'cut:1: unknown field .length' 'tea.0.0 = base_vpn=0 length=1\n'
bad_state "tea: missing field" 'cut:1: base_pfn is missing' 'tea.0.0 = base_vpn=0 pages=1 sz=4k\n'
bad_state "tea: size" 'cut:1: sz: .3. is not one of 4k 2m 1g' 'tea.0.0 = base_vpn=0 pages=1 sz=3 base_pfn=0\n'
bad_state "tea: rights" 'cut:1: allow: .rw. is not' 'tea.0.0 = base_vpn=0 pages=1 sz=4k base_pfn=0 allow=rw\n'
bad_state "tea: zero size" 'cut:1: tea.0.0: refused: pages is zero' 'tea.0.0 = base_vpn=0 pages=0 sz=4k base_pfn=0\n'
bad_state "tea: wraps" 'cut:2: tea.0.0: refused: .*passes 2.52' 'mode = native\ntea.0.0 = base_vpn=fffffffffffff pages=2 sz=4k base_pfn=0\n'
bad_state "tea: beyond maxphyaddr" 'cut:2: tea.0.1: refused: .*beyond maxphyaddr' 'maxphyaddr = 40\ntea.0.1 = base_vpn=0 pages=1 sz=4k base_pfn=10000000\n'
bad_state "tea: gTEA in the host set" 'cut:1: tea.0.0: refused: kind gtea' 'tea.0.0 = base_vpn=0 pages=1 sz=4k kind=gtea gtea=1\n'
bad_state "second stage: levels" 'cut:1: s0.levels: .3. is not 4 or 5' 's0.levels = 3\n'
bad_state "second stage: stage" 'cut:1: unknown key .s2.root' 's2.root = 1000\n'
second='s0.root = 1000\ns0.format = npt\n'
bad_state "second stage: format" 'cut:1: s1.format: .vpt. is not one of ept npt' 's1.format = vpt\n'
bad_state "second stage: root not aligned" 'cut:1: s0.root: 0x1800 is not a multiple' 's0.root = 1800\n'
bad_state "second stage: root above maxphyaddr" 'cut:2: s0.root: 0x100000000000 is above' 'maxphyaddr = 40\ns0.root = 100000000000\ns0.format = ept\nmode = virt\n'
bad_state "second stage: switch" 'cut:1: s0.ad: .yes. is not one of off on' 's0.ad = yes\n'
bad_state "second stage: tag" 'cut:1: s1.tag: .100. is not a hex number up to 0xff' 's1.tag = 100\n'
bad_state "virt without a second stage" 'cut:2: mode virt needs s0.root and s0.format$' 'cr3 = 1000\nmode = virt\ncr0 = 1\n'
bad_state "virt without a format" 'mode virt needs s0.root and s0.format$' 'mode = virt\ns0.root = 1000\n'
bad_state "virt with a root of 64 bits" 'cut:2: cr3 0x100000000000 has bits' 'maxphyaddr = 40\ncr3 = 100000000000\nmode = virt\n'"$second"
bad_state "nested without its second second stage" 'mode nested needs s1.root and s1.format$' 'mode = nested\n'"$second"
bad_state "nested without a shadow table" 'mode nested needs shadow.root and shadow.format, or fallback = full' 'mode = nested\ns1.root = 2000\ns1.format = ept\n'"$second"
bad_state "fallback" 'cut:1: fallback: .none. is not one of shadow full' 'fallback = none\n'
bad_state "shadow: tag" 'cut:1: unknown key .shadow.tag' 'shadow.tag = 1\n'
bad_state "shadow: root above maxphyaddr" 'cut:2: shadow.root: 0x100000000000 is above' 'maxphyaddr = 40\nshadow.root = 100000000000\n'
bad_state "gTEA table: set" 'cut:1: unknown key .gtea.0.table' 'gtea.0.table = 1000\n'
bad_state "gTEA table: field" 'cut:1: unknown key .gtea.1.size' 'gtea.1.size = 1000\n'
bad_state "gTEA table: not aligned" 'cut:1: gtea.1.table: 0x10 is not a multiple' 'gtea.1.table = 10\n'
bad_state "gTEA table: above maxphyaddr" 'cut:2: gtea.2.table: 0x100000000000 is above' 'maxphyaddr = 40\ngtea.2.table = 100000000000\n'
bad_state "gTEA table: entries" 'cut:1: gtea.1.entries: .1001. is not a hex number up to 0x1000' 'gtea.1.entries = 1001\n'
printf 'tea.1.0 = base_vpn=0 pages=1 sz=2m kind=gtea base_pfn=0 gtea=5 allow=wux\ntea.2.3 = base_vpn=0 pages=1 sz=4k base_pfn=1\nmode = native\n' > cut
good "state: registers of sets that the mode does not use" "$dmt" translate -s cut -m memory -e all 0
bad "state: missing file" 'nothing: cannot open' "$dmt" translate -s nothing -m memory 0
bad "state: binary file" 'memory:[0-9]+: ' "$dmt" translate -s memory -m memory 0

# ---- requests
bad_requests() { # NAME WORDS LINES
    printf "$3" > cut
    bad "requests: $1" "$2" "$dmt" translate -s state -m memory -r cut -o out.csv
}
bad_requests "empty" 'cut:0: the file is empty' ''
bad_requests "unknown column" 'cut:1: unknown column .colour' 'va,access,cpl,colour\n'
bad_requests "missing column" "cut:1: column 'cpl' is missing" 'va,access\n0,r\n'
bad_requests "no header" 'cut:1: unknown column .400000' '400000,r,3\n'
bad_requests "column twice" "cut:1: column 'va' appears twice" 'va,access,cpl,va\n'
bad_requests "too few fields" 'cut:3: 2 fields, the header has 3' 'va,access,cpl\n0,r,3\n0,r\n'
bad_requests "too many fields" 'cut:2: 4 fields' 'va,access,cpl\n0,r,3,1\n'
bad_requests "address" 'cut:2: va: .12g. is not' 'va,access,cpl\n12g,r,3\n'
bad_requests "address too long" 'cut:2: va: ' 'va,access,cpl\n10000000000000000,r,3\n'
bad_requests "access" 'cut:2: access: .q. is not r, w or x' 'va,access,cpl\n0,q,3\n'
bad_requests "cpl" 'cut:2: cpl: .4. is not 0 to 3' 'va,access,cpl\n0,r,4\n'
bad_requests "flag" 'cut:2: ac: .2. is not 0 or 1' 'va,access,cpl,ac\n0,r,3,2\n'
bad_requests "override" 'cut:2: cr3: .q. is not' 'va,access,cpl,cr3\n0,r,3,q\n'
bad_requests "override out of range" 'cut:2: cr3 0x' 'va,access,cpl,cr3\n0,r,3,7ff0000000000000\n'
bad_requests "override with a mode that lacks a key" 'cut:3: mode virt needs s0.root and s0.format' 'va,access,cpl,s0.root,s0.format,mode\n0,r,3,1000,npt,virt\n0,r,3,1000,,virt\n'
bad_requests "override of a second stage" 'cut:2: s0.levels: .6. is not 4 or 5' 'va,access,cpl,s0.levels\n0,r,3,6\n'
bad_requests "poke without value" 'cut:2: poke: .1000. is not addr=value' 'va,access,cpl,poke\n0,r,3,1000\n'
bad_requests "poke not aligned" 'cut:2: poke: address .1001. is not' 'va,access,cpl,poke\n0,r,3,1001=0\n'
bad_requests "poke outside the memory" 'cut:2: poke: address 0xffff000 is not in the memory' 'va,access,cpl,poke\n0,r,3,ffff000=0\n'
bad_requests "poke value" 'cut:2: poke: value .z. is not' 'va,access,cpl,poke\n0,r,3,1000000=z\n'
printf 'va,access,cpl\n0,r\0,3\n' > cut; bad "requests: zero byte" 'cut:2: a zero byte' "$dmt" translate -s state -m memory -r cut

# ---- traces
bad_trace() { bad "trace: $1" "$2" "$dmt" import --trace cut --out-trace out.t; }
: > cut; bad_trace "empty" 'cut: offset 0: the trace is empty'
head -c -1 trace | sed '$s/,.*//' > cut; bad_trace "lackey cut in a record" 'cut:[0-9]+: .* is not a lackey record'
printf 'I  0400,4\n Q 0400,4\n' > cut; bad_trace "unknown lackey record" "cut:2: ' Q 0400,4' is not a lackey record"
printf 'I  04zz,4\n' > cut; bad_trace "malformed lackey address" 'cut:1: .*malformed'
head -c 100 champsim > cut; bad_trace "ChampSim cut" 'cut: offset 64: ChampSim record cut: 36 of 64 bytes'
head -c 640 /dev/zero | tr '\0' '\377' > cut; bad_trace "foreign binary" 'offset 8: not a ChampSim record'
head -c 20 compact > cut; bad_trace "compact cut in a record" 'offset [0-9]+: compact trace cut'
head -c -3 compact > cut; bad_trace "compact cut at its end" 'offset [0-9]+: compact trace cut: no end mark|cut inside'
{ head -c 16 compact; printf '\003\000'; } > cut; bad_trace "compact with a bad record" 'access kind 3'
{ head -c 8 compact; printf '\7\0\0\0\0\0\0\0'; } > cut; bad_trace "compact of another version" 'not of version 1'
head -c 2000 trace.zst > cut; bad_trace "compressed and cut" 'compressed data ends early'
printf '\037\213\010xxxxxxxxx' > cut; bad_trace "gzip" 'pipe it'
bad "trace: kernel address in a replay" 'is not a user address' "$dmt" cosim --state state -m memory --trace <(echo 'I  ffffffff80000000,4')
good "ChampSim records" "$dmt" import --trace champsim --out-trace out.t
check "150 accesses" grep -q '^trace: 150 accesses (champsim)' stdout
good "compact again" "$dmt" import --trace compact --out-trace out.t2
check "is the same" cmp -s compact out.t2
zstdcat trace.zst | "$dmt" import --trace - --out-trace out.t3 > stdout 2> stderr; check "trace from standard input" cmp -s compact out.t3
"$dmt" import --trace - --out-trace out.t4 < trace.zst > stdout 2> stderr; check "compressed trace from standard input" cmp -s compact out.t4
rm -f out.*

# ---- maps and registers text
printf '00400000-0050' > cut; bad "maps: cut line" 'cut:1: ' "$dmt" import -m memory -s state --maps cut --registers 4 --out-memory out.m --out-state out.s
printf '00500000-00400000 r-xp 0 0 0\n' > cut; bad "maps: backward range" 'cut:1: area' "$dmt" import -m memory -s state --maps cut --registers 4 --out-memory out.m --out-state out.s
printf 'hello world\n' > cut; bad "maps: foreign file" 'cut:1: expected start-end perms' "$dmt" import -m memory -s state --maps cut --registers 4 --out-memory out.m --out-state out.s
bad "maps: no such process" 'no section .# pid 7' "$dmt" import -m memory -s state --maps maps --pid 7 --registers 4 --out-memory out.m --out-state out.s
bad "registers: foreign file" 'maps: no CR0= of processor 0' "$dmt" import -m memory --info-registers maps --out-state out.s
printf 'CR0=xyz\n' > cut; bad "registers: not a number" 'cut:1: CR0= is not followed' "$dmt" import -m memory --info-registers cut --out-state out.s
bad "registers: number" '--registers: 1 to 64' "$dmt" import -m memory -s state --maps maps --registers 0 --out-memory out.m --out-state out.s
printf 'CPU#0\nCR0=80050033 CR2=0 CR3=0000000001000000 CR4=20\nEFER=d01\nCPU#1\nCR0=1 CR3=2000 CR4=0\nEFER=0\n' > registers
good "registers of QEMU" "$dmt" import --info-registers registers --out-state out.s
check "CR3 is there" grep -q '^cr3 = 0x1000000$' out.s
good "registers of the second processor" "$dmt" import --info-registers registers --cpu 1 --out-state out.s
check "its CR3 is there" grep -q '^cr3 = 0x2000$' out.s
bad "registers of a processor that is not there" 'no CR0= of processor 2' "$dmt" import --info-registers registers --cpu 2 --out-state out.s
rm -f out.*

# ---- outputs
mkdir -p ro
bad "output: folder missing" 'nowhere/out: cannot write: No such file' "$dmt" translate -s state -m memory -o nowhere/out 0
bad "output: is a folder" 'ro: cannot write: Is a directory' "$dmt" translate -s state -m memory -o ro 0
bad "output: full device" 'dev/full: cannot write: No space' "$dmt" translate -s state -m memory -o /dev/full 0
"$dmt" translate -s state -m memory 0 > /dev/full 2> stderr; check "standard output: full device" [ $? -eq 2 ]
echo keep > out.csv; "$dmt" translate -s state -m memory -r requests -o out.csv -e rtl -c smallest > stdout 2> stderr
check "an output file stays as it was when a run fails" [ $? -eq 2 -a "$(cat out.csv)" = keep -a "$(ls out.csv* | wc -l)" -eq 1 ]
rm -f out.*
{ "$dmt" translate -s state -m memory -r many 2> stderr; echo $? > rc; } | head -n 1 > /dev/null
check "a closed pipe ends with SIGPIPE" [ "$(cat rc)" -eq 141 -a ! -s stderr ]

# ---- options and commands
bad "no command" 'Usage' sh -c '"$0" 2>&1 | head -n 1 >&2; exit 2' "$dmt"
"$dmt" > stdout 2> stderr; check "no command: exit 2" [ $? -eq 2 ]
"$dmt" fly > stdout 2> stderr; check "unknown command: exit 2" [ $? -eq 2 ]
unbroken() { # examples and lists: no line goes on in the first column
    ! awk '/^(Examples?|Scenarios|A scenario file .*):/ { list = 1; next } /^$/ { list = 0 } list && /^[^ ]/' stdout |
        grep .
}
for c in "" translate cosim import run waves board bench; do
    "$dmt" $c --help > stdout 2> stderr
    check "${c:-dmt} --help" [ $? -eq 0 -a ! -s stderr ]
    check "${c:-dmt} --help has an example" grep -q 'Example' stdout
    check "${c:-dmt} --help can be read and copied" unbroken
done
bad "translate: unknown option" 'unrecognized option' "$dmt" translate --fast
bad "translate: no state" '--state and --memory are required' "$dmt" translate 0
bad "translate: no addresses" 'either --requests or addresses' "$dmt" translate -s state -m memory
bad "translate: engine" "'fast' is not arch, cycle, rtl or all" "$dmt" translate -s state -m memory -e fast 0
bad "translate: configuration" "'huge' is not one of tiny .*largest" "$dmt" translate -s state -m memory -e rtl -c huge 0
bad "translate: address" "'0x1z' is not a 64-bit hex address" "$dmt" translate -s state -m memory 0x1z
bad "cosim: replay without state" 'a replay needs' "$dmt" cosim --trace trace
bad "cosim: mode" "'odd' is not native" "$dmt" cosim --mode odd
bad "cosim: number" "'1x' is not a decimal" "$dmt" cosim --walks 1x
bad "cosim: profile" 'profile' "$dmt" cosim --profile odd --walks 10
bad "cosim: waves into nowhere" 'nowhere/w.fst' "$dmt" cosim --walks 10 --waves nowhere/w.fst
bad "run: no captures" 'nowhere: cannot open' "$dmt" run --captures nowhere
mkdir -p none; bad "run: empty folder" 'no captured system' "$dmt" run --captures none -o ro

# ---- co-simulation
good "cosim: random" "$dmt" cosim --seed 3 --seeds 2 --walks 300
check "no divergences" grep -q '^divergences: 0$' stdout
check "600 walks" grep -q '^walks: *6[0-9][0-9]$' stdout
for mode in native virt nested mix; do
    good "cosim: mode $mode" "$dmt" cosim --mode $mode --seed 5 --walks 300
    check "no divergences" grep -q '^divergences: 0$' stdout
done
bad "cosim: the mode of a replay" "state file's mode" "$dmt" cosim --mode virt --state state --memory memory --trace trace
good "cosim: a guest's requests" "$dmt" cosim --state "$captured/state" --memory "$captured/memory.zst" --requests guest.requests
check "no divergences" grep -q '^divergences: 0$' stdout
good "cosim: trace through the TLB" "$dmt" cosim --state state --memory memory --trace trace
check "most walks by TEA" grep -Eq '^  tea  ' stdout
good "cosim: trace with registers cleared" "$dmt" cosim --state state --memory memory --trace compact --no-registers
check "none by TEA" [ -z "$(grep '^  tea ' stdout)" ]
printf 'threads = 2\nthreads = 3\n' > twice.scenario
printf 'mix.map = 1\ntea.registers = 99\n' > range.scenario
printf 'mix.map = 3\nmix.unmap = 1 # no more\nprocesses = 2\n' > own.scenario
head -c 70000 /dev/zero > zero.scenario
bad "scenario: unknown name" "'odd' is not a scenario" "$dmt" cosim --scenario odd
bad "scenario: no such file" 'none.scenario' "$dmt" cosim --scenario ./none.scenario
bad "scenario: a key twice" 'twice.scenario: line 2: threads is given twice' "$dmt" cosim --scenario ./twice.scenario
bad "scenario: out of range" "line 2: tea.registers: '99' is not a number from 1 to 64" "$dmt" cosim --scenario ./range.scenario
bad "scenario: no text" 'expected a text' "$dmt" cosim --scenario ./zero.scenario
bad "scenario: a trace besides" 'goes with' "$dmt" cosim --scenario database --trace trace --state state --memory memory
bad "scenario: walks" 'goes with' "$dmt" cosim --scenario database --walks 10
bad "cosim: waves that are no FST" "'w.vcd' does not end in .fst" "$dmt" cosim --waves w.vcd
bad "scenario: a configuration too small" 'more register sets' "$dmt" cosim --scenario live-migration --config smallest
bad "scenario: profile" 'profile' "$dmt" cosim --scenario database --profile odd
bad "arch without a scenario" 'belongs to --scenario' "$dmt" cosim --dut arch
good "scenario: own file on the RTL" "$dmt" cosim --scenario ./own.scenario --operations 20 --waves out.fst
check "scenario: waves are there" [ -s out.fst ]
good "scenario: architectural model" "$dmt" cosim --scenario nested-tenants --dut arch --operations 60 --seeds 2
check "scenario: what was done is said" grep -q '^coverage:.*references a walk' stdout
rm -f out.*
good "cosim: requests" "$dmt" cosim --state state --memory memory --requests requests --waves out.fst
check "waves were written" [ -s out.fst ]
rm -f out.*

# ---- run
cp -r "$top/sim/captures/gups" systems/
good "run: a captured system" "$dmt" run --captures systems --limit 20000 -o page
check "run: all of QEMU's translations" grep -Eq '^gups, native: .* ([0-9]+) of \1 translations of QEMU agree' stdout
check "run: no divergences" grep -q ' 0 divergences$' stdout
check "run: page and waves" [ -s page/report.html -a -s page/gups.fst ]
check "run: the page needs nothing from outside" [ -z "$(grep -E 'src=|href=|url\(' page/report.html)" ]
sed -i '2s/,.*/,1234567000/' systems/gups/oracle.csv
"$dmt" run --captures systems --limit 2000 -o page > stdout 2> stderr
check "run: a wrong translation of QEMU would be noticed" [ $? -eq 1 ]
head -c 5000 systems/gups/trace.zst > cut; mv cut systems/gups/trace.zst
"$dmt" run --captures systems -o page > stdout 2> stderr
check "run: a cut trace" [ $? -eq 2 -a "$(grep -c 'compressed data ends early' stderr)" -eq 1 ]
rm -rf systems/gups page
cp -r "$captured" systems/guest
good "run: a captured guest" "$dmt" run --captures systems --limit 300 -o page
for mode in virt nested nested-full; do
    check "run: guest, $mode: all accesses of the oracle" grep -Eq "^guest, $mode: .* ([0-9]+) of \1 translations of QEMU agree" stdout
    check "run: guest, $mode: waves" [ -s page/guest-$mode.fst ]
done
check "run: no divergences of guests" grep -q ' 0 divergences$' stdout
check "run: two references by gTEA" grep -Eq '^guest +virt .* 2\.000 ' stdout
check "run: three references by gTEA" grep -Eq '^guest +nested .* 3\.000 ' stdout
check "run: says that a stage is generated" grep -q 'generated: a stage 1' stdout
sed -i '2s/ok,\([0-9a-f]*\),/ok,1000,/' systems/guest/oracle.csv
"$dmt" run --captures systems --limit 100 -o page > stdout 2> stderr
check "run: a wrong access of a guest would be noticed" [ $? -eq 1 ]
echo 'hello,world' >> systems/guest/oracle.csv
bad "run: a bad oracle" 'oracle.csv:2135: expected gva,access' "$dmt" run --captures systems --limit 100 -o page
rm -rf systems/guest page
}

mkdir systems
python3 -c "
print('va,access,cpl')
for i in range(200000): print('%x,r,3' % (0x600000 + i * 8))" > many

# Ctrl-C: a flag for cosim, immediate elsewhere; always the signal's own status.
signals() {
    set -m
    "$dmt" cosim --walks 100000000 > stdout 2> stderr &
    pid=$!
    sleep 1; kill -INT $pid; wait $pid
    check "Ctrl-C in cosim: signal status" [ $? -eq 130 ]
    check "Ctrl-C in cosim: what was done is reported" grep -q '^walks: ' stdout
    "$dmt" translate -s state -m memory -e rtl -r - -o out.csv > stdout 2> stderr < <(echo va,access,cpl; sleep 5) &
    pid=$!
    sleep 0.5; kill -INT $pid; wait $pid
    check "Ctrl-C in translate: signal status" [ $? -eq 130 ]
    "$dmt" import --trace - --out-trace out.t > stdout 2> stderr < <(cat trace; sleep 5) &
    pid=$!
    sleep 0.5; kill -TERM $pid; wait $pid
    check "SIGTERM in import: signal status" [ $? -eq 143 ]
    check "nothing half-written stays" [ -z "$(ls -A | grep '^out')" ]
    set +m
}

for which in dmt asan/dmt; do
    dmt=$build/$which label=$which
    [ -x "$dmt" ] || { [ $which = dmt ] && echo "not ok $label: no such program"; continue; }
    all_checks
    signals 2>/dev/null
done
