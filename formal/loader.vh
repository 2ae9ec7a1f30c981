// SPDX-License-Identifier: Apache-2.0
// Properties of dmt_loader, put before its endmodule in a copy (formal/prove.py).
//
// Every address is of an entry of the host's table that is there; what is handed
// to the register file is what that entry says, and fits the physical width.

    // ----------------------------------------------------------- what is assumed
    (* anyconst *) reg [5:0] maxpa;        // MAXPA changes while nothing is loaded
    reg        seen;                       // reset was
    reg [1:0]  out;                        // reads not answered
    reg        l_busy, l_valid, l_more;
    reg [5:0]  l_index;
    reg [11:0] l_id;
    reg [12:0] l_entries;
    reg [PA_W-1:12] l_table;
    initial seen = 1'b0;
    always @(posedge clk_i) begin
        if (rst_i)
            seen <= 1'b1;
        out       <= rst_i ? 2'd0 : out + {1'b0, emit_o} - {1'b0, beat_i};
        l_busy    <= busy_q;
        l_more    <= busy_q && !settled;
        l_index   <= index_o;
        l_valid   <= valid_i;
        l_id      <= reg_id_i;
        l_entries <= entries_i;
        l_table   <= table_i;
    end
    always @* begin
        assume (maxpa >= 6'd32 && maxpa <= PA_W);
        assume (pa_reserved_i == ~((40'd1 << (maxpa - 6'd12)) - 40'd1));
        assume (entries_i <= 13'd4096);
        // dmt_csr: neither table nor registers change while the loader is busy; started when it is not
        assume (!start_i || !busy_q);
        if (seen && l_more)
            assume (table_i == l_table && entries_i == l_entries && valid_i == l_valid && reg_id_i == l_id);
        // the bus answers what was asked
        assume (!beat_i || out != 2'd0);
        assume (!rst_i || !start_i);
    end

    // -------------------------------------------------------------------- claims
    reg [63:0] first;                      // the table's words, as they came
    reg        first_error;
    always @(posedge clk_i)
        if (beat_i && out == (second_q ? 2'd1 : 2'd2)) begin
            first       <= data_i;
            first_error <= resp_i[1];
        end
    wire        f_asks   = second_q || wait_q;
    wire [63:0] f_table  = {{(64-PA_W){1'b0}}, table_i, 12'd0};
    wire [63:0] f_addr   = {{(64-PA_W){1'b0}}, addr_o, 3'd0};
    wire [53:0] f_end    = {14'd0, first[51:12]} + {2'd0, data_i[51:0]};
    wire        f_ok     = we_o && resolution_o == `DMT_RESOLUTION_OK;

    (* keep *) reg ok_state, ok_held, ok_kept;
    always @* begin
        {ok_state, ok_held, ok_kept} = {3{1'b1}};
        if (seen && !rst_i) begin
            ok_state = second_q ? busy_q && !wait_q && !got_q && out == 2'd1
                     : wait_q   ? busy_q && out == (got_q ? 2'd1 : 2'd2)
                     :            !got_q && out == 2'd0;
            if (f_asks)
                ok_held = l_more && l_valid && {1'b0, l_id} < l_entries && l_index == index_q;
            if (got_q)
                ok_kept = word_q == first && error_q == first_error;
        end
    end
    (* keep *) wire invariant = ok_state && ok_held && ok_kept;

    (* keep *) reg ok_address, ok_inside, ok_register, ok_result, ok_width;
    always @* begin
        {ok_address, ok_inside, ok_register, ok_result, ok_width} = {5{1'b1}};
        if (seen && !rst_i) begin
            if (emit_o) begin
                // a table that ends above the physical width wraps: it is the host's to place it below
                ok_address = f_addr == ((f_table + {48'd0, reg_id_i, 4'd0} + {60'd0, slot_o, 3'd0})
                                        & {{(64-PA_W){1'b0}}, {PA_W{1'b1}}});
                ok_inside  = {1'b0, reg_id_i} < entries_i && busy_q && valid_i;
            end
            if (we_o)
                ok_register = busy_q && valid_i;
            if (f_ok) begin
                ok_result = out == 2'd1 && base_o == {12'd0, first[51:12]} && pages_o == data_i[51:0] && first[0]
                         && !first_error && !resp_i[1];
                ok_width  = pages_o != 52'd0 && f_end <= 54'd1 << (maxpa - 6'd12);
            end
        end
    end

    // ------------------------------------------------------------- not for nothing
    (* keep *) wire see_second_word = seen && emit_o && slot_o && reg_id_i == 12'hFFF;
    (* keep *) wire see_resolved    = seen && f_ok && f_end == 54'd1 << (maxpa - 6'd12);
    (* keep *) wire see_bad_id      = seen && we_o && resolution_o == `DMT_RESOLUTION_BAD_ID;
