// SPDX-License-Identifier: Apache-2.0
// dmt_mailbox: carries out the host's commands and sends what they yield
// (docs/board.md). Commands are taken one after the other; translations go into
// the walker without waiting for each other, and their answers come as they come.
//
// Two machines share the stream to the host, a whole answer at a time: one obeys
// commands, the other sends results and A/D updates. Register writes and fences
// wait for walks, so the second must never wait for the first: it does not.
// Updates are noted by the walk trace port, which does not wait; so B answers are
// held back (b_hold_o) while those under way fill the room for them.
`default_nettype none
`include "dmt_board.vh"

module dmt_mailbox #(
    parameter PA_W = 52,
    parameter CTX_N = 8,
    parameter TAG_W = 8,
    // 1: answers say clocks and reads, and A/D updates are sent; 0: smaller
    parameter TRACE = 1,
    // the bytes that IDENTIFY yields, first in the lowest, without version, session and build
    parameter [8*28-1:0] FACTS = 0
) (
    input  wire             clk_i,
    input  wire             rst_i,
    // a new session: what goes on comes to its end unheard; walker and memory stay as they are
    input  wire             start_i,
    input  wire [15:0]      version_i,
    input  wire [15:0]      session_i,
    input  wire [31:0]      build_i,
    input  wire [31:0]      clock_i,
    output reg              reset_o,      // command RESET: for one cycle
    output reg              lost_o,       // an unknown command: nothing more is obeyed

    // streams
    input  wire             rx_valid_i,
    output wire             rx_ready_o,
    input  wire [7:0]       rx_data_i,
    output wire             tx_valid_o,
    input  wire             tx_ready_i,
    output wire [7:0]       tx_data_o,

    // frame store
    input  wire             store_ready_i,
    output wire             h_valid_o,
    output wire             h_map_o,
    output wire             h_write_o,
    output wire [23:0]      h_addr_o,
    output wire [63:0]      h_wdata_o,
    input  wire             h_done_i,
    input  wire [63:0]      h_rdata_i,

    // CSR port
    output reg              s_awvalid_o,
    input  wire             s_awready_i,
    output wire [13:0]      s_awaddr_o,
    output reg              s_wvalid_o,
    input  wire             s_wready_i,
    output wire [63:0]      s_wdata_o,
    input  wire             s_bvalid_i,
    output wire             s_bready_o,
    input  wire [1:0]       s_bresp_i,
    output reg              s_arvalid_o,
    input  wire             s_arready_i,
    output wire [13:0]      s_araddr_o,
    input  wire             s_rvalid_i,
    output wire             s_rready_o,
    input  wire [63:0]      s_rdata_i,
    input  wire [1:0]       s_rresp_i,

    // translations
    output wire             req_valid_o,
    input  wire             req_ready_i,
    output wire [TAG_W-1:0] req_tag_o,
    output wire [63:0]      req_va_o,
    output wire [1:0]       req_access_o,
    output wire [1:0]       req_cpl_o,
    output wire             req_ac_o,
    output wire             req_implicit_o,
    output wire             req_nonspec_o,
    input  wire             resp_valid_i,
    output reg              resp_ready_o,
    input  wire [TAG_W-1:0] resp_tag_i,
    input  wire [3:0]       resp_status_i,
    input  wire [PA_W-1:0]  resp_pa_i,
    input  wire [1:0]       resp_size_i,
    input  wire [3:0]       resp_rights_i,
    input  wire             resp_global_i,
    input  wire [3:0]       resp_pkey_i,
    input  wire [6:0]       resp_memtype_i,
    input  wire             resp_dirty_i,
    input  wire             resp_ad_needed_i,
    input  wire [33:0]      resp_error_i,
    input  wire [63:0]      resp_addr_i,
    input  wire [1:0]       resp_stage_i,
    input  wire             wt_ref_valid_i,
    input  wire [31:0]      wt_ref_order_i,
    input  wire             wt_upd_valid_i,
    input  wire [31:0]      wt_upd_order_i,
    input  wire [PA_W-1:0]  wt_upd_addr_i,
    input  wire [63:0]      wt_upd_data_i,
    input  wire [1:0]       wt_upd_resp_i,
    input  wire             wt_end_valid_i,
    input  wire [5:0]       wt_end_path_i,
    input  wire [17:0]      wt_end_index_i,
    input  wire [31:0]      wt_end_clocks_i,
    input  wire             b_taken_i,    // a B answer went to the walker
    output wire             b_hold_o
);

    // Walks at once: their number is the order of requests modulo 2^SEAT_W. More
    // seats than the walker can hold, so that it never lacks requests.
    localparam WANT_W = $clog2(CTX_N) + 2;
    localparam SEAT_W = (WANT_W < TAG_W) ? WANT_W : TAG_W;
    localparam SEATS  = 1 << SEAT_W;

    // ------------------------------------------------------------------ commands
    localparam [3:0] OP = 4'd0, ARGS = 4'd1, RUN = 4'd2, DATA = 4'd3, ACT = 4'd4, OWN = 4'd5, CODE = 4'd6,
                     RESP = 4'd7, WORD = 4'd8, NEXT = 4'd9, FACT = 4'd10, QUIET = 4'd11, REST = 4'd12,
                     LOST = 4'd13;

    wire [31:0]       clocks;
    wire [9:0]        reads;
    wire              upd_valid, upd_pop;
    wire [SEAT_W-1:0] upd_seat;
    wire [1:0]        upd_resp;
    wire [PA_W-1:0]   upd_addr;
    wire [63:0]       upd_data;

    reg [3:0]  state_q;
    reg [7:0]  op_q;
    reg [3:0]  left_q;                // bytes of this step to come
    reg [71:0] arg_q;
    reg [23:0] addr_q;
    reg [15:0] count_q;
    reg [5:0]  fact_q;
    reg [2:0]  wait_q;
    reg [1:0]  axi_resp_q;
    reg        own_q;                 // the stream is the commands'
    reg        abort_q, drain_q;      // of the session before: a command, answers
    wire       busy;                  // the other machine sends, or wants to
    reg [SEATS-1:0]  seated_q;
    reg [SEAT_W-1:0] seat_q;          // of the next request

    wire is_csr  = op_q == `DMT_CMD_CSR_WRITE || op_q == `DMT_CMD_CSR_READ;
    wire is_host = op_q == `DMT_CMD_STORE || op_q == `DMT_CMD_FETCH || op_q == `DMT_CMD_MAP;
    wire has_data = op_q == `DMT_CMD_STORE || op_q == `DMT_CMD_MAP || op_q == `DMT_CMD_CSR_WRITE;
    wire says_clock = op_q == `DMT_CMD_FENCE || op_q == `DMT_CMD_RESET;
    wire unknown = !is_csr && !is_host && !says_clock && op_q != `DMT_CMD_IDENTIFY
                && op_q != `DMT_CMD_TRANSLATE;
    wire says_word = op_q == `DMT_CMD_FETCH || op_q == `DMT_CMD_CSR_READ;

    wire in_access = state_q == ACT && ((is_host && !h_done_i)
                                        || (op_q == `DMT_CMD_CSR_WRITE && !s_bvalid_i)
                                        || (op_q == `DMT_CMD_CSR_READ && !s_rvalid_i));
    wire take    = rx_valid_i && rx_ready_o;
    wire cmd_put = own_q && (state_q == CODE || state_q == RESP || state_q == WORD || state_q == FACT);
    wire cmd_go  = cmd_put && tx_ready_i;
    reg  [7:0] cmd_data;

    // s_rdata is zero but for the answer of a read
    wire [63:0] word = (h_rdata_i & {64{is_host}}) | s_rdata_i | {32'd0, clock_i & {32{says_clock}}};
    wire put_word = (state_q == ACT && (op_q == `DMT_CMD_CSR_READ || (op_q == `DMT_CMD_FETCH && h_done_i)))
                 || (state_q == CODE && says_clock);

    assign rx_ready_o = (state_q == OP && !drain_q) || state_q == ARGS || state_q == DATA;
    assign h_valid_o  = state_q == ACT && is_host;
    assign h_map_o    = op_q == `DMT_CMD_MAP;
    assign h_write_o  = op_q == `DMT_CMD_STORE;
    assign h_addr_o   = addr_q;
    assign h_wdata_o  = arg_q[71:8];
    assign s_awaddr_o = {addr_q[10:0], 3'd0};
    assign s_araddr_o = {addr_q[10:0], 3'd0};
    assign s_wdata_o  = arg_q[71:8];
    assign s_bready_o = 1'b1;
    assign s_rready_o = 1'b1;

    assign req_valid_o = state_q == ACT && op_q == `DMT_CMD_TRANSLATE && !seated_q[seat_q];
    generate
        if (TAG_W > SEAT_W) begin : g_tag
            assign req_tag_o = {{(TAG_W-SEAT_W){1'b0}}, seat_q};
        end else begin : g_tag
            assign req_tag_o = seat_q;
        end
    endgenerate
    assign req_va_o       = arg_q[71:8];
    assign req_access_o   = arg_q[1:0];
    assign req_cpl_o      = arg_q[3:2];
    assign req_ac_o       = arg_q[4];
    assign req_implicit_o = arg_q[5];
    assign req_nonspec_o  = arg_q[6];

    always @(posedge clk_i) begin
        reset_o <= 1'b0;
        // bytes come in at the top and go out at the bottom; words are put above it
        if (take || (state_q == WORD && cmd_go))
            arg_q <= {rx_data_i, arg_q[71:8]};
        else if (put_word)
            arg_q[71:8] <= word;
        if (s_awvalid_o && s_awready_i)
            s_awvalid_o <= 1'b0;
        if (s_wvalid_o && s_wready_i)
            s_wvalid_o <= 1'b0;
        if (s_arvalid_o && s_arready_i)
            s_arvalid_o <= 1'b0;
        case (state_q)
        OP: begin
            op_q   <= rx_data_i;
            left_q <= (rx_data_i == `DMT_CMD_TRANSLATE) ? 4'd9 : 4'd5;
            fact_q <= 6'd0;
            if (take)
                case (rx_data_i)
                `DMT_CMD_STORE, `DMT_CMD_FETCH, `DMT_CMD_MAP, `DMT_CMD_CSR_WRITE, `DMT_CMD_CSR_READ,
                `DMT_CMD_TRANSLATE:
                    state_q <= ARGS;
                `DMT_CMD_FENCE, `DMT_CMD_RESET:
                    state_q <= QUIET;
                default: // unknown ones, too: their answer tells
                    state_q <= OWN;
                endcase
        end
        ARGS: if (take) begin
            left_q <= left_q - 1'b1;
            if (left_q == 4'd1)
                state_q <= RUN;
        end
        RUN: begin
            if (op_q != `DMT_CMD_TRANSLATE) begin
                addr_q  <= arg_q[55:32];
                count_q <= arg_q[71:56];
            end
            left_q  <= 4'd8;
            state_q <= has_data ? DATA : says_word ? OWN : ACT;
        end
        DATA: if (take) begin
            left_q <= left_q - 1'b1;
            if (left_q == 4'd1) begin
                state_q     <= ACT;
                s_awvalid_o <= is_csr;
                s_wvalid_o  <= is_csr;
            end
        end
        ACT: begin
            left_q <= 4'd8;
            if (is_host && h_done_i) begin
                state_q <= (op_q == `DMT_CMD_FETCH) ? WORD : NEXT;
            end
            if (op_q == `DMT_CMD_CSR_WRITE && s_bvalid_i) begin
                axi_resp_q <= s_bresp_i;
                state_q    <= OWN;
            end
            if (op_q == `DMT_CMD_CSR_READ && s_rvalid_i) begin
                axi_resp_q <= s_rresp_i;
                state_q    <= RESP;
            end
            if (req_valid_o && req_ready_i)
                state_q <= OP;
        end
        OWN: begin
            // not between the other machine's answers: what it has goes first
            own_q <= !busy;
            if (own_q)
                state_q <= CODE;
        end
        CODE: if (cmd_go)
            case (op_q)
            `DMT_CMD_IDENTIFY:
                state_q <= FACT;
            `DMT_CMD_FETCH:
                state_q <= ACT;
            `DMT_CMD_CSR_READ: begin
                s_arvalid_o <= 1'b1;
                state_q     <= ACT;
            end
            `DMT_CMD_CSR_WRITE:
                state_q <= RESP;
            `DMT_CMD_FENCE, `DMT_CMD_RESET: begin
                left_q  <= 4'd4;
                state_q <= WORD;
            end
            default: begin
                count_q <= 16'd1;
                state_q <= RESP;
            end
            endcase
        RESP: if (cmd_go)
            state_q <= (op_q == `DMT_CMD_CSR_READ) ? WORD : NEXT;
        WORD: if (cmd_go) begin
            left_q <= left_q - 1'b1;
            if (left_q == 4'd1) begin
                state_q <= NEXT;
                if (says_clock)
                    count_q <= 16'd1;
            end
        end
        NEXT: begin
            // the stream is given back after each answer, of a fetch after all of it
            left_q  <= 4'd8;
            addr_q  <= addr_q + 1'b1;
            count_q <= count_q - 1'b1;
            own_q   <= op_q == `DMT_CMD_FETCH && count_q != 16'd1;
            if (count_q == 16'd1)
                state_q <= unknown ? LOST : OP;
            else
                state_q <= has_data ? DATA : (op_q == `DMT_CMD_FETCH) ? ACT : OWN;
        end
        FACT: begin
            count_q <= 16'd1;
            if (cmd_go) begin
                fact_q <= fact_q + 1'b1;
                if (fact_q == `DMT_ID_BYTES - 6'd1)
                    state_q <= NEXT;
            end
        end
        QUIET: if (seated_q == {SEATS{1'b0}}) begin
            reset_o <= op_q == `DMT_CMD_RESET;
            seat_q  <= (op_q == `DMT_CMD_RESET) ? {SEAT_W{1'b0}} : seat_q;
            state_q <= REST;
        end
        REST: if (store_ready_i && !reset_o && wait_q == 3'd0) // a reset clears the map
            state_q <= OWN;
        default: ;                    // LOST
        endcase
        if (req_valid_o && req_ready_i)
            seat_q <= seat_q + 1'b1;
        lost_o <= state_q == LOST;
        if (start_i || abort_q) begin
            // an access to a port is not broken off
            own_q   <= 1'b0;
            abort_q <= in_access;
            if (!in_access)
                state_q <= OP;
        end
        if (start_i)
            drain_q <= 1'b1;
        else if (seated_q == {SEATS{1'b0}} && !upd_valid)
            drain_q <= 1'b0;
        if (rst_i) begin
            state_q     <= OP;
            own_q       <= 1'b0;
            abort_q     <= 1'b0;
            drain_q     <= 1'b0;
            seat_q      <= {SEAT_W{1'b0}};
            s_awvalid_o <= 1'b0;
            s_wvalid_o  <= 1'b0;
            s_arvalid_o <= 1'b0;
            reset_o     <= 1'b0;
        end
    end

    // The cycles in which the store does not know of the reset yet.
    always @(posedge clk_i) wait_q <= {wait_q[1:0], reset_o};

    wire [8*40-1:0] facts = {FACTS, build_i, session_i, version_i, 32'h42544d44};
    always @* begin
        case (state_q)
        CODE:    cmd_data = unknown ? `DMT_ANS_UNKNOWN : op_q;
        RESP:    cmd_data = unknown ? op_q : {6'd0, axi_resp_q};
        WORD:    cmd_data = arg_q[15:8];
        default: cmd_data = facts[{3'd0, fact_q} * 9'd8 +: 8];
        endcase
    end

    // ------------------------------------------------------- what walks leave behind
    wire      seat_now = req_valid_o && req_ready_i;
    wire      seat_free;
    wire [SEAT_W-1:0] resp_seat = resp_tag_i[SEAT_W-1:0];
    integer i;
    always @(posedge clk_i) begin
        for (i = 0; i < SEATS; i = i + 1) begin
            if (seat_now && {{(32-SEAT_W){1'b0}}, seat_q} == i)
                seated_q[i] <= 1'b1;
            else if (seat_free && {{(32-SEAT_W){1'b0}}, resp_seat} == i)
                seated_q[i] <= 1'b0;
        end
        if (rst_i)
            seated_q <= {SEATS{1'b0}};
    end

    // Path of the answers that wait in the walker, at most two.
    wire        end_valid, end_full;
    wire [5:0]  end_path;
    wire [17:0] end_index;
    dmt_fifo #(.W(6 + 18), .DEPTH(2)) u_ends (
        .clk_i   (clk_i),
        .rst_i   (rst_i),
        .push_i  (wt_end_valid_i),
        .data_i  ({wt_end_index_i, wt_end_path_i}),
        .full_o  (end_full),
        .pop_i   (resp_ready_o),
        .valid_o (end_valid),
        .data_o  ({end_index, end_path})
    );

    generate
        if (TRACE != 0) begin : g_trace
            wire clocks_valid, clocks_full, upd_full;
            dmt_fifo #(.W(32), .DEPTH(2)) u_clocks (
                .clk_i   (clk_i),
                .rst_i   (rst_i),
                .push_i  (wt_end_valid_i),
                .data_i  (wt_end_clocks_i),
                .full_o  (clocks_full),
                .pop_i   (resp_ready_o),
                .valid_o (clocks_valid),
                .data_o  (clocks)
            );

            // reads of each walk
            reg [9:0] reads_q [0:SEATS-1];
            integer k;
            always @(posedge clk_i) begin
                for (k = 0; k < SEATS; k = k + 1) begin
                    if (seat_now && {{(32-SEAT_W){1'b0}}, seat_q} == k)
                        reads_q[k] <= 10'd0;
                    else if (wt_ref_valid_i && {{(32-SEAT_W){1'b0}}, wt_ref_order_i[SEAT_W-1:0]} == k)
                        reads_q[k] <= (&reads_q[k]) ? reads_q[k] : reads_q[k] + 1'b1;
                end
            end
            assign reads = reads_q[resp_seat];

            // Updates. Each B answer that the walker took becomes one, in its time.
            dmt_fifo #(.W(SEAT_W + 2 + PA_W + 64), .DEPTH(4)) u_updates (
                .clk_i   (clk_i),
                .rst_i   (rst_i),
                .push_i  (wt_upd_valid_i),
                .data_i  ({wt_upd_order_i[SEAT_W-1:0], wt_upd_resp_i, wt_upd_addr_i, wt_upd_data_i}),
                .full_o  (upd_full),
                .pop_i   (upd_pop),
                .valid_o (upd_valid),
                .data_o  ({upd_seat, upd_resp, upd_addr, upd_data})
            );
            reg [2:0] flight_q;
            reg       hold_q;
            always @(posedge clk_i) begin
                if (rst_i)
                    flight_q <= 3'd0;
                else
                    flight_q <= flight_q + {2'd0, b_taken_i} - {2'd0, upd_pop};
                hold_q <= flight_q > 3'd2;
            end
            assign b_hold_o = hold_q;
            wire unused_trace = &{1'b0, clocks_valid, clocks_full, upd_full};
        end else begin : g_plain
            assign clocks    = 32'd0;
            assign reads     = 10'd0;
            assign upd_valid = 1'b0;
            assign upd_seat  = {SEAT_W{1'b0}};
            assign upd_resp  = 2'd0;
            assign upd_addr  = {PA_W{1'b0}};
            assign upd_data  = 64'd0;
            assign b_hold_o  = 1'b0;
        end
    endgenerate

    // ------------------------------------------------------------------- answers
    reg        ans_q, update_q;       // sending; an update
    reg [5:0]  at_q;                  // byte of it
    reg [7:0]  ans_data;
    wire [6:0] seat_7;
    wire       some    = resp_valid_i && end_valid && !resp_ready_o;
    wire       start   = !ans_q && !own_q && !drain_q && !start_i && (upd_valid || some);
    wire       ans_go  = ans_q && tx_ready_i;
    wire       ans_end = ans_go && at_q == (update_q ? `DMT_UPDATE_BYTES : `DMT_RESULT_BYTES);
    wire [55:0] pa_56   = {{(56-PA_W){1'b0}}, resp_pa_i};
    wire [55:0] addr_56 = {{(56-PA_W){1'b0}}, upd_addr};
    wire [SEAT_W-1:0] seat = update_q ? upd_seat : resp_seat;

    assign busy    = ans_q || start;
    assign upd_pop = (ans_end && update_q) || (drain_q && upd_valid);
    assign seat_free = resp_ready_o;

    generate
        if (SEAT_W < 7) begin : g_seat
            assign seat_7 = {{(7-SEAT_W){1'b0}}, seat};
        end else begin : g_seat
            assign seat_7 = seat[6:0];
        end
    endgenerate

    always @(posedge clk_i) begin
        resp_ready_o <= ((ans_end && !update_q) || (drain_q && some)) && !rst_i;
        if (rst_i || start_i) begin
            ans_q <= 1'b0;
        end else if (!ans_q) begin
            ans_q    <= start;
            update_q <= upd_valid;    // a walk's updates go before its answer
            at_q     <= 6'd0;
        end else if (ans_go) begin
            at_q  <= at_q + 1'b1;
            ans_q <= !ans_end;
        end
    end

    wire [8*36-1:0] result = {clocks, 6'd0, reads, 6'd0, end_index, 2'd0, end_path, 6'd0, resp_error_i,
                              resp_addr_i, pa_56, 6'd0, resp_ad_needed_i, resp_global_i, resp_dirty_i,
                              resp_memtype_i, resp_pkey_i, resp_rights_i, resp_stage_i, resp_size_i, resp_status_i,
                              1'b0, seat_7, `DMT_ANS_RESULT};
    wire [8*18-1:0] update = {upd_data, addr_56, 6'd0, upd_resp, 1'b0, seat_7, `DMT_ANS_UPDATE};

    always @* begin
        if (update_q)
            ans_data = update[at_q * 8 +: 8];
        else
            ans_data = result[at_q * 8 +: 8];
    end

    assign tx_valid_o = cmd_put || ans_q;
    assign tx_data_o  = ans_q ? ans_data : cmd_data;

    wire unused = &{1'b0, end_full, arg_q[7], wt_ref_valid_i, wt_ref_order_i, wt_upd_valid_i, wt_upd_order_i,
                    wt_upd_addr_i, wt_upd_data_i, wt_upd_resp_i, wt_end_clocks_i, resp_tag_i, b_taken_i, upd_pop};

endmodule

`default_nettype wire
