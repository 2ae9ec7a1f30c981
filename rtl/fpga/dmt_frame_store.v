// SPDX-License-Identifier: Apache-2.0
// dmt_frame_store: on-chip memory that stands for a few blocks of a large
// physical memory, with an AXI4 port for the walker and a word port for the host.
//
// A map of WAYS hashed tables says which blocks of 2^BLOCK_W bytes are here, and
// in which slot; the host decides, so that sparse page tables find room. A block
// may also be mapped as all zero without having a slot. Others answer DECERR.
// AXI: single beats of 8 bytes, answered in the order taken, R in the LATENCY-th
// cycle after AR, one read a cycle while at most DEPTH are on their way. Exclusive
// reads reserve their word for their ID (its HELD_W lowest bits); a store to it, by whomever, ends that;
// an exclusive write without reservation changes nothing and is answered OKAY.
// A write to a block of zeros is answered SLVERR: there is no entry in it to update.
// Host port: a request is held until h_done_o, which comes with what was read.
`default_nettype none
`include "dmt_board.vh"

module dmt_frame_store #(
    parameter PA_W = 52,
    // width of IDs, and of the lower part that tells reservations apart
    parameter ID_W = 3,
    parameter HELD_W = ID_W,
    // log2 of the bytes of a block, 6..12
    parameter BLOCK_W = 12,
    // blocks that have a place, 1..16383
    parameter SLOTS = 96,
    // hashed tables of the map, 1..4, and log2 of their entries
    parameter WAYS = 2,
    parameter SET_W = 8,
    // cycles from AR to R, 6 or more, and reads on their way
    parameter LATENCY = 6,
    parameter DEPTH = 8
) (
    input  wire            clk_i,
    input  wire            rst_i,      // clears the map, takes 2^SET_W cycles
    output wire            ready_o,    // that is done

    // host: word address in the slots, or entry of the map {way, index}
    input  wire            h_valid_i,
    input  wire            h_map_i,
    input  wire            h_write_i,
    input  wire [23:0]     h_addr_i,
    input  wire [63:0]     h_wdata_i,
    output wire            h_done_o,
    output wire [63:0]     h_rdata_o,

    // walker
    input  wire            s_arvalid_i,
    output wire            s_arready_o,
    input  wire [ID_W-1:0] s_arid_i,
    input  wire [PA_W-1:0] s_araddr_i,
    input  wire            s_arlock_i,
    output wire            s_rvalid_o,
    input  wire            s_rready_i,
    output wire [ID_W-1:0] s_rid_o,
    output wire [63:0]     s_rdata_o,
    output wire [1:0]      s_rresp_o,
    input  wire            s_awvalid_i,
    output wire            s_awready_o,
    input  wire [ID_W-1:0] s_awid_i,
    input  wire [PA_W-1:0] s_awaddr_i,
    input  wire            s_awlock_i,
    input  wire            s_wvalid_i,
    output wire            s_wready_o,
    input  wire [63:0]     s_wdata_i,
    output wire            s_bvalid_o,
    input  wire            s_bready_i,
    output wire [ID_W-1:0] s_bid_o,
    output wire [1:0]      s_bresp_o
);

    localparam BLK_W  = PA_W - BLOCK_W;           // block number
    localparam OFF_W  = BLOCK_W - 3;              // word in a block
    localparam SLOT_W = (SLOTS > 1) ? $clog2(SLOTS) : 1;
    localparam WORD_W = SLOT_W + OFF_W;
    localparam WORDS  = SLOTS << OFF_W;
    localparam MAP_W  = 2 + SLOT_W + BLK_W;       // {valid, zero, slot, block}
    localparam MIN    = 6;
    localparam [1:0] OKAY = 2'b00, EXOKAY = 2'b01, SLVERR = 2'b10, DECERR = 2'b11;

    generate
        if (LATENCY < MIN || BLOCK_W < 6 || BLOCK_W > 12 || SLOTS < 1 || SLOTS > 16383 || WAYS < 1 || WAYS > 4
            || 2*SET_W > BLK_W || WORD_W > 24 || DEPTH < 1) begin : g_check
            dmt_frame_store_parameter_out_of_range u_stop ();
        end
    endgenerate

    // Where way w looks for a block: the low bits, XORed with the next ones for way 1,
    // with those reversed for way 2, with both for way 3.
    function [SET_W-1:0] index;
        input [BLK_W-1:0] block;
        input [1:0] way;
        integer i;
        begin
            for (i = 0; i < SET_W; i = i + 1)
                index[i] = block[i] ^ (way[0] & block[SET_W + i]) ^ (way[1] & block[2*SET_W - 1 - i]);
        end
    endfunction

    // ------------------------------------------------------------------ tokens
    // One access a cycle goes down a pipeline: a read of the walker's, its one write,
    // or the host's one access, whatever waits.
    reg              aw_gone_q, aw_done_q;
    reg  [ID_W-1:0]  b_id_q;
    reg              h_gone_q, map_done_q;
    reg              room_q;
    reg              b_valid_q;
    reg  [1:0]       b_resp_q;
    wire             read  = s_arvalid_i && s_arready_o;
    wire             write = !read && s_awvalid_i && s_wvalid_i && !aw_gone_q && !b_valid_q;
    wire             host  = !read && !write && h_valid_i && !h_map_i && !h_gone_q;

    localparam TOK_W = 4 + 1 + ID_W + PA_W - 3;
    wire [PA_W-1:3] h_addr = {{(PA_W-3-24){1'b0}}, h_addr_i};
    reg  [TOK_W-1:0] t1_q;
    always @(posedge clk_i) begin
        t1_q[TOK_W-1 -: 4] <= rst_i ? 4'd0 : {read, write, host && h_write_i, host && !h_write_i};
        t1_q[TOK_W-5:0]    <= read  ? {s_arlock_i, s_arid_i, s_araddr_i[PA_W-1:3]}
                            : write ? {s_awlock_i, s_awid_i, s_awaddr_i[PA_W-1:3]}
                            : {1'b0, {ID_W{1'b0}}, h_addr};
    end

    wire [TOK_W-1:0] ta;
    generate
        if (LATENCY == MIN) begin : g_direct
            assign ta = t1_q;
        end else begin : g_late
            reg [TOK_W-1:0] late_q [0:LATENCY-MIN-1];
            integer l;
            always @(posedge clk_i) begin
                late_q[0] <= t1_q;
                for (l = 1; l < LATENCY-MIN; l = l + 1)
                    late_q[l] <= late_q[l-1];
                if (rst_i)
                    for (l = 0; l < LATENCY-MIN; l = l + 1)
                        late_q[l][TOK_W-1 -: 4] <= 4'd0;
            end
            assign ta = late_q[LATENCY-MIN-1];
        end
    endgenerate

    // --------------------------------------------------------------------- map
    // Cleared entry by entry after reset; then written by the host.
    reg  [SET_W:0]    clear_q;
    reg               map_we_q, map_all_q;
    reg  [SET_W-1:0]  map_at_q;
    reg  [1:0]        map_way_q;
    reg  [MAP_W-1:0]  map_word_q;
    wire              h_map = h_valid_i && h_map_i && !map_done_q && ready_o;

    assign ready_o = clear_q[SET_W];

    always @(posedge clk_i) begin
        if (rst_i)
            clear_q <= {(SET_W+1){1'b0}};
        else if (!ready_o)
            clear_q <= clear_q + 1'b1;
        map_we_q   <= !ready_o || h_map;
        map_all_q  <= !ready_o;
        map_at_q   <= ready_o ? h_addr_i[SET_W-1:0] : clear_q[SET_W-1:0];
        map_way_q  <= h_addr_i[SET_W+1:SET_W];
        map_word_q <= {h_wdata_i[`DMT_MAP_VALID_BIT] && ready_o, h_wdata_i[`DMT_MAP_ZERO_BIT],
                       h_wdata_i[`DMT_MAP_SLOT_LSB +: SLOT_W], h_wdata_i[BLK_W-1:0]};
    end

    reg  [TOK_W-1:0] tb_q, tc_q;
    wire [BLK_W-1:0] block_a = ta[BLOCK_W-3 +: BLK_W];
    wire [BLK_W-1:0] block_b = tb_q[BLOCK_W-3 +: BLK_W];
    wire [WAYS-1:0]  way_hit;
    wire [WAYS*(SLOT_W+1)-1:0] way_slot;

    genvar w;
    generate
        for (w = 0; w < WAYS; w = w + 1) begin : g_way
            (* ram_style = "block", no_rw_check *) reg [MAP_W-1:0] map [0:(1<<SET_W)-1];
            reg [MAP_W-1:0]  read_q;
            reg              hit_q;
            reg [SLOT_W:0]   slot_q;
            always @(posedge clk_i) begin
                if (map_we_q && (map_all_q || map_way_q == w))
                    map[map_at_q] <= map_word_q;
                read_q <= map[index(block_a, w)];
                hit_q  <= read_q[MAP_W-1] && read_q[BLK_W-1:0] == block_b;
                slot_q <= read_q[MAP_W-2:BLK_W];
            end
            assign way_hit[w] = hit_q;
            assign way_slot[w*(SLOT_W+1) +: SLOT_W+1] = slot_q & {(SLOT_W+1){hit_q}};
        end
    endgenerate

    // Of several ways at most one hits: the host maps a block once.
    reg [SLOT_W:0] slot_c;
    integer i;
    always @* begin
        slot_c = {(SLOT_W+1){1'b0}};
        for (i = 0; i < WAYS; i = i + 1)
            slot_c = slot_c | way_slot[i*(SLOT_W+1) +: SLOT_W+1];
    end

    // -------------------------------------------------------------------- word
    reg              rd_q, wr_q, hw_q, hr_q, lock_q, hit_q, zero_q;
    reg  [ID_W-1:0]  id_q;
    reg  [WORD_W-1:0] word_q;
    wire             host_c = tc_q[TOK_W-3] || tc_q[TOK_W-4];

    always @(posedge clk_i) begin
        tb_q <= ta;
        tc_q <= tb_q;
        {rd_q, wr_q, hw_q, hr_q} <= tc_q[TOK_W-1 -: 4];
        if (rst_i) begin
            tb_q[TOK_W-1 -: 4] <= 4'd0;
            tc_q[TOK_W-1 -: 4] <= 4'd0;
            {rd_q, wr_q, hw_q, hr_q} <= 4'd0;
        end
        lock_q <= tc_q[TOK_W-5];
        id_q   <= tc_q[PA_W-3 +: ID_W];
        hit_q  <= |way_hit;
        zero_q <= slot_c[SLOT_W];
        word_q <= host_c ? tc_q[WORD_W-1:0] : {slot_c[SLOT_W-1:0], tc_q[OFF_W-1:0]};
    end

    // Reservations.
    localparam HELD_N = 1 << HELD_W;
    wire [HELD_W-1:0] holder = id_q[HELD_W-1:0];
    reg  [HELD_N-1:0] held_q;
    reg  [WORD_W-1:0] held_word_q [0:HELD_N-1];
    wire             reserved = held_q[holder] && held_word_q[holder] == word_q;
    wire             place = hit_q && !zero_q;
    wire             done  = place && (!lock_q || reserved);
    wire             store = hw_q || (wr_q && done);
    integer r;
    always @(posedge clk_i) begin
        for (r = 0; r < HELD_N; r = r + 1)
            if (store && held_word_q[r] == word_q)
                held_q[r] <= 1'b0;
        if (rd_q && lock_q) begin
            held_q[holder]      <= place;
            held_word_q[holder] <= word_q;
        end
        if (rst_i)
            held_q <= {HELD_N{1'b0}};
    end

    (* ram_style = "block", no_rw_check *) reg [63:0] mem [0:WORDS-1];
    reg [63:0] mem_q;
    always @(posedge clk_i) begin
        if (store)
            mem[word_q] <= hw_q ? h_wdata_i : s_wdata_i;
        mem_q <= mem[word_q];
    end

    // ----------------------------------------------------------------- answers
    reg              re_q, he_q, ge_q;
    reg  [ID_W-1:0]  ide_q;
    reg  [1:0]       resp_q;
    always @(posedge clk_i) begin
        re_q   <= rd_q && !rst_i;
        he_q   <= (hr_q || hw_q) && !rst_i;
        ge_q   <= place;
        ide_q  <= id_q;
        resp_q <= !hit_q ? DECERR : lock_q ? EXOKAY : OKAY;
    end

    localparam R_W = ID_W + 2 + 64;
    wire [R_W-1:0]   r_in = {ide_q, resp_q, mem_q & {64{ge_q}}};
    reg              r_valid_q;
    reg  [R_W-1:0]   r_q;
    wire             r_free = !r_valid_q || s_rready_i;
    wire             r_next;           // something waits in front of what comes in
    wire [R_W-1:0]   r_head;

    generate
        if (DEPTH > 1) begin : g_queue
            wire full;                 // never: no more are let in than fit
            dmt_fifo #(.W(R_W), .DEPTH(DEPTH)) u_queue (
                .clk_i   (clk_i),
                .rst_i   (rst_i),
                .push_i  (re_q && (r_next || !r_free)),
                .data_i  (r_in),
                .full_o  (full),
                .pop_i   (r_next && r_free),
                .valid_o (r_next),
                .data_o  (r_head)
            );
            wire unused_full = &{1'b0, full};
        end else begin : g_single
            assign r_next = 1'b0;
            assign r_head = {R_W{1'b0}};
        end
    endgenerate

    // Reads on their way; who leaves is counted a cycle late.
    localparam CNT_W = $clog2(DEPTH + 1);
    localparam [31:0] DEPTH_32 = DEPTH;
    reg  [CNT_W-1:0] count_q;
    reg              left_q;
    wire [CNT_W-1:0] count = count_q + {{(CNT_W-1){1'b0}}, read} - {{(CNT_W-1){1'b0}}, left_q};
    always @(posedge clk_i) begin
        if (rst_i) begin
            count_q <= {CNT_W{1'b0}};
            left_q  <= 1'b0;
            room_q  <= 1'b0;
            r_valid_q <= 1'b0;
        end else begin
            count_q <= count;
            left_q  <= r_valid_q && s_rready_i;
            room_q  <= count != DEPTH_32[CNT_W-1:0];
            if (r_free)
                r_valid_q <= r_next || re_q;
        end
        if (r_free)
            r_q <= r_next ? r_head : r_in;
    end

    assign s_arready_o = room_q && ready_o;
    assign s_rvalid_o  = r_valid_q;
    assign {s_rid_o, s_rresp_o, s_rdata_o} = r_q;

    // A write is taken off the port, address and data at once, when it has been made.
    always @(posedge clk_i) begin
        aw_done_q <= wr_q && !rst_i;
        if (rst_i || aw_done_q)
            aw_gone_q <= 1'b0;
        else if (write)
            aw_gone_q <= 1'b1;
        if (rst_i || (b_valid_q && s_bready_i))
            b_valid_q <= 1'b0;
        else if (aw_done_q)
            b_valid_q <= 1'b1;
        if (wr_q) begin
            b_id_q   <= id_q;
            b_resp_q <= !hit_q ? DECERR : zero_q ? SLVERR : (lock_q && done) ? EXOKAY : OKAY;
        end
    end

    assign s_awready_o = aw_done_q;
    assign s_wready_o  = aw_done_q;
    assign s_bvalid_o  = b_valid_q;
    assign s_bid_o     = b_id_q;
    assign s_bresp_o   = b_resp_q;

    assign h_done_o  = he_q || map_done_q;
    always @(posedge clk_i) begin
        map_done_q <= h_map && !rst_i;
        if (rst_i || h_done_o)
            h_gone_q <= 1'b0;
        else if (host)
            h_gone_q <= 1'b1;
    end
    assign h_rdata_o = mem_q;

    wire unused = &{1'b0, s_araddr_i[2:0], s_awaddr_i[2:0], h_wdata_i};

endmodule

`default_nettype wire
