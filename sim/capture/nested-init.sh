#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first process of the captured hypervisor (see nested.sh, which packs it):
# loads KVM and runs the virtual machine of nested-vm.c, whose rows go to the
# serial line.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for _ in 1 2 3; do # modules need each other: what fails in one round loads in the next
    for m in /modules/*.ko; do
        insmod "$m" 2>/dev/null
    done
done
if [ ! -c /dev/kvm ]; then
    echo "CAPTURE-FAILED: no /dev/kvm, modules loaded: $(cut -d' ' -f1 /proc/modules | tr '\n' ' ')"
    poweroff -f
fi
echo 1 > /proc/sys/vm/overcommit_memory
echo madvise > /sys/kernel/mm/transparent_hugepage/enabled
echo "hypervisor: kernel $(uname -r), nested paging $(cat /sys/module/kvm_amd/parameters/npt)"
nested-vm > /tmp/rows &
vm=$!
while ! grep -q ROWS-END /tmp/rows; do
    sleep 1
    if [ ! -e /proc/$vm ]; then
        cat /tmp/rows
        echo "CAPTURE-FAILED: the virtual machine ended"
        poweroff -f
    fi
done
cat /tmp/rows
echo CAPTURE-READY
while :; do sleep 1000; done
