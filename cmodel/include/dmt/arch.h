/* SPDX-License-Identifier: Apache-2.0
 * The architectural model: state + request -> result, and the ordered list of
 * reads and A/D writes. Untimed; the judge of what is right. Written from
 * docs/specification.md. Codes (DMT_STATUS_OK, ..) are in dmt/regs.h. */
#ifndef DMT_ARCH_H
#define DMT_ARCH_H

#include <stdbool.h>
#include <stdint.h>

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
    struct dmt_level level[DMT_SETS_MAX];
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
    uint8_t rights; /**< bit 0 W, bit 1 U, bit 2 X */
    bool global;
    uint8_t pkey;
    uint8_t memtype;
    bool dirty, ad_needed;
    uint32_t error;
    uint64_t addr;
    uint8_t stage;
    uint8_t path[DMT_SETS_MAX];  /**< per stage, DMT_PATH_* */
    uint8_t index[DMT_SETS_MAX]; /**< per stage, TEA register when path is TEA */
    uint32_t refs;               /**< references, as the specification counts them */
    uint32_t reads;              /**< reads on the port, exclusive ones included */
    uint32_t updates;            /**< A/D writes that took effect */
    bool multi_hit;              /**< two registers of one size matched */
};

/** AXI answers of the memory port. */
enum dmt_resp { DMT_RESP_OKAY = 0, DMT_RESP_EXOKAY = 1, DMT_RESP_SLVERR = 2, DMT_RESP_DECERR = 3 };

/** Where one read or write stands in the walk; for logs and judges. */
struct dmt_ref {
    uint64_t addr; /**< hPA of the 8-byte entry */
    uint8_t stage;
    uint8_t level; /**< 1..5; a TEA fetch of 4K, 2M, 1G has 1, 2, 3 */
    bool tea;      /**< TEA fetch */
    uint8_t index; /**< TEA register of a TEA fetch, else 0 */
    bool exclusive;
};

/** The memory a translation reads, and optionally where an x86 walk may start. */
struct dmt_port {
    void *user;
    /** Read the entry at ref->addr. Return an enum dmt_resp; *data is ignored on errors. */
    enum dmt_resp (*read)(void *user, const struct dmt_ref *ref, uint64_t *data);
    /** Exclusive write after an exclusive read of the same entry: EXOKAY done, OKAY lost. */
    enum dmt_resp (*write)(void *user, const struct dmt_ref *ref, uint64_t data);
    /** May be NULL. Paging-structure cache: where the x86 walk of va in stage
     * may start. Return false for the root; otherwise set *level (1..3) of the
     * first entry to read, *table (hPA of its table) and *rights. */
    bool (*start)(void *user, uint8_t stage, uint64_t va, uint8_t *level, uint64_t *table, uint8_t *rights);
    /** May be NULL. A non-leaf entry was walked that may be cached (specification 6). */
    void (*fill)(void *user, uint8_t stage, uint64_t va, uint8_t level, uint64_t table, uint8_t rights);
};

/** Translate one request (specification 3 to 9). state->mode must be OFF or
 * NATIVE in this release (others abort). Never fails; faults are results. */
void dmt_arch_translate(const struct dmt_state *state, const struct dmt_request *request,
                        const struct dmt_port *port, struct dmt_result *result);

/** The reason why writing this register with P=1 to `set` is refused
 * (specification 4): DMT_REFUSAL_NONE .. DMT_REFUSAL_WIDTH. word0_reserved is
 * whether bits 11:8 of word 0 were nonzero. */
uint8_t dmt_tea_refusal(const struct dmt_tea *tea, unsigned set, bool word0_reserved, unsigned maxpa);

/** Pack the four CSR words of a register, word 0 with P = tea->valid; word 3 is not included. */
void dmt_tea_pack(const struct dmt_tea *tea, uint64_t word[3]);

/** Reset values of a state: OFF, ad_update, everything else zero. */
void dmt_state_reset(struct dmt_state *state, unsigned maxpa);

#endif
