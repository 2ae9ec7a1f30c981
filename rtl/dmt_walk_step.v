// SPDX-License-Identifier: Apache-2.0
// dmt_walk_step: one step of one walk.
//
// Combinational and stateless: what a context knows and what memory answered
// in; exactly one of six outcomes out (docs/microarchitecture.md 3.2):
//   wait    a TEA fetch has more answers to come; remember what decided
//   fetch   x86 walk goes one level down
//   again   an exclusive write was lost: read the same entry once more
//   start   match again: second pass, or restart as an x86 walk
//   update  write the entry back with A (and D) set
//   result  the answer is known
// The rules are those of docs/specification.md 5 to 9.
`default_nettype none
`include "dmt_regs.vh"

module dmt_walk_step #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    // what came from memory
    input  wire             valid_i,       // a step happens
    input  wire             b_i,           // answer to an exclusive write (else to a read)
    input  wire [63:0]      data_i,        // entry read, or value written
    input  wire [1:0]       resp_i,        // AXI response

    // the request
    input  wire [63:0]      va_i,
    input  wire [1:0]       access_i,
    input  wire             user_i,        // acts with user rights
    input  wire             smap_ok_i,     // EFLAGS.AC set and access explicit
    input  wire             nonspec_i,

    // the walk
    input  wire             tea_i,         // TEA fetch (else x86 walk)
    input  wire             last_i,        // no further answers of this launch to come
    input  wire             excl_i,        // second pass: reads are exclusive
    input  wire             alla_i,        // all entries so far had A=1
    input  wire             need_i,        // an entry above lacks A
    input  wire [2:0]       level_i,       // of the entry that answered
    input  wire [2:0]       rights_i,      // {X,U,W}: levels above, or allow bits
    input  wire [PA_W-1:3]  addr_i,        // of the entry that answered

    // an earlier answer of this TEA fetch has decided
    input  wire             dec_valid_i,
    input  wire             dec_bus_i,
    input  wire [1:0]       dec_resp_i,
    input  wire [63:0]      dec_data_i,
    input  wire [2:0]       dec_level_i,
    input  wire [2:0]       dec_rights_i,
    input  wire [PA_W-1:3]  dec_addr_i,

    // control registers of the entering level
    input  wire             wp_i,
    input  wire             smep_i,
    input  wire             smap_i,
    input  wire             pke_i,
    input  wire             pks_i,
    input  wire             pge_i,
    input  wire             nxe_i,
    input  wire [31:0]      pkru_i,
    input  wire [31:0]      pkrs_i,
    input  wire             ad_update_i,
    input  wire [51:12]     pa_reserved_i,

    // outcome, one of
    output wire             wait_o,
    output wire             fetch_o,
    output wire             again_o,
    output wire             start_o,
    output wire             update_o,
    output wire             result_o,

    // wait: this answer decides, as a bus error or as a leaf
    output wire             decide_o,
    output wire             decide_bus_o,
    // fetch
    output wire [PA_W-1:12] table_o,
    output wire [2:0]       rights_o,
    output wire             alla_o,
    output wire             need_o,
    output wire             fill_o,        // the entry may be cached
    // start: second pass (else restart)
    output wire             start_excl_o,
    // start, second pass of a TEA fetch: one-hot {1G, 2M, 4K}
    output wire [2:0]       start_size_o,
    // update
    output wire [63:0]      value_o,
    // result
    output wire [3:0]       status_o,
    output wire [PA_W-1:0]  pa_o,
    output wire [1:0]       size_o,
    output wire [2:0]       result_rights_o,
    output wire             global_o,
    output wire [3:0]       pkey_o,
    output wire [5:0]       memtype_o,
    output wire             dirty_o,
    output wire             ad_needed_o,
    output wire [31:0]      error_o,
    output wire [63:0]      fault_addr_o
);

    localparam [1:0] AXI_OKAY = 2'b00;

    wire is_write   = access_i == `DMT_ACCESS_WRITE;
    wire is_execute = access_i == `DMT_ACCESS_EXECUTE;

    // ---------------------------------------------------------- what answered
    // A bus error, or an exclusive read that was not exclusive, beats any
    // decode of the data. A lost exclusive write is no error.
    wire lost    = b_i && resp_i == AXI_OKAY;
    wire bus_now = resp_i[1] || (!b_i && excl_i && resp_i == AXI_OKAY);

    // Does this answer of a TEA fetch decide? A PS bit is asked for above 4K.
    wire leaf_now = data_i[0] && (level_i == 3'd1 || data_i[7]);
    assign decide_bus_o = bus_now;
    assign decide_o     = !dec_valid_i && (bus_now || leaf_now);

    // The entry under judgement: what decided earlier, or what answered now.
    wire [63:0]     entry     = dec_valid_i ? dec_data_i : data_i;
    wire [2:0]      level     = dec_valid_i ? dec_level_i : level_i;
    wire [2:0]      above     = dec_valid_i ? dec_rights_i : rights_i;
    wire [PA_W-1:3] addr      = dec_valid_i ? dec_addr_i : addr_i;
    wire            bus       = dec_valid_i ? dec_bus_i : bus_now;
    wire [1:0]      resp      = dec_valid_i ? dec_resp_i : resp_i;
    wire            undecided = tea_i && !dec_valid_i && !bus_now && !leaf_now;

    // ---------------------------------------------------------- what it says
    wire             present, leaf, reserved, accessed, dirty, glob;
    wire [PA_W-1:12] frame;
    wire [2:0]       own;
    wire [3:0]       pkey;
    wire [2:0]       memtype;

    dmt_fmt_ia32e #(.PA_W(PA_W)) u_format (
        .entry_i       (entry),
        .level_i       (level),
        .nxe_i         (nxe_i),
        .pa_reserved_i (pa_reserved_i),
        .present_o     (present),
        .leaf_o        (leaf),
        .reserved_o    (reserved),
        .frame_o       (frame),
        .rights_o      (own),
        .accessed_o    (accessed),
        .dirty_o       (dirty),
        .global_o      (glob),
        .pkey_o        (pkey),
        .memtype_o     (memtype)
    );

    // ---------------------------------------------------------- may the access
    wire [2:0] rights = above & own;
    wire       w = rights[0];
    wire       u = rights[1];
    wire       x = rights[2];

    wire key_ad = u ? pkru_i[{pkey, 1'b0}] : pkrs_i[{pkey, 1'b0}];
    wire key_wd = u ? pkru_i[{pkey, 1'b1}] : pkrs_i[{pkey, 1'b1}];
    wire key_on = u ? pke_i : pks_i;
    wire key_denied = key_on && !is_execute
                   && (key_ad || (key_wd && is_write && (user_i || wp_i)));

    wire user_denied = !u || (is_write && !w) || (is_execute && !x);
    wire supervisor_denied =
           (!is_execute && u && smap_i && !smap_ok_i)
        || (is_write && !w && wp_i)
        || (is_execute && (!x || (u && smep_i)));
    wire denied = key_denied || (user_i ? user_denied : supervisor_denied);

    // ---------------------------------------------------------- A and D
    wire miss_a  = !accessed;
    wire miss_d  = leaf && is_write && !dirty;
    wire missing = miss_a || miss_d || need_i;
    wire may_update = ad_update_i && nonspec_i;

    // ---------------------------------------------------------- outcome
    wire judge = valid_i && !lost && (!tea_i || last_i || b_i);
    wire sound = judge && !bus && !undecided && present && !reserved;

    wire leaf_ok    = sound && leaf && !denied;
    wire second     = leaf_ok && missing && may_update && !excl_i;
    wire leaf_write = leaf_ok && missing && may_update && excl_i;
    wire retry      = leaf_ok && missing && ad_update_i && !nonspec_i;
    wire ok         = leaf_ok && (!missing || !ad_update_i);
    wire table_ok   = sound && !leaf;
    wire table_write = table_ok && excl_i && miss_a;
    wire bus_end    = judge && bus;
    wire no_count   = judge && tea_i && !bus && !leaf_ok;
    wire fault      = judge && !tea_i && !bus && !leaf_ok && !table_ok;

    assign wait_o   = valid_i && tea_i && !last_i && !b_i;
    assign again_o  = valid_i && lost;
    assign fetch_o  = table_ok && !table_write;
    assign update_o = table_write || leaf_write;
    assign start_o  = second || no_count;
    assign result_o = ok || retry || bus_end || fault;

    assign table_o  = frame;
    assign rights_o = rights;
    assign alla_o   = alla_i && accessed;
    assign need_o   = need_i || miss_a;
    assign fill_o   = fetch_o && alla_o;

    assign start_excl_o = second;
    assign start_size_o = {level == 3'd3, level == 3'd2, level == 3'd1};

    assign value_o = entry | {57'd0, miss_d, 1'b1, 5'd0};

    // ---------------------------------------------------------- result
    wire [2:0] pf_low   = {user_i, is_write, present};
    wire       pf_rsvd  = present && reserved;
    wire       pf_fetch = is_execute && (nxe_i || smep_i);
    wire       pf_key   = present && !reserved && key_denied;

    assign status_o = ok      ? `DMT_STATUS_OK
                    : retry   ? `DMT_STATUS_RETRY
                    : bus_end ? `DMT_STATUS_BUS
                    :           `DMT_STATUS_PF;

    wire [1:0]  sz      = level[1:0] - 2'd1;
    wire [29:0] in_page = (level == 3'd3) ? va_i[29:0]
                        : (level == 3'd2) ? {9'd0, va_i[20:0]}
                        :                   {18'd0, va_i[11:0]};

    assign pa_o        = ok ? ({frame, 12'd0} | {{(PA_W-30){1'b0}}, in_page}) : {PA_W{1'b0}};
    assign size_o      = ok ? sz : 2'd0;
    assign result_rights_o = ok ? rights : 3'd0;
    assign global_o    = ok && glob && pge_i;
    assign pkey_o      = ok ? pkey : 4'd0;
    assign memtype_o   = ok ? {3'd0, memtype} : 6'd0;
    assign dirty_o     = ok && dirty;
    assign ad_needed_o = ok && missing;

    assign error_o = bus_end ? {29'd0, b_i, resp}
                   : fault   ? {26'd0, pf_key, pf_fetch, pf_rsvd, pf_low}
                   :           32'd0;
    assign fault_addr_o = bus_end ? {{(64-PA_W){1'b0}}, addr, 3'd0}
                        : fault   ? va_i
                        :           64'd0;

    wire unused = &{1'b0, level[2]};

endmodule

`default_nettype wire
