// SPDX-License-Identifier: Apache-2.0
// dmt_tea_file: the TEA registers and their match.
//
// SETS sets of TEA_N registers, written and read a 64-bit word at a time by
// the CSR block. Matching takes two cycles: in the first every register of a
// set is compared with an address, in parallel (hit_o, index_o, multi_o are
// combinational from set_i and vpn_i); in the second the chosen register's
// entry address is computed (entry_o, allow_o, combinational from sel_*).
// A register of KIND GTEA carries what dmt_loader resolved: the gTEA's base
// and, in pages of its own range, how far the gTEA reaches; a guest's words
// never become an address. unusable_o: not resolved, or past that bound.
// Registers change only while no walk is in flight, so a register chosen in
// one cycle is still the same in the next.
// Bits of hit_o, multi_o: {1G, 2M, 4K}.
`default_nettype none
`include "dmt_regs.vh"

module dmt_tea_file #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // registers a set, 2..64
    parameter TEA_N = 16,
    // sets, 1..3
    parameter SETS = 3,
    // 1: a write is checked in the two cycles before it, and an entry's address is
    // there a cycle later
    parameter PIPE = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // words, from the CSR block; refused_o answers a write in its own cycle. With
    // PIPE = 1 set, index and data are there for two cycles before we_i, too.
    input  wire             we_i,
    input  wire [1:0]       w_set_i,
    input  wire [5:0]       w_index_i,
    input  wire [1:0]       w_word_i,
    input  wire [63:0]      w_data_i,
    output wire             refused_o,
    input  wire             clear_i,       // clear P of every register
    input  wire             clear_set_i,   // clear P of the registers of w_set_i
    input  wire [51:12]     pa_reserved_i, // ones at and above MAXPHYADDR
    input  wire [1:0]       r_set_i,
    input  wire [5:0]       r_index_i,
    input  wire [1:0]       r_word_i,
    output wire [63:0]      r_data_o,

    // gTEAs: the register the loader looks at, what it found, revocation
    input  wire [1:0]       g_set_i,
    input  wire [5:0]       g_index_i,
    output wire             g_valid_o,     // P=1 and KIND GTEA
    output wire [11:0]      g_id_o,
    input  wire             g_we_i,
    input  wire [2:0]       g_resolution_i,
    input  wire [51:0]      g_base_i,      // first frame
    input  wire [51:0]      g_pages_i,
    input  wire             revoke_i,
    input  wire             revoke_all_i,  // else registers with revoke_id_i
    input  wire [1:0]       revoke_set_i,
    input  wire [11:0]      revoke_id_i,

    // first cycle: compare
    input  wire [1:0]       set_i,
    input  wire [51:0]      vpn_i,
    output wire [2:0]       hit_o,
    output wire [2:0]       multi_o,
    output wire [2:0]       plain_o,       // the register is KIND PA, of a set above 0
    output wire [2:0]       unusable_o,
    output wire [5:0]       index_4k_o,
    output wire [5:0]       index_2m_o,
    output wire [5:0]       index_1g_o,

    // second cycle: address of the entry
    input  wire [1:0]       sel_set_i,
    input  wire [5:0]       sel_index_i,
    input  wire [1:0]       sel_sz_i,
    input  wire [51:0]      sel_vpn_i,
    output wire [PA_W-1:3]  entry_o,
    output wire [2:0]       allow_o,       // {X, U, W}
    output wire [12:0]      sel_gtea_o     // {not resolved, ID}
);

    localparam N     = SETS * TEA_N;
    localparam IDX_W = $clog2(N);

    // Kept twice: here for reading one register at a time, so that the arrays
    // map to LUT RAM, and once more beside its comparator (g_compare). A small file
    // of one set is read there: that costs less where there is no LUT RAM.
    localparam SMALL = SETS == 1 && TEA_N <= 8;
    // (64 bits apart, so that an index selects without being multiplied.)
    wire [64*TEA_N-1:0] near_base;
    wire [4*TEA_N-1:0]  near_type;         // {KIND, SZ}
    reg [51:0] base_vpn_q [0:N-1];
    reg [63:0] pages_q    [0:N-1];
    reg [51:0] base_pfn_q [0:N-1];
    reg [11:0] gtea_q     [0:N-1];
    reg [2:0]  allow_q    [0:N-1];         // {W, U, X} as in the word
    reg [1:0]  kind_q     [0:N-1];
    reg [1:0]  sz_q       [0:N-1];
    reg [3:0]  refusal_q  [0:N-1];
    reg [N-1:0] p_q;
    // Words written since reset: the others are zero, so that reset need not
    // reach into the arrays.
    reg [N-1:0] seen0_q, seen1_q, seen2_q;

    // Place of register `index` of set `set` in the arrays.
    localparam [31:0] TEA_32 = TEA_N;
    function [IDX_W-1:0] flat;
        input [1:0] set;
        input [5:0] index;
        reg   [7:0] sum;
        reg         unused;
        begin
            sum    = ((set == 2'd0) ? 8'd0 : (set == 2'd1) ? TEA_32[7:0] : {TEA_32[6:0], 1'b0}) + {2'd0, index};
            flat   = sum[IDX_W-1:0];
            unused = &{1'b0, sum};
        end
    endfunction

    // ------------------------------------------------------------- write, check
    wire [IDX_W-1:0] wx = flat(w_set_i, w_index_i);

    wire [51:0] new_base  = w_data_i[`DMT_TEA_WORD0_BASE_VPN_LSB +: 52];
    wire [1:0]  new_kind  = w_data_i[`DMT_TEA_WORD0_KIND_LSB +: 2];
    wire [1:0]  new_sz    = w_data_i[`DMT_TEA_WORD0_SZ_LSB +: 2];
    wire [2:0]  new_allow = w_data_i[`DMT_TEA_WORD0_ALLOW_X_LSB +: 3];
    wire        new_p     = w_data_i[`DMT_TEA_WORD0_P_LSB];
    wire [63:0] pages     = pages_q[wx] & {64{seen2_q[wx]}};
    wire [51:0] base_pfn  = base_pfn_q[wx] & {52{seen1_q[wx]}};

    // Where its pages end, and where the entry of its last page is.
    wire [53:0] vpn_end   = {2'b00, new_base} + {1'b0, pages[52:0]};
    wire [52:0] pages_m1  = pages[52:0] - 53'd1;
    wire [52:0] last      = (new_sz == `DMT_SIZE_1G) ? {18'd0, pages_m1[52:18]}
                          : (new_sz == `DMT_SIZE_2M) ? {9'd0, pages_m1[52:9]}
                          :                            pages_m1;
    wire [51:0] c_base_pfn;
    wire [52:0] c_last;
    wire [53:0] c_end;
    wire        c_empty, c_huge;
    wire [61:0] last_slot = {1'b0, c_base_pfn, 9'd0} + {9'd0, c_last};

    wire bad_reserved = |w_data_i[`DMT_TEA_WORD0_RSVD_LSB +: 4];
    wire bad_sz       = new_sz == 2'd3;
    wire bad_kind     = new_kind[1] || (new_kind == `DMT_KIND_GTEA && w_set_i == 2'd0);
    wire bad_empty    = c_empty;
    wire bad_wrap     = c_huge || c_end[53] || (c_end[52] && |c_end[51:0]);
    wire bad_width    = new_kind == `DMT_KIND_PA
                     && ((|last_slot[61:49]) || |(last_slot[48:9] & pa_reserved_i));

    wire unused_slot = &{1'b0, last_slot[8:0]};

    wire [3:0] found  = bad_reserved ? `DMT_REFUSAL_RESERVED
                      : bad_sz       ? `DMT_REFUSAL_SZ
                      : bad_kind     ? `DMT_REFUSAL_KIND
                      : bad_empty    ? `DMT_REFUSAL_EMPTY
                      : bad_wrap     ? `DMT_REFUSAL_WRAP
                      : bad_width    ? `DMT_REFUSAL_WIDTH
                      :                `DMT_REFUSAL_NONE;
    wire [3:0] reason;
    wire       empty = pages == 64'd0;
    wire       huge  = |pages[63:53];
    generate
        if (PIPE != 0) begin : g_check
            reg [51:0] base_pfn_c_q;
            reg [52:0] last_c_q;
            reg [53:0] end_c_q;
            reg        empty_c_q, huge_c_q;
            reg [3:0]  reason_c_q;
            always @(posedge clk_i) begin
                {base_pfn_c_q, last_c_q, end_c_q} <= {base_pfn, last, vpn_end};
                {empty_c_q, huge_c_q}             <= {empty, huge};
                reason_c_q <= found;
            end
            assign {c_base_pfn, c_last, c_end} = {base_pfn_c_q, last_c_q, end_c_q};
            assign {c_empty, c_huge}           = {empty_c_q, huge_c_q};
            assign reason = reason_c_q;
        end else begin : g_check_now
            assign {c_base_pfn, c_last, c_end} = {base_pfn, last, vpn_end};
            assign {c_empty, c_huge}           = {empty, huge};
            assign reason = found;
        end
    endgenerate
    wire refused = new_p && reason != `DMT_REFUSAL_NONE;
    assign refused_o = we_i && w_word_i == 2'd0 && refused;

    always @(posedge clk_i) begin
        if (we_i) begin
            if (w_word_i == 2'd0) begin
                base_vpn_q[wx] <= new_base;
                allow_q[wx]    <= new_allow;
                kind_q[wx]     <= new_kind;
                sz_q[wx]       <= new_sz;
                refusal_q[wx]  <= refused ? reason : `DMT_REFUSAL_NONE;
            end
            if (w_word_i == 2'd1) begin
                base_pfn_q[wx] <= w_data_i[`DMT_TEA_WORD1_BASE_PFN_LSB +: 52];
                gtea_q[wx]     <= w_data_i[`DMT_TEA_WORD1_GTEA_ID_LSB +: 12];
            end
            if (w_word_i == 2'd2)
                pages_q[wx]    <= w_data_i;
        end
    end

    integer s;
    always @(posedge clk_i) begin
        if (rst_i) begin
            p_q     <= {N{1'b0}};
            seen0_q <= {N{1'b0}};
            seen1_q <= {N{1'b0}};
            seen2_q <= {N{1'b0}};
        end else if (clear_i) begin
            p_q <= {N{1'b0}};
        end else if (clear_set_i) begin
            for (s = 0; s < N; s = s + 1)
                if (s / TEA_N == {30'd0, w_set_i})
                    p_q[s] <= 1'b0;
        end else if (we_i && w_word_i != 2'd3) begin
            p_q[wx] <= w_word_i == 2'd0 && new_p && !refused;
            case (w_word_i)
            2'd0:    seen0_q[wx] <= 1'b1;
            2'd1:    seen1_q[wx] <= 1'b1;
            default: seen2_q[wx] <= 1'b1;
            endcase
        end
    end

    // -------------------------------------------------------------------- read
    wire [IDX_W-1:0] rx = flat(r_set_i, r_index_i);
    wire [51:0] r_base  = SMALL ? near_base[64*rx +: 52] : base_vpn_q[rx];
    wire [3:0]  r_type  = SMALL ? near_type[4*rx +: 4]   : {kind_q[rx], sz_q[rx]};
    wire [63:0] r_word0 = {r_base, 4'd0, allow_q[rx], r_type, p_q[rx]};
    wire [63:0] r_word1 = {base_pfn_q[rx], gtea_q[rx]};
    wire [63:0] r_word3 = {56'd0, r_resolution, refusal_q[rx], p_q[rx]};
    assign r_data_o = (r_word_i == 2'd0) ? r_word0 & {64{seen0_q[rx]}}
                    : (r_word_i == 2'd1) ? r_word1 & {64{seen1_q[rx]}}
                    : (r_word_i == 2'd2) ? pages_q[rx] & {64{seen2_q[rx]}}
                    :                      r_word3 & {64{seen0_q[rx]}};

    // ----------------------------------------------------------------- compare
    // base <= VPN < base + pages: ranges never wrap, and where one ends is stored
    // when it becomes valid, so that both are compared at once. A comparator serves
    // the registers of one index, of the set asked for.
    localparam SET_W = (SETS > 1) ? 2 : 1;
    localparam DEPTH = (SETS > 1) ? 4 : 1;
    wire [SET_W-1:0] at   = (SETS > 1) ? set_i[SET_W-1:0]   : {SET_W{1'b0}};
    wire [SET_W-1:0] w_at = (SETS > 1) ? w_set_i[SET_W-1:0] : {SET_W{1'b0}};
    wire [TEA_N-1:0] cover_4k, cover_2m, cover_1g, plain, usable;
    genvar g, n;
    generate
        for (g = 0; g < TEA_N; g = g + 1) begin : g_compare
            reg [51:0] base_q [0:DEPTH-1];
            reg [52:0] end_q  [0:DEPTH-1];
            reg [3:0]  type_q [0:DEPTH-1];  // {KIND, SZ}
            always @(posedge clk_i)
                if (we_i && w_index_i == g && w_word_i == 2'd0) begin
                    base_q[w_at] <= new_base;
                    end_q[w_at]  <= c_end[52:0];
                    type_q[w_at] <= {new_kind, new_sz};
                end

            wire [SETS-1:0] p;
            for (n = 0; n < SETS; n = n + 1) begin : g_p
                assign p[n] = p_q[n*TEA_N + g] && (SETS == 1 || set_i == n);
            end
            assign near_base[64*g +: 64] = {12'd0, base_q[0]};
            assign near_type[4*g +: 4]   = type_q[0];
            wire [3:0]  kind_sz = type_q[at];
            wire        covers  = |p && vpn_i >= base_q[at] && {1'b0, vpn_i} < end_q[at];
            assign plain[g]    = set_i != 2'd0 && kind_sz[3:2] == `DMT_KIND_PA;
            assign cover_4k[g] = covers && kind_sz[1:0] == `DMT_SIZE_4K;
            assign cover_2m[g] = covers && kind_sz[1:0] == `DMT_SIZE_2M;
            assign cover_1g[g] = covers && kind_sz[1:0] == `DMT_SIZE_1G;
        end
    endgenerate

    function [5:0] lowest;
        input [TEA_N-1:0] hits;
        integer k;
        begin
            lowest = 6'd0;
            for (k = TEA_N - 1; k >= 0; k = k - 1)
                if (hits[k])
                    lowest = k[5:0];
        end
    endfunction

    // Of the register at `index`, when there are sets with gTEAs at all.
    function pick;
        input [TEA_N-1:0] of;
        input [TEA_N-1:0] hits;
        pick = |(of & hits & ~(hits - 1'b1));
    endfunction
    assign plain_o    = {pick(plain, cover_1g), pick(plain, cover_2m), pick(plain, cover_4k)};
    assign unusable_o = {pick(~usable, cover_1g), pick(~usable, cover_2m), pick(~usable, cover_4k)};

    assign hit_o      = {|cover_1g, |cover_2m, |cover_4k};
    assign multi_o    = {|(cover_1g & (cover_1g - 1'b1)),
                         |(cover_2m & (cover_2m - 1'b1)),
                         |(cover_4k & (cover_4k - 1'b1))};
    assign index_4k_o = lowest(cover_4k);
    assign index_2m_o = lowest(cover_2m);
    assign index_1g_o = lowest(cover_1g);

    // ----------------------------------------------------------------- address
    wire [IDX_W-1:0] sx     = flat(sel_set_i, sel_index_i);
    // With PIPE = 1 a register stands between the two additions.
    localparam A_W = 52 + 2 + 52 + 3 + 13;
    wire [51:0]      sel_base = SMALL ? near_base[64*sx +: 52] : base_vpn_q[sx];
    wire [A_W-1:0]   now_a = {sel_vpn_i - sel_base, sel_sz_i,
                              sel_gtea ? sel_gbase : base_pfn_q[sx] & {52{seen1_q[sx]}}, allow_q[sx], sel_code};
    wire [A_W-1:0]   then_a;
    generate
        if (PIPE != 0) begin : g_address
            reg [A_W-1:0] a_q;
            always @(posedge clk_i)
                a_q <= now_a;
            assign then_a = a_q;
        end else begin : g_address_now
            assign then_a = now_a;
        end
    endgenerate
    wire [51:0]      offset, pfn;
    wire [1:0]       slot_sz;
    wire [2:0]       wux;
    assign {offset, slot_sz, pfn, wux, sel_gtea_o} = then_a;
    wire [51:0]      slot   = (slot_sz == `DMT_SIZE_1G) ? {18'd0, offset[51:18]}
                            : (slot_sz == `DMT_SIZE_2M) ? {9'd0, offset[51:9]}
                            :                             offset;
    wire [PA_W-4:0]  entry  = {pfn[PA_W-13:0], 9'd0} + slot[PA_W-4:0];

    assign entry_o = entry;
    assign allow_o = {wux[0], wux[1], wux[2]};

    // ------------------------------------------------------------------- gTEAs
    wire [2:0]  r_resolution;
    wire [51:0] sel_gbase;
    wire [12:0] sel_code;
    wire        sel_gtea = sel_set_i != 2'd0 && kind_q[sx] == `DMT_KIND_GTEA;
    generate
        if (SETS > 1) begin : g_gtea
            // of sets 1 and up
            reg [51:0]  gbase_q [0:N-1];
            reg  [3*N-1:0] resolution_q;
            wire [4*N-1:0] resolution; // the same, to be selected from

            wire [IDX_W-1:0] gx   = flat(g_set_i, g_index_i);
            wire [51:0] first    = base_pfn_q[gx] & {52{seen1_q[gx]}};
            wire [51:0] left      = (g_pages_i > first) ? g_pages_i - first : 52'd0;
            wire [1:0]  gsz       = sz_q[gx];
            wire        far       = (gsz == `DMT_SIZE_1G) ? |left[51:25]
                                  : (gsz == `DMT_SIZE_2M) ? |left[51:34]
                                  :                         |left[51:43];
            wire [52:0] reach     = (gsz == `DMT_SIZE_1G) ? {1'b0, left[24:0], 27'd0}
                                  : (gsz == `DMT_SIZE_2M) ? {1'b0, left[33:0], 18'd0}
                                  :                         {1'b0, left[42:0], 9'd0};
            wire [52:0] limit     = far ? {1'b1, 52'd0} : reach;
            assign g_valid_o = p_q[gx] && kind_q[gx] == `DMT_KIND_GTEA;
            assign g_id_o    = gtea_q[gx] & {12{seen1_q[gx]}};

            always @(posedge clk_i)
                if (g_we_i)
                    gbase_q[gx] <= g_base_i + first;

            // Where the gTEA ends, as a page number, so that a match compares it like the
            // range's own end; a cycle later than the rest, when nothing is matched with
            // it yet: after the loader the roots settle, stage 0's first.
            reg         end_we_q;
            reg [1:0]   end_set_q;
            reg [5:0]   end_index_q;
            reg [51:0]  from_q;
            reg [52:0]  limit_q;
            wire [52:0] gtea_end = {1'b0, from_q} + limit_q;
            always @(posedge clk_i) begin
                end_we_q    <= g_we_i;
                end_set_q   <= g_set_i;
                end_index_q <= g_index_i;
                from_q      <= base_vpn_q[gx];
                limit_q     <= limit;
            end

            for (g = 0; g < TEA_N; g = g + 1) begin : g_within
                reg [52:0] bound_q [0:3];
                reg [11:0] id_q    [0:3];
                always @(posedge clk_i) begin
                    if (end_we_q && end_index_q == g)
                        bound_q[end_set_q] <= gtea_end;
                    if (we_i && w_index_i == g && w_word_i == 2'd1)
                        id_q[w_set_i] <= w_data_i[`DMT_TEA_WORD1_GTEA_ID_LSB +: 12];
                end

                wire [3:0] ok, id_seen;
                wire       named = (id_q[revoke_set_i] & {12{id_seen[revoke_set_i]}}) == revoke_id_i;
                for (n = 0; n < 4; n = n + 1) begin : g_set
                    if (n < SETS) begin : g_has
                        localparam AT = n * TEA_N + g;
                        reg  gtea_kind_q;
                        wire written = we_i && w_word_i == 2'd0 && w_set_i == n && w_index_i == g;
                        wire loaded  = g_we_i && g_set_i == n && g_index_i == g;
                        wire revoked = revoke_i && revoke_set_i == n && p_q[AT] && gtea_kind_q
                                    && (revoke_all_i || named);
                        always @(posedge clk_i) begin
                            if (written)
                                gtea_kind_q <= new_kind == `DMT_KIND_GTEA;
                            if (rst_i || clear_i || written)
                                resolution_q[3*AT +: 3] <= `DMT_RESOLUTION_NOT_TRIED;
                            else if (loaded)
                                resolution_q[3*AT +: 3] <= g_resolution_i;
                            else if (revoked)
                                resolution_q[3*AT +: 3] <= `DMT_RESOLUTION_REVOKED;
                        end
                        assign resolution[4*AT +: 4] = {1'b0, resolution_q[3*AT +: 3]};
                        assign ok[n]      = resolution_q[3*AT +: 3] == `DMT_RESOLUTION_OK;
                        assign id_seen[n] = seen1_q[AT];
                    end else begin : g_not
                        assign ok[n]      = 1'b0;
                        assign id_seen[n] = 1'b0;
                    end
                end

                assign usable[g] = set_i == 2'd0 || g_compare[g].kind_sz[3:2] == `DMT_KIND_PA
                                || (ok[set_i] && {1'b0, vpn_i} < bound_q[set_i]);
            end

            assign r_resolution = resolution[4*rx +: 3];
            wire unused_res     = &{1'b0, resolution};
            assign sel_gbase    = gbase_q[sx];
            assign sel_code     = {resolution[4*sx +: 3] != `DMT_RESOLUTION_OK,
                                   gtea_q[sx] & {12{seen1_q[sx]}}};
        end else begin : g_no_gtea
            assign usable       = {TEA_N{1'b1}};
            assign g_valid_o    = 1'b0;
            assign g_id_o       = 12'd0;
            assign r_resolution = `DMT_RESOLUTION_NOT_TRIED;
            assign sel_gbase    = 52'd0;
            assign sel_code     = 13'd0;
            wire unused_gtea = &{1'b0, g_set_i, g_index_i, g_we_i, g_resolution_i, g_base_i, g_pages_i,
                                 revoke_i, revoke_all_i, revoke_set_i, revoke_id_i};
        end
    endgenerate

    // An entry beyond the physical width is refused when the register is written,
    // or when it is resolved.
    wire unused = &{1'b0, slot[51:PA_W-3], pfn[51:PA_W-12]};

endmodule

`default_nettype wire
