// SPDX-License-Identifier: Apache-2.0
// dmt_fmt_ia32e: what an IA-32e paging-structure entry says.
//
// The table-format room of stage tables with x86 rights (SDM volume 3, 4.5).
// Combinational. Every format has this interface: entry, level and control in;
// present, leaf, reserved, frame, rights, A/D and attributes out.
`default_nettype none

module dmt_fmt_ia32e #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    input  wire [63:0]      entry_i,
    // 5 PML5E .. 1 PTE
    input  wire [2:0]       level_i,
    // EFER.NXE
    input  wire             nxe_i,
    // ones at and above MAXPHYADDR, bits 51:12
    input  wire [51:12]     pa_reserved_i,

    output wire             present_o,
    output wire             leaf_o,
    // a reserved bit is set (meaningful in present entries)
    output wire             reserved_o,
    // next table, or the page aligned to its size
    output wire [PA_W-1:12] frame_o,
    // {X, U, W} of this entry alone
    output wire [2:0]       rights_o,
    output wire             accessed_o,
    output wire             dirty_o,
    output wire             global_o,
    output wire [3:0]       pkey_o,
    // {PAT, PCD, PWT}
    output wire [2:0]       memtype_o
);

    wire ps      = entry_i[7];
    wire leaf_1g = (level_i == 3'd3) && ps;
    wire leaf_2m = (level_i == 3'd2) && ps;
    wire leaf_4k = (level_i == 3'd1);

    assign present_o = entry_i[0];
    assign leaf_o    = leaf_1g || leaf_2m || leaf_4k;

    assign reserved_o = (|(entry_i[51:12] & pa_reserved_i))
                     || (entry_i[63] && !nxe_i)
                     || (level_i[2] && ps)
                     || (leaf_1g && |entry_i[29:13])
                     || (leaf_2m && |entry_i[20:13]);

    assign frame_o = {entry_i[PA_W-1:30],
                      entry_i[29:21] & {9{!leaf_1g}},
                      entry_i[20:12] & {9{!leaf_1g && !leaf_2m}}};

    assign rights_o   = {!(entry_i[63] && nxe_i), entry_i[2], entry_i[1]};
    assign accessed_o = entry_i[5];
    assign dirty_o    = entry_i[6];
    assign global_o   = entry_i[8];
    assign pkey_o     = entry_i[62:59];
    assign memtype_o  = {leaf_4k ? entry_i[7] : entry_i[12], entry_i[4], entry_i[3]};

    // Bits 58:52 and 11:9 are for software.
    wire unused = &{1'b0, entry_i[58:52], entry_i[11:9]};

endmodule

`default_nettype wire
