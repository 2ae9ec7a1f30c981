// SPDX-License-Identifier: Apache-2.0
// Generated from rtl/dmt_regs.rdl by rtl/gen_regs.py (make regs). Do not edit.
`ifndef DMT_REGS_VH
`define DMT_REGS_VH

// access
`define DMT_ACCESS_READ                        2'd0
`define DMT_ACCESS_WRITE                       2'd1
`define DMT_ACCESS_EXECUTE                     2'd2

// status
`define DMT_STATUS_OK                          4'd0
`define DMT_STATUS_GP                          4'd1
`define DMT_STATUS_PF                          4'd2
`define DMT_STATUS_EPT_VIOLATION               4'd3
`define DMT_STATUS_EPT_MISCONFIG               4'd4
`define DMT_STATUS_NPT_FAULT                   4'd5
`define DMT_STATUS_GTEA                        4'd6
`define DMT_STATUS_BUS                         4'd7
`define DMT_STATUS_RETRY                       4'd8

// mode
`define DMT_MODE_OFF                           2'd0
`define DMT_MODE_NATIVE                        2'd1
`define DMT_MODE_VIRT                          2'd2
`define DMT_MODE_NESTED                        2'd3

// size
`define DMT_SIZE_4K                            2'd0
`define DMT_SIZE_2M                            2'd1
`define DMT_SIZE_1G                            2'd2

// kind
`define DMT_KIND_PA                            2'd0
`define DMT_KIND_GTEA                          2'd1

// refusal
`define DMT_REFUSAL_NONE                       4'd0
`define DMT_REFUSAL_RESERVED                   4'd1
`define DMT_REFUSAL_SZ                         4'd2
`define DMT_REFUSAL_KIND                       4'd3
`define DMT_REFUSAL_EMPTY                      4'd4
`define DMT_REFUSAL_WRAP                       4'd5
`define DMT_REFUSAL_WIDTH                      4'd6

// format
`define DMT_FORMAT_EPT                         1'd0
`define DMT_FORMAT_NPT                         1'd1

// fallback
`define DMT_FALLBACK_SHADOW                    1'd0
`define DMT_FALLBACK_FULL                      1'd1

// resolution
`define DMT_RESOLUTION_NOT_TRIED               3'd0
`define DMT_RESOLUTION_OK                      3'd1
`define DMT_RESOLUTION_BAD_ID                  3'd2
`define DMT_RESOLUTION_ABSENT                  3'd3
`define DMT_RESOLUTION_WIDTH                   3'd4
`define DMT_RESOLUTION_BUS                     3'd5
`define DMT_RESOLUTION_REVOKED                 3'd6

// gtea_op
`define DMT_GTEA_OP_REVOKE                     2'd0
`define DMT_GTEA_OP_RESOLVE                    2'd1
`define DMT_GTEA_OP_REVOKE_ALL                 2'd2
`define DMT_GTEA_OP_RESOLVE_ALL                2'd3

// inv
`define DMT_INV_ADDRESS                        4'd0
`define DMT_INV_CONTEXT                        4'd1
`define DMT_INV_ALL                            4'd2
`define DMT_INV_ALL_BUT_GLOBAL                 4'd3
`define DMT_INV_S2_CONTEXT                     4'd4
`define DMT_INV_S2_ALL                         4'd5

// bus_error
`define DMT_BUS_ERROR_NOT_EXCLUSIVE            3'd0
`define DMT_BUS_ERROR_READ_SLVERR              3'd2
`define DMT_BUS_ERROR_READ_DECERR              3'd3
`define DMT_BUS_ERROR_WRITE_SLVERR             3'd6
`define DMT_BUS_ERROR_WRITE_DECERR             3'd7

// path
`define DMT_PATH_NOT_USED                      2'd0
`define DMT_PATH_TEA                           2'd1
`define DMT_PATH_RADIX                         2'd2
`define DMT_PATH_RESTART                       2'd3

// window LEVEL: base on the CSR bus, offsets inside the window
`define DMT_LEVEL_BASE(k)                      (14'h0000 + 14'h1000 * (k))
`define DMT_LEVEL_N                            3
`define DMT_LEVEL_TEA_N                        64
`define DMT_LEVEL_TEA_STRIDE                   12'h020
`define DMT_LEVEL_TEA_WORD0(i)                 (12'h000 + 12'h020 * (i))
`define DMT_LEVEL_TEA_WORD1(i)                 (12'h008 + 12'h020 * (i))
`define DMT_LEVEL_TEA_WORD2(i)                 (12'h010 + 12'h020 * (i))
`define DMT_LEVEL_TEA_WORD3(i)                 (12'h018 + 12'h020 * (i))
`define DMT_LEVEL_CR0                          12'h800
`define DMT_LEVEL_CR3                          12'h808
`define DMT_LEVEL_CR4                          12'h810
`define DMT_LEVEL_EFER                         12'h818
`define DMT_LEVEL_PKRU                         12'h820
`define DMT_LEVEL_PKRS                         12'h828
`define DMT_LEVEL_EVENT                        12'h840
`define DMT_LEVEL_EVENT_MASK                   12'h848
`define DMT_LEVEL_INV                          12'h850
`define DMT_LEVEL_S2CTL                        12'h860
`define DMT_LEVEL_S2ROOT                       12'h868
`define DMT_LEVEL_LOAD                         12'h870

// DMT_TEA_WORD0: TEA word 0: where, what and whether
`define DMT_TEA_WORD0_RESET                    64'h0000000000000000
`define DMT_TEA_WORD0_BASE_VPN_LSB             12
`define DMT_TEA_WORD0_BASE_VPN_W               52
`define DMT_TEA_WORD0_BASE_VPN_MASK            64'hfffffffffffff000
`define DMT_TEA_WORD0_RSVD_LSB                 8
`define DMT_TEA_WORD0_RSVD_W                   4
`define DMT_TEA_WORD0_RSVD_MASK                64'h0000000000000f00
`define DMT_TEA_WORD0_ALLOW_W_LSB              7
`define DMT_TEA_WORD0_ALLOW_W_W                1
`define DMT_TEA_WORD0_ALLOW_W_MASK             64'h0000000000000080
`define DMT_TEA_WORD0_ALLOW_U_LSB              6
`define DMT_TEA_WORD0_ALLOW_U_W                1
`define DMT_TEA_WORD0_ALLOW_U_MASK             64'h0000000000000040
`define DMT_TEA_WORD0_ALLOW_X_LSB              5
`define DMT_TEA_WORD0_ALLOW_X_W                1
`define DMT_TEA_WORD0_ALLOW_X_MASK             64'h0000000000000020
`define DMT_TEA_WORD0_KIND_LSB                 3
`define DMT_TEA_WORD0_KIND_W                   2
`define DMT_TEA_WORD0_KIND_MASK                64'h0000000000000018
`define DMT_TEA_WORD0_SZ_LSB                   1
`define DMT_TEA_WORD0_SZ_W                     2
`define DMT_TEA_WORD0_SZ_MASK                  64'h0000000000000006
`define DMT_TEA_WORD0_P_LSB                    0
`define DMT_TEA_WORD0_P_W                      1
`define DMT_TEA_WORD0_P_MASK                   64'h0000000000000001

// DMT_TEA_WORD1: TEA word 1: the Translation Entry Area
`define DMT_TEA_WORD1_RESET                    64'h0000000000000000
`define DMT_TEA_WORD1_BASE_PFN_LSB             12
`define DMT_TEA_WORD1_BASE_PFN_W               52
`define DMT_TEA_WORD1_BASE_PFN_MASK            64'hfffffffffffff000
`define DMT_TEA_WORD1_GTEA_ID_LSB              0
`define DMT_TEA_WORD1_GTEA_ID_W                12
`define DMT_TEA_WORD1_GTEA_ID_MASK             64'h0000000000000fff

// DMT_TEA_WORD2: TEA word 2: how far
`define DMT_TEA_WORD2_RESET                    64'h0000000000000000
`define DMT_TEA_WORD2_PAGES_LSB                0
`define DMT_TEA_WORD2_PAGES_W                  64
`define DMT_TEA_WORD2_PAGES_MASK               64'hffffffffffffffff

// DMT_TEA_WORD3: TEA word 3: state of this register
`define DMT_TEA_WORD3_RESET                    64'h0000000000000000
`define DMT_TEA_WORD3_RESOLUTION_LSB           5
`define DMT_TEA_WORD3_RESOLUTION_W             3
`define DMT_TEA_WORD3_RESOLUTION_MASK          64'h00000000000000e0
`define DMT_TEA_WORD3_REFUSAL_LSB              1
`define DMT_TEA_WORD3_REFUSAL_W                4
`define DMT_TEA_WORD3_REFUSAL_MASK             64'h000000000000001e
`define DMT_TEA_WORD3_VALID_LSB                0
`define DMT_TEA_WORD3_VALID_W                  1
`define DMT_TEA_WORD3_VALID_MASK               64'h0000000000000001

// DMT_LEVEL_CR0: CR0 of the requests that enter at this level
`define DMT_LEVEL_CR0_RESET                    64'h0000000000000000
`define DMT_LEVEL_CR0_WP_LSB                   16
`define DMT_LEVEL_CR0_WP_W                     1
`define DMT_LEVEL_CR0_WP_MASK                  64'h0000000000010000

// DMT_LEVEL_CR3: CR3: root of the first table
`define DMT_LEVEL_CR3_RESET                    64'h0000000000000000
`define DMT_LEVEL_CR3_NOFLUSH_LSB              63
`define DMT_LEVEL_CR3_NOFLUSH_W                1
`define DMT_LEVEL_CR3_NOFLUSH_MASK             64'h8000000000000000
`define DMT_LEVEL_CR3_ROOT_LSB                 12
`define DMT_LEVEL_CR3_ROOT_W                   40
`define DMT_LEVEL_CR3_ROOT_MASK                64'h000ffffffffff000
`define DMT_LEVEL_CR3_PCID_LSB                 0
`define DMT_LEVEL_CR3_PCID_W                   12
`define DMT_LEVEL_CR3_PCID_MASK                64'h0000000000000fff

// DMT_LEVEL_CR4: CR4
`define DMT_LEVEL_CR4_RESET                    64'h0000000000000000
`define DMT_LEVEL_CR4_PKS_LSB                  24
`define DMT_LEVEL_CR4_PKS_W                    1
`define DMT_LEVEL_CR4_PKS_MASK                 64'h0000000001000000
`define DMT_LEVEL_CR4_PKE_LSB                  22
`define DMT_LEVEL_CR4_PKE_W                    1
`define DMT_LEVEL_CR4_PKE_MASK                 64'h0000000000400000
`define DMT_LEVEL_CR4_SMAP_LSB                 21
`define DMT_LEVEL_CR4_SMAP_W                   1
`define DMT_LEVEL_CR4_SMAP_MASK                64'h0000000000200000
`define DMT_LEVEL_CR4_SMEP_LSB                 20
`define DMT_LEVEL_CR4_SMEP_W                   1
`define DMT_LEVEL_CR4_SMEP_MASK                64'h0000000000100000
`define DMT_LEVEL_CR4_PCIDE_LSB                17
`define DMT_LEVEL_CR4_PCIDE_W                  1
`define DMT_LEVEL_CR4_PCIDE_MASK               64'h0000000000020000
`define DMT_LEVEL_CR4_LA57_LSB                 12
`define DMT_LEVEL_CR4_LA57_W                   1
`define DMT_LEVEL_CR4_LA57_MASK                64'h0000000000001000
`define DMT_LEVEL_CR4_PGE_LSB                  7
`define DMT_LEVEL_CR4_PGE_W                    1
`define DMT_LEVEL_CR4_PGE_MASK                 64'h0000000000000080

// DMT_LEVEL_EFER: EFER
`define DMT_LEVEL_EFER_RESET                   64'h0000000000000000
`define DMT_LEVEL_EFER_NXE_LSB                 11
`define DMT_LEVEL_EFER_NXE_W                   1
`define DMT_LEVEL_EFER_NXE_MASK                64'h0000000000000800

// DMT_LEVEL_PKRU: PKRU: rights of the 16 keys on user pages
`define DMT_LEVEL_PKRU_RESET                   64'h0000000000000000
`define DMT_LEVEL_PKRU_KEYS_LSB                0
`define DMT_LEVEL_PKRU_KEYS_W                  32
`define DMT_LEVEL_PKRU_KEYS_MASK               64'h00000000ffffffff

// DMT_LEVEL_PKRS: PKRS: rights of the 16 keys on supervisor pages
`define DMT_LEVEL_PKRS_RESET                   64'h0000000000000000
`define DMT_LEVEL_PKRS_KEYS_LSB                0
`define DMT_LEVEL_PKRS_KEYS_W                  32
`define DMT_LEVEL_PKRS_KEYS_MASK               64'h00000000ffffffff

// DMT_LEVEL_EVENT: Events of this level, sticky
`define DMT_LEVEL_EVENT_RESET                  64'h0000000000000000
`define DMT_LEVEL_EVENT_LOAD_FAILED_LSB        2
`define DMT_LEVEL_EVENT_LOAD_FAILED_W          1
`define DMT_LEVEL_EVENT_LOAD_FAILED_MASK       64'h0000000000000004
`define DMT_LEVEL_EVENT_REFUSED_LSB            1
`define DMT_LEVEL_EVENT_REFUSED_W              1
`define DMT_LEVEL_EVENT_REFUSED_MASK           64'h0000000000000002
`define DMT_LEVEL_EVENT_MULTI_HIT_LSB          0
`define DMT_LEVEL_EVENT_MULTI_HIT_W            1
`define DMT_LEVEL_EVENT_MULTI_HIT_MASK         64'h0000000000000001

// DMT_LEVEL_EVENT_MASK: Which events drive the event pin
`define DMT_LEVEL_EVENT_MASK_RESET             64'h0000000000000000
`define DMT_LEVEL_EVENT_MASK_LOAD_FAILED_LSB   2
`define DMT_LEVEL_EVENT_MASK_LOAD_FAILED_W     1
`define DMT_LEVEL_EVENT_MASK_LOAD_FAILED_MASK  64'h0000000000000004
`define DMT_LEVEL_EVENT_MASK_REFUSED_LSB       1
`define DMT_LEVEL_EVENT_MASK_REFUSED_W         1
`define DMT_LEVEL_EVENT_MASK_REFUSED_MASK      64'h0000000000000002
`define DMT_LEVEL_EVENT_MASK_MULTI_HIT_LSB     0
`define DMT_LEVEL_EVENT_MASK_MULTI_HIT_W       1
`define DMT_LEVEL_EVENT_MASK_MULTI_HIT_MASK    64'h0000000000000001

// DMT_LEVEL_INV: Invalidate
`define DMT_LEVEL_INV_RESET                    64'h0000000000000000
`define DMT_LEVEL_INV_KIND_LSB                 60
`define DMT_LEVEL_INV_KIND_W                   4
`define DMT_LEVEL_INV_KIND_MASK                64'hf000000000000000
`define DMT_LEVEL_INV_PCID_LSB                 45
`define DMT_LEVEL_INV_PCID_W                   12
`define DMT_LEVEL_INV_PCID_MASK                64'h01ffe00000000000
`define DMT_LEVEL_INV_VPN_LSB                  0
`define DMT_LEVEL_INV_VPN_W                    45
`define DMT_LEVEL_INV_VPN_MASK                 64'h00001fffffffffff

// DMT_LEVEL_S2CTL: Second-stage tables of this level: what they are like
`define DMT_LEVEL_S2CTL_RESET                  64'h0000000000000000
`define DMT_LEVEL_S2CTL_MBEC_LSB               3
`define DMT_LEVEL_S2CTL_MBEC_W                 1
`define DMT_LEVEL_S2CTL_MBEC_MASK              64'h0000000000000008
`define DMT_LEVEL_S2CTL_AD_LSB                 2
`define DMT_LEVEL_S2CTL_AD_W                   1
`define DMT_LEVEL_S2CTL_AD_MASK                64'h0000000000000004
`define DMT_LEVEL_S2CTL_FIVE_LSB               1
`define DMT_LEVEL_S2CTL_FIVE_W                 1
`define DMT_LEVEL_S2CTL_FIVE_MASK              64'h0000000000000002
`define DMT_LEVEL_S2CTL_FORMAT_LSB             0
`define DMT_LEVEL_S2CTL_FORMAT_W               1
`define DMT_LEVEL_S2CTL_FORMAT_MASK            64'h0000000000000001

// DMT_LEVEL_S2ROOT: Second-stage tables of this level: root
`define DMT_LEVEL_S2ROOT_RESET                 64'h0000000000000000
`define DMT_LEVEL_S2ROOT_NOFLUSH_LSB           63
`define DMT_LEVEL_S2ROOT_NOFLUSH_W             1
`define DMT_LEVEL_S2ROOT_NOFLUSH_MASK          64'h8000000000000000
`define DMT_LEVEL_S2ROOT_ROOT_LSB              12
`define DMT_LEVEL_S2ROOT_ROOT_W                40
`define DMT_LEVEL_S2ROOT_ROOT_MASK             64'h000ffffffffff000
`define DMT_LEVEL_S2ROOT_TAG_LSB               0
`define DMT_LEVEL_S2ROOT_TAG_W                 8
`define DMT_LEVEL_S2ROOT_TAG_MASK              64'h00000000000000ff

// DMT_LEVEL_LOAD: Load the whole register set
`define DMT_LEVEL_LOAD_RESET                   64'h0000000000000000
`define DMT_LEVEL_LOAD_INDEX_LSB               0
`define DMT_LEVEL_LOAD_INDEX_W                 12
`define DMT_LEVEL_LOAD_INDEX_MASK              64'h0000000000000fff

// window HOST: base on the CSR bus, offsets inside the window
`define DMT_HOST_BASE                          14'h3000
`define DMT_HOST_ID                            12'h000
`define DMT_HOST_CAPS                          12'h008
`define DMT_HOST_CTL                           12'h010
`define DMT_HOST_MAXPA                         12'h018
`define DMT_HOST_EVENT                         12'h020
`define DMT_HOST_EVENT_MASK                    12'h028
`define DMT_HOST_BUS_ADDR                      12'h030
`define DMT_HOST_CNT_CLEAR                     12'h038
`define DMT_HOST_SHADOW_CTL                    12'h040
`define DMT_HOST_SHADOW_ROOT                   12'h048
`define DMT_HOST_GTEA_TABLE1                   12'h050
`define DMT_HOST_GTEA_ENTRIES1                 12'h058
`define DMT_HOST_GTEA_TABLE2                   12'h060
`define DMT_HOST_GTEA_ENTRIES2                 12'h068
`define DMT_HOST_GTEA_CMD                      12'h070
`define DMT_HOST_GTEA_FAULT                    12'h078
`define DMT_HOST_CAPS2                         12'h080
`define DMT_HOST_IMAGE_BASE0                   12'h0a0
`define DMT_HOST_IMAGE_COUNT0                  12'h0a8
`define DMT_HOST_IMAGE_BASE1                   12'h0b0
`define DMT_HOST_IMAGE_COUNT1                  12'h0b8
`define DMT_HOST_IMAGE_BASE2                   12'h0c0
`define DMT_HOST_IMAGE_COUNT2                  12'h0c8
`define DMT_HOST_CNT_REQUEST                   12'h100
`define DMT_HOST_CNT_TEA                       12'h108
`define DMT_HOST_CNT_RADIX                     12'h110
`define DMT_HOST_CNT_RESTART                   12'h118
`define DMT_HOST_CNT_PASS                      12'h120
`define DMT_HOST_CNT_FAULT                     12'h128
`define DMT_HOST_CNT_BUS                       12'h130
`define DMT_HOST_CNT_RETRY                     12'h138
`define DMT_HOST_CNT_READ                      12'h140
`define DMT_HOST_CNT_UPDATE                    12'h148
`define DMT_HOST_CNT_LOST                      12'h150
`define DMT_HOST_CNT_PWC4                      12'h158
`define DMT_HOST_CNT_PWC3                      12'h160
`define DMT_HOST_CNT_PWC2                      12'h168
`define DMT_HOST_CNT_BUSY                      12'h170
`define DMT_HOST_CNT_GTEA                      12'h178
`define DMT_HOST_CNT_NPWC4                     12'h180
`define DMT_HOST_CNT_NPWC3                     12'h188
`define DMT_HOST_CNT_NPWC2                     12'h190

// DMT_HOST_ID: Identification
`define DMT_HOST_ID_RESET                      64'h4f444d5400000002
`define DMT_HOST_ID_MAGIC_LSB                  32
`define DMT_HOST_ID_MAGIC_W                    32
`define DMT_HOST_ID_MAGIC_MASK                 64'hffffffff00000000
`define DMT_HOST_ID_MAJOR_LSB                  16
`define DMT_HOST_ID_MAJOR_W                    16
`define DMT_HOST_ID_MAJOR_MASK                 64'h00000000ffff0000
`define DMT_HOST_ID_MINOR_LSB                  0
`define DMT_HOST_ID_MINOR_W                    16
`define DMT_HOST_ID_MINOR_MASK                 64'h000000000000ffff

// DMT_HOST_CAPS: What this instance was built with
`define DMT_HOST_CAPS_RESET                    64'h0000000000000000
`define DMT_HOST_CAPS_CNT_W_LSB                56
`define DMT_HOST_CAPS_CNT_W_W                  7
`define DMT_HOST_CAPS_CNT_W_MASK               64'h7f00000000000000
`define DMT_HOST_CAPS_PWC2_N_LSB               48
`define DMT_HOST_CAPS_PWC2_N_W                 7
`define DMT_HOST_CAPS_PWC2_N_MASK              64'h007f000000000000
`define DMT_HOST_CAPS_PWC3_N_LSB               40
`define DMT_HOST_CAPS_PWC3_N_W                 7
`define DMT_HOST_CAPS_PWC3_N_MASK              64'h00007f0000000000
`define DMT_HOST_CAPS_PWC4_N_LSB               32
`define DMT_HOST_CAPS_PWC4_N_W                 7
`define DMT_HOST_CAPS_PWC4_N_MASK              64'h0000007f00000000
`define DMT_HOST_CAPS_SETS_LSB                 24
`define DMT_HOST_CAPS_SETS_W                   2
`define DMT_HOST_CAPS_SETS_MASK                64'h0000000003000000
`define DMT_HOST_CAPS_TEA_N_LSB                16
`define DMT_HOST_CAPS_TEA_N_W                  7
`define DMT_HOST_CAPS_TEA_N_MASK               64'h00000000007f0000
`define DMT_HOST_CAPS_CTX_N_LSB                8
`define DMT_HOST_CAPS_CTX_N_W                  7
`define DMT_HOST_CAPS_CTX_N_MASK               64'h0000000000007f00
`define DMT_HOST_CAPS_PA_W_LSB                 0
`define DMT_HOST_CAPS_PA_W_W                   7
`define DMT_HOST_CAPS_PA_W_MASK                64'h000000000000007f

// DMT_HOST_CTL: Control
`define DMT_HOST_CTL_RESET                     64'h0000000000000004
`define DMT_HOST_CTL_FALLBACK_LSB              3
`define DMT_HOST_CTL_FALLBACK_W                1
`define DMT_HOST_CTL_FALLBACK_MASK             64'h0000000000000008
`define DMT_HOST_CTL_AD_UPDATE_LSB             2
`define DMT_HOST_CTL_AD_UPDATE_W               1
`define DMT_HOST_CTL_AD_UPDATE_MASK            64'h0000000000000004
`define DMT_HOST_CTL_MODE_LSB                  0
`define DMT_HOST_CTL_MODE_W                    2
`define DMT_HOST_CTL_MODE_MASK                 64'h0000000000000003

// DMT_HOST_MAXPA: Physical address width in use
`define DMT_HOST_MAXPA_RESET                   64'h0000000000000000
`define DMT_HOST_MAXPA_MAXPA_LSB               0
`define DMT_HOST_MAXPA_MAXPA_W                 6
`define DMT_HOST_MAXPA_MAXPA_MASK              64'h000000000000003f

// DMT_HOST_EVENT: Host events, sticky
`define DMT_HOST_EVENT_RESET                   64'h0000000000000000
`define DMT_HOST_EVENT_GTEA_LSB                3
`define DMT_HOST_EVENT_GTEA_W                  1
`define DMT_HOST_EVENT_GTEA_MASK               64'h0000000000000008
`define DMT_HOST_EVENT_REFUSED_LSB             2
`define DMT_HOST_EVENT_REFUSED_W               1
`define DMT_HOST_EVENT_REFUSED_MASK            64'h0000000000000004
`define DMT_HOST_EVENT_NOT_EXCLUSIVE_LSB       1
`define DMT_HOST_EVENT_NOT_EXCLUSIVE_W         1
`define DMT_HOST_EVENT_NOT_EXCLUSIVE_MASK      64'h0000000000000002
`define DMT_HOST_EVENT_BUS_LSB                 0
`define DMT_HOST_EVENT_BUS_W                   1
`define DMT_HOST_EVENT_BUS_MASK                64'h0000000000000001

// DMT_HOST_EVENT_MASK: Which host events drive the event pin
`define DMT_HOST_EVENT_MASK_RESET              64'h0000000000000000
`define DMT_HOST_EVENT_MASK_GTEA_LSB           3
`define DMT_HOST_EVENT_MASK_GTEA_W             1
`define DMT_HOST_EVENT_MASK_GTEA_MASK          64'h0000000000000008
`define DMT_HOST_EVENT_MASK_REFUSED_LSB        2
`define DMT_HOST_EVENT_MASK_REFUSED_W          1
`define DMT_HOST_EVENT_MASK_REFUSED_MASK       64'h0000000000000004
`define DMT_HOST_EVENT_MASK_NOT_EXCLUSIVE_LSB  1
`define DMT_HOST_EVENT_MASK_NOT_EXCLUSIVE_W    1
`define DMT_HOST_EVENT_MASK_NOT_EXCLUSIVE_MASK 64'h0000000000000002
`define DMT_HOST_EVENT_MASK_BUS_LSB            0
`define DMT_HOST_EVENT_MASK_BUS_W              1
`define DMT_HOST_EVENT_MASK_BUS_MASK           64'h0000000000000001

// DMT_HOST_BUS_ADDR: Most recent bus error
`define DMT_HOST_BUS_ADDR_RESET                64'h0000000000000000
`define DMT_HOST_BUS_ADDR_ADDR_LSB             0
`define DMT_HOST_BUS_ADDR_ADDR_W               52
`define DMT_HOST_BUS_ADDR_ADDR_MASK            64'h000fffffffffffff

// DMT_HOST_CNT_CLEAR: Clear the counters
`define DMT_HOST_CNT_CLEAR_RESET               64'h0000000000000000
`define DMT_HOST_CNT_CLEAR_ANY_LSB             0
`define DMT_HOST_CNT_CLEAR_ANY_W               1
`define DMT_HOST_CNT_CLEAR_ANY_MASK            64'h0000000000000001

// DMT_HOST_SHADOW_CTL: Shadow table: what it is like
`define DMT_HOST_SHADOW_CTL_RESET              64'h0000000000000000
`define DMT_HOST_SHADOW_CTL_MBEC_LSB           3
`define DMT_HOST_SHADOW_CTL_MBEC_W             1
`define DMT_HOST_SHADOW_CTL_MBEC_MASK          64'h0000000000000008
`define DMT_HOST_SHADOW_CTL_AD_LSB             2
`define DMT_HOST_SHADOW_CTL_AD_W               1
`define DMT_HOST_SHADOW_CTL_AD_MASK            64'h0000000000000004
`define DMT_HOST_SHADOW_CTL_FIVE_LSB           1
`define DMT_HOST_SHADOW_CTL_FIVE_W             1
`define DMT_HOST_SHADOW_CTL_FIVE_MASK          64'h0000000000000002
`define DMT_HOST_SHADOW_CTL_FORMAT_LSB         0
`define DMT_HOST_SHADOW_CTL_FORMAT_W           1
`define DMT_HOST_SHADOW_CTL_FORMAT_MASK        64'h0000000000000001

// DMT_HOST_SHADOW_ROOT: Shadow table: root
`define DMT_HOST_SHADOW_ROOT_RESET             64'h0000000000000000
`define DMT_HOST_SHADOW_ROOT_ROOT_LSB          12
`define DMT_HOST_SHADOW_ROOT_ROOT_W            40
`define DMT_HOST_SHADOW_ROOT_ROOT_MASK         64'h000ffffffffff000

// DMT_HOST_GTEA_TABLE1: gTEA table of set 1
`define DMT_HOST_GTEA_TABLE1_RESET             64'h0000000000000000
`define DMT_HOST_GTEA_TABLE1_BASE_LSB          12
`define DMT_HOST_GTEA_TABLE1_BASE_W            40
`define DMT_HOST_GTEA_TABLE1_BASE_MASK         64'h000ffffffffff000

// DMT_HOST_GTEA_ENTRIES1: Entries of the gTEA table of set 1
`define DMT_HOST_GTEA_ENTRIES1_RESET           64'h0000000000000000
`define DMT_HOST_GTEA_ENTRIES1_COUNT_LSB       0
`define DMT_HOST_GTEA_ENTRIES1_COUNT_W         13
`define DMT_HOST_GTEA_ENTRIES1_COUNT_MASK      64'h0000000000001fff

// DMT_HOST_GTEA_TABLE2: gTEA table of set 2
`define DMT_HOST_GTEA_TABLE2_RESET             64'h0000000000000000
`define DMT_HOST_GTEA_TABLE2_BASE_LSB          12
`define DMT_HOST_GTEA_TABLE2_BASE_W            40
`define DMT_HOST_GTEA_TABLE2_BASE_MASK         64'h000ffffffffff000

// DMT_HOST_GTEA_ENTRIES2: Entries of the gTEA table of set 2
`define DMT_HOST_GTEA_ENTRIES2_RESET           64'h0000000000000000
`define DMT_HOST_GTEA_ENTRIES2_COUNT_LSB       0
`define DMT_HOST_GTEA_ENTRIES2_COUNT_W         13
`define DMT_HOST_GTEA_ENTRIES2_COUNT_MASK      64'h0000000000001fff

// DMT_HOST_GTEA_CMD: gTEA command
`define DMT_HOST_GTEA_CMD_RESET                64'h0000000000000000
`define DMT_HOST_GTEA_CMD_OP_LSB               62
`define DMT_HOST_GTEA_CMD_OP_W                 2
`define DMT_HOST_GTEA_CMD_OP_MASK              64'hc000000000000000
`define DMT_HOST_GTEA_CMD_SET_LSB              12
`define DMT_HOST_GTEA_CMD_SET_W                2
`define DMT_HOST_GTEA_CMD_SET_MASK             64'h0000000000003000
`define DMT_HOST_GTEA_CMD_ID_LSB               0
`define DMT_HOST_GTEA_CMD_ID_W                 12
`define DMT_HOST_GTEA_CMD_ID_MASK              64'h0000000000000fff

// DMT_HOST_GTEA_FAULT: Most recent gTEA event
`define DMT_HOST_GTEA_FAULT_RESET              64'h0000000000000000
`define DMT_HOST_GTEA_FAULT_UNRESOLVED_LSB     20
`define DMT_HOST_GTEA_FAULT_UNRESOLVED_W       1
`define DMT_HOST_GTEA_FAULT_UNRESOLVED_MASK    64'h0000000000100000
`define DMT_HOST_GTEA_FAULT_SET_LSB            18
`define DMT_HOST_GTEA_FAULT_SET_W              2
`define DMT_HOST_GTEA_FAULT_SET_MASK           64'h00000000000c0000
`define DMT_HOST_GTEA_FAULT_INDEX_LSB          12
`define DMT_HOST_GTEA_FAULT_INDEX_W            6
`define DMT_HOST_GTEA_FAULT_INDEX_MASK         64'h000000000003f000
`define DMT_HOST_GTEA_FAULT_ID_LSB             0
`define DMT_HOST_GTEA_FAULT_ID_W               12
`define DMT_HOST_GTEA_FAULT_ID_MASK            64'h0000000000000fff

// DMT_HOST_CAPS2: What this instance was built with, second stages
`define DMT_HOST_CAPS2_RESET                   64'h0000000000000000
`define DMT_HOST_CAPS2_NPWC2_N_LSB             16
`define DMT_HOST_CAPS2_NPWC2_N_W               7
`define DMT_HOST_CAPS2_NPWC2_N_MASK            64'h00000000007f0000
`define DMT_HOST_CAPS2_NPWC3_N_LSB             8
`define DMT_HOST_CAPS2_NPWC3_N_W               7
`define DMT_HOST_CAPS2_NPWC3_N_MASK            64'h0000000000007f00
`define DMT_HOST_CAPS2_NPWC4_N_LSB             0
`define DMT_HOST_CAPS2_NPWC4_N_W               7
`define DMT_HOST_CAPS2_NPWC4_N_MASK            64'h000000000000007f

// DMT_HOST_IMAGE_BASE0: Image area of set 0
`define DMT_HOST_IMAGE_BASE0_RESET             64'h0000000000000000
`define DMT_HOST_IMAGE_BASE0_BASE_LSB          12
`define DMT_HOST_IMAGE_BASE0_BASE_W            40
`define DMT_HOST_IMAGE_BASE0_BASE_MASK         64'h000ffffffffff000

// DMT_HOST_IMAGE_COUNT0: Images of set 0
`define DMT_HOST_IMAGE_COUNT0_RESET            64'h0000000000000000
`define DMT_HOST_IMAGE_COUNT0_COUNT_LSB        0
`define DMT_HOST_IMAGE_COUNT0_COUNT_W          13
`define DMT_HOST_IMAGE_COUNT0_COUNT_MASK       64'h0000000000001fff

// DMT_HOST_IMAGE_BASE1: Image area of set 1
`define DMT_HOST_IMAGE_BASE1_RESET             64'h0000000000000000
`define DMT_HOST_IMAGE_BASE1_BASE_LSB          12
`define DMT_HOST_IMAGE_BASE1_BASE_W            40
`define DMT_HOST_IMAGE_BASE1_BASE_MASK         64'h000ffffffffff000

// DMT_HOST_IMAGE_COUNT1: Images of set 1
`define DMT_HOST_IMAGE_COUNT1_RESET            64'h0000000000000000
`define DMT_HOST_IMAGE_COUNT1_COUNT_LSB        0
`define DMT_HOST_IMAGE_COUNT1_COUNT_W          13
`define DMT_HOST_IMAGE_COUNT1_COUNT_MASK       64'h0000000000001fff

// DMT_HOST_IMAGE_BASE2: Image area of set 2
`define DMT_HOST_IMAGE_BASE2_RESET             64'h0000000000000000
`define DMT_HOST_IMAGE_BASE2_BASE_LSB          12
`define DMT_HOST_IMAGE_BASE2_BASE_W            40
`define DMT_HOST_IMAGE_BASE2_BASE_MASK         64'h000ffffffffff000

// DMT_HOST_IMAGE_COUNT2: Images of set 2
`define DMT_HOST_IMAGE_COUNT2_RESET            64'h0000000000000000
`define DMT_HOST_IMAGE_COUNT2_COUNT_LSB        0
`define DMT_HOST_IMAGE_COUNT2_COUNT_W          13
`define DMT_HOST_IMAGE_COUNT2_COUNT_MASK       64'h0000000000001fff

// DMT_HOST_CNT_REQUEST: Requests that left the front
`define DMT_HOST_CNT_REQUEST_RESET             64'h0000000000000000
`define DMT_HOST_CNT_REQUEST_COUNT_LSB         0
`define DMT_HOST_CNT_REQUEST_COUNT_W           64
`define DMT_HOST_CNT_REQUEST_COUNT_MASK        64'hffffffffffffffff

// DMT_HOST_CNT_TEA: Translations completed OK by TEA registers alone, in every stage
`define DMT_HOST_CNT_TEA_RESET                 64'h0000000000000000
`define DMT_HOST_CNT_TEA_COUNT_LSB             0
`define DMT_HOST_CNT_TEA_COUNT_W               64
`define DMT_HOST_CNT_TEA_COUNT_MASK            64'hffffffffffffffff

// DMT_HOST_CNT_RADIX: Translations completed OK with a walk in some stage, none of them a restart
`define DMT_HOST_CNT_RADIX_RESET               64'h0000000000000000
`define DMT_HOST_CNT_RADIX_COUNT_LSB           0
`define DMT_HOST_CNT_RADIX_COUNT_W             64
`define DMT_HOST_CNT_RADIX_COUNT_MASK          64'hffffffffffffffff

// DMT_HOST_CNT_RESTART: Translations completed OK with a walk after a TEA fetch that did not count
`define DMT_HOST_CNT_RESTART_RESET             64'h0000000000000000
`define DMT_HOST_CNT_RESTART_COUNT_LSB         0
`define DMT_HOST_CNT_RESTART_COUNT_W           64
`define DMT_HOST_CNT_RESTART_COUNT_MASK        64'hffffffffffffffff

// DMT_HOST_CNT_PASS: Requests passed through in mode OFF
`define DMT_HOST_CNT_PASS_RESET                64'h0000000000000000
`define DMT_HOST_CNT_PASS_COUNT_LSB            0
`define DMT_HOST_CNT_PASS_COUNT_W              64
`define DMT_HOST_CNT_PASS_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_FAULT: Answers GP, PF and second-stage faults
`define DMT_HOST_CNT_FAULT_RESET               64'h0000000000000000
`define DMT_HOST_CNT_FAULT_COUNT_LSB           0
`define DMT_HOST_CNT_FAULT_COUNT_W             64
`define DMT_HOST_CNT_FAULT_COUNT_MASK          64'hffffffffffffffff

// DMT_HOST_CNT_BUS: Answers BUS
`define DMT_HOST_CNT_BUS_RESET                 64'h0000000000000000
`define DMT_HOST_CNT_BUS_COUNT_LSB             0
`define DMT_HOST_CNT_BUS_COUNT_W               64
`define DMT_HOST_CNT_BUS_COUNT_MASK            64'hffffffffffffffff

// DMT_HOST_CNT_RETRY: Answers RETRY
`define DMT_HOST_CNT_RETRY_RESET               64'h0000000000000000
`define DMT_HOST_CNT_RETRY_COUNT_LSB           0
`define DMT_HOST_CNT_RETRY_COUNT_W             64
`define DMT_HOST_CNT_RETRY_COUNT_MASK          64'hffffffffffffffff

// DMT_HOST_CNT_READ: Reads answered on the PTE port
`define DMT_HOST_CNT_READ_RESET                64'h0000000000000000
`define DMT_HOST_CNT_READ_COUNT_LSB            0
`define DMT_HOST_CNT_READ_COUNT_W              64
`define DMT_HOST_CNT_READ_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_UPDATE: Accessed and dirty updates that took effect
`define DMT_HOST_CNT_UPDATE_RESET              64'h0000000000000000
`define DMT_HOST_CNT_UPDATE_COUNT_LSB          0
`define DMT_HOST_CNT_UPDATE_COUNT_W            64
`define DMT_HOST_CNT_UPDATE_COUNT_MASK         64'hffffffffffffffff

// DMT_HOST_CNT_LOST: Exclusive writes that lost their reservation
`define DMT_HOST_CNT_LOST_RESET                64'h0000000000000000
`define DMT_HOST_CNT_LOST_COUNT_LSB            0
`define DMT_HOST_CNT_LOST_COUNT_W              64
`define DMT_HOST_CNT_LOST_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_PWC4: Walks of the entering stage started from a cached PML4 entry
`define DMT_HOST_CNT_PWC4_RESET                64'h0000000000000000
`define DMT_HOST_CNT_PWC4_COUNT_LSB            0
`define DMT_HOST_CNT_PWC4_COUNT_W              64
`define DMT_HOST_CNT_PWC4_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_PWC3: Walks of the entering stage started from a cached PDPT entry
`define DMT_HOST_CNT_PWC3_RESET                64'h0000000000000000
`define DMT_HOST_CNT_PWC3_COUNT_LSB            0
`define DMT_HOST_CNT_PWC3_COUNT_W              64
`define DMT_HOST_CNT_PWC3_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_PWC2: Walks of the entering stage started from a cached PD entry
`define DMT_HOST_CNT_PWC2_RESET                64'h0000000000000000
`define DMT_HOST_CNT_PWC2_COUNT_LSB            0
`define DMT_HOST_CNT_PWC2_COUNT_W              64
`define DMT_HOST_CNT_PWC2_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_BUSY: Clocks with at least one walk context in use
`define DMT_HOST_CNT_BUSY_RESET                64'h0000000000000000
`define DMT_HOST_CNT_BUSY_COUNT_LSB            0
`define DMT_HOST_CNT_BUSY_COUNT_W              64
`define DMT_HOST_CNT_BUSY_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_GTEA: Answers GTEA
`define DMT_HOST_CNT_GTEA_RESET                64'h0000000000000000
`define DMT_HOST_CNT_GTEA_COUNT_LSB            0
`define DMT_HOST_CNT_GTEA_COUNT_W              64
`define DMT_HOST_CNT_GTEA_COUNT_MASK           64'hffffffffffffffff

// DMT_HOST_CNT_NPWC4: Walks of second stages started from a cached entry of level 4
`define DMT_HOST_CNT_NPWC4_RESET               64'h0000000000000000
`define DMT_HOST_CNT_NPWC4_COUNT_LSB           0
`define DMT_HOST_CNT_NPWC4_COUNT_W             64
`define DMT_HOST_CNT_NPWC4_COUNT_MASK          64'hffffffffffffffff

// DMT_HOST_CNT_NPWC3: Walks of second stages started from a cached entry of level 3
`define DMT_HOST_CNT_NPWC3_RESET               64'h0000000000000000
`define DMT_HOST_CNT_NPWC3_COUNT_LSB           0
`define DMT_HOST_CNT_NPWC3_COUNT_W             64
`define DMT_HOST_CNT_NPWC3_COUNT_MASK          64'hffffffffffffffff

// DMT_HOST_CNT_NPWC2: Walks of second stages started from a cached entry of level 2
`define DMT_HOST_CNT_NPWC2_RESET               64'h0000000000000000
`define DMT_HOST_CNT_NPWC2_COUNT_LSB           0
`define DMT_HOST_CNT_NPWC2_COUNT_W             64
`define DMT_HOST_CNT_NPWC2_COUNT_MASK          64'hffffffffffffffff

`endif
