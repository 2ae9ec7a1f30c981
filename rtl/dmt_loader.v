// SPDX-License-Identifier: Apache-2.0
// dmt_loader: reads what the host keeps in memory for the TEA registers.
//
// Resolving: when a register of KIND GTEA has been accepted, or by a host
// command for those of a set, it looks at one register a cycle (PIPE = 1: in two,
// as the register file is read in a cycle of its own), reads the two words of its
// gTEA's entry, and hands base, size and result to the register file. Set load: it reads three words for each register from an image, writes
// them like the CSR block, and resolves what is of KIND GTEA. All through the
// PTE port with ID 0, while no walk is in flight. Only bases and numbers of
// entries that the host wrote make addresses here; a guest chooses an index
// below such a number and nothing else. done_o: all is done in this cycle.
`default_nettype none
`include "dmt_regs.vh"

module dmt_loader #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // TEA registers a set, 2..64
    parameter TEA_N = 16,
    // 1: what the register file says is looked at a cycle later
    parameter PIPE = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // start: one register, all of a set (with one ID, or any), or an image
    input  wire             start_i,
    input  wire             one_i,
    input  wire             any_i,
    input  wire             image_i,
    input  wire [1:0]       set_i,
    input  wire [5:0]       index_i,
    input  wire [11:0]      id_i,          // gTEA ID, or number of the image
    output wire             busy_o,
    output wire             done_o,
    output wire             failed_o,      // a set load has met a bus error

    // gTEA table and image area of the set in work
    output wire [1:0]       set_o,
    input  wire [PA_W-1:12] table_i,
    input  wire [12:0]      entries_i,
    input  wire [PA_W-1:12] images_i,
    input  wire [51:12]     pa_reserved_i, // ones at and above MAXPHYADDR

    // register file: the register in work, its resolution, its words
    output wire [5:0]       index_o,
    input  wire             valid_i,
    input  wire [11:0]      reg_id_i,
    output wire             we_o,
    output wire [2:0]       resolution_o,
    output wire [51:0]      base_o,
    output wire [51:0]      pages_o,
    output wire             word_we_o,
    output wire [1:0]       word_o,
    input  wire             refused_i,

    // PTE port
    output wire             emit_o,
    output wire [PA_W-1:3]  addr_o,
    input  wire             beat_i,
    input  wire [63:0]      data_i,
    input  wire [1:0]       resp_i
);

    localparam [31:0] LAST_32 = TEA_N - 1;

    reg             busy_q, one_q, any_q;
    reg             image_q;               // a set load
    reg             words_q;               // of its registers, the words are read now
    reg [1:0]       set_q;
    reg [5:0]       index_q;
    reg [11:0]      id_q;
    reg [1:0]       sent_q;                // addresses that have left for this register
    reg [1:0]       got_q;                 // words that have come
    reg             error_q;
    reg [63:0]      word_q;                // the first of two

    wire error = (error_q && got_q != 2'd0) || resp_i[1];
    wire last  = one_q || index_q == LAST_32[5:0];
    wire beat  = beat_i && busy_q;

    // ------------------------------------------------------------------ set load
    // Words 1, 2 and 0, so that the register is whole when word 0 is checked.
    wire words    = busy_q && words_q;
    wire third    = words && beat && got_q == 2'd2;
    wire is_gtea  = data_i[`DMT_TEA_WORD0_P_LSB]
                 && data_i[`DMT_TEA_WORD0_KIND_LSB +: 2] == `DMT_KIND_GTEA && !refused_i;
    assign word_we_o = words && beat && !error;
    assign word_o    = (got_q == 2'd0) ? 2'd1 : (got_q == 2'd1) ? 2'd2 : 2'd0;
    assign failed_o  = third && error;

    // ----------------------------------------------------------------- resolving
    wire        look_at = busy_q && !words_q && sent_q == 2'd0;
    wire        look, valid;
    wire [11:0] reg_id;
    generate
        if (PIPE != 0) begin : g_later
            reg        ripe_q, valid_q;
            reg [11:0] reg_id_q;
            always @(posedge clk_i) begin
                ripe_q   <= !rst_i && look_at && !ripe_q;
                valid_q  <= valid_i;
                reg_id_q <= reg_id_i;
            end
            assign look   = look_at && ripe_q;
            assign valid  = valid_q;
            assign reg_id = reg_id_q;
        end else begin : g_at_once
            assign look   = look_at;
            assign valid  = valid_i;
            assign reg_id = reg_id_i;
        end
    endgenerate
    wire wanted  = valid && (image_q || one_q || any_q || reg_id == id_q);
    wire bad_id  = {1'b0, reg_id} >= entries_i;
    wire fetch   = look && wanted && !bad_id;
    wire answer  = busy_q && !words_q && beat && got_q == 2'd1;

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

    // ------------------------------------------------------------------ sequence
    wire resolve = third && !error && is_gtea;
    wire settled = (look && !fetch) || answer || (third && !resolve);

    assign busy_o  = busy_q;
    assign done_o  = settled && (last || failed_o);
    assign set_o   = set_q;
    assign index_o = index_q;

    // 16 bytes an entry of a gTEA table; 2 KiB an image, 32 bytes a register of it
    wire [1:0] sent_word = (sent_q == 2'd0) ? 2'd1 : (sent_q == 2'd1) ? 2'd2 : 2'd0;
    assign emit_o = fetch || (busy_q && !words_q && sent_q == 2'd1) || (words && sent_q != 2'd3);
    assign addr_o = words_q ? {images_i, 9'd0} + {{(PA_W-23){1'b0}}, id_q, index_q, sent_word}
                            : {table_i, 9'd0} + {{(PA_W-16){1'b0}}, reg_id, sent_q[0]};

    always @(posedge clk_i) begin
        if (rst_i) begin
            busy_q  <= 1'b0;
            words_q <= 1'b0;
            sent_q  <= 2'd0;
            got_q   <= 2'd0;
        end else begin
            busy_q <= start_i || (busy_q && !done_o);
            if (start_i)
                words_q <= image_i;
            else if (resolve || settled)
                words_q <= image_q && settled;
            if (start_i || resolve || settled) begin
                sent_q <= 2'd0;
                got_q  <= 2'd0;
            end else begin
                if (emit_o)
                    sent_q <= sent_q + 2'd1;
                if (beat)
                    got_q <= got_q + 2'd1;
            end
        end
    end

    always @(posedge clk_i) begin
        if (start_i) begin
            one_q   <= one_i;
            any_q   <= any_i;
            image_q <= image_i;
            set_q   <= set_i;
            id_q    <= id_i;
            index_q <= one_i ? index_i : 6'd0;
        end else if (settled)
            index_q <= index_q + 6'd1;
        if (beat) begin
            if (got_q == 2'd0)
                word_q <= data_i;
            error_q <= error;
        end
    end

    wire unused = &{1'b0, word_q[63:52], word_q[11:1], data_i[63:52], resp_i[0]};

endmodule

`default_nettype wire
