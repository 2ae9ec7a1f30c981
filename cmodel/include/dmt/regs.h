/* SPDX-License-Identifier: Apache-2.0
 * Generated from rtl/dmt_regs.rdl by rtl/gen_regs.py (make regs). Do not edit.
 * Codes on the pins and the CSR map. X_LIST(X) expands X(member, value) for each code,
 * and DMT_<window>_REG_LIST(X) X(register, offset) for each register but the TEA registers;
 * _LSB, _W and _MASK are a field's position, width and mask in place, _RESET a register's
 * value after reset. */
#ifndef DMT_REGS_H
#define DMT_REGS_H

#include <stdint.h>

enum dmt_access {
    DMT_ACCESS_READ = 0, /**< Data read */
    DMT_ACCESS_WRITE = 1, /**< Data write */
    DMT_ACCESS_EXECUTE = 2, /**< Instruction fetch */
};
#define DMT_ACCESS_LIST(X) \
    X(READ, 0) \
    X(WRITE, 1) \
    X(EXECUTE, 2)

enum dmt_status {
    DMT_STATUS_OK = 0, /**< Translated */
    DMT_STATUS_GP = 1, /**< Address not canonical (or, with mode OFF, wider than MAXPA) */
    DMT_STATUS_PF = 2, /**< Page fault of the entering stage; error code as x86 pushes it */
    DMT_STATUS_EPT_VIOLATION = 3, /**< EPT violation; error is the exit qualification */
    DMT_STATUS_EPT_MISCONFIG = 4, /**< EPT misconfiguration */
    DMT_STATUS_NPT_FAULT = 5, /**< Nested page fault; error is EXITINFO1 */
    /** gTEA event: register not resolved or access past the gTEA's end; error says which */
    DMT_STATUS_GTEA = 6,
    DMT_STATUS_BUS = 7, /**< Bus error on a table access; error says which kind */
    /** A speculative request needs an accessed or dirty bit set: ask again when it is not speculative */
    DMT_STATUS_RETRY = 8,
};
#define DMT_STATUS_LIST(X) \
    X(OK, 0) \
    X(GP, 1) \
    X(PF, 2) \
    X(EPT_VIOLATION, 3) \
    X(EPT_MISCONFIG, 4) \
    X(NPT_FAULT, 5) \
    X(GTEA, 6) \
    X(BUS, 7) \
    X(RETRY, 8)

enum dmt_mode {
    DMT_MODE_OFF = 0, /**< No translation: addresses pass through */
    DMT_MODE_NATIVE = 1, /**< Requests enter stage 0 with a virtual address */
    DMT_MODE_VIRT = 2, /**< Requests enter stage 1 with a guest virtual address */
    DMT_MODE_NESTED = 3, /**< Requests enter stage 2 with a nested guest's virtual address */
};
#define DMT_MODE_LIST(X) \
    X(OFF, 0) \
    X(NATIVE, 1) \
    X(VIRT, 2) \
    X(NESTED, 3)

enum dmt_size {
    DMT_SIZE_4K = 0, /**< 4 KiB */
    DMT_SIZE_2M = 1, /**< 2 MiB */
    DMT_SIZE_1G = 2, /**< 1 GiB */
};
#define DMT_SIZE_LIST(X) \
    X(4K, 0) \
    X(2M, 1) \
    X(1G, 2)

enum dmt_kind {
    DMT_KIND_PA = 0, /**< TEA base is an address of the level below */
    DMT_KIND_GTEA = 1, /**< TEA is named by gTEA ID */
};
#define DMT_KIND_LIST(X) \
    X(PA, 0) \
    X(GTEA, 1)

enum dmt_refusal {
    DMT_REFUSAL_NONE = 0, /**< Not refused */
    DMT_REFUSAL_RESERVED = 1, /**< A reserved bit of word 0 is set */
    DMT_REFUSAL_SZ = 2, /**< SZ is a reserved value */
    DMT_REFUSAL_KIND = 3, /**< KIND is a reserved value, or names a gTEA in set 0 */
    DMT_REFUSAL_EMPTY = 4, /**< The size is zero */
    DMT_REFUSAL_WRAP = 5, /**< Base plus size passes the end of the 52-bit VPN space */
    DMT_REFUSAL_WIDTH = 6, /**< The TEA ends beyond MAXPA */
};
#define DMT_REFUSAL_LIST(X) \
    X(NONE, 0) \
    X(RESERVED, 1) \
    X(SZ, 2) \
    X(KIND, 3) \
    X(EMPTY, 4) \
    X(WRAP, 5) \
    X(WIDTH, 6)

enum dmt_format {
    DMT_FORMAT_EPT = 0, /**< Intel extended page tables */
    DMT_FORMAT_NPT = 1, /**< AMD nested page tables */
};
#define DMT_FORMAT_LIST(X) \
    X(EPT, 0) \
    X(NPT, 1)

enum dmt_fallback {
    DMT_FALLBACK_SHADOW = 0, /**< The shadow table takes an L2 physical address to a host physical address */
    DMT_FALLBACK_FULL = 1, /**< The tables of stage 1 over those of stage 0 */
};
#define DMT_FALLBACK_LIST(X) \
    X(SHADOW, 0) \
    X(FULL, 1)

enum dmt_resolution {
    DMT_RESOLUTION_NOT_TRIED = 0, /**< Not a gTEA register, or not resolved yet */
    DMT_RESOLUTION_OK = 1, /**< Resolved */
    DMT_RESOLUTION_BAD_ID = 2, /**< The ID is not below the number of entries of the gTEA table */
    DMT_RESOLUTION_ABSENT = 3, /**< The entry of the gTEA table is not present */
    DMT_RESOLUTION_WIDTH = 4, /**< The gTEA is empty or ends beyond MAXPA */
    DMT_RESOLUTION_BUS = 5, /**< Reading the gTEA table was answered with a bus error */
    DMT_RESOLUTION_REVOKED = 6, /**< Revoked by the host */
};
#define DMT_RESOLUTION_LIST(X) \
    X(NOT_TRIED, 0) \
    X(OK, 1) \
    X(BAD_ID, 2) \
    X(ABSENT, 3) \
    X(WIDTH, 4) \
    X(BUS, 5) \
    X(REVOKED, 6)

enum dmt_gtea_op {
    DMT_GTEA_OP_REVOKE = 0, /**< Registers of SET with this ID lose what they have resolved */
    DMT_GTEA_OP_RESOLVE = 1, /**< Registers of SET with this ID are resolved again */
    DMT_GTEA_OP_REVOKE_ALL = 2, /**< Like REVOKE for every gTEA register of SET */
    DMT_GTEA_OP_RESOLVE_ALL = 3, /**< Like RESOLVE for every gTEA register of SET */
};
#define DMT_GTEA_OP_LIST(X) \
    X(REVOKE, 0) \
    X(RESOLVE, 1) \
    X(REVOKE_ALL, 2) \
    X(RESOLVE_ALL, 3)

enum dmt_inv {
    DMT_INV_ADDRESS = 0, /**< One address of one PCID */
    DMT_INV_CONTEXT = 1, /**< Everything of one PCID */
    DMT_INV_ALL = 2, /**< Everything, global translations included */
    DMT_INV_ALL_BUT_GLOBAL = 3, /**< Everything except global translations */
    DMT_INV_S2_CONTEXT = 4, /**< Everything derived from second-stage tables of this level under one tag */
    DMT_INV_S2_ALL = 5, /**< Everything derived from second-stage tables of this level */
};
#define DMT_INV_LIST(X) \
    X(ADDRESS, 0) \
    X(CONTEXT, 1) \
    X(ALL, 2) \
    X(ALL_BUT_GLOBAL, 3) \
    X(S2_CONTEXT, 4) \
    X(S2_ALL, 5)

enum dmt_bus_error {
    /** An exclusive read was answered OKAY: the memory has no exclusive monitor */
    DMT_BUS_ERROR_NOT_EXCLUSIVE = 0,
    DMT_BUS_ERROR_READ_SLVERR = 2, /**< Read answered SLVERR */
    DMT_BUS_ERROR_READ_DECERR = 3, /**< Read answered DECERR */
    DMT_BUS_ERROR_WRITE_SLVERR = 6, /**< A/D write answered SLVERR */
    DMT_BUS_ERROR_WRITE_DECERR = 7, /**< A/D write answered DECERR */
};
#define DMT_BUS_ERROR_LIST(X) \
    X(NOT_EXCLUSIVE, 0) \
    X(READ_SLVERR, 2) \
    X(READ_DECERR, 3) \
    X(WRITE_SLVERR, 6) \
    X(WRITE_DECERR, 7)

enum dmt_path {
    DMT_PATH_NOT_USED = 0, /**< Stage not used */
    DMT_PATH_TEA = 1, /**< TEA register */
    DMT_PATH_RADIX = 2, /**< Walk, no TEA register covered an address of this stage */
    DMT_PATH_RESTART = 3, /**< Walk after a TEA fetch that did not count */
};
#define DMT_PATH_LIST(X) \
    X(NOT_USED, 0) \
    X(TEA, 1) \
    X(RADIX, 2) \
    X(RESTART, 3)

/* window LEVEL: base on the CSR bus, offsets inside the window, in bytes */
#define DMT_LEVEL_BASE(k)                      (0x0000u + 0x1000u * (k))
#define DMT_LEVEL_N                            3u
#define DMT_LEVEL_TEA_N                        64u
#define DMT_LEVEL_TEA_STRIDE                   0x020u
#define DMT_LEVEL_TEA_WORD0(i)                 (0x000u + 0x020u * (i))
#define DMT_LEVEL_TEA_WORD1(i)                 (0x008u + 0x020u * (i))
#define DMT_LEVEL_TEA_WORD2(i)                 (0x010u + 0x020u * (i))
#define DMT_LEVEL_TEA_WORD3(i)                 (0x018u + 0x020u * (i))
#define DMT_LEVEL_CR0                          0x800u
#define DMT_LEVEL_CR3                          0x808u
#define DMT_LEVEL_CR4                          0x810u
#define DMT_LEVEL_EFER                         0x818u
#define DMT_LEVEL_PKRU                         0x820u
#define DMT_LEVEL_PKRS                         0x828u
#define DMT_LEVEL_EVENT                        0x840u
#define DMT_LEVEL_EVENT_MASK                   0x848u
#define DMT_LEVEL_INV                          0x850u
#define DMT_LEVEL_S2CTL                        0x860u
#define DMT_LEVEL_S2ROOT                       0x868u
#define DMT_LEVEL_LOAD                         0x870u
#define DMT_LEVEL_REG_LIST(X) \
    X(CR0, 0x800u) \
    X(CR3, 0x808u) \
    X(CR4, 0x810u) \
    X(EFER, 0x818u) \
    X(PKRU, 0x820u) \
    X(PKRS, 0x828u) \
    X(EVENT, 0x840u) \
    X(EVENT_MASK, 0x848u) \
    X(INV, 0x850u) \
    X(S2CTL, 0x860u) \
    X(S2ROOT, 0x868u) \
    X(LOAD, 0x870u)

/* DMT_TEA_WORD0: TEA word 0: where, what and whether */
#define DMT_TEA_WORD0_RESET                    UINT64_C(0x0000000000000000)
#define DMT_TEA_WORD0_BASE_VPN_LSB             12
#define DMT_TEA_WORD0_BASE_VPN_W               52
#define DMT_TEA_WORD0_BASE_VPN_MASK            UINT64_C(0xfffffffffffff000)
#define DMT_TEA_WORD0_RSVD_LSB                 8
#define DMT_TEA_WORD0_RSVD_W                   4
#define DMT_TEA_WORD0_RSVD_MASK                UINT64_C(0x0000000000000f00)
#define DMT_TEA_WORD0_ALLOW_W_LSB              7
#define DMT_TEA_WORD0_ALLOW_W_W                1
#define DMT_TEA_WORD0_ALLOW_W_MASK             UINT64_C(0x0000000000000080)
#define DMT_TEA_WORD0_ALLOW_U_LSB              6
#define DMT_TEA_WORD0_ALLOW_U_W                1
#define DMT_TEA_WORD0_ALLOW_U_MASK             UINT64_C(0x0000000000000040)
#define DMT_TEA_WORD0_ALLOW_X_LSB              5
#define DMT_TEA_WORD0_ALLOW_X_W                1
#define DMT_TEA_WORD0_ALLOW_X_MASK             UINT64_C(0x0000000000000020)
#define DMT_TEA_WORD0_KIND_LSB                 3
#define DMT_TEA_WORD0_KIND_W                   2
#define DMT_TEA_WORD0_KIND_MASK                UINT64_C(0x0000000000000018)
#define DMT_TEA_WORD0_SZ_LSB                   1
#define DMT_TEA_WORD0_SZ_W                     2
#define DMT_TEA_WORD0_SZ_MASK                  UINT64_C(0x0000000000000006)
#define DMT_TEA_WORD0_P_LSB                    0
#define DMT_TEA_WORD0_P_W                      1
#define DMT_TEA_WORD0_P_MASK                   UINT64_C(0x0000000000000001)

/* DMT_TEA_WORD1: TEA word 1: the Translation Entry Area */
#define DMT_TEA_WORD1_RESET                    UINT64_C(0x0000000000000000)
#define DMT_TEA_WORD1_BASE_PFN_LSB             12
#define DMT_TEA_WORD1_BASE_PFN_W               52
#define DMT_TEA_WORD1_BASE_PFN_MASK            UINT64_C(0xfffffffffffff000)
#define DMT_TEA_WORD1_GTEA_ID_LSB              0
#define DMT_TEA_WORD1_GTEA_ID_W                12
#define DMT_TEA_WORD1_GTEA_ID_MASK             UINT64_C(0x0000000000000fff)

/* DMT_TEA_WORD2: TEA word 2: how far */
#define DMT_TEA_WORD2_RESET                    UINT64_C(0x0000000000000000)
#define DMT_TEA_WORD2_PAGES_LSB                0
#define DMT_TEA_WORD2_PAGES_W                  64
#define DMT_TEA_WORD2_PAGES_MASK               UINT64_C(0xffffffffffffffff)

/* DMT_TEA_WORD3: TEA word 3: state of this register */
#define DMT_TEA_WORD3_RESET                    UINT64_C(0x0000000000000000)
#define DMT_TEA_WORD3_RESOLUTION_LSB           5
#define DMT_TEA_WORD3_RESOLUTION_W             3
#define DMT_TEA_WORD3_RESOLUTION_MASK          UINT64_C(0x00000000000000e0)
#define DMT_TEA_WORD3_REFUSAL_LSB              1
#define DMT_TEA_WORD3_REFUSAL_W                4
#define DMT_TEA_WORD3_REFUSAL_MASK             UINT64_C(0x000000000000001e)
#define DMT_TEA_WORD3_VALID_LSB                0
#define DMT_TEA_WORD3_VALID_W                  1
#define DMT_TEA_WORD3_VALID_MASK               UINT64_C(0x0000000000000001)

/* DMT_LEVEL_CR0: CR0 of the requests that enter at this level */
#define DMT_LEVEL_CR0_RESET                    UINT64_C(0x0000000000000000)
#define DMT_LEVEL_CR0_WP_LSB                   16
#define DMT_LEVEL_CR0_WP_W                     1
#define DMT_LEVEL_CR0_WP_MASK                  UINT64_C(0x0000000000010000)

/* DMT_LEVEL_CR3: CR3: root of the first table */
#define DMT_LEVEL_CR3_RESET                    UINT64_C(0x0000000000000000)
#define DMT_LEVEL_CR3_NOFLUSH_LSB              63
#define DMT_LEVEL_CR3_NOFLUSH_W                1
#define DMT_LEVEL_CR3_NOFLUSH_MASK             UINT64_C(0x8000000000000000)
#define DMT_LEVEL_CR3_ROOT_LSB                 12
#define DMT_LEVEL_CR3_ROOT_W                   40
#define DMT_LEVEL_CR3_ROOT_MASK                UINT64_C(0x000ffffffffff000)
#define DMT_LEVEL_CR3_PCID_LSB                 0
#define DMT_LEVEL_CR3_PCID_W                   12
#define DMT_LEVEL_CR3_PCID_MASK                UINT64_C(0x0000000000000fff)

/* DMT_LEVEL_CR4: CR4 */
#define DMT_LEVEL_CR4_RESET                    UINT64_C(0x0000000000000000)
#define DMT_LEVEL_CR4_PKS_LSB                  24
#define DMT_LEVEL_CR4_PKS_W                    1
#define DMT_LEVEL_CR4_PKS_MASK                 UINT64_C(0x0000000001000000)
#define DMT_LEVEL_CR4_PKE_LSB                  22
#define DMT_LEVEL_CR4_PKE_W                    1
#define DMT_LEVEL_CR4_PKE_MASK                 UINT64_C(0x0000000000400000)
#define DMT_LEVEL_CR4_SMAP_LSB                 21
#define DMT_LEVEL_CR4_SMAP_W                   1
#define DMT_LEVEL_CR4_SMAP_MASK                UINT64_C(0x0000000000200000)
#define DMT_LEVEL_CR4_SMEP_LSB                 20
#define DMT_LEVEL_CR4_SMEP_W                   1
#define DMT_LEVEL_CR4_SMEP_MASK                UINT64_C(0x0000000000100000)
#define DMT_LEVEL_CR4_PCIDE_LSB                17
#define DMT_LEVEL_CR4_PCIDE_W                  1
#define DMT_LEVEL_CR4_PCIDE_MASK               UINT64_C(0x0000000000020000)
#define DMT_LEVEL_CR4_LA57_LSB                 12
#define DMT_LEVEL_CR4_LA57_W                   1
#define DMT_LEVEL_CR4_LA57_MASK                UINT64_C(0x0000000000001000)
#define DMT_LEVEL_CR4_PGE_LSB                  7
#define DMT_LEVEL_CR4_PGE_W                    1
#define DMT_LEVEL_CR4_PGE_MASK                 UINT64_C(0x0000000000000080)

/* DMT_LEVEL_EFER: EFER */
#define DMT_LEVEL_EFER_RESET                   UINT64_C(0x0000000000000000)
#define DMT_LEVEL_EFER_NXE_LSB                 11
#define DMT_LEVEL_EFER_NXE_W                   1
#define DMT_LEVEL_EFER_NXE_MASK                UINT64_C(0x0000000000000800)

/* DMT_LEVEL_PKRU: PKRU: rights of the 16 keys on user pages */
#define DMT_LEVEL_PKRU_RESET                   UINT64_C(0x0000000000000000)
#define DMT_LEVEL_PKRU_KEYS_LSB                0
#define DMT_LEVEL_PKRU_KEYS_W                  32
#define DMT_LEVEL_PKRU_KEYS_MASK               UINT64_C(0x00000000ffffffff)

/* DMT_LEVEL_PKRS: PKRS: rights of the 16 keys on supervisor pages */
#define DMT_LEVEL_PKRS_RESET                   UINT64_C(0x0000000000000000)
#define DMT_LEVEL_PKRS_KEYS_LSB                0
#define DMT_LEVEL_PKRS_KEYS_W                  32
#define DMT_LEVEL_PKRS_KEYS_MASK               UINT64_C(0x00000000ffffffff)

/* DMT_LEVEL_EVENT: Events of this level, sticky */
#define DMT_LEVEL_EVENT_RESET                  UINT64_C(0x0000000000000000)
#define DMT_LEVEL_EVENT_LOAD_FAILED_LSB        2
#define DMT_LEVEL_EVENT_LOAD_FAILED_W          1
#define DMT_LEVEL_EVENT_LOAD_FAILED_MASK       UINT64_C(0x0000000000000004)
#define DMT_LEVEL_EVENT_REFUSED_LSB            1
#define DMT_LEVEL_EVENT_REFUSED_W              1
#define DMT_LEVEL_EVENT_REFUSED_MASK           UINT64_C(0x0000000000000002)
#define DMT_LEVEL_EVENT_MULTI_HIT_LSB          0
#define DMT_LEVEL_EVENT_MULTI_HIT_W            1
#define DMT_LEVEL_EVENT_MULTI_HIT_MASK         UINT64_C(0x0000000000000001)

/* DMT_LEVEL_EVENT_MASK: Which events drive the event pin */
#define DMT_LEVEL_EVENT_MASK_RESET             UINT64_C(0x0000000000000000)
#define DMT_LEVEL_EVENT_MASK_LOAD_FAILED_LSB   2
#define DMT_LEVEL_EVENT_MASK_LOAD_FAILED_W     1
#define DMT_LEVEL_EVENT_MASK_LOAD_FAILED_MASK  UINT64_C(0x0000000000000004)
#define DMT_LEVEL_EVENT_MASK_REFUSED_LSB       1
#define DMT_LEVEL_EVENT_MASK_REFUSED_W         1
#define DMT_LEVEL_EVENT_MASK_REFUSED_MASK      UINT64_C(0x0000000000000002)
#define DMT_LEVEL_EVENT_MASK_MULTI_HIT_LSB     0
#define DMT_LEVEL_EVENT_MASK_MULTI_HIT_W       1
#define DMT_LEVEL_EVENT_MASK_MULTI_HIT_MASK    UINT64_C(0x0000000000000001)

/* DMT_LEVEL_INV: Invalidate */
#define DMT_LEVEL_INV_RESET                    UINT64_C(0x0000000000000000)
#define DMT_LEVEL_INV_KIND_LSB                 60
#define DMT_LEVEL_INV_KIND_W                   4
#define DMT_LEVEL_INV_KIND_MASK                UINT64_C(0xf000000000000000)
#define DMT_LEVEL_INV_PCID_LSB                 45
#define DMT_LEVEL_INV_PCID_W                   12
#define DMT_LEVEL_INV_PCID_MASK                UINT64_C(0x01ffe00000000000)
#define DMT_LEVEL_INV_VPN_LSB                  0
#define DMT_LEVEL_INV_VPN_W                    45
#define DMT_LEVEL_INV_VPN_MASK                 UINT64_C(0x00001fffffffffff)

/* DMT_LEVEL_S2CTL: Second-stage tables of this level: what they are like */
#define DMT_LEVEL_S2CTL_RESET                  UINT64_C(0x0000000000000000)
#define DMT_LEVEL_S2CTL_MBEC_LSB               3
#define DMT_LEVEL_S2CTL_MBEC_W                 1
#define DMT_LEVEL_S2CTL_MBEC_MASK              UINT64_C(0x0000000000000008)
#define DMT_LEVEL_S2CTL_AD_LSB                 2
#define DMT_LEVEL_S2CTL_AD_W                   1
#define DMT_LEVEL_S2CTL_AD_MASK                UINT64_C(0x0000000000000004)
#define DMT_LEVEL_S2CTL_FIVE_LSB               1
#define DMT_LEVEL_S2CTL_FIVE_W                 1
#define DMT_LEVEL_S2CTL_FIVE_MASK              UINT64_C(0x0000000000000002)
#define DMT_LEVEL_S2CTL_FORMAT_LSB             0
#define DMT_LEVEL_S2CTL_FORMAT_W               1
#define DMT_LEVEL_S2CTL_FORMAT_MASK            UINT64_C(0x0000000000000001)

/* DMT_LEVEL_S2ROOT: Second-stage tables of this level: root */
#define DMT_LEVEL_S2ROOT_RESET                 UINT64_C(0x0000000000000000)
#define DMT_LEVEL_S2ROOT_NOFLUSH_LSB           63
#define DMT_LEVEL_S2ROOT_NOFLUSH_W             1
#define DMT_LEVEL_S2ROOT_NOFLUSH_MASK          UINT64_C(0x8000000000000000)
#define DMT_LEVEL_S2ROOT_ROOT_LSB              12
#define DMT_LEVEL_S2ROOT_ROOT_W                40
#define DMT_LEVEL_S2ROOT_ROOT_MASK             UINT64_C(0x000ffffffffff000)
#define DMT_LEVEL_S2ROOT_TAG_LSB               0
#define DMT_LEVEL_S2ROOT_TAG_W                 8
#define DMT_LEVEL_S2ROOT_TAG_MASK              UINT64_C(0x00000000000000ff)

/* DMT_LEVEL_LOAD: Load the whole register set */
#define DMT_LEVEL_LOAD_RESET                   UINT64_C(0x0000000000000000)
#define DMT_LEVEL_LOAD_INDEX_LSB               0
#define DMT_LEVEL_LOAD_INDEX_W                 12
#define DMT_LEVEL_LOAD_INDEX_MASK              UINT64_C(0x0000000000000fff)

/* window HOST: base on the CSR bus, offsets inside the window, in bytes */
#define DMT_HOST_BASE                          0x3000u
#define DMT_HOST_ID                            0x000u
#define DMT_HOST_CAPS                          0x008u
#define DMT_HOST_CTL                           0x010u
#define DMT_HOST_MAXPA                         0x018u
#define DMT_HOST_EVENT                         0x020u
#define DMT_HOST_EVENT_MASK                    0x028u
#define DMT_HOST_BUS_ADDR                      0x030u
#define DMT_HOST_CNT_CLEAR                     0x038u
#define DMT_HOST_SHADOW_CTL                    0x040u
#define DMT_HOST_SHADOW_ROOT                   0x048u
#define DMT_HOST_GTEA_TABLE1                   0x050u
#define DMT_HOST_GTEA_ENTRIES1                 0x058u
#define DMT_HOST_GTEA_TABLE2                   0x060u
#define DMT_HOST_GTEA_ENTRIES2                 0x068u
#define DMT_HOST_GTEA_CMD                      0x070u
#define DMT_HOST_GTEA_FAULT                    0x078u
#define DMT_HOST_CAPS2                         0x080u
#define DMT_HOST_IMAGE_BASE0                   0x0a0u
#define DMT_HOST_IMAGE_COUNT0                  0x0a8u
#define DMT_HOST_IMAGE_BASE1                   0x0b0u
#define DMT_HOST_IMAGE_COUNT1                  0x0b8u
#define DMT_HOST_IMAGE_BASE2                   0x0c0u
#define DMT_HOST_IMAGE_COUNT2                  0x0c8u
#define DMT_HOST_CNT_REQUEST                   0x100u
#define DMT_HOST_CNT_TEA                       0x108u
#define DMT_HOST_CNT_RADIX                     0x110u
#define DMT_HOST_CNT_RESTART                   0x118u
#define DMT_HOST_CNT_PASS                      0x120u
#define DMT_HOST_CNT_FAULT                     0x128u
#define DMT_HOST_CNT_BUS                       0x130u
#define DMT_HOST_CNT_RETRY                     0x138u
#define DMT_HOST_CNT_READ                      0x140u
#define DMT_HOST_CNT_UPDATE                    0x148u
#define DMT_HOST_CNT_LOST                      0x150u
#define DMT_HOST_CNT_PWC4                      0x158u
#define DMT_HOST_CNT_PWC3                      0x160u
#define DMT_HOST_CNT_PWC2                      0x168u
#define DMT_HOST_CNT_BUSY                      0x170u
#define DMT_HOST_CNT_GTEA                      0x178u
#define DMT_HOST_CNT_NPWC4                     0x180u
#define DMT_HOST_CNT_NPWC3                     0x188u
#define DMT_HOST_CNT_NPWC2                     0x190u
#define DMT_HOST_REG_LIST(X) \
    X(ID, 0x000u) \
    X(CAPS, 0x008u) \
    X(CTL, 0x010u) \
    X(MAXPA, 0x018u) \
    X(EVENT, 0x020u) \
    X(EVENT_MASK, 0x028u) \
    X(BUS_ADDR, 0x030u) \
    X(CNT_CLEAR, 0x038u) \
    X(SHADOW_CTL, 0x040u) \
    X(SHADOW_ROOT, 0x048u) \
    X(GTEA_TABLE1, 0x050u) \
    X(GTEA_ENTRIES1, 0x058u) \
    X(GTEA_TABLE2, 0x060u) \
    X(GTEA_ENTRIES2, 0x068u) \
    X(GTEA_CMD, 0x070u) \
    X(GTEA_FAULT, 0x078u) \
    X(CAPS2, 0x080u) \
    X(IMAGE_BASE0, 0x0a0u) \
    X(IMAGE_COUNT0, 0x0a8u) \
    X(IMAGE_BASE1, 0x0b0u) \
    X(IMAGE_COUNT1, 0x0b8u) \
    X(IMAGE_BASE2, 0x0c0u) \
    X(IMAGE_COUNT2, 0x0c8u) \
    X(CNT_REQUEST, 0x100u) \
    X(CNT_TEA, 0x108u) \
    X(CNT_RADIX, 0x110u) \
    X(CNT_RESTART, 0x118u) \
    X(CNT_PASS, 0x120u) \
    X(CNT_FAULT, 0x128u) \
    X(CNT_BUS, 0x130u) \
    X(CNT_RETRY, 0x138u) \
    X(CNT_READ, 0x140u) \
    X(CNT_UPDATE, 0x148u) \
    X(CNT_LOST, 0x150u) \
    X(CNT_PWC4, 0x158u) \
    X(CNT_PWC3, 0x160u) \
    X(CNT_PWC2, 0x168u) \
    X(CNT_BUSY, 0x170u) \
    X(CNT_GTEA, 0x178u) \
    X(CNT_NPWC4, 0x180u) \
    X(CNT_NPWC3, 0x188u) \
    X(CNT_NPWC2, 0x190u)

/* DMT_HOST_ID: Identification */
#define DMT_HOST_ID_RESET                      UINT64_C(0x4f444d5400000002)
#define DMT_HOST_ID_MAGIC_LSB                  32
#define DMT_HOST_ID_MAGIC_W                    32
#define DMT_HOST_ID_MAGIC_MASK                 UINT64_C(0xffffffff00000000)
#define DMT_HOST_ID_MAJOR_LSB                  16
#define DMT_HOST_ID_MAJOR_W                    16
#define DMT_HOST_ID_MAJOR_MASK                 UINT64_C(0x00000000ffff0000)
#define DMT_HOST_ID_MINOR_LSB                  0
#define DMT_HOST_ID_MINOR_W                    16
#define DMT_HOST_ID_MINOR_MASK                 UINT64_C(0x000000000000ffff)

/* DMT_HOST_CAPS: What this instance was built with */
#define DMT_HOST_CAPS_RESET                    UINT64_C(0x0000000000000000)
#define DMT_HOST_CAPS_CNT_W_LSB                56
#define DMT_HOST_CAPS_CNT_W_W                  7
#define DMT_HOST_CAPS_CNT_W_MASK               UINT64_C(0x7f00000000000000)
#define DMT_HOST_CAPS_PWC2_N_LSB               48
#define DMT_HOST_CAPS_PWC2_N_W                 7
#define DMT_HOST_CAPS_PWC2_N_MASK              UINT64_C(0x007f000000000000)
#define DMT_HOST_CAPS_PWC3_N_LSB               40
#define DMT_HOST_CAPS_PWC3_N_W                 7
#define DMT_HOST_CAPS_PWC3_N_MASK              UINT64_C(0x00007f0000000000)
#define DMT_HOST_CAPS_PWC4_N_LSB               32
#define DMT_HOST_CAPS_PWC4_N_W                 7
#define DMT_HOST_CAPS_PWC4_N_MASK              UINT64_C(0x0000007f00000000)
#define DMT_HOST_CAPS_SETS_LSB                 24
#define DMT_HOST_CAPS_SETS_W                   2
#define DMT_HOST_CAPS_SETS_MASK                UINT64_C(0x0000000003000000)
#define DMT_HOST_CAPS_TEA_N_LSB                16
#define DMT_HOST_CAPS_TEA_N_W                  7
#define DMT_HOST_CAPS_TEA_N_MASK               UINT64_C(0x00000000007f0000)
#define DMT_HOST_CAPS_CTX_N_LSB                8
#define DMT_HOST_CAPS_CTX_N_W                  7
#define DMT_HOST_CAPS_CTX_N_MASK               UINT64_C(0x0000000000007f00)
#define DMT_HOST_CAPS_PA_W_LSB                 0
#define DMT_HOST_CAPS_PA_W_W                   7
#define DMT_HOST_CAPS_PA_W_MASK                UINT64_C(0x000000000000007f)

/* DMT_HOST_CTL: Control */
#define DMT_HOST_CTL_RESET                     UINT64_C(0x0000000000000004)
#define DMT_HOST_CTL_FALLBACK_LSB              3
#define DMT_HOST_CTL_FALLBACK_W                1
#define DMT_HOST_CTL_FALLBACK_MASK             UINT64_C(0x0000000000000008)
#define DMT_HOST_CTL_AD_UPDATE_LSB             2
#define DMT_HOST_CTL_AD_UPDATE_W               1
#define DMT_HOST_CTL_AD_UPDATE_MASK            UINT64_C(0x0000000000000004)
#define DMT_HOST_CTL_MODE_LSB                  0
#define DMT_HOST_CTL_MODE_W                    2
#define DMT_HOST_CTL_MODE_MASK                 UINT64_C(0x0000000000000003)

/* DMT_HOST_MAXPA: Physical address width in use */
#define DMT_HOST_MAXPA_RESET                   UINT64_C(0x0000000000000000)
#define DMT_HOST_MAXPA_MAXPA_LSB               0
#define DMT_HOST_MAXPA_MAXPA_W                 6
#define DMT_HOST_MAXPA_MAXPA_MASK              UINT64_C(0x000000000000003f)

/* DMT_HOST_EVENT: Host events, sticky */
#define DMT_HOST_EVENT_RESET                   UINT64_C(0x0000000000000000)
#define DMT_HOST_EVENT_GTEA_LSB                3
#define DMT_HOST_EVENT_GTEA_W                  1
#define DMT_HOST_EVENT_GTEA_MASK               UINT64_C(0x0000000000000008)
#define DMT_HOST_EVENT_REFUSED_LSB             2
#define DMT_HOST_EVENT_REFUSED_W               1
#define DMT_HOST_EVENT_REFUSED_MASK            UINT64_C(0x0000000000000004)
#define DMT_HOST_EVENT_NOT_EXCLUSIVE_LSB       1
#define DMT_HOST_EVENT_NOT_EXCLUSIVE_W         1
#define DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK      UINT64_C(0x0000000000000002)
#define DMT_HOST_EVENT_BUS_LSB                 0
#define DMT_HOST_EVENT_BUS_W                   1
#define DMT_HOST_EVENT_BUS_MASK                UINT64_C(0x0000000000000001)

/* DMT_HOST_EVENT_MASK: Which host events drive the event pin */
#define DMT_HOST_EVENT_MASK_RESET              UINT64_C(0x0000000000000000)
#define DMT_HOST_EVENT_MASK_GTEA_LSB           3
#define DMT_HOST_EVENT_MASK_GTEA_W             1
#define DMT_HOST_EVENT_MASK_GTEA_MASK          UINT64_C(0x0000000000000008)
#define DMT_HOST_EVENT_MASK_REFUSED_LSB        2
#define DMT_HOST_EVENT_MASK_REFUSED_W          1
#define DMT_HOST_EVENT_MASK_REFUSED_MASK       UINT64_C(0x0000000000000004)
#define DMT_HOST_EVENT_MASK_NOT_EXCLUSIVE_LSB  1
#define DMT_HOST_EVENT_MASK_NOT_EXCLUSIVE_W    1
#define DMT_HOST_EVENT_MASK_NOT_EXCLUSIVE_MASK UINT64_C(0x0000000000000002)
#define DMT_HOST_EVENT_MASK_BUS_LSB            0
#define DMT_HOST_EVENT_MASK_BUS_W              1
#define DMT_HOST_EVENT_MASK_BUS_MASK           UINT64_C(0x0000000000000001)

/* DMT_HOST_BUS_ADDR: Most recent bus error */
#define DMT_HOST_BUS_ADDR_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_BUS_ADDR_ADDR_LSB             0
#define DMT_HOST_BUS_ADDR_ADDR_W               52
#define DMT_HOST_BUS_ADDR_ADDR_MASK            UINT64_C(0x000fffffffffffff)

/* DMT_HOST_CNT_CLEAR: Clear the counters */
#define DMT_HOST_CNT_CLEAR_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_CLEAR_ANY_LSB             0
#define DMT_HOST_CNT_CLEAR_ANY_W               1
#define DMT_HOST_CNT_CLEAR_ANY_MASK            UINT64_C(0x0000000000000001)

/* DMT_HOST_SHADOW_CTL: Shadow table: what it is like */
#define DMT_HOST_SHADOW_CTL_RESET              UINT64_C(0x0000000000000000)
#define DMT_HOST_SHADOW_CTL_MBEC_LSB           3
#define DMT_HOST_SHADOW_CTL_MBEC_W             1
#define DMT_HOST_SHADOW_CTL_MBEC_MASK          UINT64_C(0x0000000000000008)
#define DMT_HOST_SHADOW_CTL_AD_LSB             2
#define DMT_HOST_SHADOW_CTL_AD_W               1
#define DMT_HOST_SHADOW_CTL_AD_MASK            UINT64_C(0x0000000000000004)
#define DMT_HOST_SHADOW_CTL_FIVE_LSB           1
#define DMT_HOST_SHADOW_CTL_FIVE_W             1
#define DMT_HOST_SHADOW_CTL_FIVE_MASK          UINT64_C(0x0000000000000002)
#define DMT_HOST_SHADOW_CTL_FORMAT_LSB         0
#define DMT_HOST_SHADOW_CTL_FORMAT_W           1
#define DMT_HOST_SHADOW_CTL_FORMAT_MASK        UINT64_C(0x0000000000000001)

/* DMT_HOST_SHADOW_ROOT: Shadow table: root */
#define DMT_HOST_SHADOW_ROOT_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_SHADOW_ROOT_ROOT_LSB          12
#define DMT_HOST_SHADOW_ROOT_ROOT_W            40
#define DMT_HOST_SHADOW_ROOT_ROOT_MASK         UINT64_C(0x000ffffffffff000)

/* DMT_HOST_GTEA_TABLE1: gTEA table of set 1 */
#define DMT_HOST_GTEA_TABLE1_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_GTEA_TABLE1_BASE_LSB          12
#define DMT_HOST_GTEA_TABLE1_BASE_W            40
#define DMT_HOST_GTEA_TABLE1_BASE_MASK         UINT64_C(0x000ffffffffff000)

/* DMT_HOST_GTEA_ENTRIES1: Entries of the gTEA table of set 1 */
#define DMT_HOST_GTEA_ENTRIES1_RESET           UINT64_C(0x0000000000000000)
#define DMT_HOST_GTEA_ENTRIES1_COUNT_LSB       0
#define DMT_HOST_GTEA_ENTRIES1_COUNT_W         13
#define DMT_HOST_GTEA_ENTRIES1_COUNT_MASK      UINT64_C(0x0000000000001fff)

/* DMT_HOST_GTEA_TABLE2: gTEA table of set 2 */
#define DMT_HOST_GTEA_TABLE2_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_GTEA_TABLE2_BASE_LSB          12
#define DMT_HOST_GTEA_TABLE2_BASE_W            40
#define DMT_HOST_GTEA_TABLE2_BASE_MASK         UINT64_C(0x000ffffffffff000)

/* DMT_HOST_GTEA_ENTRIES2: Entries of the gTEA table of set 2 */
#define DMT_HOST_GTEA_ENTRIES2_RESET           UINT64_C(0x0000000000000000)
#define DMT_HOST_GTEA_ENTRIES2_COUNT_LSB       0
#define DMT_HOST_GTEA_ENTRIES2_COUNT_W         13
#define DMT_HOST_GTEA_ENTRIES2_COUNT_MASK      UINT64_C(0x0000000000001fff)

/* DMT_HOST_GTEA_CMD: gTEA command */
#define DMT_HOST_GTEA_CMD_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_GTEA_CMD_OP_LSB               62
#define DMT_HOST_GTEA_CMD_OP_W                 2
#define DMT_HOST_GTEA_CMD_OP_MASK              UINT64_C(0xc000000000000000)
#define DMT_HOST_GTEA_CMD_SET_LSB              12
#define DMT_HOST_GTEA_CMD_SET_W                2
#define DMT_HOST_GTEA_CMD_SET_MASK             UINT64_C(0x0000000000003000)
#define DMT_HOST_GTEA_CMD_ID_LSB               0
#define DMT_HOST_GTEA_CMD_ID_W                 12
#define DMT_HOST_GTEA_CMD_ID_MASK              UINT64_C(0x0000000000000fff)

/* DMT_HOST_GTEA_FAULT: Most recent gTEA event */
#define DMT_HOST_GTEA_FAULT_RESET              UINT64_C(0x0000000000000000)
#define DMT_HOST_GTEA_FAULT_UNRESOLVED_LSB     20
#define DMT_HOST_GTEA_FAULT_UNRESOLVED_W       1
#define DMT_HOST_GTEA_FAULT_UNRESOLVED_MASK    UINT64_C(0x0000000000100000)
#define DMT_HOST_GTEA_FAULT_SET_LSB            18
#define DMT_HOST_GTEA_FAULT_SET_W              2
#define DMT_HOST_GTEA_FAULT_SET_MASK           UINT64_C(0x00000000000c0000)
#define DMT_HOST_GTEA_FAULT_INDEX_LSB          12
#define DMT_HOST_GTEA_FAULT_INDEX_W            6
#define DMT_HOST_GTEA_FAULT_INDEX_MASK         UINT64_C(0x000000000003f000)
#define DMT_HOST_GTEA_FAULT_ID_LSB             0
#define DMT_HOST_GTEA_FAULT_ID_W               12
#define DMT_HOST_GTEA_FAULT_ID_MASK            UINT64_C(0x0000000000000fff)

/* DMT_HOST_CAPS2: What this instance was built with, second stages */
#define DMT_HOST_CAPS2_RESET                   UINT64_C(0x0000000000000000)
#define DMT_HOST_CAPS2_NPWC2_N_LSB             16
#define DMT_HOST_CAPS2_NPWC2_N_W               7
#define DMT_HOST_CAPS2_NPWC2_N_MASK            UINT64_C(0x00000000007f0000)
#define DMT_HOST_CAPS2_NPWC3_N_LSB             8
#define DMT_HOST_CAPS2_NPWC3_N_W               7
#define DMT_HOST_CAPS2_NPWC3_N_MASK            UINT64_C(0x0000000000007f00)
#define DMT_HOST_CAPS2_NPWC4_N_LSB             0
#define DMT_HOST_CAPS2_NPWC4_N_W               7
#define DMT_HOST_CAPS2_NPWC4_N_MASK            UINT64_C(0x000000000000007f)

/* DMT_HOST_IMAGE_BASE0: Image area of set 0 */
#define DMT_HOST_IMAGE_BASE0_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_IMAGE_BASE0_BASE_LSB          12
#define DMT_HOST_IMAGE_BASE0_BASE_W            40
#define DMT_HOST_IMAGE_BASE0_BASE_MASK         UINT64_C(0x000ffffffffff000)

/* DMT_HOST_IMAGE_COUNT0: Images of set 0 */
#define DMT_HOST_IMAGE_COUNT0_RESET            UINT64_C(0x0000000000000000)
#define DMT_HOST_IMAGE_COUNT0_COUNT_LSB        0
#define DMT_HOST_IMAGE_COUNT0_COUNT_W          13
#define DMT_HOST_IMAGE_COUNT0_COUNT_MASK       UINT64_C(0x0000000000001fff)

/* DMT_HOST_IMAGE_BASE1: Image area of set 1 */
#define DMT_HOST_IMAGE_BASE1_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_IMAGE_BASE1_BASE_LSB          12
#define DMT_HOST_IMAGE_BASE1_BASE_W            40
#define DMT_HOST_IMAGE_BASE1_BASE_MASK         UINT64_C(0x000ffffffffff000)

/* DMT_HOST_IMAGE_COUNT1: Images of set 1 */
#define DMT_HOST_IMAGE_COUNT1_RESET            UINT64_C(0x0000000000000000)
#define DMT_HOST_IMAGE_COUNT1_COUNT_LSB        0
#define DMT_HOST_IMAGE_COUNT1_COUNT_W          13
#define DMT_HOST_IMAGE_COUNT1_COUNT_MASK       UINT64_C(0x0000000000001fff)

/* DMT_HOST_IMAGE_BASE2: Image area of set 2 */
#define DMT_HOST_IMAGE_BASE2_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_IMAGE_BASE2_BASE_LSB          12
#define DMT_HOST_IMAGE_BASE2_BASE_W            40
#define DMT_HOST_IMAGE_BASE2_BASE_MASK         UINT64_C(0x000ffffffffff000)

/* DMT_HOST_IMAGE_COUNT2: Images of set 2 */
#define DMT_HOST_IMAGE_COUNT2_RESET            UINT64_C(0x0000000000000000)
#define DMT_HOST_IMAGE_COUNT2_COUNT_LSB        0
#define DMT_HOST_IMAGE_COUNT2_COUNT_W          13
#define DMT_HOST_IMAGE_COUNT2_COUNT_MASK       UINT64_C(0x0000000000001fff)

/* DMT_HOST_CNT_REQUEST: Requests that left the front */
#define DMT_HOST_CNT_REQUEST_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_REQUEST_COUNT_LSB         0
#define DMT_HOST_CNT_REQUEST_COUNT_W           64
#define DMT_HOST_CNT_REQUEST_COUNT_MASK        UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_TEA: Translations completed OK by TEA registers alone, in every stage */
#define DMT_HOST_CNT_TEA_RESET                 UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_TEA_COUNT_LSB             0
#define DMT_HOST_CNT_TEA_COUNT_W               64
#define DMT_HOST_CNT_TEA_COUNT_MASK            UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_RADIX: Translations completed OK with a walk in some stage, none of them a restart */
#define DMT_HOST_CNT_RADIX_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_RADIX_COUNT_LSB           0
#define DMT_HOST_CNT_RADIX_COUNT_W             64
#define DMT_HOST_CNT_RADIX_COUNT_MASK          UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_RESTART: Translations completed OK with a walk after a TEA fetch that did not count */
#define DMT_HOST_CNT_RESTART_RESET             UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_RESTART_COUNT_LSB         0
#define DMT_HOST_CNT_RESTART_COUNT_W           64
#define DMT_HOST_CNT_RESTART_COUNT_MASK        UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_PASS: Requests passed through in mode OFF */
#define DMT_HOST_CNT_PASS_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_PASS_COUNT_LSB            0
#define DMT_HOST_CNT_PASS_COUNT_W              64
#define DMT_HOST_CNT_PASS_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_FAULT: Answers GP, PF and second-stage faults */
#define DMT_HOST_CNT_FAULT_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_FAULT_COUNT_LSB           0
#define DMT_HOST_CNT_FAULT_COUNT_W             64
#define DMT_HOST_CNT_FAULT_COUNT_MASK          UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_BUS: Answers BUS */
#define DMT_HOST_CNT_BUS_RESET                 UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_BUS_COUNT_LSB             0
#define DMT_HOST_CNT_BUS_COUNT_W               64
#define DMT_HOST_CNT_BUS_COUNT_MASK            UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_RETRY: Answers RETRY */
#define DMT_HOST_CNT_RETRY_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_RETRY_COUNT_LSB           0
#define DMT_HOST_CNT_RETRY_COUNT_W             64
#define DMT_HOST_CNT_RETRY_COUNT_MASK          UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_READ: Reads answered on the PTE port */
#define DMT_HOST_CNT_READ_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_READ_COUNT_LSB            0
#define DMT_HOST_CNT_READ_COUNT_W              64
#define DMT_HOST_CNT_READ_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_UPDATE: Accessed and dirty updates that took effect */
#define DMT_HOST_CNT_UPDATE_RESET              UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_UPDATE_COUNT_LSB          0
#define DMT_HOST_CNT_UPDATE_COUNT_W            64
#define DMT_HOST_CNT_UPDATE_COUNT_MASK         UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_LOST: Exclusive writes that lost their reservation */
#define DMT_HOST_CNT_LOST_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_LOST_COUNT_LSB            0
#define DMT_HOST_CNT_LOST_COUNT_W              64
#define DMT_HOST_CNT_LOST_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_PWC4: Walks of the entering stage started from a cached PML4 entry */
#define DMT_HOST_CNT_PWC4_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_PWC4_COUNT_LSB            0
#define DMT_HOST_CNT_PWC4_COUNT_W              64
#define DMT_HOST_CNT_PWC4_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_PWC3: Walks of the entering stage started from a cached PDPT entry */
#define DMT_HOST_CNT_PWC3_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_PWC3_COUNT_LSB            0
#define DMT_HOST_CNT_PWC3_COUNT_W              64
#define DMT_HOST_CNT_PWC3_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_PWC2: Walks of the entering stage started from a cached PD entry */
#define DMT_HOST_CNT_PWC2_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_PWC2_COUNT_LSB            0
#define DMT_HOST_CNT_PWC2_COUNT_W              64
#define DMT_HOST_CNT_PWC2_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_BUSY: Clocks with at least one walk context in use */
#define DMT_HOST_CNT_BUSY_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_BUSY_COUNT_LSB            0
#define DMT_HOST_CNT_BUSY_COUNT_W              64
#define DMT_HOST_CNT_BUSY_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_GTEA: Answers GTEA */
#define DMT_HOST_CNT_GTEA_RESET                UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_GTEA_COUNT_LSB            0
#define DMT_HOST_CNT_GTEA_COUNT_W              64
#define DMT_HOST_CNT_GTEA_COUNT_MASK           UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_NPWC4: Walks of second stages started from a cached entry of level 4 */
#define DMT_HOST_CNT_NPWC4_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_NPWC4_COUNT_LSB           0
#define DMT_HOST_CNT_NPWC4_COUNT_W             64
#define DMT_HOST_CNT_NPWC4_COUNT_MASK          UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_NPWC3: Walks of second stages started from a cached entry of level 3 */
#define DMT_HOST_CNT_NPWC3_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_NPWC3_COUNT_LSB           0
#define DMT_HOST_CNT_NPWC3_COUNT_W             64
#define DMT_HOST_CNT_NPWC3_COUNT_MASK          UINT64_C(0xffffffffffffffff)

/* DMT_HOST_CNT_NPWC2: Walks of second stages started from a cached entry of level 2 */
#define DMT_HOST_CNT_NPWC2_RESET               UINT64_C(0x0000000000000000)
#define DMT_HOST_CNT_NPWC2_COUNT_LSB           0
#define DMT_HOST_CNT_NPWC2_COUNT_W             64
#define DMT_HOST_CNT_NPWC2_COUNT_MASK          UINT64_C(0xffffffffffffffff)

#endif
