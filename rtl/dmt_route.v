// SPDX-License-Identifier: Apache-2.0
// dmt_route: where the translation of an address by a frame starts reading.
//
// Combinational: the match of docs/microarchitecture.md 3.4. Width check, then
// TEA registers, then the paging-structure cache, then the root; the root of a
// frame that is not stage 0's lies at an address of the frame below, which is
// looked up in dmt_roots in the same cycle, up to two times (V on S1 on S0).
// Out come what dmt_launch has to do and what the walk knows from now on.
`default_nettype none
`include "dmt_regs.vh"
`include "dmt_walk.vh"

module dmt_route #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    // what is to be translated
    input  wire [1:0]       frame_i,
    input  wire [63:12]     addr_i,
    input  wire [2:0]       sizes_i,       // allowed, {1G, 2M, 4K}
    input  wire             restart_i,
    input  wire [`DMT_WALK_W-1:0] walk_i,

    // TEA registers of its stage: what matches, KIND PA above set 0, not usable
    input  wire [2:0]       hit_i,
    input  wire [2:0]       multi_i,
    input  wire [2:0]       plain_i,
    input  wire [2:0]       bad_i,
    input  wire [17:0]      index_i,       // {1G, 2M, 4K}
    // the same for the page of root 1 in set 0, and of root 2 in set 1
    input  wire [29:0]      root1_hits_i,  // {index, bad, plain, multi, hit}
    input  wire [29:0]      root2_hits_i,

    // paging-structure cache of its kind
    input  wire [4:2]       cache_i,       // one-hot or none
    input  wire [PA_W-1:12] cache_table_i,
    input  wire [3:0]       cache_rights_i,

    // control
    input  wire [1:0]       enter_i,
    input  wire             la57_i,
    input  wire             full_i,
    input  wire [PA_W-1:12] root_v_i,
    input  wire [PA_W-1:12] root1_i,       // S2ROOT of stage 1
    input  wire [PA_W-1:12] root0_i,
    input  wire [PA_W-1:12] shadow_root_i,
    input  wire             five0_i,
    input  wire             five1_i,
    input  wire             shadow_five_i,

    // launch
    output wire             tea_o,         // addresses come from TEA registers
    output wire             chain_o,       // its entry's address is matched next
    output wire             refuse_o,
    output wire             refuse_gtea_o,
    output wire [1:0]       set_o,
    output wire [2:0]       sizes_o,         // sizes, {1G, 2M, 4K}
    output wire [17:0]      index_o,
    output wire [51:0]      vpn_o,
    output wire [PA_W-1:3]  read_o,        // else this address,
    output wire [2:0]       level_o,       // level
    output wire [3:0]       rights_o,      // and rights

    output wire [`DMT_WALK_W-1:0] walk_o,
    output wire [2:0]       multi_hit_o,   // by set
    output wire [4:2]       cache_used_o
);

    localparam [1:0] V = `DMT_FRAME_V, S0 = `DMT_FRAME_S0, S1 = `DMT_FRAME_S1;

    // what a set says: bits of root*_hits_i
    localparam HIT = 0, MULTI = 3, PLAIN = 6, BAD = 9, INDEX = 12;

    function [8:0] slot;
        input [2:0]  level;
        input [56:12] addr;
        slot = (level == 3'd5) ? addr[56:48]
             : (level == 3'd4) ? addr[47:39]
             : (level == 3'd3) ? addr[38:30]
             : (level == 3'd2) ? addr[29:21]
             :                   addr[20:12];
    endfunction

    // Sizes used now: all of them, or the largest alone when a plain register
    // is among them.
    function [2:0] now;
        input [2:0] hit, plain;
        now = !(|(hit & plain)) ? hit : hit[2] ? 3'b100 : hit[1] ? 3'b010 : 3'b001;
    endfunction

    function [5:0] index_of;               // of the largest size: 1G, 2M, else 4K
        input [1:0]  above_4k;
        input [17:0] index;
        index_of = above_4k[1] ? index[17:12] : above_4k[0] ? index[11:6] : index[5:0];
    endfunction

    function [1:0] higher;                 // of two path codes
        input [1:0] a, b;
        higher = (a > b) ? a : b;
    endfunction

    wire native = enter_i == 2'd0;
    wire two    = enter_i == 2'd2;

    // ------------------------------------------------------- first: the frame
    wire is_v  = frame_i == V;
    wire is_s1 = frame_i == S1;
    wire s1_five  = full_i ? five1_i : shadow_five_i;
    wire f_five   = is_s1 ? s1_five : five0_i;
    wire f_wide   = !is_v && !f_five && |addr_i[51:48];
    wire [2:0] f_hit  = hit_i & sizes_i & {3{!f_wide}};
    wire [2:0] f_use  = now(f_hit, plain_i);
    wire [2:0] f_bad  = f_use & bad_i;
    wire f_tea    = |f_hit;
    wire f_cache  = !f_wide && !f_tea && |cache_i;
    wire f_root   = !f_wide && !f_tea && !(|cache_i);
    wire f_direct = (is_v && native) || frame_i == S0 || (is_s1 && !full_i);
    wire [2:0] f_top  = ((is_v && la57_i) || (!is_v && f_five)) ? 3'd5 : 3'd4;
    wire [PA_W-1:12] f_base = is_v ? root_v_i : !is_s1 ? root0_i : full_i ? root1_i : shadow_root_i;

    // ------------------------------- second: the frame below, for the root's entry
    wire g_on     = f_root && !f_direct;
    wire g_s1     = is_v && two;            // else S0
    wire [51:0] g_addr = {{(52-PA_W){1'b0}}, f_base, slot(f_top, addr_i[56:12]), 3'd0};
    wire [29:0] g_found = g_s1 ? root2_hits_i : root1_hits_i;
    wire g_five   = g_s1 ? s1_five : five0_i;
    wire g_wide   = g_on && !g_five && |g_addr[51:48];
    wire [2:0] g_hit = g_found[HIT +: 3] & {3{g_on && !g_wide}};
    wire [2:0] g_use = now(g_hit, g_found[PLAIN +: 3]);
    wire [2:0] g_bad = g_use & g_found[BAD +: 3];
    wire g_tea    = |g_hit;
    wire g_root   = g_on && !g_wide && !g_tea;
    wire g_direct = !g_s1 || !full_i;
    wire [2:0] g_top = g_five ? 3'd5 : 3'd4;
    wire [PA_W-1:12] g_base = !g_s1 ? root0_i : full_i ? root1_i : shadow_root_i;

    // ------------------------------------------- third: S0, for the root of S1
    wire h_on     = g_root && !g_direct;
    wire [51:0] h_addr = {{(52-PA_W){1'b0}}, root1_i, slot(g_top, {5'd0, g_addr[51:12]}), 3'd0};
    wire h_wide   = h_on && !five0_i && |h_addr[51:48];
    wire [2:0] h_hit = root1_hits_i[HIT +: 3] & {3{h_on && !h_wide}};
    wire h_tea    = |h_hit;
    wire h_root   = h_on && !h_wide && !h_tea;
    wire [2:0] h_top = five0_i ? 3'd5 : 3'd4;

    // ------------------------------------------------------------------ launch
    // the frame whose entry is read, or that is refused
    wire [1:0] last    = h_on ? S0 : !g_on ? frame_i : g_s1 ? S1 : S0;
    wire [2:0] used     = f_use | g_use | h_hit;
    wire [2:0] bad     = f_bad | g_bad;     // registers of set 0 are always usable
    wire [17:0] index  = f_tea ? index_i : h_tea ? root1_hits_i[INDEX +: 18] : g_found[INDEX +: 18];
    wire       plain   = |(f_use & plain_i) || |(g_use & g_found[PLAIN +: 3]);

    assign refuse_gtea_o = |bad;
    assign refuse_o = f_wide || g_wide || h_wide || |bad;
    assign chain_o  = plain && !refuse_o;
    assign tea_o    = f_tea || g_tea || h_tea;
    assign set_o    = (last == V) ? enter_i : (last == S1) ? 2'd1 : 2'd0;
    assign sizes_o    = |bad ? bad : used;
    assign index_o  = index;
    // bits 63:52 of an address count in the entering stage alone
    assign vpn_o    = h_on ? {12'd0, h_addr[51:12]} : g_on ? {12'd0, g_addr[51:12]} : addr_i[63:12];

    wire [PA_W-1:12] base = h_root ? root0_i : g_root ? g_base : f_cache ? cache_table_i : f_base;
    assign level_o  = h_root ? h_top : g_root ? g_top
                    : f_cache ? (cache_i[2] ? 3'd1 : cache_i[3] ? 3'd2 : 3'd3)
                    : f_top;
    assign rights_o = f_cache ? cache_rights_i : 4'hF;
    wire [56:12] in_addr = h_root ? {5'd0, h_addr[51:12]} : g_root ? {5'd0, g_addr[51:12]} : addr_i[56:12];
    assign read_o   = {base, slot(level_o, in_addr)};

    assign cache_used_o = cache_i & {3{f_cache}};

    // ---------------------------------------------------------------- the walk
    wire [1:0] f_stage = is_v ? enter_i : {1'b0, is_s1};
    wire [1:0] f_path  = f_tea ? `DMT_PATH_TEA : restart_i ? `DMT_PATH_RESTART : `DMT_PATH_RADIX;
    wire [1:0] g_path  = g_tea ? `DMT_PATH_TEA : `DMT_PATH_RADIX;
    wire [1:0] h_path  = h_tea ? `DMT_PATH_TEA : `DMT_PATH_RADIX;
    wire       g_s0    = g_on && !g_s1;
    wire       g_is_s1 = g_on && g_s1;
    wire       s1_tea  = is_s1 ? f_tea : g_tea;

    // codes of each stage in this match, NOT_USED when it was not asked
    wire [1:0] path0 = h_on ? h_path : g_s0 ? g_path : (f_stage == 2'd0) ? f_path : `DMT_PATH_NOT_USED;
    wire [1:0] path1 = g_is_s1 ? g_path : (f_stage == 2'd1) ? f_path : `DMT_PATH_NOT_USED;
    wire [1:0] path2 = (f_stage == 2'd2) ? f_path : `DMT_PATH_NOT_USED;

    wire [1:0] count  = {1'b0, used[2]} + {1'b0, used[1]} + {1'b0, used[0]};
    wire [2:0] chosen = used[2] ? 3'd3 : used[1] ? 3'd2 : 3'd1;   // level of a single size

    reg [`DMT_WALK_W-1:0] next;
    always @* begin
        next = walk_i;
        next[`DMT_WALK_EXCL]  = 1'b0;
        next[`DMT_WALK_TEA]   = tea_o;
        next[`DMT_WALK_LAST]  = tea_o ? count - 2'd1 : 2'd0;
        next[`DMT_WALK_FRAME] = last;
        next[`DMT_WALK_PATH0] = higher(walk_i[`DMT_WALK_PATH0], path0);
        next[`DMT_WALK_PATH1] = higher(walk_i[`DMT_WALK_PATH1], path1);
        next[`DMT_WALK_PATH2] = higher(walk_i[`DMT_WALK_PATH2], path2);
        if (|bad)
            case (set_o)
            2'd0:    next[`DMT_WALK_INDEX0] = index_of(bad[2:1], index);
            2'd1:    next[`DMT_WALK_INDEX1] = index_of(bad[2:1], index);
            default: next[`DMT_WALK_INDEX2] = index_of(bad[2:1], index);
            endcase

        // S1 translates by a register or, in NESTED, by what fallback says
        if (is_s1 && !g_on)
            next[`DMT_WALK_SHADOW] = !f_tea && !full_i;
        if (g_is_s1)
            next[`DMT_WALK_SHADOW] = !g_tea && !full_i;

        // frames that wait for their entry: roots, and registers of a chain
        if (is_v) begin
            next[`DMT_WALK_LOC0]    = 4'hF;
            next[`DMT_WALK_LOC1]    = 4'hF;
            next[`DMT_WALK_V_TEA]   = f_tea;
            next[`DMT_WALK_V_LEVEL] = f_tea ? chosen : f_top;
            next[`DMT_WALK_V_RIGHTS] = 4'hF;
            next[`DMT_WALK_V_INDEX] = f_tea ? index_of(f_use[2:1], index_i) : 6'd0;
            next[`DMT_WALK_V_LEFT]  = f_hit & ~f_use;
        end
        if (is_s1 || g_is_s1) begin
            next[`DMT_WALK_LOC0]     = 4'hF;
            next[`DMT_WALK_S1_TEA]   = s1_tea;
            next[`DMT_WALK_S1_LEVEL] = s1_tea ? chosen : is_s1 ? f_top : g_top;
            next[`DMT_WALK_S1_RIGHTS] = 4'hF;
            next[`DMT_WALK_S1_INDEX] = s1_tea ? index_of(used[2:1], index) : 6'd0;
            next[`DMT_WALK_S1_LEFT]  = is_s1 ? f_hit & ~f_use : g_hit & ~g_use;
        end
        if (g_is_s1) begin
            next[`DMT_WALK_A1]     = g_addr;
            next[`DMT_WALK_OWNER1] = V;
        end
        if (h_on) begin
            next[`DMT_WALK_A0]     = h_addr;
            next[`DMT_WALK_OWNER0] = S1;
        end else if (g_s0) begin
            next[`DMT_WALK_A0]     = g_addr;
            next[`DMT_WALK_OWNER0] = frame_i;
        end
    end
    assign walk_o = next;

    // ------------------------------------------------------------ multiple hits
    wire f_multi = |(multi_i & f_use);
    wire g_multi = |(g_found[MULTI +: 3] & g_use);
    wire h_multi = |(root1_hits_i[MULTI +: 3] & h_hit);
    assign multi_hit_o = {f_multi && f_stage == 2'd2,
                          (f_multi && f_stage == 2'd1) || (g_multi && g_s1),
                          (f_multi && f_stage == 2'd0) || (g_multi && !g_s1) || h_multi};

endmodule

`default_nettype wire
