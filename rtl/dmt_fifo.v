// SPDX-License-Identifier: Apache-2.0
// dmt_fifo: a queue in registers.
//
// Latency: what is pushed in one cycle is at the head (data_o, valid_o) in the
// next when the queue was empty. Handshake: push_i must not come when full_o
// is high; pop_i must not come when valid_o is low. Push and pop in one cycle
// are fine at any fill that allows each.
`default_nettype none

module dmt_fifo #(
    // data width in bits
    parameter W = 8,
    // number of entries, 1 or more
    parameter DEPTH = 4
) (
    input  wire         clk_i,
    input  wire         rst_i,

    input  wire         push_i,
    input  wire [W-1:0] data_i,
    output wire         full_o,

    input  wire         pop_i,
    output wire         valid_o,
    output wire [W-1:0] data_o
);

    localparam PTR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
    localparam CNT_W = $clog2(DEPTH + 1);
    localparam [31:0] LAST_32 = DEPTH - 1;
    localparam [31:0] FULL_32 = DEPTH;
    localparam [PTR_W-1:0] LAST = LAST_32[PTR_W-1:0];
    localparam [CNT_W-1:0] FULL = FULL_32[CNT_W-1:0];

    reg [W-1:0]     mem_q [0:DEPTH-1];
    reg [PTR_W-1:0] head_q, tail_q;
    reg [CNT_W-1:0] count_q;

    assign full_o  = count_q == FULL;
    assign valid_o = count_q != {CNT_W{1'b0}};
    assign data_o  = mem_q[head_q];

    always @(posedge clk_i) begin
        if (push_i)
            mem_q[tail_q] <= data_i;
    end

    always @(posedge clk_i) begin
        if (rst_i) begin
            head_q  <= {PTR_W{1'b0}};
            tail_q  <= {PTR_W{1'b0}};
            count_q <= {CNT_W{1'b0}};
        end else begin
            if (push_i)
                tail_q <= (tail_q == LAST) ? {PTR_W{1'b0}} : tail_q + 1'b1;
            if (pop_i)
                head_q <= (head_q == LAST) ? {PTR_W{1'b0}} : head_q + 1'b1;
            if (push_i && !pop_i)
                count_q <= count_q + 1'b1;
            else if (pop_i && !push_i)
                count_q <= count_q - 1'b1;
        end
    end

endmodule

`default_nettype wire
