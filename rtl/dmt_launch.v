// SPDX-License-Identifier: Apache-2.0
// dmt_launch: the one place where read addresses leave for the PTE port.
//
// Holds one walk that is about to read: either one entry address that is known
// (walk, re-read), or up to three TEA registers whose entry addresses are
// computed here, one a cycle, 1G first, then 2M, then 4K. Emits one address
// every cycle and never waits, so it can be loaded whenever open_o is high.
// Or it holds a refusal until that becomes an answer (done_i), or, for one
// cycle, a chain: a register whose entry address is computed here and goes
// back to be matched.
// Latency: loaded in one cycle, first address in the next; with PIPE = 1 in the one
// after.
`default_nettype none
`include "dmt_regs.vh"
`include "dmt_walk.vh"

module dmt_launch #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // width of a context number
    parameter CTX_W = 3,
    // 1: a register in the middle of computing an entry's address
    parameter PIPE = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // load
    input  wire             load_i,
    input  wire [CTX_W-1:0] ctx_i,
    input  wire             excl_i,
    input  wire             match_i,       // addresses come from TEA registers
    input  wire             chain_i,
    input  wire             refuse_i,
    input  wire             refuse_gtea_i,
    input  wire [1:0]       frame_i,       // whose entry it is
    input  wire [1:0]       enter_i,       // entering stage
    input  wire [1:0]       set_i,
    input  wire [2:0]       sizes_i,       // {1G, 2M, 4K}, with match_i
    input  wire [5:0]       index_1g_i,
    input  wire [5:0]       index_2m_i,
    input  wire [5:0]       index_4k_i,
    input  wire [51:0]      vpn_i,
    input  wire [PA_W-1:3]  addr_i,        // the address, without match_i
    input  wire [2:0]       level_i,
    input  wire [3:0]       rights_i,
    input  wire [5:0]       index_i,
    output wire             open_o,

    // a refusal, a chain
    output wire             refuse_o,
    output wire             refuse_gtea_o,
    output wire             chain_o,
    input  wire             done_i,        // the refusal has become an answer

    // TEA register file, address cycle; with PIPE = 1 the answer comes in the next
    output wire [1:0]       sel_set_o,
    output wire [5:0]       sel_index_o,
    output wire [1:0]       sel_sz_o,
    output wire [51:0]      sel_vpn_o,
    input  wire [PA_W-1:3]  sel_entry_i,
    input  wire [2:0]       sel_allow_i,

    // emission
    output wire             emit_o,
    output wire [CTX_W-1:0] ctx_o,
    output wire [1:0]       stage_o,       // whose table the entry is in
    output wire             excl_o,
    output wire [1:0]       slot_o,        // number of this read in its launch
    output wire [PA_W-1:3]  addr_o,
    output wire [2:0]       level_o,
    output wire [3:0]       rights_o,
    output wire [5:0]       index_o
);

    reg             valid_q;
    reg [CTX_W-1:0] ctx_q;
    reg             excl_q, match_q, chain_q, refuse_q, gtea_q;
    reg [1:0]       frame_q;
    reg [2:0]       sizes_q;               // still to be emitted
    reg [1:0]       slot_q, set_q;
    reg [5:0]       index_1g_q, index_2m_q, index_4k_q;
    reg [51:0]      vpn_q;
    reg [PA_W-1:3]  addr_q;
    reg [2:0]       level_q;
    reg [3:0]       rights_q;

    wire [2:0] now  = sizes_q[2] ? 3'b100 : sizes_q[1] ? 3'b010 : 3'b001;
    wire [2:0] left = sizes_q & ~now;
    wire       more = match_q && left != 3'd0;

    // With PIPE = 1 a refusal leaves at once: dmt_fetch has a place for it.
    wire       stay   = (PIPE != 0) ? more && !refuse_q : more || refuse_q;
    assign open_o = !(valid_q && stay);

    assign sel_set_o   = set_q;
    assign sel_index_o = sizes_q[2] ? index_1g_q : sizes_q[1] ? index_2m_q : index_4k_q;
    assign sel_sz_o    = sizes_q[2] ? `DMT_SIZE_1G : sizes_q[1] ? `DMT_SIZE_2M : `DMT_SIZE_4K;
    assign sel_vpn_o   = vpn_q;

    // ---------------------------------------------------------------- emission
    // The registers' address cycle is this one, or with PIPE = 1 the next.
    localparam E_W = 3 + 1 + CTX_W + 1 + 2 + 1 + 2 + (PA_W - 3) + 3 + 4 + 6;
    wire            held = valid_q && !refuse_q && !chain_q;
    wire [2:0]      level = match_q ? {1'b0, sel_sz_o} + 3'd1 : level_q;
    wire [5:0]      index = match_q ? sel_index_o : index_4k_q;
    wire [E_W-1:0]  now_e = {held, valid_q && refuse_q, valid_q && chain_q, gtea_q, ctx_q, excl_q, slot_q, match_q,
                             frame_q, addr_q, level, rights_q, index};
    wire [E_W-1:0]  out_e;
    generate
        if (PIPE != 0) begin : g_register
            reg [E_W-1:0] e_q;
            always @(posedge clk_i)
                e_q <= {now_e[E_W-1 -: 3] & {3{!rst_i}}, now_e[E_W-4:0]};
            assign out_e = e_q;
        end else begin : g_wires
            assign out_e = now_e;
        end
    endgenerate
    wire            match_e;
    wire [1:0]      frame_e;
    wire            entering_e = frame_e == `DMT_FRAME_V;
    wire [PA_W-1:3] addr_e;
    wire [3:0]      rights_e;
    assign {emit_o, refuse_o, chain_o, refuse_gtea_o, ctx_o, excl_o, slot_o, match_e,
            frame_e, addr_e, level_o, rights_e, index_o} = out_e;
    assign stage_o  = entering_e ? enter_i : {1'b0, frame_e == `DMT_FRAME_S1};
    assign addr_o   = match_e ? sel_entry_i : addr_e;
    // allow bits as rights: {X, X, U, W} of a second stage, {0, X, U, W} else
    assign rights_o = match_e ? {sel_allow_i[2] && !entering_e, sel_allow_i} : rights_e;

    always @(posedge clk_i) begin
        if (rst_i)
            valid_q <= 1'b0;
        else
            valid_q <= load_i || (valid_q && stay && !(refuse_q && done_i));
    end

    always @(posedge clk_i) begin
        if (load_i) begin
            ctx_q       <= ctx_i;
            excl_q      <= excl_i;
            match_q     <= match_i;
            chain_q     <= chain_i;
            refuse_q    <= refuse_i;
            gtea_q      <= refuse_gtea_i;
            frame_q     <= frame_i;
            set_q       <= set_i;
            sizes_q     <= sizes_i;
            slot_q      <= 2'd0;
            index_1g_q  <= index_1g_i;
            index_2m_q  <= index_2m_i;
            index_4k_q  <= match_i ? index_4k_i : index_i;
            vpn_q       <= vpn_i;
            addr_q      <= addr_i;
            level_q     <= level_i;
            rights_q    <= rights_i;
        end else if (!refuse_q) begin
            sizes_q     <= left;
            slot_q      <= slot_q + 2'd1;
        end
    end

endmodule

`default_nettype wire
