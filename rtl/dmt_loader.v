// SPDX-License-Identifier: Apache-2.0
// dmt_loader: resolves gTEA registers: reads the host's table, once.
//
// Started by the CSR block when a register of KIND GTEA has been accepted, or by
// a host command for those of a set; looks at one register a cycle, reads the
// two words of its gTEA's entry through the PTE port (ID 0, no walk is in flight
// meanwhile), and hands base, size and result to the register file. Only the
// host's table base and number of entries make addresses here; a guest chooses
// an index below that number and nothing else. done_o: the last register is
// done in this cycle.
`default_nettype none
`include "dmt_regs.vh"

module dmt_loader #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // TEA registers a set, 4..64
    parameter TEA_N = 16
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // start: one register, or all of a set (with one ID, or any)
    input  wire             start_i,
    input  wire             one_i,
    input  wire             any_i,
    input  wire [1:0]       set_i,
    input  wire [5:0]       index_i,
    input  wire [11:0]      id_i,
    output wire             busy_o,
    output wire             done_o,

    // gTEA table of the set in work
    output wire [1:0]       set_o,
    input  wire [PA_W-1:12] table_i,
    input  wire [12:0]      entries_i,
    input  wire [51:12]     pa_reserved_i, // ones at and above MAXPHYADDR

    // register file
    output wire [5:0]       index_o,
    input  wire             valid_i,
    input  wire [11:0]      reg_id_i,
    output wire             we_o,
    output wire [2:0]       resolution_o,
    output wire [51:0]      base_o,
    output wire [51:0]      pages_o,

    // PTE port
    output wire             emit_o,
    output wire             slot_o,
    output wire [PA_W-1:3]  addr_o,
    input  wire             beat_i,
    input  wire [63:0]      data_i,
    input  wire [1:0]       resp_i
);

    localparam [31:0] LAST_32 = TEA_N - 1;

    reg             busy_q, one_q, any_q;
    reg [1:0]       set_q;
    reg [5:0]       index_q;
    reg [11:0]      id_q;
    reg             second_q;              // the second word's address leaves now
    reg             wait_q;                // words are awaited
    reg             got_q;                 // the first one is here
    reg             error_q;
    reg [63:0]      word_q;

    wire look    = busy_q && !second_q && !wait_q;
    wire wanted  = valid_i && (one_q || any_q || reg_id_i == id_q);
    wire bad_id  = {1'b0, reg_id_i} >= entries_i;
    wire fetch   = look && wanted && !bad_id;
    wire answer  = beat_i && got_q;
    wire settled = (look && !fetch) || answer;
    wire last    = one_q || index_q == LAST_32[5:0];

    assign busy_o  = busy_q;
    assign done_o  = settled && last;
    assign set_o   = set_q;
    assign index_o = index_q;

    assign emit_o  = fetch || second_q;
    assign slot_o  = second_q;
    // 16 bytes an entry; a table is at most 64 KiB
    assign addr_o  = {table_i, 9'd0} + {{(PA_W-16){1'b0}}, reg_id_i, second_q};

    // ------------------------------------------------------------------ result
    wire        error  = error_q || resp_i[1];
    wire [51:0] base   = {12'd0, word_q[51:12]};
    wire [51:0] pages  = data_i[51:0];
    wire [52:0] end_m1 = {1'b0, base} + {1'b0, pages} - 53'd1;
    wire        wide   = pages == 52'd0 || (|end_m1[52:40]) || |(end_m1[39:0] & pa_reserved_i);

    assign we_o = (look && wanted && bad_id) || answer;
    assign resolution_o = !answer     ? `DMT_RESOLUTION_BAD_ID
                        : error       ? `DMT_RESOLUTION_BUS
                        : !word_q[0]  ? `DMT_RESOLUTION_ABSENT
                        : wide        ? `DMT_RESOLUTION_WIDTH
                        :               `DMT_RESOLUTION_OK;
    assign base_o  = base;
    assign pages_o = pages;

    always @(posedge clk_i) begin
        if (rst_i) begin
            busy_q   <= 1'b0;
            second_q <= 1'b0;
            wait_q   <= 1'b0;
            got_q    <= 1'b0;
        end else begin
            busy_q   <= start_i || (busy_q && !done_o);
            second_q <= fetch;
            wait_q   <= second_q || (wait_q && !answer);
            got_q    <= (beat_i && busy_q) ? !got_q : got_q;
        end
    end

    always @(posedge clk_i) begin
        if (start_i) begin
            one_q   <= one_i;
            any_q   <= any_i;
            set_q   <= set_i;
            id_q    <= id_i;
            index_q <= one_i ? index_i : 6'd0;
        end else if (settled)
            index_q <= index_q + 6'd1;
        if (beat_i && !got_q) begin
            word_q  <= data_i;
            error_q <= resp_i[1];
        end
    end

    wire unused = &{1'b0, word_q[63:52], word_q[11:1], data_i[63:52], resp_i[0]};

endmodule

`default_nettype wire
