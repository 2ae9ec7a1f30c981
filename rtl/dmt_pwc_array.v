// SPDX-License-Identifier: Apache-2.0
// dmt_pwc_array: one paging-structure cache, fully associative.
//
// Latency: look-up is combinational; a fill or a flush shows in the next
// cycle. A fill overwrites the entry with its own tag if there is one, so no
// tag is held twice; else it goes to the place the pointer names, round robin.
`default_nettype none

module dmt_pwc_array #(
    // entries, 1 or more
    parameter N = 4,
    // bits of the address prefix
    parameter TAG_W = 27,
    // bits of what else an entry belongs to (stage, PCID, tags)
    parameter OWNER_W = 30,
    // bits of a table frame
    parameter FRAME_W = 40
) (
    input  wire               clk_i,
    input  wire               rst_i,

    input  wire [TAG_W-1:0]   tag_i,
    input  wire [OWNER_W-1:0] owner_i,
    output wire               hit_o,
    output wire [FRAME_W-1:0] frame_o,     // zero without a hit
    output wire [3:0]         rights_o,    // zero without a hit

    input  wire               fill_i,
    input  wire [TAG_W-1:0]   fill_tag_i,
    input  wire [OWNER_W-1:0] fill_owner_i,
    input  wire [FRAME_W-1:0] fill_frame_i,
    input  wire [3:0]         fill_rights_i,

    input  wire               flush_i,     // entries whose owner agrees where the mask has ones
    input  wire [OWNER_W-1:0] flush_owner_i,
    input  wire [OWNER_W-1:0] flush_mask_i
);

    localparam PTR_W = (N > 1) ? $clog2(N) : 1;
    localparam [31:0] LAST_32 = N - 1;
    localparam [PTR_W-1:0] LAST = LAST_32[PTR_W-1:0];

    reg [N-1:0]       valid_q;
    reg [PTR_W-1:0]   ptr_q;
    reg [TAG_W-1:0]   tag_q    [0:N-1];
    reg [OWNER_W-1:0] owner_q  [0:N-1];
    reg [FRAME_W-1:0] frame_q  [0:N-1];
    reg [3:0]         rights_q [0:N-1];

    wire [N-1:0] hit, same, stale;
    genvar g;
    generate
        for (g = 0; g < N; g = g + 1) begin : g_entry
            assign hit[g]   = valid_q[g] && tag_q[g] == tag_i && owner_q[g] == owner_i;
            assign same[g]  = valid_q[g] && tag_q[g] == fill_tag_i && owner_q[g] == fill_owner_i;
            assign stale[g] = flush_i && !(|((owner_q[g] ^ flush_owner_i) & flush_mask_i));
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
    wire [PTR_W-1:0] at = place(hit);

    assign hit_o    = |hit;
    assign frame_o  = frame_q[at]  & {FRAME_W{hit_o}};
    assign rights_o = rights_q[at] & {4{hit_o}};

    wire at_ptr = fill_i && !(|same);

    integer i;
    always @(posedge clk_i) begin
        for (i = 0; i < N; i = i + 1)
            if (fill_i && (same[i] || (at_ptr && ptr_q == i[PTR_W-1:0]))) begin
                tag_q[i]    <= fill_tag_i;
                owner_q[i]  <= fill_owner_i;
                frame_q[i]  <= fill_frame_i;
                rights_q[i] <= fill_rights_i;
            end
    end

    always @(posedge clk_i) begin
        if (rst_i) begin
            valid_q <= {N{1'b0}};
            ptr_q   <= {PTR_W{1'b0}};
        end else begin
            valid_q <= valid_q & ~stale;
            if (at_ptr) begin
                valid_q[ptr_q] <= 1'b1;
                ptr_q          <= (ptr_q == LAST) ? {PTR_W{1'b0}} : ptr_q + 1'b1;
            end
        end
    end

endmodule

`default_nettype wire
