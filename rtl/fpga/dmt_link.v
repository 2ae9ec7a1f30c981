// SPDX-License-Identifier: Apache-2.0
// dmt_link: two reliable byte streams over a UART, one each way, and the session
// that they belong to. docs/board.md has the frame.
//
// Sequence numbers are positions in the stream. From the host: a frame is taken
// when it is intact, of this session, continues the stream and fits the ring; so
// nothing is taken twice. Everything else is answered with the position that is
// waited for, with NAK when something is missing. To the host: bytes stay in the
// ring until the host has acknowledged them, and go out again from there when it
// says NAK. There is no timer here: the host has one.
// A session starts when HELLO names another one than that under way (start_o
// pulses; both streams begin anew). After reset there is none: the
// session is 0, by which the host sees that the board was reset.
`default_nettype none
`include "dmt_board.vh"

module dmt_link #(
    // clocks a bit of the UART
    parameter DIVISOR = 16,
    // log2 of the bytes of the ring from, and to, the host: 9..15
    parameter RX_W = 12,
    parameter TX_W = 12
) (
    input  wire        clk_i,
    input  wire        rst_i,
    input  wire        rxd_i,
    output wire        txd_o,

    output reg         start_o,       // a new session; the streams are empty
    output wire [15:0] session_o,
    output wire        rx_bad_o,      // a frame was dropped

    // from the host
    output wire        rx_valid_o,
    input  wire        rx_ready_i,
    output wire [7:0]  rx_data_o,

    // to the host
    input  wire        tx_valid_i,
    output wire        tx_ready_o,
    input  wire [7:0]  tx_data_i
);

    localparam [15:0] RX_SIZE = 16'd1 << RX_W, TX_SIZE = 16'd1 << TX_W;
    localparam [3:0] LAST_HEAD = `DMT_LINK_HEAD - 4'd1;

    wire       byte_valid;
    wire [7:0] byte_in;
    wire       out_valid, out_ready;
    wire [7:0] out_byte;

    dmt_uart #(.DIVISOR(DIVISOR)) u_uart (
        .clk_i      (clk_i),
        .rst_i      (rst_i),
        .rxd_i      (rxd_i),
        .txd_o      (txd_o),
        .rx_valid_o (byte_valid),
        .rx_data_o  (byte_in),
        .tx_valid_i (out_valid),
        .tx_ready_o (out_ready),
        .tx_data_i  (out_byte)
    );

    // ------------------------------------------------------------- frames coming in
    localparam [1:0] HUNT = 2'd0, HEAD = 2'd1, BODY = 2'd2, TAIL = 2'd3;

    reg [1:0]  in_q;
    reg [7:0]  in_left_q;             // bytes to come in BODY, and in TAIL
    reg [3:0]  in_at_q;               // byte of the header
    reg [7:0]  f_control_q, f_len_q;
    reg [15:0] f_session_q, f_seq_q, f_ack_q;
    reg        f_overrun_q, verdict_q;
    reg [15:0] session_q;
    reg [15:0] expect_q;              // position in the stream that is waited for
    reg [15:0] spec_q;                // one past the byte of the frame under way
    reg [15:0] taken_q;               // position that the reader is at
    wire       rx_crc_busy, intact, tx_intact;
    wire [31:0] rx_crc;

    // A byte is looked at in the cycle after it came: what the frame is then known.
    wire       hello     = f_control_q[2];
    wire       stranger  = session_q != 16'd0 && !hello && f_session_q[7:0] != session_q[7:0];
    wire       stranger2 = session_q != 16'd0 && !hello && f_session_q[15:8] != session_q[15:8];

    always @(posedge clk_i) begin
        verdict_q <= 1'b0;
        if (rst_i) begin
            in_q <= HUNT;
        end else if (byte_valid) begin
            case (in_q)
            HUNT: begin
                in_at_q     <= 4'd1;
                f_overrun_q <= 1'b0;
                if (byte_in == `DMT_LINK_SYNC)
                    in_q <= HEAD;
            end
            HEAD: begin
                in_at_q <= in_at_q + 1'b1;
                case (in_at_q)
                4'd1: f_control_q       <= byte_in;
                4'd2: f_session_q[7:0]  <= byte_in;
                4'd3: f_session_q[15:8] <= byte_in;
                4'd4: f_seq_q[7:0]      <= byte_in;
                4'd5: f_seq_q[15:8]     <= byte_in;
                4'd6: f_ack_q[7:0]      <= byte_in;
                4'd7: f_ack_q[15:8]     <= byte_in;
                default: f_len_q        <= byte_in;
                endcase
                // A byte that happens to look like the first of a frame is found out early,
                // so that less of what follows is lost.
                if ((in_at_q == 4'd2 && (f_control_q[3] || f_control_q[0]))
                    || (in_at_q == 4'd3 && stranger) || (in_at_q == 4'd4 && stranger2))
                    in_q <= HUNT;
                else if (in_at_q == LAST_HEAD) begin
                    in_left_q <= (byte_in == 8'd0) ? 8'd4 : byte_in;
                    in_q      <= (byte_in == 8'd0) ? TAIL : BODY;
                end
            end
            BODY: begin
                in_left_q <= in_left_q - 1'b1;
                if (spec_q - taken_q == RX_SIZE)
                    f_overrun_q <= 1'b1;
                if (in_left_q == 8'd1) begin
                    in_left_q <= 8'd4;
                    in_q      <= TAIL;
                end
            end
            TAIL: begin
                in_left_q <= in_left_q - 1'b1;
                if (in_left_q == 8'd1) begin
                    in_q      <= HUNT;
                    verdict_q <= 1'b1;
                end
            end
            endcase
        end
    end

    dmt_crc32 u_rx_crc (
        .clk_i    (clk_i),
        .clear_i  (byte_valid && in_q == HUNT),
        .valid_i  (byte_valid && in_q != HUNT),
        .data_i   (byte_in),
        .busy_o   (rx_crc_busy),
        .crc_o    (rx_crc),
        .intact_o (intact)
    );

    // Verdict once the CRC has gone over the last byte. Judged in registered steps:
    // nothing else comes in for many cycles.
    reg        judge_q, judge2_q, good_q;
    reg [15:0] gap_q, acked_q, unsent_q, unacked_q;
    reg        una_ok_q, behind_q;
    reg [15:0] una_q, snd_q, put_q;   // stream to the host: unacknowledged, to be sent, end
    reg        waiting_q;
    wire       in_session = session_q != 16'd0 && f_session_q == session_q;
    wire       continues  = gap_q == 16'd0 && !f_overrun_q;

    always @(posedge clk_i) begin
        if (rst_i)
            waiting_q <= 1'b0;
        else if (verdict_q)
            waiting_q <= 1'b1;
        else if (!rx_crc_busy)
            waiting_q <= 1'b0;
        judge_q  <= waiting_q && !rx_crc_busy && !verdict_q && !rst_i;
        judge2_q <= judge_q && !rst_i;
        good_q   <= intact;
        gap_q    <= f_seq_q - expect_q;
        acked_q  <= f_ack_q - una_q;
        unsent_q <= snd_q - una_q;
        unacked_q <= put_q - una_q;
        una_ok_q <= acked_q <= unacked_q;
        behind_q <= unsent_q < acked_q;
    end

    reg  [3:0] epoch_q;
    reg  say_q, nak_q;                // a frame is due; with NAK
    wire said;                        // it has been cut
    wire new_session = judge2_q && good_q && hello && f_session_q != 16'd0 && f_session_q != session_q;
    wire of_session  = judge2_q && good_q && !hello && in_session;
    wire take        = of_session && f_len_q != 8'd0 && continues;
    wire acked       = of_session && una_ok_q;
    wire rewind      = acked && (f_control_q[1] || behind_q);

    always @(posedge clk_i) begin
        start_o <= new_session && !rst_i;
        if (rst_i) begin
            session_q <= 16'd0;
            expect_q  <= 16'd0;
            epoch_q   <= 4'd0;
            say_q     <= 1'b0;
            nak_q     <= 1'b0;
        end else begin
            if (of_session || new_session)
                epoch_q <= f_control_q[7:4];
            if (new_session) begin
                session_q <= f_session_q;
                expect_q  <= 16'd0;
            end else if (take) begin
                expect_q  <= spec_q;
            end
            if (said)
                say_q <= 1'b0;
            if (judge2_q && !(of_session && f_len_q == 8'd0 && !f_control_q[1])) begin
                say_q <= 1'b1;
                // a repeated frame lies behind what is waited for: nothing is missing
                nak_q <= !good_q || (of_session && f_len_q != 8'd0 && !continues
                                     && !(gap_q[15] && !f_overrun_q));
            end
        end
    end

    assign session_o = session_q;
    assign rx_bad_o  = judge2_q && !good_q;

    // ------------------------------------------------------------ ring from the host
    (* ram_style = "block", no_rw_check *) reg [7:0] rx_ring [0:(1<<RX_W)-1];
    reg [7:0]  rx_data_q, rx_hold_q;
    reg        rx_read_q, rx_held_q;  // a byte is on the ring's output; in hold
    wire       rx_free = !rx_held_q || rx_ready_i;
    wire       rx_read = taken_q != expect_q && (!rx_read_q || rx_free) && !start_o;

    always @(posedge clk_i) begin
        if (byte_valid && in_q == BODY)
            rx_ring[spec_q[RX_W-1:0]] <= byte_in;
        if (rx_read)
            rx_data_q <= rx_ring[taken_q[RX_W-1:0]];
    end

    // The frame under way is written behind what is accepted, and again from there
    // when it was not. A frame too many for the ring overwrites nothing: see overrun.
    always @(posedge clk_i) begin
        if (rst_i || start_o)
            spec_q <= 16'd0;
        else if (byte_valid && in_q == HUNT)
            spec_q <= expect_q;
        else if (byte_valid && in_q == BODY && spec_q - taken_q != RX_SIZE)
            spec_q <= spec_q + 1'b1;
    end

    always @(posedge clk_i) begin
        if (rst_i || start_o) begin
            taken_q   <= 16'd0;
            rx_read_q <= 1'b0;
            rx_held_q <= 1'b0;
        end else begin
            if (rx_read)
                taken_q <= taken_q + 1'b1;
            rx_read_q <= rx_read || (rx_read_q && !rx_free);
            if (rx_free) begin
                rx_held_q <= rx_read_q;
                rx_hold_q <= rx_data_q;
            end
        end
    end

    assign rx_valid_o = rx_held_q;
    assign rx_data_o  = rx_hold_q;

    // -------------------------------------------------------------- ring to the host
    (* ram_style = "block", no_rw_check *) reg [7:0] tx_ring [0:(1<<TX_W)-1];
    reg [7:0]  tx_read_q;
    reg        tx_room_q;
    reg        put;
    reg  [7:0] put_data_q;
    reg [15:0] out_at_q;

    assign tx_ready_o = tx_room_q;

    always @(posedge clk_i) begin
        if (put)
            tx_ring[put_q[TX_W-1:0]] <= put_data_q;
        tx_read_q <= tx_ring[out_at_q[TX_W-1:0]];
    end

    // Bytes are taken a cycle late, and room is known a cycle late.
    always @(posedge clk_i) begin
        put        <= tx_valid_i && tx_ready_o && !rst_i && !start_o;
        put_data_q <= tx_data_i;
    end

    reg [15:0] cut_len_q;
    wire [15:0] cut = snd_q + cut_len_q;
    always @(posedge clk_i) begin
        if (rst_i || start_o) begin
            put_q     <= 16'd0;
            una_q     <= 16'd0;
            snd_q     <= 16'd0;
            tx_room_q <= 1'b0;
        end else begin
            tx_room_q <= put_q - una_q < TX_SIZE - 16'd4;
            if (put)
                put_q <= put_q + 1'b1;
            if (acked)
                una_q <= f_ack_q;
            if (rewind)
                snd_q <= f_ack_q;
            else if (said)
                snd_q <= cut;
        end
    end

    // ------------------------------------------------------------- frames going out
    localparam [2:0] IDLE = 3'd0, CUT = 3'd1, SEND_HEAD = 3'd2, SEND_BODY = 3'd3, SEND_TAIL = 3'd4;

    reg [2:0]  out_q;
    reg [7:0]  out_len_q, out_left_q;
    reg [3:0]  out_head_q;
    reg [15:0] out_session_q, out_seq_q, out_ack_q;
    reg [7:0]  out_control_q;
    reg [2:0]  settle_q;              // cycles until pointers that moved are seen
    reg [7:0]  out_byte_q;
    reg        out_valid_q, crc_go_q;
    reg [15:0] ready_len_q;
    wire       tx_crc_busy;
    wire [31:0] tx_crc;
    reg [7:0]  head;

    // How much there is to say, known two cycles late.
    always @(posedge clk_i) begin
        ready_len_q <= put_q - snd_q;
        if (rst_i || judge2_q || start_o)
            settle_q <= 3'd4;
        else if (settle_q != 3'd0)
            settle_q <= settle_q - 1'b1;
    end

    assign said = out_q == CUT;

    always @* begin
        case (out_head_q)
        4'd0:    head = `DMT_LINK_SYNC;
        4'd1:    head = out_control_q;
        4'd2:    head = out_session_q[7:0];
        4'd3:    head = out_session_q[15:8];
        4'd4:    head = out_seq_q[7:0];
        4'd5:    head = out_seq_q[15:8];
        4'd6:    head = out_ack_q[7:0];
        4'd7:    head = out_ack_q[15:8];
        default: head = out_len_q;
        endcase
    end

    // One byte is made ready while the one before is on the line.
    wire step = !out_valid_q && !tx_crc_busy && !crc_go_q;
    always @(posedge clk_i) begin
        crc_go_q <= 1'b0;
        if (out_ready)
            out_valid_q <= 1'b0;
        if (rst_i) begin
            out_q       <= IDLE;
            out_valid_q <= 1'b0;
        end else begin
            case (out_q)
            IDLE: begin
                cut_len_q <= (|ready_len_q[15:8]) ? {8'd0, `DMT_LINK_LEN_MAX} : ready_len_q;
                // not while pointers may move
                if ((say_q || ready_len_q != 16'd0) && !waiting_q && !judge_q && !judge2_q && settle_q == 3'd0)
                    out_q <= CUT;
            end
            CUT: begin
                out_len_q     <= cut_len_q[7:0];
                out_session_q <= session_q;
                out_seq_q     <= snd_q;
                out_at_q      <= snd_q;
                out_ack_q     <= expect_q;
                out_control_q <= {epoch_q, 2'b10, nak_q, 1'b0};
                out_head_q    <= 4'd0;
                out_q         <= SEND_HEAD;
            end
            SEND_HEAD: if (step) begin
                out_byte_q  <= head;
                out_valid_q <= 1'b1;
                crc_go_q    <= out_head_q != 4'd0;
                out_head_q  <= out_head_q + 1'b1;
                if (out_head_q == LAST_HEAD) begin
                    out_left_q <= (out_len_q == 8'd0) ? 8'd4 : out_len_q;
                    out_q      <= (out_len_q == 8'd0) ? SEND_TAIL : SEND_BODY;
                end
            end
            SEND_BODY: if (step) begin
                out_byte_q  <= tx_read_q;
                out_valid_q <= 1'b1;
                crc_go_q    <= 1'b1;
                out_at_q    <= out_at_q + 1'b1;
                out_left_q  <= out_left_q - 1'b1;
                if (out_left_q == 8'd1) begin
                    out_left_q <= 8'd4;
                    out_q      <= SEND_TAIL;
                end
            end
            default: if (step) begin
                case (out_left_q[2:0])
                3'd4:    out_byte_q <= tx_crc[7:0];
                3'd3:    out_byte_q <= tx_crc[15:8];
                3'd2:    out_byte_q <= tx_crc[23:16];
                default: out_byte_q <= tx_crc[31:24];
                endcase
                out_valid_q <= 1'b1;
                out_left_q  <= out_left_q - 1'b1;
                if (out_left_q == 8'd1)
                    out_q <= IDLE;
            end
            endcase
        end
    end

    assign out_valid = out_valid_q;
    assign out_byte  = out_byte_q;

    dmt_crc32 u_tx_crc (
        .clk_i    (clk_i),
        .clear_i  (out_q == CUT),
        .valid_i  (crc_go_q),
        .data_i   (out_byte_q),
        .busy_o   (tx_crc_busy),
        .crc_o    (tx_crc),
        .intact_o (tx_intact)
    );

    wire unused = &{1'b0, rx_crc, tx_intact};

endmodule

`default_nettype wire
