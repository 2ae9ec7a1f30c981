// SPDX-License-Identifier: Apache-2.0
// dmt_contexts: what each walk in flight knows between two answers.
//
// Three tables with one write port each, so that they map to LUT RAM: the
// request (written when a walk is taken in), the walk (dmt_walk.vh; written
// when launch is loaded), and the entry of every read (written when launch
// emits). And how many of its reads are surplus: sizes of a TEA fetch that a larger
// one has decided. A context is free when its walk has ended and those have come.
// A context is launched at least two cycles before it is stepped on an
// entry, so reads never race with these writes. Latency: all look-ups are
// combinational.
`default_nettype none
`include "dmt_walk.vh"

module dmt_contexts #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // contexts, 1..64
    parameter CTX_N = 8,
    // width of a context number
    parameter CTX_W = 3,
    // requester tag width
    parameter TAG_W = 8,
    // register sets: with one, walks have no second stages
    parameter SETS = 3
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // take a walk in: the lowest free context
    input  wire             alloc_i,
    output wire             free_o,        // some context is free
    output wire [CTX_W-1:0] alloc_ctx_o,
    output wire             busy_o,        // some context is not
    input  wire [31:0]      order_i,
    input  wire [31:0]      stamp_i,
    input  wire [TAG_W-1:0] tag_i,
    input  wire [63:0]      va_i,
    input  wire [1:0]       access_i,
    input  wire             user_i,
    input  wire             smap_ok_i,
    input  wire             nonspec_i,

    // a new launch begins for a context
    input  wire             load_i,
    input  wire [CTX_W-1:0] load_ctx_i,
    input  wire [`DMT_WALK_W-1:0] load_walk_i,

    // launch emits
    input  wire             emit_i,
    input  wire [CTX_W-1:0] emit_ctx_i,
    input  wire [1:0]       emit_slot_i,
    input  wire [PA_W-1:3]  emit_addr_i,
    input  wire [2:0]       emit_level_i,
    input  wire [3:0]       emit_rights_i,
    input  wire [5:0]       emit_index_i,

    // the context looked up for a step
    input  wire [CTX_W-1:0] find_ctx_i,
    input  wire [1:0]       find_stage_i,
    output wire [31:0]      order_o,
    output wire [31:0]      stamp_o,
    output wire [TAG_W-1:0] tag_o,
    output wire [63:0]      va_o,
    output wire [1:0]       access_o,
    output wire             user_o,
    output wire             smap_ok_o,
    output wire             nonspec_o,
    output wire [`DMT_WALK_W-1:0] walk_o,
    output wire [1:0]       left_o,        // answers of this launch that come after this one
    output wire             surplus_o,     // nobody waits for this one
    output wire [PA_W-1:3]  addr_o,        // of the read being answered
    output wire [2:0]       level_o,
    output wire [3:0]       rights_o,
    output wire [5:0]       index_o,
    output wire [63:0]      data_o,        // value written

    // what the step does to its own
    input  wire [CTX_W-1:0] ctx_i,
    input  wire [1:0]       stage_i,       // of the entry
    input  wire             wait_i,
    input  wire             surplus_i,     // left_i answers more are surplus
    input  wire [1:0]       left_i,
    input  wire             drop_i,        // one has come
    input  wire             keep_i,        // keep data_i
    input  wire [63:0]      data_i,
    input  wire             release_i,     // the walk has ended

    // PTE port: what queued writes write
    input  wire [CTX_W-1:0] aw_ctx_i,
    output wire [PA_W-1:3]  aw_addr_o,
    output wire [63:0]      w_data_o
);

    localparam DEPTH  = 1 << CTX_W;
    // Instances with one context have one place, whatever the ID bit says.
    localparam [CTX_W-1:0] PLACES = (CTX_N > 1) ? {CTX_W{1'b1}} : {CTX_W{1'b0}};
    wire [CTX_W-1:0] alloc_at = alloc_ctx_o & PLACES, load_at = load_ctx_i & PLACES, emit_at = emit_ctx_i & PLACES,
                    find_at = find_ctx_i & PLACES, at = ctx_i & PLACES, aw_at = aw_ctx_i & PLACES;
    localparam REQ_W  = 32 + 32 + TAG_W + 64 + 2 + 1 + 1 + 1;
    localparam WALK_W = (SETS > 1) ? `DMT_WALK_W : `DMT_WALK_NATIVE_W;
    localparam READ_W = (PA_W - 3) + 3 + 4 + 6;

    reg [REQ_W-1:0]  request_q [0:DEPTH-1];
    reg [WALK_W-1:0] walk_q    [0:DEPTH-1];
    reg [READ_W-1:0] read_q    [0:3*DEPTH-1];  // {slot, context}
    reg [63:0]       data_q    [0:DEPTH-1];

    reg [CTX_N-1:0]   busy_q;
    reg [DEPTH-1:0]   ended_q;                 // its answer has been given
    reg [2*DEPTH-1:0] got_q;                   // answers of this launch seen
    reg [2*SETS*DEPTH-1:0] surplus_q;          // {stage, context}: reads

    // -------------------------------------------------------------------- free
    function [CTX_W-1:0] lowest_free;
        input [CTX_N-1:0] busy;
        integer k;
        begin
            lowest_free = {CTX_W{1'b0}};
            for (k = CTX_N - 1; k >= 0; k = k - 1)
                if (!busy[k])
                    lowest_free = k[CTX_W-1:0];
        end
    endfunction

    assign free_o      = !(&busy_q);
    assign busy_o      = |busy_q;
    assign alloc_ctx_o = lowest_free(busy_q);

    wire [CTX_W+1:0] place = {stage_i, at};

    always @(posedge clk_i) begin
        if (rst_i)
            surplus_q <= {2*SETS*DEPTH{1'b0}};
        else if (surplus_i)
            surplus_q[2*place +: 2] <= left_i;
        else if (drop_i)
            surplus_q[2*place +: 2] <= surplus_q[2*place +: 2] - 2'd1;
    end

    // of each context: some read is surplus; all but one have come
    reg [DEPTH-1:0] some, single;
    reg [2:0]       sum;
    integer c, s;
    always @* begin
        for (c = 0; c < DEPTH; c = c + 1) begin
            sum = 3'd0;
            for (s = 0; s < SETS; s = s + 1)
                sum = sum + {1'b0, surplus_q[2*(s*DEPTH + c) +: 2]};
            some[c]   = sum != 3'd0;
            single[c] = sum == 3'd1;
        end
    end

    wire no_more = release_i && !surplus_i && !some[at];
    wire came    = drop_i && ended_q[at] && single[at];
    integer i;
    always @(posedge clk_i) begin
        if (rst_i)
            busy_q <= {CTX_N{1'b0}};
        else
            for (i = 0; i < CTX_N; i = i + 1)
                if (alloc_i && alloc_ctx_o == i[CTX_W-1:0])
                    busy_q[i] <= 1'b1;
                else if ((no_more || came) && ctx_i == i[CTX_W-1:0])
                    busy_q[i] <= 1'b0;
    end
    always @(posedge clk_i) begin
        if (alloc_i)
            ended_q[alloc_at] <= 1'b0;
        if (release_i)
            ended_q[at] <= 1'b1;
    end

    // ------------------------------------------------------------------ tables
    always @(posedge clk_i)
        if (alloc_i)
            request_q[alloc_at] <= {order_i, stamp_i, tag_i, va_i, access_i, user_i, smap_ok_i, nonspec_i};

    always @(posedge clk_i)
        if (load_i)
            walk_q[load_at] <= load_walk_i[WALK_W-1:0];

    always @(posedge clk_i)
        if (emit_i)
            read_q[{emit_slot_i, emit_at}] <= {emit_addr_i, emit_level_i, emit_rights_i, emit_index_i};

    always @(posedge clk_i)
        if (keep_i)
            data_q[at] <= data_i;

    // ------------------------------------------------------- answers of a launch
    wire [1:0] got  = got_q[2*at +: 2];
    wire [1:0] slot = got_q[2*find_at +: 2];

    always @(posedge clk_i) begin
        if (wait_i)
            got_q[2*at +: 2] <= got + 2'd1;
        if (load_i)
            got_q[2*load_at +: 2] <= 2'd0;
    end

    // -------------------------------------------------------------------- look-up
    assign {order_o, stamp_o, tag_o, va_o, access_o, user_o, smap_ok_o, nonspec_o} = request_q[find_at];
    wire [WALK_W-1:0] walk = walk_q[find_at];
    generate
        if (SETS > 1) begin : g_nested
            assign walk_o = walk;
        end else begin : g_native
            assign walk_o = {{(`DMT_WALK_W-WALK_W){1'b0}}, walk};
            wire unused_walk = &{1'b0, load_walk_i[`DMT_WALK_W-1:WALK_W]};
        end
    endgenerate
    wire [1:0] last_slot = walk[`DMT_WALK_LAST];

    assign {addr_o, level_o, rights_o, index_o} = read_q[{slot, find_at}];
    assign left_o      = last_slot - slot;
    assign data_o      = data_q[find_at];

    wire [CTX_W+1:0] find_place = {find_stage_i, find_at};
    assign surplus_o = surplus_q[2*find_place +: 2] != 2'd0;

    // --------------------------------------------------------------- PTE port
    wire [READ_W-1:0] aw_read = read_q[{2'd0, aw_at}];
    assign aw_addr_o = aw_read[READ_W-1 -: PA_W-3];
    assign w_data_o  = data_q[aw_at];

    wire unused = &{1'b0, aw_read[12:0]};

endmodule

`default_nettype wire
