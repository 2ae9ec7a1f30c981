// SPDX-License-Identifier: Apache-2.0
// Properties of dmt_csr, put before its endmodule in a copy (formal/prove.py):
// what the other proofs assume of it.

    reg        seen;                       // reset was
    reg        l_idle, l_busy, l_clear;
    reg [5:0]  l_maxpa;
    initial seen = 1'b0;

    // what translations see, and what the loader sees
    localparam C_W = 2 + 1 + 4 * (PA_W - 12) + 12 + 2 * (PA_W - 12);
    localparam T_W = PA_W - 12 + 13;
    localparam I_W = 3 * (40 + 13);
    wire [C_W-1:0] f_control = {enter_o, full_o, root_o, s2root0_o, s2root1_o, shadow_root_o, s2ctl0_o, s2ctl1_o,
                              shadow_ctl_o, root1_o, root2_o};
    wire [T_W-1:0] tables1 = {gtab1[PA_W-1:12], gent1}, tables2 = {gtab2[PA_W-1:12], gent2};
    wire [I_W-1:0] areas = {ibase, icount};
    reg  [I_W-1:0] l_areas;
    reg  [C_W-1:0] l_control;
    reg  [T_W-1:0] l_tables1, l_tables2;
    reg            l_revoke1, l_revoke2, l_reset, l_changed, l_start;
    always @(posedge clk_i) begin
        if (rst_i)
            seen <= 1'b1;
        l_reset   <= rst_i;
        l_idle    <= idle_i;
        l_busy    <= load_busy_i;
        l_clear   <= tea_clear_o;
        l_maxpa   <= maxpa_q;
        l_control <= f_control;
        l_areas   <= areas;
        l_tables1 <= tables1;
        l_tables2 <= tables2;
        l_changed <= changed_o;
        l_start   <= load_start_o;
        l_revoke1 <= revoke_o && revoke_all_o && revoke_set_o == 2'd1;
        l_revoke2 <= revoke_o && revoke_all_o && revoke_set_o == 2'd2;
    end
    always @*
        assume (!load_done_i || load_busy_i);

    wire on = seen && !rst_i;
    wire registers = (tea_we_o && tea_w_word_o != 2'd3) || tea_clear_o || revoke_o;
    (* keep *) reg ok_maxpa, ok_count, ok_mode, ok_reserved;
    always @* begin
        {ok_maxpa, ok_count, ok_mode, ok_reserved} = {4{1'b1}};
        if (on) begin
            ok_maxpa    = maxpa_q >= 6'd32 && maxpa_q <= PA_W;
            ok_reserved = pa_reserved_o == ~((40'd1 << (maxpa_q - 6'd12)) - 40'd1);
            ok_count = gent1 <= 13'd4096 && gent2 <= 13'd4096;
            ok_mode  = mode_q <= SETS;
        end
    end

    // With PIPE = 1 dmt_tea_file checks a write in the two clocks before it: what is to be
    // written is there, the registers do not change, and the loader does not use the room.
    (* keep *) reg ok_held, ok_ripe;
    generate
        if (PIPE != 0) begin : g_ripening
            localparam W_W = 2 + 6 + 64 + 40;
            wire [W_W-1:0] what  = {tea_w_set_o, tea_w_index_o, tea_w_data_o, pa_reserved_o};
            wire           quiet = !(tea_we_o || tea_clear_o || revoke_o || load_start_o || load_busy_i);
            reg  [W_W-1:0] l_what, ll_what;
            reg            l_quiet, ll_quiet;
            always @(posedge clk_i) begin
                {l_what, ll_what}   <= {what, l_what};
                {l_quiet, ll_quiet} <= {quiet, l_quiet};
            end
            wire one = l_quiet && l_what == what, two = one && ll_quiet && ll_what == what;
            always @* begin
                ok_held = !on || (held && (g_ripen.held_for_q[0] ? one && (!g_ripen.held_for_q[1] || two)
                                                                 : !g_ripen.held_for_q[1]))
                       || g_ripen.held_for_q == 2'b00;
                ok_ripe = !on || !tea_we_o || two;
            end
        end else begin : g_no_ripening
            always @* {ok_held, ok_ripe} = 2'b11;
        end
    endgenerate
    (* keep *) wire invariant = ok_maxpa && ok_reserved && ok_count && ok_mode && ok_held;

    (* keep *) reg ok_codes, ok_roots, ok_one_change, ok_interlock, ok_drained, ok_told, ok_image;
    always @* begin
        {ok_codes, ok_roots, ok_one_change, ok_interlock, ok_drained, ok_told, ok_image} = {7{1'b1}};
        if (on) begin
            ok_codes    = enter_o < SETS && entries_o <= 13'd4096;
            ok_roots    = root1_o == ((enter_o == 2'd1) ? root_o : s2root1_o)
                       && (enter_o != 2'd2 || root2_o == root_o);
            ok_one_change = !(tea_clear_o && tea_we_o) && !(revoke_o && (tea_we_o || tea_clear_o))
                         && !(load_start_o && (tea_clear_o || revoke_o)) && !(load_image_o && tea_we_o);
            // an image that is there, of the window's own level
            if (load_image_o)
                ok_image = load_start_o && !load_one_o && load_set_o == win && load_set_o < SETS
                        && {1'b0, load_id_o} < icount[13 * load_set_o +: 13] && load_id_o == data_q[11:0];
            // registers change, and the loader starts, while neither walks nor the loader are at work
            ok_interlock = !((registers || load_start_o) && load_busy_i);
            ok_drained   = !((registers || load_start_o) && !idle_i);
            // and the rooms that keep what registers say are told
            ok_told      = !registers || changed_o || load_start_o;
        end
    end

    // The same over two clocks: what is seen changes only so.
    (* keep *) reg ok_then_control, ok_then_maxpa_clears, ok_then_tables, ok_then_areas,
        ok_then_table_revokes;
    always @* begin
        {ok_then_control, ok_then_maxpa_clears, ok_then_tables, ok_then_areas,
          ok_then_table_revokes} = {5{1'b1}};
        if (seen && !l_reset) begin
            if (f_control != l_control)
                ok_then_control = l_idle && !l_busy && l_changed;
            if (maxpa_q != l_maxpa)
                ok_then_maxpa_clears = l_clear;
            if (tables1 != l_tables1 || tables2 != l_tables2)
                ok_then_tables = l_idle && !l_busy && !l_start;
            if (areas != l_areas)                          // walks read none
                ok_then_areas = !l_busy && !l_start;
            ok_then_table_revokes = (tables1 == l_tables1 || l_revoke1) && (tables2 == l_tables2 || l_revoke2);
        end
    end

    // ------------------------------------------------------------- not for nothing
    (* keep *) wire see_clear   = on && tea_clear_o;
    (* keep *) wire see_revoke  = on && revoke_o && !revoke_all_o;
    (* keep *) wire see_image   = on && load_image_o && load_set_o == 2'd1;
    (* keep *) wire see_start   = on && load_start_o && load_one_o;
    (* keep *) wire see_control = on && !l_reset && f_control != l_control && enter_o == 2'd2;
