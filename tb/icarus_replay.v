// SPDX-License-Identifier: Apache-2.0
// Plays the inputs that tb/record.c wrote into dmt_mmu on another simulator
// and prints a hash over every output pin of every clock, the number of clocks
// and of answers. Inputs change at the falling edge; outputs, which are
// functions of registers, are read just before the rising one.
//   iverilog -DPINS='"run.rec.vh"' -Pbench.PA_W=52 ... ; vvp a.out +record=run.rec
`timescale 1ns / 1ns
module bench;
    parameter PA_W = 52;
    parameter CTX_N = 8;
    parameter TEA_N = 16;
    parameter SETS = 3;
    parameter PWC4_N = 2;
    parameter PWC3_N = 4;
    parameter PWC2_N = 32;
    parameter NPWC4_N = 2;
    parameter NPWC3_N = 4;
    parameter NPWC2_N = 32;
    parameter TAG_W = 8;
    parameter CNT_W = 48;
    parameter PIPE = 0;
    localparam ID_W = (CTX_N > 1 ? $clog2(CTX_N) : 1) + $clog2(SETS);

    reg clk = 1'b1;
    reg rst = 1'b0;
`define PINS_DECLARE
`include `PINS

    dmt_mmu #(
        .PA_W(PA_W), .CTX_N(CTX_N), .TEA_N(TEA_N), .SETS(SETS), .PWC4_N(PWC4_N), .PWC3_N(PWC3_N),
        .PWC2_N(PWC2_N), .NPWC4_N(NPWC4_N), .NPWC3_N(NPWC3_N), .NPWC2_N(NPWC2_N), .TAG_W(TAG_W), .CNT_W(CNT_W),
        .PIPE(PIPE)
    ) dut (
`define PINS_CONNECT
`include `PINS
        .clk_i(clk),
        .rst_i(rst)
    );

    reg [LINE_W-1:0] line;
    reg [63:0] hash = 64'hcbf29ce484222325;
    reg [8*1024-1:0] name;
    integer file, cycles, answers;

    initial begin
        cycles = 0;
        answers = 0;
        if (!$value$plusargs("record=%s", name)) begin
            $display("error: +record=FILE is missing");
            $finish;
        end
        file = $fopen(name, "r");
        if (file == 0) begin
            $display("error: the record cannot be read");
            $finish;
        end
        while ($fscanf(file, "%h\n", line) == 1) begin
            clk = 1'b0;
`define PINS_SPLIT
`include `PINS
            #5;
            if (cycles != 0) begin
`define PINS_HASH
`include `PINS
                if (!rst && pin_resp_valid[0] && pin_resp_ready)
                    answers = answers + 1;
            end
            clk = 1'b1;
            #5 cycles = cycles + 1;
        end
        $display("hash %h cycles %0d answers %0d", hash, cycles, answers);
        $finish;
    end
endmodule
