// SPDX-License-Identifier: Apache-2.0
// dmt_mmu judged by the architectural model over DPI-C: random tables,
// registers and requests, native, virtualized and nested, of 4 and 5 levels;
// every answer, every read and every A/D write must be the model's. Ends in
// "PASS"; stops at the first difference with the seed that repeats it.
//   +seed=N       another run (default 1)
//   +epochs=N     settings of the registers tried (default 40)
//   +defect=N     spoil what the device reads, from the N-th word on: the run must fail
`include "dmt_regs.vh"

module dmt_dpi_tb;
    import dmt_dpi_pkg::*;

    // Without paging-structure caches, which the model does not know, lists of references are exact.
    localparam PA_W = 40, CTX_N = 4, TEA_N = 4, SETS = 3, TAG_W = 4, CNT_W = 16;
    localparam ID_W = $clog2(CTX_N) + $clog2(SETS);
    localparam WORDS = 32768;       // of memory: 64 frames
    localparam GRAPH = 16;          // frames of IA-32e tables, from frame 16 on
    localparam SECOND = 7;          // frames 7 to 11: second-stage tables of 2 MiB, level 5 first, identity but for
                                    // accidents: of both second stages and the shadow table
    localparam LEAVES = SECOND + 4;
    localparam GTEAS = 12;          // frame of the gTEA table

    bit clk = 1'b0;
    bit rst = 1'b1;
    always #5 clk = !clk;

    // ---------------------------------------------------------------- device
    bit              req_valid, resp_ready = 1'b1;
    bit  [TAG_W-1:0] req_tag;
    dmt_request_t    req;
    wire             req_ready, resp_valid;
    wire [TAG_W-1:0] resp_tag;
    wire [3:0]       resp_status, resp_rights, resp_pkey;
    wire [PA_W-1:0]  resp_pa;
    wire [1:0]       resp_size, resp_stage;
    wire             resp_global, resp_dirty, resp_ad_needed;
    wire [6:0]       resp_memtype;
    wire [33:0]      resp_error;
    wire [63:0]      resp_addr;
    wire             arvalid, arlock, rready, awvalid, wvalid, bready;
    wire [ID_W-1:0]  arid, awid;
    wire [PA_W-1:0]  araddr, awaddr;
    wire [63:0]      wdata;
    bit              rvalid, bvalid, stall;
    bit  [ID_W-1:0]  rid, bid;
    bit  [1:0]       rresp, bresp;
    bit  [63:0]      rdata;
    bit              s_awvalid, s_wvalid, s_arvalid;
    bit  [13:0]      s_awaddr, s_araddr;
    bit  [63:0]      s_wdata;
    wire             s_awready, s_wready, s_bvalid, s_arready, s_rvalid;
    wire [1:0]       s_bresp, s_rresp;
    wire [63:0]      s_rdata;

    // The pins that this bench does not look at stay open.
    /* verilator lint_off PINMISSING */
    dmt_mmu #(
        .PA_W(PA_W), .CTX_N(CTX_N), .TEA_N(TEA_N), .SETS(SETS), .PWC4_N(0), .PWC3_N(0), .PWC2_N(0), .NPWC4_N(0),
        .NPWC3_N(0), .NPWC2_N(0), .TAG_W(TAG_W), .CNT_W(CNT_W)
    ) dut (
        .clk_i(clk), .rst_i(rst),
        .req_valid_i(req_valid), .req_ready_o(req_ready), .req_tag_i(req_tag), .req_va_i(req.va),
        .req_access_i(req.access), .req_cpl_i(req.cpl), .req_ac_i(req.ac), .req_implicit_i(req.implicit_access),
        .req_nonspec_i(req.nonspec),
        .resp_valid_o(resp_valid), .resp_ready_i(resp_ready), .resp_tag_o(resp_tag), .resp_status_o(resp_status),
        .resp_pa_o(resp_pa), .resp_size_o(resp_size), .resp_rights_o(resp_rights), .resp_global_o(resp_global),
        .resp_pkey_o(resp_pkey), .resp_memtype_o(resp_memtype), .resp_dirty_o(resp_dirty),
        .resp_ad_needed_o(resp_ad_needed), .resp_error_o(resp_error), .resp_addr_o(resp_addr),
        .resp_stage_o(resp_stage),
        .m_arvalid_o(arvalid), .m_arready_i(ar_go), .m_arid_o(arid), .m_araddr_o(araddr), .m_arlock_o(arlock),
        .m_rvalid_i(rvalid), .m_rready_o(rready), .m_rid_i(rid), .m_rdata_i(rdata), .m_rresp_i(rresp),
        .m_rlast_i(1'b1),
        .m_awvalid_o(awvalid), .m_awready_i(aw_go), .m_awid_o(awid), .m_awaddr_o(awaddr),
        .m_wvalid_o(wvalid), .m_wready_i(aw_go), .m_wdata_o(wdata),
        .m_bvalid_i(bvalid), .m_bready_o(bready), .m_bid_i(bid), .m_bresp_i(bresp),
        .s_awvalid_i(s_awvalid), .s_awready_o(s_awready), .s_awaddr_i(s_awaddr),
        .s_wvalid_i(s_wvalid), .s_wready_o(s_wready), .s_wdata_i(s_wdata), .s_wstrb_i(8'hff),
        .s_bvalid_o(s_bvalid), .s_bready_i(1'b1), .s_bresp_o(s_bresp),
        .s_arvalid_i(s_arvalid), .s_arready_o(s_arready), .s_araddr_i(s_araddr),
        .s_rvalid_o(s_rvalid), .s_rready_i(1'b1), .s_rdata_o(s_rdata), .s_rresp_o(s_rresp)
    );
    /* verilator lint_on PINMISSING */

    // ---------------------------------------------------------------- the device's memory
    // Beyond its end: DECERR. Reads and writes that the device makes are kept for comparison.
    bit [63:0] mem [WORDS];
    dmt_ref_t  seen [$];
    int        beats = 0, defect = 0;

    function automatic bit [1:0] answer(bit [PA_W-1:0] addr, bit exclusive);
        return addr[PA_W-1:3] >= WORDS ? 2'b11 : exclusive ? 2'b01 : 2'b00;
    endfunction

    function automatic bit [63:0] word(bit [PA_W-1:0] addr);
        return addr[PA_W-1:3] >= WORDS ? 64'd0 : mem[addr[17:3]];
    endfunction

    wire ar_go = arvalid && !rvalid && !stall;
    wire aw_go = awvalid && wvalid && !bvalid && !stall;

    always @(posedge clk) begin
        automatic dmt_ref_t one;
        stall <= $urandom_range(3) == 0;
        if (rvalid && rready)
            rvalid <= 1'b0;
        if (ar_go) begin
            beats <= beats + 1;
            rvalid <= 1'b1;
            rid    <= arid;
            rresp  <= answer(araddr, arlock);
            rdata  <= word(araddr) ^ (defect != 0 && beats + 1 >= defect ? 64'h1000 : 64'd0);
            one = '0;
            one.addr = 64'(araddr);
            one.exclusive = arlock;
            seen.push_back(one);
        end
        if (bvalid && bready)
            bvalid <= 1'b0;
        if (aw_go) begin
            bvalid <= 1'b1;
            bid    <= awid;
            bresp  <= answer(awaddr, 1'b1);
            if (awaddr[PA_W-1:3] < WORDS)
                mem[awaddr[17:3]] <= wdata;
            one = '0;
            one.addr = 64'(awaddr);
            one.data = wdata;
            one.write = 1'b1;
            seen.push_back(one);
        end
    end

    // ---------------------------------------------------------------- the model and its memory
    // The model has a memory of its own or, every other epoch, an object of the bench: a copy, since it goes first.
    class copy extends dmt_memory;
        bit [63:0] words [WORDS];
        virtual function int read(longint unsigned addr, bit exclusive, output longint unsigned data);
            data = addr >> 3 < WORDS ? words[addr[17:3]] : 64'd0;
            return addr >> 3 < WORDS ? (exclusive ? 1 : 0) : 3;
        endfunction
        virtual function int write(longint unsigned addr, longint unsigned data);
            words[addr[17:3]] = data;
            return 1;
        endfunction
    endclass

    dmt_model  model;
    copy       own;
    dmt_memory memory;     // the same: Verilator 5.006 converts to the base class in assignments only
    bit       attached = 1'b0;
    int       seed = 1, epochs = 40, translations = 0, faults = 0, served = 0, updates = 0, registers = 0;
    bit [1:0] mode;
    bit       five, npt;            // levels of the entering stage's tables; format of the second stages'
    int       good [4], deep = 0;   // translated, by mode; of them through 5 levels

    task fail(string what);
        $fatal(1, "%s (repeat with +seed=%0d)", what, seed);
    endtask

    // A word of both memories.
    task poke(int at, bit [63:0] data);
        mem[at] = data;
        model.poke(64'(at) * 8, data);
        own.words[at] = data;
    endtask

    // ---------------------------------------------------------------- registers, device and model
    // Inputs change at the falling edge; a ready seen then is that of the coming rising edge.
    task csr_write(bit [13:0] addr, bit [63:0] data);
        automatic int due = model.csr_write(int'(addr), data);
        automatic bit aw, w;
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
        if (s_bresp != due[1:0])
            fail($sformatf("write of register %h: answered %0d, expected %0d", addr, s_bresp, due));
        registers++;
        @(negedge clk);
    endtask

    task csr_check(bit [13:0] addr);
        automatic bit ar, known;
        automatic longint unsigned value;
        automatic int due = model.csr_read(int'(addr), value, known);
        s_arvalid = 1'b1;
        s_araddr  = addr;
        while (s_arvalid) begin
            ar = s_arready;
            @(negedge clk);
            s_arvalid = !ar;
        end
        while (!s_rvalid)
            @(negedge clk);
        if (s_rresp != due[1:0] || (known && s_rdata != value))
            fail($sformatf("register %h: %h answered %0d, expected %h answered %0d", addr, s_rdata, s_rresp,
                           value, due));
        registers++;
        @(negedge clk);
    endtask

    function automatic bit [13:0] level(int k, bit [11:0] offset);
        return `DMT_LEVEL_BASE(14'(k)) + 14'(offset);
    endfunction

    function automatic bit [13:0] host(bit [11:0] offset);
        return `DMT_HOST_BASE + 14'(offset);
    endfunction

    // ---------------------------------------------------------------- random stimuli
    function automatic bit one_in(int n);
        return $urandom_range(n - 1) == 0;
    endfunction

    function automatic bit [63:0] random64();
        return {$urandom(), $urandom()};
    endfunction

    // Rights of the protection keys: all, now and then not.
    function automatic bit [63:0] keys();
        return one_in(3) ? random64() : 64'd0;
    endfunction

    // A frame of the graph.
    function automatic bit [63:0] graph();
        return {32'd0, 32'd16 + $urandom_range(GRAPH - 1)};
    endfunction

    // An entry of the graph of IA-32e tables: to one of its frames, mostly present and permitting.
    function automatic bit [63:0] ia32e();
        automatic bit [63:0] e = graph() << 12;
        e[0]  = !one_in(60);
        e[1]  = !one_in(24);
        e[2]  = !one_in(24);
        e[5]  = !one_in(6);
        e[6]  = !one_in(3);
        e[7]  = one_in(16);
        e[8]  = one_in(4);
        e[63] = one_in(40);
        if (one_in(16))
            e[62:59] = 4'($urandom());
        if (e[7])
            e[29:13] = '0;
        if (one_in(200))
            e[51:38] = 14'($urandom());
        return e;
    endfunction

    // An entry of a second stage's tables. EPT has R, W, X where NPT has P, W, U.
    function automatic bit [63:0] second(int frame, bit leaf);
        automatic bit [63:0] e = 64'(frame) << 12;
        e[2:0] = one_in(30) ? 3'($urandom()) : 3'b111;
        if (npt) begin
            e[5] = !one_in(6);
            e[6] = leaf && !one_in(3);
            e[63] = one_in(60);
        end else begin
            e[5:3] = leaf ? 3'd6 : 3'd0;
            e[8]   = !one_in(6);
            e[9]   = !one_in(3);
            e[10]  = !one_in(6);
        end
        if (one_in(100))
            e[51:38] = 14'($urandom());
        return e;
    endfunction

    // Indices 0 to 3 at each level, now and then anything.
    function automatic bit [63:0] address();
        automatic bit [63:0] va = one_in(20) ? random64() : 64'd0;
        if (five)
            va[49:48] = 2'($urandom());
        va[40:39] = 2'($urandom());
        va[31:30] = 2'($urandom());
        va[22:21] = 2'($urandom());
        va[13:12] = 2'($urandom());
        va[11:0]  = 12'($urandom());
        if (!one_in(20) && five)
            va[63:56] = {8{va[55]}};
        else if (!one_in(20))
            va[63:47] = {17{va[46]}};
        return va;
    endfunction

    task tables();
        for (int i = 0; i < WORDS; i++)
            poke(i, 64'd0);
        for (int f = 16; f < 16 + GRAPH; f++)
            for (int i = 0; i < 512; i++)
                poke(f * 512 + i, ia32e());
        npt = one_in(2);
        for (int f = SECOND; f < LEAVES; f++)
            poke(f * 512, second(f + 1, 1'b0));
        for (int i = 0; i < 512; i++)
            poke(LEAVES * 512 + i, second(i, 1'b1));
        poke(GTEAS * 512 + 2 * 4, 64'(LEAVES) << 12 | 64'd1);
        poke(GTEAS * 512 + 2 * 4 + 1, 64'd1);
        for (int i = 0; i < 4; i++) begin
            poke(GTEAS * 512 + 2 * i, 64'(16 + 2 * i) << 12 | 64'(!one_in(4)));
            poke(GTEAS * 512 + 2 * i + 1, 64'($urandom_range(2)));
        end
    endtask

    task tea(int k, int i);
        automatic bit [63:0] word0 = address();
        automatic bit gtea = k > 0 && one_in(2);
        automatic bit low = k + 1 < int'(mode) && one_in(2);    // as a second stage it covers low addresses
        word0[11:0] = '0;
        if (low)
            word0 = '0;
        word0[`DMT_TEA_WORD0_SZ_LSB +: 2] = one_in(3) ? 2'($urandom()) : 2'd0;
        word0[`DMT_TEA_WORD0_KIND_LSB +: 2] = one_in(16) ? 2'($urandom()) : 2'(gtea);
        word0[7:5] = one_in(4) ? 3'($urandom()) : 3'b111;
        word0[8] = one_in(20);
        word0[0] = 1'b1;
        csr_write(level(k, 12'(32 * i + 8)), gtea ? (low ? 64'd4 : 64'($urandom_range(6))) :
                  (low ? 64'(LEAVES) : graph()) << 12);
        csr_write(level(k, 12'(32 * i + 16)), one_in(12) ? random64() : 64'd1 << $urandom_range(30));
        csr_write(level(k, 12'(32 * i)), word0);
    endtask

    // What a table of a second stage is like, and its root.
    task second_stage(bit [13:0] control, bit [13:0] root);
        automatic bit [63:0] like = random64() & 64'he;
        like[0] = npt;      // `DMT_FORMAT_EPT is 0
        csr_write(control, like);
        csr_write(root, 64'(SECOND + (like[1] ? 0 : 1)) << 12);
    endtask

    task program_registers(bit ad_update);
        csr_write(host(`DMT_HOST_CTL), 64'(mode) | (ad_update ? `DMT_HOST_CTL_AD_UPDATE_MASK : 64'd0) |
                  (one_in(2) ? `DMT_HOST_CTL_FALLBACK_MASK : 64'd0));
        csr_write(host(`DMT_HOST_GTEA_TABLE1), 64'(GTEAS) << 12);
        csr_write(host(`DMT_HOST_GTEA_ENTRIES1), 64'd5);
        csr_write(host(`DMT_HOST_GTEA_TABLE2), 64'(GTEAS) << 12);
        csr_write(host(`DMT_HOST_GTEA_ENTRIES2), 64'd5);
        for (int k = 0; k < SETS; k++) begin
            csr_write(level(k, `DMT_LEVEL_CR0), random64());
            csr_write(level(k, `DMT_LEVEL_CR4), random64() & ~`DMT_LEVEL_CR4_LA57_MASK |
                      (five ? `DMT_LEVEL_CR4_LA57_MASK : 64'd0));
            csr_write(level(k, `DMT_LEVEL_EFER), random64());
            csr_write(level(k, `DMT_LEVEL_PKRU), keys());
            csr_write(level(k, `DMT_LEVEL_PKRS), keys());
            csr_write(level(k, `DMT_LEVEL_CR3), graph() << 12);
            for (int i = 0; i < TEA_N; i++)
                tea(k, i);
        end
        for (int k = 0; k < SETS - 1; k++)
            second_stage(level(k, `DMT_LEVEL_S2CTL), level(k, `DMT_LEVEL_S2ROOT));
        second_stage(host(`DMT_HOST_SHADOW_CTL), host(`DMT_HOST_SHADOW_ROOT));
        for (int n = 0; n < 20; n++)
            csr_check(14'($urandom_range(2047) * 8));
    endtask

    // ---------------------------------------------------------------- translations
    dmt_result_t due [1 << TAG_W];
    bit          waiting [1 << TAG_W];

    function automatic dmt_request_t request();
        automatic dmt_request_t r;
        r.va = address();
        r.access = 2'($urandom_range(2));
        r.cpl = one_in(2) ? 2'd3 : 2'd0;
        r.ac = one_in(2);
        r.implicit_access = one_in(8);
        r.nonspec = !one_in(8);
        return r;
    endfunction

    task send(bit [TAG_W-1:0] tag);
        automatic bit ready;
        req = request();
        req_tag = tag;
        model.translate(req, due[tag]);
        waiting[tag] = 1'b1;
        req_valid = 1'b1;
        while (req_valid) begin
            ready = req_ready;
            tick();
            req_valid = !ready;
        end
    endtask

    // Judge the answer that leaves at the coming rising edge.
    task take();
        automatic dmt_result_t got = '0, want;
        if (!(resp_valid && resp_ready))
            return;
        if (!waiting[resp_tag])
            fail($sformatf("an answer to tag %0d, which waits for none", resp_tag));
        waiting[resp_tag] = 1'b0;
        want = due[resp_tag];
        got.status    = resp_status;
        got.pa        = 52'(resp_pa);
        got.size      = resp_size;
        got.rights    = resp_rights;
        got.glob      = resp_global;
        got.pkey      = resp_pkey;
        got.memtype   = resp_memtype;
        got.dirty     = resp_dirty;
        got.ad_needed = resp_ad_needed;
        got.error     = resp_error;
        got.addr      = resp_addr;
        got.stage     = resp_stage;
        // What it took is not on these pins.
        got.path    = want.path;
        got.index   = want.index;
        got.refs    = want.refs;
        got.reads   = want.reads;
        got.updates = want.updates;
        if (got != want)
            fail($sformatf("answer %0d: status %0d pa %h size %0d rights %b error %h addr %h; %s %0d pa %h size %0d rights %b error %h addr %h",
                           translations, got.status, got.pa, got.size, got.rights, got.error, got.addr,
                           "expected status", want.status, want.pa, want.size, want.rights, want.error, want.addr));
        translations++;
        faults  += int'(got.status != `DMT_STATUS_OK);
        served  += int'(want.path[1:0] == `DMT_PATH_TEA || want.path[3:2] == `DMT_PATH_TEA ||
                        want.path[5:4] == `DMT_PATH_TEA);
        if (got.status == `DMT_STATUS_OK) begin
            good[mode]++;
            deep += int'(five);
        end
        updates += want.updates;
    endtask

    bit lazy = 1'b0;    // take answers late

    task tick();
        take();
        @(negedge clk);
        resp_ready = !lazy || !one_in(4);
    endtask

    // One at a time: the device's reads and writes must be the model's, in order.
    task ordered(int n);
        automatic dmt_ref_t want;
        for (int i = 0; i < n; i++) begin
            seen.delete();
            send(TAG_W'(i));
            while (waiting[TAG_W'(i)])
                tick();
            if (seen.size() != model.refs.size())
                fail($sformatf("va %h: %0d accesses, expected %0d", req.va, seen.size(), model.refs.size()));
            for (int j = 0; j < seen.size(); j++) begin
                want = '0;
                want.addr = model.refs[j].addr;
                want.write = model.refs[j].write;
                want.exclusive = model.refs[j].exclusive && !want.write;
                want.data = want.write ? model.refs[j].data : 64'd0;
                if (seen[j] != want)
                    fail($sformatf("va %h access %0d: write %0d addr %h data %h, expected write %0d addr %h data %h",
                                   req.va, j, seen[j].write, seen[j].addr, seen[j].data, want.write, want.addr,
                                   want.data));
            end
        end
    endtask

    // As many in flight as the device takes, answered in any order; nothing is written.
    task crowded(int n);
        lazy = 1'b1;
        for (int i = 0; i < n; i++) begin
            while (waiting[TAG_W'(i)])
                tick();
            send(TAG_W'(i));
        end
        for (int i = 0; i < 1 << TAG_W; i++)
            while (waiting[i])
                tick();
        lazy = 1'b0;
        resp_ready = 1'b1;
    endtask

    // ---------------------------------------------------------------- the run
    initial begin
        automatic longint unsigned data;
        void'($value$plusargs("seed=%d", seed));
        void'($value$plusargs("epochs=%d", epochs));
        void'($value$plusargs("defect=%d", defect));
        void'($urandom(seed));
        model = new(PA_W, CTX_N, TEA_N, SETS, CNT_W);
        own = new;
        memory = own;
        repeat (3) @(negedge clk);
        rst = 1'b0;
        @(negedge clk);
        for (int e = 0; e < epochs; e++) begin
            if (e % 8 == 0)
                tables();
            // What was written since then is in the one that was used.
            if (attached != e[0])
                for (int i = 0; i < WORDS; i++)
                    poke(i, mem[i]);
            attached = e[0];
            if (attached)
                model.attach(memory);
            else
                model.detach();
            mode = `DMT_MODE_NATIVE + 2'($urandom_range(2));
            five = one_in(3);
            program_registers(e % 4 != 3);
            if (e % 4 == 3)
                crowded(200);
            else
                ordered(60);
            csr_check(host(`DMT_HOST_EVENT));
            csr_check(host(`DMT_HOST_BUS_ADDR));
        end
        for (int i = 0; i < WORDS; i++) begin
            if (!attached && !model.peek(64'(i) * 8, data))
                fail($sformatf("memory at %h is gone", i * 8));
            if (mem[i] != (attached ? own.words[i] : data))
                fail($sformatf("memory at %h differs in the end", i * 8));
        end
        if (defect != 0 && beats < defect)
            fail("the device has not read so many words");
        model.free();
        if (epochs >= 40 && (good[`DMT_MODE_NATIVE] == 0 || good[`DMT_MODE_VIRT] == 0 || good[`DMT_MODE_NESTED] == 0 ||
                             deep == 0 || served == 0 || updates == 0))
            fail("not everything has been tried");
        $display("PASS: %0d translations (%0d with TEA registers, %0d faults), %0d A/D writes, %0d register accesses",
                 translations, served, faults, updates, registers);
        $display("translated: %0d native, %0d virtualized, %0d nested, %0d of them through 5 levels",
                 good[`DMT_MODE_NATIVE], good[`DMT_MODE_VIRT], good[`DMT_MODE_NESTED], deep);
        $finish;
    end

    initial begin
        #(5000000 * (10 + epochs));
        fail("the device hangs");
    end
endmodule
