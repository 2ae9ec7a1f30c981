// SPDX-License-Identifier: Apache-2.0
// dmt_mmu: the Direct Memory Translation walker. Wires the rooms together.
//
// A translation enters through dmt_front, is compared with the TEA registers
// (dmt_tea_file) and the paging-structure caches (dmt_pwc), leaves for memory
// through dmt_launch and dmt_pte_port, and is moved from entry to entry by
// dmt_walk_step until its answer goes to the response queue. Latency: L + 2
// cycles for a TEA hit with memory of latency L, n(L+1) + 1 for an x86 walk of
// n references. Handshakes: valid/ready on the translation port, AXI4 on the
// PTE port, AXI4-Lite on the CSR port; no output depends on an input of the
// same cycle. docs/microarchitecture.md says when everything happens.
`default_nettype none
`include "dmt_regs.vh"

module dmt_mmu #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // walk contexts: walks in flight, and AXI IDs, 1..64
    parameter CTX_N = 8,
    // TEA registers a set, 4..64
    parameter TEA_N = 16,
    // register sets, 1..3
    parameter SETS = 3,
    // cached PML4, PDPT, PD entries, 0..64; 0 leaves a cache out
    parameter PWC4_N = 2,
    parameter PWC3_N = 4,
    parameter PWC2_N = 32,
    // requester tag width, 1..16
    parameter TAG_W = 8,
    // counter width, 0..63; 0 leaves the counters out
    parameter CNT_W = 48,
    // AXI ID width: derived, not to be set
    parameter ID_W = (CTX_N > 1) ? $clog2(CTX_N) : 1
) (
    input  wire             clk_i,
    input  wire             rst_i,         // synchronous, active high

    // translation requests
    input  wire             req_valid_i,
    output wire             req_ready_o,
    input  wire [TAG_W-1:0] req_tag_i,
    input  wire [63:0]      req_va_i,
    input  wire [1:0]       req_access_i,
    input  wire [1:0]       req_cpl_i,
    input  wire             req_ac_i,
    input  wire             req_implicit_i,
    input  wire             req_nonspec_i,

    // answers
    output wire             resp_valid_o,
    input  wire             resp_ready_i,
    output wire [TAG_W-1:0] resp_tag_o,
    output wire [3:0]       resp_status_o,
    output wire [PA_W-1:0]  resp_pa_o,
    output wire [1:0]       resp_size_o,
    output wire [2:0]       resp_rights_o,
    output wire             resp_global_o,
    output wire [3:0]       resp_pkey_o,
    output wire [5:0]       resp_memtype_o,
    output wire             resp_dirty_o,
    output wire             resp_ad_needed_o,
    output wire [31:0]      resp_error_o,
    output wire [63:0]      resp_addr_o,
    output wire [1:0]       resp_stage_o,

    // PTE port, AXI4
    output wire             m_arvalid_o,
    input  wire             m_arready_i,
    output wire [ID_W-1:0]  m_arid_o,
    output wire [PA_W-1:0]  m_araddr_o,
    output wire [7:0]       m_arlen_o,
    output wire [2:0]       m_arsize_o,
    output wire [1:0]       m_arburst_o,
    output wire             m_arlock_o,
    output wire [3:0]       m_arcache_o,
    output wire [2:0]       m_arprot_o,
    input  wire             m_rvalid_i,
    output wire             m_rready_o,
    input  wire [ID_W-1:0]  m_rid_i,
    input  wire [63:0]      m_rdata_i,
    input  wire [1:0]       m_rresp_i,
    input  wire             m_rlast_i,
    output wire             m_awvalid_o,
    input  wire             m_awready_i,
    output wire [ID_W-1:0]  m_awid_o,
    output wire [PA_W-1:0]  m_awaddr_o,
    output wire [7:0]       m_awlen_o,
    output wire [2:0]       m_awsize_o,
    output wire [1:0]       m_awburst_o,
    output wire             m_awlock_o,
    output wire [3:0]       m_awcache_o,
    output wire [2:0]       m_awprot_o,
    output wire             m_wvalid_o,
    input  wire             m_wready_i,
    output wire [63:0]      m_wdata_o,
    output wire [7:0]       m_wstrb_o,
    output wire             m_wlast_o,
    input  wire             m_bvalid_i,
    output wire             m_bready_o,
    input  wire [ID_W-1:0]  m_bid_i,
    input  wire [1:0]       m_bresp_i,

    // CSR port, AXI4-Lite
    input  wire             s_awvalid_i,
    output wire             s_awready_o,
    input  wire [13:0]      s_awaddr_i,
    input  wire             s_wvalid_i,
    output wire             s_wready_o,
    input  wire [63:0]      s_wdata_i,
    input  wire [7:0]       s_wstrb_i,
    output wire             s_bvalid_o,
    input  wire             s_bready_i,
    output wire [1:0]       s_bresp_o,
    input  wire             s_arvalid_i,
    output wire             s_arready_o,
    input  wire [13:0]      s_araddr_i,
    output wire             s_rvalid_o,
    input  wire             s_rready_i,
    output wire [63:0]      s_rdata_o,
    output wire [1:0]       s_rresp_o,

    // an enabled event is pending
    output wire             event_o,

    // walk trace port
    output wire             wt_req_valid_o,
    output wire [31:0]      wt_req_order_o,
    output wire [TAG_W-1:0] wt_req_tag_o,
    output wire [63:0]      wt_req_va_o,
    output wire [1:0]       wt_req_access_o,
    output wire [1:0]       wt_req_cpl_o,
    output wire             wt_req_ac_o,
    output wire             wt_req_implicit_o,
    output wire             wt_req_nonspec_o,
    output wire             wt_ref_valid_o,
    output wire [31:0]      wt_ref_order_o,
    output wire [1:0]       wt_ref_stage_o,
    output wire [2:0]       wt_ref_level_o,
    output wire             wt_ref_tea_o,
    output wire [5:0]       wt_ref_index_o,
    output wire             wt_ref_lock_o,
    output wire [PA_W-1:0]  wt_ref_addr_o,
    output wire [63:0]      wt_ref_data_o,
    output wire [1:0]       wt_ref_resp_o,
    output wire             wt_upd_valid_o,
    output wire [31:0]      wt_upd_order_o,
    output wire [1:0]       wt_upd_stage_o,
    output wire [PA_W-1:0]  wt_upd_addr_o,
    output wire [63:0]      wt_upd_data_o,
    output wire [1:0]       wt_upd_resp_o,
    output wire             wt_end_valid_o,
    output wire [31:0]      wt_end_order_o,
    output wire [TAG_W-1:0] wt_end_tag_o,
    output wire [3:0]       wt_end_status_o,
    output wire [PA_W-1:0]  wt_end_pa_o,
    output wire [1:0]       wt_end_size_o,
    output wire [2:0]       wt_end_rights_o,
    output wire             wt_end_global_o,
    output wire [3:0]       wt_end_pkey_o,
    output wire [5:0]       wt_end_memtype_o,
    output wire             wt_end_dirty_o,
    output wire             wt_end_ad_needed_o,
    output wire [31:0]      wt_end_error_o,
    output wire [63:0]      wt_end_addr_o,
    output wire [1:0]       wt_end_stage_o,
    output wire [5:0]       wt_end_path_o,
    output wire [17:0]      wt_end_index_o,
    output wire [31:0]      wt_end_clocks_o
);

    // Impossible parameters stop elaboration: the module below does not exist.
    generate
        if (PA_W < 32 || PA_W > 52 || CTX_N < 1 || CTX_N > 64 || TEA_N < 4 || TEA_N > 64
            || SETS < 1 || SETS > 3 || PWC4_N < 0 || PWC4_N > 64 || PWC3_N < 0 || PWC3_N > 64
            || PWC2_N < 0 || PWC2_N > 64 || TAG_W < 1 || TAG_W > 16 || CNT_W < 0 || CNT_W > 63
            || ID_W != ((CTX_N > 1) ? $clog2(CTX_N) : 1)) begin : g_check
            dmt_mmu_parameter_out_of_range u_stop ();
        end
    endgenerate

    localparam CNT_N  = 15;
    localparam RESP_W = TAG_W + 4 + PA_W + 2 + 3 + 1 + 4 + 6 + 1 + 1 + 32 + 64 + 2;

    // Every request and every entry is one of stage 0 until there are others.
    localparam [1:0] STAGE = 2'd0;

    // ------------------------------------------------------------------ control
    wire         drain, idle;
    wire         tea_we, tea_refused, tea_clear;
    wire [1:0]   tea_w_set, tea_w_word, tea_r_set, tea_r_word;
    wire [5:0]   tea_w_index, tea_r_index;
    wire [63:0]  tea_w_data, tea_r_data;
    wire         flush_all, flush_pcid;
    wire [11:0]  flush_id, pcid;
    wire [1:0]   mode;
    wire         ad_update, wp, pge, la57, smep, smap, pke, pks, nxe;
    wire [51:12] pa_reserved;
    wire [PA_W-1:12] root;
    wire [31:0]  pkru, pkrs;
    wire         multi_hit, cnt_clear;
    wire [64*CNT_N-1:0] count;

    // ------------------------------------------------------------------ signals
    // front
    wire             walk_room, answer_room, front_go, front_now, front_empty;
    wire [31:0]      front_order, front_stamp, cycle;
    wire [TAG_W-1:0] front_tag;
    wire [63:0]      front_va, front_fault_addr;
    wire [1:0]       front_access, front_cpl;
    wire             front_ac, front_implicit, front_nonspec, front_dirty;
    wire [3:0]       front_status;
    wire [PA_W-1:0]  front_pa;
    wire [2:0]       front_rights;
    wire             front_user    = front_cpl == 2'd3 && !front_implicit;
    wire             front_smap_ok = front_ac && !front_implicit;

    // step
    wire             step, step_b, step_r, step_ok;
    wire [ID_W-1:0]  step_ctx;
    wire [1:0]       step_resp;
    wire [63:0]      step_data;
    wire             do_wait, do_fetch, do_again, do_start, do_update, do_result;
    wire             decide, decide_bus, fill, start_excl;
    wire [PA_W-1:12] next_table;
    wire [2:0]       next_rights, start_size;
    wire             next_alla, next_need;
    wire [63:0]      update_value;
    wire [3:0]       res_status, res_pkey;
    wire [PA_W-1:0]  res_pa;
    wire [1:0]       res_size;
    wire [2:0]       res_rights;
    wire             res_global, res_dirty, res_ad_needed;
    wire [5:0]       res_memtype;
    wire [31:0]      res_error;
    wire [63:0]      res_addr;

    // the stepped context
    wire             ctx_free, ctx_busy;
    wire [ID_W-1:0]  alloc_ctx;
    wire [31:0]      c_order, c_stamp;
    wire [TAG_W-1:0] c_tag;
    wire [63:0]      c_va, c_data;
    wire [1:0]       c_access, c_dec_resp;
    wire             c_user, c_smap_ok, c_nonspec, c_tea, c_last, c_excl, c_alla, c_need, c_restart;
    wire [PA_W-1:3]  c_addr, c_dec_addr;
    wire [2:0]       c_level, c_rights, c_dec_level, c_dec_rights;
    wire [5:0]       c_index, c_dec_index;
    wire             c_dec_valid, c_dec_bus;

    // match
    wire [2:0]       hit, multi, pwc_rights;
    wire [5:0]       hit_1g, hit_2m, hit_4k;
    wire [4:2]       pwc_hit;
    wire [PA_W-1:12] pwc_table;
    wire             pwc_pending;

    // launch
    wire             open, load, emit, emit_excl, emit_tea, emit_alla, emit_need, emit_restart;
    wire [ID_W-1:0]  load_ctx, emit_ctx;
    wire [1:0]       emit_slot, emit_last_slot;
    wire [PA_W-1:3]  emit_addr, sel_entry;
    wire [2:0]       emit_level, emit_rights, sel_allow;
    wire [5:0]       emit_index, sel_index;
    wire [1:0]       sel_sz;
    wire [51:0]      sel_vpn;

    // PTE port
    wire [ID_W-1:0]  ar_ctx, aw_ctx, done_ctx;
    wire [1:0]       ar_slot, done_resp;
    wire [PA_W-1:3]  ar_addr, aw_addr;
    wire [63:0]      w_data;
    wire             done_valid;

    // responses
    wire             resp_push, resp_full, resp_head;
    wire [RESP_W-1:0] resp_in, resp_out;

    // ---------------------------------------------------------------- arbitration
    // One step a cycle: a write answer first, since it needs no ready; R waits.
    assign step_ok    = !resp_full && open;
    assign m_rready_o = step_ok && !done_valid;
    assign step_b     = step_ok && done_valid;
    assign step_r     = m_rvalid_i && m_rready_o;
    assign step       = step_b || step_r;
    assign step_ctx   = done_valid ? done_ctx : m_rid_i;
    assign step_resp  = done_valid ? done_resp : m_rresp_i;
    assign step_data  = done_valid ? c_data : m_rdata_i;

    assign answer_room = !resp_full && !do_result;
    assign walk_room   = ctx_free && open && !do_fetch && !do_again && !do_start;

    assign load     = front_go || do_fetch || do_again || do_start;
    assign load_ctx = front_go ? alloc_ctx : step_ctx;

    assign idle = front_empty && !ctx_busy && !resp_head && !pwc_pending;

    // -------------------------------------------------------------------- match
    wire        match   = front_go || do_start;
    wire [63:12] va     = do_start ? c_va[63:12] : front_va[63:12];
    wire [2:0]  allowed = front_go            ? 3'b111
                        : start_excl && c_tea ? start_size
                        :                       3'b000;
    wire [2:0]  sizes   = hit & allowed;
    wire        use_tea = match && sizes != 3'd0;
    wire        use_x86 = match && sizes == 3'd0;
    wire [4:2]  use_pwc = pwc_hit & {3{use_x86}};

    assign multi_hit = use_tea && |(multi & allowed);

    // Where an x86 walk starts, or goes on.
    wire [PA_W-1:12] table_now  = do_fetch ? next_table : |pwc_hit ? pwc_table : root;
    wire [2:0]       rights_now = do_fetch ? next_rights : |pwc_hit ? pwc_rights : 3'b111;
    wire [2:0]       level_now  = do_fetch   ? c_level - 3'd1
                                : pwc_hit[2] ? 3'd1
                                : pwc_hit[3] ? 3'd2
                                : pwc_hit[4] ? 3'd3
                                : la57       ? 3'd5
                                :              3'd4;
    wire [56:12]     va_now     = do_fetch ? c_va[56:12] : va[56:12];
    wire [8:0]       slot_now   = (level_now == 3'd5) ? va_now[56:48]
                                : (level_now == 3'd4) ? va_now[47:39]
                                : (level_now == 3'd3) ? va_now[38:30]
                                : (level_now == 3'd2) ? va_now[29:21]
                                :                       va_now[20:12];

    wire             load_excl    = do_start ? start_excl : do_fetch || do_again ? c_excl : 1'b0;
    wire             load_tea     = do_again ? c_tea : use_tea;
    wire             load_alla    = do_fetch ? next_alla : do_again ? c_alla : 1'b1;
    wire             load_need    = do_fetch ? next_need : do_again ? c_need : 1'b0;
    wire             load_restart = do_start ? c_restart || !start_excl
                                  : do_fetch || do_again ? c_restart : 1'b0;

    // --------------------------------------------------------------------- rooms
    dmt_csr #(
        .PA_W(PA_W), .CTX_N(CTX_N), .TEA_N(TEA_N), .SETS(SETS),
        .PWC4_N(PWC4_N), .PWC3_N(PWC3_N), .PWC2_N(PWC2_N), .CNT_W(CNT_W), .CNT_N(CNT_N)
    ) u_csr (
        .clk_i           (clk_i),
        .rst_i           (rst_i),
        .s_awvalid_i     (s_awvalid_i),
        .s_awready_o     (s_awready_o),
        .s_awaddr_i      (s_awaddr_i),
        .s_wvalid_i      (s_wvalid_i),
        .s_wready_o      (s_wready_o),
        .s_wdata_i       (s_wdata_i),
        .s_wstrb_i       (s_wstrb_i),
        .s_bvalid_o      (s_bvalid_o),
        .s_bready_i      (s_bready_i),
        .s_bresp_o       (s_bresp_o),
        .s_arvalid_i     (s_arvalid_i),
        .s_arready_o     (s_arready_o),
        .s_araddr_i      (s_araddr_i),
        .s_rvalid_o      (s_rvalid_o),
        .s_rready_i      (s_rready_i),
        .s_rdata_o       (s_rdata_o),
        .s_rresp_o       (s_rresp_o),
        .drain_o         (drain),
        .idle_i          (idle),
        .tea_we_o        (tea_we),
        .tea_w_set_o     (tea_w_set),
        .tea_w_index_o   (tea_w_index),
        .tea_w_word_o    (tea_w_word),
        .tea_w_data_o    (tea_w_data),
        .tea_refused_i   (tea_refused),
        .tea_clear_o     (tea_clear),
        .tea_r_set_o     (tea_r_set),
        .tea_r_index_o   (tea_r_index),
        .tea_r_word_o    (tea_r_word),
        .tea_r_data_i    (tea_r_data),
        .flush_all_o     (flush_all),
        .flush_pcid_o    (flush_pcid),
        .flush_id_o      (flush_id),
        .mode_o          (mode),
        .ad_update_o     (ad_update),
        .pa_reserved_o   (pa_reserved),
        .root_o          (root),
        .pcid_o          (pcid),
        .wp_o            (wp),
        .pge_o           (pge),
        .la57_o          (la57),
        .smep_o          (smep),
        .smap_o          (smap),
        .pke_o           (pke),
        .pks_o           (pks),
        .nxe_o           (nxe),
        .pkru_o          (pkru),
        .pkrs_o          (pkrs),
        .multi_hit_i     (multi_hit),
        .bus_i           (do_result && res_status == `DMT_STATUS_BUS && res_error[2:0] != 3'd0),
        .not_exclusive_i (do_result && res_status == `DMT_STATUS_BUS && res_error[2:0] == 3'd0),
        .bus_addr_i      (res_addr[PA_W-1:3]),
        .event_o         (event_o),
        .cnt_clear_o     (cnt_clear),
        .count_i         (count)
    );

    dmt_tea_file #(.PA_W(PA_W), .TEA_N(TEA_N), .SETS(SETS)) u_tea (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .we_i          (tea_we),
        .w_set_i       (tea_w_set),
        .w_index_i     (tea_w_index),
        .w_word_i      (tea_w_word),
        .w_data_i      (tea_w_data),
        .refused_o     (tea_refused),
        .clear_i       (tea_clear),
        .pa_reserved_i (pa_reserved),
        .r_set_i       (tea_r_set),
        .r_index_i     (tea_r_index),
        .r_word_i      (tea_r_word),
        .r_data_o      (tea_r_data),
        .set_i         (STAGE),
        .vpn_i         (va[63:12]),
        .hit_o         (hit),
        .multi_o       (multi),
        .index_4k_o    (hit_4k),
        .index_2m_o    (hit_2m),
        .index_1g_o    (hit_1g),
        .sel_set_i     (STAGE),
        .sel_index_i   (sel_index),
        .sel_sz_i      (sel_sz),
        .sel_vpn_i     (sel_vpn),
        .entry_o       (sel_entry),
        .allow_o       (sel_allow)
    );

    dmt_pwc #(.PA_W(PA_W), .PWC4_N(PWC4_N), .PWC3_N(PWC3_N), .PWC2_N(PWC2_N)) u_pwc (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .va_i          (va[56:21]),
        .pcid_i        (pcid),
        .hit_o         (pwc_hit),
        .table_o       (pwc_table),
        .rights_o      (pwc_rights),
        .fill_i        (fill),
        .fill_level_i  (c_level),
        .fill_va_i     (c_va[56:21]),
        .fill_pcid_i   (pcid),
        .fill_table_i  (next_table),
        .fill_rights_i (next_rights),
        .pending_o     (pwc_pending),
        .flush_all_i   (flush_all),
        .flush_pcid_i  (flush_pcid),
        .flush_id_i    (flush_id)
    );

    dmt_front #(.PA_W(PA_W), .TAG_W(TAG_W)) u_front (
        .clk_i          (clk_i),
        .rst_i          (rst_i),
        .req_valid_i    (req_valid_i),
        .req_ready_o    (req_ready_o),
        .req_tag_i      (req_tag_i),
        .req_va_i       (req_va_i),
        .req_access_i   (req_access_i),
        .req_cpl_i      (req_cpl_i),
        .req_ac_i       (req_ac_i),
        .req_implicit_i (req_implicit_i),
        .req_nonspec_i  (req_nonspec_i),
        .drain_i        (drain),
        .mode_i         (mode),
        .la57_i         (la57),
        .pa_reserved_i  (pa_reserved),
        .walk_room_i    (walk_room),
        .answer_room_i  (answer_room),
        .go_o           (front_go),
        .now_o          (front_now),
        .order_o        (front_order),
        .stamp_o        (front_stamp),
        .tag_o          (front_tag),
        .va_o           (front_va),
        .access_o       (front_access),
        .cpl_o          (front_cpl),
        .ac_o           (front_ac),
        .implicit_o     (front_implicit),
        .nonspec_o      (front_nonspec),
        .status_o       (front_status),
        .pa_o           (front_pa),
        .rights_o       (front_rights),
        .dirty_o        (front_dirty),
        .fault_addr_o   (front_fault_addr),
        .empty_o        (front_empty),
        .now_cycle_o    (cycle)
    );

    dmt_contexts #(.PA_W(PA_W), .CTX_N(CTX_N), .ID_W(ID_W), .TAG_W(TAG_W)) u_contexts (
        .clk_i            (clk_i),
        .rst_i            (rst_i),
        .alloc_i          (front_go),
        .free_o           (ctx_free),
        .alloc_ctx_o      (alloc_ctx),
        .busy_o           (ctx_busy),
        .order_i          (front_order),
        .stamp_i          (front_stamp),
        .tag_i            (front_tag),
        .va_i             (front_va),
        .access_i         (front_access),
        .user_i           (front_user),
        .smap_ok_i        (front_smap_ok),
        .nonspec_i        (front_nonspec),
        .load_i           (load),
        .load_ctx_i       (load_ctx),
        .emit_i           (emit),
        .emit_ctx_i       (emit_ctx),
        .emit_slot_i      (emit_slot),
        .emit_addr_i      (emit_addr),
        .emit_level_i     (emit_level),
        .emit_rights_i    (emit_rights),
        .emit_index_i     (emit_index),
        .emit_tea_i       (emit_tea),
        .emit_last_slot_i (emit_last_slot),
        .emit_excl_i      (emit_excl),
        .emit_alla_i      (emit_alla),
        .emit_need_i      (emit_need),
        .emit_restart_i   (emit_restart),
        .ctx_i            (step_ctx),
        .order_o          (c_order),
        .stamp_o          (c_stamp),
        .tag_o            (c_tag),
        .va_o             (c_va),
        .access_o         (c_access),
        .user_o           (c_user),
        .smap_ok_o        (c_smap_ok),
        .nonspec_o        (c_nonspec),
        .tea_o            (c_tea),
        .last_o           (c_last),
        .excl_o           (c_excl),
        .alla_o           (c_alla),
        .need_o           (c_need),
        .restart_o        (c_restart),
        .addr_o           (c_addr),
        .level_o          (c_level),
        .rights_o         (c_rights),
        .index_o          (c_index),
        .dec_valid_o      (c_dec_valid),
        .dec_bus_o        (c_dec_bus),
        .dec_resp_o       (c_dec_resp),
        .dec_addr_o       (c_dec_addr),
        .dec_level_o      (c_dec_level),
        .dec_rights_o     (c_dec_rights),
        .dec_index_o      (c_dec_index),
        .data_o           (c_data),
        .wait_i           (do_wait),
        .decide_i         (decide),
        .decide_bus_i     (decide_bus),
        .decide_resp_i    (step_resp),
        .keep_i           ((do_wait && decide) || do_update),
        .data_i           (do_update ? update_value : step_data),
        .release_i        (do_result),
        .ar_ctx_i         (ar_ctx),
        .ar_slot_i        (ar_slot),
        .ar_addr_o        (ar_addr),
        .aw_ctx_i         (aw_ctx),
        .aw_addr_o        (aw_addr),
        .w_data_o         (w_data)
    );

    dmt_launch #(.PA_W(PA_W), .ID_W(ID_W)) u_launch (
        .clk_i       (clk_i),
        .rst_i       (rst_i),
        .load_i      (load),
        .ctx_i       (load_ctx),
        .excl_i      (load_excl),
        .tea_i       (load_tea),
        .match_i     (use_tea),
        .sizes_i     (sizes),
        .index_1g_i  (hit_1g),
        .index_2m_i  (hit_2m),
        .index_4k_i  (hit_4k),
        .vpn_i       (va[63:12]),
        .addr_i      (do_again ? c_addr : {table_now, slot_now}),
        .level_i     (do_again ? c_level : level_now),
        .rights_i    (do_again ? c_rights : rights_now),
        .index_i     (do_again ? c_index : 6'd0),
        .alla_i      (load_alla),
        .need_i      (load_need),
        .restart_i   (load_restart),
        .open_o      (open),
        .sel_index_o (sel_index),
        .sel_sz_o    (sel_sz),
        .sel_vpn_o   (sel_vpn),
        .sel_entry_i (sel_entry),
        .sel_allow_i (sel_allow),
        .valid_o     (emit),
        .ctx_o       (emit_ctx),
        .excl_o      (emit_excl),
        .slot_o      (emit_slot),
        .addr_o      (emit_addr),
        .level_o     (emit_level),
        .rights_o    (emit_rights),
        .index_o     (emit_index),
        .tea_o       (emit_tea),
        .last_slot_o (emit_last_slot),
        .alla_o      (emit_alla),
        .need_o      (emit_need),
        .restart_o   (emit_restart)
    );

    dmt_pte_port #(.PA_W(PA_W), .CTX_N(CTX_N), .ID_W(ID_W)) u_port (
        .clk_i        (clk_i),
        .rst_i        (rst_i),
        .emit_i       (emit),
        .emit_ctx_i   (emit_ctx),
        .emit_slot_i  (emit_slot),
        .emit_excl_i  (emit_excl),
        .emit_addr_i  (emit_addr),
        .ar_ctx_o     (ar_ctx),
        .ar_slot_o    (ar_slot),
        .ar_addr_i    (ar_addr),
        .aw_ctx_o     (aw_ctx),
        .aw_addr_i    (aw_addr),
        .w_data_i     (w_data),
        .update_i     (do_update),
        .update_ctx_i (step_ctx),
        .done_valid_o (done_valid),
        .done_ctx_o   (done_ctx),
        .done_resp_o  (done_resp),
        .done_pop_i   (step_b),
        .m_arvalid_o  (m_arvalid_o),
        .m_arready_i  (m_arready_i),
        .m_arid_o     (m_arid_o),
        .m_araddr_o   (m_araddr_o),
        .m_arlen_o    (m_arlen_o),
        .m_arsize_o   (m_arsize_o),
        .m_arburst_o  (m_arburst_o),
        .m_arlock_o   (m_arlock_o),
        .m_arcache_o  (m_arcache_o),
        .m_arprot_o   (m_arprot_o),
        .m_awvalid_o  (m_awvalid_o),
        .m_awready_i  (m_awready_i),
        .m_awid_o     (m_awid_o),
        .m_awaddr_o   (m_awaddr_o),
        .m_awlen_o    (m_awlen_o),
        .m_awsize_o   (m_awsize_o),
        .m_awburst_o  (m_awburst_o),
        .m_awlock_o   (m_awlock_o),
        .m_awcache_o  (m_awcache_o),
        .m_awprot_o   (m_awprot_o),
        .m_wvalid_o   (m_wvalid_o),
        .m_wready_i   (m_wready_i),
        .m_wdata_o    (m_wdata_o),
        .m_wstrb_o    (m_wstrb_o),
        .m_wlast_o    (m_wlast_o),
        .m_bvalid_i   (m_bvalid_i),
        .m_bready_o   (m_bready_o),
        .m_bid_i      (m_bid_i),
        .m_bresp_i    (m_bresp_i)
    );

    dmt_walk_step #(.PA_W(PA_W)) u_step (
        .valid_i         (step),
        .b_i             (step_b),
        .data_i          (step_data),
        .resp_i          (step_resp),
        .va_i            (c_va),
        .access_i        (c_access),
        .user_i          (c_user),
        .smap_ok_i       (c_smap_ok),
        .nonspec_i       (c_nonspec),
        .tea_i           (c_tea),
        .last_i          (c_last),
        .excl_i          (c_excl),
        .alla_i          (c_alla),
        .need_i          (c_need),
        .level_i         (c_level),
        .rights_i        (c_rights),
        .addr_i          (c_addr),
        .dec_valid_i     (c_dec_valid),
        .dec_bus_i       (c_dec_bus),
        .dec_resp_i      (c_dec_resp),
        .dec_data_i      (c_data),
        .dec_level_i     (c_dec_level),
        .dec_rights_i    (c_dec_rights),
        .dec_addr_i      (c_dec_addr),
        .wp_i            (wp),
        .smep_i          (smep),
        .smap_i          (smap),
        .pke_i           (pke),
        .pks_i           (pks),
        .pge_i           (pge),
        .nxe_i           (nxe),
        .pkru_i          (pkru),
        .pkrs_i          (pkrs),
        .ad_update_i     (ad_update),
        .pa_reserved_i   (pa_reserved),
        .wait_o          (do_wait),
        .fetch_o         (do_fetch),
        .again_o         (do_again),
        .start_o         (do_start),
        .update_o        (do_update),
        .result_o        (do_result),
        .decide_o        (decide),
        .decide_bus_o    (decide_bus),
        .table_o         (next_table),
        .rights_o        (next_rights),
        .alla_o          (next_alla),
        .need_o          (next_need),
        .fill_o          (fill),
        .start_excl_o    (start_excl),
        .start_size_o    (start_size),
        .value_o         (update_value),
        .status_o        (res_status),
        .pa_o            (res_pa),
        .size_o          (res_size),
        .result_rights_o (res_rights),
        .global_o        (res_global),
        .pkey_o          (res_pkey),
        .memtype_o       (res_memtype),
        .dirty_o         (res_dirty),
        .ad_needed_o     (res_ad_needed),
        .error_o         (res_error),
        .fault_addr_o    (res_addr)
    );

    // ------------------------------------------------------------------ responses
    assign resp_push = do_result || front_now;
    wire [TAG_W-1:0] end_tag    = do_result ? c_tag : front_tag;
    wire [3:0]       end_status = do_result ? res_status : front_status;
    wire [PA_W-1:0]  end_pa     = do_result ? res_pa : front_pa;
    wire [2:0]       end_rights = do_result ? res_rights : front_rights;
    wire             end_dirty  = do_result ? res_dirty : front_dirty;
    wire [63:0]      end_addr   = do_result ? res_addr : front_fault_addr;
    wire [1:0]       end_size   = res_size & {2{do_result}};
    wire             end_global = res_global && do_result;
    wire [3:0]       end_pkey   = res_pkey & {4{do_result}};
    wire [5:0]       end_memtype = res_memtype & {6{do_result}};
    wire             end_ad_needed = res_ad_needed && do_result;
    wire [31:0]      end_error  = res_error & {32{do_result}};

    assign resp_in = {end_tag, end_status, end_pa, end_size, end_rights, end_global, end_pkey,
                      end_memtype, end_dirty, end_ad_needed, end_error, end_addr, STAGE};

    dmt_fifo #(.W(RESP_W), .DEPTH(2)) u_resp (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .push_i  (resp_push),
        .data_i  (resp_in),
        .full_o  (resp_full),
        .pop_i   (resp_head && resp_ready_i),
        .valid_o (resp_head),
        .data_o  (resp_out)
    );

    assign resp_valid_o = resp_head;
    assign {resp_tag_o, resp_status_o, resp_pa_o, resp_size_o, resp_rights_o, resp_global_o,
            resp_pkey_o, resp_memtype_o, resp_dirty_o, resp_ad_needed_o, resp_error_o,
            resp_addr_o, resp_stage_o} = resp_out & {RESP_W{resp_head}};

    // ------------------------------------------------------ counters and trace
    wire [1:0] path = c_tea ? `DMT_PATH_TEA : c_restart ? `DMT_PATH_RESTART : `DMT_PATH_RADIX;
    wire       walked_ok = do_result && res_status == `DMT_STATUS_OK;

    dmt_counters #(.N(CNT_N), .CNT_W(CNT_W)) u_counters (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .clear_i (cnt_clear),
        .event_i ({ctx_busy,
                   use_pwc[2], use_pwc[3], use_pwc[4],
                   step_b && step_resp == 2'b00,
                   step_b && step_resp == 2'b01,
                   step_r,
                   do_result && res_status == `DMT_STATUS_RETRY,
                   do_result && res_status == `DMT_STATUS_BUS,
                   (do_result && res_status == `DMT_STATUS_PF) || (front_now && front_status == `DMT_STATUS_GP),
                   front_now && front_status == `DMT_STATUS_OK,
                   walked_ok && path == `DMT_PATH_RESTART,
                   walked_ok && path == `DMT_PATH_RADIX,
                   walked_ok && path == `DMT_PATH_TEA,
                   front_go || front_now}),
        .count_o (count)
    );

    wire [5:0] end_index = c_dec_valid ? c_dec_index : c_index;

    dmt_trace #(.PA_W(PA_W), .TAG_W(TAG_W)) u_trace (
        .clk_i              (clk_i),
        .rst_i              (rst_i),
        .req_valid_i        (front_go || front_now),
        .req_order_i        (front_order),
        .req_tag_i          (front_tag),
        .req_va_i           (front_va),
        .req_access_i       (front_access),
        .req_cpl_i          (front_cpl),
        .req_ac_i           (front_ac),
        .req_implicit_i     (front_implicit),
        .req_nonspec_i      (front_nonspec),
        .ref_valid_i        (step_r),
        .upd_valid_i        (step_b),
        .step_order_i       (c_order),
        .step_level_i       (c_level),
        .step_tea_i         (c_tea),
        .step_index_i       (c_index),
        .step_lock_i        (c_excl),
        .step_addr_i        (c_addr),
        .step_data_i        (step_data),
        .step_resp_i        (step_resp),
        .end_valid_i        (resp_push),
        .end_order_i        (do_result ? c_order : front_order),
        .end_tag_i          (end_tag),
        .end_status_i       (end_status),
        .end_pa_i           (end_pa),
        .end_size_i         (end_size),
        .end_rights_i       (end_rights),
        .end_global_i       (end_global),
        .end_pkey_i         (end_pkey),
        .end_memtype_i      (end_memtype),
        .end_dirty_i        (end_dirty),
        .end_ad_needed_i    (end_ad_needed),
        .end_error_i        (end_error),
        .end_addr_i         (end_addr),
        .end_stage_i        (STAGE),
        .end_path_i         ({4'd0, path & {2{do_result}}}),
        .end_index_i        ({12'd0, end_index & {6{do_result && c_tea}}}),
        .end_stamp_i        (do_result ? c_stamp : front_stamp),
        .cycle_i            (cycle),
        .wt_req_valid_o     (wt_req_valid_o),
        .wt_req_order_o     (wt_req_order_o),
        .wt_req_tag_o       (wt_req_tag_o),
        .wt_req_va_o        (wt_req_va_o),
        .wt_req_access_o    (wt_req_access_o),
        .wt_req_cpl_o       (wt_req_cpl_o),
        .wt_req_ac_o        (wt_req_ac_o),
        .wt_req_implicit_o  (wt_req_implicit_o),
        .wt_req_nonspec_o   (wt_req_nonspec_o),
        .wt_ref_valid_o     (wt_ref_valid_o),
        .wt_ref_order_o     (wt_ref_order_o),
        .wt_ref_stage_o     (wt_ref_stage_o),
        .wt_ref_level_o     (wt_ref_level_o),
        .wt_ref_tea_o       (wt_ref_tea_o),
        .wt_ref_index_o     (wt_ref_index_o),
        .wt_ref_lock_o      (wt_ref_lock_o),
        .wt_ref_addr_o      (wt_ref_addr_o),
        .wt_ref_data_o      (wt_ref_data_o),
        .wt_ref_resp_o      (wt_ref_resp_o),
        .wt_upd_valid_o     (wt_upd_valid_o),
        .wt_upd_order_o     (wt_upd_order_o),
        .wt_upd_stage_o     (wt_upd_stage_o),
        .wt_upd_addr_o      (wt_upd_addr_o),
        .wt_upd_data_o      (wt_upd_data_o),
        .wt_upd_resp_o      (wt_upd_resp_o),
        .wt_end_valid_o     (wt_end_valid_o),
        .wt_end_order_o     (wt_end_order_o),
        .wt_end_tag_o       (wt_end_tag_o),
        .wt_end_status_o    (wt_end_status_o),
        .wt_end_pa_o        (wt_end_pa_o),
        .wt_end_size_o      (wt_end_size_o),
        .wt_end_rights_o    (wt_end_rights_o),
        .wt_end_global_o    (wt_end_global_o),
        .wt_end_pkey_o      (wt_end_pkey_o),
        .wt_end_memtype_o   (wt_end_memtype_o),
        .wt_end_dirty_o     (wt_end_dirty_o),
        .wt_end_ad_needed_o (wt_end_ad_needed_o),
        .wt_end_error_o     (wt_end_error_o),
        .wt_end_addr_o      (wt_end_addr_o),
        .wt_end_stage_o     (wt_end_stage_o),
        .wt_end_path_o      (wt_end_path_o),
        .wt_end_index_o     (wt_end_index_o),
        .wt_end_clocks_o    (wt_end_clocks_o)
    );

    wire unused = &{1'b0, m_rlast_i};

endmodule

`default_nettype wire
