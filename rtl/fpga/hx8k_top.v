// SPDX-License-Identifier: Apache-2.0
// hx8k_top: the board core on Lattice's iCE40HX-8K breakout board: 12 MHz in,
// FTDI FT2232H as UART. The configuration is `tiny` of rtl/configs.json with
// 8 KiB of memory in blocks of 256 bytes, of which one frame in use needs few.
`default_nettype none
`include "dmt_board.vh"

module hx8k_top #(
    // clock = 12 MHz * (DIVF + 1) / 2^DIVQ, DIVF + 1 from 45 to 88: 24 MHz
    parameter [6:0] DIVF = 7'd63,
    parameter [2:0] DIVQ = 3'd5,
    parameter CLK_KHZ = 24000,
    // 3 Mbaud
    parameter DIVISOR = 8,
    parameter [31:0] BUILD = 32'd0
) (
    input  wire       clk_12mhz_i,
    input  wire       rxd_i,
    output wire       txd_o,
    output wire [7:0] led_o
);

    wire clk, locked;
    SB_PLL40_CORE #(
        .FEEDBACK_PATH("SIMPLE"),
        .DIVR(4'd0),
        .DIVF(DIVF),
        .DIVQ(DIVQ),
        .FILTER_RANGE(3'd1)
    ) u_pll (
        .REFERENCECLK (clk_12mhz_i),
        .PLLOUTGLOBAL (clk),
        .LOCK         (locked),
        .RESETB       (1'b1),
        .BYPASS       (1'b0)
    );

    // Registers are zero after configuration: so many clocks of reset once the PLL has locked.
    reg [7:0] up_q = 8'd0;
    reg       rst_q = 1'b1;
    always @(posedge clk) begin
        if (!locked)
            up_q <= 8'd0;
        else if (!up_q[7])
            up_q <= up_q + 1'b1;
        rst_q <= !up_q[7];
    end

    reg [24:0] beat_q = 25'd0;
    always @(posedge clk) beat_q <= beat_q + 1'b1;

    wire [4:0] state;
    dmt_board #(
        .PA_W(32), .CTX_N(1), .TEA_N(2), .SETS(1), .PWC4_N(0), .PWC3_N(0), .PWC2_N(0),
        .NPWC4_N(0), .NPWC3_N(0), .NPWC2_N(0), .TAG_W(1), .CNT_W(0), .PIPE(0),
        .CLK_KHZ(CLK_KHZ), .DIVISOR(DIVISOR),
        .RX_W(11),
        .TX_W(10),
        .BLOCK_W(8),
        .SLOTS(32),
        .WAYS(2),
        .SET_W(7),
        .LATENCY(6),
        .DEPTH(1),
        .TRACE(0)
    ) u_board (
        .clk_i     (clk),
        .rst_i     (rst_q),
        .version_i (`DMT_BOARD_VERSION),
        .build_i   (BUILD),
        .rxd_i     (rxd_i),
        .txd_o     (txd_o),
        .state_o   (state)
    );

    assign led_o = {beat_q[24], !rxd_i, !txd_o, state};

endmodule

`default_nettype wire
