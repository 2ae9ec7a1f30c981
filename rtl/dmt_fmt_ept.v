// SPDX-License-Identifier: Apache-2.0
// dmt_fmt_ept: what an EPT paging-structure entry says.
//
// The table-format room of second stages in Intel's format (SDM volume 3,
// 29.3.2 and 29.3.3). Combinational; the interface of dmt_fmt_ia32e, where
// `reserved` is a misconfiguration.
`default_nettype none

module dmt_fmt_ept #(
    // physical address width, 32..52
    parameter PA_W = 52
) (
    input  wire [63:0]      entry_i,
    // 5 PML5E .. 1 PTE
    input  wire [2:0]       level_i,
    // accessed and dirty flags enabled; mode-based execute control
    input  wire             ad_i,
    input  wire             mbec_i,
    // ones at and above MAXPHYADDR, bits 51:12
    input  wire [51:12]     pa_reserved_i,

    output wire             present_o,
    output wire             leaf_o,
    output wire             reserved_o,
    // next table, or the page aligned to its size
    output wire [PA_W-1:12] frame_o,
    // {XU, X, R, W} of this entry alone
    output wire [3:0]       rights_o,
    // one without flags
    output wire             accessed_o,
    output wire             dirty_o,
    // {IPAT, type}
    output wire [3:0]       memtype_o
);

    wire ps      = entry_i[7];
    wire leaf_1g = (level_i == 3'd3) && ps;
    wire leaf_2m = (level_i == 3'd2) && ps;
    wire leaf_4k = (level_i == 3'd1);
    wire [2:0] kind = entry_i[5:3];

    assign present_o = (|entry_i[2:0]) || (mbec_i && entry_i[10]);
    assign leaf_o    = leaf_1g || leaf_2m || leaf_4k;

    assign reserved_o = (entry_i[1] && !entry_i[0])
                     || (|(entry_i[51:12] & pa_reserved_i))
                     || (level_i[2] && |entry_i[7:3])
                     || (!leaf_o && |entry_i[6:3])
                     || (leaf_1g && |entry_i[29:12])
                     || (leaf_2m && |entry_i[20:12])
                     || (leaf_o && (kind == 3'd2 || kind == 3'd3 || kind == 3'd7));

    assign frame_o = {entry_i[PA_W-1:30],
                      entry_i[29:21] & {9{!leaf_1g}},
                      entry_i[20:12] & {9{!leaf_1g && !leaf_2m}}};

    assign rights_o   = {mbec_i ? entry_i[10] : entry_i[2], entry_i[2], entry_i[0], entry_i[1]};
    assign accessed_o = entry_i[8] || !ad_i;
    assign dirty_o    = entry_i[9] || !ad_i;
    assign memtype_o  = {entry_i[6], kind};

    // Bits 63:52 and 11 are for software or features that the walker has not.
    wire unused = &{1'b0, entry_i[63:52], entry_i[11]};

endmodule

`default_nettype wire
