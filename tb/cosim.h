/* SPDX-License-Identifier: Apache-2.0
 * Co-simulation as a library: what `dmt cosim` and `dmt translate --engine
 * rtl|cycle` call. A run drives one device under test, or two side by side,
 * with stimuli that are a pure function of the options, through the memory
 * agent, and checks what comes out. */
#ifndef TB_COSIM_H
#define TB_COSIM_H

#include "dmt/arch.h"
#include "dmt/mem.h"
#include "tb/dut.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ------------------------------------------------------------ requests from outside */

/** A 64-bit store by software. */
struct cosim_poke {
    uint64_t addr; /**< hPA, multiple of 8; absent frames are an error of the caller */
    uint64_t value;
};

/** One request of a replayed list, with what software does before it. */
struct cosim_item {
    struct dmt_request request;
    /** Registers this request wants, or NULL for no change. The CSR writes
     * that lead from the state in force to this one are made when all earlier
     * answers have been taken. */
    const struct dmt_state *state;
    const struct cosim_poke *poke; /**< stores made before it, followed by an INV of everything */
    size_t poke_n;
};

/** A list of requests to replay in place of random stimuli. */
struct cosim_source {
    void *user;
    const struct dmt_mem *mem;     /**< memory at the start; the run works on a copy */
    const struct dmt_state *state; /**< registers at the start */
    /** Next item, or false at the end. Pointers in it stay valid until the next call. */
    bool (*next)(void *user, struct cosim_item *item);
    /** Start again from the first item; called when a divergence is re-run with waves. */
    void (*rewind)(void *user);
    /** May be NULL. The answer of item n (from 0), in the order of answers.
     * refs, reads, updates, path and index are those of the walk trace port. */
    void (*answer)(void *user, uint64_t n, const struct dmt_request *request, const struct dmt_result *result,
                   uint32_t clocks);
};

/* ------------------------------------------------------------ a run */

/** Situations that judged runs count, so that a campaign can show what it
 * reached: X(name, text). */
#define COSIM_COVER_LIST(X) \
    X(TEA_4K, "NATIVE: TEA translation, 4K") \
    X(TEA_2M, "NATIVE: TEA translation, 2M") \
    X(TEA_1G, "NATIVE: TEA translation, 1G") \
    X(TEA_TWO, "second of several sizes looked at") \
    X(TEA_THREE, "third of three sizes looked at") \
    X(SURPLUS, "fetch of several sizes decided before its last one") \
    X(SURPLUS_LATE, "surplus read answered after its walk's answer") \
    X(SURPLUS_STAGES, "surplus reads of two stages of a walk on their way") \
    X(TEA_MULTI, "two registers of one size match") \
    X(TEA_UPDATE, "A/D update through a TEA") \
    X(TEA_LOST, "A/D update through a TEA, reservation lost") \
    X(TEA_BUS, "bus error in a TEA fetch") \
    X(RESTART_OK, "TEA fetch that does not count, then x86") \
    X(RESTART_LATE, "TEA fetch that does not count in an exclusive read") \
    X(X86_4K, "NATIVE: x86 translation, 4K") \
    X(X86_2M, "NATIVE: x86 translation, 2M") \
    X(X86_1G, "NATIVE: x86 translation, 1G") \
    X(FIVE, "walk from a PML5") \
    X(START_PML4E, "NATIVE: walk started from a cached PML4E") \
    X(START_PDPTE, "NATIVE: walk started from a cached PDPTE") \
    X(START_PDE, "NATIVE: walk started from a cached PDE") \
    X(UPDATE_LEAF, "x86 A/D update of a leaf") \
    X(UPDATE_UPPER, "x86 A update of an upper entry") \
    X(UPDATE_LOST, "x86 A/D update, reservation lost") \
    X(PF_ABSENT, "page fault, not present") \
    X(PF_RSVD, "page fault, reserved bit") \
    X(PF_RIGHTS, "page fault, rights") \
    X(PF_KEY, "page fault, protection key") \
    X(BUS_NOT_EXCLUSIVE, "exclusive read answered OKAY") \
    X(BUS_READ_SLVERR, "read answered SLVERR") \
    X(BUS_READ_DECERR, "read answered DECERR") \
    X(BUS_WRITE_SLVERR, "A/D write answered SLVERR") \
    X(BUS_WRITE_DECERR, "A/D write answered DECERR") \
    X(RETRY, "speculative request told to retry") \
    X(AD_NEEDED, "update needed and hardware updates off") \
    X(GP, "address not canonical") \
    X(PASS, "passed through") \
    X(VIRT_TEA_2, "VIRT: 2 references, all TEA (KIND GTEA)") \
    X(VIRT_TEA_3, "VIRT: 3 references, all TEA (KIND PA)") \
    X(VIRT_RADIX, "VIRT: walks of every stage") \
    X(VIRT_MIXED, "VIRT: TEA in one stage, walk in the other") \
    X(NESTED_TEA_3, "NESTED: 3 references, all TEA (KIND GTEA)") \
    X(NESTED_TEA_PA, "NESTED: all TEA, KIND PA among them") \
    X(NESTED_SHADOW, "NESTED: walks of every stage, shadow table") \
    X(NESTED_FULL, "NESTED: walks of every stage, FULL") \
    X(NESTED_MIXED, "NESTED: TEA in one stage, walk in another") \
    X(NESTED_SHADOW_TEA, "NESTED: TEA in set 1 for one address, shadow table for another") \
    X(LEAF_4K, "second stage: last leaf 4K") \
    X(LEAF_2M, "second stage: last leaf 2M") \
    X(LEAF_1G, "second stage: last leaf 1G") \
    X(LEAF_SMALLER, "page smaller than the entering stage says") \
    X(EPT_OK, "translated through EPT") \
    X(NPT_OK, "translated through NPT") \
    X(EXECUTE_ONLY, "page that may not be read") \
    X(CHAIN, "entry of a KIND PA register located by a stage below") \
    X(CHAIN_TWO, "KIND PA entry located by a KIND PA entry") \
    X(NEXT_SIZE, "sizes one after another, not the first decides") \
    X(GTEA_SIZES, "second of several sizes of KIND GTEA looked at") \
    X(RESTART_ENTERING, "VIRT or NESTED: restart of the entering stage") \
    X(RESTART_SECOND, "restart of a second stage") \
    X(UPDATE_SECOND, "A/D update in a second stage") \
    X(UPDATE_GUEST, "A/D update of an entry that a second stage located") \
    X(UPDATE_GTEA, "A/D update in a gTEA") \
    X(PASS_TWO, "second pass") \
    X(START_COMBINED_4, "VIRT, NESTED: entering stage started at level 3 from a cache") \
    X(START_COMBINED_3, "VIRT, NESTED: entering stage started at level 2 from a cache") \
    X(START_COMBINED_2, "VIRT, NESTED: entering stage started at level 1 from a cache") \
    X(START_SECOND_4, "second stage started at level 3 from a cache") \
    X(START_SECOND_3, "second stage started at level 2 from a cache") \
    X(START_SECOND_2, "second stage started at level 1 from a cache") \
    X(START_SHADOW, "shadow table entered from a cache") \
    X(START_FULL, "FULL: stage 1 started from a cache") \
    X(START_BOTH, "entering stage and second stage started from caches") \
    X(VIOLATION_ABSENT, "EPT violation, not present") \
    X(VIOLATION_RIGHTS, "EPT violation, rights") \
    X(VIOLATION_WIDTH, "EPT violation or NPT fault, address too wide") \
    X(VIOLATION_TABLE, "EPT violation for a table access") \
    X(VIOLATION_WRITE, "EPT violation: table must be written (A5)") \
    X(VIOLATION_STAGE1, "fault of stage 1, FULL") \
    X(VIOLATION_SHADOW, "fault of the shadow table") \
    X(MISCONFIG, "EPT misconfiguration") \
    X(NPT_ABSENT, "NPT fault, not present") \
    X(NPT_RSVD, "NPT fault, reserved bit") \
    X(NPT_RIGHTS, "NPT fault, rights") \
    X(NPT_TABLE, "NPT fault for a table access") \
    X(GTEA_UNRESOLVED, "gTEA register not resolved") \
    X(GTEA_BOUND, "past the end of a gTEA") \
    X(GTEA_SET1, "gTEA event of set 1") \
    X(GTEA_SET2, "gTEA event of set 2") \
    X(BUS_GUEST, "bus error reading an entry that a second stage located") \
    X(BUS_GTEA, "bus error in a gTEA") \
    X(RETRY_SECOND, "VIRT, NESTED: told to retry") \
    X(AD_NEEDED_SECOND, "VIRT, NESTED: update needed and updates off") \
    X(LOAD_OK, "gTEA resolved") \
    X(LOAD_BAD_ID, "gTEA ID out of range") \
    X(LOAD_ABSENT, "gTEA absent") \
    X(LOAD_WIDTH, "gTEA empty or too wide") \
    X(LOAD_BUS, "gTEA table read with a bus error") \
    X(LOAD_REVOKED, "gTEA revoked") \
    X(LOAD_COMMAND, "gTEA resolved by command") \
    X(SET_LOAD_0, "set load done, set 0") \
    X(SET_LOAD_1, "set load done, set 1") \
    X(SET_LOAD_2, "set load done, set 2") \
    X(SET_LOAD_RESOLVED, "set load done, a gTEA resolved") \
    X(SET_LOAD_REFUSED, "set load done, a word refused") \
    X(SET_LOAD_BUS, "set load ended by a bus error") \
    X(CSR_HELD, "clock in which a register write waits for walks") \
    X(CSR_REFUSED, "register write refused") \
    X(CSR_ERROR, "register access answered SLVERR") \
    X(REFUSED_TEA, "refused: TEA register") \
    X(REFUSED_CR3, "refused: CR3") \
    X(REFUSED_INV, "refused: INV") \
    X(REFUSED_CTL, "refused: CTL") \
    X(REFUSED_MAXPA, "refused: MAXPA") \
    X(REFUSED_S2ROOT, "refused: S2ROOT") \
    X(REFUSED_SHADOW, "refused: SHADOW_ROOT") \
    X(REFUSED_GTEA_TABLE, "refused: GTEA_TABLE") \
    X(REFUSED_GTEA_ENTRIES, "refused: GTEA_ENTRIES") \
    X(REFUSED_GTEA_CMD, "refused: GTEA_CMD") \
    X(REFUSED_IMAGE_BASE, "refused: IMAGE_BASE") \
    X(REFUSED_IMAGE_COUNT, "refused: IMAGE_COUNT") \
    X(REFUSED_LOAD, "refused: LOAD")

enum cosim_cover {
#define X(name, text) COVER_##name,
    COSIM_COVER_LIST(X)
#undef X
    COSIM_COVERS
};

/** Texts of the situations. */
extern const char *const cosim_cover_text[COSIM_COVERS];

/** What a run did. Arrays by path are indexed with DMT_PATH_*, the highest code of a walk's stages: TEA
 * is TEA in every stage, RADIX a walk in one, RESTART a restart in one; NOT_USED holds GP and OFF. */
struct cosim_stats {
    uint64_t cycles, epochs;
    uint64_t requests, walks;     /**< taken from the port; answered */
    uint64_t status[16];          /**< answers by DMT_STATUS_* */
    uint64_t path[4];             /**< answers */
    uint64_t path_refs[4];        /**< references (parallel reads count as one; judged runs only) */
    uint64_t path_reads[4];       /**< reads on the port */
    uint64_t path_clocks[4];      /**< clocks from request taken to answer */
    uint64_t reads, updates, lost; /**< R steps; A/D writes done; exclusive writes lost */
    uint64_t surplus;             /**< R steps of surplus reads (judged runs only) */
    uint64_t skipped;             /**< walks of a stage started from a cache (judged runs only) */
    uint64_t csr_writes, csr_reads, csr_refused, csr_errors;
    uint64_t pokes;               /**< memory words changed by the concurrent writer or by pokes */
    uint64_t cover[COSIM_COVERS]; /**< how often each situation was met (judged runs only) */
    uint64_t divergences;         /**< 0 or 1: a run stops at the first */
    double seconds;               /**< wall time of the clocked part */
};

/** Options of a run: zero-initialise, then set. */
struct cosim_options {
    const struct dut_ops *dut;       /**< device under test; required */
    const struct dut_ops *reference; /**< compared pin by pin on every clock; NULL: run dut alone */
    const struct dmt_config *config; /**< NULL: dut->config */
    bool judge;                      /**< every answer judged by the architectural model, bus rules checked */
    uint64_t seed;
    uint64_t walks;                  /**< stop after this many answers; 0: no limit */
    uint64_t cycles;                 /**< stop after this many clocks; 0: no limit */
    uint64_t epoch_cycles;           /**< random runs: clocks until reset with a new scenario; 0: 20000 */
    const char *profile;             /**< cosim_profiles[] name; NULL: random runs mix, replay fixed-20 */
    uint8_t mode;                    /**< random runs: DMT_MODE_NATIVE .. _NESTED; 0: those the sets allow */
    /** May be NULL: clocks until an access to this hPA is answered, at least 1, in place of the profile's. */
    unsigned (*latency)(void *user, uint64_t addr);
    void *latency_user;
    bool changes;                    /**< random runs: live CSR writes, INV, concurrent memory writer */
    struct cosim_source *source;     /**< NULL: random stimuli */
    unsigned outstanding;            /**< replay: requests in flight; 0: as many as the block takes */
    unsigned watchdog;               /**< clocks without progress that count as a hang; 0: 20000 */
    const char *waves;               /**< FST of the run (waves_first..waves_last if last > 0), or NULL */
    uint64_t waves_first, waves_last;
    unsigned around;                 /**< clocks before and after a divergence in its window; 0: 200 */
    const char *waves_dir;           /**< where that window goes; NULL: "build/waves"; "": no window */
    const char *command;             /**< the command that repeats this run, for the report; NULL: derived */
    const char *record;              /**< file for the inputs of every clock (icarus_replay.v), or NULL */
    FILE *log;                       /**< divergence report; NULL: stderr */
    /** About every 65536 clocks; may be NULL. */
    void (*progress)(void *user, const struct cosim_stats *stats);
    void *progress_user;
    const volatile sig_atomic_t *stop; /**< nonzero ends the run early and cleanly; may be NULL */
};

enum cosim_result {
    COSIM_OK = 0,         /**< ran to its end, nothing found */
    COSIM_DIVERGENCE = 1, /**< a check failed; reported on options->log */
    COSIM_BAD = 2,        /**< could not run (unknown profile, unwritable file ..): cosim_error() */
    COSIM_STOPPED = 3     /**< options->stop was raised */
};

/** Run. stats may be NULL. */
enum cosim_result cosim_run(const struct cosim_options *options, struct cosim_stats *stats);

/** One line on why the last cosim_* or single_* call failed. */
const char *cosim_error(void);

/** Names of the memory profiles, NULL-terminated. "fixed-<L>" with any L from 1
 * to 1000 is accepted besides. */
extern const char *const cosim_profiles[];

/** 64-bit hash over every output pin of every clock of the last cosim_run with
 * `record` set; tb/icarus_replay.v prints the same. */
uint64_t cosim_record_hash(void);

/* ------------------------------------------------------------ one request at a time */

#define SINGLE_EVENTS 4096

/** One read or A/D write, in the order of the walk trace port. */
struct single_event {
    bool write;
    struct dmt_ref ref; /**< level, tea and index are zero for writes */
    uint64_t data;
    uint8_t resp; /**< enum dmt_resp */
};

/** What a blocking translation showed. */
struct single_log {
    uint32_t clocks; /**< from request taken to answer */
    unsigned n;
    struct single_event event[SINGLE_EVENTS];
};

struct single;

/** A device with a memory that answers `latency` clocks after the address is
 * taken, in reset state. mem is used in place, not copied: pokes by the caller
 * between translations are seen (call single_invalidate after them). monitor:
 * exclusive accesses are answered as such. NULL: cosim_error(). */
struct single *single_new(const struct dut_ops *dut, const struct dmt_config *config, struct dmt_mem *mem,
                          unsigned latency, bool monitor);
void single_free(struct single *s);

/** Another memory for translations: clocks(user, addr, clock) says how long the entry at hPA addr takes, at least 1,
 * when its address is taken `clock` clocks after the request was. It is asked in the order of the reads, for those
 * of walks alone. idle: clocks in which the device waits for memory and nothing moves are counted, not simulated. */
void single_memory(struct single *s, unsigned (*clocks)(void *user, uint64_t addr, uint32_t clock), void *user,
                   bool idle);

/** Write, read one CSR; the answer is the AXI response (DMT_RESP_OKAY, _SLVERR). */
enum dmt_resp single_write(struct single *s, unsigned offset, uint64_t value);
enum dmt_resp single_read(struct single *s, unsigned offset, uint64_t *value);

/** Make the registers hold `state` (sets and TEA registers that the instance
 * has). False, with cosim_error() naming the register, when one is refused or
 * does not exist. Writes only what differs from the last state loaded. */
bool single_load(struct single *s, const struct dmt_state *state);

/** Drop everything that is cached from tables; call after stores to them. */
void single_invalidate(struct single *s);

/** Translate one request; result as the pins and the walk trace port say,
 * reads and updates counted on the port, refs as the specification counts
 * them. Everything on the pins is judged on the way. Returns when surplus
 * reads have been answered, too; clocks are those up to the response. log may
 * be NULL. False when the device hangs or the judge objects. */
bool single_translate(struct single *s, const struct dmt_request *request, struct dmt_result *result,
                      struct single_log *log);

#endif
