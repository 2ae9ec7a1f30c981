// SPDX-License-Identifier: Apache-2.0
// dmt_pwc: paging-structure caches: where a walk may start.
//
// One instance serves the entering stage, one the second stages. Three arrays
// keep entries of level 4, 3 and 2 with the host address of the next table; the
// deepest hit wins, so a level skipped costs no clock. Latency: look-up is combinational and has
// two halves, what each array says (found_o) and the choice among them (found_i to hit_o,
// table_o, rights_o); whoever uses it puts wires or a register between. A fill
// asked for in one cycle is written in the next and seen in the one after.
// Flushes come only while no walk is in flight and no fill is pending.
`default_nettype none

module dmt_pwc #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // cached entries of level 4, 3, 2; 0 leaves a cache out
    parameter PWC4_N = 2,
    parameter PWC3_N = 4,
    parameter PWC2_N = 32,
    // of what an entry belongs to besides its prefix, see dmt_pwc_array
    parameter STAGE_W = 2,
    parameter PCID_W = 12,
    parameter KINDS = 1,
    parameter SETTLES = 1,
    parameter OWNER_W = STAGE_W + PCID_W + 16,
    // of what the arrays say: of each whether it hits, rights, frame
    parameter FOUND_W = 3 * (1 + 4 + PA_W - 12)
) (
    input  wire             clk_i,
    input  wire             rst_i,

    input  wire [OWNER_W-1:0] owner_i,     // the current one

    input  wire [56:21]     va_i,
    input  wire             kind_i,
    output wire [FOUND_W-1:0] found_o,
    input  wire [FOUND_W-1:0] found_i,
    output wire [4:2]       hit_o,         // which cache the walk starts from, one-hot or none
    output wire [PA_W-1:12] table_o,       // these two mean something with a hit only
    output wire [3:0]       rights_o,

    input  wire             fill_i,
    input  wire [2:0]       fill_level_i,  // of the entry
    input  wire [56:21]     fill_va_i,
    input  wire             fill_kind_i,
    input  wire [PA_W-1:12] fill_table_i,
    input  wire [3:0]       fill_rights_i,
    output wire             pending_o,     // a fill is to be written

    input  wire             flush_i,
    input  wire [OWNER_W-1:0] flush_owner_i,
    input  wire [STAGE_W+2:0] flush_mask_i // fields that must agree
);

    localparam F_W = PA_W - 12;

    reg             pend_q;
    reg [2:0]       pend_level_q;
    reg [56:21]     pend_va_q;
    reg             pend_kind_q;
    reg [PA_W-1:12] pend_table_q;
    reg [3:0]       pend_rights_q;

    wire kept = (fill_level_i == 3'd4 && PWC4_N != 0)
             || (fill_level_i == 3'd3 && PWC3_N != 0)
             || (fill_level_i == 3'd2 && PWC2_N != 0);

    always @(posedge clk_i) begin
        if (rst_i)
            pend_q <= 1'b0;
        else
            pend_q <= fill_i && kept;
    end
    always @(posedge clk_i) begin
        if (fill_i) begin
            pend_level_q  <= fill_level_i;
            pend_va_q     <= fill_va_i;
            pend_kind_q   <= fill_kind_i;
            pend_table_q  <= fill_table_i;
            pend_rights_q <= fill_rights_i;
        end
    end
    assign pending_o = pend_q;

    // what each array says, and the same when it is looked at
    wire [4:2]     is_hit, hit;
    wire [F_W-1:0] frame4, frame3, frame2;
    wire [3:0]     rights4, rights3, rights2;

    genvar l;
    generate
        for (l = 2; l <= 4; l = l + 1) begin : g_level
            localparam N   = (l == 4) ? PWC4_N : (l == 3) ? PWC3_N : PWC2_N;
            localparam LOW = 12 + 9 * (l - 1);
            wire [F_W-1:0] frame;
            wire [3:0]     rights;
            if (N != 0) begin : g_array
                dmt_pwc_array #(
                    .N(N), .TAG_W(57 - LOW), .FRAME_W(F_W),
                    .STAGE_W(STAGE_W), .PCID_W(PCID_W), .KINDS(KINDS), .SETTLES(SETTLES)
                ) u_array (
                    .clk_i         (clk_i),
                    .rst_i         (rst_i),
                    .owner_i       (owner_i),
                    .tag_i         (va_i[56:LOW]),
                    .kind_i        (kind_i),
                    .hit_o         (is_hit[l]),
                    .frame_o       (frame),
                    .rights_o      (rights),
                    .fill_i        (pend_q && pend_level_q == l),
                    .fill_tag_i    (pend_va_q[56:LOW]),
                    .fill_kind_i   (pend_kind_q),
                    .fill_frame_i  (pend_table_q),
                    .fill_rights_i (pend_rights_q),
                    .flush_i       (flush_i),
                    .flush_owner_i (flush_owner_i),
                    .flush_mask_i  (flush_mask_i)
                );
            end else begin : g_none
                assign is_hit[l] = 1'b0;
                assign frame     = {F_W{1'b0}};
                assign rights    = 4'd0;
            end
        end
    endgenerate

    generate
        if (PWC4_N == 0 && PWC3_N == 0 && PWC2_N == 0) begin : g_unused
            wire unused = &{1'b0, va_i, owner_i, kind_i, pend_level_q, pend_va_q, pend_kind_q, pend_table_q,
                            pend_rights_q, flush_i, flush_owner_i, flush_mask_i};
        end
    endgenerate

    assign found_o = {is_hit, g_level[4].rights, g_level[4].frame, g_level[3].rights, g_level[3].frame,
                      g_level[2].rights, g_level[2].frame};
    assign {hit, rights4, frame4, rights3, frame3, rights2, frame2} = found_i;

    assign hit_o    = {hit[4] && !hit[3] && !hit[2], hit[3] && !hit[2], hit[2]};
    assign table_o  = hit[2] ? frame2  : hit[3] ? frame3  : frame4;
    assign rights_o = hit[2] ? rights2 : hit[3] ? rights3 : rights4;

endmodule

`default_nettype wire
