# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# QEMU's monitor on the file descriptors 3 (to it) and 4 (from it), for the
# capture scripts to source.

answer() { # next reply of the monitor that is not an event
    local line
    while read -r line <&4; do
        case $line in
            *'"event"'* | *'"QMP"'*) ;;
            *'"error"'*) echo "${0##*/}: monitor: $line" >&2; return 1 ;;
            *) printf '%s\n' "$line"; return ;;
        esac
    done
    echo "${0##*/}: QEMU has ended" >&2
    return 1
}
qmp() { echo "$1" >&3; answer; }
monitor() { # a human monitor command, its text on stdout
    qmp '{"execute":"human-monitor-command","arguments":{"command-line":"'"$1"'"}}' |
        sed -e 's/^{"return": "//' -e 's/"}\r*$//' -e 's/\\r\\n/\n/g'
}
dump() { # guest memory as an ELF core
    qmp '{"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:'"$1"'"}}' > /dev/null
}
