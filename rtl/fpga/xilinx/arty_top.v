// SPDX-License-Identifier: Apache-2.0
// arty_top: the board core on a Digilent Arty A7-100T: 100 MHz in, FTDI FT2232H as
// UART. The configuration is that of ulx3s_top.
`default_nettype none
`include "dmt_board.vh"

module arty_top #(
    // clock = 100 MHz * MULT / DIVIDE, 100 MHz * MULT from 800 to 1600 MHz: 60 MHz
    parameter MULT = 9,
    parameter DIVIDE = 15,
    parameter CLK_KHZ = 60000,
    // 3 Mbaud
    parameter DIVISOR = 20,
    parameter [31:0] BUILD = 32'd0
) (
    input  wire       clk_100mhz_i,
    input  wire       rst_ni,
    input  wire       rxd_i,
    output wire       txd_o,
    output wire [3:0] led_o
);

    wire clk, clk_out, feedback, locked;
    PLLE2_BASE #(
        .CLKFBOUT_MULT(MULT),
        .CLKOUT0_DIVIDE(DIVIDE),
        .CLKIN1_PERIOD(10.0)
    ) u_pll (
        .CLKIN1   (clk_100mhz_i),
        .CLKFBIN  (feedback),
        .CLKFBOUT (feedback),
        .CLKOUT0  (clk_out),
        .LOCKED   (locked),
        .RST      (1'b0),
        .PWRDWN   (1'b0)
    );
    BUFG u_clk (.I(clk_out), .O(clk));

    // Reset until the PLL has locked and the button is up, and some clocks longer.
    reg [1:0] hold_q = 2'b11;
    reg [7:0] up_q = 8'd0;
    reg       rst_q = 1'b1;
    always @(posedge clk) begin
        hold_q <= {hold_q[0], !rst_ni || !locked};
        if (hold_q[1])
            up_q <= 8'd0;
        else if (!up_q[7])
            up_q <= up_q + 1'b1;
        rst_q <= !up_q[7];
    end

    reg [24:0] beat_q = 25'd0;
    always @(posedge clk) beat_q <= beat_q + 1'b1;

    wire [4:0] state;
    dmt_board #(
        .PA_W(52), .CTX_N(8), .TEA_N(16), .SETS(3), .PWC4_N(2), .PWC3_N(4), .PWC2_N(32),
        .NPWC4_N(2), .NPWC3_N(4), .NPWC2_N(32), .TAG_W(8), .CNT_W(48), .PIPE(1),
        .CLK_KHZ(CLK_KHZ), .DIVISOR(DIVISOR),
        .RX_W(12),
        .TX_W(12),
        .BLOCK_W(9),
        .SLOTS(768),
        .WAYS(4),
        .SET_W(9),
        .LATENCY(6),
        .DEPTH(9),
        .TRACE(1)
    ) u_board (
        .clk_i     (clk),
        .rst_i     (rst_q),
        .version_i (`DMT_BOARD_VERSION),
        .build_i   (BUILD),
        .rxd_i     (rxd_i),
        .txd_o     (txd_o),
        .state_o   (state)
    );

    assign led_o = {beat_q[24], !rxd_i, state[1:0]};
    wire unused = &{1'b0, state[4:2]};

endmodule

`default_nettype wire
