// SPDX-License-Identifier: Apache-2.0
// dmt_fetch: what the walk step works on next.
//
// Three sources, in this order: what launch cannot read itself (a refusal, or a
// chain whose entry's address goes back to be matched), an answer to a write,
// since it needs no ready, and a beat of the R channel. id_o names the context to
// be looked up; what is found there comes back in found_i and, with the rest, goes
// to the step in step_*.
//
// PIPE = 0: wires: looked up and stepped in the same cycle. launch holds what it
// cannot read until l_done_o.
// PIPE = 1: a register between the two, and a queue for what launch cannot read, so
// that launch never waits for a step: with both waiting for each other nothing
// would move. An answer that is looked up while the step before it, of the same
// context, changes what is found is looked up once more, a cycle later; a beat of
// the loader waits two cycles, in which dmt_tea_file checks it.
// Handshake: a step happens when room_i is high (or the loader takes the beat);
// m_rready_o is a function of registers.
`default_nettype none

module dmt_fetch #(
    // contexts, 1..64
    parameter CTX_N = 8,
    // width of a context number, of an AXI ID: {stage, context}
    parameter CTX_W = 3,
    parameter ID_W = 5,
    // bits of what is looked up, of what launch says
    parameter FOUND_W = 8,
    parameter L_W = 8,
    // 1: a register between look-up and step
    parameter PIPE = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,

    // launch
    input  wire             l_refuse_i,
    input  wire             l_chain_i,
    input  wire [CTX_W-1:0] l_ctx_i,
    input  wire [L_W-1:0]   l_data_i,
    output wire             l_done_o,      // the refusal has left

    // answers to writes
    input  wire             b_valid_i,
    input  wire [CTX_W-1:0] b_ctx_i,
    input  wire [1:0]       b_resp_i,
    output wire             b_pop_o,

    // R channel
    input  wire             m_rvalid_i,
    output wire             m_rready_o,
    input  wire [ID_W-1:0]  m_rid_i,
    input  wire [63:0]      m_rdata_i,
    input  wire [1:0]       m_rresp_i,

    // look-up
    output wire [ID_W-1:0]  id_o,          // of other than a beat: the context alone counts
    output wire             b_o,           // an answer to a write
    output wire [63:0]      data_o,
    output wire [1:0]       resp_o,
    input  wire [FOUND_W-1:0] found_i,

    // step
    input  wire             result_room_i, // for an answer
    input  wire             accept_i,      // for what goes ahead
    input  wire             loading_i,     // beats are the loader's
    output wire             go_o,          // it happens; step_* say what it is
    output wire             step_refuse_o,
    output wire             step_chain_o,
    output wire             step_b_o,
    output wire             step_r_o,
    output wire             beat_o,        // for the loader
    output wire [ID_W-1:0]  step_id_o,
    output wire [63:0]      step_data_o,   // of the R channel
    output wire [1:0]       step_resp_o,
    output wire [L_W-1:0]   step_l_o,
    output wire [FOUND_W-1:0] step_found_o
);

    wire [ID_W-1:0] b_id = {{(ID_W-CTX_W){1'b0}}, b_ctx_i};

    generate
        if (PIPE != 0) begin : g_register
            wire             lq_valid, lq_refuse, lq_full;
            wire [CTX_W-1:0] lq_ctx;
            wire [L_W-1:0]   lq_data;

            reg              valid_q, refuse_q, chain_q, b_q;
            reg [1:0]        wait_q;
            reg [ID_W-1:0]   id_q;
            reg [63:0]       data_q;
            reg [1:0]        resp_q;
            reg [L_W-1:0]    l_q;
            reg [FOUND_W-1:0] found_q;

            wire again = valid_q && wait_q != 2'd0;
            wire go    = valid_q && !again && ((result_room_i && accept_i) || loading_i);
            wire free  = !valid_q || go;
            wire use_l = free && lq_valid;
            wire use_b = free && !lq_valid && b_valid_i;
            wire use_r = m_rready_o && m_rvalid_i;

            // A context has at most one refusal or chain.
            dmt_fifo #(.W(1 + CTX_W + L_W), .DEPTH(CTX_N)) u_lq (
                .clk_i   (clk_i),
                .rst_i   (rst_i),
                .push_i  (l_refuse_i || l_chain_i),
                .data_i  ({l_refuse_i, l_ctx_i, l_data_i}),
                .full_o  (lq_full),
                .pop_i   (use_l),
                .valid_o (lq_valid),
                .data_o  ({lq_refuse, lq_ctx, lq_data})
            );
            assign l_done_o = 1'b1;
            assign b_pop_o  = use_b;
            assign m_rready_o = free && !lq_valid && !b_valid_i;

            assign id_o   = again ? id_q : lq_valid ? {{(ID_W-CTX_W){1'b0}}, lq_ctx} : b_valid_i ? b_id : m_rid_i;
            assign b_o    = !again && !lq_valid && b_valid_i;
            assign data_o = again ? data_q : m_rdata_i;
            assign resp_o = again ? resp_q : b_o ? b_resp_i : m_rresp_i;

            always @(posedge clk_i) begin
                if (rst_i) begin
                    valid_q <= 1'b0;
                    wait_q  <= 2'd0;
                end else begin
                    valid_q <= use_l || use_b || use_r || !free;
                    wait_q  <= again                                        ? wait_q - 2'd1
                             : (use_r && loading_i)                         ? 2'd2
                             : (use_r && valid_q && id_q[CTX_W-1:0] == m_rid_i[CTX_W-1:0]) ? 2'd1
                             :                                                2'd0;
                end
            end
            always @(posedge clk_i) begin
                if (free) begin
                    refuse_q <= lq_valid && lq_refuse;
                    chain_q  <= lq_valid && !lq_refuse;
                    b_q      <= b_o;
                    l_q      <= lq_data;
                end
                if (free || again) begin
                    id_q    <= id_o;
                    data_q  <= data_o;
                    resp_q  <= resp_o;
                    found_q <= found_i;
                end
            end

            assign go_o          = go;
            assign step_refuse_o = refuse_q;
            assign step_chain_o  = chain_q;
            assign step_b_o      = b_q;
            assign step_r_o      = !refuse_q && !chain_q && !b_q && !loading_i;
            assign beat_o        = go && !refuse_q && !chain_q && !b_q;
            assign step_id_o     = id_q;
            assign step_data_o   = data_q;
            assign step_resp_o   = resp_q;
            assign step_l_o      = l_q;
            assign step_found_o  = found_q;
            wire unused = &{1'b0, lq_full};
        end else begin : g_wires
            wire step_ok = result_room_i && accept_i && !l_chain_i;
            assign go_o          = 1'b1;
            assign step_refuse_o = l_refuse_i && result_room_i;
            assign step_chain_o  = l_chain_i;
            assign step_b_o      = step_ok && b_valid_i;
            assign m_rready_o    = (step_ok && !b_valid_i) || loading_i;
            assign beat_o        = m_rvalid_i && m_rready_o;
            assign step_r_o      = beat_o && !loading_i;
            assign l_done_o      = step_refuse_o;
            assign b_pop_o       = step_b_o;

            assign id_o   = (l_refuse_i || l_chain_i) ? {{(ID_W-CTX_W){1'b0}}, l_ctx_i} : b_valid_i ? b_id : m_rid_i;
            assign b_o    = b_valid_i;
            assign data_o = m_rdata_i;
            assign resp_o = b_valid_i ? b_resp_i : m_rresp_i;

            assign step_id_o    = id_o;
            assign step_data_o  = data_o;
            assign step_resp_o  = resp_o;
            assign step_l_o     = l_data_i;
            assign step_found_o = found_i;
            wire unused = &{1'b0, clk_i, rst_i};
        end
    endgenerate

endmodule

`default_nettype wire
