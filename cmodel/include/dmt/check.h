/* SPDX-License-Identifier: Apache-2.0
 * The oracle and the invariants: what must be true of the software side after
 * every operation (docs/software.md, "Invariants"). The oracle is a plain map
 * from page to frame and rights, kept from what the kernel said it decided
 * (struct dmt_os_watch), never read from page tables. */
#ifndef DMT_CHECK_H
#define DMT_CHECK_H

#include "dmt/api.h"
#include "dmt/arch.h"
#include "dmt/host.h"
#include "dmt/os.h"

DMT_API_BEGIN

struct dmt_oracle;

/** Translates a frame of the kernel's level to an hPA frame. False: not backed. NULL at level 0. */
typedef bool (*dmt_to_host)(void *user, uint64_t pfn, uint64_t *hpfn);

struct dmt_oracle *dmt_oracle_new(unsigned threads);
void dmt_oracle_delete(struct dmt_oracle *o);
/** The hooks to give to the kernel that it watches. One oracle a kernel. */
struct dmt_os_watch dmt_oracle_watch(struct dmt_oracle *o);
/** Frames of the kernel are translated by this before they are compared with a pa. */
void dmt_oracle_below(struct dmt_oracle *o, dmt_to_host to_host, void *user);
/** The host has moved a frame of the kernel's memory, or is about to: old
 * translations of it stay legal on a thread until dmt_oracle_moved_flushed. */
void dmt_oracle_moved(struct dmt_oracle *o, uint64_t pfn, uint64_t old_hpfn);
void dmt_oracle_moved_flushed(struct dmt_oracle *o, uint64_t pfn, unsigned thread);

/** A moment, to be kept with an access when it is issued. */
uint64_t dmt_oracle_now(const struct dmt_oracle *o);
/** No access issued before this moment is in flight any more: history older than it may be forgotten. */
void dmt_oracle_forget(struct dmt_oracle *o, uint64_t moment);

/** Judge an answer (OK or PF of the entering stage) of an access of pid on a
 * thread, issued at that moment: it must be what some state of the page
 * between then and now says; a state that was replaced counts until its flush has completed on the
 * thread. from_tlb: the answer came from the TLB. NULL, or what is wrong, in a static buffer. */
const char *dmt_oracle_judge(struct dmt_oracle *o, int pid, unsigned thread, const struct dmt_request *q,
                             const struct dmt_result *r, uint64_t moment, bool from_tlb);
/** Pages mapped in all. */
uint64_t dmt_oracle_pages(const struct dmt_oracle *o);

/** The five invariants of one space, and its table against the oracle (o may be
 * NULL, pid is then ignored). vm: for spaces of a guest's kernel, its machine,
 * whose gTEAs its registers name; NULL at level 0 and for second stages. `loaded`: registers as each thread has
 * them (threads x policy.registers), NULL rows are not loaded. NULL when all hold, or which does
 * not, where, expected and got, in a static buffer.
 *   I1  LIVE TEAs of one size do not overlap, nor do valid registers
 *   I2  every present entry of a LIVE TEA is the very leaf (same address) the radix walk reads
 *   I3  every radix leaf of the size in a LIVE range is in its slot, or its slot holds nothing present
 *   I4  no frame inside a TEA or of a linked table is free, on any thread's registers either
 *   I5  a guest's register resolves inside its own machine's gTEAs only */
const char *dmt_check_space(const struct dmt_space *s, struct dmt_oracle *o, int pid, const struct dmt_vm *vm,
                            const struct dmt_tea *const *loaded, unsigned threads);

DMT_API_END

#endif
