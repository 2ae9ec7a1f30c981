#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three linters on every named configuration, and the file list they all read.
# Prints "ok NAME" or "not ok NAME" a check, with the tool's complaint.
set -u
cd "$(dirname "$0")/.."
mapfile -t rtl < <(grep '^rtl/' rtl/dmt.f)
status=0

check() { # NAME COMMAND...: passes when the command succeeds and says nothing
    local name=$1 said
    shift
    if said=$("$@" 2>&1) && [ -z "$said" ]; then
        echo "ok $name"
    else
        echo "not ok $name"
        head -n 40 <<<"$said" | sed 's/^/    /'
        status=1
    fi
}

file_list() { diff <(ls rtl/*.v) <(printf '%s\n' "${rtl[@]}" | sort); }

# Conflicting drivers, loops and latches. Small memories become registers here as
# they do in every instance; that alone is nothing to complain about.
yosys_check() {
    local set=${*/#/-chparam }
    yosys -q -p "read_verilog -Irtl ${rtl[*]}; hierarchy -check -top dmt_mmu ${set//=/ }; proc;
                 check -assert; select -assert-none t:\$dlatch" 2>&1 | grep -vE '^$|Warning: Replacing memory'
    return "${PIPESTATUS[0]}"
}

check "rtl/dmt.f lists every rtl/*.v" file_list
while read -r name params; do
    read -ra p <<<"$params"
    check "verilator -Wall, $name" verilator --lint-only -Wall -fno-const-bit-op-tree -Irtl --top-module dmt_mmu \
        "${p[@]/#/-G}" "${rtl[@]}"
    check "iverilog -g2005 -Wall, $name" iverilog -g2005 -Wall -t null -Irtl -s dmt_mmu \
        "${p[@]/#/-Pdmt_mmu.}" "${rtl[@]}"
    check "yosys check -assert, $name" yosys_check "${p[@]}"
done < <(/usr/bin/python3 rtl/configs.py list; echo "two_sets SETS=2")  # no named configuration has two
exit $status
