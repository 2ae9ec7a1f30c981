// SPDX-License-Identifier: Apache-2.0
// dmt_front: where requests enter.
//
// A request taken from the port goes on in the same cycle when nothing is in
// the way, else it waits in the skid (docs/microarchitecture.md 3.3). Requests
// that need no table (not canonical, mode OFF) are answered here.
// Handshake: req_ready_o is a register function (skid empty, nothing
// draining); go_o and now_o tell what the candidate does this cycle.
`default_nettype none
`include "dmt_regs.vh"

module dmt_front #(
    // physical address width, 32..52
    parameter PA_W = 52,
    // requester tag width
    parameter TAG_W = 8
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // request port
    input  wire             req_valid_i,
    output wire             req_ready_o,
    input  wire [TAG_W-1:0] req_tag_i,
    input  wire [63:0]      req_va_i,
    input  wire [1:0]       req_access_i,
    input  wire [1:0]       req_cpl_i,
    input  wire             req_ac_i,
    input  wire             req_implicit_i,
    input  wire             req_nonspec_i,

    // control
    input  wire             drain_i,       // a register write is waiting for us, or settling
    input  wire [1:0]       mode_i,
    input  wire             la57_i,
    input  wire [51:12]     pa_reserved_i,

    // may the candidate leave?
    input  wire             walk_room_i,   // context free, launch open, step needs neither
    input  wire             answer_room_i, // response queue has room, step pushes nothing

    // the candidate
    output wire             go_o,          // leaves as a walk
    output wire             now_o,         // leaves with an answer
    output wire [31:0]      order_o,
    output wire [31:0]      stamp_o,       // cycle it was taken from the port
    output wire [TAG_W-1:0] tag_o,
    output wire [63:0]      va_o,
    output wire [1:0]       access_o,
    output wire [1:0]       cpl_o,
    output wire             ac_o,
    output wire             implicit_o,
    output wire             nonspec_o,

    // its answer, with now_o
    output wire [3:0]       status_o,
    output wire [PA_W-1:0]  pa_o,
    output wire [3:0]       rights_o,
    output wire             dirty_o,
    output wire [63:0]      fault_addr_o,

    output wire             empty_o,       // skid is empty
    output wire [31:0]      now_cycle_o    // free-running cycle number
);

    localparam W = 32 + 32 + TAG_W + 64 + 2 + 2 + 1 + 1 + 1;

    reg         skid_valid_q;
    reg [W-1:0] skid_q;
    reg [31:0]  order_q, cycle_q;

    assign req_ready_o = !skid_valid_q && !drain_i;
    wire   taken       = req_valid_i && req_ready_o;
    wire [W-1:0] port  = {order_q, cycle_q, req_tag_i, req_va_i, req_access_i, req_cpl_i,
                          req_ac_i, req_implicit_i, req_nonspec_i};
    wire   candidate   = skid_valid_q || taken;

    assign {order_o, stamp_o, tag_o, va_o, access_o, cpl_o, ac_o, implicit_o, nonspec_o} =
        skid_valid_q ? skid_q : port;

    // ------------------------------------------------- requests without a walk
    wire off     = mode_i == `DMT_MODE_OFF;
    wire sign_4  = (&va_o[63:47]) || !(|va_o[63:47]);
    wire sign_5  = (&va_o[63:56]) || !(|va_o[63:56]);
    wire wide    = (|va_o[63:52]) || (|(va_o[51:12] & pa_reserved_i));
    wire gp      = off ? wide : !(la57_i ? sign_5 : sign_4);
    wire direct  = off || gp;

    assign go_o  = candidate && !direct && walk_room_i;
    assign now_o = candidate && direct && answer_room_i;

    assign status_o     = gp ? `DMT_STATUS_GP : `DMT_STATUS_OK;
    assign pa_o         = gp ? {PA_W{1'b0}} : va_o[PA_W-1:0];
    assign rights_o     = {1'b0, {3{!gp}}};
    assign dirty_o      = !gp;
    assign fault_addr_o = gp ? va_o : 64'd0;

    assign empty_o     = !skid_valid_q;
    assign now_cycle_o = cycle_q;

    always @(posedge clk_i) begin
        if (rst_i) begin
            skid_valid_q <= 1'b0;
            order_q      <= 32'd0;
            cycle_q      <= 32'd0;
        end else begin
            cycle_q      <= cycle_q + 32'd1;
            skid_valid_q <= candidate && !go_o && !now_o;
            if (taken)
                order_q <= order_q + 32'd1;
        end
    end

    always @(posedge clk_i) begin
        if (taken)
            skid_q <= port;
    end

endmodule

`default_nettype wire
