// SPDX-License-Identifier: Apache-2.0
// dmt_csr: control and status registers behind AXI4-Lite (docs/registers.md).
//
// A write is executed in one cycle; one that translations can see first
// drains the walker: drain_o stops new requests, and the write waits for
// idle_i. Latency: a write that need not drain is answered one cycle after
// both its channels were taken; a read one cycle after its address was taken.
`default_nettype none
`include "dmt_regs.vh"

module dmt_csr #(
    // parameters of this instance, as in dmt_mmu
    parameter PA_W   = 52,
    parameter CTX_N  = 8,
    parameter TEA_N  = 16,
    parameter SETS   = 3,
    parameter PWC4_N = 2,
    parameter PWC3_N = 4,
    parameter PWC2_N = 32,
    parameter NPWC4_N = 2,
    parameter NPWC3_N = 4,
    parameter NPWC2_N = 32,
    parameter CNT_W  = 48,
    // number of counters
    parameter CNT_N  = 19,
    // bits that say whose a cache entry is
    parameter OWNER_W = 30,
    parameter NOWNER_W = 17,
    // 1: writes are executed in the third cycle in which they are held
    parameter PIPE = 0
) (
    input  wire               clk_i,
    input  wire               rst_i,

    // AXI4-Lite
    input  wire               s_awvalid_i,
    output wire               s_awready_o,
    input  wire [13:0]        s_awaddr_i,
    input  wire               s_wvalid_i,
    output wire               s_wready_o,
    input  wire [63:0]        s_wdata_i,
    input  wire [7:0]         s_wstrb_i,
    output wire               s_bvalid_o,
    input  wire               s_bready_i,
    output wire [1:0]         s_bresp_o,
    input  wire               s_arvalid_i,
    output wire               s_arready_o,
    input  wire [13:0]        s_araddr_i,
    output wire               s_rvalid_o,
    input  wire               s_rready_i,
    output wire [63:0]        s_rdata_o,
    output wire [1:0]         s_rresp_o,

    // draining
    output wire               drain_o,
    input  wire               idle_i,
    output wire               changed_o,     // what translations see has changed

    // TEA registers
    output wire               tea_we_o,
    output wire [1:0]         tea_w_set_o,
    output wire [5:0]         tea_w_index_o,
    output wire [1:0]         tea_w_word_o,
    output wire [63:0]        tea_w_data_o,
    input  wire               tea_refused_i,
    output wire               tea_clear_o,
    output wire [1:0]         tea_r_set_o,
    output wire [5:0]         tea_r_index_o,
    output wire [1:0]         tea_r_word_o,
    input  wire [63:0]        tea_r_data_i,

    // gTEAs
    output wire               load_start_o,
    output wire               load_one_o,
    output wire               load_any_o,
    output wire               load_image_o,
    output wire [1:0]         load_set_o,
    output wire [5:0]         load_index_o,
    output wire [11:0]        load_id_o,
    input  wire               load_busy_i,
    input  wire               load_done_i,
    input  wire               load_failed_i,
    input  wire [1:0]         table_set_i,
    output wire [PA_W-1:12]   table_o,
    output wire [12:0]        entries_o,
    output wire [PA_W-1:12]   images_o,
    output wire               revoke_o,
    output wire               revoke_all_o,
    output wire [1:0]         revoke_set_o,
    output wire [11:0]        revoke_id_o,

    // paging-structure caches: of the entering stage, of second stages;
    // entries whose owner agrees in the fields of the mask: {stage bits, PCID, TAG1, TAG0}
    output wire               flush_v_o,
    output wire [OWNER_W-1:0] flush_v_owner_o,
    output wire [4:0]         flush_v_mask_o,
    output wire               flush_s_o,
    output wire [NOWNER_W-1:0] flush_s_owner_o,
    output wire [3:0]          flush_s_mask_o,
    output wire [OWNER_W-1:0] owner_v_o,     // of what is filled and looked up now
    output wire [NOWNER_W-1:0] owner_s_o,

    // control, stable while a walk is in flight
    output wire [1:0]         mode_o,
    output wire               ad_update_o,
    output wire [51:12]       pa_reserved_o, // ones at and above MAXPA
    output wire [1:0]         enter_o,       // entering stage
    output wire               full_o,        // fallback FULL
    output wire [PA_W-1:12]   root_o,        // of the entering stage
    output wire [PA_W-1:12]   s2root0_o,
    output wire [PA_W-1:12]   s2root1_o,
    output wire [PA_W-1:12]   shadow_root_o,
    output wire [3:0]         s2ctl0_o,
    output wire [3:0]         s2ctl1_o,
    output wire [3:0]         shadow_ctl_o,
    output wire [PA_W-1:12]   root1_o,       // of stage 1, entering or not
    output wire [PA_W-1:12]   root2_o,       // of stage 2
    output wire               wp_o,
    output wire               pge_o,
    output wire               la57_o,
    output wire               smep_o,
    output wire               smap_o,
    output wire               pke_o,
    output wire               pks_o,
    output wire               nxe_o,
    output wire [31:0]        pkru_o,
    output wire [31:0]        pkrs_o,

    // events and counters
    input  wire [2:0]         multi_hit_i,
    input  wire               gtea_i,
    input  wire [20:0]        gtea_fault_i,
    input  wire               bus_i,
    input  wire               not_exclusive_i,
    input  wire [PA_W-1:3]    bus_addr_i,
    output wire               event_o,
    output wire               cnt_clear_o,
    input  wire [64*CNT_N-1:0] count_i
);

    localparam [1:0] OKAY = 2'b00, SLVERR = 2'b10;
    localparam [1:0] HOST = 2'd3;
    localparam LVL_W = SETS == 3 ? 2 : 1;
    // the parameters as they stand in CAPS
    localparam [31:0] SETS_32 = SETS, PA_32 = PA_W, CTX_32 = CTX_N, TEA_32 = TEA_N, CNT_32 = CNT_W,
                      PWC4_32 = PWC4_N, PWC3_32 = PWC3_N, PWC2_32 = PWC2_N,
                      NPWC4_32 = NPWC4_N, NPWC3_32 = NPWC3_N, NPWC2_32 = NPWC2_N;
    localparam [63:0] CAPS2 = {41'd0, NPWC2_32[6:0], 1'b0, NPWC3_32[6:0], 1'b0, NPWC4_32[6:0]};
    localparam [63:0] CAPS = {1'b0, CNT_32[6:0], 1'b0, PWC2_32[6:0], 1'b0, PWC3_32[6:0], 1'b0, PWC4_32[6:0],
                              6'd0, SETS_32[1:0], 1'b0, TEA_32[6:0], 1'b0, CTX_32[6:0], 1'b0, PA_32[6:0]};

    // ------------------------------------------------------------- address map
    // a level's window, lower half: addr[13:11]
    function is_tea;
        input [2:0] addr;
        is_tea = addr[2:1] != HOST && !addr[0];
    endfunction

    function mapped;
        input [13:0] addr;
        reg          here;
        begin
            if (addr[13:12] == HOST)
                case (addr[11:0])
                `DMT_HOST_ID, `DMT_HOST_CAPS, `DMT_HOST_CTL, `DMT_HOST_MAXPA, `DMT_HOST_EVENT,
                `DMT_HOST_EVENT_MASK, `DMT_HOST_BUS_ADDR, `DMT_HOST_CNT_CLEAR, `DMT_HOST_CAPS2:
                    here = 1'b1;
                `DMT_HOST_GTEA_TABLE1, `DMT_HOST_GTEA_ENTRIES1, `DMT_HOST_GTEA_CMD, `DMT_HOST_GTEA_FAULT,
                `DMT_HOST_IMAGE_BASE0, `DMT_HOST_IMAGE_COUNT0, `DMT_HOST_IMAGE_BASE1, `DMT_HOST_IMAGE_COUNT1:
                    here = SETS > 1;
                `DMT_HOST_SHADOW_CTL, `DMT_HOST_SHADOW_ROOT, `DMT_HOST_GTEA_TABLE2, `DMT_HOST_GTEA_ENTRIES2,
                `DMT_HOST_IMAGE_BASE2, `DMT_HOST_IMAGE_COUNT2:
                    here = SETS > 2;
                default:
                    here = addr[11:0] >= `DMT_HOST_CNT_REQUEST && addr[11:0] <= `DMT_HOST_CNT_NPWC2;
                endcase
            else if (addr[13:12] >= SETS_32[1:0])
                here = 1'b0;
            else if (!addr[11])
                here = {1'b0, addr[10:5]} < TEA_32[6:0];
            else
                case (addr[11:0])
                `DMT_LEVEL_CR0, `DMT_LEVEL_CR3, `DMT_LEVEL_CR4, `DMT_LEVEL_EFER, `DMT_LEVEL_PKRU,
                `DMT_LEVEL_PKRS, `DMT_LEVEL_EVENT, `DMT_LEVEL_EVENT_MASK, `DMT_LEVEL_INV:
                    here = 1'b1;
                `DMT_LEVEL_LOAD:
                    here = SETS > 1;
                `DMT_LEVEL_S2CTL, `DMT_LEVEL_S2ROOT:
                    here = {1'b0, addr[13:12]} + 3'd1 < {1'b0, SETS_32[1:0]};
                default:
                    here = 1'b0;
                endcase
            mapped = here && addr[2:0] == 3'd0;
        end
    endfunction

    // ------------------------------------------------------------------- write
    reg         aw_held_q, w_held_q, b_valid_q;
    reg [13:0]  addr_q;
    reg [63:0]  data_q;
    reg [7:0]   strb_q;
    reg [1:0]   b_resp_q;

    wire [1:0]  win    = addr_q[13:12];
    wire [11:0] off    = addr_q[11:0];
    wire        held   = aw_held_q && w_held_q;
    wire        legal  = mapped(addr_q) && strb_q == 8'hFF;
    wire        host   = win == HOST;
    wire        tea    = is_tea(addr_q[13:11]);
    wire        level  = !host && !tea;

    wire at_cr0   = level && off == `DMT_LEVEL_CR0;
    wire at_cr3   = level && off == `DMT_LEVEL_CR3;
    wire at_cr4   = level && off == `DMT_LEVEL_CR4;
    wire at_efer  = level && off == `DMT_LEVEL_EFER;
    wire at_pkru  = level && off == `DMT_LEVEL_PKRU;
    wire at_pkrs  = level && off == `DMT_LEVEL_PKRS;
    wire at_event = level && off == `DMT_LEVEL_EVENT;
    wire at_mask  = level && off == `DMT_LEVEL_EVENT_MASK;
    wire at_inv   = level && off == `DMT_LEVEL_INV;
    wire at_s2ctl  = level && off == `DMT_LEVEL_S2CTL;
    wire at_s2root = level && off == `DMT_LEVEL_S2ROOT;
    wire at_load   = level && off == `DMT_LEVEL_LOAD;
    wire at_ctl   = host && off == `DMT_HOST_CTL;
    wire at_maxpa = host && off == `DMT_HOST_MAXPA;
    wire at_hevent = host && off == `DMT_HOST_EVENT;
    wire at_hmask = host && off == `DMT_HOST_EVENT_MASK;
    wire at_clear = host && off == `DMT_HOST_CNT_CLEAR;
    wire at_sctl  = host && off == `DMT_HOST_SHADOW_CTL;
    wire at_sroot = host && off == `DMT_HOST_SHADOW_ROOT;
    wire at_gtab1 = host && off == `DMT_HOST_GTEA_TABLE1;
    wire at_gtab2 = host && off == `DMT_HOST_GTEA_TABLE2;
    wire at_gent1 = host && off == `DMT_HOST_GTEA_ENTRIES1;
    wire at_gent2 = host && off == `DMT_HOST_GTEA_ENTRIES2;
    wire at_gcmd  = host && off == `DMT_HOST_GTEA_CMD;
    // image areas: base and count of sets 0 to 2, 16 bytes a set
    wire at_image = host && off >= `DMT_HOST_IMAGE_BASE0 && off <= `DMT_HOST_IMAGE_COUNT2;
    wire at_ibase = at_image && !off[3];
    wire at_icount = at_image && off[3];
    wire [1:0] image_set = {off[6] && !off[5], off[5] && off[4]};

    wire drains = legal && ((tea && off[4:3] != 2'd3) || at_cr0 || at_cr3 || at_cr4 || at_efer
                         || at_pkru || at_pkrs || at_inv || at_ctl || at_maxpa || at_s2ctl || at_s2root
                         || at_sctl || at_sroot || at_gtab1 || at_gtab2 || at_gent1 || at_gent2 || at_gcmd || at_load);
    // With PIPE = 1 the third cycle in which it is held and the loader idle: dmt_tea_file
    // checks meanwhile.
    wire ripe;
    generate
        if (PIPE != 0) begin : g_ripen
            reg [1:0] held_for_q;
            always @(posedge clk_i)
                held_for_q <= (held && !load_busy_i && !exec && !rst_i) ? {held_for_q[0], 1'b1} : 2'b00;
            assign ripe = held_for_q[1];
        end else begin : g_ripe
            assign ripe = 1'b1;
        end
    endgenerate
    wire exec   = held && ripe && !b_valid_q && !load_busy_i && (!drains || idle_i);
    wire write  = exec && legal;
    assign drain_o = held && drains;
    assign changed_o = (write && drains && !load_start_o) || load_done_i;

    assign s_awready_o = !aw_held_q;
    assign s_wready_o  = !w_held_q;
    assign s_bvalid_o  = b_valid_q;
    assign s_bresp_o   = b_resp_q & {2{b_valid_q}};

    always @(posedge clk_i) begin
        if (rst_i) begin
            aw_held_q <= 1'b0;
            w_held_q  <= 1'b0;
            b_valid_q <= 1'b0;
        end else begin
            aw_held_q <= (aw_held_q || s_awvalid_i) && !exec;
            w_held_q  <= (w_held_q || s_wvalid_i) && !exec;
            b_valid_q <= (exec && !load_start_o) || load_done_i || (b_valid_q && !s_bready_i);
        end
    end
    always @(posedge clk_i) begin
        if (s_awready_o)
            addr_q <= s_awaddr_i;
        if (s_wready_o) begin
            data_q <= s_wdata_i;
            strb_q <= s_wstrb_i;
        end
        if (exec)
            b_resp_q <= legal ? OKAY : SLVERR;
    end

    // --------------------------------------------------------- control registers
    reg [SETS-1:0]    wp_q, pge_q, la57_q, pcide_q, smep_q, smap_q, pke_q, pks_q, nxe_q;
    reg [52*SETS-1:0] cr3_q;               // {root, PCID}
    reg [32*SETS-1:0] pkru_q, pkrs_q;
    reg [1:0]         mode_q;
    reg               ad_update_q, full_q;
    reg [5:0]         maxpa_q;

    // The mask is kept beside the number, since every check of an entry begins with it.
    wire       maxpa_write = write && at_maxpa && !maxpa_bad;
    wire [5:0] maxpa_next  = rst_i ? PA_32[5:0] : data_q[5:0];
    reg [51:12] pa_reserved_q;
    assign pa_reserved_o = pa_reserved_q;
    genvar b;
    generate
        for (b = 12; b <= 51; b = b + 1) begin : g_reserved
            always @(posedge clk_i)
                if (rst_i || maxpa_write)
                    pa_reserved_q[b] <= maxpa_next <= b;
        end
    endgenerate

    wire cr3_bad   = (|data_q[62:52]) || |(data_q[51:12] & pa_reserved_o);
    wire has_s2    = {1'b0, win} + 3'd1 < {1'b0, SETS_32[1:0]};
    wire inv_s2    = data_q[63:60] == `DMT_INV_S2_CONTEXT || data_q[63:60] == `DMT_INV_S2_ALL;
    wire inv_bad   = data_q[63:60] > `DMT_INV_S2_ALL || (inv_s2 && !has_s2);
    wire ctl_bad   = {1'b0, data_q[1:0]} > {1'b0, SETS_32[1:0]};    // mode k + 1 enters stage k
    wire maxpa_bad = (data_q[5:0] < 6'd32) || (data_q[5:0] > PA_32[5:0]);
    wire s2root_bad = (|data_q[62:52]) || (|data_q[11:8]) || |(data_q[51:12] & pa_reserved_o);
    wire frame_bad = (|data_q[63:52]) || |(data_q[51:12] & pa_reserved_o);
    wire count_bad = (|data_q[63:13]) || data_q[12:0] > 13'd4096;
    wire gset_bad  = data_q[13:12] == 2'd0 || data_q[13:12] >= SETS_32[1:0];

    wire load_bad  = (|data_q[63:12]) || {1'b0, data_q[11:0]} >= count_of_win;

    wire level_refused = write && ((at_cr3 && cr3_bad) || (at_inv && inv_bad) || (at_s2root && s2root_bad)
                                || (at_load && load_bad));
    wire host_refused  = write && ((at_ctl && ctl_bad) || (at_maxpa && maxpa_bad)
                                || ((at_sroot || at_gtab1 || at_gtab2 || at_ibase) && frame_bad)
                                || ((at_gent1 || at_gent2 || at_icount) && count_bad) || (at_gcmd && gset_bad));

    integer l;
    always @(posedge clk_i) begin
        if (rst_i) begin
            wp_q    <= {SETS{1'b0}};
            pge_q   <= {SETS{1'b0}};
            la57_q  <= {SETS{1'b0}};
            pcide_q <= {SETS{1'b0}};
            smep_q  <= {SETS{1'b0}};
            smap_q  <= {SETS{1'b0}};
            pke_q   <= {SETS{1'b0}};
            pks_q   <= {SETS{1'b0}};
            nxe_q   <= {SETS{1'b0}};
            cr3_q   <= {52*SETS{1'b0}};
            pkru_q  <= {32*SETS{1'b0}};
            pkrs_q  <= {32*SETS{1'b0}};
        end else if (write) begin
            for (l = 0; l < SETS; l = l + 1)
                if (win == l[1:0]) begin
                    if (at_cr0)
                        wp_q[l] <= data_q[`DMT_LEVEL_CR0_WP_LSB];
                    if (at_cr3 && !cr3_bad)
                        cr3_q[52*l +: 52] <= data_q[51:0];
                    if (at_cr4) begin
                        pge_q[l]   <= data_q[`DMT_LEVEL_CR4_PGE_LSB];
                        la57_q[l]  <= data_q[`DMT_LEVEL_CR4_LA57_LSB];
                        pcide_q[l] <= data_q[`DMT_LEVEL_CR4_PCIDE_LSB];
                        smep_q[l]  <= data_q[`DMT_LEVEL_CR4_SMEP_LSB];
                        smap_q[l]  <= data_q[`DMT_LEVEL_CR4_SMAP_LSB];
                        pke_q[l]   <= data_q[`DMT_LEVEL_CR4_PKE_LSB];
                        pks_q[l]   <= data_q[`DMT_LEVEL_CR4_PKS_LSB];
                    end
                    if (at_efer)
                        nxe_q[l] <= data_q[`DMT_LEVEL_EFER_NXE_LSB];
                    if (at_pkru)
                        pkru_q[32*l +: 32] <= data_q[31:0];
                    if (at_pkrs)
                        pkrs_q[32*l +: 32] <= data_q[31:0];
                end
            if (at_maxpa && !maxpa_bad)
                cr3_q <= {52*SETS{1'b0}};
        end
    end

    always @(posedge clk_i) begin
        if (rst_i) begin
            mode_q      <= `DMT_MODE_OFF;
            ad_update_q <= 1'b1;
            full_q      <= 1'b0;
            maxpa_q     <= PA_32[5:0];
        end else begin
            if (write && at_ctl && !ctl_bad) begin
                mode_q      <= data_q[`DMT_HOST_CTL_MODE_LSB +: 2];
                ad_update_q <= data_q[`DMT_HOST_CTL_AD_UPDATE_LSB];
                full_q      <= data_q[`DMT_HOST_CTL_FALLBACK_LSB];
            end
            if (maxpa_write)
                maxpa_q <= data_q[5:0];
        end
    end

    assign mode_o      = mode_q;
    assign ad_update_o = ad_update_q;

    // Requests enter at level 0 in modes OFF and NATIVE.
    wire [1:0] enter = (SETS == 1 || !mode_q[1]) ? 2'd0 : {mode_q[0], !mode_q[0]};
    wire [LVL_W-1:0] e = enter[LVL_W-1:0];
    // (64 bits apart, so that a level selects without being multiplied.)
    wire [64*SETS-1:0] cr3_all;
    genvar c;
    generate
        for (c = 0; c < SETS; c = c + 1) begin : g_cr3
            assign cr3_all[64*c +: 64] = {12'd0, cr3_q[52*c +: 52]};
        end
    endgenerate
    wire [51:0] cr3        = cr3_all[64*e +: 52];
    wire        unused_cr3 = &{1'b0, cr3_all, cr3};
    wire [11:0] pcid       = cr3[11:0] & {12{pcide_q[e]}};
    assign enter_o = enter;
    assign full_o  = full_q;
    assign root_o  = cr3[12 +: PA_W-12];
    assign wp_o    = wp_q[e];
    assign pge_o   = pge_q[e];
    assign la57_o  = la57_q[e];
    assign smep_o  = smep_q[e];
    assign smap_o  = smap_q[e];
    assign pke_o   = pke_q[e];
    assign pks_o   = pks_q[e];
    assign nxe_o   = nxe_q[e];
    assign pkru_o  = pkru_q[32*e +: 32];
    assign pkrs_o  = pkrs_q[32*e +: 32];

    // ------------------------------------------------- second stages and gTEA tables
    // For instances without them all of this reads zero.
    wire [3:0]  s2ctl0, s2ctl1, sctl;
    wire [47:0] s2root0, s2root1;          // {root, tag}
    wire [51:12] sroot, gtab1, gtab2;
    wire [12:0] gent1, gent2;
    wire [20:0] gfault;
    wire [3*40-1:0] ibase;                 // image areas of sets 0 to 2
    wire [3*13-1:0] icount;
    wire [7:0]  tag0 = s2root0[7:0];
    wire [7:0]  tag1 = s2root1[7:0];
    generate
        if (SETS > 1) begin : g_two
            reg [3:0]   s2ctl_q;
            reg [47:0]  s2root_q;
            reg [51:12] gtab_q;
            reg [12:0]  gent_q;
            reg [20:0]  gfault_q;
            always @(posedge clk_i) begin
                if (rst_i) begin
                    s2ctl_q  <= 4'd0;
                    s2root_q <= 48'd0;
                    gtab_q   <= 40'd0;
                    gent_q   <= 13'd0;
                    gfault_q <= 21'd0;
                end else begin
                    if (write && at_s2ctl && win == 2'd0)
                        s2ctl_q <= data_q[3:0];
                    if (maxpa_write)
                        s2root_q <= 48'd0;
                    else if (write && at_s2root && !s2root_bad && win == 2'd0)
                        s2root_q <= {data_q[51:12], data_q[7:0]};
                    if (write && at_gtab1 && !frame_bad)
                        gtab_q <= data_q[51:12];
                    if (write && at_gent1 && !count_bad)
                        gent_q <= data_q[12:0];
                    if (gtea_i)
                        gfault_q <= gtea_fault_i;
                end
            end
            assign s2ctl0  = s2ctl_q;
            assign s2root0 = s2root_q;
            assign gtab1   = gtab_q;
            assign gent1   = gent_q;
            assign gfault  = gfault_q;
        end else begin : g_not_two
            assign s2ctl0  = 4'd0;
            assign s2root0 = 48'd0;
            assign gtab1   = 40'd0;
            assign gent1   = 13'd0;
            assign gfault  = 21'd0;
            wire unused_gfault = &{1'b0, gtea_fault_i};
        end
        if (SETS > 2) begin : g_three
            reg [3:0]   s2ctl_q, sctl_q;
            reg [47:0]  s2root_q;
            reg [51:12] gtab_q, sroot_q;
            reg [12:0]  gent_q;
            always @(posedge clk_i) begin
                if (rst_i) begin
                    s2ctl_q  <= 4'd0;
                    sctl_q   <= 4'd0;
                    s2root_q <= 48'd0;
                    gtab_q   <= 40'd0;
                    sroot_q  <= 40'd0;
                    gent_q   <= 13'd0;
                end else begin
                    if (write && at_s2ctl && win == 2'd1)
                        s2ctl_q <= data_q[3:0];
                    if (write && at_sctl)
                        sctl_q <= data_q[3:0];
                    if (maxpa_write)
                        s2root_q <= 48'd0;
                    else if (write && at_s2root && !s2root_bad && win == 2'd1)
                        s2root_q <= {data_q[51:12], data_q[7:0]};
                    if (maxpa_write)
                        sroot_q <= 40'd0;
                    else if (write && at_sroot && !frame_bad)
                        sroot_q <= data_q[51:12];
                    if (write && at_gtab2 && !frame_bad)
                        gtab_q <= data_q[51:12];
                    if (write && at_gent2 && !count_bad)
                        gent_q <= data_q[12:0];
                end
            end
            assign s2ctl1  = s2ctl_q;
            assign s2root1 = s2root_q;
            assign sctl    = sctl_q;
            assign sroot   = sroot_q;
            assign gtab2   = gtab_q;
            assign gent2   = gent_q;
        end else begin : g_not_three
            assign s2ctl1  = 4'd0;
            assign s2root1 = 48'd0;
            assign sctl    = 4'd0;
            assign sroot   = 40'd0;
            assign gtab2   = 40'd0;
            assign gent2   = 13'd0;
        end
    endgenerate

    assign s2ctl0_o      = s2ctl0;
    assign s2ctl1_o      = s2ctl1;
    assign shadow_ctl_o  = sctl;
    assign s2root0_o     = s2root0[PA_W-5:8];
    assign s2root1_o     = s2root1[PA_W-5:8];
    assign shadow_root_o = sroot[PA_W-1:12];
    localparam TWO = (SETS > 1) ? 1 : 0, THREE = (SETS > 2) ? 2 : 0;
    assign root1_o = (enter == 2'd1) ? cr3_q[52*TWO + 12 +: PA_W-12] : s2root1_o;
    assign root2_o = cr3_q[52*THREE + 12 +: PA_W-12];

    genvar a;
    generate
        for (a = 0; a < 3; a = a + 1) begin : g_image
            if (SETS > 1 && a < SETS) begin : g_built
                reg [51:12] base_q;
                reg [12:0]  count_q;
                always @(posedge clk_i) begin
                    if (rst_i) begin
                        base_q  <= 40'd0;
                        count_q <= 13'd0;
                    end else if (write && image_set == a) begin
                        if (at_ibase && !frame_bad)
                            base_q <= data_q[51:12];
                        if (at_icount && !count_bad)
                            count_q <= data_q[12:0];
                    end
                end
                assign ibase[40*a +: 40]  = base_q;
                assign icount[13*a +: 13] = count_q;
            end else begin : g_none
                assign ibase[40*a +: 40]  = 40'd0;
                assign icount[13*a +: 13] = 13'd0;
                wire unused_image = &{1'b0, image_set};
            end
        end
    endgenerate
    wire [12:0] count_of_win = (win == 2'd0) ? icount[12:0] : (win == 2'd1) ? icount[25:13] : icount[38:26];
    assign images_o = (table_set_i == 2'd0) ? ibase[PA_W-13:0]
                    : (table_set_i == 2'd1) ? ibase[40 +: PA_W-12]
                    :                         ibase[80 +: PA_W-12];

    // a register of KIND GTEA that is accepted is resolved at once
    wire gtea_word = write && tea && off[4:3] == 2'd0 && data_q[`DMT_TEA_WORD0_P_LSB] && !tea_refused_i
                  && data_q[`DMT_TEA_WORD0_KIND_LSB +: 2] == `DMT_KIND_GTEA;
    wire [1:0] op   = data_q[`DMT_HOST_GTEA_CMD_OP_LSB +: 2];
    wire command    = write && at_gcmd && !gset_bad;
    wire new_table1 = write && ((at_gtab1 && !frame_bad) || (at_gent1 && !count_bad));
    wire new_table2 = write && ((at_gtab2 && !frame_bad) || (at_gent2 && !count_bad));

    assign load_image_o = write && at_load && !load_bad;
    assign load_start_o = gtea_word || load_image_o
                       || (command && (op == `DMT_GTEA_OP_RESOLVE || op == `DMT_GTEA_OP_RESOLVE_ALL));
    assign load_one_o   = gtea_word;
    assign load_any_o   = op == `DMT_GTEA_OP_RESOLVE_ALL;
    assign load_set_o   = host ? data_q[13:12] : win;
    assign load_index_o = off[10:5];
    assign load_id_o    = data_q[11:0];
    assign table_o      = (table_set_i == 2'd2) ? gtab2[PA_W-1:12] : gtab1[PA_W-1:12];
    assign entries_o    = (table_set_i == 2'd2) ? gent2 : gent1;

    assign revoke_o     = (command && (op == `DMT_GTEA_OP_REVOKE || op == `DMT_GTEA_OP_REVOKE_ALL))
                       || new_table1 || new_table2;
    assign revoke_all_o = new_table1 || new_table2 || op == `DMT_GTEA_OP_REVOKE_ALL;
    assign revoke_set_o = new_table1 ? 2'd1 : new_table2 ? 2'd2 : data_q[13:12];
    assign revoke_id_o  = data_q[11:0];

    // ----------------------------------------------------------- TEA registers
    assign tea_we_o      = write && tea;
    assign tea_w_set_o   = win;
    assign tea_w_index_o = off[10:5];
    assign tea_w_word_o  = off[4:3];
    assign tea_w_data_o  = data_q;
    assign tea_clear_o   = maxpa_write;

    // ---------------------------------------- flushes of the paging-structure caches
    // Owners: {nested, two, PCID, TAG1, TAG0} of the entering stage (0: 00, 1: 10,
    // 2: 11), {one, TAG1, TAG0} of second
    // stages: stage 1's; stage 0's has no TAG1.
    assign owner_v_o  = {enter != 2'd0, enter[1], pcid, tag1 & {8{enter[1]}}, tag0 & {8{enter != 2'd0}}};
    assign owner_s_o  = {1'b1, tag1, tag0};

    wire [LVL_W-1:0] lvl = win[LVL_W-1:0];
    wire       cr3_write  = write && at_cr3 && !cr3_bad
                         && !(pcide_q[lvl] && data_q[`DMT_LEVEL_CR3_NOFLUSH_LSB]);
    wire       inv        = write && at_inv && !inv_bad;
    wire       inv_pcid   = data_q[63:60] == `DMT_INV_ADDRESS || data_q[63:60] == `DMT_INV_CONTEXT;
    wire       inv_tag    = data_q[63:60] == `DMT_INV_S2_CONTEXT;
    wire       control    = write && (at_cr0 || at_cr4 || at_efer);
    wire       root_write = write && at_s2root && !s2root_bad && !data_q[`DMT_LEVEL_S2ROOT_NOFLUSH_LSB];

    // of the window's first stage: everything, own, own of a PCID
    wire       v_stage    = control || cr3_write || (inv && !inv_s2);
    wire       v_own      = !control;
    wire       v_pcid     = cr3_write || (inv && inv_pcid);
    wire [11:0] v_id      = at_inv ? data_q[`DMT_LEVEL_INV_PCID_LSB +: 12] : data_q[11:0] & {12{pcide_q[lvl]}};
    // of the window's second stage: of one tag, or all
    wire       s_stage    = root_write || (inv && inv_s2) || (write && at_s2ctl);
    wire       s_tag      = root_write || (inv && inv_tag);
    wire [7:0] s_id       = at_inv ? data_q[`DMT_LEVEL_INV_PCID_LSB +: 8] : data_q[7:0];
    wire       s_one      = win == 2'd1;
    wire       everything = write && ((at_ctl && !ctl_bad) || (at_maxpa && !maxpa_bad) || at_sctl
                                   || (at_sroot && !frame_bad));

    assign flush_v_o = v_stage || s_stage || everything;
    assign flush_s_o = s_stage || everything;
    assign flush_v_owner_o = s_stage ? {1'b1, 1'b1, 12'd0, s_id, s_one ? tag0 : s_id}
                                     : {win != 2'd0, win[1], v_id, tag1 & {8{win[1]}}, tag0 & {8{win != 2'd0}}};
    assign flush_v_mask_o  = everything ? 5'd0
                           : s_stage    ? {1'b1, s_one, 1'b0, s_one && s_tag, s_one || s_tag}
                           :              {2'b11, v_pcid, {2{v_own}}};
    assign flush_s_owner_o = {1'b1, s_id, s_one ? tag0 : s_id};
    assign flush_s_mask_o  = everything ? 4'd0 : {s_one, 1'b0, s_one && s_tag, s_one || s_tag};

    // ------------------------------------------------------------------ events
    reg [3*SETS-1:0] event_q, mask_q;      // {LOAD_FAILED, REFUSED, MULTI_HIT} a level
    reg [3:0]        hevent_q, hmask_q;    // {GTEA, REFUSED, NOT_EXCLUSIVE, BUS}
    reg [51:0]       bus_addr_q;

    integer e_n;
    always @(posedge clk_i) begin
        if (rst_i) begin
            event_q <= {3*SETS{1'b0}};
            mask_q  <= {3*SETS{1'b0}};
        end else begin
            for (e_n = 0; e_n < SETS; e_n = e_n + 1) begin
                event_q[3*e_n +: 3] <= (event_q[3*e_n +: 3]
                                        & ~(data_q[2:0] & {3{write && at_event && win == e_n[1:0]}}))
                                   | {load_failed_i && table_set_i == e_n[1:0],
                                      (level_refused && win == e_n[1:0])
                                      || (tea_refused_i && (load_busy_i ? table_set_i : win) == e_n[1:0]),
                                      multi_hit_i[e_n]};
                if (write && at_mask && win == e_n[1:0])
                    mask_q[3*e_n +: 3] <= data_q[2:0];
            end
        end
    end

    always @(posedge clk_i) begin
        if (rst_i) begin
            hevent_q   <= 4'd0;
            hmask_q    <= 4'd0;
            bus_addr_q <= 52'd0;
        end else begin
            hevent_q <= (hevent_q & ~(data_q[3:0] & {4{write && at_hevent}}))
                      | {gtea_i, host_refused, not_exclusive_i, bus_i};
            if (write && at_hmask)
                hmask_q <= data_q[3:0];
            if (bus_i || not_exclusive_i)
                bus_addr_q <= {{(52-PA_W){1'b0}}, bus_addr_i, 3'd0};
        end
    end

    assign event_o     = (|(event_q & mask_q)) || |(hevent_q & hmask_q);
    assign cnt_clear_o = write && at_clear;

    // -------------------------------------------------------------------- read
    reg         r_valid_q;
    reg [63:0]  r_data_q;
    reg [1:0]   r_resp_q;
    wire        ar_fire = s_arvalid_i && s_arready_o;
    wire [1:0]  r_win   = s_araddr_i[13:12];
    wire [11:0] r_off   = s_araddr_i[11:0];
    wire        r_ok    = mapped(s_araddr_i);

    assign s_arready_o   = !r_valid_q;
    assign s_rvalid_o    = r_valid_q;
    assign s_rdata_o     = r_data_q & {64{r_valid_q}};
    assign s_rresp_o     = r_resp_q & {2{r_valid_q}};
    assign tea_r_set_o   = r_win;
    assign tea_r_index_o = r_off[10:5];
    assign tea_r_word_o  = r_off[4:3];

    wire [4:0]  r_cnt = r_off[7:3];
    // a window that exists, for look-ups only (others answer SLVERR)
    wire [LVL_W-1:0] r_lvl = r_win[LVL_W-1:0];

    reg [63:0] r_value;
    always @* begin
        r_value = 64'd0;
        if (r_win == HOST)
            case (r_off)
            `DMT_HOST_ID:         r_value = `DMT_HOST_ID_RESET;
            `DMT_HOST_CAPS:       r_value = CAPS;
            `DMT_HOST_CTL:        r_value = {60'd0, full_q, ad_update_q, mode_q};
            `DMT_HOST_MAXPA:      r_value = {58'd0, maxpa_q};
            `DMT_HOST_EVENT:      r_value = {60'd0, hevent_q};
            `DMT_HOST_EVENT_MASK: r_value = {60'd0, hmask_q};
            `DMT_HOST_BUS_ADDR:   r_value = {12'd0, bus_addr_q};
            `DMT_HOST_CNT_CLEAR, `DMT_HOST_GTEA_CMD: r_value = 64'd0;
            `DMT_HOST_CAPS2:      r_value = CAPS2;
            `DMT_HOST_SHADOW_CTL: r_value = {60'd0, sctl};
            `DMT_HOST_SHADOW_ROOT: r_value = {12'd0, sroot, 12'd0};
            `DMT_HOST_GTEA_TABLE1: r_value = {12'd0, gtab1, 12'd0};
            `DMT_HOST_GTEA_TABLE2: r_value = {12'd0, gtab2, 12'd0};
            `DMT_HOST_GTEA_ENTRIES1: r_value = {51'd0, gent1};
            `DMT_HOST_GTEA_ENTRIES2: r_value = {51'd0, gent2};
            `DMT_HOST_GTEA_FAULT: r_value = {43'd0, gfault};
            `DMT_HOST_IMAGE_BASE0: r_value = {12'd0, ibase[39:0], 12'd0};
            `DMT_HOST_IMAGE_BASE1: r_value = {12'd0, ibase[79:40], 12'd0};
            `DMT_HOST_IMAGE_BASE2: r_value = {12'd0, ibase[119:80], 12'd0};
            `DMT_HOST_IMAGE_COUNT0: r_value = {51'd0, icount[12:0]};
            `DMT_HOST_IMAGE_COUNT1: r_value = {51'd0, icount[25:13]};
            `DMT_HOST_IMAGE_COUNT2: r_value = {51'd0, icount[38:26]};
            default:              r_value = count_i[64*r_cnt +: 64];
            endcase
        else if (is_tea(s_araddr_i[13:11]))
            r_value = tea_r_data_i;
        else
            case (r_off)
            `DMT_LEVEL_CR0:        r_value[`DMT_LEVEL_CR0_WP_LSB] = wp_q[r_lvl];
            `DMT_LEVEL_CR3:        r_value[51:0] = cr3_all[64*r_lvl +: 52];
            `DMT_LEVEL_CR4: begin
                r_value[`DMT_LEVEL_CR4_PGE_LSB]   = pge_q[r_lvl];
                r_value[`DMT_LEVEL_CR4_LA57_LSB]  = la57_q[r_lvl];
                r_value[`DMT_LEVEL_CR4_PCIDE_LSB] = pcide_q[r_lvl];
                r_value[`DMT_LEVEL_CR4_SMEP_LSB]  = smep_q[r_lvl];
                r_value[`DMT_LEVEL_CR4_SMAP_LSB]  = smap_q[r_lvl];
                r_value[`DMT_LEVEL_CR4_PKE_LSB]   = pke_q[r_lvl];
                r_value[`DMT_LEVEL_CR4_PKS_LSB]   = pks_q[r_lvl];
            end
            `DMT_LEVEL_EFER:       r_value[`DMT_LEVEL_EFER_NXE_LSB] = nxe_q[r_lvl];
            `DMT_LEVEL_PKRU:       r_value[31:0] = pkru_q[32*r_lvl +: 32];
            `DMT_LEVEL_PKRS:       r_value[31:0] = pkrs_q[32*r_lvl +: 32];
            `DMT_LEVEL_S2CTL:      r_value[3:0] = (r_win == 2'd0) ? s2ctl0 : s2ctl1;
            `DMT_LEVEL_S2ROOT: begin
                r_value[51:12] = (r_win == 2'd0) ? s2root0[47:8] : s2root1[47:8];
                r_value[7:0]   = (r_win == 2'd0) ? tag0 : tag1;
            end
            `DMT_LEVEL_EVENT:      r_value[2:0] = event_q[3*r_lvl +: 3];
            `DMT_LEVEL_EVENT_MASK: r_value[2:0] = mask_q[3*r_lvl +: 3];
            default:               r_value = 64'd0;
            endcase
    end

    always @(posedge clk_i) begin
        if (rst_i)
            r_valid_q <= 1'b0;
        else
            r_valid_q <= ar_fire || (r_valid_q && !s_rready_i);
    end
    always @(posedge clk_i) begin
        if (ar_fire) begin
            r_data_q <= r_ok ? r_value : 64'd0;
            r_resp_q <= r_ok ? OKAY : SLVERR;
        end
    end

endmodule

`default_nettype wire
