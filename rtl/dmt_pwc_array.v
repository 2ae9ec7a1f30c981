// SPDX-License-Identifier: Apache-2.0
// dmt_pwc_array: one paging-structure cache, fully associative.
//
// Latency: look-up is combinational; a fill or a flush shows in the next
// cycle. A fill overwrites the entry with its own tag if there is one, so no
// tag is held twice; else it goes to the place the pointer names, round robin.
//
// An entry belongs to an owner, {stage, PCID, TAG1, TAG0}. Looked up and filled
// is for the current one alone, and that changes only while nothing is looked
// up, so each entry keeps whether it is the current owner's (SETTLES = 1): one
// comparison of owners an entry serves look-ups, fills and flushes.
`default_nettype none

module dmt_pwc_array #(
    // entries, 1 or more
    parameter N = 4,
    // bits of the address prefix
    parameter TAG_W = 27,
    // bits of a table frame
    parameter FRAME_W = 40,
    // of an owner: bits of its stage, 1 or 2; of its PCID, 0 or 12
    parameter STAGE_W = 2,
    parameter PCID_W = 12,
    // 2: the lowest stage bit tells two kinds apart, of which those with 0 have no TAG1
    parameter KINDS = 1,
    // 1: nothing is looked up or filled in the first cycle of a new owner
    parameter SETTLES = 1,
    // a consequence of the others
    parameter OWNER_W = STAGE_W + PCID_W + 16
) (
    input  wire               clk_i,
    input  wire               rst_i,

    input  wire [OWNER_W-1:0] owner_i,     // the current one, of kind 1 when there are two

    input  wire [TAG_W-1:0]   tag_i,
    input  wire               kind_i,
    output wire               hit_o,
    output wire [FRAME_W-1:0] frame_o,     // these two mean something with a hit only
    output wire [3:0]         rights_o,

    input  wire               fill_i,
    input  wire [TAG_W-1:0]   fill_tag_i,
    input  wire               fill_kind_i,
    input  wire [FRAME_W-1:0] fill_frame_i,
    input  wire [3:0]         fill_rights_i,

    // entries whose owner agrees in the fields asked for, {stage bits, PCID, TAG1, TAG0}
    input  wire               flush_i,
    input  wire [OWNER_W-1:0] flush_owner_i,
    input  wire [STAGE_W+2:0] flush_mask_i
);

    localparam PTR_W = (N > 1) ? $clog2(N) : 1;
    localparam [31:0] LAST_32 = N - 1;
    localparam [PTR_W-1:0] LAST = LAST_32[PTR_W-1:0];
    localparam STAGE = 16 + PCID_W;

    reg [N-1:0]         valid_q;
    reg [PTR_W-1:0]     ptr_q;
    reg [TAG_W-1:0]     tag_q   [0:N-1];
    reg [OWNER_W-1:0]   owner_q [0:N-1];
    reg [FRAME_W+3:0]   table_q [0:N-1];   // {rights, frame}: read one at a time, so that it maps to LUT RAM

    wire [OWNER_W-1:0] compared = flush_i ? flush_owner_i : owner_i;
    wire [OWNER_W-1:0] filled_owner = (KINDS == 1 || fill_kind_i)
                                    ? owner_i : {{(OWNER_W-8){1'b0}}, owner_i[7:0]};

    wire [N-1:0] hit, same, stale, own, mine;
    genvar g, b;
    generate
        for (g = 0; g < N; g = g + 1) begin : g_entry
            wire [OWNER_W-1:0] owner = owner_q[g];
            wire               kind  = owner[STAGE];
            wire [STAGE_W-1:0] stage_agrees = ~(owner[STAGE +: STAGE_W] ^ compared[STAGE +: STAGE_W]);
            wire               pcid_agrees;
            wire               tag1_agrees = owner[15:8] == compared[15:8];
            wire               tag0_agrees = owner[7:0] == compared[7:0];
            if (PCID_W != 0) begin : g_pcid
                assign pcid_agrees = owner[16 +: PCID_W] == compared[16 +: PCID_W];
            end else begin : g_no_pcid
                assign pcid_agrees = 1'b1;
            end
            wire [STAGE_W+2:0] agrees = {stage_agrees, pcid_agrees, tag1_agrees, tag0_agrees};

            assign own[g]   = (KINDS > 1) ? tag0_agrees && (tag1_agrees || !kind) : &agrees;
            assign stale[g] = flush_i && &(agrees | ~flush_mask_i);
            assign hit[g]   = valid_q[g] && mine[g] && tag_q[g] == tag_i && (KINDS == 1 || kind == kind_i);
            assign same[g]  = valid_q[g] && mine[g] && tag_q[g] == fill_tag_i
                           && (KINDS == 1 || kind == fill_kind_i);
        end
    endgenerate

    // At most one entry hits, so any encoder finds it.
    function [PTR_W-1:0] place;
        input [N-1:0] hits;
        integer k;
        begin
            place = {PTR_W{1'b0}};
            for (k = 0; k < N; k = k + 1)
                if (hits[k])
                    place = place | k[PTR_W-1:0];
        end
    endfunction
    wire [PTR_W-1:0]   at    = place(hit);
    wire [FRAME_W+3:0] found = table_q[at];

    assign hit_o    = |hit;
    assign frame_o  = found[FRAME_W-1:0];
    assign rights_o = found[FRAME_W +: 4];

    wire             at_ptr  = fill_i && !(|same);
    wire [PTR_W-1:0] fill_at = at_ptr ? ptr_q : place(same);

    always @(posedge clk_i)
        if (fill_i)
            table_q[fill_at] <= {fill_rights_i, fill_frame_i};

    wire [N-1:0] filled;
    generate
        for (b = 0; b < N; b = b + 1) begin : g_fill
            assign filled[b] = fill_i && fill_at == b;
            always @(posedge clk_i) begin
                if (filled[b]) begin
                    tag_q[b]   <= fill_tag_i;
                    owner_q[b] <= filled_owner;
                end
            end
        end
    endgenerate

    generate
        if (SETTLES != 0) begin : g_kept
            reg [N-1:0] mine_q;
            always @(posedge clk_i)
                mine_q <= (flush_i ? mine_q : own) | filled;
            assign mine = mine_q;
        end else begin : g_now
            assign mine = own;
        end
    endgenerate

    always @(posedge clk_i) begin
        if (rst_i) begin
            valid_q <= {N{1'b0}};
            ptr_q   <= {PTR_W{1'b0}};
        end else begin
            valid_q <= (valid_q & ~stale) | filled;
            if (at_ptr)
                ptr_q <= (ptr_q == LAST) ? {PTR_W{1'b0}} : ptr_q + 1'b1;
        end
    end

    generate
        if (KINDS == 1) begin : g_one_kind
            wire unused = &{1'b0, kind_i, fill_kind_i};
        end
    endgenerate

endmodule

`default_nettype wire
