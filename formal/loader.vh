// SPDX-License-Identifier: Apache-2.0
// Properties of dmt_loader, put before its endmodule in a copy (formal/prove.py).
//
// Every address is of an entry of the host's gTEA table that is there, or of the
// image that was asked for; what is handed to the register file as resolved is
// what that entry says, and fits the physical width.

    // ----------------------------------------------------------- what is assumed
    (* anyconst *) reg [5:0] maxpa;        // MAXPA changes while nothing is loaded
    reg        seen;                       // reset was
    reg [1:0]  out;                        // reads not answered
    reg        l_busy, l_same, l_valid, l_image;
    reg [11:0] l_id, l_number;
    reg [12:0] l_entries;
    reg [PA_W-1:12] l_table, l_images;
    initial seen = 1'b0;
    always @(posedge clk_i) begin
        if (rst_i)
            seen <= 1'b1;
        out       <= rst_i ? 2'd0 : out + {1'b0, emit_o} - {1'b0, beat_i};
        l_busy    <= busy_q && !done_o;
        l_same    <= busy_q && !settled && !word_we_o;
        l_valid   <= valid_i;
        l_id      <= reg_id_i;
        l_entries <= entries_i;
        l_table   <= table_i;
        l_images  <= images_i;
        if (start_i) begin
            l_image  <= image_i;
            l_number <= id_i;
        end
    end
    always @* begin
        assume (maxpa >= 6'd32 && maxpa <= PA_W);
        assume (pa_reserved_i == ~((40'd1 << (maxpa - 6'd12)) - 40'd1));
        assume (entries_i <= 13'd4096);
        // dmt_csr: neither tables nor registers change while the loader is busy, but by the loader;
        // it is started when it is not
        assume (!start_i || (!busy_q && !rst_i && !(one_i && image_i) && index_i < TEA_N));
        if (seen && l_busy)
            assume (table_i == l_table && entries_i == l_entries && images_i == l_images);
        if (seen && l_same)
            assume (valid_i == l_valid && reg_id_i == l_id);
        // the bus answers what was asked
        assume (!beat_i || out != 2'd0);
    end

    // -------------------------------------------------------------------- claims
    reg [63:0] first;                      // the words, as they came
    reg        first_error;
    always @(posedge clk_i)
        if (beat_i && got_q == 2'd0) begin
            first       <= data_i;
            first_error <= resp_i[1];
        end
    wire        f_second = busy_q && !words_q && sent_q != 2'd0;       // of two words, one was asked for
    wire [63:0] f_mask   = {{(64-PA_W){1'b0}}, {PA_W{1'b1}}};
    wire [63:0] f_table  = {{(64-PA_W){1'b0}}, table_i, 12'd0};
    wire [63:0] f_images = {{(64-PA_W){1'b0}}, images_i, 12'd0};
    wire [63:0] f_addr   = {{(64-PA_W){1'b0}}, addr_o, 3'd0};
    wire [63:0] f_word   = (sent_q == 2'd2) ? 64'd0 : (sent_q == 2'd1) ? 64'd16 : 64'd8;   // 1, 2, 0
    wire [53:0] f_end    = {14'd0, first[51:12]} + {2'd0, data_i[51:0]};
    wire        f_ok     = we_o && resolution_o == `DMT_RESOLUTION_OK;

    (* keep *) reg ok_count, ok_held, ok_image, ok_error, ok_first;
    always @* begin
        {ok_count, ok_held, ok_image, ok_error, ok_first} = {5{1'b1}};
        if (seen && !rst_i) begin
            ok_count = {1'b0, got_q} + {1'b0, out} == {1'b0, sent_q} && (busy_q || sent_q == 2'd0)
                    && (!busy_q || words_q || (sent_q != 2'd3 && got_q != 2'd2)) && got_q != 2'd3;
            if (f_second)
                ok_held = l_busy && l_same && valid_i && {1'b0, reg_id_i} < entries_i;
            if (busy_q)
                ok_image = index_q < TEA_N && image_q == l_image && id_q == l_number && (image_q || !words_q);
            if (busy_q && !words_q && got_q == 2'd1)
                ok_error = error_q == first_error;
            if (busy_q && got_q == 2'd1)
                ok_first = word_q == first;
        end
    end
    (* keep *) wire invariant = ok_count && ok_held && ok_image && ok_error && ok_first;

    (* keep *) reg ok_entry, ok_of_image, ok_register, ok_result, ok_width, ok_one_write;
    always @* begin
        {ok_entry, ok_of_image, ok_register, ok_result, ok_width, ok_one_write} = {6{1'b1}};
        if (seen && !rst_i) begin
            // tables and areas that run past the physical width wrap: it is the host's to place them below
            if (emit_o && !words_q)
                ok_entry = {1'b0, reg_id_i} < entries_i && busy_q && valid_i
                    && f_addr == ((f_table + {48'd0, reg_id_i, 4'd0} + {60'd0, sent_q[0], 3'd0}) & f_mask);
            if (emit_o && words_q)
                ok_of_image = busy_q && l_image && index_q < TEA_N && sent_q != 2'd3
                    && f_addr == ((f_images + {41'd0, l_number, 11'd0} + {53'd0, index_q, 5'd0} + f_word) & f_mask);
            if (we_o)
                ok_register = busy_q && valid_i && !words_q;
            if (f_ok) begin
                ok_result = base_o == {12'd0, first[51:12]} && pages_o == data_i[51:0] && first[0]
                         && !first_error && !resp_i[1] && beat_i && out == 2'd1;
                ok_width  = pages_o != 52'd0 && f_end <= 54'd1 << (maxpa - 6'd12);
            end
            ok_one_write = !(we_o && word_we_o) && (!word_we_o || (busy_q && l_image && beat_i && !resp_i[1]));
        end
    end

    // ------------------------------------------------------------- not for nothing
    (* keep *) wire see_second_word = seen && emit_o && !words_q && sent_q == 2'd1 && reg_id_i == 12'hFFF;
    (* keep *) wire see_resolved    = seen && f_ok && f_end == 54'd1 << (maxpa - 6'd12);
    (* keep *) wire see_bad_id      = seen && we_o && resolution_o == `DMT_RESOLUTION_BAD_ID;
    (* keep *) wire see_image_word0 = seen && word_we_o && word_o == 2'd0;
    (* keep *) wire see_failed      = seen && failed_o;
