// SPDX-License-Identifier: Apache-2.0
// dmt_walk_step: one step of one walk.
//
// Combinational and stateless: what a context knows and what memory answered
// (dmt_entry) in; exactly one of six outcomes out (docs/microarchitecture.md 3.2):
//   wait    of a TEA fetch, decides nothing; the next size's answer is to come
//   read    the address of the next entry is known
//   again   the same entry once more, exclusively
//   match   an address is to be translated by a frame (dmt_route)
//   update  write the entry back with A (and D) set
//   result  the answer is known
// or takes a refusal of dmt_route and makes it the answer. The entry belongs to
// one frame: V, the entering stage, or S1, S0, second stages. The rules are
// those of docs/specification.md 5 to 12.
`default_nettype none
`include "dmt_regs.vh"
`include "dmt_walk.vh"

module dmt_walk_step #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    // what answered
    input  wire             valid_i,       // a step on an entry happens
    input  wire             b_i,           // answer to an exclusive write (else to a read)
    input  wire [`DMT_ENTRY_W-1:0] entry_i,

    // or a refusal
    input  wire             refuse_i,
    input  wire             refuse_gtea_i, // of a gTEA (else an address too wide)
    input  wire [18:0]      refuse_code_i, // {unresolved, register, ID}

    // the request
    input  wire [63:0]      va_i,
    input  wire [1:0]       access_i,
    input  wire             user_i,        // acts with user rights
    input  wire             smap_ok_i,     // EFLAGS.AC set and access explicit
    input  wire             nonspec_i,

    // the walk
    input  wire [`DMT_WALK_W-1:0] walk_i,
    input  wire [1:0]       left_i,        // answers of this launch still to come

    // control
    input  wire [1:0]       enter_i,       // entering stage
    input  wire             wp_i,
    input  wire             smep_i,
    input  wire             smap_i,
    input  wire             pke_i,
    input  wire             pks_i,
    input  wire             pge_i,
    input  wire             nxe_i,
    input  wire [3:0]       s2ctl0_i,      // as in S2CTL
    input  wire [3:0]       s2ctl1_i,
    input  wire [3:0]       shadow_ctl_i,
    input  wire             ad_update_i,

    // outcome, one of
    output wire             wait_o,
    output wire             read_o,
    output wire             again_o,
    output wire             match_o,
    output wire             update_o,
    output wire             result_o,
    // beside it: the answers still to come are surplus
    output wire             surplus_o,

    // read, again, match: the walk from now on
    output wire [`DMT_WALK_W-1:0] walk_o,
    // read, again: the entry
    output wire [PA_W-1:3]  addr_o,
    output wire [2:0]       level_o,
    output wire [3:0]       rights_o,
    output wire [5:0]       index_o,
    // match: what, by whom, with which sizes {1G, 2M, 4K}
    output wire [1:0]       match_frame_o,
    output wire [63:12]     match_addr_o,
    output wire [2:0]       match_sizes_o,
    output wire             match_restart_o,
    // read: what may be cached, for V or for a second stage
    output wire             fill_v_o,
    output wire             fill_s_o,
    output wire             fill_s1_o,     // stage of fill_s
    output wire [2:0]       fill_level_o,
    output wire [56:21]     fill_prefix_o,
    output wire [PA_W-1:12] fill_table_o,
    output wire [3:0]       fill_rights_o,
    // update
    output wire [63:0]      value_o,
    // result
    output wire [3:0]       status_o,
    output wire [PA_W-1:0]  pa_o,
    output wire [1:0]       size_o,
    output wire [3:0]       result_rights_o,
    output wire             global_o,
    output wire [3:0]       pkey_o,
    output wire [6:0]       memtype_o,
    output wire             dirty_o,
    output wire             ad_needed_o,
    output wire [33:0]      error_o,
    output wire [63:0]      fault_addr_o,
    output wire [1:0]       fault_stage_o,
    output wire [17:0]      path_index_o,  // register of each stage's last TEA fetch
    output wire [1:0]       stage_o        // of the entry
);

    localparam [1:0] FINAL = `DMT_OWNER_FINAL;
    localparam [1:0] V = `DMT_FRAME_V, S0 = `DMT_FRAME_S0, S1 = `DMT_FRAME_S1;

    wire is_write   = access_i == `DMT_ACCESS_WRITE;
    wire is_execute = access_i == `DMT_ACCESS_EXECUTE;

    // ------------------------------------------------------------------- walk
    wire        second = walk_i[`DMT_WALK_SECOND];
    wire        need   = walk_i[`DMT_WALK_NEED];
    wire        excl   = walk_i[`DMT_WALK_EXCL];
    wire        tea    = walk_i[`DMT_WALK_TEA];
    wire [1:0]  frame  = walk_i[`DMT_WALK_FRAME];
    wire [1:0]  owner0 = walk_i[`DMT_WALK_OWNER0];
    wire [1:0]  owner1 = walk_i[`DMT_WALK_OWNER1];
    wire        shadow = walk_i[`DMT_WALK_SHADOW];
    wire [51:0] a0     = walk_i[`DMT_WALK_A0];
    wire [51:0] a1     = walk_i[`DMT_WALK_A1];
    wire [3:0]  loc0   = walk_i[`DMT_WALK_LOC0];
    wire [3:0]  loc1   = walk_i[`DMT_WALK_LOC1];

    wire        is_v   = frame == V;
    wire        is_s0  = frame == S0;
    wire        is_s1  = frame == S1;
    wire        native = enter_i == 2'd0;
    // what this frame yields is a host physical address
    wire        direct = (is_v && native) || is_s0 || (is_s1 && shadow);
    wire [1:0]  owner  = is_s0 ? owner0 : is_s1 ? owner1 : FINAL;
    wire        final_ = owner == FINAL;
    wire [1:0]  stage  = is_v ? enter_i : is_s1 ? 2'd1 : 2'd0;
    wire [63:0] here   = is_v ? va_i : is_s1 ? {12'd0, a1} : {12'd0, a0};
    // {MBEC, AD, FORMAT} of this frame's table, and of stage 1's
    wire [2:0]  s2ctl0 = {s2ctl0_i[`DMT_S2_MBEC], s2ctl0_i[`DMT_S2_AD], s2ctl0_i[`DMT_S2_FORMAT]};
    wire [3:0]  ctl1   = shadow ? shadow_ctl_i : s2ctl1_i;
    wire [2:0]  s2ctl1 = {ctl1[`DMT_S2_MBEC], ctl1[`DMT_S2_AD], ctl1[`DMT_S2_FORMAT]};
    wire        mbec, s2_ad, npt;
    assign {mbec, s2_ad, npt} = is_s0 ? s2ctl0 : s2ctl1;
    assign stage_o = stage;

    // ---------------------------------------------------------- what answered
    wire            lost      = entry_i[`DMT_ENTRY_LOST];
    wire            bus       = entry_i[`DMT_ENTRY_BUS];
    wire            undecided = entry_i[`DMT_ENTRY_UNDECIDED];
    wire            ept       = entry_i[`DMT_ENTRY_EPT];
    wire [1:0]      resp      = entry_i[`DMT_ENTRY_RESP];
    wire            present   = entry_i[`DMT_ENTRY_PRESENT];
    wire            leaf      = entry_i[`DMT_ENTRY_LEAF];
    wire            reserved  = entry_i[`DMT_ENTRY_RESERVED];
    wire            accessed  = entry_i[`DMT_ENTRY_ACCESSED];
    wire            dirty     = entry_i[`DMT_ENTRY_DIRTY];
    wire            glob      = entry_i[`DMT_ENTRY_GLOBAL];
    wire [3:0]      pkey      = entry_i[`DMT_ENTRY_PKEY];
    wire [2:0]      x_memtype = entry_i[`DMT_ENTRY_X_MEMTYPE];
    wire [3:0]      e_memtype = entry_i[`DMT_ENTRY_E_MEMTYPE];
    wire [3:0]      own       = entry_i[`DMT_ENTRY_OWN];
    wire [3:0]      above     = entry_i[`DMT_ENTRY_ABOVE];
    wire [2:0]      level     = entry_i[`DMT_ENTRY_LEVEL];
    wire [5:0]      index     = entry_i[`DMT_ENTRY_INDEX];
    wire [39:0]     pfn       = entry_i[`DMT_ENTRY_PFN];
    wire [48:0]     addr_52   = entry_i[`DMT_ENTRY_ADDR];
    wire [PA_W-1:3] addr      = addr_52[PA_W-4:0];
    wire [63:0]     entry     = entry_i[`DMT_ENTRY_WORD];

    // ---------------------------------------------------------- may the access
    wire [3:0] rights = above & own;
    wire       w = rights[0];
    wire       u = rights[1];
    wire       x = rights[2];

    // the entering stage
    wire key_ad, key_wd;
    assign {key_wd, key_ad} = u ? entry_i[`DMT_ENTRY_KEY_USER] : entry_i[`DMT_ENTRY_KEY_SUPER];
    wire key_on = u ? pke_i : pks_i;
    wire key_denied = key_on && !is_execute
                   && (key_ad || (key_wd && is_write && (user_i || wp_i)));

    wire user_denied = !u || (is_write && !w) || (is_execute && !x);
    wire supervisor_denied =
           (!is_execute && u && smap_i && !smap_ok_i)
        || (is_write && !w && wp_i)
        || (is_execute && (!x || (u && smep_i)));
    wire v_denied = key_denied || (user_i ? user_denied : supervisor_denied);

    // a second stage; a table access may count as a write
    wire [3:0] acc = walk_i[`DMT_WALK_RIGHTS];
    wire user_page = acc[1];
    wire s_fetch   = final_ && is_execute;
    wire s_write   = final_ ? is_write : npt || s2_ad;
    wire s_x       = user_page ? rights[3] : rights[2];
    wire ept_denied = s_fetch ? !s_x : s_write ? !w : !u;
    wire npt_denied = !u || (s_write && !w) || (s_fetch && !x);

    wire denied = is_v ? v_denied : npt ? npt_denied : ept_denied;

    // ---------------------------------------------------------- A and D
    wire lacks_a = !accessed;
    wire lacks_d = leaf && !dirty && (is_v ? is_write : s_write);
    wire lacks   = lacks_a || lacks_d;
    wire missing = lacks || need;

    // ---------------------------------------------------------- judgement
    wire more     = tea && !b_i && left_i != 2'd0;
    wire judge    = valid_i && !lost && !wait_o;
    wire bus_end  = judge && bus;
    wire sound    = judge && !bus && !undecided && present && !reserved;
    wire good     = sound && (!leaf || !denied);
    wire no_count = judge && tea && !bus && !good;
    wire fault    = judge && !tea && !bus && !good;

    wire at_end   = leaf && direct && final_;      // the entry yields the pa
    wire end_leaf = good && at_end;
    wire retry    = end_leaf && missing && ad_update_i && !nonspec_i;
    wire ok       = end_leaf && (!missing || !ad_update_i);
    wire may_set  = end_leaf && ad_update_i && nonspec_i;
    wire repeat_  = may_set && !excl && need;      // second pass
    wire pass_on  = good && !at_end && !(second && lacks);

    // An entry that lacks something now: read it exclusively, then write it.
    wire to_set   = (may_set && !need && lacks) || (good && !at_end && second && lacks);
    wire located  = !direct;                       // by second stages, with loc rights
    wire bad_loc1 = to_set && located && is_v && !loc1[0];
    wire bad_loc0 = to_set && located && !loc0[0] && !bad_loc1;
    wire bad_loc  = bad_loc1 || bad_loc0;          // the table cannot be written
    wire set_read = to_set && !excl && !bad_loc;
    wire set_write = to_set && excl;
    wire loc_fault = to_set && !excl && bad_loc;

    // ---------------------------------------------------------- where it leads
    wire [51:0] in_page = (level == 3'd3) ? {22'd0, here[29:0]}
                        : (level == 3'd2) ? {31'd0, here[20:0]}
                        :                   {40'd0, here[11:0]};
    wire [8:0]  slot = (level == 3'd5) ? here[47:39]
                     : (level == 3'd4) ? here[38:30]
                     : (level == 3'd3) ? here[29:21]
                     :                   here[20:12];
    wire [51:0] base  = {pfn, 12'd0};
    wire [51:0] yield = leaf ? base | in_page : base | {40'd0, slot, 3'd0};

    wire [2:0]  left = is_v ? walk_i[`DMT_WALK_V_LEFT] : is_s1 ? walk_i[`DMT_WALK_S1_LEFT] : 3'd0;
    wire        next_size = no_count && undecided && !excl && |left;
    wire        restart   = no_count && !next_size;

    assign wait_o    = valid_i && more && undecided;
    assign surplus_o = valid_i && more && !undecided;
    assign again_o  = (valid_i && lost) || set_read;
    assign read_o   = pass_on && direct;
    assign match_o  = (pass_on && !direct) || repeat_ || no_count;
    assign update_o = set_write;
    assign result_o = ok || retry || bus_end || fault || loc_fault || refuse_i;

    // match: below this frame, or this frame again
    wire [1:0] below = (is_v && enter_i == 2'd2) ? S1 : S0;
    wire       down  = pass_on && !direct;
    assign match_frame_o   = repeat_ ? V : down ? below : frame;
    assign match_addr_o    = repeat_ ? va_i[63:12] : down ? {12'd0, yield[51:12]} : here[63:12];
    assign match_sizes_o   = next_size ? left : {3{!restart}};
    assign match_restart_o = restart;

    // read: the next table's entry, or the entry that the owner waits for
    wire        to_owner = leaf;
    wire        own_v    = owner == V;
    wire [2:0]  o_level  = own_v ? walk_i[`DMT_WALK_V_LEVEL] : walk_i[`DMT_WALK_S1_LEVEL];
    wire [3:0]  o_rights = own_v ? walk_i[`DMT_WALK_V_RIGHTS] : walk_i[`DMT_WALK_S1_RIGHTS];
    wire        o_tea    = own_v ? walk_i[`DMT_WALK_V_TEA] : walk_i[`DMT_WALK_S1_TEA];
    wire [5:0]  o_index  = own_v ? walk_i[`DMT_WALK_V_INDEX] : walk_i[`DMT_WALK_S1_INDEX];

    assign addr_o   = again_o ? addr : yield[PA_W-1:3];
    assign level_o  = again_o ? level : to_owner ? o_level : level - 3'd1;
    assign rights_o = again_o ? above : to_owner ? o_rights : rights;
    assign index_o  = again_o ? index : (to_owner && o_tea) ? o_index : 6'd0;

    // ---------------------------------------------------------- the walk then
    wire v_leaf     = is_v && leaf;
    wire s1_leaf    = is_s1 && leaf;
    wire final_leaf = leaf && final_;

    // what the final access has so far, this leaf included
    wire [1:0]  sz       = level[1:0] - 2'd1;
    wire [1:0]  acc_size = walk_i[`DMT_WALK_SIZE];
    wire [1:0]  all_size = (is_v || sz < acc_size) ? sz : acc_size;
    wire [3:0]  all      = is_v ? {1'b0, rights[2:0]}
                                : {acc[3] || !u, acc[2] && s_x, acc[1], acc[0] && w};
    wire [3:0]  all_pkey    = is_v ? pkey : walk_i[`DMT_WALK_PKEY];
    wire [2:0]  all_memtype = is_v ? x_memtype : walk_i[`DMT_WALK_MEMTYPE];
    wire        all_global  = is_v ? glob && pge_i : walk_i[`DMT_WALK_GLOBAL];
    wire        all_dirty   = dirty && (is_v || walk_i[`DMT_WALK_DIRTY]);

    reg [`DMT_WALK_W-1:0] next;
    always @* begin
        next = walk_i;
        next[`DMT_WALK_SECOND] = second || repeat_;
        next[`DMT_WALK_NEED]   = again_o ? need : pass_on ? need || lacks : need && !repeat_;
        next[`DMT_WALK_EXCL]   = again_o;
        next[`DMT_WALK_TEA]    = again_o ? tea : to_owner && o_tea;
        next[`DMT_WALK_LAST]   = 2'd0;
        if (valid_i && tea && !undecided)
            case (stage)
            2'd0:    next[`DMT_WALK_INDEX0] = index;
            2'd1:    next[`DMT_WALK_INDEX1] = index;
            default: next[`DMT_WALK_INDEX2] = index;
            endcase
        if (pass_on) begin
            if (!direct) begin
                // a frame below gets an address
                if (below == S1 && is_v) begin
                    next[`DMT_WALK_A1]     = yield;
                    next[`DMT_WALK_OWNER1] = leaf ? FINAL : V;
                end else begin
                    next[`DMT_WALK_A0]     = yield;
                    next[`DMT_WALK_OWNER0] = s1_leaf ? owner1 : leaf ? FINAL : frame;
                end
            end else if (to_owner)
                next[`DMT_WALK_FRAME] = owner;
            // what this frame waits for
            if (is_v && !leaf) begin
                next[`DMT_WALK_V_LEVEL]  = level - 3'd1;
                next[`DMT_WALK_V_RIGHTS] = rights;
                next[`DMT_WALK_V_TEA]    = 1'b0;
                next[`DMT_WALK_V_INDEX]  = 6'd0;
                next[`DMT_WALK_V_LEFT]   = 3'd0;
            end
            if (is_s1 && !leaf) begin
                next[`DMT_WALK_S1_LEVEL]  = level - 3'd1;
                next[`DMT_WALK_S1_RIGHTS] = rights;
                next[`DMT_WALK_S1_TEA]    = 1'b0;
                next[`DMT_WALK_S1_INDEX]  = 6'd0;
                next[`DMT_WALK_S1_LEFT]   = 3'd0;
            end
            // with which rights the owner's entry was located
            if (is_s0 && leaf)
                next[`DMT_WALK_LOC0] = rights;
            if (s1_leaf) begin
                next[`DMT_WALK_LOC1] = rights;
                next[`DMT_WALK_LOC0] = 4'hF;
            end
            if (v_leaf || final_leaf) begin
                next[`DMT_WALK_SIZE]    = all_size;
                next[`DMT_WALK_RIGHTS]  = all;
                next[`DMT_WALK_PKEY]    = all_pkey;
                next[`DMT_WALK_MEMTYPE] = all_memtype;
                next[`DMT_WALK_GLOBAL]  = all_global;
                next[`DMT_WALK_DIRTY]   = all_dirty;
            end
        end
    end
    assign walk_o = next;

    // ---------------------------------------------------------- cache fill
    // From a table entry to a table in host memory, or to a located table.
    wire fresh     = read_o && !next[`DMT_WALK_NEED];
    wire fill_next = fresh && !leaf;
    wire writable  = w && (!own_v || is_s1 || loc1[0]);
    wire fill_loc  = fresh && leaf && !o_tea && writable && o_level <= 3'd3;
    wire [56:21] o_here = own_v ? va_i[56:21] : {5'd0, a1[51:21]};
    assign fill_v_o      = (fill_next && is_v) || (fill_loc && own_v);
    assign fill_s_o      = (fill_next && !is_v) || (fill_loc && !own_v);
    assign fill_s1_o     = fill_next ? is_s1 : 1'b1;
    assign fill_level_o  = fill_next ? level : o_level + 3'd1;
    assign fill_prefix_o = fill_next ? here[56:21] : o_here;
    assign fill_table_o  = yield[PA_W-1:12];
    assign fill_rights_o = fill_next ? rights : o_rights;

    // IA-32e and NPT: A bit 5, D bit 6; EPT: bits 8 and 9.
    assign value_o = entry | (ept ? {54'd0, lacks_d, lacks_a, 8'd0} : {57'd0, lacks_d, lacks_a, 5'd0});

    // ---------------------------------------------------------- result
    // The second stage at fault: of this frame, or of the location (rule A5).
    wire       f_loc1   = loc_fault && bad_loc1;
    wire       f_loc0   = loc_fault && bad_loc0;
    wire [3:0] f_rights = f_loc1 ? loc1 : f_loc0 ? loc0 : rights & {4{present && !refuse_i}};
    wire       f_npt    = f_loc1 ? s2ctl1[0] : f_loc0 ? s2ctl0[0] : npt;
    wire       f_mbec   = f_loc1 ? s2ctl1[2] : f_loc0 ? s2ctl0[2] : mbec;
    wire       f_final  = final_ && !loc_fault;
    wire       f_absent = refuse_i || (!loc_fault && !present);
    wire       f_rsvd   = !refuse_i && !loc_fault && present && reserved;
    wire       f_write  = loc_fault || s_write;
    wire       f_read   = f_final ? !is_write && !is_execute : 1'b1;

    wire [33:0] qualification = {25'd0, f_final, 1'b1, f_rights[3] && f_mbec, f_rights[2],
                                 f_rights[0], f_rights[1], f_final && is_execute, f_write, f_read};
    wire [33:0] exitinfo1     = {!f_final, f_final, 27'd0, f_final && is_execute, f_rsvd, 1'b1, f_write,
                                 !f_absent};

    wire [33:0] pf = {28'd0,
                      present && !reserved && key_denied,
                      is_execute && (nxe_i || smep_i),
                      present && reserved,
                      user_i, is_write, present};

    wire refuse_gtea = refuse_i && refuse_gtea_i;
    wire v_fault  = fault && is_v;
    wire s_fault  = (fault && !is_v) || loc_fault || (refuse_i && !refuse_gtea_i);
    wire misconfig = s_fault && !f_npt && f_rsvd;

    assign status_o = ok          ? `DMT_STATUS_OK
                    : retry       ? `DMT_STATUS_RETRY
                    : bus_end     ? `DMT_STATUS_BUS
                    : refuse_gtea ? `DMT_STATUS_GTEA
                    : v_fault     ? `DMT_STATUS_PF
                    : f_npt       ? `DMT_STATUS_NPT_FAULT
                    : misconfig   ? `DMT_STATUS_EPT_MISCONFIG
                    :               `DMT_STATUS_EPT_VIOLATION;

    assign pa_o        = yield[PA_W-1:0] & {PA_W{ok}};
    assign size_o      = all_size & {2{ok}};
    assign result_rights_o = all & {4{ok}};
    assign global_o    = ok && all_global;
    assign pkey_o      = all_pkey & {4{ok}};
    assign memtype_o   = {(ept ? e_memtype : {1'b0, x_memtype}) & {4{!is_v}}, all_memtype} & {7{ok}};
    assign dirty_o     = ok && all_dirty;
    assign ad_needed_o = ok && missing;

    assign error_o = bus_end     ? {31'd0, b_i, resp}
                   : refuse_gtea ? {15'd0, refuse_code_i}
                   : v_fault     ? pf
                   : s_fault     ? (f_npt ? exitinfo1 : qualification & {34{!misconfig}})
                   :               34'd0;

    // an OK answer tells what the entering stage yielded
    wire [51:0] below_v = (enter_i == 2'd2) ? a1 : a0;
    assign fault_addr_o = bus_end ? {{(64-PA_W){1'b0}}, addr, 3'd0}
                        : f_loc1  ? {12'd0, a1}
                        : f_loc0  ? {12'd0, a0}
                        : ok      ? {12'd0, below_v & {52{!native}}}
                        : retry   ? 64'd0
                        :           here;
    assign fault_stage_o = (ok || retry) ? 2'd0 : f_loc1 ? 2'd1 : f_loc0 ? 2'd0 : stage;

    assign path_index_o = {next[`DMT_WALK_INDEX2], next[`DMT_WALK_INDEX1], next[`DMT_WALK_INDEX0]};

    // FIVE matters where walks start
    wire unused = &{1'b0, s2ctl0_i[`DMT_S2_FIVE], ctl1[`DMT_S2_FIVE], addr_52};

endmodule

`default_nettype wire
