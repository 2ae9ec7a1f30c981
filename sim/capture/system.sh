#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Capture a running Linux system: page tables, registers, areas and an access
# trace of one process, all of the same run.
#
#   system.sh OUT KERNEL_DEB SKIP RECORDS PROGRAM [LOAD]
#
# boots the kernel of a Debian linux-image package under QEMU with a small
# initrd that holds busybox, Valgrind, PROGRAM and the shared libraries they
# need, runs PROGRAM under Valgrind's lackey (LOAD, a shell command, beside
# it), keeps RECORDS records of the trace after about the first SKIP (or, when
# SKIP is "load", from when LOAD makes the file /tmp/start), stops the machine
# while the process is on the processor, and asks QEMU's monitor for what is
# needed. Valgrind's lackey runs its client at the client's own
# addresses inside one process, so the tables of that process map every
# address of the trace. Results in the folder OUT:
#
#   registers.txt   QEMU monitor "info registers"
#   core.zst        guest memory as an ELF core ("dump-guest-memory")
#   maps            /proc/PID/maps
#   lackey.zst      the trace
#   oracle.csv      gva,pa: QEMU's own translation of sampled addresses
#   meta.txt        what was run
#
# dmt import turns them into memory, state and trace files; see README.md.
# Environment: THP (always, madvise, never; default never), MEM (MiB, default
# 768), CPU (default max,la57=off), ACCEL (kvm where it works; default tcg),
# BINARIES (further programs for LOAD).
# Needs: qemu-system-x86 busybox-static valgrind cpio zstd, and the package
# file (apt-get download linux-image-cloud-amd64's dependency).
set -euo pipefail
[ $# -ge 5 ] || { sed -n '3,31p' "$0" >&2; exit 2; }
out=$1 deb=$2 skip=$3 records=$4 program=$5 load=${6:-true}
mem=${MEM:-768} cpu=${CPU:-max,la57=off} thp=${THP:-never}
here=$(dirname "$(readlink -f "$0")")
for tool in qemu-system-x86_64 busybox valgrind cpio zstd dpkg; do
    command -v $tool > /dev/null || { echo "system.sh: $tool is not installed" >&2; exit 2; }
done
. "$here/monitor.sh"
mkdir -p "$out"
work=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill $qemu 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# ---- initrd
root=$work/root
mkdir -p "$root"/{bin,usr/bin,proc,sys,dev,tmp,modules,usr/libexec/valgrind}
dpkg -x "$deb" "$work/kernel"
for m in virtio/virtio virtio/virtio_ring virtio/virtio_pci_modern_dev virtio/virtio_pci_legacy_dev \
         virtio/virtio_pci block/virtio_blk; do
    cp "$work"/kernel/lib/modules/*/kernel/drivers/$m.ko "$root/modules/"
done
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
    [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
add() { # a program and the libraries it names
    cp -L "$1" "$root/usr/bin/"
    { ldd "$1" 2>/dev/null || :; } | sed -n 's,[^/]*\(/[^ ]*\.so[^ ]*\).*,\1,p' | sort -u |
    while read -r lib; do
        mkdir -p "$root$(dirname "$lib")"
        cp -L "$lib" "$root$lib"
    done
}
for binary in $(command -v valgrind.bin || command -v valgrind) ${program%% *} ${BINARIES:-}; do
    add "$binary"
done
[ ! -e "$root/usr/bin/valgrind.bin" ] || mv "$root/usr/bin/valgrind.bin" "$root/usr/bin/valgrind"
cp /usr/libexec/valgrind/{lackey-amd64-linux,vgpreload_core-amd64-linux.so,default.supp} \
    "$root/usr/libexec/valgrind/"
cp "$here/guest-init.sh" "$root/init"
chmod 755 "$root/init"
binary=${program%% *}
cat > "$root/capture.conf" <<CONF
PROGRAM=$(printf %q "/usr/bin/${binary##*/}${program#"$binary"}")
LOAD=$(printf %q "$load")
SKIP_BLOCKS=$([ "$skip" = load ] && echo load || echo $((skip * 14 / 65536)))
BLOCKS=$((records * 17 / 65536 + 1))
THP=$thp
CONF
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/initrd"

# ---- boot, with the monitor (QMP) on a pair of named pipes
truncate -s 4G "$work/disk"
mkfifo "$work/qmp.in" "$work/qmp.out"
qemu-system-x86_64 -accel "${ACCEL:-tcg}" -cpu "$cpu" -smp 1 -m "$mem" -nodefaults -display none -no-reboot \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=5 random.trust_cpu=on" \
    -serial "file:$work/serial" -chardev "pipe,id=qmp,path=$work/qmp" -mon chardev=qmp,mode=control \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" &
qemu=$!
exec 3> "$work/qmp.in" 4< "$work/qmp.out"
qmp '{"execute":"qmp_capabilities"}' > /dev/null

echo "system.sh: guest is running, waiting for $records records"
while ! grep -q CAPTURE-READY "$work/serial" 2>/dev/null; do
    sleep 2
    if grep -q CAPTURE-FAILED "$work/serial" || ! kill -0 $qemu 2>/dev/null; then
        cat "$work/serial" >&2
        exit 1
    fi
done
tr -d '\r' < "$work/serial" | sed -n '/^MAPS-BEGIN/,/^MAPS-END/p' | sed '1d;$d' > "$out/maps"

# ---- stop while the traced process owns the processor: its text must be mapped
probe=$(awk '/lackey-amd64-linux/ && $2 ~ /x/ { sub(/-.*/, "", $1); print $1; exit }' "$out/maps")
for try in $(seq 200); do
    qmp '{"execute":"stop"}' > /dev/null
    case $(monitor "gva2gpa 0x$probe") in *gpa:*) break ;; esac
    qmp '{"execute":"cont"}' > /dev/null
    sleep 0.1$((try % 10))
done
monitor "info registers" > "$out/registers.txt"
dump "$work/core"

# ---- QEMU's own translations: the first page of every area and every 61st page after it
awk '{ split($1, r, "-"); print r[1], r[2] }' "$out/maps" | while read -r from to; do
    [ ${#to} -le 12 ] || continue
    for ((va = 16#$from, k = 0; va < 16#$to && k < 400; va += 61 * 4096, k++)); do
        printf -v hex '%x' $va
        reply=$(monitor "gva2gpa 0x$hex" < /dev/null)
        case $reply in
            gpa:*) reply=${reply#gpa: 0x}; echo "$hex,${reply%%[!0-9a-f]*}" ;;
            *) echo "$hex,fault" ;;
        esac
    done
done > "$work/oracle"
{ echo gva,pa; cat "$work/oracle"; } > "$out/oracle.csv"
{
    echo "program: ${binary##*/}${program#"$binary"}"
    echo "load: $load"
    echo "trace: $records lackey records, from $skip on (load: from when the load said so)"
    echo "kernel: $(basename "$deb")"
    echo "cpu: $cpu, memory: $mem MiB, transparent huge pages: $thp"
    qemu-system-x86_64 --version | head -n 1
    valgrind --version
} > "$out/meta.txt"
echo '{"execute":"quit"}' >&3
wait $qemu || :
qemu=
zstd -q -f -T2 "$work/core" -o "$out/core.zst"
# The first line is cut where the skipped blocks end; a record has 14 to 16 characters.
{ tr -d '\000' < "$work/disk" || :; } | sed -n "2,$((records + 1))p;$((records + 1))q" |
    zstd -q -f -10 -o "$out/lackey.zst"
ls -l "$out"
