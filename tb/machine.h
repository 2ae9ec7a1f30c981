/* SPDX-License-Identifier: Apache-2.0
 * The hardware that software runs on: one host memory, and hardware threads
 * that each have a TLB and an MMU with its CSR port. Two kinds behind one
 * interface: the architectural model (an access is done at once) and live
 * co-simulation (RTL beside the cycle model, judged, any number of accesses
 * in flight; whatever software does takes clocks, in which walks go on).
 *
 * The TLB obeys the CSR writes that the MMU gets (specification 10), is tagged
 * as hardware is, and keeps what it can, so that a missing flush shows. */
#ifndef TB_MACHINE_H
#define TB_MACHINE_H

#include "dmt/arch.h"
#include "dmt/mem.h"
#include "dmt/platform.h"
#include "tb/cosim.h"

struct machine;

/** Accesses of a thread that wait in line for the MMU before machine_access() waits itself. */
#define MACHINE_WINDOW 64

/** An access that is done. */
struct machine_answer {
    unsigned thread;
    struct dmt_request request;
    struct dmt_result result; /**< refs, reads, path as for cosim_source.answer; from the TLB: no reads */
    bool from_tlb;
    uint32_t clocks;          /**< of the walk, 0 without clocks */
    uint64_t user;            /**< as given to machine_access */
};

struct machine_options {
    unsigned threads;               /**< 1..DMT_THREADS_MAX */
    const struct dut_ops *dut;      /**< NULL: the architectural model */
    const struct dmt_config *config; /**< parameters of every thread's MMU; NULL: dut's, or "default" */
    bool lockstep;                  /**< the cycle model beside dut; judged it is in any case */
    /** Memory profile; NULL: uniform. With one that is always ready and of fixed latency the requester
     * is always ready too, so that clocks can be measured; else it comes and goes at random. */
    const char *profile;
    uint64_t seed;
    unsigned linger;                /**< clocks that pass with a store by software, at most; random; 0: none */
    unsigned tlb_sets;              /**< TLB entries a page size and thread, a power of two; 0: no TLB */
    const char *waves;              /**< FST of thread 0's MMU, or NULL */
    const char *waves_dir;          /**< where a divergence's waves go, as cosim_options */
    uint64_t waves_first, waves_last;
    const char *command;            /**< that repeats the run */
    FILE *log;                      /**< NULL: stderr */
    /** Called for every answer, from inside any machine_* call but machine_new.
     * Must not call machine_* itself: keep what is to be done for later. */
    void (*answer)(void *user, const struct machine_answer *a);
    void *user;
};

struct machine_stats {
    uint64_t accesses, tlb_hits, walks;
    uint64_t cycles;                      /**< of thread 0 */
    uint64_t refs, reads, updates;        /**< of walks that ended OK */
    uint64_t ok, covered;                 /**< walks that ended OK; of them every stage by TEA */
    uint64_t stage_ok[3], stage_tea[3];   /**< walks that ended OK and used the stage; of them by TEA */
    uint64_t clocks;                      /**< of walks that ended OK */
    uint64_t csr_writes, stores;
    uint64_t divergences;                 /**< 0 or 1 */
};

/** NULL: cosim_error() says why. mem is used in place and stays the caller's. */
struct machine *machine_new(const struct machine_options *o, struct dmt_mem *mem);
void machine_free(struct machine *m);

unsigned machine_threads(const struct machine *m);
const struct dmt_config *machine_config(const struct machine *m);
const struct machine_stats *machine_stats(const struct machine *m);
/** False from the first divergence on: reported, and nothing is checked or clocked after it. */
bool machine_ok(const struct machine *m);

/** A store by software, seen by exclusive monitors. False: the frame is absent. */
bool machine_store(struct machine *m, uint64_t pa, uint64_t value);
/** Exchange, as one store. */
bool machine_exchange(struct machine *m, uint64_t pa, uint64_t value, uint64_t *old);
/** Write a CSR (any window: offset from the start of the map); returns when it is answered. It comes after
 * the accesses that were asked of this thread before it, which use the old value. */
void machine_csr(struct machine *m, unsigned thread, unsigned offset, uint64_t value);
/** Read one. */
uint64_t machine_csr_read(struct machine *m, unsigned thread, unsigned offset);

/** The state that the thread's CSR writes have led to, TEA registers included. */
const struct dmt_state *machine_state(const struct machine *m, unsigned thread);

/** An access by whatever runs on the thread; answered through options.answer, now or later. From the TLB
 * it takes no time, else one clock and those that it waits for. */
void machine_access(struct machine *m, unsigned thread, const struct dmt_request *q, uint64_t user);
/** Accesses not answered yet. As long as it is below MACHINE_WINDOW another is taken without waiting. */
unsigned machine_in_flight(const struct machine *m, unsigned thread);
/** Let time pass: n clocks (live machines). */
void machine_idle(struct machine *m, unsigned clocks);
/** Until everything has been answered and come to rest; then nothing may be left over (judge). */
void machine_drain(struct machine *m);

/** A level-0 platform on the machine: frames of `buddy` are added to the
 * memory as software first clears or stores to them; TEAs come from the buddy.
 * Image area of 16 frames taken from it, where there is set load (more than one
 * set), and granted to set 0 of every thread; MODE becomes NATIVE. Valid while
 * machine and buddy are. NULL: out of memory. */
struct dmt_platform *machine_platform_new(struct machine *m, struct dmt_buddy *buddy);
void machine_platform_free(struct dmt_platform *p);

#endif
