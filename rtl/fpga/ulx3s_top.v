// SPDX-License-Identifier: Apache-2.0
// ulx3s_top: the board core on a ULX3S with an ECP5 85F: 25 MHz in, FTDI FT231X
// as UART. The configuration is `pipelined` of rtl/configs.json with 128 KiB of
// memory in blocks of 512 bytes: more block RAM leaves the router no way through.
`default_nettype none
`include "dmt_board.vh"

module ulx3s_top #(
    // clock = 25 MHz * MULT / DIVIDE, MULT from 16 to 32: 24 MHz
    parameter MULT = 24,
    parameter DIVIDE = 25,
    parameter CLK_KHZ = 24000,
    // 3 Mbaud
    parameter DIVISOR = 8,
    parameter [31:0] BUILD = 32'd0
) (
    input  wire       clk_25mhz,
    input  wire [1:0] btn,             // 0: power button, low when pressed; 1: fire 1
    input  wire       ftdi_txd,        // names as seen from the FTDI chip
    output wire       ftdi_rxd,
    output wire [7:0] led,
    output wire       wifi_gpio0       // high keeps the ESP32 from taking the board over
);

    // The oscillator runs at 25 MHz * MULT; CLKOP, again at 25 MHz, is the loop's, CLKOS is the clock.
    wire clk, loop, locked;
    EHXPLLL #(
        .CLKI_DIV(1),
        .CLKFB_DIV(1),
        .CLKOP_DIV(MULT),
        .CLKOP_ENABLE("ENABLED"),
        .CLKOP_CPHASE(MULT / 2 - 1),
        .CLKOP_FPHASE(0),
        .CLKOS_DIV(DIVIDE),
        .CLKOS_ENABLE("ENABLED"),
        .CLKOS_CPHASE(DIVIDE / 2 - 1),
        .CLKOS_FPHASE(0),
        .FEEDBK_PATH("CLKOP"),
        .STDBY_ENABLE("DISABLED"),
        .DPHASE_SOURCE("DISABLED"),
        .PLLRST_ENA("DISABLED"),
        .INTFB_WAKE("DISABLED"),
        .OUTDIVIDER_MUXA("DIVA"),
        .OUTDIVIDER_MUXB("DIVB")
    ) u_pll (
        .CLKI         (clk_25mhz),
        .CLKFB        (loop),
        .CLKOP        (loop),
        .CLKOS        (clk),
        .LOCK         (locked),
        .RST          (1'b0),
        .STDBY        (1'b0),
        .PHASESEL0    (1'b0),
        .PHASESEL1    (1'b0),
        .PHASEDIR     (1'b1),
        .PHASESTEP    (1'b1),
        .PHASELOADREG (1'b1),
        .PLLWAKESYNC  (1'b0),
        .ENCLKOP      (1'b0),
        .ENCLKOS      (1'b0)
    );

    // Reset until the PLL has locked and the button is up, and some clocks longer.
    reg [1:0] hold_q = 2'b11;
    reg [7:0] up_q = 8'd0;
    reg       rst_q = 1'b1;
    always @(posedge clk) begin
        hold_q <= {hold_q[0], !btn[0] || btn[1] || !locked};
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
        .SLOTS(256),
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
        .rxd_i     (ftdi_txd),
        .txd_o     (ftdi_rxd),
        .state_o   (state)
    );

    assign led = {beat_q[24], !ftdi_txd, !ftdi_rxd, state};
    assign wifi_gpio0 = 1'b1;

endmodule

`default_nettype wire
