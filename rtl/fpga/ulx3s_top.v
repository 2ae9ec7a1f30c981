// SPDX-License-Identifier: Apache-2.0
// ulx3s_top: the board core on a ULX3S with an ECP5 85F: 25 MHz in, FTDI FT231X
// as UART. The configuration is `pipelined` of rtl/configs.json with 384 KiB of
// memory in blocks of 512 bytes.
`default_nettype none
`include "dmt_board.vh"

module ulx3s_top #(
    // clock = 25 MHz / CLKI_DIV * CLKFB_DIV, times CLKOP_DIV from 400 to 800 MHz: 60 MHz
    parameter CLKI_DIV = 5,
    parameter CLKFB_DIV = 12,
    parameter CLKOP_DIV = 10,
    parameter CLK_KHZ = 60000,
    // 3 Mbaud
    parameter DIVISOR = 20,
    parameter [31:0] BUILD = 32'd0
) (
    input  wire       clk_25mhz,
    input  wire [1:0] btn,             // 0: power button, low when pressed; 1: fire 1
    input  wire       ftdi_txd,        // names as seen from the FTDI chip
    output wire       ftdi_rxd,
    output wire [7:0] led,
    output wire       wifi_gpio0       // high keeps the ESP32 from taking the board over
);

    wire clk, locked;
    EHXPLLL #(
        .CLKI_DIV(CLKI_DIV),
        .CLKFB_DIV(CLKFB_DIV),
        .CLKOP_DIV(CLKOP_DIV),
        .CLKOP_ENABLE("ENABLED"),
        .CLKOP_CPHASE(CLKOP_DIV / 2 - 1),
        .CLKOP_FPHASE(0),
        .FEEDBK_PATH("CLKOP"),
        .STDBY_ENABLE("DISABLED"),
        .DPHASE_SOURCE("DISABLED"),
        .PLLRST_ENA("DISABLED"),
        .INTFB_WAKE("DISABLED"),
        .OUTDIVIDER_MUXA("DIVA")
    ) u_pll (
        .CLKI         (clk_25mhz),
        .CLKFB        (clk),
        .CLKOP        (clk),
        .LOCK         (locked),
        .RST          (1'b0),
        .STDBY        (1'b0),
        .PHASESEL0    (1'b0),
        .PHASESEL1    (1'b0),
        .PHASEDIR     (1'b1),
        .PHASESTEP    (1'b1),
        .PHASELOADREG (1'b1),
        .PLLWAKESYNC  (1'b0),
        .ENCLKOP      (1'b0)
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
        .rxd_i     (ftdi_txd),
        .txd_o     (ftdi_rxd),
        .state_o   (state)
    );

    assign led = {beat_q[24], !ftdi_txd, !ftdi_rxd, state};
    assign wifi_gpio0 = 1'b1;

endmodule

`default_nettype wire
