// SPDX-License-Identifier: Apache-2.0
// The architectural model of OpenDMT for SystemVerilog benches, over DPI-C
// (library libdmt_dpi.so). docs/flows.md shows a bench being built.
//
//   dmt_model model = new(52, 8, 16, 3, 48);     // PA_W, CTX_N, TEA_N, SETS, CNT_W of the instance
//   model.poke(64'h1000, 64'h2067);              // memory of its own, or
//   model.attach(memory);                        // an object of the bench
//   model.csr_write(14'h0808, 64'h1000);         // as the bench writes the device's registers
//   model.translate(request, result);            // what the device must answer
//   foreach (model.refs[i]) ...                  // the reads and A/D writes that it must make
//
// The model knows no caches: compare lists of references on instances without paging-structure caches, or
// answers alone. Codes (DMT_STATUS_OK, ..) and offsets are in rtl/dmt_regs.vh.
package dmt_dpi_pkg;

    typedef struct packed {
        bit [63:0] va;
        bit [1:0]  access;
        bit [1:0]  cpl;
        bit        ac;
        bit        implicit_access;
        bit        nonspec;
    } dmt_request_t;

    // The pins of an answer, and what it took: path 2 bits a stage, index 6 bits a stage, stage 0 lowest.
    typedef struct packed {
        bit [3:0]  status;
        bit [51:0] pa;
        bit [1:0]  size;
        bit [3:0]  rights;
        bit        glob;
        bit [3:0]  pkey;
        bit [6:0]  memtype;
        bit        dirty;
        bit        ad_needed;
        bit [33:0] error;
        bit [63:0] addr;
        bit [1:0]  stage;
        bit [5:0]  path;
        bit [17:0] index;
        bit [31:0] refs;
        bit [31:0] reads;
        bit [31:0] updates;
    } dmt_result_t;

    // One read on the PTE port, or (write) one exclusive write.
    typedef struct packed {
        bit [63:0] addr;
        bit [63:0] data;
        bit [1:0]  stage;
        bit [2:0]  level;
        bit        tea;
        bit [5:0]  index;
        bit        exclusive;
        bit        write;
        bit [1:0]  resp;
    } dmt_ref_t;

    typedef enum int {
        DMT_F_STATUS, DMT_F_PA, DMT_F_SIZE, DMT_F_RIGHTS, DMT_F_GLOBAL, DMT_F_PKEY, DMT_F_MEMTYPE, DMT_F_DIRTY,
        DMT_F_AD_NEEDED, DMT_F_ERROR, DMT_F_ADDR, DMT_F_STAGE, DMT_F_PATH, DMT_F_INDEX, DMT_F_REFS, DMT_F_READS,
        DMT_F_UPDATES
    } result_field_e;

    // ------------------------------------------------------------ C functions; the class below wraps them
    import "DPI-C" context function chandle dmt_dpi_new(input int pa_w, input int ctx_n, input int tea_n,
                                                        input int sets, input int cnt_w);
    import "DPI-C" context function void dmt_dpi_free(input chandle model);
    import "DPI-C" context function int dmt_dpi_reset(input chandle model);
    import "DPI-C" context function void dmt_dpi_attach(input chandle model, input int memory);
    import "DPI-C" context function int dmt_dpi_poke(input chandle model, input longint unsigned addr,
                                                     input longint unsigned data);
    import "DPI-C" context function bit dmt_dpi_peek(input chandle model, input longint unsigned addr,
                                                     output longint unsigned data);
    import "DPI-C" context function int dmt_dpi_csr_write(input chandle model, input int addr,
                                                          input longint unsigned data);
    import "DPI-C" context function int dmt_dpi_csr_read(input chandle model, input int addr,
                                                         output longint unsigned data, output bit known);
    import "DPI-C" context function int dmt_dpi_translate(input chandle model, input longint unsigned va,
        input int access, input int cpl, input bit ac, input bit implicit_access, input bit nonspec);
    import "DPI-C" context function longint unsigned dmt_dpi_result(input chandle model, input int field);
    import "DPI-C" context function int dmt_dpi_ref_count(input chandle model);
    import "DPI-C" context function void dmt_dpi_ref(input chandle model, input int i,
        output longint unsigned addr, output longint unsigned data, output int stage, output int level,
        output int tea, output int index, output int exclusive, output int write, output int resp);

    // ------------------------------------------------------------ memory of the bench
    // Answers are AXI's: 0 OKAY, 1 EXOKAY, 2 SLVERR, 3 DECERR. A write is the exclusive one after an exclusive
    // read: EXOKAY done, OKAY lost to another writer.
    virtual class dmt_memory;
        pure virtual function int read(longint unsigned addr, bit exclusive, output longint unsigned data);
        pure virtual function int write(longint unsigned addr, longint unsigned data);
    endclass

    dmt_memory memories [$];

    export "DPI-C" function dmt_dpi_memory_read;
    export "DPI-C" function dmt_dpi_memory_write;

    function int dmt_dpi_memory_read(input int memory, input longint unsigned addr, input bit exclusive,
                                     output longint unsigned data);
        dmt_memory m;
        m = memories[memory];
        return m.read(addr, exclusive, data);
    endfunction

    function int dmt_dpi_memory_write(input int memory, input longint unsigned addr, input longint unsigned data);
        dmt_memory m;
        m = memories[memory];
        return m.write(addr, data);
    endfunction

    // The calls that may call back. They are made here and not in the class, because Verilator 5.006 takes the
    // scope of an import's caller (not of its declaration) to look for exports.
    function int call_csr_write(input chandle model, input int addr, input longint unsigned data);
        return dmt_dpi_csr_write(model, addr, data);
    endfunction

    function int call_translate(input chandle model, input dmt_request_t request);
        return dmt_dpi_translate(model, request.va, int'(request.access), int'(request.cpl), request.ac,
                                 request.implicit_access, request.nonspec);
    endfunction

    // ------------------------------------------------------------ the model
    class dmt_model;
        chandle   handle;
        dmt_ref_t refs [$];     // of the last translation, in order

        // PA_W, CTX_N, TEA_N, SETS, CNT_W of the instance. The memory is empty: reads are answered DECERR.
        function new(int pa_w, int ctx_n, int tea_n, int sets, int cnt_w);
            handle = dmt_dpi_new(pa_w, ctx_n, tea_n, sets, cnt_w);
            if (handle == null)
                $fatal(1, "dmt_model: parameter out of range, or no memory");
        endfunction

        // Nothing may be called afterwards.
        function void free();
            dmt_dpi_free(handle);
            handle = null;
        endfunction

        // As the device's reset; memory stays.
        function void reset();
            if (dmt_dpi_reset(handle) == 0)
                $fatal(1, "dmt_model: no memory");
        endfunction

        // From now on read and write tables in an object of the bench.
        function void attach(dmt_memory memory);
            memories.push_back(memory);
            dmt_dpi_attach(handle, memories.size() - 1);
        endfunction

        // In its own memory again.
        function void detach();
            dmt_dpi_attach(handle, -1);
        endfunction

        // Its own memory, 64-bit words. A frame is there (and zero) once a word of it has been written.
        function void poke(longint unsigned addr, longint unsigned data);
            if (dmt_dpi_poke(handle, addr, data) == 0)
                $fatal(1, "dmt_model: no memory");
        endfunction

        function bit peek(longint unsigned addr, output longint unsigned data);
            return dmt_dpi_peek(handle, addr, data);
        endfunction

        // The CSR port with all strobes: the AXI answer that is due. gTEA tables and images are read from the
        // model's memory.
        function int csr_write(int addr, longint unsigned data);
            return call_csr_write(handle, addr, data);
        endfunction

        // known is 0 where only a cycle-exact model knows the value (hits of caches, busy cycles, EVENT of a level).
        function int csr_read(int addr, output longint unsigned data, output bit known);
            return dmt_dpi_csr_read(handle, addr, data, known);
        endfunction

        function void translate(dmt_request_t request, output dmt_result_t result);
            longint unsigned addr, data;
            int stage, level, tea, index, exclusive, write, resp;
            dmt_result_t r;
            dmt_ref_t one;

            if (call_translate(handle, request) == 0)
                $fatal(1, "dmt_model: no such request, or no memory");
            r.status    = 4'(dmt_dpi_result(handle, DMT_F_STATUS));
            r.pa        = 52'(dmt_dpi_result(handle, DMT_F_PA));
            r.size      = 2'(dmt_dpi_result(handle, DMT_F_SIZE));
            r.rights    = 4'(dmt_dpi_result(handle, DMT_F_RIGHTS));
            r.glob      = 1'(dmt_dpi_result(handle, DMT_F_GLOBAL));
            r.pkey      = 4'(dmt_dpi_result(handle, DMT_F_PKEY));
            r.memtype   = 7'(dmt_dpi_result(handle, DMT_F_MEMTYPE));
            r.dirty     = 1'(dmt_dpi_result(handle, DMT_F_DIRTY));
            r.ad_needed = 1'(dmt_dpi_result(handle, DMT_F_AD_NEEDED));
            r.error     = 34'(dmt_dpi_result(handle, DMT_F_ERROR));
            r.addr      = dmt_dpi_result(handle, DMT_F_ADDR);
            r.stage     = 2'(dmt_dpi_result(handle, DMT_F_STAGE));
            r.path      = 6'(dmt_dpi_result(handle, DMT_F_PATH));
            r.index     = 18'(dmt_dpi_result(handle, DMT_F_INDEX));
            r.refs      = 32'(dmt_dpi_result(handle, DMT_F_REFS));
            r.reads     = 32'(dmt_dpi_result(handle, DMT_F_READS));
            r.updates   = 32'(dmt_dpi_result(handle, DMT_F_UPDATES));
            refs.delete();
            for (int i = 0; i < dmt_dpi_ref_count(handle); i++) begin
                dmt_dpi_ref(handle, i, addr, data, stage, level, tea, index, exclusive, write, resp);
                one.addr      = addr;
                one.data      = data;
                one.stage     = stage[1:0];
                one.level     = level[2:0];
                one.tea       = tea[0];
                one.index     = index[5:0];
                one.exclusive = exclusive[0];
                one.write     = write[0];
                one.resp      = resp[1:0];
                refs.push_back(one);
            end
            result = r;
        endfunction
    endclass
endpackage
