#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first process of the captured guest (see system.sh, which packs it).
# Runs a program under Valgrind's lackey, writes BLOCKS blocks of 64 KiB of its
# trace after the first SKIP_BLOCKS (or from when LOAD makes the file
# /tmp/start) to /dev/vda, prints the program's areas on
# the serial line, and leaves the program running so that its tables can be
# captured.
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for round in 1 2 3; do # modules need each other: what fails in one round loads in the next
    for m in /modules/*.ko; do
        insmod $m 2>/dev/null
    done
done
if [ ! -b /dev/vda ]; then
    echo "CAPTURE-FAILED: no disk, modules loaded: $(cut -d' ' -f1 /proc/modules | tr '\n' ' ')"
    poweroff -f
fi
ip link set lo up
echo 1 > /proc/sys/vm/overcommit_memory
. /capture.conf # PROGRAM, LOAD, SKIP_BLOCKS, BLOCKS, THP
echo "$THP" > /sys/kernel/mm/transparent_hugepage/enabled

echo "guest: kernel $(uname -r), running $PROGRAM"
mkfifo /tmp/trace
sh -c "exec valgrind -q --tool=lackey --trace-mem=yes --log-file=/tmp/trace $PROGRAM" \
    > /tmp/program.log 2>&1 &
pid=$!
sh -c "$LOAD" > /tmp/load.log 2>&1 &

# Whole blocks, not lines: emulated processors are slow, so what can be done
# outside is. The reader keeps draining after the last block: a blocked program
# would never run again, and its CR3 could not be seen in the processor.
{
    if [ "$SKIP_BLOCKS" = load ]; then # the load says when: it makes /tmp/start
        while [ ! -e /tmp/start ]; do
            dd of=/dev/null bs=65536 count=16 iflag=fullblock 2>/dev/null
        done
    elif [ "$SKIP_BLOCKS" -gt 0 ]; then
        dd of=/dev/null bs=65536 count="$SKIP_BLOCKS" iflag=fullblock
    fi
    echo "guest: tracing"
    dd of=/dev/vda bs=65536 count="$BLOCKS" iflag=fullblock
    touch /tmp/done
    cat > /dev/null
} < /tmp/trace 2>&1 &

while [ ! -e /tmp/done ]; do
    sleep 1
    if [ ! -e /proc/$pid ]; then
        cat /tmp/program.log /tmp/load.log
        echo "CAPTURE-FAILED: the program ended before the trace did"
        poweroff -f
    fi
done
sync
echo MAPS-BEGIN
cat /proc/$pid/maps
echo MAPS-END
tail -n 3 /tmp/load.log
echo CAPTURE-READY
while :; do sleep 1000; done
