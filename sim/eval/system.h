/* SPDX-License-Identifier: Apache-2.0
 * The software under a workload: kernel and hypervisors of cmodel/ on simulated
 * memory, which map its areas, serve its faults, and keep its TEAs. Page tables,
 * coverage, fallback and migration are what comes out of them. */
#ifndef SIM_EVAL_SYSTEM_H
#define SIM_EVAL_SYSTEM_H

#include "dmt/arch.h"
#include "dmt/host.h"
#include "dmt/mem.h"
#include "dmt/os.h"
#include "eval/mirror.h"
#include "eval/workload.h"

enum eval_env { EVAL_NATIVE, EVAL_VIRT, EVAL_NESTED, EVAL_ENVS };

struct eval_system_options {
    enum eval_env env;
    const struct eval_area *area;
    size_t areas;
    bool thp;              /**< transparent huge pages, and 2M backing by the host, where they can be had */
    bool host_huge;        /**< 2M backing by the host without THP in the guest (HugeGPT) */
    bool tea;              /**< TEAs at all */
    bool pv;               /**< VIRT, NESTED: TEAs of guests as gTEAs, else in their own memory */
    bool full;             /**< NESTED: fallback over the real stages, else over a shadow table */
    unsigned registers;    /**< TEA registers a set */
    unsigned present;      /**< struct dmt_tea_policy's present_percent, of every level */
    unsigned fragment;     /**< per cent of every level's free memory that is useless for 2M blocks, before the workload starts */
    uint64_t seed;
};

struct eval_system;

/** Kernel (and hypervisors), one process with the areas mapped, running on
 * thread 0; nothing touched yet. NULL after saying why. */
struct eval_system *eval_system_new(const struct eval_system_options *o);
void eval_system_free(struct eval_system *s);

/** Touch every resident page in address order, as initialisation does; background work in between.
 * progress (may be NULL) is told pages done and in all. False after saying why (out of simulated memory)
 * or when it returns false. */
bool eval_system_populate(struct eval_system *s, bool (*progress)(void *user, uint64_t done, uint64_t of), void *user);
/** Serve the fault of an access by the program that found something not present, in whatever stage; A and D
 * bits need no fault. False after saying why: outside all areas, or out of memory. */
bool eval_system_fault(struct eval_system *s, uint64_t va, unsigned access);
/** The kernel gives up the page at va, whatever its size, and maps its place anew, empty: the next access is a fault.
 * Nothing happens where none is present. False after saying why. */
bool eval_system_remap(struct eval_system *s, uint64_t va);
/** The hypervisor of the machine that the process's kernel runs in moves the frame at va (2M pages of its table are
 * split). Nothing happens where none is present, where it is pinned or no frame is free, and in NATIVE. */
void eval_system_move(struct eval_system *s, uint64_t va);
/** A slice of the TEA managers' background work at every level. True: more to do. */
bool eval_system_work(struct eval_system *s);

struct eval_range {
    uint64_t vpn, pages;
};
/** What has been flushed: what hardware forgets of it, and what of the process is mapped otherwise since. */
struct eval_flush {
    bool process;          /**< all translations of the process, else those of page[] */
    bool host;             /**< what is known of second stages */
    bool moved;            /**< frames of a machine have moved in host memory: which is not said */
    bool one;              /**< one has: frame gfn, which is page vpn of the process */
    uint64_t vpn, gfn;
    size_t pages, ranges;
    const uint64_t *page;  /**< page numbers */
    const struct eval_range *range;
};
/** Flushes by kernel and hypervisors since the last call. NULL: none. Valid until the system is used again. */
const struct eval_flush *eval_system_flushed(struct eval_system *s);

/** The areas that it was made with, in address order. */
size_t eval_system_areas(const struct eval_system *s, const struct eval_area **area);
/** Registers as the hardware has them now, gTEAs resolved: mode, roots, TEA registers. Changes with the
 * system; the pointer stays valid. */
const struct dmt_state *eval_system_state(const struct eval_system *s);
/** Simulated host memory: tables and TEAs, nothing else. */
struct dmt_mem *eval_system_mem(const struct eval_system *s);
/** The table of stage k (0 is the host's, or the process's in NATIVE), or of the shadow table; NULL where there is none. */
#define EVAL_SHADOW 3
struct mirror *eval_system_stage(const struct eval_system *s, unsigned k);
/** Exits that the shadow table under a hypervisor inside has cost so far: for pages that it lacked, and for flushes
 * by that hypervisor, with which it is given up. */
void eval_system_shadow_exits(const struct eval_system *s, uint64_t *lacked, uint64_t *flushes);
/** Counts up whenever TEA registers, roots or host backing may have changed. */
uint64_t eval_system_generation(const struct eval_system *s);
/** n free contiguous host frames for tables of a design's own (hash tables, flattened nodes), zeroed and
 * present when `present`, else only addresses are taken. False: none. */
bool eval_system_frames(struct eval_system *s, uint64_t n, bool present, uint64_t *pfn);
/** The same in the memory of the machine that the process's kernel runs in: contiguous guest frames, backed at
 * every level, of which only addresses are taken. False: none, or NATIVE. */
bool eval_system_guest_frames(struct eval_system *s, uint64_t n, uint64_t *gfn);

/** What software did and what it cost so far, sums over levels. */
struct eval_system_stats {
    uint64_t pages;                    /**< 4K pages resident */
    uint64_t area_pages[3], covered[3]; /**< of each stage (tables' areas), and of them in a live TEA */
    uint64_t registers[3];             /**< valid ones of each stage */
    uint64_t tables, tea_frames, tea_used; /**< frames */
    uint64_t faults, violations, exits, hypercalls, csr_writes;
    uint64_t guest_stores;             /**< stores to page tables by guests (exits under shadow paging) */
    uint64_t zeroed, copied, moved_tables, migrated, alloc_failed;
    double fragmentation;              /**< unusable free space index for 2M, host */
};
void eval_system_stats(struct eval_system *s, struct eval_system_stats *t);

#endif
