// SPDX-License-Identifier: Apache-2.0
// dmt_roots: where roots lie.
//
// The root of a stage above stage 0 is an address of the stage below, the same
// for every walk. So what the TEA registers of that stage say to it is looked up
// once, after each register write, while no walk is in flight, and a walk from
// the root costs no clock for it: root 1 (of stage 1) in set 0, then root 2 in
// set 1. Latency: settle_o is 2 in the cycle after start_i, then 1, then 0; the
// matcher serves this room meanwhile. Requests wait until it is 0.
`default_nettype none

module dmt_roots #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    input  wire             clk_i,
    input  wire             rst_i,

    input  wire             start_i,
    output wire             busy_o,
    input  wire [PA_W-1:12] root1_i,
    input  wire [PA_W-1:12] root2_i,

    // matcher
    output wire [1:0]       set_o,
    output wire [51:0]      vpn_o,
    input  wire [29:0]      found_i,       // {index, unusable, plain, multi, hit}

    output wire [29:0]      root1_hits_o,
    output wire [29:0]      root2_hits_o
);

    reg [1:0]  settle_q;
    reg [29:0] root1_q, root2_q;

    wire at_1 = settle_q == 2'd2;
    wire at_2 = settle_q == 2'd1;

    assign busy_o = settle_q != 2'd0;
    assign set_o  = {1'b0, at_2};
    assign vpn_o  = {{(64-PA_W){1'b0}}, at_2 ? root2_i : root1_i};
    assign root1_hits_o = root1_q;
    assign root2_hits_o = root2_q;

    always @(posedge clk_i) begin
        if (rst_i)
            settle_q <= 2'd0;
        else if (start_i)
            settle_q <= 2'd2;
        else if (busy_o)
            settle_q <= settle_q - 2'd1;
    end

    always @(posedge clk_i) begin
        if (rst_i) begin
            root1_q <= 30'd0;
            root2_q <= 30'd0;
        end else begin
            if (at_1)
                root1_q <= found_i;
            if (at_2)
                root2_q <= found_i;
        end
    end

endmodule

`default_nettype wire
