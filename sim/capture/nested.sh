#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Capture a guest of a guest: AMD nested page tables as Linux KVM makes them,
# the guest's own page tables, and what the processor made of some thousand accesses.
#
#   nested.sh OUT KERNEL_DEB
#
# boots the kernel of a Debian linux-image package under QEMU, which emulates a
# processor with SVM and nested paging, with kvm_amd and the virtual machine of
# nested-vm.c in its initrd; waits until that has tried its accesses; stops
# while the inner guest owns a processor, and finds its nested root in the
# control block (VMCB) that the hypervisor keeps for it. Results in OUT:
#
#   registers.txt   QEMU monitor "info registers": those of the inner guest
#   ncr3            root of the nested tables (hex)
#   core.zst        memory of the machine as an ELF core
#   oracle.csv      gva,access,outcome,gpa,hpa,error_code
#   meta.txt        what was run
#
# and the dmt import command that makes memory and state of them. Emulation of a
# hypervisor is slow: minutes. Environment: MEM (MiB, default 3072).
# Needs: qemu-system-x86 busybox-static gcc cpio zstd python3, and the package file.
set -euo pipefail
[ $# -eq 2 ] || { sed -n '3,24p' "$0" >&2; exit 2; }
out=$1 deb=$2 mem=${MEM:-3072}
here=$(dirname "$(readlink -f "$0")")
for tool in qemu-system-x86_64 busybox gcc cpio zstd dpkg python3; do
    command -v $tool > /dev/null || { echo "nested.sh: $tool is not installed" >&2; exit 2; }
done
. "$here/monitor.sh"
guest_cr3=abc000 # ROOT in nested-vm.c
mkdir -p "$out"
work=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill $qemu 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# ---- initrd
root=$work/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp,modules}
dpkg -x "$deb" "$work/kernel"
for m in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd drivers/crypto/ccp/ccp; do
    cp "$work"/kernel/lib/modules/*/kernel/$m.ko "$root/modules/" 2> /dev/null || :
done
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
    [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
gcc -O2 -static -o "$root/bin/nested-vm" "$here/nested-vm.c"
cp "$here/nested-init.sh" "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/initrd"

# ---- boot, with the monitor (QMP) on a pair of named pipes
mkfifo "$work/qmp.in" "$work/qmp.out"
qemu-system-x86_64 -accel tcg -cpu EPYC,+svm,+npt,+nrip-save,+pdpe1gb -smp 2 -m "$mem" -nodefaults \
    -display none -no-reboot -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=5 hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=40" \
    -serial "file:$work/serial" -chardev "pipe,id=qmp,path=$work/qmp" -mon chardev=qmp,mode=control &
qemu=$!
exec 3> "$work/qmp.in" 4< "$work/qmp.out"
qmp '{"execute":"qmp_capabilities"}' > /dev/null
echo "nested.sh: the machine is running, waiting for the guest in it"
while ! grep -q CAPTURE-READY "$work/serial" 2> /dev/null; do
    sleep 2
    if grep -q CAPTURE-FAILED "$work/serial" || ! kill -0 $qemu 2> /dev/null; then
        cat "$work/serial" >&2
        exit 1
    fi
done
{
    echo gva,access,outcome,gpa,hpa,error_code
    tr -d '\r' < "$work/serial" | sed -n 's/^ROW //p'
} > "$out/oracle.csv"

# ---- stop while a processor runs the inner guest
processor=
for try in $(seq 200); do
    qmp '{"execute":"stop"}' > /dev/null
    monitor "info registers -a" > "$out/registers.txt"
    processor=$(awk -v cr3="$guest_cr3" '/^CPU#/ { cpu = substr($1, 5) }
        match($0, /CR3=[0-9a-f]+/) { x = substr($0, RSTART + 4, RLENGTH - 4); sub(/^0+/, "", x)
                                     if (x == cr3) { print cpu; exit } }' "$out/registers.txt")
    [ -z "$processor" ] || break
    qmp '{"execute":"cont"}' > /dev/null
    sleep 0.1$((try % 10))
done
[ -n "$processor" ] || { echo "nested.sh: no processor was seen in the inner guest" >&2; exit 1; }
dump "$work/core"

# ---- the nested root: a page that looks like the VMCB of a guest with that CR3.
# Offsets: APM volume 2, appendix B.
python3 - "$work/core" $guest_cr3 > "$out/ncr3" << 'PYTHON'
import mmap, struct, sys
core = open(sys.argv[1], 'rb')
data = mmap.mmap(core.fileno(), 0, access=mmap.ACCESS_READ)
cr3 = int(sys.argv[2], 16)
NESTED_CTL, N_CR3, EFER, SAVED_CR3 = 0x90, 0xb0, 0x4d0, 0x550
LONG_MODE_SVM = 0x1500
word = lambda at: struct.unpack_from('<Q', data, at)[0]
roots = set()
offset, size, count = word(32), *struct.unpack_from('<HH', data, 54)
for i in range(count):
    kind, _, at, _, _, length = struct.unpack_from('<IIQQQQ', data, offset + i * size)
    for page in range(at, at + length - 4095 if kind == 1 else at, 4096):
        if (word(page + SAVED_CR3) == cr3 and word(page + NESTED_CTL) & 1 and word(page + N_CR3) % 4096 == 0
                and word(page + EFER) & LONG_MODE_SVM == LONG_MODE_SVM):
            roots.add(word(page + N_CR3))
if len(roots) != 1:
    sys.exit('nested.sh: %d candidates for the nested root: %s' % (len(roots), ' '.join(map(hex, roots))))
print('%x' % roots.pop())
PYTHON
{
    echo "system: AMD nested paging: kvm_amd of $(basename "$deb") and the guest of sim/capture/nested-vm.c"
    echo "oracle: accesses of that guest; the ok ones exchanged a value through the page"
    echo "cpu: EPYC,+svm,+npt,+nrip-save,+pdpe1gb, memory: $mem MiB"
    qemu-system-x86_64 --version | head -n 1
} > "$out/meta.txt"
echo '{"execute":"quit"}' >&3
wait $qemu || :
qemu=
zstd -q -f -T2 "$work/core" -o "$out/core.zst"
ls -l "$out"
echo "next: build/dmt import -m $out/core.zst --info-registers $out/registers.txt --cpu $processor" \
    "--s0-root $(cat "$out/ncr3") --s0-format npt --maxphyaddr 40 --out-memory $out/memory.zst --out-state $out/state"
