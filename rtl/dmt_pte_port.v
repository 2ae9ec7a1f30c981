// SPDX-License-Identifier: Apache-2.0
// dmt_pte_port: the walker's memory port, an AXI4 master.
//
// Reads: an address that launch emits is on AR in the same cycle when nothing
// is queued before it, else it waits in a queue that can hold every read of
// every context (the surplus ones of a fetch that was decided, at most two, and
// the three of the next), so the walker never waits for AR. Writes: exclusive,
// queued likewise; AW and W go independently. Write answers are queued until
// stepped, so B is always taken. ID = {stage, context}; bursts are single 64-bit
// beats.
`default_nettype none

module dmt_pte_port #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // contexts, 1..64
    parameter CTX_N = 8,
    // width of a context number, of an AXI ID
    parameter CTX_W = 3,
    parameter ID_W = 5
) (
    input  wire            clk_i,
    input  wire            rst_i,

    // launch
    input  wire            emit_i,
    input  wire [ID_W-1:0] emit_id_i,
    input  wire            emit_excl_i,
    input  wire [PA_W-1:3] emit_addr_i,

    // addresses and data of queued writes, from the contexts
    output wire [CTX_W-1:0] aw_ctx_o,
    input  wire [PA_W-1:3] aw_addr_i,
    input  wire [63:0]     w_data_i,

    // write an entry back
    input  wire            update_i,
    input  wire [ID_W-1:0] update_id_i,

    // answers to writes
    output wire            done_valid_o,
    output wire [CTX_W-1:0] done_ctx_o,
    output wire [1:0]      done_resp_o,
    input  wire            done_pop_i,

    // AXI4
    output wire            m_arvalid_o,
    input  wire            m_arready_i,
    output wire [ID_W-1:0] m_arid_o,
    output wire [PA_W-1:0] m_araddr_o,
    output wire [7:0]      m_arlen_o,
    output wire [2:0]      m_arsize_o,
    output wire [1:0]      m_arburst_o,
    output wire            m_arlock_o,
    output wire [3:0]      m_arcache_o,
    output wire [2:0]      m_arprot_o,
    output wire            m_awvalid_o,
    input  wire            m_awready_i,
    output wire [ID_W-1:0] m_awid_o,
    output wire [PA_W-1:0] m_awaddr_o,
    output wire [7:0]      m_awlen_o,
    output wire [2:0]      m_awsize_o,
    output wire [1:0]      m_awburst_o,
    output wire            m_awlock_o,
    output wire [3:0]      m_awcache_o,
    output wire [2:0]      m_awprot_o,
    output wire            m_wvalid_o,
    input  wire            m_wready_i,
    output wire [63:0]     m_wdata_o,
    output wire [7:0]      m_wstrb_o,
    output wire            m_wlast_o,
    input  wire            m_bvalid_i,
    output wire            m_bready_o,
    input  wire [ID_W-1:0] m_bid_i,
    input  wire [1:0]      m_bresp_i
);

    // ------------------------------------------------------------------- reads
    wire            q_valid, q_excl, q_full;
    wire [ID_W-1:0] q_id;
    wire [PA_W-1:3] q_addr;
    wire            direct = emit_i && !q_valid;
    wire            q_push = emit_i && !(direct && m_arready_i);

    dmt_fifo #(.W(ID_W + 1 + PA_W - 3), .DEPTH(5 * CTX_N)) u_arq (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .push_i  (q_push),
        .data_i  ({emit_id_i, emit_excl_i, emit_addr_i}),
        .full_o  (q_full),
        .pop_i   (q_valid && m_arready_i),
        .valid_o (q_valid),
        .data_o  ({q_id, q_excl, q_addr})
    );

    wire [ID_W-1:0] arid   = q_valid ? q_id : emit_id_i;
    wire [PA_W-1:3] araddr = q_valid ? q_addr : emit_addr_i;
    wire            arlock = q_valid ? q_excl : emit_excl_i;

    assign m_arvalid_o = q_valid || emit_i;
    assign m_arid_o    = arid & {ID_W{m_arvalid_o}};
    assign m_araddr_o  = {araddr & {(PA_W-3){m_arvalid_o}}, 3'd0};
    assign m_arlock_o  = arlock && m_arvalid_o;
    assign m_arlen_o   = 8'd0;
    assign m_arsize_o  = 3'd3;
    assign m_arburst_o = 2'b01;
    assign m_arcache_o = 4'b0011;
    assign m_arprot_o  = 3'b001;

    // ------------------------------------------------------------------ writes
    wire            w_valid, w_full;
    wire [ID_W-1:0] w_id;
    assign aw_ctx_o = w_id[CTX_W-1:0];
    reg  aw_done_q, w_done_q;
    wire aw_fire = m_awvalid_o && m_awready_i;
    wire w_fire  = m_wvalid_o && m_wready_i;
    wire sent    = w_valid && (aw_done_q || aw_fire) && (w_done_q || w_fire);

    dmt_fifo #(.W(ID_W), .DEPTH(CTX_N)) u_wq (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .push_i  (update_i),
        .data_i  (update_id_i),
        .full_o  (w_full),
        .pop_i   (sent),
        .valid_o (w_valid),
        .data_o  (w_id)
    );

    always @(posedge clk_i) begin
        if (rst_i || sent) begin
            aw_done_q <= 1'b0;
            w_done_q  <= 1'b0;
        end else begin
            aw_done_q <= aw_done_q || aw_fire;
            w_done_q  <= w_done_q || w_fire;
        end
    end

    assign m_awvalid_o = w_valid && !aw_done_q;
    assign m_awid_o    = w_id & {ID_W{m_awvalid_o}};
    assign m_awaddr_o  = {aw_addr_i & {(PA_W-3){m_awvalid_o}}, 3'd0};
    assign m_awlen_o   = 8'd0;
    assign m_awsize_o  = 3'd3;
    assign m_awburst_o = 2'b01;
    assign m_awlock_o  = 1'b1;
    assign m_awcache_o = 4'b0011;
    assign m_awprot_o  = 3'b001;

    assign m_wvalid_o  = w_valid && !w_done_q;
    assign m_wdata_o   = w_data_i & {64{m_wvalid_o}};
    assign m_wstrb_o   = 8'hFF;
    assign m_wlast_o   = 1'b1;

    // ----------------------------------------------------------------- answers
    wire b_full;

    dmt_fifo #(.W(CTX_W + 2), .DEPTH(CTX_N)) u_bq (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .push_i  (m_bvalid_i),
        .data_i  ({m_bid_i[CTX_W-1:0], m_bresp_i}),
        .full_o  (b_full),
        .pop_i   (done_pop_i),
        .valid_o (done_valid_o),
        .data_o  ({done_ctx_o, done_resp_o})
    );
    assign m_bready_o = 1'b1;

    // The queues are as deep as what can be outstanding.
    // A context has one write at a time, whatever the stage.
    wire unused = &{1'b0, q_full, w_full, b_full, m_bid_i};

endmodule

`default_nettype wire
