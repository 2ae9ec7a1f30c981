/* SPDX-License-Identifier: Apache-2.0
 * What the CSR bus says the registers must hold, tracked from handshakes
 * alone, independent of RTL and cycle model; and the set of facts that the
 * paging-structure caches may hold. */
#ifndef TB_SHADOW_H
#define TB_SHADOW_H

#include "dmt/arch.h"
#include "dmt/cycle.h"
#include <stdbool.h>
#include <stdint.h>

/** Counters that follow from answers and beats; indices into shadow.counter,
 * in the order of the CSR map from CNT_REQUEST on. */
enum shadow_counter {
    CNT_REQUEST, CNT_TEA, CNT_RADIX, CNT_RESTART, CNT_PASS, CNT_FAULT, CNT_BUS, CNT_RETRY, CNT_READ,
    CNT_UPDATE, CNT_LOST, CNT_PWC4, CNT_PWC3, CNT_PWC2, CNT_BUSY, CNT_GTEA, CNT_NPWC4, CNT_NPWC3, CNT_NPWC2,
    SHADOW_COUNTERS
};

/** Reads that one write caused: at most three words of an image and two of a gTEA table, a register. */
#define SHADOW_LOADS (5 * DMT_TEA_MAX)

struct shadow_load {
    uint64_t addr, data;
    uint8_t resp;
};

/** Kinds of values that are refused, for coverage. */
enum shadow_refusal {
    REFUSED_NONE, REFUSED_TEA, REFUSED_CR3, REFUSED_INV, REFUSED_CTL, REFUSED_MAXPA, REFUSED_S2ROOT,
    REFUSED_SHADOW, REFUSED_GTEA_TABLE, REFUSED_GTEA_ENTRIES, REFUSED_GTEA_CMD, REFUSED_IMAGE_BASE,
    REFUSED_IMAGE_COUNT, REFUSED_LOAD
};

/** Memory that the host lets a register write read: of that many bytes, from low on; it wraps at 2^PA_W. */
struct shadow_grant {
    uint64_t low, size;
};
#define SHADOW_GRANTS 2

/** How a set load went. */
enum shadow_set_load { SET_LOAD_NONE, SET_LOAD_DONE, SET_LOAD_BUS };

/** What was last cached for a prefix: the table that its entry of `level` leads to. */
#define FACT_VERSIONS 16
struct fact {
    uint64_t prefix;
    uint32_t where; /* level, stage, PCID and tags, see shadow.c */
    bool used;      /* the slot is not free */
    uint8_t n;      /* versions; 0: dropped */
    struct fact_version {
        uint64_t table, at; /* frame address; the cycle in which the trace port showed the step */
        uint8_t rights;
    } version[FACT_VERSIONS]; /* the latest first */
};

struct shadow {
    struct dmt_config config;
    /** NULL unless set after shadow_reset. Told what every flush drops: kinds has bit k for virtual entries of
     * stage k, bit 3 + k for physical ones, and of these those with PCID and tags where not negative. */
    void (*flushed)(void *user, unsigned kinds, int pcid, int tag1, int tag0);
    void *flushed_user;
    struct dmt_state state;
    uint64_t word[DMT_SETS_MAX][DMT_TEA_MAX][3]; /* as read back */
    uint8_t refusal[DMT_SETS_MAX][DMT_TEA_MAX];
    uint64_t level_event[DMT_SETS_MAX], level_mask[DMT_SETS_MAX];
    uint64_t host_event, host_mask, bus_addr, gtea_fault;
    struct {
        uint64_t base;
        uint16_t count;
    } image[DMT_SETS_MAX];
    uint64_t counter[SHADOW_COUNTERS];
    uint64_t refused;               /* refused values, those of set loads included, for statistics */
    enum shadow_refusal refused_by; /* the last write */
    enum shadow_set_load set_load;  /* the last write */
    uint32_t resolutions;           /* set of DMT_RESOLUTION_* that the last write led to */

    struct fact *fact;
    unsigned fact_size, fact_count; /* size is a power of two; count includes dropped ones */
};

/** Reset state. shadow must be zero or have been reset before. False: out of memory. */
bool shadow_reset(struct shadow *s, const struct dmt_config *config);
void shadow_free(struct shadow *s);

/** Does this write wait until the walker is idle (microarchitecture 5)? */
bool shadow_drains(const struct shadow *s, unsigned addr, unsigned strb);

/** What this write may read: a gTEA table, the image that a set load names. Returns how many of grant[]. */
unsigned shadow_loads(const struct shadow *s, unsigned addr, unsigned strb, uint64_t data,
                      struct shadow_grant grant[SHADOW_GRANTS]);

/** A write takes effect. load: the reads made for it, n of them, in order.
 * Returns the AXI response due, or DMT_RESP_STOP when these are not the reads
 * that the write must make (specification 12). */
enum dmt_resp shadow_write(struct shadow *s, unsigned addr, uint64_t data, unsigned strb,
                           const struct shadow_load *load, unsigned n);

/** The same for a write with all strobes, whose reads are answered here. */
typedef enum dmt_resp shadow_read_word(void *user, uint64_t addr, uint64_t *data);
enum dmt_resp shadow_write_from(struct shadow *s, unsigned addr, uint64_t data, shadow_read_word *read,
                                void *user);

/** A request has been answered so: the counter of its kind, and the sticky events that follow. */
void shadow_count_end(uint64_t counter[SHADOW_COUNTERS], const struct dmt_result *r);
void shadow_end_events(struct shadow *s, const struct dmt_result *r);

/** What a read must answer. False: the value is known to the cycle model alone
 * (MULTI_HIT, cache and busy counters); then only *resp is set. */
bool shadow_read(const struct shadow *s, unsigned addr, uint64_t *data, enum dmt_resp *resp);

/** The entry of `level` (4..2) for va of this stage leads to table with these
 * rights, and is cached, by a step that the trace port shows in cycle now. Called again for the same step: or with
 * these. False: out of memory. */
bool shadow_fill(struct shadow *s, unsigned stage, uint64_t va, unsigned level, uint64_t table,
                 uint8_t rights, uint64_t now);

/** What a cache may send va of this stage to after its entry of `level`, in a
 * match that the trace port shows in cycle now: the first one, or a later one
 * when the match is some clocks later, behind a chain. Returns how many. */
unsigned shadow_cached(const struct shadow *s, unsigned stage, uint64_t va, unsigned level, uint64_t now,
                       struct fact_version version[FACT_VERSIONS]);

#endif
