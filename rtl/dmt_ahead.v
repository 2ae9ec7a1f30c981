// SPDX-License-Identifier: Apache-2.0
// dmt_ahead: what launch is loaded with: the address of an entry, or an address
// that is to be matched.
//
// PIPE = 0: wires; what comes in in a cycle goes out in the same cycle.
// PIPE = 1: two registers, so that the choice of what to match, its comparison with
// registers and caches, and the routing by what they say are a cycle each. An
// entry's address goes to the second at once when the first is empty and the second
// can take it.
// Handshake: in_valid_i only when accept_o is high; out_valid_o only when open_i
// (launch can be loaded) is. accept_o is a function of registers.
`default_nettype none
`include "dmt_walk.vh"

module dmt_ahead #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // width of a context number
    parameter CTX_W = 3,
    // bits that the comparison yields
    parameter FOUND_W = 8,
    // 1: registers before the comparison and after it
    parameter PIPE = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,

    input  wire             in_valid_i,
    input  wire             in_match_i,    // to be matched, else an entry's address
    input  wire [CTX_W-1:0] in_ctx_i,
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

    // comparison
    output wire [1:0]       frame_o,
    output wire [63:12]     addr_o,
    input  wire [FOUND_W-1:0] found_i,

    input  wire             open_i,
    output wire             out_valid_o,
    output wire             out_match_o,
    output wire [CTX_W-1:0] out_ctx_o,
    output wire             out_excl_o,
    output wire [`DMT_WALK_W-1:0] out_walk_o,
    output wire [1:0]       out_frame_o,
    output wire [63:12]     out_addr_o,
    output wire [2:0]       out_sizes_o,
    output wire             out_restart_o,
    output wire [PA_W-1:3]  out_read_o,
    output wire [2:0]       out_level_o,
    output wire [3:0]       out_rights_o,
    output wire [5:0]       out_index_o,
    output wire [FOUND_W-1:0] out_found_o
);

    localparam P_W = 1 + CTX_W + `DMT_WALK_W + 2 + 52 + 3 + 1 + 1 + (PA_W - 3) + 3 + 4 + 6;
    wire [P_W-1:0] in_p = {in_frame_i, in_addr_i, in_match_i, in_ctx_i, in_walk_i, in_sizes_i, in_restart_i,
                           in_excl_i, in_read_i, in_level_i, in_rights_i, in_index_i};
    wire [P_W-1:0] out_p;
    assign {out_frame_o, out_addr_o, out_match_o, out_ctx_o, out_walk_o, out_sizes_o, out_restart_o,
            out_excl_o, out_read_o, out_level_o, out_rights_o, out_index_o} = out_p;

    generate
        if (PIPE != 0) begin : g_registers
            reg                first_valid_q, second_valid_q;
            reg [P_W-1:0]      first_q, second_q;
            reg [FOUND_W-1:0]  found_q;
            wire               second = !second_valid_q || open_i;  // can be loaded
            wire               past   = !first_valid_q && second && !in_match_i;

            assign accept_o    = !first_valid_q || second;
            assign out_valid_o = second_valid_q && open_i;
            assign out_p       = second_q;
            assign out_found_o = found_q;
            assign {frame_o, addr_o} = first_q[P_W-1 -: 54];

            always @(posedge clk_i) begin
                if (rst_i) begin
                    first_valid_q  <= 1'b0;
                    second_valid_q <= 1'b0;
                end else begin
                    first_valid_q  <= (in_valid_i && !past) || (first_valid_q && !second);
                    second_valid_q <= first_valid_q || (in_valid_i && past) || (second_valid_q && !open_i);
                end
            end
            always @(posedge clk_i) begin
                if (accept_o)
                    first_q <= in_p;
                if (second) begin
                    second_q <= first_valid_q ? first_q : in_p;
                    found_q  <= found_i;
                end
            end
        end else begin : g_wires
            assign accept_o    = open_i;
            assign out_valid_o = in_valid_i;
            assign out_p       = in_p;
            assign out_found_o = found_i;
            assign frame_o     = in_frame_i;
            assign addr_o      = in_addr_i;
            wire unused = &{1'b0, clk_i, rst_i};
        end
    endgenerate

endmodule

`default_nettype wire
