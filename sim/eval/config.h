/* SPDX-License-Identifier: Apache-2.0
 * The simulated machine: TLBs, caches, memory, paging-structure caches, walkers,
 * and what the designs add to it. Every value is a key of a machine file (text,
 * `key = value`, `#` comments), defaults are those of the paper's table 3;
 * clocks are cumulative (a level's number replaces those above it). */
#ifndef SIM_EVAL_CONFIG_H
#define SIM_EVAL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { EVAL_LRU, EVAL_LFU, EVAL_FIFO };

/* X(field, key, least, most, default, what). A cache of n entries in w ways has
 * n / w sets; 0 entries leave it out; ways = entries is fully associative. */
#define EVAL_KEYS(X) \
    X(l1i_entries, "tlb.l1i.entries", 1, 65536, 128, "L1 instruction TLB, all page sizes") \
    X(l1i_ways, "tlb.l1i.ways", 1, 65536, 8, "") \
    X(l1d_entries, "tlb.l1d.entries", 1, 65536, 64, "L1 data TLB, 4K pages") \
    X(l1d_ways, "tlb.l1d.ways", 1, 65536, 4, "") \
    X(l1h_entries, "tlb.l1d.huge.entries", 0, 65536, 32, "L1 data TLB, 2M and 1G pages; 0: they share that of 4K") \
    X(l1h_ways, "tlb.l1d.huge.ways", 1, 65536, 4, "") \
    X(l2_entries, "tlb.l2.entries", 0, 1 << 20, 1536, "second-level TLB, all page sizes") \
    X(l2_ways, "tlb.l2.ways", 1, 65536, 12, "") \
    X(l2_clocks, "tlb.l2.clocks", 0, 1000, 0, "a hit in it costs so much") \
    X(tlb_policy, "tlb.policy", 0, 2, EVAL_LFU, "0 least recently, 1 least frequently used goes first, 2 first in first out") \
    X(d1_bytes, "cache.l1d.bytes", 64, 1 << 30, 32768, "") \
    X(d1_ways, "cache.l1d.ways", 1, 64, 8, "") \
    X(d1_clocks, "cache.l1d.clocks", 1, 10000, 4, "") \
    X(d2_bytes, "cache.l2.bytes", 64, 1 << 30, 1048576, "") \
    X(d2_ways, "cache.l2.ways", 1, 64, 16, "") \
    X(d2_clocks, "cache.l2.clocks", 1, 10000, 14, "") \
    X(d3_bytes, "cache.llc.bytes", 64, 1 << 30, 23068672, "") \
    X(d3_ways, "cache.llc.ways", 1, 64, 11, "") \
    X(d3_clocks, "cache.llc.clocks", 1, 10000, 54, "") \
    X(mem_clocks, "memory.clocks", 1, 100000, 200, "a read that no cache serves, from start to end") \
    X(dram_banks, "memory.banks", 0, 1024, 0, "banks with a row each; 0: every read takes memory.clocks and none waits") \
    X(dram_row, "memory.row.bytes", 64, 1 << 20, 8192, "bytes of an open row") \
    X(dram_hit, "memory.row.hit", 1, 100000, 150, "clocks of a read in the open row, in place of memory.clocks") \
    X(dram_busy, "memory.busy", 1, 100000, 90, "clocks that a bank is taken by a read that opens a row") \
    X(dram_burst, "memory.burst", 1, 10000, 8, "clocks that the bus is taken by a line") \
    X(next_line, "prefetch.next_line", 0, 1, 1, "an L1D miss also fetches the next line") \
    X(pwc4_entries, "pwc.l4.entries", 0, 4096, 2, "paging-structure cache of level-4 entries (walks go on at level 3)") \
    X(pwc4_ways, "pwc.l4.ways", 1, 4096, 1, "") \
    X(pwc3_entries, "pwc.l3.entries", 0, 4096, 4, "") \
    X(pwc3_ways, "pwc.l3.ways", 1, 4096, 4, "") \
    X(pwc2_entries, "pwc.l2.entries", 0, 4096, 32, "") \
    X(pwc2_ways, "pwc.l2.ways", 1, 4096, 4, "") \
    X(pwc_policy, "pwc.policy", 0, 2, EVAL_LRU, "as tlb.policy") \
    X(pwc_clocks, "pwc.clocks", 0, 1000, 1, "a walk that starts from it costs so much more, once a stage's walk") \
    X(pwc_span, "pwc.span", 1, 64, 1, "neighbouring entries that one tag covers (the published simulator: 8)") \
    X(pwc_combined, "pwc.combined", 0, 1, 0, "entries of a guest's table lead to host addresses: no host walk after a hit") \
    X(npwc, "pwc.second", 0, 1, 1, "a second set of them serves second-stage walks") \
    X(npwc_final, "pwc.second.final", 0, 1, 1, "it also serves the walk of the final address") \
    X(npwc_root, "pwc.second.root", 0, 1, 1, "it also serves the walk of a guest's root table") \
    X(repeat_miss, "artifact.repeat_miss", 0, 1, 0, "the published simulator's caches: what is asked for twice in a row is not found") \
    X(ntlb_entries, "ntlb.entries", 0, 4096, 0, "nested TLB, guest-physical page to host-physical page, of every second stage") \
    X(ntlb_ways, "ntlb.ways", 1, 4096, 4, "") \
    X(ntlb_clocks, "ntlb.clocks", 0, 1000, 1, "") \
    X(walker_port, "walker.port", 1, 2, 1, "where walks enter the caches: 1 L1D, 2 L2") \
    X(walker_ports, "walker.ports", 1, 64, 2, "reads that one walk may start in a clock") \
    X(walkers, "walker.count", 1, 4, 1, "walks at a time") \
    X(window, "walker.window", 0, 4096, 0, "accesses that may be under way beyond one that waits, 0: one after the other") \
    X(walk_first, "walker.first", 0, 1000, 0, "clocks beyond memory of a walk's first reference (RTL: 2)") \
    X(walk_next, "walker.next", 0, 1000, 0, "the same of each further one (RTL: 1)") \
    X(walk_chain, "walker.chain", 0, 1000, 0, "the same of a TEA that lies in guest memory, above stage 0 (RTL: 1)") \
    X(dmt_registers, "dmt.registers", 1, 64, 16, "TEA registers a set") \
    X(dmt_gtea_cached, "dmt.gtea_cached", 0, 1, 1, "1: the gTEA's base is kept beside the register, 0: each walk reads the table") \
    X(dmt_wait_all, "dmt.wait_all", 0, 1, 0, "pages of several sizes: 0: a walk goes on with the first entry that decides, as the RTL does, 1: it waits for every size's") \
    X(dmt_foresight, "dmt.foresight", 0, 1, 0, "1: of pages of several sizes the entry that decides is the only one read, as if its size were known: what the others cost") \
    X(tea_present, "tea.present", 0, 100, 0, "above 0: in areas of huge pages the register of 4K pages covers only the longest run of 2M blocks of which at least so many per cent have 4K pages; 0: the whole area") \
    X(fpt_entries, "fpt.pwc.entries", 0, 4096, 32, "flattened tables: cache of upper entries") \
    X(fpt_ways, "fpt.pwc.ways", 1, 4096, 4, "") \
    X(fpt_layout, "fpt.layout", 0, 2, 0, "1: L4+L3 and L2+L1 merged, 2: L3+L2 merged, 0: 1 where a stage has 4K pages only, else 2") \
    X(fpt_priority, "fpt.priority", 0, 1, 0, "flattened tables: lines of tables stay in L2 and LLC rather than data") \
    X(ecpt_ways, "ecpt.ways", 2, 8, 3, "elastic cuckoo tables: ways a page size") \
    X(ecpt_hash, "ecpt.hash", 0, 1000, 2, "clocks of the hash") \
    X(ecpt_cwc, "ecpt.cwc", 0, 1000, 4, "clocks of a look into the cuckoo walk caches, beside the hash") \
    X(ecpt_cwc_pud, "ecpt.cwc.pud", 0, 4096, 2, "entries of the walk cache, 512 GB each") \
    X(ecpt_cwc_pmd, "ecpt.cwc.pmd", 0, 4096, 16, "entries of the walk cache, 1 GB each") \
    X(ecpt_occupancy, "ecpt.occupancy", 1, 99, 60, "per cent at which a way grows") \
    X(ecpt_lines, "ecpt.lines", 1, 1 << 24, 16384, "lines (8 entries) a way to begin with, a power of two") \
    X(ecpt_late, "ecpt.late", 0, 1, 0, "0: a walk ends with the line that holds the entry, 1: with the last one probed") \
    X(ecpt_hcwc_pte, "ecpt.hcwc.pte", 0, 4096, 16, "nested: entries of the walk caches for 4K host pages, 2 MB each; of guest tables, and as many of data") \
    X(ecpt_hcwc_window, "ecpt.hcwc.window", 1, 1 << 30, 1000, "nested: so many looks decide whether the one of data is worth its traffic") \
    X(ecpt_hcwc_off, "ecpt.hcwc.off", 0, 100, 50, "per cent of hits in it below which it is left alone") \
    X(ecpt_hcwc_on, "ecpt.hcwc.on", 0, 100, 85, "per cent of hits in the 1 GB one above which it is tried again") \
    X(ecpt_stc, "ecpt.stc", 0, 4096, 10, "nested: entries of the cache of addresses of cuckoo walk tables") \
    X(asap_delay, "asap.delay", 0, 1000, 0, "clocks until prefetches start") \
    X(asap_residual, "asap.residual", 0, 1, 1, "the walk reads prefetched entries from L1D again") \
    X(asap_registers, "asap.registers", 0, 1024, 16, "areas with range registers, the largest ones") \
    X(asap_host, "asap.host", 0, 1, 1, "virtualized: host walks prefetch, too") \
    X(agile_writes, "agile.writes", 1, 1 << 20, 2, "stores to a guest table page until it is walked nested") \
    X(agile_interval, "agile.interval", 1, 4000000000, 2000000000, "clocks within which those count, and without one after which it is shadowed again") \
    X(agile_levels, "agile.levels", 0, 6, 0, "0: by policy; n: always n - 1 levels of the guest's table nested, 6: its root, too") \
    X(os_remap, "os.remap", 0, 4000000000, 0, "once in so many accesses the kernel unmaps the page of the next one and maps it anew, which is a fault; 0: never") \
    X(host_move, "host.move", 0, 4000000000, 0, "once in so many accesses the innermost hypervisor moves the frame of the next one; 0: never") \
    X(exit_clocks, "exit.clocks", 0, 1000000, 3600, "a VM exit (1.8 us at 2 GHz)")

struct eval_config {
#define X(field, key, least, most, value, what) uint32_t field;
    EVAL_KEYS(X)
#undef X
};

/** The paper's table 3. */
void eval_config_default(struct eval_config *c);
/** Read a machine file over *c. False after saying file, line and what was expected. */
bool eval_config_read(const char *path, struct eval_config *c);
/** One `key=value` of the command line. False after saying what is wrong. */
bool eval_config_set(struct eval_config *c, const char *assignment);
/** Sizes that do not go together (entries no multiple of ways, ..). False after saying which. */
bool eval_config_check(const struct eval_config *c);
/** All keys with their values, as a machine file. */
void eval_config_write(const struct eval_config *c, FILE *out);
/** All keys, ranges, defaults, meanings: a Markdown table. */
void eval_config_help(FILE *out);

#endif
