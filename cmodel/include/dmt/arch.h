/* SPDX-License-Identifier: Apache-2.0
 * The architectural model: state + request -> result, and the ordered list of
 * reads looked at and A/D writes. Untimed; the judge of what is right. Written from
 * docs/specification.md. Codes (DMT_STATUS_OK, ..) are in dmt/regs.h. */
#ifndef DMT_ARCH_H
#define DMT_ARCH_H

#include "dmt/api.h"
#include <stdbool.h>
#include <stdint.h>

DMT_API_BEGIN

#define DMT_SETS_MAX 3
#define DMT_TEA_MAX 64

/** One TEA register as it matches (specification 4). */
struct dmt_tea {
    uint64_t base_vpn; /**< first page covered, 4 KiB pages, < 2^52 */
    uint64_t pages;    /**< 4 KiB pages covered */
    uint64_t base_pfn; /**< first frame of the TEA, < 2^52 */
    uint16_t gtea;     /**< gTEA ID, 0..4095 */
    uint8_t sz;        /**< DMT_SIZE_4K, _2M, _1G (3 is a reserved value) */
    uint8_t kind;      /**< DMT_KIND_PA, DMT_KIND_GTEA (2, 3 reserved) */
    uint8_t allow;     /**< bit 0 W, bit 1 U, bit 2 X of the bypassed levels */
    bool valid;        /**< P */
    uint8_t resolution; /**< DMT_RESOLUTION_*, of a valid KIND GTEA register (specification 12) */
    uint64_t gtea_base; /**< first frame of the gTEA, with resolution OK */
    uint64_t gtea_pages; /**< its size in 4 KiB pages, with resolution OK */
};

/** Second-stage tables of one stage, or the shadow table (specification 3, 7). */
struct dmt_s2 {
    uint64_t root;  /**< address of the topmost table, a multiple of 4096 */
    uint8_t format; /**< DMT_FORMAT_EPT, DMT_FORMAT_NPT */
    bool five;      /**< five levels, else four */
    bool ad;        /**< EPT accessed and dirty flags (NPT always has them) */
    bool mbec;      /**< EPT mode-based execute control */
    uint8_t tag;    /**< of what is cached from these tables; 0 for the shadow table */
};

/** The gTEA table of one register set (specification 12). */
struct dmt_gtea {
    uint64_t table;   /**< hPA, a multiple of 4096 */
    uint16_t entries; /**< 0..4096 */
};

/** Control registers of one level of software; full architectural values. */
struct dmt_level {
    uint64_t cr0, cr3, cr4, efer;
    uint32_t pkru, pkrs;
};

/** Everything a translation depends on except memory. */
struct dmt_state {
    uint8_t mode;   /**< DMT_MODE_OFF .. DMT_MODE_NESTED */
    uint8_t maxpa;  /**< MAXPHYADDR in bits, 32..52 */
    bool ad_update; /**< hardware sets A/D bits */
    bool full;      /**< NESTED: fallback FULL, else SHADOW */
    struct dmt_level level[DMT_SETS_MAX];
    struct dmt_s2 s2[2]; /**< tables of stages 0 and 1 when these are second stages */
    struct dmt_s2 shadow;
    struct dmt_gtea gtea[DMT_SETS_MAX]; /**< [0] is not used */
    struct dmt_tea tea[DMT_SETS_MAX][DMT_TEA_MAX];
};

/** One request (specification 2). */
struct dmt_request {
    uint64_t va;
    uint8_t access; /**< DMT_ACCESS_READ, _WRITE, _EXECUTE */
    uint8_t cpl;    /**< 0..3 */
    bool ac, implicit, nonspec;
};

/** One answer; fields without meaning for the status are zero. */
struct dmt_result {
    uint8_t status; /**< DMT_STATUS_* */
    uint64_t pa;
    uint8_t size;
    uint8_t rights; /**< bit 0 W, bit 1 U, bit 2 X, bit 3 no reads */
    bool global;
    uint8_t pkey;
    uint8_t memtype; /**< {IPAT, type[2:0], PAT, PCD, PWT} */
    bool dirty, ad_needed;
    uint64_t error; /**< 34 bits */
    uint64_t addr;
    uint8_t stage;
    uint8_t path[DMT_SETS_MAX];  /**< per stage, DMT_PATH_* */
    uint8_t index[DMT_SETS_MAX]; /**< per stage, TEA register when path is TEA */
    uint32_t refs;               /**< references, as the specification counts them */
    uint32_t reads;              /**< entries looked at, exclusively read ones included; no surplus reads */
    uint32_t updates;            /**< A/D writes that took effect */
    uint8_t multi_hit;           /**< bit k: two registers of one size of set k matched */
    bool refused;                /**< ended by a gTEA or the width of an address, not by an entry */
    uint32_t chains;             /**< uses of registers of KIND PA of a set above 0, second pass included */
    uint32_t matches;            /**< addresses looked for in registers and caches, as docs/microarchitecture.md
                                  *   section 4 counts them, second pass included */
};

/** AXI answers of the memory port. */
enum dmt_resp {
    DMT_RESP_OKAY = 0, DMT_RESP_EXOKAY = 1, DMT_RESP_SLVERR = 2, DMT_RESP_DECERR = 3,
    DMT_RESP_STOP = 4 /**< from a port's callbacks only: give the translation up, the result is of no use */
};

/** Where one read or write stands in the walk; for logs and judges. */
struct dmt_ref {
    uint64_t addr; /**< hPA of the 8-byte entry */
    uint8_t stage;
    uint8_t level; /**< 1..5; a TEA fetch of 4K, 2M, 1G has 1, 2, 3 */
    bool tea;      /**< TEA fetch */
    uint8_t index; /**< TEA register of a TEA fetch, else 0 */
    bool exclusive;
    bool beside; /**< not exclusive: under way together with the read before it (T1) */
};

/** The memory a translation reads, and optionally where an x86 walk may start. */
struct dmt_port {
    void *user;
    /** Read the entry at ref->addr. Return an enum dmt_resp; *data is ignored on errors. Not called for the
     * smaller sizes of a TEA fetch that a larger one has decided (T2). */
    enum dmt_resp (*read)(void *user, const struct dmt_ref *ref, uint64_t *data);
    /** Exclusive write after an exclusive read of the same entry: EXOKAY done, OKAY lost. */
    enum dmt_resp (*write)(void *user, const struct dmt_ref *ref, uint64_t data);
    /** May be NULL. Paging-structure cache: where the walk of address va of this
     * stage may start. Return false for the root; otherwise set *level (1..3)
     * of the first entry to read, *table (hPA of its table) and *rights (of a
     * second stage bit 0 W, 1 R or U, 2 X, 3 XU). Not asked where a root lies. */
    bool (*start)(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table, uint8_t *rights);
    /** May be NULL. The entry of `level` (2..4) for address va of this stage
     * leads to the table at hPA `table`, and may be cached (specification 6). */
    void (*fill)(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights);
    /** May be NULL. A surplus read: a smaller size's entry of the TEA fetch whose last read() has just decided
     * it, larger sizes first. Hardware reads it, nobody looks at it (T2). */
    void (*surplus)(void *user, const struct dmt_ref *ref);
};

/** Translate one request (specification 2 to 12). Never fails; faults are results. */
void dmt_arch_translate(const struct dmt_state *state, const struct dmt_request *request,
                        const struct dmt_port *port, struct dmt_result *result);

/** The reason why writing this register with P=1 to `set` is refused
 * (specification 4): DMT_REFUSAL_NONE .. DMT_REFUSAL_WIDTH. word0_reserved is
 * whether bits 11:8 of word 0 were nonzero. */
uint8_t dmt_tea_refusal(const struct dmt_tea *tea, unsigned set, bool word0_reserved, unsigned maxpa);

/** Resolve a gTEA ID of set 1 or 2 (specification 12): a DMT_RESOLUTION_*
 * value; base and pages are set with OK and zero otherwise. read answers 64-bit
 * reads at an hPA; at most two are made, word 0 first. */
uint8_t dmt_gtea_resolve(const struct dmt_state *state, unsigned set, unsigned id,
                         enum dmt_resp (*read)(void *user, uint64_t addr, uint64_t *data), void *user,
                         uint64_t *base, uint64_t *pages);

/** Pack the four CSR words of a register, word 0 with P = tea->valid; word 3 is not included. */
void dmt_tea_pack(const struct dmt_tea *tea, uint64_t word[3]);

/** Reset values of a state: OFF, ad_update, everything else zero. */
void dmt_state_reset(struct dmt_state *state, unsigned maxpa);

DMT_API_END

#endif
