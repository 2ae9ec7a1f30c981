// SPDX-License-Identifier: Apache-2.0
// dmt_crc32: CRC-32 as Ethernet and zlib have it (polynomial 04C11DB7, bits
// reflected, all ones before and complemented after), one bit a cycle.
//
// A byte given with valid_i is in crc_o nine cycles later; a byte on a line
// takes at least forty. intact_o: what went in was some data and its CRC, low
// byte first.
`default_nettype none

module dmt_crc32 (
    input  wire        clk_i,
    input  wire        clear_i,
    input  wire        valid_i,       // not while busy_o
    input  wire [7:0]  data_i,
    output wire        busy_o,
    output wire [31:0] crc_o,
    output wire        intact_o
);

    reg [31:0] crc_q;
    reg [7:0]  data_q;
    reg [3:0]  left_q;

    assign busy_o   = left_q != 4'd0;
    assign crc_o    = ~crc_q;
    assign intact_o = crc_q == 32'hdebb20e3;

    always @(posedge clk_i) begin
        if (clear_i) begin
            crc_q  <= 32'hffffffff;
            left_q <= 4'd0;
        end else if (busy_o) begin
            crc_q  <= {1'b0, crc_q[31:1]} ^ ((crc_q[0] ^ data_q[0]) ? 32'hedb88320 : 32'd0);
            data_q <= {1'b0, data_q[7:1]};
            left_q <= left_q - 1'b1;
        end else if (valid_i) begin
            data_q <= data_i;
            left_q <= 4'd8;
        end
    end

endmodule

`default_nettype wire
