// SPDX-License-Identifier: Apache-2.0
// dmt_entry: what answered, and what its format says of it. Combinational.
//
// Each table format is a room of its own (dmt_fmt_ia32e, also of NPT; dmt_fmt_ept).
`default_nettype none
`include "dmt_regs.vh"
`include "dmt_walk.vh"

module dmt_entry #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    // what came from memory
    input  wire             b_i,           // answer to an exclusive write (else to a read)
    input  wire [63:0]      data_i,        // entry read, or value written
    input  wire [1:0]       resp_i,        // AXI response

    // of the walk it is for
    input  wire [1:0]       frame_i,
    input  wire             tea_i,
    input  wire             excl_i,
    input  wire             shadow_i,
    input  wire [2:0]       level_i,
    input  wire [3:0]       above_i,       // rights of levels above, or allow bits
    input  wire [5:0]       index_i,
    input  wire [PA_W-1:3]  addr_i,

    // control
    input  wire             nxe_i,
    input  wire [31:0]      pkru_i,
    input  wire [31:0]      pkrs_i,
    input  wire [3:0]       s2ctl0_i,      // as in S2CTL
    input  wire [3:0]       s2ctl1_i,
    input  wire [3:0]       shadow_ctl_i,
    input  wire [51:12]     pa_reserved_i,

    output wire [`DMT_ENTRY_W-1:0] entry_o
);

    localparam [1:0] AXI_OKAY = 2'b00;

    wire        is_v   = frame_i == `DMT_FRAME_V;
    // {MBEC, AD, FIVE, FORMAT} of the table that it belongs to
    wire [3:0]  ctl    = (frame_i == `DMT_FRAME_S0) ? s2ctl0_i : shadow_i ? shadow_ctl_i : s2ctl1_i;
    wire        mbec   = ctl[`DMT_S2_MBEC];
    wire        ept    = !is_v && !ctl[`DMT_S2_FORMAT];

    // ---------------------------------------------------------- what answered
    // A bus error, or an exclusive read that was not exclusive, beats any
    // decode of the data. A lost exclusive write is no error.
    wire lost = b_i && resp_i == AXI_OKAY;
    wire bus  = resp_i[1] || (!b_i && excl_i && resp_i == AXI_OKAY);

    // ---------------------------------------------------------- what it says
    // NPT entries are IA-32e entries with NXE.
    wire             x_present, x_leaf, x_reserved, x_accessed, x_dirty, glob;
    wire [PA_W-1:12] x_frame;
    wire [2:0]       x_own, x_memtype;
    wire [3:0]       pkey;
    dmt_fmt_ia32e #(.PA_W(PA_W)) u_ia32e (
        .entry_i       (data_i),
        .level_i       (level_i),
        .nxe_i         (nxe_i || !is_v),
        .pa_reserved_i (pa_reserved_i),
        .present_o     (x_present),
        .leaf_o        (x_leaf),
        .reserved_o    (x_reserved),
        .frame_o       (x_frame),
        .rights_o      (x_own),
        .accessed_o    (x_accessed),
        .dirty_o       (x_dirty),
        .global_o      (glob),
        .pkey_o        (pkey),
        .memtype_o     (x_memtype)
    );

    wire             e_present, e_leaf, e_reserved, e_accessed, e_dirty;
    wire [PA_W-1:12] e_frame;
    wire [3:0]       e_own, e_memtype;
    dmt_fmt_ept #(.PA_W(PA_W)) u_ept (
        .entry_i       (data_i),
        .level_i       (level_i),
        .ad_i          (ctl[`DMT_S2_AD]),
        .mbec_i        (mbec),
        .pa_reserved_i (pa_reserved_i),
        .present_o     (e_present),
        .leaf_o        (e_leaf),
        .reserved_o    (e_reserved),
        .frame_o       (e_frame),
        .rights_o      (e_own),
        .accessed_o    (e_accessed),
        .dirty_o       (e_dirty),
        .memtype_o     (e_memtype)
    );

    wire present = ept ? e_present : x_present;
    wire leaf    = ept ? e_leaf : x_leaf;

    reg [`DMT_ENTRY_W-1:0] found;
    always @* begin
        found = {`DMT_ENTRY_W{1'b0}};
        found[`DMT_ENTRY_LOST]       = lost;
        found[`DMT_ENTRY_BUS]        = bus;
        found[`DMT_ENTRY_UNDECIDED]  = tea_i && !bus && !(present && leaf);
        found[`DMT_ENTRY_EPT]        = ept;
        found[`DMT_ENTRY_PRESENT]    = present;
        found[`DMT_ENTRY_LEAF]       = leaf;
        found[`DMT_ENTRY_RESERVED]   = ept ? e_reserved : x_reserved;
        found[`DMT_ENTRY_ACCESSED]   = ept ? e_accessed : x_accessed;
        found[`DMT_ENTRY_DIRTY]      = ept ? e_dirty    : x_dirty;
        found[`DMT_ENTRY_GLOBAL]     = glob;
        found[`DMT_ENTRY_RESP]       = resp_i;
        found[`DMT_ENTRY_KEY_USER]   = {pkru_i[{pkey, 1'b1}], pkru_i[{pkey, 1'b0}]};
        found[`DMT_ENTRY_KEY_SUPER]  = {pkrs_i[{pkey, 1'b1}], pkrs_i[{pkey, 1'b0}]};
        found[`DMT_ENTRY_X_MEMTYPE]  = x_memtype;
        found[`DMT_ENTRY_E_MEMTYPE]  = e_memtype;
        found[`DMT_ENTRY_PKEY]       = pkey;
        // second stages: {XU, X, R or U, W}
        found[`DMT_ENTRY_OWN]        = ept ? e_own : {x_own[2] && !is_v, x_own};
        found[`DMT_ENTRY_ABOVE]      = above_i;
        found[`DMT_ENTRY_LEVEL]      = level_i;
        found[`DMT_ENTRY_INDEX]      = index_i;
        found[`DMT_ENTRY_PFN]        = {{(52-PA_W){1'b0}}, ept ? e_frame : x_frame};
        found[`DMT_ENTRY_ADDR]       = {{(52-PA_W){1'b0}}, addr_i};
        found[`DMT_ENTRY_WORD]       = data_i;
    end
    assign entry_o = found;

    // levels of tables are dmt_route's
    wire unused = &{1'b0, ctl[`DMT_S2_FIVE]};

endmodule

`default_nettype wire
