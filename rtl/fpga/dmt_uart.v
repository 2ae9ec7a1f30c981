// SPDX-License-Identifier: Apache-2.0
// dmt_uart: 8 data bits, no parity, one stop bit, both directions.
//
// Receiver: the line is sampled three times around the middle of each bit and
// the majority counts, so one bad sample does no harm. A start bit that is no
// longer low in its middle, and a byte without a stop bit, are dropped; frames
// above notice. rx_valid_o is high for one cycle a byte.
// Transmitter: a byte is taken when tx_valid_i and tx_ready_o; bytes follow each
// other without a gap.
`default_nettype none

module dmt_uart #(
    // clocks a bit, 6..4096; below 8 there is no room for clocks that differ
    parameter DIVISOR = 16
) (
    input  wire       clk_i,
    input  wire       rst_i,

    input  wire       rxd_i,
    output wire       txd_o,

    output reg        rx_valid_o,
    output reg  [7:0] rx_data_o,

    input  wire       tx_valid_i,
    output wire       tx_ready_o,
    input  wire [7:0] tx_data_i
);

    localparam W = $clog2(DIVISOR);
    localparam [31:0] LAST_32 = DIVISOR - 1;
    localparam [31:0] MID_32  = DIVISOR / 2;
    localparam [W-1:0] LAST = LAST_32[W-1:0];
    localparam [W-1:0] MID  = MID_32[W-1:0];

    // ------------------------------------------------------------------ receiver
    reg [1:0]   sync_q;               // the pin is asynchronous
    reg [2:0]   sample_q;
    reg [W-1:0] rx_tick_q;
    reg [3:0]   rx_bit_q;             // 0 start, 1..8 data, 9 stop
    reg         rx_busy_q, judge_q;
    reg [7:0]   rx_shift_q;
    wire        vote = (sample_q[0] && sample_q[1]) || (sample_q[0] && sample_q[2])
                    || (sample_q[1] && sample_q[2]);

    always @(posedge clk_i) begin
        sync_q   <= {sync_q[0], rxd_i};
        sample_q <= {sample_q[1:0], sync_q[1]};
    end

    always @(posedge clk_i) begin
        rx_valid_o <= 1'b0;
        judge_q    <= 1'b0;
        if (rst_i) begin
            rx_busy_q <= 1'b0;
            rx_tick_q <= {W{1'b0}};
            rx_bit_q  <= 4'd0;
        end else if (!rx_busy_q) begin
            rx_tick_q <= {W{1'b0}};
            rx_bit_q  <= 4'd0;
            // an edge, not a level: a line that stays low is no row of bytes
            rx_busy_q <= sample_q[0] && !sync_q[1];
        end else begin
            rx_tick_q <= (rx_tick_q == LAST) ? {W{1'b0}} : rx_tick_q + 1'b1;
            judge_q   <= rx_tick_q == MID;
            if (judge_q) begin
                rx_bit_q <= rx_bit_q + 1'b1;
                if (rx_bit_q == 4'd0) begin
                    if (vote)
                        rx_busy_q <= 1'b0;
                end else if (rx_bit_q == 4'd9) begin
                    rx_busy_q  <= 1'b0;
                    rx_valid_o <= vote;
                    rx_data_o  <= rx_shift_q;
                end else begin
                    rx_shift_q <= {vote, rx_shift_q[7:1]};
                end
            end
        end
    end

    // --------------------------------------------------------------- transmitter
    reg [8:0]   tx_shift_q;           // what follows the bit on the line; ones behind it
    reg [3:0]   tx_left_q;            // bits still to start, the stop bit included
    reg [W-1:0] tx_tick_q;
    reg         txd_q, tx_last_q;

    assign txd_o      = txd_q;
    assign tx_ready_o = tx_left_q == 4'd0 && tx_last_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            txd_q     <= 1'b1;
            tx_left_q <= 4'd0;
            tx_last_q <= 1'b1;
            tx_tick_q <= {W{1'b0}};
        end else if (tx_ready_o) begin
            if (tx_valid_i) begin
                tx_shift_q <= {1'b1, tx_data_i};
                tx_left_q  <= 4'd9;
                txd_q      <= 1'b0;
                tx_tick_q  <= {W{1'b0}};
                tx_last_q  <= 1'b0;
            end
        end else begin
            tx_tick_q <= tx_last_q ? {W{1'b0}} : tx_tick_q + 1'b1;
            // the last cycle of the bit on the line; the stop bit's is the one before
            // the next start bit
            tx_last_q <= tx_tick_q == LAST - 1'b1;
            if (tx_last_q) begin
                txd_q      <= tx_shift_q[0];
                tx_shift_q <= {1'b1, tx_shift_q[8:1]};
                tx_left_q  <= tx_left_q - 1'b1;
            end
        end
    end

endmodule

`default_nettype wire
