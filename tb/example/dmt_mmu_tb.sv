// SPDX-License-Identifier: Apache-2.0
// A bench to start from: dmt_mmu with a memory and tables of a native system.
// Walks, faults, a dirty bit, and a TEA register, each answer checked. Runs on
// Icarus (-g2012) and on Verilator (--binary). Ends in "PASS" and exit status
// 0, or stops at the first wrong answer.
`include "dmt_regs.vh"

module dmt_mmu_tb #(
    parameter PA_W = 52,
    parameter CTX_N = 8,
    parameter TEA_N = 16,
    parameter SETS = 3,
    parameter PWC4_N = 2,
    parameter PWC3_N = 4,
    parameter PWC2_N = 32,
    parameter NPWC4_N = 2,
    parameter NPWC3_N = 4,
    parameter NPWC2_N = 32,
    parameter TAG_W = 8,
    parameter CNT_W = 48,
    parameter PIPE = 0
);
    localparam ID_W = ((CTX_N > 1) ? $clog2(CTX_N) : 1) + $clog2(SETS);

    reg clk = 1'b0;
    reg rst = 1'b1;
    always #5 clk = !clk;

    // ---------------------------------------------------------------- device
    reg              req_valid = 1'b0;
    wire             req_ready;
    reg  [63:0]      req_va;
    reg  [1:0]       req_access;
    wire             resp_valid;
    wire [3:0]       resp_status;
    wire [PA_W-1:0]  resp_pa;
    wire [33:0]      resp_error;
    wire             resp_dirty;

    wire             arvalid, rready, arlock, awvalid, wvalid, bready;
    wire [ID_W-1:0]  arid, awid;
    wire [PA_W-1:0]  araddr, awaddr;
    wire [63:0]      wdata;
    reg              rvalid = 1'b0, bvalid = 1'b0;
    reg  [ID_W-1:0]  rid, bid;
    reg  [63:0]      rdata;
    reg  [1:0]       rresp, bresp;

    reg              s_awvalid = 1'b0, s_wvalid = 1'b0, s_arvalid = 1'b0;
    wire             s_awready, s_wready, s_arready, s_bvalid, s_rvalid;
    reg  [13:0]      s_awaddr, s_araddr;
    reg  [63:0]      s_wdata;
    wire [1:0]       s_bresp, s_rresp;
    wire [63:0]      s_rdata;

    // The pins that this bench does not look at stay open.
    /* verilator lint_off PINMISSING */
    dmt_mmu #(
        .PA_W(PA_W), .CTX_N(CTX_N), .TEA_N(TEA_N), .SETS(SETS), .PWC4_N(PWC4_N), .PWC3_N(PWC3_N),
        .PWC2_N(PWC2_N), .NPWC4_N(NPWC4_N), .NPWC3_N(NPWC3_N), .NPWC2_N(NPWC2_N), .TAG_W(TAG_W), .CNT_W(CNT_W),
        .PIPE(PIPE)
    ) dut (
        .clk_i(clk), .rst_i(rst),
        .req_valid_i(req_valid), .req_ready_o(req_ready), .req_tag_i({TAG_W{1'b0}}), .req_va_i(req_va),
        .req_access_i(req_access), .req_cpl_i(2'd3), .req_ac_i(1'b0), .req_implicit_i(1'b0), .req_nonspec_i(1'b1),
        .resp_valid_o(resp_valid), .resp_ready_i(1'b1), .resp_status_o(resp_status), .resp_pa_o(resp_pa),
        .resp_error_o(resp_error), .resp_dirty_o(resp_dirty),
        .m_arvalid_o(arvalid), .m_arready_i(!rvalid), .m_arid_o(arid), .m_araddr_o(araddr), .m_arlock_o(arlock),
        .m_rvalid_i(rvalid), .m_rready_o(rready), .m_rid_i(rid), .m_rdata_i(rdata), .m_rresp_i(rresp),
        .m_rlast_i(1'b1),
        .m_awvalid_o(awvalid), .m_awready_i(awvalid && wvalid && !bvalid), .m_awid_o(awid), .m_awaddr_o(awaddr),
        .m_wvalid_o(wvalid), .m_wready_i(awvalid && wvalid && !bvalid), .m_wdata_o(wdata),
        .m_bvalid_i(bvalid), .m_bready_o(bready), .m_bid_i(bid), .m_bresp_i(bresp),
        .s_awvalid_i(s_awvalid), .s_awready_o(s_awready), .s_awaddr_i(s_awaddr),
        .s_wvalid_i(s_wvalid), .s_wready_o(s_wready), .s_wdata_i(s_wdata), .s_wstrb_i(8'hff),
        .s_bvalid_o(s_bvalid), .s_bready_i(1'b1), .s_bresp_o(s_bresp),
        .s_arvalid_i(s_arvalid), .s_arready_o(s_arready), .s_araddr_i(s_araddr),
        .s_rvalid_o(s_rvalid), .s_rready_i(1'b1), .s_rdata_o(s_rdata), .s_rresp_o(s_rresp)
    );
    /* verilator lint_on PINMISSING */

    // ---------------------------------------------------------------- memory
    // 64 KiB from address 0, one access at a time. Nobody else writes it, so an exclusive access always succeeds.
    reg [63:0] mem [0:8191];
    integer    reads = 0;

    always @(posedge clk) begin
        if (rvalid && rready)
            rvalid <= 1'b0;
        if (arvalid && !rvalid) begin
            rvalid <= 1'b1;
            rid    <= arid;
            rdata  <= mem[araddr[15:3]];
            rresp  <= araddr[PA_W-1:16] != 0 ? 2'b11 : arlock ? 2'b01 : 2'b00;
            reads  <= reads + 1;
        end
        if (bvalid && bready)
            bvalid <= 1'b0;
        if (awvalid && wvalid && !bvalid) begin
            mem[awaddr[15:3]] <= wdata;
            bvalid <= 1'b1;
            bid    <= awid;
            bresp  <= 2'b01;
        end
    end

    // ---------------------------------------------------------------- registers
    // The RDL's header has windows and offsets within them.
    function [13:0] host(input [11:0] offset);
        host = `DMT_HOST_BASE + {2'b00, offset};
    endfunction
    function [13:0] level0(input [11:0] offset);
        level0 = `DMT_LEVEL_BASE(0) + {2'b00, offset};
    endfunction

    // Inputs change at the falling edge. No output of the device depends on an input of the same cycle, so a
    // ready seen then is the ready of the coming rising edge. Each task waits for its answer, so a test reads
    // like software.
    task csr_write(input [13:0] addr, input [63:0] data);
        reg aw, w;
        begin
            s_awvalid = 1'b1;
            s_awaddr  = addr;
            s_wvalid  = 1'b1;
            s_wdata   = data;
            while (s_awvalid || s_wvalid) begin
                aw = s_awready;
                w  = s_wready;
                @(negedge clk);
                s_awvalid = s_awvalid && !aw;
                s_wvalid  = s_wvalid && !w;
            end
            while (!s_bvalid)
                @(negedge clk);
            if (s_bresp != 2'b00)
                $fatal(1, "register %h: answered %b, not OKAY", addr, s_bresp);
            @(negedge clk);
        end
    endtask

    task csr_read(input [13:0] addr, output [63:0] data);
        reg ar;
        begin
            s_arvalid = 1'b1;
            s_araddr  = addr;
            while (s_arvalid) begin
                ar = s_arready;
                @(negedge clk);
                s_arvalid = !ar;
            end
            while (!s_rvalid)
                @(negedge clk);
            data = s_rdata;
            if (s_rresp != 2'b00)
                $fatal(1, "register %h: answered %b, not OKAY", addr, s_rresp);
            @(negedge clk);
        end
    endtask

    // ---------------------------------------------------------------- translation
    integer checks = 0, last_reads;
    reg     last_dirty;

    // value: pa when the status is OK, error code otherwise
    task translate(input [63:0] va, input [1:0] access, input [3:0] status, input [63:0] value, input integer cost);
        integer first;
        reg ready;
        reg [63:0] got;
        begin
            first = reads;
            req_valid  = 1'b1;
            req_va     = va;
            req_access = access;
            while (req_valid) begin
                ready = req_ready;
                @(negedge clk);
                req_valid = !ready;
            end
            while (!resp_valid)
                @(negedge clk);
            got = 64'd0;
            if (resp_status == `DMT_STATUS_OK)
                got[PA_W-1:0] = resp_pa;
            else
                got[33:0] = resp_error;
            last_dirty = resp_dirty;
            last_reads = reads - first;
            if (resp_status != status || got != value || (cost != 0 && last_reads != cost))
                $fatal(1, "va %h access %0d: status %0d value %h in %0d reads, expected status %0d value %h in %0d reads",
                       va, access, resp_status, got, last_reads, status, value, cost);
            checks = checks + 1;
            $display("va %h access %0d: status %0d value %h, %0d reads", va, access, resp_status, got, last_reads);
            @(negedge clk);
        end
    endtask

    // ---------------------------------------------------------------- the test
    // Tables at 1000 (level 4) to 4000 (level 1); the last one is also the TEA of its 2 MiB.
    localparam [63:0] AREA = 64'h0000_0080_4020_0000;
    localparam [63:0] USER = 64'h27;    // present, writable, user, accessed
    localparam [63:0] LEAF = 64'h67;    // and dirty
    integer    i;
    reg [63:0] value;

    initial begin
        for (i = 0; i < 8192; i = i + 1)
            mem[i] = 64'd0;
        mem[13'h200 + 1] = 64'h2000 | USER;
        mem[13'h400 + 1] = 64'h3000 | USER;
        mem[13'h600 + 1] = 64'h4000 | USER;
        mem[13'h800 + 0] = 64'h0010_0000 | LEAF;
        mem[13'h800 + 1] = 64'h0010_1000 | (LEAF & ~64'h2);     // read-only
        mem[13'h800 + 3] = 64'h0010_3000 | (LEAF & ~64'h60);    // neither accessed nor dirty yet
        repeat (3) @(negedge clk);
        rst = 1'b0;
        @(negedge clk);

        csr_read(host(`DMT_HOST_ID), value);
        if (value[63:32] != "ODMT")
            $fatal(1, "HOST.ID is %h", value);
        csr_write(level0(`DMT_LEVEL_CR3), 64'h1000);
        csr_write(level0(`DMT_LEVEL_CR0), `DMT_LEVEL_CR0_WP_MASK);
        csr_write(host(`DMT_HOST_CTL), `DMT_HOST_CTL_AD_UPDATE_MASK | {62'd0, `DMT_MODE_NATIVE});

        // As x86 walks. The first walk fills the paging-structure caches; later ones may be shorter.
        translate(AREA + 64'h123, `DMT_ACCESS_READ, `DMT_STATUS_OK, 64'h0010_0123, 4);
        translate(AREA + 64'h1004, `DMT_ACCESS_READ, `DMT_STATUS_OK, 64'h0010_1004, 0);
        translate(AREA + 64'h1004, `DMT_ACCESS_WRITE, `DMT_STATUS_PF, 64'h7, 0);
        translate(AREA + 64'h2000, `DMT_ACCESS_READ, `DMT_STATUS_PF, 64'h4, 0);
        translate(64'h0000_8000_0000_0000, `DMT_ACCESS_READ, `DMT_STATUS_GP, 64'h0, 0);
        translate(AREA + 64'h3008, `DMT_ACCESS_WRITE, `DMT_STATUS_OK, 64'h0010_3008, 0);
        if (!last_dirty || mem[13'h800 + 3] != (64'h0010_3000 | LEAF))
            $fatal(1, "accessed and dirty not set: entry %h", mem[13'h800 + 3]);

        // The same area with a TEA register: one read. Faults stay x86's, so they are walked for.
        csr_write(level0(`DMT_LEVEL_TEA_WORD1(0)), 64'h4000);
        csr_write(level0(`DMT_LEVEL_TEA_WORD2(0)), 64'd512);
        csr_write(level0(`DMT_LEVEL_TEA_WORD0(0)),
                  AREA | `DMT_TEA_WORD0_ALLOW_W_MASK | `DMT_TEA_WORD0_ALLOW_U_MASK | `DMT_TEA_WORD0_ALLOW_X_MASK
                  | `DMT_TEA_WORD0_P_MASK);
        csr_read(level0(`DMT_LEVEL_TEA_WORD3(0)), value);
        if (value[0] !== 1'b1)
            $fatal(1, "TEA register refused, reason %0d", value[4:1]);
        translate(AREA + 64'h123, `DMT_ACCESS_READ, `DMT_STATUS_OK, 64'h0010_0123, 1);
        translate(AREA + 64'h3008, `DMT_ACCESS_WRITE, `DMT_STATUS_OK, 64'h0010_3008, 1);
        translate(AREA + 64'h1004, `DMT_ACCESS_WRITE, `DMT_STATUS_PF, 64'h7, 0);

        $display("PASS: %0d translations", checks);
        $finish;
    end

    initial begin
        #100000;
        $fatal(1, "the device hangs: no answer within 10000 clocks");
    end
endmodule
