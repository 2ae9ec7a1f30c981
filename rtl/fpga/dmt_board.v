// SPDX-License-Identifier: Apache-2.0
// dmt_board: the walker on an FPGA board, driven by a host over a UART. Nothing
// in it belongs to a vendor: a board's top gives clock, reset, two pins and a
// configuration.
//
//   UART ─ dmt_link ─ dmt_mailbox ─┬─ CSR port ─┐
//                                  ├─ requests ─┤ dmt_mmu ─ PTE port ─ dmt_frame_store
//                                  └─ words ────┼──────────────────────────┘
`default_nettype none
`include "dmt_board.vh"

module dmt_board #(
    // the walker's, docs/microarchitecture.md section 1; CTX_N 16 at most
    parameter PA_W = 52,
    parameter CTX_N = 8,
    parameter TEA_N = 16,
    parameter SETS = 3,
    parameter PWC4_N = 2,
    parameter PWC3_N = 4,
    parameter PWC2_N = 32,
    parameter NPWC4_N = 2,
    parameter NPWC3_N = 4,
    parameter NPWC2_N = 32,
    parameter TAG_W = 8,
    parameter CNT_W = 48,
    parameter PIPE = 1,
    // clock in kHz, which the host is told, and clocks a bit of the UART
    parameter CLK_KHZ = 24000,
    parameter DIVISOR = 8,
    // log2 of the bytes of the rings from and to the host
    parameter RX_W = 12,
    parameter TX_W = 12,
    // answers with clocks and reads, A/D updates: see dmt_mailbox
    parameter TRACE = 1,
    // memory, see dmt_frame_store
    parameter BLOCK_W = 9,
    parameter SLOTS = 256,
    parameter WAYS = 2,
    parameter SET_W = 8,
    parameter LATENCY = 6,
    parameter DEPTH = 9
) (
    input  wire        clk_i,
    input  wire        rst_i,
    // version of link and commands: `DMT_BOARD_VERSION, but for tests of the host
    input  wire [15:0] version_i,
    // which build this is; the host shows it
    input  wire [31:0] build_i,
    input  wire        rxd_i,
    output wire        txd_o,
    // a session is open, frames come damaged, unknown command, walks under way, event
    output wire [4:0]  state_o
);

    localparam CTX_W = (CTX_N > 1) ? $clog2(CTX_N) : 1;
    localparam ID_W = CTX_W + $clog2(SETS);
    localparam [31:0] PA_32 = PA_W, CTX_32 = CTX_N, TEA_32 = TEA_N, SETS_32 = SETS, TAG_32 = TAG_W, CNT_32 = CNT_W, PIPE_32 = PIPE,
                      P4_32 = PWC4_N, P3_32 = PWC3_N, P2_32 = PWC2_N,
                      N4_32 = NPWC4_N, N3_32 = NPWC3_N, N2_32 = NPWC2_N,
                      RX_32 = RX_W, TX_32 = TX_W, BLOCK_32 = BLOCK_W, WAYS_32 = WAYS, SET_32 = SET_W,
                      SLOTS_32 = SLOTS, LATENCY_32 = LATENCY, DIVISOR_32 = DIVISOR, DEPTH_32 = DEPTH, TRACE_32 = TRACE;
    localparam [31:0] KHZ_32 = CLK_KHZ;
    localparam [8*28-1:0] FACTS = {TRACE_32[7:0], DEPTH_32[7:0], KHZ_32[23:0], DIVISOR_32[15:0], LATENCY_32[7:0],
                                   SLOTS_32[15:0], SET_32[7:0], WAYS_32[7:0], BLOCK_32[7:0], TX_32[7:0], RX_32[7:0],
                                   PIPE_32[7:0], CNT_32[7:0], TAG_32[7:0], N2_32[7:0], N3_32[7:0], N4_32[7:0],
                                   P2_32[7:0], P3_32[7:0], P4_32[7:0],
                                   SETS_32[7:0], TEA_32[7:0], CTX_32[7:0], PA_32[7:0]};

    // ------------------------------------------------------------------- resets
    // The command RESET is for walker and memory; link and commands go on.
    wire start, reset_cmd;
    reg  rst_q, core_rst_q;
    always @(posedge clk_i) begin
        rst_q      <= rst_i;
        core_rst_q <= rst_i || reset_cmd;
    end

    reg [31:0] clock_q;
    always @(posedge clk_i)
        clock_q <= rst_q ? 32'd0 : clock_q + 1'b1;

    // --------------------------------------------------------------------- link
    wire [15:0] session;
    wire        rx_bad, lost;
    wire        rx_valid, rx_ready, tx_valid, tx_ready;
    wire [7:0]  rx_data, tx_data;

    dmt_link #(.DIVISOR(DIVISOR), .RX_W(RX_W), .TX_W(TX_W)) u_link (
        .clk_i      (clk_i),
        .rst_i      (rst_q),
        .rxd_i      (rxd_i),
        .txd_o      (txd_o),
        .start_o    (start),
        .session_o  (session),
        .rx_bad_o   (rx_bad),
        .rx_valid_o (rx_valid),
        .rx_ready_i (rx_ready),
        .rx_data_o  (rx_data),
        .tx_valid_i (tx_valid),
        .tx_ready_o (tx_ready),
        .tx_data_i  (tx_data)
    );

    // ------------------------------------------------------------------- signals
    wire             store_ready, h_valid, h_map, h_write, h_done;
    wire [23:0]      h_addr;
    wire [63:0]      h_wdata, h_rdata;
    wire             c_awvalid, c_awready, c_wvalid, c_wready, c_bvalid, c_bready;
    wire             c_arvalid, c_arready, c_rvalid, c_rready;
    wire [13:0]      c_awaddr, c_araddr;
    wire [63:0]      c_wdata, c_rdata;
    wire [1:0]       c_bresp, c_rresp;
    wire             req_valid, req_ready, req_ac, req_implicit, req_nonspec;
    wire [TAG_W-1:0] req_tag, resp_tag;
    wire [63:0]      req_va;
    wire [1:0]       req_access, req_cpl;
    wire             resp_valid, resp_ready, resp_global, resp_dirty, resp_ad_needed;
    wire [3:0]       resp_status, resp_rights, resp_pkey;
    wire [PA_W-1:0]  resp_pa;
    wire [1:0]       resp_size, resp_stage;
    wire [6:0]       resp_memtype;
    wire [33:0]      resp_error;
    wire [63:0]      resp_addr;
    wire             ref_valid, upd_valid, end_valid;
    wire [31:0]      ref_order, upd_order, end_clocks;
    wire [PA_W-1:0]  upd_addr;
    wire [63:0]      upd_data;
    wire [1:0]       upd_resp;
    wire [5:0]       end_path;
    wire [17:0]      end_index;
    wire             arvalid, arready, arlock, rvalid, rready;
    wire [ID_W-1:0]  arid, rid, awid, bid;
    wire [PA_W-1:0]  araddr, awaddr;
    wire [63:0]      rdata, wdata;
    wire [1:0]       rresp, bresp;
    wire             awvalid, awready, awlock, wvalid, wready, bvalid, bready, b_hold;
    wire             event_any;

    // --------------------------------------------------------------------- rooms
    dmt_mailbox #(.PA_W(PA_W), .CTX_N(CTX_N), .TAG_W(TAG_W), .TRACE(TRACE), .FACTS(FACTS)) u_mailbox (
        .clk_i            (clk_i),
        .rst_i            (rst_q),
        .start_i          (start),
        .version_i        (version_i),
        .session_i        (session),
        .build_i          (build_i),
        .clock_i          (clock_q),
        .reset_o          (reset_cmd),
        .lost_o           (lost),
        .rx_valid_i       (rx_valid),
        .rx_ready_o       (rx_ready),
        .rx_data_i        (rx_data),
        .tx_valid_o       (tx_valid),
        .tx_ready_i       (tx_ready),
        .tx_data_o        (tx_data),
        .store_ready_i    (store_ready),
        .h_valid_o        (h_valid),
        .h_map_o          (h_map),
        .h_write_o        (h_write),
        .h_addr_o         (h_addr),
        .h_wdata_o        (h_wdata),
        .h_done_i         (h_done),
        .h_rdata_i        (h_rdata),
        .s_awvalid_o      (c_awvalid),
        .s_awready_i      (c_awready),
        .s_awaddr_o       (c_awaddr),
        .s_wvalid_o       (c_wvalid),
        .s_wready_i       (c_wready),
        .s_wdata_o        (c_wdata),
        .s_bvalid_i       (c_bvalid),
        .s_bready_o       (c_bready),
        .s_bresp_i        (c_bresp),
        .s_arvalid_o      (c_arvalid),
        .s_arready_i      (c_arready),
        .s_araddr_o       (c_araddr),
        .s_rvalid_i       (c_rvalid),
        .s_rready_o       (c_rready),
        .s_rdata_i        (c_rdata),
        .s_rresp_i        (c_rresp),
        .req_valid_o      (req_valid),
        .req_ready_i      (req_ready),
        .req_tag_o        (req_tag),
        .req_va_o         (req_va),
        .req_access_o     (req_access),
        .req_cpl_o        (req_cpl),
        .req_ac_o         (req_ac),
        .req_implicit_o   (req_implicit),
        .req_nonspec_o    (req_nonspec),
        .resp_valid_i     (resp_valid),
        .resp_ready_o     (resp_ready),
        .resp_tag_i       (resp_tag),
        .resp_status_i    (resp_status),
        .resp_pa_i        (resp_pa),
        .resp_size_i      (resp_size),
        .resp_rights_i    (resp_rights),
        .resp_global_i    (resp_global),
        .resp_pkey_i      (resp_pkey),
        .resp_memtype_i   (resp_memtype),
        .resp_dirty_i     (resp_dirty),
        .resp_ad_needed_i (resp_ad_needed),
        .resp_error_i     (resp_error),
        .resp_addr_i      (resp_addr),
        .resp_stage_i     (resp_stage),
        .wt_ref_valid_i   (ref_valid),
        .wt_ref_order_i   (ref_order),
        .wt_upd_valid_i   (upd_valid),
        .wt_upd_order_i   (upd_order),
        .wt_upd_addr_i    (upd_addr),
        .wt_upd_data_i    (upd_data),
        .wt_upd_resp_i    (upd_resp),
        .wt_end_valid_i   (end_valid),
        .wt_end_path_i    (end_path),
        .wt_end_index_i   (end_index),
        .wt_end_clocks_i  (end_clocks),
        .b_taken_i        (bvalid && bready && !b_hold),
        .b_hold_o         (b_hold)
    );

    // The store has no use for constants of AXI, nor the host for all of the trace.
    /* verilator lint_off PINCONNECTEMPTY */
    dmt_mmu #(
        .PA_W(PA_W), .CTX_N(CTX_N), .TEA_N(TEA_N), .SETS(SETS), .PWC4_N(PWC4_N), .PWC3_N(PWC3_N), .PWC2_N(PWC2_N),
        .NPWC4_N(NPWC4_N), .NPWC3_N(NPWC3_N), .NPWC2_N(NPWC2_N), .TAG_W(TAG_W), .CNT_W(CNT_W),
        .PIPE(PIPE)
    ) u_mmu (
        .clk_i              (clk_i),
        .rst_i              (core_rst_q),
        .req_valid_i        (req_valid),
        .req_ready_o        (req_ready),
        .req_tag_i          (req_tag),
        .req_va_i           (req_va),
        .req_access_i       (req_access),
        .req_cpl_i          (req_cpl),
        .req_ac_i           (req_ac),
        .req_implicit_i     (req_implicit),
        .req_nonspec_i      (req_nonspec),
        .resp_valid_o       (resp_valid),
        .resp_ready_i       (resp_ready),
        .resp_tag_o         (resp_tag),
        .resp_status_o      (resp_status),
        .resp_pa_o          (resp_pa),
        .resp_size_o        (resp_size),
        .resp_rights_o      (resp_rights),
        .resp_global_o      (resp_global),
        .resp_pkey_o        (resp_pkey),
        .resp_memtype_o     (resp_memtype),
        .resp_dirty_o       (resp_dirty),
        .resp_ad_needed_o   (resp_ad_needed),
        .resp_error_o       (resp_error),
        .resp_addr_o        (resp_addr),
        .resp_stage_o       (resp_stage),
        .m_arvalid_o        (arvalid),
        .m_arready_i        (arready),
        .m_arid_o           (arid),
        .m_araddr_o         (araddr),
        .m_arlen_o          (),
        .m_arsize_o         (),
        .m_arburst_o        (),
        .m_arlock_o         (arlock),
        .m_arcache_o        (),
        .m_arprot_o         (),
        .m_rvalid_i         (rvalid),
        .m_rready_o         (rready),
        .m_rid_i            (rid),
        .m_rdata_i          (rdata),
        .m_rresp_i          (rresp),
        .m_rlast_i          (1'b1),
        .m_awvalid_o        (awvalid),
        .m_awready_i        (awready),
        .m_awid_o           (awid),
        .m_awaddr_o         (awaddr),
        .m_awlen_o          (),
        .m_awsize_o         (),
        .m_awburst_o        (),
        .m_awlock_o         (awlock),
        .m_awcache_o        (),
        .m_awprot_o         (),
        .m_wvalid_o         (wvalid),
        .m_wready_i         (wready),
        .m_wdata_o          (wdata),
        .m_wstrb_o          (),
        .m_wlast_o          (),
        .m_bvalid_i         (bvalid && !b_hold),
        .m_bready_o         (bready),
        .m_bid_i            (bid),
        .m_bresp_i          (bresp),
        .s_awvalid_i        (c_awvalid),
        .s_awready_o        (c_awready),
        .s_awaddr_i         (c_awaddr),
        .s_wvalid_i         (c_wvalid),
        .s_wready_o         (c_wready),
        .s_wdata_i          (c_wdata),
        .s_wstrb_i          (8'hff),
        .s_bvalid_o         (c_bvalid),
        .s_bready_i         (c_bready),
        .s_bresp_o          (c_bresp),
        .s_arvalid_i        (c_arvalid),
        .s_arready_o        (c_arready),
        .s_araddr_i         (c_araddr),
        .s_rvalid_o         (c_rvalid),
        .s_rready_i         (c_rready),
        .s_rdata_o          (c_rdata),
        .s_rresp_o          (c_rresp),
        .event_o            (event_any),
        .wt_req_valid_o     (),
        .wt_req_order_o     (),
        .wt_req_tag_o       (),
        .wt_req_va_o        (),
        .wt_req_access_o    (),
        .wt_req_cpl_o       (),
        .wt_req_ac_o        (),
        .wt_req_implicit_o  (),
        .wt_req_nonspec_o   (),
        .wt_ref_valid_o     (ref_valid),
        .wt_ref_order_o     (ref_order),
        .wt_ref_stage_o     (),
        .wt_ref_level_o     (),
        .wt_ref_tea_o       (),
        .wt_ref_index_o     (),
        .wt_ref_lock_o      (),
        .wt_ref_addr_o      (),
        .wt_ref_data_o      (),
        .wt_ref_resp_o      (),
        .wt_upd_valid_o     (upd_valid),
        .wt_upd_order_o     (upd_order),
        .wt_upd_stage_o     (),
        .wt_upd_addr_o      (upd_addr),
        .wt_upd_data_o      (upd_data),
        .wt_upd_resp_o      (upd_resp),
        .wt_end_valid_o     (end_valid),
        .wt_end_order_o     (),
        .wt_end_tag_o       (),
        .wt_end_status_o    (),
        .wt_end_pa_o        (),
        .wt_end_size_o      (),
        .wt_end_rights_o    (),
        .wt_end_global_o    (),
        .wt_end_pkey_o      (),
        .wt_end_memtype_o   (),
        .wt_end_dirty_o     (),
        .wt_end_ad_needed_o (),
        .wt_end_error_o     (),
        .wt_end_addr_o      (),
        .wt_end_stage_o     (),
        .wt_end_path_o      (end_path),
        .wt_end_index_o     (end_index),
        .wt_end_clocks_o    (end_clocks)
    );
    /* verilator lint_on PINCONNECTEMPTY */

    dmt_frame_store #(
        .PA_W(PA_W), .ID_W(ID_W), .HELD_W(CTX_W), .BLOCK_W(BLOCK_W), .SLOTS(SLOTS), .WAYS(WAYS), .SET_W(SET_W),
        .LATENCY(LATENCY), .DEPTH(DEPTH)
    ) u_store (
        .clk_i       (clk_i),
        .rst_i       (core_rst_q),
        .ready_o     (store_ready),
        .h_valid_i   (h_valid),
        .h_map_i     (h_map),
        .h_write_i   (h_write),
        .h_addr_i    (h_addr),
        .h_wdata_i   (h_wdata),
        .h_done_o    (h_done),
        .h_rdata_o   (h_rdata),
        .s_arvalid_i (arvalid),
        .s_arready_o (arready),
        .s_arid_i    (arid),
        .s_araddr_i  (araddr),
        .s_arlock_i  (arlock),
        .s_rvalid_o  (rvalid),
        .s_rready_i  (rready),
        .s_rid_o     (rid),
        .s_rdata_o   (rdata),
        .s_rresp_o   (rresp),
        .s_awvalid_i (awvalid),
        .s_awready_o (awready),
        .s_awid_i    (awid),
        .s_awaddr_i  (awaddr),
        .s_awlock_i  (awlock),
        .s_wvalid_i  (wvalid),
        .s_wready_o  (wready),
        .s_wdata_i   (wdata),
        .s_bvalid_o  (bvalid),
        .s_bready_i  (bready && !b_hold),
        .s_bid_o     (bid),
        .s_bresp_o   (bresp)
    );

    // Lights last long enough to be seen: 2^23 clocks, a third of a second at 24 MHz.
    reg [22:0] bad_q;
    always @(posedge clk_i) begin
        if (rst_q)
            bad_q <= 23'd0;
        else if (rx_bad)
            bad_q <= {23{1'b1}};
        else if (bad_q != 23'd0)
            bad_q <= bad_q - 1'b1;
    end
    reg [4:0] state_q;
    always @(posedge clk_i)
        state_q <= {event_any, req_valid, lost, bad_q != 23'd0, session != 16'd0};
    assign state_o = state_q;

endmodule

`default_nettype wire
