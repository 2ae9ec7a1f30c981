// SPDX-License-Identifier: Apache-2.0
// dmt_frame_store on its AXI port and its host port, for Icarus: reservations,
// what is not mapped, latency and throughput. Prints "ok NAME" or "not ok NAME".
`default_nettype none

module frame_store_test;

    reg         clk = 0, rst = 1;
    reg         h_valid = 0, h_map = 0, h_write = 0;
    reg  [23:0] h_addr = 0;
    reg  [63:0] h_wdata = 0;
    wire        h_done, ready;
    wire [63:0] h_rdata;
    reg         arvalid = 0, arlock = 0, rready = 1, awvalid = 0, awlock = 1, wvalid = 0;
    reg  [2:0]  arid = 0, awid = 0;
    reg  [39:0] araddr = 0, awaddr = 0;
    reg  [63:0] wdata = 0;
    wire        arready, rvalid, awready, wready, bvalid;
    wire [2:0]  rid, bid;
    wire [63:0] rdata;
    wire [1:0]  rresp, bresp;

    dmt_frame_store #(.PA_W(40), .ID_W(3), .BLOCK_W(9), .SLOTS(6), .WAYS(4), .SET_W(4), .LATENCY(8), .DEPTH(11)) dut (
        .clk_i(clk), .rst_i(rst), .ready_o(ready),
        .h_valid_i(h_valid), .h_map_i(h_map), .h_write_i(h_write), .h_addr_i(h_addr), .h_wdata_i(h_wdata),
        .h_done_o(h_done), .h_rdata_o(h_rdata),
        .s_arvalid_i(arvalid), .s_arready_o(arready), .s_arid_i(arid), .s_araddr_i(araddr), .s_arlock_i(arlock),
        .s_rvalid_o(rvalid), .s_rready_i(rready), .s_rid_o(rid), .s_rdata_o(rdata), .s_rresp_o(rresp),
        .s_awvalid_i(awvalid), .s_awready_o(awready), .s_awid_i(awid), .s_awaddr_i(awaddr), .s_awlock_i(awlock),
        .s_wvalid_i(wvalid), .s_wready_o(wready), .s_wdata_i(wdata),
        .s_bvalid_o(bvalid), .s_bready_i(1'b1), .s_bid_o(bid), .s_bresp_o(bresp));

    always #1 clk = !clk;

    task check;
        input [8*48-1:0] name;
        input condition;
        if (condition === 1'b1)
            $display("ok frame store: %0s", name);
        else
            $display("not ok frame store: %0s", name);
    endtask

    task host;
        input map, write;
        input [23:0] addr;
        input [63:0] data;
        begin
            @(negedge clk) {h_valid, h_map, h_write, h_addr, h_wdata} = {1'b1, map, write, addr, data};
            while (!h_done) @(negedge clk);
            seen = h_rdata;
            @(negedge clk) h_valid = 0;
        end
    endtask

    // Where way w of the map looks for a block, as docs/board.md has it.
    function [23:0] entry;
        input [30:0] block;
        input [1:0] w;
        reg [3:0] low, next;
        begin
            low   = block[3:0];
            next  = block[7:4];
            entry = {18'd0, w, low ^ (next & {4{w[0]}}) ^ ({next[0], next[1], next[2], next[3]} & {4{w[1]}})};
        end
    endfunction

    reg [63:0] seen;
    reg [1:0]  resp;
    task read;
        input [2:0] id;
        input [39:0] addr;
        input lock;
        begin
            @(negedge clk) {arvalid, arid, araddr, arlock} = {1'b1, id, addr, lock};
            while (!arready) @(negedge clk);
            clocks = 0;
            @(negedge clk) arvalid = 0;
            clocks = 1;
            while (!rvalid) @(negedge clk) clocks = clocks + 1;
            seen = rdata;
            resp = rresp;
            same = rid == id;
        end
    endtask
    task write;
        input [2:0] id;
        input [39:0] addr;
        input lock;
        input [63:0] data;
        begin
            @(negedge clk) {awvalid, awid, awaddr, awlock} = {1'b1, id, addr, lock};
            repeat (3) @(negedge clk);
            {wvalid, wdata} = {1'b1, data};
            while (!(awready && wready)) @(negedge clk);
            @(negedge clk) {awvalid, wvalid} = 2'b00;
            while (!bvalid) @(negedge clk);
            resp = bresp;
            same = bid == id;
        end
    endtask

    integer clocks, i, n, first, last, wrong;
    reg     same;
    localparam [39:0] A = 40'h81_2345_6600, Z = 40'h00_0000_1200, N = 40'h81_2345_6800;

    initial begin
        repeat (4) @(negedge clk);
        rst = 0;
        while (!ready) @(negedge clk);
        read(1, A, 0);
        check("nothing is mapped after reset", resp == 2'b11 && seen == 0);
        for (i = 0; i < 4; i = i + 1) begin // every way finds its entry
            host(1, 1, entry(A >> 9, i), {2'b10, 14'd5, 48'd0} | (A >> 9));
            host(0, 1, 5 * 64 + 3, 64'h1122334455667700 + i);
            read(2, A + 24, 0);
            check("mapped, by each way", resp == 2'b00 && same && seen == 64'h1122334455667700 + i);
            host(1, 1, entry(A >> 9, i), 0);
            read(2, A + 24, 0);
            check("and no more", resp == 2'b11);
        end
        host(1, 1, entry(A >> 9, 3), {2'b10, 14'd5, 48'd0} | (A >> 9));
        host(1, 1, entry(Z >> 9, 0), {2'b11, 14'd0, 48'd0} | (Z >> 9));
        read(2, A + 24, 0);
        check("latency", clocks == 8);
        read(0, N, 0);
        check("the next block is not there", resp == 2'b11);
        read(0, Z + 8, 0);
        check("a block of zeros", resp == 2'b00 && seen == 0);
        host(0, 0, 5 * 64 + 3, 0);
        check("the host reads what it wrote", seen == 64'h1122334455667703);

        write(4, A + 24, 1, 1);
        check("exclusive write without a read", resp == 2'b00 && same);
        read(4, A + 24, 0);
        check("changes nothing", seen == 64'h1122334455667703);
        read(4, A + 24, 1);
        check("exclusive read", resp == 2'b01);
        write(4, A + 24, 1, 64'd77);
        check("exclusive write after it", resp == 2'b01 && same);
        read(4, A + 24, 0);
        check("changes the word", seen == 77);
        write(4, A + 24, 1, 64'd78);
        check("once", resp == 2'b00);
        read(4, A + 24, 1);
        write(4, A + 32, 1, 64'd78);
        check("only that word", resp == 2'b00);
        read(4, A + 24, 1);
        write(3, A + 24, 1, 64'd78);
        check("only that ID", resp == 2'b00);
        read(3, A + 24, 1);
        write(3, A + 24, 1, 64'd80);
        check("of two IDs the first", resp == 2'b01);
        write(4, A + 24, 1, 64'd81);
        check("not the second", resp == 2'b00);
        read(4, A + 24, 1);
        host(0, 1, 5 * 64 + 3, 64'd90);
        write(4, A + 24, 1, 64'd91);
        check("a store of the host ends it", resp == 2'b00);
        read(4, A + 24, 1);
        host(0, 1, 5 * 64 + 4, 64'd90);
        write(4, A + 24, 1, 64'd92);
        check("one beside it does not", resp == 2'b01);
        write(4, A + 24, 0, 64'd93);
        check("an ordinary write", resp == 2'b00);
        read(4, A + 24, 0);
        check("is made", seen == 93);
        write(4, N, 1, 64'd1);
        check("a write to what is not mapped", resp == 2'b11);
        read(4, Z, 1);
        write(4, Z, 1, 64'd1);
        check("a write to a block of zeros", resp == 2'b10);

        // One read a cycle, answers in order, also when they are not taken at once.
        for (i = 0; i < 64; i = i + 1)
            host(0, 1, 5 * 64 + i, i * 3 + 1);
        for (n = 0; n < 2; n = n + 1) begin
            @(negedge clk) {arvalid, arid, araddr, arlock} = {1'b1, 3'd0, A, 1'b0};
            {i, wrong, clocks, first, last} = {5{32'd0}};
            while (i < 64) begin
                rready = n == 0 || ($random & 3) == 0;
                #0.1;
                if (rvalid && rready) begin
                    wrong = wrong + (rdata != i * 3 + 1 || rid != i % 8);
                    if (i == 0) first = clocks;
                    last = clocks;
                    i = i + 1;
                end
                same = arvalid && arready;
                @(negedge clk) clocks = clocks + 1;
                if (same) begin
                    {araddr, arid} = {araddr + 40'd8, arid + 3'd1};
                    arvalid = araddr != A + 512;
                end
            end
            rready = 1;
            if (n == 0)
                check("64 reads in 64 cycles", wrong == 0 && last - first == 63);
            else
                check("and none lost under back-pressure", wrong == 0);
        end
        $finish;
    end

    initial #200000 begin
        $display("not ok frame store: hangs");
        $finish;
    end

endmodule

`default_nettype wire
