// SPDX-License-Identifier: Apache-2.0
// dmt_ahead: what launch is loaded with: the address of an entry, or an address
// that is to be matched.
//
// PIPE = 0: wires; what comes in in a cycle goes out in the same cycle.
// PIPE = 1: a register, so that the match and the choice of what to match are a
// cycle each. An entry's address passes it by when it is empty and launch can be
// loaded; an address that is to be matched always waits here for a cycle.
// Handshake: in_valid_i only when accept_o is high; out_valid_o only when open_i
// (launch can be loaded) is. accept_o is a function of registers.
`default_nettype none
`include "dmt_walk.vh"

module dmt_ahead #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // width of a context number
    parameter ID_W = 3,
    // 1: a register before the match
    parameter PIPE = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,

    input  wire             in_valid_i,
    input  wire             in_match_i,    // to be matched, else an entry's address
    input  wire [ID_W-1:0]  in_ctx_i,
    input  wire             in_excl_i,
    input  wire [`DMT_WALK_W-1:0] in_walk_i,
    input  wire [1:0]       in_frame_i,    // to be matched: by whom, what, with which sizes
    input  wire [63:12]     in_addr_i,
    input  wire [2:0]       in_sizes_i,
    input  wire             in_restart_i,
    input  wire [PA_W-1:3]  in_read_i,     // the entry
    input  wire [2:0]       in_level_i,
    input  wire [3:0]       in_rights_i,
    input  wire [5:0]       in_index_i,
    output wire             accept_o,

    input  wire             open_i,
    output wire             out_valid_o,
    output wire             out_match_o,
    output wire [ID_W-1:0]  out_ctx_o,
    output wire             out_excl_o,
    output wire [`DMT_WALK_W-1:0] out_walk_o,
    output wire [1:0]       out_frame_o,
    output wire [63:12]     out_addr_o,
    output wire [2:0]       out_sizes_o,
    output wire             out_restart_o,
    output wire [PA_W-1:3]  out_read_o,
    output wire [2:0]       out_level_o,
    output wire [3:0]       out_rights_o,
    output wire [5:0]       out_index_o
);

    // what only a match needs, and what only an entry needs
    localparam M_W = 2 + 52 + 3 + 1;
    localparam E_W = 1 + (PA_W - 3) + 3 + 4 + 6;

    wire [M_W-1:0] in_m  = {in_frame_i, in_addr_i, in_sizes_i, in_restart_i};
    wire [E_W-1:0] in_e  = {in_excl_i, in_read_i, in_level_i, in_rights_i, in_index_i};
    wire [M_W-1:0] out_m;
    wire [E_W-1:0] out_e;
    assign {out_frame_o, out_addr_o, out_sizes_o, out_restart_o} = out_m;
    assign {out_excl_o, out_read_o, out_level_o, out_rights_o, out_index_o} = out_e;

    generate
        if (PIPE != 0) begin : g_register
            reg                  valid_q, match_q;
            reg [ID_W-1:0]       ctx_q;
            reg [`DMT_WALK_W-1:0] walk_q;
            reg [M_W-1:0]        m_q;
            reg [E_W-1:0]        e_q;
            wire                 pass = !valid_q && open_i && !in_match_i;

            assign accept_o    = !valid_q || open_i;
            assign out_valid_o = valid_q ? open_i : in_valid_i && pass;
            assign out_match_o = valid_q && match_q;
            assign out_ctx_o   = valid_q ? ctx_q : in_ctx_i;
            assign out_walk_o  = valid_q ? walk_q : in_walk_i;
            assign out_m       = m_q;
            assign out_e       = valid_q ? e_q : in_e;

            always @(posedge clk_i) begin
                if (rst_i)
                    valid_q <= 1'b0;
                else
                    valid_q <= (in_valid_i && !pass) || (valid_q && !open_i);
            end
            always @(posedge clk_i) begin
                if (accept_o) begin
                    match_q <= in_match_i;
                    ctx_q   <= in_ctx_i;
                    walk_q  <= in_walk_i;
                    m_q     <= in_m;
                    e_q     <= in_e;
                end
            end
        end else begin : g_wires
            assign accept_o    = open_i;
            assign out_valid_o = in_valid_i;
            assign out_match_o = in_valid_i && in_match_i;
            assign out_ctx_o   = in_ctx_i;
            assign out_walk_o  = in_walk_i;
            assign out_m       = in_m;
            assign out_e       = in_e;
            wire unused = &{1'b0, clk_i, rst_i};
        end
    endgenerate

endmodule

`default_nettype wire
