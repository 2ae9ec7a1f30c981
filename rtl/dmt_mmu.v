// SPDX-License-Identifier: Apache-2.0
// dmt_mmu: the Direct Memory Translation walker. Wires the rooms together.
//
// A translation enters through dmt_front, is compared with the TEA registers
// (dmt_tea_file) and the paging-structure caches (dmt_pwc), from which dmt_route
// tells where reading starts, leaves for memory through dmt_launch and
// dmt_pte_port, and is moved from entry to entry, and through the stages, by
// dmt_walk_step until its answer goes to the response queue. Latency: n(L+1) + 1
// cycles for a walk of n references with memory of latency L, with PIPE = 1
// n(L+4) + m + 1, m of them by a match. Handshakes: valid/ready on the translation
// port, AXI4 on the PTE port, AXI4-Lite on the CSR port; no output depends on an
// input of the same cycle. docs/microarchitecture.md says when everything happens.
`default_nettype none
`include "dmt_regs.vh"
`include "dmt_walk.vh"

module dmt_mmu #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // walk contexts: walks in flight, 1..64
    parameter CTX_N = 8,
    // TEA registers a set, 2..64
    parameter TEA_N = 16,
    // register sets, 1..3
    parameter SETS = 3,
    // entering stage: cached entries of level 4, 0..64; 0 leaves the cache out
    parameter PWC4_N = 2,
    // entering stage: cached entries of level 3
    parameter PWC3_N = 4,
    // entering stage: cached entries of level 2
    parameter PWC2_N = 32,
    // second stages: cached entries of level 4
    parameter NPWC4_N = 2,
    // second stages: cached entries of level 3
    parameter NPWC3_N = 4,
    // second stages: cached entries of level 2
    parameter NPWC2_N = 32,
    // requester tag width, 1..16
    parameter TAG_W = 8,
    // counter width, 0..63; 0 leaves the counters out
    parameter CNT_W = 48,
    // 1: registers before the walk step and before the match, for a faster clock
    parameter PIPE = 0,
    // AXI ID width, {stage, context}: derived, not to be set
    parameter ID_W = ((CTX_N > 1) ? $clog2(CTX_N) : 1) + $clog2(SETS)
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
    output wire [3:0]       resp_rights_o,
    output wire             resp_global_o,
    output wire [3:0]       resp_pkey_o,
    output wire [6:0]       resp_memtype_o,
    output wire             resp_dirty_o,
    output wire             resp_ad_needed_o,
    output wire [33:0]      resp_error_o,
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
    output wire [3:0]       wt_end_rights_o,
    output wire             wt_end_global_o,
    output wire [3:0]       wt_end_pkey_o,
    output wire [6:0]       wt_end_memtype_o,
    output wire             wt_end_dirty_o,
    output wire             wt_end_ad_needed_o,
    output wire [33:0]      wt_end_error_o,
    output wire [63:0]      wt_end_addr_o,
    output wire [1:0]       wt_end_stage_o,
    output wire [5:0]       wt_end_path_o,
    output wire [17:0]      wt_end_index_o,
    output wire [31:0]      wt_end_clocks_o
);

    // Impossible parameters stop elaboration: the module below does not exist.
    generate
        if (PA_W < 32 || PA_W > 52 || CTX_N < 1 || CTX_N > 64 || TEA_N < 2 || TEA_N > 64
            || SETS < 1 || SETS > 3 || PWC4_N < 0 || PWC4_N > 64 || PWC3_N < 0 || PWC3_N > 64
            || PWC2_N < 0 || PWC2_N > 64 || NPWC4_N < 0 || NPWC4_N > 64 || NPWC3_N < 0 || NPWC3_N > 64
            || NPWC2_N < 0 || NPWC2_N > 64 || TAG_W < 1 || TAG_W > 16 || CNT_W < 0 || CNT_W > 63
            || PIPE < 0 || PIPE > 1
            || ID_W != ((CTX_N > 1) ? $clog2(CTX_N) : 1) + $clog2(SETS)) begin : g_check
            dmt_mmu_parameter_out_of_range u_stop ();
        end
    endgenerate

    localparam CTX_W  = (CTX_N > 1) ? $clog2(CTX_N) : 1;
    localparam CNT_N  = 19;
    localparam RESP_W = TAG_W + 4 + PA_W + 2 + 4 + 1 + 4 + 7 + 1 + 1 + 34 + 64 + 2;
    localparam OWNER_W = 30, NOWNER_W = 17;
    localparam [1:0] V = `DMT_FRAME_V, S0 = `DMT_FRAME_S0, S1 = `DMT_FRAME_S1;

    // ------------------------------------------------------------------ control
    wire         drain, idle, changed, settling;
    wire         tea_we, tea_refused, tea_clear;
    wire [1:0]   tea_w_set, tea_w_word, tea_r_set, tea_r_word;
    wire [5:0]   tea_w_index, tea_r_index;
    wire [63:0]  tea_w_data, tea_r_data;
    wire         flush_v, flush_s;
    wire [OWNER_W-1:0]  flush_v_owner, owner_v;
    wire [NOWNER_W-1:0] flush_s_owner, owner_s;
    wire [4:0]  flush_v_mask;
    wire [3:0]  flush_s_mask;
    wire [1:0]   mode, enter;
    wire         full, ad_update, wp, pge, la57, smep, smap, pke, pks, nxe;
    wire [3:0]   s2ctl0, s2ctl1, shadow_ctl;
    wire [51:12] pa_reserved;
    wire [PA_W-1:12] root, s2root0, s2root1, shadow_root, root1, root2;
    wire [31:0]  pkru, pkrs;
    wire [2:0]   multi_hit;
    wire         cnt_clear;
    wire [64*CNT_N-1:0] count;

    // loader
    wire         load_start, load_one, load_any, load_image, load_busy, load_done, load_failed;
    wire [1:0]   load_set, table_set;
    wire [5:0]   load_index, g_index;
    wire [11:0]  load_id, g_id, revoke_id;
    wire [PA_W-1:12] gtea_table, images;
    wire [12:0]  gtea_entries;
    wire         g_valid, g_we, revoke, revoke_all;
    wire [1:0]   revoke_set;
    wire [2:0]   g_resolution;
    wire [51:0]  g_base, g_pages;
    wire         g_emit, g_word_we;
    wire [1:0]   g_word;
    wire [PA_W-1:3] g_addr;

    // ------------------------------------------------------------------ signals
    // front
    wire             walk_room, answer_room, front_go, front_now, front_empty;
    wire [31:0]      front_order, front_stamp, cycle;
    wire [TAG_W-1:0] front_tag;
    wire [63:0]      front_va, front_fault_addr;
    wire [1:0]       front_access, front_cpl;
    wire             front_ac, front_implicit, front_nonspec, front_dirty;
    wire [3:0]       front_status, front_rights;
    wire [PA_W-1:0]  front_pa;
    wire             front_user    = front_cpl == 2'd3 && !front_implicit;
    wire             front_smap_ok = front_ac && !front_implicit;

    // step
    wire             go, is_b, is_r, is_refuse, is_chain, r_beat;
    wire             step_b = go && is_b, step_r = go && is_r, step_chain = go && is_chain;
    wire [ID_W-1:0]  step_id;
    wire [CTX_W-1:0] step_ctx = step_id[CTX_W-1:0];
    wire [1:0]       step_resp, step_stage;
    wire [63:0]      r_data;
    // what it comes to, and, when it happens, does
    wire             is_wait, is_read, is_again, is_match, is_update, is_result, leaves_surplus;
    wire             do_wait = go && is_wait, do_read = go && is_read, do_again = go && is_again;
    wire             do_match = go && is_match, do_update = go && is_update, do_result = go && is_result;
    wire             stepping;             // res_* is pushed, not what the front says
    wire [`DMT_WALK_W-1:0] step_walk;
    wire [PA_W-1:3]  step_addr;
    wire [2:0]       step_level;
    wire [3:0]       step_rights;
    wire [5:0]       step_index;
    wire [1:0]       match_frame;
    wire [63:12]     match_addr;
    wire [2:0]       match_sizes;
    wire             match_restart;
    wire             fill_v, fill_s, fill_s1;
    wire [2:0]       fill_level;
    wire [56:21]     fill_prefix;
    wire [PA_W-1:12] fill_table;
    wire [3:0]       fill_rights;
    wire [63:0]      update_value;
    wire [3:0]       res_status, res_pkey, res_rights;
    wire [PA_W-1:0]  res_pa;
    wire [1:0]       res_size, res_stage;
    wire             res_global, res_dirty, res_ad_needed;
    wire [6:0]       res_memtype;
    wire [33:0]      res_error;
    wire [63:0]      res_addr;
    wire [17:0]      res_index;

    // the stepped context
    wire             ctx_free, ctx_busy;
    wire [CTX_W-1:0] alloc_ctx;

    // what is looked up for a step, f_, and what the step has, c_
    localparam FOUND_W = 32 + 32 + TAG_W + 64 + 2 + 1 + 1 + 1 + `DMT_WALK_W + 2 + 1;
    localparam L_W     = 1 + 19 + (PA_W - 3) + 3;
    wire [ID_W-1:0]  f_id;
    wire             f_b, b_pop, l_done;
    wire [63:0]      f_r_data;
    wire [1:0]       f_resp;
    wire [31:0]      f_order, f_stamp, c_order, c_stamp;
    wire [TAG_W-1:0] f_tag, c_tag;
    wire [63:0]      f_va, c_va, f_kept;
    wire [1:0]       f_access, c_access;
    wire             f_user, f_smap_ok, f_nonspec, f_surplus, c_user, c_smap_ok, c_nonspec, c_surplus;
    wire [1:0]       f_left, c_left;
    wire [`DMT_WALK_W-1:0] f_walk, c_walk;
    wire [PA_W-1:3]  f_addr;
    wire [2:0]       f_level;
    wire [3:0]       f_rights;
    wire [5:0]       f_index;
    wire [63:0]      f_data = f_b ? f_kept : f_r_data;
    wire [`DMT_ENTRY_W-1:0] f_entry, c_entry;
    wire [48:0]      c_addr = c_entry[`DMT_ENTRY_ADDR];
    // of a refusal: whose, {unresolved, register, ID}; of a chain: entry, allow bits
    wire             l_gtea;
    wire [18:0]      l_code;
    wire [PA_W-1:3]  l_entry;
    wire [2:0]       l_allow;

    // match
    wire [2:0]       hit, multi, plain, unusable;
    wire [5:0]       hit_1g, hit_2m, hit_4k;
    wire [29:0]      root1_hits, root2_hits;
    wire [1:0]       roots_set;
    wire [51:0]      roots_vpn;
    wire [4:2]       pwc_hit, npwc_hit, cache_used;
    wire [PA_W-1:12] pwc_table, npwc_table;
    wire [3:0]       pwc_rights, npwc_rights;
    wire             pwc_pending, npwc_pending;

    // route
    wire             to_tea, to_chain, to_refuse, to_refuse_gtea;
    wire [1:0]       to_set;
    wire [2:0]       to_sizes, to_level;
    wire [17:0]      to_index;
    wire [51:0]      to_vpn;
    wire [PA_W-1:3]  to_read;
    wire [3:0]       to_rights;
    wire [`DMT_WALK_W-1:0] routed_walk;

    // ahead of launch
    wire             accept, load, matched;
    wire [CTX_W-1:0] load_ctx;
    wire             load_excl, m_restart;
    wire [`DMT_WALK_W-1:0] m_walk;
    wire [1:0]       m_frame;
    wire [63:12]     m_addr;
    wire [2:0]       m_sizes, load_level;
    wire [PA_W-1:3]  load_read;
    wire [3:0]       load_rights;
    wire [5:0]       load_index_read;

    // launch
    wire             open, emit, emit_excl, refused, refused_gtea, chained;
    wire [CTX_W-1:0] emit_ctx;
    wire [1:0]       emit_slot, emit_stage;
    wire [PA_W-1:3]  emit_addr, sel_entry;
    wire [2:0]       emit_level, sel_allow;
    wire [3:0]       emit_rights;
    wire [5:0]       emit_index, sel_index;
    wire [1:0]       sel_set, sel_sz;
    wire [51:0]      sel_vpn;
    wire [12:0]      sel_gtea;

    // PTE port
    wire [CTX_W-1:0] aw_ctx, done_ctx;
    wire [1:0]       done_resp;
    wire [PA_W-1:3]  aw_addr;
    wire [63:0]      w_data;
    wire             done_valid;

    // responses
    wire             resp_push, resp_full, resp_head;
    wire [RESP_W-1:0] resp_in, resp_out;

    // ---------------------------------------------------------------- arbitration
    dmt_fetch #(
        .CTX_N(CTX_N), .CTX_W(CTX_W), .ID_W(ID_W), .FOUND_W(FOUND_W + `DMT_ENTRY_W), .L_W(L_W), .PIPE(PIPE)
    ) u_fetch (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .l_refuse_i    (refused),
        .l_chain_i     (chained),
        .l_ctx_i       (emit_ctx),
        .l_data_i      ({refused_gtea, sel_gtea[12], emit_index, sel_gtea[11:0], sel_entry, sel_allow}),
        .l_done_o      (l_done),
        .b_valid_i     (done_valid),
        .b_ctx_i       (done_ctx),
        .b_resp_i      (done_resp),
        .b_pop_o       (b_pop),
        .m_rvalid_i    (m_rvalid_i),
        .m_rready_o    (m_rready_o),
        .m_rid_i       (m_rid_i),
        .m_rdata_i     (m_rdata_i),
        .m_rresp_i     (m_rresp_i),
        .id_o          (f_id),
        .b_o           (f_b),
        .data_o        (f_r_data),
        .resp_o        (f_resp),
        .found_i       ({f_order, f_stamp, f_tag, f_va, f_access, f_user, f_smap_ok, f_nonspec, f_walk, f_left,
                         f_surplus, f_entry}),
        .result_room_i (!resp_full),
        .accept_i      (accept),
        .loading_i     (load_busy),
        .go_o          (go),
        .step_refuse_o (is_refuse),
        .step_chain_o  (is_chain),
        .step_b_o      (is_b),
        .step_r_o      (is_r),
        .beat_o        (r_beat),
        .step_id_o     (step_id),
        .step_data_o   (r_data),
        .step_resp_o   (step_resp),
        .step_l_o      ({l_gtea, l_code, l_entry, l_allow}),
        .step_found_o  ({c_order, c_stamp, c_tag, c_va, c_access, c_user, c_smap_ok, c_nonspec, c_walk, c_left,
                         c_surplus, c_entry})
    );

    // With PIPE the step is known before what it comes to, and the front waits for it.
    assign stepping    = (PIPE != 0) ? go : is_result;
    assign answer_room = !resp_full && !stepping;
    assign walk_room   = ctx_free && accept && !next_step;

    assign idle = front_empty && !ctx_busy && !resp_head && !pwc_pending && !npwc_pending && !load_busy;

    // -------------------------------------------------------------------- match
    // A chain's entry goes to the frame below the one that waits for it.
    wire [1:0]  c_frame     = c_walk[`DMT_WALK_FRAME];
    wire [1:0]  chain_frame = (c_frame == V && enter == 2'd2) ? S1 : S0;
    reg [`DMT_WALK_W-1:0] chain_walk;
    always @* begin
        chain_walk = c_walk;
        if (c_frame == V)
            chain_walk[`DMT_WALK_V_RIGHTS] = {1'b0, l_allow};
        else
            chain_walk[`DMT_WALK_S1_RIGHTS] = {l_allow[2], l_allow};
        if (chain_frame == S1) begin
            chain_walk[`DMT_WALK_A1]     = {{(52-PA_W){1'b0}}, l_entry, 3'd0};
            chain_walk[`DMT_WALK_OWNER1] = c_frame;
        end else begin
            chain_walk[`DMT_WALK_A0]     = {{(52-PA_W){1'b0}}, l_entry, 3'd0};
            chain_walk[`DMT_WALK_OWNER0] = c_frame;
        end
    end

    // what goes ahead: to be matched, or an entry
    wire next_match = front_go || is_chain || is_match;
    wire next_step  = step_chain || do_match || do_read || do_again;

    // what is compared, and what registers and caches say
    localparam CACHED_W = 3 * (1 + 4 + PA_W - 12);
    localparam MATCH_W = 30 + 2 * CACHED_W;
    wire [1:0]       a_frame;
    wire [63:12]     a_addr;
    wire [29:0]      a_found;
    wire [CACHED_W-1:0] a_cached, a_ncached, cached, ncached;
    wire [2:0]       a_hit, a_multi, a_plain, a_unusable;
    wire [5:0]       a_hit_1g, a_hit_2m, a_hit_4k;
    assign a_found = {a_hit_1g, a_hit_2m, a_hit_4k, a_unusable, a_plain, a_multi, a_hit};

    dmt_ahead #(.PA_W(PA_W), .CTX_W(CTX_W), .FOUND_W(MATCH_W), .PIPE(PIPE)) u_ahead (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .in_valid_i    (front_go || next_step),
        .in_match_i    (next_match),
        .in_ctx_i      (front_go ? alloc_ctx : step_ctx),
        .in_excl_i     (is_again),
        .in_walk_i     (front_go ? {`DMT_WALK_W{1'b0}} : is_chain ? chain_walk : step_walk),
        .in_frame_i    (front_go ? V : is_chain ? chain_frame : match_frame),
        .in_addr_i     (front_go ? front_va[63:12]
                        : is_chain ? {{(64-PA_W){1'b0}}, l_entry[PA_W-1:12]}
                        : match_addr),
        .in_sizes_i    ((front_go || is_chain) ? 3'b111 : match_sizes),
        .in_restart_i  (!front_go && !is_chain && match_restart),
        .in_read_i     (step_addr),
        .in_level_i    (step_level),
        .in_rights_i   (step_rights),
        .in_index_i    (step_index),
        .accept_o      (accept),
        .frame_o       (a_frame),
        .addr_o        (a_addr),
        .found_i       ({a_found, a_cached, a_ncached}),
        .open_i        (open),
        .out_valid_o   (load),
        .out_match_o   (matched),
        .out_ctx_o     (load_ctx),
        .out_excl_o    (load_excl),
        .out_walk_o    (m_walk),
        .out_frame_o   (m_frame),
        .out_addr_o    (m_addr),
        .out_sizes_o   (m_sizes),
        .out_restart_o (m_restart),
        .out_read_o    (load_read),
        .out_level_o   (load_level),
        .out_rights_o  (load_rights),
        .out_index_o   (load_index_read),
        .out_found_o   ({hit_1g, hit_2m, hit_4k, unusable, plain, multi, hit, cached, ncached})
    );

    // what is matched, with which registers
    wire        match   = load && matched;
    wire [1:0]  a_set   = settling ? roots_set : (a_frame == V) ? enter : (a_frame == S1) ? 2'd1 : 2'd0;
    wire [51:0] a_vpn   = settling ? roots_vpn : a_addr;
    wire [2:0]  route_multi;
    wire [4:2]  use_pwc  = cache_used & {3{match && m_frame == V}};
    wire [4:2]  use_npwc = cache_used & {3{match && m_frame != V}};

    assign multi_hit = route_multi & {3{match}};

    // the emission of launch, or of the loader: no walk is in flight then
    wire             ar_emit = emit || g_emit;
    wire [CTX_W+1:0] update_id = {step_stage, step_ctx};
    wire [CTX_W+1:0] ar_emit_id   = emit ? {emit_stage, emit_ctx} : {(CTX_W+2){1'b0}};
    wire [PA_W-1:3]  ar_emit_addr = emit ? emit_addr : g_addr;

    // --------------------------------------------------------------------- rooms
    dmt_csr #(
        .PA_W(PA_W), .CTX_N(CTX_N), .TEA_N(TEA_N), .SETS(SETS),
        .PWC4_N(PWC4_N), .PWC3_N(PWC3_N), .PWC2_N(PWC2_N),
        .NPWC4_N(NPWC4_N), .NPWC3_N(NPWC3_N), .NPWC2_N(NPWC2_N), .CNT_W(CNT_W), .CNT_N(CNT_N),
        .OWNER_W(OWNER_W), .NOWNER_W(NOWNER_W), .PIPE(PIPE)
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
        .changed_o       (changed),
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
        .load_start_o    (load_start),
        .load_one_o      (load_one),
        .load_any_o      (load_any),
        .load_image_o    (load_image),
        .load_set_o      (load_set),
        .load_index_o    (load_index),
        .load_id_o       (load_id),
        .load_busy_i     (load_busy),
        .load_done_i     (load_done),
        .load_failed_i   (load_failed),
        .table_set_i     (table_set),
        .table_o         (gtea_table),
        .entries_o       (gtea_entries),
        .images_o        (images),
        .revoke_o        (revoke),
        .revoke_all_o    (revoke_all),
        .revoke_set_o    (revoke_set),
        .revoke_id_o     (revoke_id),
        .flush_v_o       (flush_v),
        .flush_v_owner_o (flush_v_owner),
        .flush_v_mask_o  (flush_v_mask),
        .flush_s_o       (flush_s),
        .flush_s_owner_o (flush_s_owner),
        .flush_s_mask_o  (flush_s_mask),
        .owner_v_o       (owner_v),
        .owner_s_o       (owner_s),
        .mode_o          (mode),
        .enter_o         (enter),
        .full_o          (full),
        .ad_update_o     (ad_update),
        .pa_reserved_o   (pa_reserved),
        .root_o          (root),
        .s2root0_o       (s2root0),
        .s2root1_o       (s2root1),
        .shadow_root_o   (shadow_root),
        .s2ctl0_o        (s2ctl0),
        .s2ctl1_o        (s2ctl1),
        .shadow_ctl_o    (shadow_ctl),
        .root1_o         (root1),
        .root2_o         (root2),
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
        .gtea_i          (do_result && res_status == `DMT_STATUS_GTEA),
        .gtea_fault_i    ({res_error[18], res_stage, res_error[17:0]}),
        .bus_i           (do_result && res_status == `DMT_STATUS_BUS && res_error[2:0] != 3'd0),
        .not_exclusive_i (do_result && res_status == `DMT_STATUS_BUS && res_error[2:0] == 3'd0),
        .bus_addr_i      (res_addr[PA_W-1:3]),
        .event_o         (event_o),
        .cnt_clear_o     (cnt_clear),
        .count_i         (count)
    );

    dmt_tea_file #(.PA_W(PA_W), .TEA_N(TEA_N), .SETS(SETS), .PIPE(PIPE)) u_tea (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .we_i          (tea_we || g_word_we),
        .w_set_i       (load_busy ? table_set : tea_w_set),
        .w_index_i     (load_busy ? g_index : tea_w_index),
        .w_word_i      (load_busy ? g_word : tea_w_word),
        .w_data_i      (load_busy ? r_data : tea_w_data),
        .refused_o     (tea_refused),
        .clear_i       (tea_clear),
        .clear_set_i   (load_image),
        .pa_reserved_i (pa_reserved),
        .r_set_i       (tea_r_set),
        .r_index_i     (tea_r_index),
        .r_word_i      (tea_r_word),
        .r_data_o      (tea_r_data),
        .g_set_i       (table_set),
        .g_index_i     (g_index),
        .g_valid_o     (g_valid),
        .g_id_o        (g_id),
        .g_we_i        (g_we),
        .g_resolution_i (g_resolution),
        .g_base_i      (g_base),
        .g_pages_i     (g_pages),
        .revoke_i      (revoke),
        .revoke_all_i  (revoke_all),
        .revoke_set_i  (revoke_set),
        .revoke_id_i   (revoke_id),
        .set_i         (a_set),
        .vpn_i         (a_vpn),
        .hit_o         (a_hit),
        .multi_o       (a_multi),
        .plain_o       (a_plain),
        .unusable_o    (a_unusable),
        .index_4k_o    (a_hit_4k),
        .index_2m_o    (a_hit_2m),
        .index_1g_o    (a_hit_1g),
        .sel_set_i     (sel_set),
        .sel_index_i   (sel_index),
        .sel_sz_i      (sel_sz),
        .sel_vpn_i     (sel_vpn),
        .entry_o       (sel_entry),
        .allow_o       (sel_allow),
        .sel_gtea_o    (sel_gtea)
    );

    generate
        if (SETS > 1) begin : g_stages
            dmt_loader #(.PA_W(PA_W), .TEA_N(TEA_N), .PIPE(PIPE)) u_loader (
                .clk_i         (clk_i),
                .rst_i         (rst_i),
                .start_i       (load_start),
                .one_i         (load_one),
                .any_i         (load_any),
                .image_i       (load_image),
                .set_i         (load_set),
                .index_i       (load_index),
                .id_i          (load_id),
                .busy_o        (load_busy),
                .done_o        (load_done),
                .failed_o      (load_failed),
                .set_o         (table_set),
                .table_i       (gtea_table),
                .entries_i     (gtea_entries),
                .images_i      (images),
                .pa_reserved_i (pa_reserved),
                .index_o       (g_index),
                .valid_i       (g_valid),
                .reg_id_i      (g_id),
                .we_o          (g_we),
                .resolution_o  (g_resolution),
                .base_o        (g_base),
                .pages_o       (g_pages),
                .word_we_o     (g_word_we),
                .word_o        (g_word),
                .refused_i     (tea_refused),
                .emit_o        (g_emit),
                .addr_o        (g_addr),
                .beat_i        (r_beat),
                .data_i        (r_data),
                .resp_i        (step_resp)
            );

            dmt_roots #(.PA_W(PA_W)) u_roots (
                .clk_i        (clk_i),
                .rst_i        (rst_i),
                .start_i      (changed),
                .busy_o       (settling),
                .root1_i      (root1),
                .root2_i      (root2),
                .set_o        (roots_set),
                .vpn_o        (roots_vpn),
                .found_i      (a_found),
                .root1_hits_o (root1_hits),
                .root2_hits_o (root2_hits)
            );

            dmt_pwc #(
                .PA_W(PA_W), .PWC4_N(NPWC4_N), .PWC3_N(NPWC3_N), .PWC2_N(NPWC2_N),
                .STAGE_W(1), .PCID_W(0), .KINDS(2)
            ) u_npwc (
                .clk_i         (clk_i),
                .rst_i         (rst_i),
                .owner_i       (owner_s),
                .va_i          (a_addr[56:21]),
                .kind_i        (a_frame == S1),
                .found_o       (a_ncached),
                .found_i       (ncached),
                .hit_o         (npwc_hit),
                .table_o       (npwc_table),
                .rights_o      (npwc_rights),
                .fill_i        (fill_s && go),
                .fill_level_i  (fill_level),
                .fill_va_i     (fill_prefix),
                .fill_kind_i   (fill_s1),
                .fill_table_i  (fill_table),
                .fill_rights_i (fill_rights),
                .pending_o     (npwc_pending),
                .flush_i       (flush_s),
                .flush_owner_i (flush_s_owner),
                .flush_mask_i  (flush_s_mask)
            );
        end else begin : g_one_stage
            assign load_busy    = 1'b0;
            assign load_done    = 1'b0;
            assign load_failed  = 1'b0;
            assign g_word_we    = 1'b0;
            assign g_word       = 2'd0;
            assign table_set    = 2'd0;
            assign g_index      = 6'd0;
            assign g_we         = 1'b0;
            assign g_resolution = 3'd0;
            assign g_base       = 52'd0;
            assign g_pages      = 52'd0;
            assign g_emit       = 1'b0;
            assign g_addr       = {(PA_W-3){1'b0}};
            assign settling     = 1'b0;
            assign roots_set    = 2'd0;
            assign roots_vpn    = 52'd0;
            assign root1_hits   = 30'd0;
            assign root2_hits   = 30'd0;
            assign a_ncached    = {CACHED_W{1'b0}};
            assign npwc_hit     = 3'd0;
            assign npwc_table   = {(PA_W-12){1'b0}};
            assign npwc_rights  = 4'd0;
            assign npwc_pending = 1'b0;
            wire unused_stages = &{1'b0, r_beat, load_start, load_one, load_any, load_image, images, load_set, load_index, load_id,
                                   gtea_table, gtea_entries, g_valid, g_id, changed, root1, root2, a_found, ncached,
                                   owner_s, fill_s, fill_s1, flush_s, flush_s_owner, flush_s_mask};
        end
    endgenerate

    dmt_route #(.PA_W(PA_W)) u_route (
        .frame_i        (m_frame),
        .addr_i         (m_addr),
        .sizes_i        (m_sizes),
        .restart_i      (m_restart),
        .walk_i         (m_walk),
        .hit_i          (hit),
        .multi_i        (multi),
        .plain_i        (plain),
        .bad_i          (unusable),
        .index_i        ({hit_1g, hit_2m, hit_4k}),
        .root1_hits_i   (root1_hits),
        .root2_hits_i   (root2_hits),
        .cache_i        ((m_frame == V) ? pwc_hit : npwc_hit),
        .cache_table_i  ((m_frame == V) ? pwc_table : npwc_table),
        .cache_rights_i ((m_frame == V) ? pwc_rights : npwc_rights),
        .enter_i        (enter),
        .la57_i         (la57),
        .full_i         (full),
        .root_v_i       (root),
        .root1_i        (s2root1),
        .root0_i        (s2root0),
        .shadow_root_i  (shadow_root),
        .five0_i        (s2ctl0[`DMT_S2_FIVE]),
        .five1_i        (s2ctl1[`DMT_S2_FIVE]),
        .shadow_five_i  (shadow_ctl[`DMT_S2_FIVE]),
        .tea_o          (to_tea),
        .chain_o        (to_chain),
        .refuse_o       (to_refuse),
        .refuse_gtea_o  (to_refuse_gtea),
        .set_o          (to_set),
        .sizes_o        (to_sizes),
        .index_o        (to_index),
        .vpn_o          (to_vpn),
        .read_o         (to_read),
        .level_o        (to_level),
        .rights_o       (to_rights),
        .walk_o         (routed_walk),
        .multi_hit_o    (route_multi),
        .cache_used_o   (cache_used)
    );

    dmt_pwc #(
        .PA_W(PA_W), .PWC4_N(PWC4_N), .PWC3_N(PWC3_N), .PWC2_N(PWC2_N), .SETTLES(SETS > 1)
    ) u_pwc (
        .clk_i         (clk_i),
        .rst_i         (rst_i),
        .owner_i       (owner_v),
        .va_i          (a_addr[56:21]),
        .kind_i        (1'b1),
        .found_o       (a_cached),
        .found_i       (cached),
        .hit_o         (pwc_hit),
        .table_o       (pwc_table),
        .rights_o      (pwc_rights),
        .fill_i        (fill_v && go),
        .fill_level_i  (fill_level),
        .fill_va_i     (fill_prefix),
        .fill_kind_i   (1'b1),
        .fill_table_i  (fill_table),
        .fill_rights_i (fill_rights),
        .pending_o     (pwc_pending),
        .flush_i       (flush_v),
        .flush_owner_i (flush_v_owner),
        .flush_mask_i  (flush_v_mask)
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
        .drain_i        (drain || load_busy || settling),
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

    // whose table a beat comes from: the bits above the context in its ID
    wire [1:0] f_stage, beat_stage;
    generate
        if (SETS > 1) begin : g_stage
            assign f_stage    = {{(CTX_W+2-ID_W){1'b0}}, f_id[ID_W-1:CTX_W]};
            assign beat_stage = {{(CTX_W+2-ID_W){1'b0}}, step_id[ID_W-1:CTX_W]};
        end else begin : g_stage
            assign f_stage    = 2'd0;
            assign beat_stage = 2'd0;
        end
    endgenerate

    dmt_contexts #(.PA_W(PA_W), .CTX_N(CTX_N), .CTX_W(CTX_W), .TAG_W(TAG_W), .SETS(SETS)) u_contexts (
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
        .load_walk_i      (matched ? routed_walk : m_walk),
        .emit_i           (emit),
        .emit_ctx_i       (emit_ctx),
        .emit_slot_i      (emit_slot),
        .emit_addr_i      (emit_addr),
        .emit_level_i     (emit_level),
        .emit_rights_i    (emit_rights),
        .emit_index_i     (emit_index),
        .find_ctx_i       (f_id[CTX_W-1:0]),
        .find_stage_i     (f_stage),
        .order_o          (f_order),
        .stamp_o          (f_stamp),
        .tag_o            (f_tag),
        .va_o             (f_va),
        .access_o         (f_access),
        .user_o           (f_user),
        .smap_ok_o        (f_smap_ok),
        .nonspec_o        (f_nonspec),
        .walk_o           (f_walk),
        .left_o           (f_left),
        .surplus_o        (f_surplus),
        .addr_o           (f_addr),
        .level_o          (f_level),
        .rights_o         (f_rights),
        .index_o          (f_index),
        .data_o           (f_kept),
        .ctx_i            (step_ctx),
        .stage_i          (beat_stage),
        .wait_i           (do_wait),
        .surplus_i        (go && leaves_surplus),
        .left_i           (c_left),
        .drop_i           (step_r && c_surplus),
        .keep_i           (do_update),
        .data_i           (update_value),
        .release_i        (do_result),
        .aw_ctx_i         (aw_ctx),
        .aw_addr_o        (aw_addr),
        .w_data_o         (w_data)
    );

    dmt_launch #(.PA_W(PA_W), .CTX_W(CTX_W), .PIPE(PIPE)) u_launch (
        .clk_i       (clk_i),
        .rst_i       (rst_i),
        .load_i      (load),
        .ctx_i       (load_ctx),
        .excl_i      (!matched && load_excl),
        .match_i     (matched && to_tea),
        .chain_i     (matched && to_chain),
        .refuse_i    (matched && to_refuse),
        .refuse_gtea_i (to_refuse_gtea),
        .frame_i     (matched ? routed_walk[`DMT_WALK_FRAME] : m_walk[`DMT_WALK_FRAME]),
        .enter_i     (enter),
        .set_i       (to_set),
        .sizes_i     (to_sizes),
        .index_1g_i  (to_index[17:12]),
        .index_2m_i  (to_index[11:6]),
        .index_4k_i  (to_index[5:0]),
        .vpn_i       (to_vpn),
        .addr_i      (matched ? to_read : load_read),
        .level_i     (matched ? to_level : load_level),
        .rights_i    (matched ? to_rights : load_rights),
        .index_i     (matched ? 6'd0 : load_index_read),
        .open_o      (open),
        .refuse_o    (refused),
        .refuse_gtea_o (refused_gtea),
        .chain_o     (chained),
        .done_i      (l_done),
        .sel_set_o   (sel_set),
        .sel_index_o (sel_index),
        .sel_sz_o    (sel_sz),
        .sel_vpn_o   (sel_vpn),
        .sel_entry_i (sel_entry),
        .sel_allow_i (sel_allow),
        .emit_o      (emit),
        .ctx_o       (emit_ctx),
        .stage_o     (emit_stage),
        .excl_o      (emit_excl),
        .slot_o      (emit_slot),
        .addr_o      (emit_addr),
        .level_o     (emit_level),
        .rights_o    (emit_rights),
        .index_o     (emit_index)
    );

    dmt_pte_port #(.PA_W(PA_W), .CTX_N(CTX_N), .CTX_W(CTX_W), .ID_W(ID_W)) u_port (
        .clk_i        (clk_i),
        .rst_i        (rst_i),
        .emit_i       (ar_emit),
        .emit_id_i    (ar_emit_id[ID_W-1:0]),
        .emit_excl_i  (emit_excl && emit),
        .emit_addr_i  (ar_emit_addr),
        .aw_ctx_o     (aw_ctx),
        .aw_addr_i    (aw_addr),
        .w_data_i     (w_data),
        .update_i     (do_update),
        .update_id_i  (update_id[ID_W-1:0]),
        .done_valid_o (done_valid),
        .done_ctx_o   (done_ctx),
        .done_resp_o  (done_resp),
        .done_pop_i   (b_pop),
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

    dmt_entry #(.PA_W(PA_W)) u_entry (
        .b_i           (f_b),
        .data_i        (f_data),
        .resp_i        (f_resp),
        .frame_i       (f_walk[`DMT_WALK_FRAME]),
        .tea_i         (f_walk[`DMT_WALK_TEA]),
        .excl_i        (f_walk[`DMT_WALK_EXCL]),
        .shadow_i      (f_walk[`DMT_WALK_SHADOW]),
        .level_i       (f_level),
        .above_i       (f_rights),
        .index_i       (f_index),
        .addr_i        (f_addr),
        .nxe_i         (nxe),
        .pkru_i        (pkru),
        .pkrs_i        (pkrs),
        .s2ctl0_i      (s2ctl0),
        .s2ctl1_i      (s2ctl1),
        .shadow_ctl_i  (shadow_ctl),
        .pa_reserved_i (pa_reserved),
        .entry_o       (f_entry)
    );

    dmt_walk_step #(.PA_W(PA_W)) u_step (
        .valid_i         (is_b || (is_r && !c_surplus)),
        .b_i             (is_b),
        .entry_i         (c_entry),
        .refuse_i        (is_refuse),
        .refuse_gtea_i   (l_gtea),
        .refuse_code_i   (l_code),
        .va_i            (c_va),
        .access_i        (c_access),
        .user_i          (c_user),
        .smap_ok_i       (c_smap_ok),
        .nonspec_i       (c_nonspec),
        .walk_i          (c_walk),
        .left_i          (c_left),
        .enter_i         (enter),
        .wp_i            (wp),
        .smep_i          (smep),
        .smap_i          (smap),
        .pke_i           (pke),
        .pks_i           (pks),
        .pge_i           (pge),
        .nxe_i           (nxe),
        .s2ctl0_i        (s2ctl0),
        .s2ctl1_i        (s2ctl1),
        .shadow_ctl_i    (shadow_ctl),
        .ad_update_i     (ad_update),
        .wait_o          (is_wait),
        .read_o          (is_read),
        .again_o         (is_again),
        .match_o         (is_match),
        .update_o        (is_update),
        .result_o        (is_result),
        .surplus_o       (leaves_surplus),
        .walk_o          (step_walk),
        .addr_o          (step_addr),
        .level_o         (step_level),
        .rights_o        (step_rights),
        .index_o         (step_index),
        .match_frame_o   (match_frame),
        .match_addr_o    (match_addr),
        .match_sizes_o   (match_sizes),
        .match_restart_o (match_restart),
        .fill_v_o        (fill_v),
        .fill_s_o        (fill_s),
        .fill_s1_o       (fill_s1),
        .fill_level_o    (fill_level),
        .fill_prefix_o   (fill_prefix),
        .fill_table_o    (fill_table),
        .fill_rights_o   (fill_rights),
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
        .fault_addr_o    (res_addr),
        .fault_stage_o   (res_stage),
        .path_index_o    (res_index),
        .stage_o         (step_stage)
    );

    // ------------------------------------------------------------------ responses
    assign resp_push = do_result || front_now;
    wire [TAG_W-1:0] end_tag    = stepping ? c_tag : front_tag;
    wire [3:0]       end_status = stepping ? res_status : front_status;
    wire [PA_W-1:0]  end_pa     = stepping ? res_pa : front_pa;
    wire [3:0]       end_rights = stepping ? res_rights : front_rights;
    wire             end_dirty  = stepping ? res_dirty : front_dirty;
    wire [63:0]      end_addr   = stepping ? res_addr : front_fault_addr;
    wire [1:0]       end_size   = res_size & {2{stepping}};
    wire             end_global = res_global && stepping;
    wire [3:0]       end_pkey   = res_pkey & {4{stepping}};
    wire [6:0]       end_memtype = res_memtype & {7{stepping}};
    wire             end_ad_needed = res_ad_needed && stepping;
    wire [33:0]      end_error  = res_error & {34{stepping}};
    wire [1:0]       end_stage  = res_stage & {2{stepping}};

    assign resp_in = {end_tag, end_status, end_pa, end_size, end_rights, end_global, end_pkey,
                      end_memtype, end_dirty, end_ad_needed, end_error, end_addr, end_stage};

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
    wire [5:0] path = {c_walk[`DMT_WALK_PATH2], c_walk[`DMT_WALK_PATH1], c_walk[`DMT_WALK_PATH0]};
    wire       by_restart = (&path[5:4]) || (&path[3:2]) || (&path[1:0]);
    wire       by_walk    = !by_restart && (path[5] || path[3] || path[1]);
    wire       walked_ok  = do_result && res_status == `DMT_STATUS_OK;
    wire       fault      = res_status == `DMT_STATUS_PF || res_status == `DMT_STATUS_EPT_VIOLATION
                         || res_status == `DMT_STATUS_EPT_MISCONFIG || res_status == `DMT_STATUS_NPT_FAULT;

    dmt_counters #(.N(CNT_N), .CNT_W(CNT_W)) u_counters (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .clear_i (cnt_clear),
        .event_i ({use_npwc[2], use_npwc[3], use_npwc[4],
                   do_result && res_status == `DMT_STATUS_GTEA,
                   ctx_busy,
                   use_pwc[2], use_pwc[3], use_pwc[4],
                   step_b && step_resp == 2'b00,
                   step_b && step_resp == 2'b01,
                   step_r,
                   do_result && res_status == `DMT_STATUS_RETRY,
                   do_result && res_status == `DMT_STATUS_BUS,
                   (do_result && fault) || (front_now && front_status == `DMT_STATUS_GP),
                   front_now && front_status == `DMT_STATUS_OK,
                   walked_ok && by_restart,
                   walked_ok && by_walk,
                   walked_ok && !by_restart && !by_walk,
                   front_go || front_now}),
        .count_o (count)
    );

    // of stages that registers alone served
    wire [17:0] end_index = {res_index[17:12] & {6{path[5:4] == `DMT_PATH_TEA}},
                             res_index[11:6]  & {6{path[3:2] == `DMT_PATH_TEA}},
                             res_index[5:0]   & {6{path[1:0] == `DMT_PATH_TEA}}};

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
        .ref_valid_i        (step_r && !c_surplus),
        .upd_valid_i        (step_b),
        .step_order_i       (c_order),
        .step_stage_i       (step_stage),
        .step_level_i       (c_entry[`DMT_ENTRY_LEVEL]),
        .step_tea_i         (c_walk[`DMT_WALK_TEA]),
        .step_index_i       (c_entry[`DMT_ENTRY_INDEX]),
        .step_lock_i        (c_walk[`DMT_WALK_EXCL]),
        .step_addr_i        (c_addr[PA_W-4:0]),
        .step_data_i        (c_entry[`DMT_ENTRY_WORD]),
        .step_resp_i        (step_resp),
        .end_valid_i        (resp_push),
        .end_order_i        (stepping ? c_order : front_order),
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
        .end_stage_i        (end_stage),
        .end_path_i         (path & {6{stepping}}),
        .end_index_i        (end_index & {18{stepping}}),
        .end_stamp_i        (stepping ? c_stamp : front_stamp),
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

    wire unused = &{1'b0, m_rlast_i, c_addr, ar_emit_id, update_id};

endmodule

`default_nettype wire
