// SPDX-License-Identifier: Apache-2.0
// Properties of dmt_mmu, put before its endmodule in a copy (formal/prove.py).
//
// The glue, dmt_fetch, dmt_entry, dmt_walk_step, dmt_ahead, dmt_route, dmt_launch and
// dmt_front are as they are, with PIPE = 0; every other room is cut away, its outputs
// are free but for the assumptions here, each of which is shown of that room by
// another proof or is what the host is trusted with (docs/formal.md). The claim:
// let X be any page that nothing of the host's lets the guest read, Y any page that
// nothing of the host's lets the guest write; then no read goes to X and no write
// goes to Y.
//
// What a context keeps is not modelled: any walk word and any read with a tag
// that fit together (walk_ok, read_ok) may be stepped, and every one that is
// stored is shown to fit. A tag says of a read address what is true of it by its
// value: that it lies in a table of the host, which, and at which level.

    // The pages; any, the same for ever.
    (* anyconst *) reg [PA_W-1:12] X, Y;
    wire [51:12] x52 = {{(52-PA_W){1'b0}}, X};
    wire [51:12] y52 = {{(52-PA_W){1'b0}}, Y};

    // {host, kind (of table, as the frames), level, read so far, write so far}
    localparam T_W = 8;
    localparam [T_W-1:0] GUEST = 8'd0;

    // --------------------------------------------------------------- the host
    function f_ept;                        // a table of this kind is in EPT format
        input [1:0] kind;
        f_ept = (kind == S0) ? !s2ctl0[0] : (kind == S1) ? !shadow_ctl[0] : 1'b0;
    endfunction
    function f_present;
        input [1:0]  kind;
        input [63:0] d;
        f_present = f_ept(kind) ? (|d[2:0]) || (d[10] && ((kind == S0) ? s2ctl0[3] : shadow_ctl[3])) : d[0];
    endfunction
    function f_leaf;
        input [2:0]  level;
        input [63:0] d;
        f_leaf = level == 3'd1 || ((level == 3'd2 || level == 3'd3) && d[7]);
    endfunction
    function f_read;                       // rights of one entry: to be read by table accesses
        input [1:0]  kind;
        input [63:0] d;
        f_read = f_ept(kind) ? d[0] : d[2];
    endfunction
    function f_maps;                       // a leaf maps the page
        input [2:0]  level;
        input [63:0] d;
        input [51:12] page;
        f_maps = (level == 3'd3) ? d[51:30] == page[51:30]
               : (level == 3'd2) ? d[51:21] == page[51:21]
               :                   d[51:12] == page;
    endfunction
    // An entry in a table of the host: leads neither to X nor to Y, but that X may be
    // mapped without the right to read and Y without the right to write. The entering
    // stage's leaves (NATIVE) are nobody's table.
    function f_data_ok;
        input [T_W-1:0] t;
        input [63:0] d;
        reg r, w;
        begin
            r = t[1] && f_read(t[6:5], d);
            w = r && t[0] && d[1];
            f_data_ok = !t[7] || !f_present(t[6:5], d)
                     || (f_leaf(t[4:2], d)
                         ? t[6:5] == V || (!(r && f_maps(t[4:2], d, x52)) && !(w && f_maps(t[4:2], d, y52)))
                         : d[51:12] != x52 && d[51:12] != y52);
        end
    endfunction

    // ---------------------------------------------------- what contexts may hold
    function f_direct;                     // an entry of this frame yields host addresses
        input [1:0] frame;
        input       shadow;
        f_direct = (frame == V && enter == 2'd0) || frame == S0 || (frame == S1 && shadow);
    endfunction
    function f_tea_level;
        input [2:0] level;
        f_tea_level = level == 3'd1 || level == 3'd2 || level == 3'd3;
    endfunction
    function f_walk_ok;
        input [`DMT_WALK_W-1:0] w;
        reg [1:0] frame, owner0, owner1;
        begin
            frame  = w[`DMT_WALK_FRAME];
            owner0 = w[`DMT_WALK_OWNER0];
            owner1 = w[`DMT_WALK_OWNER1];
            f_walk_ok = frame != 2'd3
                && (frame != S0 || enter != 2'd0) && (frame != S1 || enter == 2'd2)
                && (!w[`DMT_WALK_SHADOW] || (!full && enter == 2'd2))
                && (frame != S0 || !w[`DMT_WALK_SHADOW])
                && (frame != S0 || (owner0 != S0 && (owner0 != S1 || enter == 2'd2)))
                && (enter != 2'd2 || frame == V || owner1 == V || owner1 == `DMT_OWNER_FINAL)
                && (!w[`DMT_WALK_EXCL] || w[`DMT_WALK_LAST] == 2'd0)
                // on the shadow table's behalf stage 1 has registers only
                && (full || w[`DMT_WALK_SHADOW] || frame != S1 || w[`DMT_WALK_TEA])
                && (full || frame != S0 || owner0 != S1 || w[`DMT_WALK_S1_TEA])
                && (!w[`DMT_WALK_V_TEA] || f_tea_level(w[`DMT_WALK_V_LEVEL]))
                && (!w[`DMT_WALK_S1_TEA] || f_tea_level(w[`DMT_WALK_S1_LEVEL]));
        end
    endfunction
    function f_chain_ok;                   // a walk whose chain is in launch
        input [`DMT_WALK_W-1:0] w;
        f_chain_ok = f_walk_ok(w) && !w[`DMT_WALK_EXCL]
            && ((w[`DMT_WALK_FRAME] == V && enter != 2'd0)
                || (w[`DMT_WALK_FRAME] == S1 && !w[`DMT_WALK_SHADOW] && w[`DMT_WALK_S1_TEA]));
    endfunction
    // One read of a walk: its tag, level, rights above, address.
    function f_tag_ok;
        input [`DMT_WALK_W-1:0] w;
        input [T_W-1:0] t;
        input [2:0] level;
        f_tag_ok = t[7] == f_direct(w[`DMT_WALK_FRAME], w[`DMT_WALK_SHADOW])
            && (!t[7] || (t[6:5] == w[`DMT_WALK_FRAME] && t[4:2] == level))
            && (!w[`DMT_WALK_TEA] || f_tea_level(level));
    endfunction
    function f_rights_ok;                  // no right that the tables did not give
        input [T_W-1:0] t;
        input [3:0] rights;
        f_rights_ok = !t[7] || t[6:5] == V
            || ((!rights[1] || t[1]) && (!rights[0] || t[0]) && (!f_ept(t[6:5]) || !rights[0] || t[1]));
    endfunction
    function f_addr_ok;
        input [`DMT_WALK_W-1:0] w;
        input [T_W-1:0] t;
        input [PA_W-1:12] page;
        reg [3:0] loc0, loc1;              // where Y is read, the location was not given W
        begin
            loc0 = w[`DMT_WALK_LOC0];
            loc1 = w[`DMT_WALK_LOC1];
            f_addr_ok = page != X
                && (page != Y || (!t[7] && !w[`DMT_WALK_EXCL]
                                  && (!loc0[0] || (w[`DMT_WALK_FRAME] == V && !loc1[0]))));
        end
    endfunction

    // ------------------------------------------------------- what is assumed
    (* anyseq *) reg [T_W-1:0] now_tag, cache_tag;
    wire [63:0]      c_data = c_entry[`DMT_ENTRY_WORD];
    always @* begin
        // dmt_csr: codes and widths; the host's roots
        assume (enter != 2'd3);
        assume (&(pa_reserved >> (PA_W - 12) | ~({40{1'b1}} >> (PA_W - 12))));
        assume (root1 == ((enter == 2'd1) ? root : s2root1));
        assume (enter != 2'd2 || root2 == root);
        assume (s2root0 != X && s2root0 != Y && shadow_root != X && shadow_root != Y);
        assume (enter != 2'd0 || (root != X && root != Y));
        // dmt_contexts: what is stepped fits together; the host's tables
        if (is_b || (is_r && !c_surplus)) begin
            assume (f_walk_ok(c_walk));
            assume (f_tag_ok(c_walk, now_tag, c_entry[`DMT_ENTRY_LEVEL]) && f_rights_ok(now_tag, f_rights));
            assume (f_addr_ok(c_walk, now_tag, c_addr[PA_W-4:9]));
            assume (step_resp[1] || f_data_ok(now_tag, c_data));
            assume (!is_b || c_walk[`DMT_WALK_EXCL]);
            assume (c_left <= c_walk[`DMT_WALK_LAST]);
        end
        if (is_chain)
            assume (f_chain_ok(c_walk));
        // dmt_pwc: what hits was filled for a frame of this kind and level
        if (|cache_used) begin
            assume (f_tag_ok(routed_walk, cache_tag, to_level) && f_rights_ok(cache_tag, to_rights));
            assume (to_read[PA_W-1:12] != X && to_read[PA_W-1:12] != Y);
        end
        // dmt_csr, dmt_roots: registers change, and roots settle, while no walk is there
        assume (!settling || !match);
        // dmt_tea_file: in set 0 nothing is plain or unusable
        assume (a_set != 2'd0 || (plain == 3'd0 && unusable == 3'd0));
        assume (root1_hits[11:6] == 6'd0);
    end

    // ------------------------------------------------- which registers may be fetched
    function f_found;                      // this report says so for a size
        input [29:0] report;
        input [1:0]  size;
        input [5:0]  index;
        reg   [17:0] indices;
        begin
            indices = report[29:12];
            f_found = report[size] && !report[6 + size] && !report[9 + size] && indices[6 * size +: 6] == index;
        end
    endfunction
    // what dmt_route is told of what was compared
    wire [29:0] found = {hit_1g, hit_2m, hit_4k, unusable, plain, multi, hit};
    wire [51:0] root1_vpn = {{(64-PA_W){1'b0}}, root1}, root2_vpn = {{(64-PA_W){1'b0}}, root2};
    wire [2:0]  may_fetch;
    genvar z;
    generate
        for (z = 0; z < 3; z = z + 1) begin : g_may_fetch
            wire [5:0] index = to_index[6*z +: 6];
            assign may_fetch[z] = (to_set == a_set && to_vpn == a_vpn && f_found(found, z, index))
                               || (to_set == 2'd0 && to_vpn == root1_vpn && f_found(root1_hits, z, index))
                               || (to_set == 2'd1 && to_vpn == root2_vpn && f_found(root2_hits, z, index));
        end
    endgenerate

    // ------------------------------------------------------- the tag of what is loaded
    // Of an address that a step yields: by the entry it was yielded by.
    wire [63:0]      j_data = c_data;
    wire [T_W-1:0]   j_tag  = now_tag;
    wire [1:0]       j_kind = j_tag[6:5];
    wire             j_here = j_tag[7] && f_present(j_kind, j_data);
    wire             j_leaf = f_leaf(j_tag[4:2], j_data);
    wire             j_r    = j_tag[1] && f_read(j_kind, j_data);
    wire             j_w    = j_tag[0] && j_data[1];
    wire [51:12]     s_page = {{(52-PA_W){1'b0}}, step_addr[PA_W-1:12]};
    wire             j_next  = j_here && !j_leaf && s_page == j_data[51:12];
    wire             j_yield = j_here && j_leaf && j_r && f_maps(j_tag[4:2], j_data, s_page);
    wire [T_W-1:0]   read_tag = j_next ? {1'b1, j_kind, j_tag[4:2] - 3'd1, j_r, j_w} : GUEST;

    // Of an address that a match yields: by the root or the cached table it is in.
    wire [1:0]       r_frame = routed_walk[`DMT_WALK_FRAME];
    wire [PA_W-1:12] r_page  = to_read[PA_W-1:12];
    wire             r_root  = (r_frame == V  && enter == 2'd0 && r_page == root)
                            || (r_frame == S0 && r_page == s2root0)
                            || (r_frame == S1 && r_page == shadow_root);
    wire             r_five  = (r_frame == V) ? la57 : (r_frame == S0) ? s2ctl0[1] : shadow_ctl[1];
    wire [T_W-1:0]   route_tag = (|cache_used) ? cache_tag
                               : r_root ? {1'b1, r_frame, r_five ? 3'd5 : 3'd4, 2'b11} : GUEST;

    wire             new_refuse = match && to_refuse;
    wire             new_chain  = match && to_chain;
    wire             new_tea    = match && to_tea && !to_chain && !to_refuse;
    wire             new_read   = load && !new_refuse && !new_chain && !new_tea;
    wire [`DMT_WALK_W-1:0] new_walk = match ? routed_walk : step_walk;
    wire [T_W-1:0]   new_tag    = match ? route_tag : do_again ? j_tag : read_tag;
    wire [2:0]       new_level  = match ? to_level : load_level;
    wire [3:0]       new_rights = match ? to_rights : load_rights;
    wire [PA_W-1:12] new_page   = match ? r_page : load_read[PA_W-1:12];
    wire [T_W-1:0]   tea_tag    = {to_set == 2'd0, (enter == 2'd0) ? V : S0, 3'd1, 2'b11};

    (* keep *) reg ok_chain_fits, ok_walk_fits, ok_usable_registers, ok_tea_fits, ok_tag_fits, ok_rights_fit,
        ok_address_fits, ok_exclusive_fits, ok_step_provenance, ok_match_provenance, ok_write_fits,
        ok_no_write_to_y, ok_written_entry, ok_surplus, ok_fill_once, ok_fill_page, ok_fill_kind, ok_fill_host;
    always @* begin
        {ok_chain_fits, ok_walk_fits, ok_usable_registers, ok_tea_fits, ok_tag_fits, ok_rights_fit,
          ok_address_fits, ok_exclusive_fits, ok_step_provenance, ok_match_provenance, ok_write_fits,
          ok_no_write_to_y, ok_written_entry, ok_surplus, ok_fill_once, ok_fill_page, ok_fill_kind, ok_fill_host} =
          {18{1'b1}};
        if (g_on) begin
            if (new_chain && !new_refuse)
                ok_chain_fits = (f_chain_ok(new_walk));
            if (new_read || new_tea)
                ok_walk_fits = (f_walk_ok(new_walk));
            if (new_tea) begin
                ok_usable_registers = (|to_sizes && (to_sizes & ~may_fetch) == 3'd0);
                ok_tea_fits = (f_tag_ok(new_walk, tea_tag, 3'd1) && !new_walk[`DMT_WALK_EXCL]);
            end
            if (new_read) begin
                ok_tag_fits = (f_tag_ok(new_walk, new_tag, new_level));
                ok_rights_fit = (f_rights_ok(new_tag, new_rights));
                ok_address_fits = (f_addr_ok(new_walk, new_tag, new_page));
                ok_exclusive_fits = (new_walk[`DMT_WALK_EXCL] == do_again && new_walk[`DMT_WALK_LAST] == 2'd0);
            end
            // an address that a step reads: next host table, or what a leaf of the host's yields
            if (do_read)
                ok_step_provenance = (j_next || j_yield);
            if (match && new_read)
                ok_match_provenance = (r_root || |cache_used);
            // a write goes to what was read, exclusively and alone; the entry stays as it was
            if (do_update) begin
                ok_write_fits = (c_walk[`DMT_WALK_EXCL] && c_walk[`DMT_WALK_LAST] == 2'd0);
                ok_no_write_to_y = (c_addr[PA_W-4:9] != X && c_addr[PA_W-4:9] != Y);
                ok_written_entry = (f_data_ok(now_tag, update_value));
            end
            // what nobody waits for leads nowhere
            if (step_r && c_surplus)
                ok_surplus = !(do_wait || do_read || do_again || do_match || do_update || do_result);
            // what is cached: tables of the host, or what a leaf yields that can be written
            if (fill_v || fill_s) begin
                ok_fill_once = (!(fill_v && fill_s) && do_read);
                ok_fill_page = (fill_table == step_addr[PA_W-1:12] && fill_table != X && fill_table != Y);
                ok_fill_kind = (read_tag[7] == (fill_v ? enter == 2'd0 : !fill_s1 || !full));
                if (read_tag[7])
                    ok_fill_host = (read_tag[6:5] == (fill_v ? V : fill_s1 ? S1 : S0)
                                       && read_tag[4:2] == fill_level - 3'd1
                                       && f_rights_ok(read_tag, fill_rights));
            end
        end
    end

    // -------------------------------------------------------------------- launch
    reg              l_tea, l_excl, l_seen;
    reg [1:0]        l_set;
    reg [51:0]       l_vpn;
    reg [2:0]        l_sizes;
    reg [17:0]       l_index;
    initial l_seen = 1'b0;                 // reset was
    always @(posedge clk_i) begin
        if (rst_i)
            l_seen <= 1'b1;
        if (load) begin
            l_tea   <= new_tea;
            l_excl  <= do_again;
            l_set   <= to_set;
            l_vpn   <= to_vpn;
            l_sizes <= to_sizes;
            l_index <= to_index;
        end
    end
    wire g_on = l_seen && !rst_i;

    (* hierconn *) wire \u_launch.valid_q , \u_launch.match_q , \u_launch.chain_q , \u_launch.refuse_q ,
                        \u_launch.excl_q ;
    (* hierconn *) wire [2:0] \u_launch.sizes_q ;
    (* hierconn *) wire [1:0] \u_launch.set_q ;
    (* hierconn *) wire [5:0] \u_launch.index_1g_q , \u_launch.index_2m_q , \u_launch.index_4k_q ;
    (* hierconn *) wire [51:0] \u_launch.vpn_q ;
    (* hierconn *) wire [PA_W-4:0] \u_launch.addr_q ;
    wire [PA_W-1:12] l_page  = \u_launch.addr_q [PA_W-4:9];
    wire [2:0]       l_now   = 3'b001 << sel_sz;
    wire             l_as_found = sel_set == l_set && sel_vpn == l_vpn && |(l_now & l_sizes)
                               && sel_index == l_index[6 * sel_sz +: 6];

    // dmt_tea_file: a register that was found usable, and has not changed since.
    always @*
        if (emit && l_tea && l_as_found)
            assume (sel_entry[PA_W-1:12] != X && sel_entry[PA_W-1:12] != Y);

    (* keep *) reg ok_launch_kind, ok_launch_page, ok_launch_tea, ok_no_read_of_x, ok_no_lock_of_y, ok_as_found;
    always @* begin
        {ok_launch_kind, ok_launch_page, ok_launch_tea, ok_no_read_of_x, ok_no_lock_of_y, ok_as_found} =
          {6{1'b1}};
        if (g_on) begin
            if (\u_launch.valid_q && !\u_launch.refuse_q && !\u_launch.chain_q ) begin
                ok_launch_kind = (l_tea == \u_launch.match_q && l_excl == \u_launch.excl_q && !(l_tea && l_excl));
                if (!l_tea)
                    ok_launch_page = (l_page != X && (!l_excl || l_page != Y));
                else
                    ok_launch_tea = (\u_launch.set_q == l_set && \u_launch.vpn_q == l_vpn
                        && {\u_launch.index_1g_q , \u_launch.index_2m_q , \u_launch.index_4k_q } == l_index
                        && |\u_launch.sizes_q && (\u_launch.sizes_q & ~l_sizes) == 3'd0);
            end
            if (emit) begin
                ok_no_read_of_x = (emit_addr[PA_W-1:12] != X);
                ok_no_lock_of_y = (!emit_excl || emit_addr[PA_W-1:12] != Y);
                if (l_tea)
                    ok_as_found = (l_as_found && emit_level == {1'b0, sel_sz} + 3'd1
                                      && emit_rights[1:0] == sel_allow[1:0]);
            end
        end
    end

    (* keep *) wire invariant = &{ok_chain_fits, ok_walk_fits, ok_usable_registers, ok_tea_fits, ok_tag_fits,
        ok_rights_fit, ok_address_fits, ok_exclusive_fits, ok_step_provenance, ok_match_provenance,
        ok_write_fits, ok_no_write_to_y, ok_written_entry, ok_surplus, ok_fill_once, ok_fill_page,
        ok_fill_kind, ok_fill_host, ok_launch_kind, ok_launch_page, ok_launch_tea, ok_no_read_of_x,
        ok_no_lock_of_y, ok_as_found};

    // What a step sends to launch is what is kept for its context; apart from the invariant,
    // as the solver takes twenty times as long with m_walk in there.
    (* keep *) wire ok_ahead = !g_on || !new_read || match || m_walk == step_walk;

    // ------------------------------------------------------------- not for nothing
    wire c_root = g_on && new_read && match && !(|cache_used);
    wire c_hit  = g_on && new_read && match && |cache_used;
    wire c_step = g_on && do_read && match_frame != 2'd3;
    wire [1:0] c_to = step_walk[`DMT_WALK_FRAME];
    (* keep *) wire see_root_native = c_root && enter == 2'd0;
    (* keep *) wire see_root_stage0 = c_root && r_frame == S0 && do_match && match_frame == S0;
    (* keep *) wire see_root_below_v = c_root && r_frame == S0 && front_go && enter == 2'd1;
    (* keep *) wire see_root_of_root = c_root && r_frame == S0 && front_go && enter == 2'd2;
    (* keep *) wire see_root_shadow = c_root && r_frame == S1 && enter == 2'd2;
    (* keep *) wire see_next_native = c_step && j_next && c_to == V;
    (* keep *) wire see_next_stage0 = c_step && j_next && c_to == S0;
    (* keep *) wire see_next_shadow = c_step && j_next && c_to == S1;
    (* keep *) wire see_yield_to_v = c_step && j_yield && c_to == V && enter == 2'd1;
    (* keep *) wire see_yield_to_v_2 = c_step && j_yield && c_to == V && enter == 2'd2 && j_kind == S0;
    (* keep *) wire see_yield_to_s1 = c_step && j_yield && c_to == S1;
    (* keep *) wire see_yield_of_shadow = c_step && j_yield && c_to == V && j_kind == S1;
    (* keep *) wire see_yield_is_y = c_step && j_yield && step_addr[PA_W-1:12] == Y;
    (* keep *) wire see_cached_host = c_hit && cache_tag[7];
    (* keep *) wire see_cached_v = c_hit && !cache_tag[7] && m_frame == V;
    (* keep *) wire see_cached_s1 = c_hit && !cache_tag[7] && m_frame == S1;
    (* keep *) wire see_tea_native = g_on && new_tea && to_set == 2'd0 && enter == 2'd0;
    (* keep *) wire see_tea_stage0 = g_on && new_tea && to_set == 2'd0 && m_frame == S0;
    (* keep *) wire see_tea_gtea1 = g_on && new_tea && to_set == 2'd1 && to_sizes == 3'b111;
    (* keep *) wire see_tea_gtea2 = g_on && new_tea && to_set == 2'd2;
    (* keep *) wire see_tea_root1 = g_on && new_tea && to_set == 2'd0 && m_frame == V && enter == 2'd1;
    (* keep *) wire see_tea_root2 = g_on && new_tea && to_set == 2'd1 && m_frame == V && enter == 2'd2;
    (* keep *) wire see_chain_v = g_on && is_chain && c_walk[`DMT_WALK_FRAME] == V && load;
    (* keep *) wire see_chain_s1 = g_on && is_chain && c_walk[`DMT_WALK_FRAME] == S1 && load;
    (* keep *) wire see_refused_gtea = g_on && load && new_refuse && to_refuse_gtea;
    (* keep *) wire see_refused_width = g_on && load && new_refuse && !to_refuse_gtea;
    (* keep *) wire see_write = g_on && do_update && c_walk[`DMT_WALK_FRAME] == V && enter == 2'd2;
    (* keep *) wire see_table_not_writable = g_on && do_result && c_addr[PA_W-4:9] == Y && res_status == `DMT_STATUS_EPT_VIOLATION;
    (* keep *) wire see_filled_host = g_on && fill_s && read_tag[7];
    (* keep *) wire see_filled_v = g_on && fill_v && !read_tag[7];
    (* keep *) wire see_emitted = emit && l_tea && sel_set == 2'd2;
