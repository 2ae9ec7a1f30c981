// SPDX-License-Identifier: Apache-2.0
// Properties of dmt_tea_file, put before its endmodule in a copy (formal/prove.py).
//
// Of any one register, after any sequence of word writes, resolutions,
// revocations, clears and set loads: what it may fetch lies in its TEA (set 0), or in the
// gTEA as the loader resolved it last. The proof's own copies of what was
// resolved and of the words are compared with what the file holds.

    (* anyconst *) reg [1:0] k_set;        // the register
    (* anyconst *) reg [5:0] k_index;
    (* anyseq *)   reg [5:0] new_maxpa;
    wire [IDX_W-1:0] kx = flat(k_set, k_index);

    // ----------------------------------------------------------- what is assumed
    reg [5:0] maxpa;
    always @(posedge clk_i)
        if (clear_i)
            maxpa <= new_maxpa;
    wire [53:0] g_end   = {2'd0, g_base_i} + {2'd0, g_pages_i};
    wire [53:0] pa_end  = 54'd1 << (maxpa - 6'd12);
    always @* begin
        assume (k_set < SETS && k_index < TEA_N);
        assume (set_i < SETS && w_set_i < SETS && g_set_i < SETS);
        assume (w_index_i < TEA_N && g_index_i < TEA_N);
        // dmt_csr: bits at and above MAXPA; a change of it clears; one change at a time
        assume (maxpa >= 6'd32 && maxpa <= PA_W && new_maxpa >= 6'd32 && new_maxpa <= PA_W);
        assume (pa_reserved_i == ~((40'd1 << (maxpa - 6'd12)) - 40'd1));
        assume (!(clear_i && we_i) && !(revoke_i && (we_i || clear_i)));
        assume (!(clear_set_i && (we_i || clear_i || revoke_i)));
        // dmt_loader: writes while the CSR block does not, a register that asks for it, what fits
        if (g_we_i) begin
            assume (!we_i && !clear_i && !clear_set_i && !revoke_i && g_valid_o && g_set_i != 2'd0);
            if (g_resolution_i == `DMT_RESOLUTION_OK)
                assume (g_pages_i != 52'd0 && g_end <= pa_end);
        end
    end

    // --------------------------------------------------------------- own copies
    reg        seen;                       // reset was
    reg        k_ok;                       // resolved, and nothing has changed since
    reg [51:0] k_base, k_pages;            // as resolved last: first frame, pages
    reg [63:0] k_word0, k_word1, k_word2;  // as written last
    initial seen = 1'b0;
    wire k_write  = we_i && w_set_i == k_set && w_index_i == k_index;
    wire k_loaded = g_we_i && g_set_i == k_set && g_index_i == k_index;
    wire k_revoke = revoke_i && revoke_set_i == k_set && (revoke_all_i || k_word1[11:0] == revoke_id_i);
    always @(posedge clk_i) begin
        if (rst_i) begin
            seen    <= 1'b1;
            k_word0 <= 64'd0;
            k_word1 <= 64'd0;
            k_word2 <= 64'd0;
        end else if (k_write)
            case (w_word_i)
            2'd0:    k_word0 <= w_data_i;
            2'd1:    k_word1 <= w_data_i;
            2'd2:    k_word2 <= w_data_i;
            default: ;
            endcase
        if (rst_i || clear_i || (clear_set_i && w_set_i == k_set) || (k_write && w_word_i != 2'd3) || k_revoke)
            k_ok <= 1'b0;
        else if (k_loaded) begin
            k_ok    <= g_resolution_i == `DMT_RESOLUTION_OK;
            k_base  <= g_base_i;
            k_pages <= g_pages_i;
        end
    end

    // ------------------------------------------- what the file holds of it, by the page
    wire        k_p     = p_q[kx];
    wire        k_gtea  = k_word0[4:3] == `DMT_KIND_GTEA;
    wire [1:0]  k_sz    = k_word0[2:1];
    wire [51:0] k_first = k_word1[63:12];
    wire [51:0] k_vpn   = k_word0[63:12];
    // in unlimited precision: pages of the range that reach the gTEA's end, and no more than 2^52
    wire [51:0] k_left  = (k_pages > k_first) ? k_pages - k_first : 52'd0;
    wire [79:0] k_reach = {28'd0, k_left} << (9 + 9 * k_sz);
    wire [52:0] k_limit = (|k_reach[79:52] || k_left[51:43] != 9'd0) ? {1'b1, 52'd0} : k_reach[52:0];
    wire        k_res_ok = g_gtea.resolution_q[3*kx +: 3] == `DMT_RESOLUTION_OK;

    // the gTEA's end is written a cycle after the rest; nothing is matched with it before
    wire        k_pending = g_gtea.end_we_q && g_gtea.end_set_q == k_set && g_gtea.end_index_q == k_index;

    // its other copy, beside its comparator
    wire [56*TEA_N-1:0] n_word0;           // {base, KIND, SZ}
    wire [53*TEA_N-1:0] n_end, n_bound;
    wire [13*TEA_N-1:0] n_id;              // {KIND GTEA, ID}
    genvar n_g;
    generate
        for (n_g = 0; n_g < TEA_N; n_g = n_g + 1) begin : g_copy
            wire [3:0] is_gtea = {1'b0, g_gtea.g_within[n_g].g_set[2].g_has.gtea_kind_q,
                                  g_gtea.g_within[n_g].g_set[1].g_has.gtea_kind_q,
                                  g_gtea.g_within[n_g].g_set[0].g_has.gtea_kind_q};
            assign n_word0[56*n_g +: 56] = {g_compare[n_g].base_q[k_set], g_compare[n_g].type_q[k_set]};
            assign n_end[53*n_g +: 53]   = g_compare[n_g].end_q[k_set];
            assign n_bound[53*n_g +: 53] = g_gtea.g_within[n_g].bound_q[k_set];
            assign n_id[13*n_g +: 13]    = {is_gtea[k_set], g_gtea.g_within[n_g].id_q[k_set]};
        end
    endgenerate
    wire [55:0] k_word0_copy = n_word0[56*k_index +: 56];
    wire [12:0] k_id_copy    = n_id[13*k_index +: 13];

    (* keep *) reg ok_held0, ok_held1, ok_held2, ok_copied, ok_accepted, ok_resolved, ok_base, ok_limit;
    wire [63:0] k_last  = (k_word2 - 64'd1) >> (9 * k_sz);             // last entry
    wire [63:0] k_ended = {3'd0, k_first, 9'd0} + k_last + 64'd1;      // its end, in entries
    always @* begin
        {ok_held0, ok_held1, ok_held2, ok_copied, ok_accepted, ok_resolved, ok_base, ok_limit} = {8{1'b1}};
        if (seen && !rst_i) begin
            if (seen0_q[kx])
                ok_held0 = {base_vpn_q[kx], kind_q[kx], sz_q[kx]} == {k_vpn, k_word0[4:1]};
            else
                ok_held0 = !k_p && k_word0 == 64'd0;
            ok_held1 = seen1_q[kx] ? {base_pfn_q[kx], gtea_q[kx]} == k_word1 : k_word1 == 64'd0;
            ok_held2 = seen2_q[kx] ? pages_q[kx] == k_word2 : k_word2 == 64'd0;
            ok_copied = (!seen0_q[kx] || (k_word0_copy == {k_vpn, k_word0[4:1]} && k_id_copy[12] == k_gtea))
                     && (!seen1_q[kx] || k_id_copy[11:0] == k_word1[11:0])
                     && (!k_p || {1'b0, n_end[53*k_index +: 53]} == {2'd0, k_vpn} + k_word2[53:0]);
            if (k_p)
                ok_accepted = k_word2 != 64'd0 && k_word2[63:53] == 11'd0 && k_sz != 2'd3
                    && {2'd0, k_vpn} + k_word2[53:0] <= 54'h10_0000_0000_0000
                    && (k_gtea ? k_set != 2'd0 : k_word0[4:3] == `DMT_KIND_PA)
                    && (k_gtea || k_ended <= 64'd1 << (maxpa - 6'd3));
            if (k_p && k_gtea && k_res_ok)
                ok_resolved = k_ok;
            if (k_ok) begin
                ok_base  = k_gtea && k_p && {2'd0, k_base} + {2'd0, k_pages} <= pa_end && k_pages != 52'd0
                        && (g_gtea.gbase_q[kx] == k_base + k_first);
                ok_limit = k_pending ? g_gtea.from_q == k_vpn && g_gtea.limit_q == k_limit
                                     : n_bound[53*k_index +: 53] == {1'b0, k_vpn} + k_limit;
            end
        end
    end
    (* keep *) wire invariant = &{ok_held0, ok_held1, ok_held2, ok_copied, ok_accepted, ok_resolved, ok_base, ok_limit};

    // -------------------------------------------------------------------- claims
    // The register is found, for any address, and its entry's address is computed; as
    // registers do not change between the two cycles, both are looked at in one.
    (* anyseq *) reg [1:0] s_size;
    wire [5:0]  s_index = (s_size == 2'd2) ? index_1g_o : (s_size == 2'd1) ? index_2m_o : index_4k_o;
    wire        s_hit   = seen && !rst_i && s_size != 2'd3 && hit_o[s_size] && set_i == k_set && s_index == k_index;
    wire        s_use   = s_hit && !k_pending && !plain_o[s_size] && !unusable_o[s_size];
    wire [63:0] s_entry = {{(67-PA_W){1'b0}}, entry_o};                // in entries of 8 bytes
    wire [63:0] s_slot  = {12'd0, vpn_i - k_vpn} >> (9 * s_size);
    wire [63:0] s_base  = {3'd0, k_base, 9'd0}, s_end = s_base + {3'd0, k_pages, 9'd0};
    wire [63:0] s_first = {3'd0, k_first, 9'd0};
    always @*
        assume (sel_set_i == set_i && sel_index_i == s_index && sel_sz_i == s_size && sel_vpn_i == vpn_i);

    (* keep *) reg ok_found, ok_covered, ok_set0, ok_in_tea, ok_not_resolved, ok_exact, ok_within, ok_in_gtea;
    always @* begin
        {ok_found, ok_covered, ok_set0, ok_in_tea, ok_not_resolved, ok_exact, ok_within, ok_in_gtea} = {8{1'b1}};
        if (s_hit) begin
            ok_found   = k_p && s_size == k_sz && plain_o[s_size] == (k_set != 2'd0 && !k_gtea);
            ok_covered = vpn_i >= k_vpn && {12'd0, vpn_i} < {12'd0, k_vpn} + k_word2;
            ok_set0    = k_set != 2'd0 || !(plain_o[s_size] || unusable_o[s_size] || k_gtea);
            if (k_gtea)
                ok_not_resolved = k_ok || unusable_o[s_size];
        end
        if (s_use && !k_gtea)
            ok_in_tea  = s_entry == s_first + s_slot && s_slot <= k_last && s_entry < 64'd1 << (maxpa - 6'd3);
        if (s_use && k_gtea) begin
            ok_exact   = s_entry == s_base + s_first + s_slot;
            ok_within  = vpn_i >= k_vpn && {1'b0, vpn_i - k_vpn} < k_limit;
            ok_in_gtea = s_entry >= s_base && s_entry < s_end && s_entry < 64'd1 << (maxpa - 6'd3);
        end
    end

    // ------------------------------------------------------------- not for nothing
    (* keep *) wire see_gtea_used    = s_use && k_gtea && k_first != 52'd0 && s_size == 2'd2;
    (* keep *) wire see_gtea_last    = s_use && k_gtea && s_entry + 64'd1 == s_end;
    (* keep *) wire see_gtea_past    = s_hit && k_gtea && k_ok && unusable_o[s_size];
    (* keep *) wire see_gtea_revoked = s_hit && k_gtea && !k_ok && k_pages != 52'd0;
    (* keep *) wire see_tea_last     = s_use && !k_gtea && s_slot == k_last && k_last > 64'd2;
    (* keep *) wire see_plain        = s_hit && plain_o[s_size];
    (* keep *) wire see_whole_space  = s_use && k_gtea && k_limit == {1'b1, 52'd0};
