// SPDX-License-Identifier: Apache-2.0
// dmt_counters: one counter an event, all of one width.
//
// Latency: an event in one cycle is in the count two cycles later, as events
// come at the end of long paths. A clear wins over an event of the same cycle
// and of the one before. With CNT_W = 0 every count reads zero.
`default_nettype none

module dmt_counters #(
    // counters
    parameter N = 15,
    // width of each, 0..63
    parameter CNT_W = 48
) (
    input  wire            clk_i,
    input  wire            rst_i,
    input  wire [N-1:0]    event_i,
    input  wire            clear_i,
    output wire [64*N-1:0] count_o
);

    genvar g;
    generate
        for (g = 0; g < N; g = g + 1) begin : g_counter
            if (CNT_W != 0) begin : g_built
                reg [CNT_W-1:0] count_q;
                reg             event_q;
                always @(posedge clk_i) begin
                    event_q <= event_i[g] && !rst_i && !clear_i;
                    if (rst_i || clear_i)
                        count_q <= {CNT_W{1'b0}};
                    else if (event_q)
                        count_q <= count_q + 1'b1;
                end
                assign count_o[64*g +: 64] = {{(64-CNT_W){1'b0}}, count_q};
            end else begin : g_none
                assign count_o[64*g +: 64] = 64'd0;
            end
        end
        if (CNT_W == 0) begin : g_unused
            wire unused = &{1'b0, clk_i, rst_i, event_i, clear_i};
        end
    endgenerate

endmodule

`default_nettype wire
