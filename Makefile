# SPDX-License-Identifier: Apache-2.0
# Everything is built under $(BUILD), nothing elsewhere. `make help` lists the
# targets; SAN=1 builds the same things with sanitizers under $(BUILD)/asan.

BUILD ?= build
JOBS ?= $(shell nproc)
O := $(BUILD)$(if $(SAN),/asan)
V := $(BUILD)/verilated
PYTHON := /usr/bin/python3
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
# Its one place is the library's header.
VERSION := $(shell sed -nE 's/^.define DMT_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$$/\2/p' cmodel/include/dmt/api.h | paste -sd.)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --no-print-directory -j$(JOBS)
endif
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:

.PHONY: help
help: ## This list
	@echo "make TARGET [BUILD=dir] [JOBS=n] [SAN=1] [PREFIX=/usr/local] [DESTDIR=dir]"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

# ---------------------------------------------------------------- the two commands
.PHONY: run test
run: $(BUILD)/setup/base ## Install what is missing, build, and watch DMT walk a real system's page tables
	@echo "Building (build/dmt, every configuration of the RTL)"
	@$(MAKE) dmt
	@$(BUILD)/dmt run

test: $(BUILD)/setup/base $(BUILD)/setup/test $(BUILD)/setup/waves ## Install what is missing, build, run every test; ends in "N passed, N failed"
	+@tests/run $(BUILD)

# ---------------------------------------------------------------- set-up
.PHONY: setup
setup: $(BUILD)/setup/base $(BUILD)/setup/test ## Install missing Debian packages for run and test

# One stamp a group of tests/packages: base, test, formal, synth, waves, pictures, capture.
$(BUILD)/setup/%: tests/packages tests/setup
	@tests/setup $*
	@mkdir -p $(@D) && touch $@

# ---------------------------------------------------------------- configurations
RTL := $(shell grep '^rtl/' rtl/dmt.f)

$(BUILD)/configs.mk: rtl/configs.json rtl/configs.py | $(BUILD)/setup/base
	@mkdir -p $(@D)
	@$(PYTHON) rtl/configs.py make >$@.new && mv $@.new $@

$(BUILD)/configs.h: rtl/configs.json rtl/configs.py | $(BUILD)/setup/base
	@mkdir -p $(@D)
	@$(PYTHON) rtl/configs.py header >$@.new && mv $@.new $@

# Constants of the board's link, from Verilog to C.
$(BUILD)/board_defs.h: rtl/fpga/dmt_board.vh
	@mkdir -p $(@D)
	@sed -nE "s/^\`define (DMT_\w+) +[0-9]+'h([0-9a-f]+)$$/#define \1 0x\2/p; \
	    s/^\`define (DMT_\w+) +[0-9]+'d([0-9]+)$$/#define \1 \2/p" $< >$@.new && mv $@.new $@

# Included only where configurations matter, so that help, set-up and clean work on a bare machine.
ifneq ($(filter-out help run test setup clean regs check-regs uninstall $(BUILD)/setup/%,$(or $(MAKECMDGOALS),help)),)
include $(BUILD)/configs.mk
endif

# ---------------------------------------------------------------- compilers
ifdef SAN
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
else
OPT := -O2 -g
endif
WARN := -Wall -Wextra -Werror
INC := -I. -Icmodel/include -Icmodel/src -Itb -Isim -I$(BUILD)
CFLAGS_ALL := -std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L $(WARN) $(OPT) $(INC) $(CFLAGS)
VERILATOR_INC = $(shell verilator --getenv VERILATOR_ROOT)/include
CXXFLAGS_ALL = -std=c++17 $(WARN) $(OPT) $(INC) -isystem $(VERILATOR_INC) -isystem $(VERILATOR_INC)/vltstd $(CXXFLAGS)
LDLIBS := -lzstd -lelf -lz -ljansson -lpthread -lm
# The library's objects serve the archive and the shared one; what no public header declares is hidden.
LIB_CFLAGS := -fPIC -fvisibility=hidden -fno-semantic-interposition
VFLAGS := --cc -O3 -fno-const-bit-op-tree --x-assign unique --x-initial unique --trace-fst \
    --top-module dmt_mmu -Irtl

# Flags are an input like any other: a change of them rebuilds what they touch.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CFLAGS_ALL) $(LIB_CFLAGS) $(OPT) $(CXXFLAGS)' >$@.new
	@cmp -s $@.new $@ || cp $@.new $@; rm -f $@.new
$(V)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(VFLAGS) $(RTL)' | cmp -s - $@ || echo '$(VFLAGS) $(RTL)' >$@
.PHONY: FORCE
FORCE:

$(O)/obj/%.o: %.c $(O)/flags | $(BUILD)/configs.h $(BUILD)/board_defs.h
	@mkdir -p $(@D)
	@echo "  cc      $<"
	@$(CC) $(CFLAGS_ALL) $(if $(filter cmodel/% tb/shadow.c tb/dpi/%,$<),$(LIB_CFLAGS)) -MMD -MP -c $< -o $@

$(O)/obj/%.o: %.cpp $(O)/flags | $(BUILD)/configs.h $(BUILD)/board_defs.h
	@mkdir -p $(@D)
	@echo "  c++     $<"
	@$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c $< -o $@

objects = $(patsubst %,$(O)/obj/%.o,$(basename $(1)))

# ---------------------------------------------------------------- the library of models
LIB_O := $(call objects,$(wildcard cmodel/src/*.c))
$(O)/libdmt.a: $(LIB_O)
	@rm -f $@
	@ar rcs $@ $^

# For other people's programs: the shared one, and an archive that shows no more than it. The last one is for
# SystemVerilog benches (tb/dpi); what it leaves undefined is exported by dmt_dpi_pkg.sv.
SONAME := libdmt.so.$(firstword $(subst ., ,$(VERSION)))
$(O)/libdmt.so: $(LIB_O)
	@echo "  link    $@"
	@$(CC) $(OPT) -shared -Wl,-soname,$(SONAME) $(if $(SAN),,-Wl,-z,defs) $^ -o $@
$(O)/public/libdmt.a: $(LIB_O)
	@mkdir -p $(@D) && rm -f $@
	@ld -r $^ -o $(@D)/dmt.o && objcopy --localize-hidden $(@D)/dmt.o
	@ar rcs $@ $(@D)/dmt.o
$(O)/libdmt_dpi.so: $(call objects,tb/dpi/dmt_dpi.c tb/shadow.c) $(O)/public/libdmt.a
	@echo "  link    $@"
	@$(CC) $(OPT) -shared -Wl,-soname,libdmt_dpi.so -Wl,--exclude-libs,ALL $^ -o $@

# ---------------------------------------------------------------- the RTL, verilated per configuration
# The models are the same with and without SAN: they are generated code.
RUNTIME_O := $(patsubst %,$(V)/runtime/%.o,verilated verilated_threads verilated_fst_c)
$(V)/runtime/%.o: $(V)/flags
	@mkdir -p $(@D)
	@echo "  c++     $*.cpp (Verilator runtime)"
	@$(CXX) -std=c++17 -O2 -DVM_TRACE=1 -DVM_TRACE_FST=1 -I$(VERILATOR_INC) -I$(VERILATOR_INC)/vltstd \
	    -c $(VERILATOR_INC)/$*.cpp -o $@

define RTL_RULES
$(V)/$(1)/model.a: $(RTL) rtl/dmt_regs.vh $(BUILD)/configs.mk $(V)/flags
	@echo "  rtl     $(1) ($(PARAMS_$(1)))"
	@verilator $(VFLAGS) $$(addprefix -G,$(PARAMS_$(1))) --prefix Vdmt_$(1) --Mdir $(V)/$(1) $(RTL)
	@$$(MAKE) -s -C $(V)/$(1) -f Vdmt_$(1).mk OPT_FAST=-O2 Vdmt_$(1)__ALL.a >/dev/null
	@mv $(V)/$(1)/Vdmt_$(1)__ALL.a $$@
$(O)/obj/tb/rtl_dut.$(1).o: tb/rtl_dut.cpp $(V)/$(1)/model.a $(O)/flags | $(BUILD)/configs.h $(BUILD)/board_defs.h
	@mkdir -p $$(@D)
	@echo "  c++     tb/rtl_dut.cpp ($(1))"
	@$$(CXX) $$(CXXFLAGS_ALL) -isystem $(V)/$(1) -DDUT_PREFIX=Vdmt_$(1) -DDUT_NAME=$(1) -MMD -MP -c $$< -o $$@
endef
$(foreach c,$(CONFIGS),$(eval $(call RTL_RULES,$(c))))

# ---------------------------------------------------------------- the command
TB_O := $(call objects,$(wildcard tb/*.c) $(filter-out tb/rtl_dut.cpp tb/board_%.cpp,$(wildcard tb/*.cpp))) \
    $(patsubst %,$(O)/obj/tb/rtl_dut.%.o,$(CONFIGS))
SIM_O := $(call objects,$(wildcard sim/*.c sim/eval/*.c))
LINK_O := $(TB_O) $(filter-out $(O)/obj/sim/main.o,$(SIM_O)) $(O)/libdmt.a \
    $(patsubst %,$(V)/%/model.a,$(CONFIGS)) $(RUNTIME_O)

.PHONY: lib dpi dmt
lib: $(O)/libdmt.a $(O)/libdmt.so ## build/libdmt.a and .so, the C models
dpi: $(O)/libdmt_dpi.so ## build/libdmt_dpi.so, the architectural model for SystemVerilog benches
dmt: $(O)/dmt ## build/dmt, the command
$(O)/dmt: $(O)/obj/sim/main.o $(LINK_O)
	@echo "  link    $@"
	@$(CXX) $(OPT) $^ $(LDLIBS) -o $@

# ---------------------------------------------------------------- SystemC
# tb/systemc/*.cpp: dmt_tlm and what a platform needs; platform.cpp has sc_main, and so has the test.
SYSTEMC_O := $(call objects,$(filter-out %/platform.cpp,$(wildcard tb/systemc/*.cpp)))

.PHONY: systemc
systemc: $(BUILD)/setup/systemc $(O)/dmt-platform ## build/libdmt-tlm.a, the MMU as a TLM-2.0 module, and build/dmt-platform around it
$(SYSTEMC_O) $(O)/obj/tb/systemc/platform.o $(O)/obj/tests/systemc.o: | $(BUILD)/setup/systemc
# One library, so that a platform need not know what is in it.
TLM_A := $(O)/libdmt.a $(patsubst %,$(V)/%/model.a,$(CONFIGS))
$(O)/libdmt-tlm.a: $(SYSTEMC_O) $(TB_O) $(RUNTIME_O) $(TLM_A)
	@rm -f $@
	@printf '%s\n' 'create $@' $(patsubst %,'addlib %',$(TLM_A)) $(patsubst %,'addmod %',$(filter %.o,$^)) save end | ar -M
$(O)/dmt-platform: $(O)/obj/tb/systemc/platform.o $(filter-out $(O)/obj/sim/main.o,$(SIM_O)) $(O)/libdmt-tlm.a
	@echo "  link    $@"
	@$(CXX) $(OPT) $^ $(LDLIBS) -lsystemc -o $@
$(O)/tests/systemc: $(O)/obj/tests/systemc.o $(O)/obj/tests/perm_rows.o $(filter-out $(O)/obj/sim/main.o,$(SIM_O)) \
    $(O)/libdmt-tlm.a
	@mkdir -p $(@D)
	@echo "  link    $@"
	@$(CXX) $(OPT) $^ $(LDLIBS) -lsystemc -o $@

# ---------------------------------------------------------------- a board without a board
# The cores of rtl/fpga with a fast UART and the memory of the boards' tops. `memory` is a small one with
# nothing in its walker, which simulates much faster: for tests of the link.
BOARD_RTL := $(shell grep '^rtl/' rtl/fpga/board.f)
BOARD_DIVISOR := 6
BOARD_KHZ := $(shell expr 3000 \* $(BOARD_DIVISOR))
top_params = $(shell sed -nE 's/.*\.(RX_W|TX_W|BLOCK_W|SLOTS|WAYS|SET_W|LATENCY|DEPTH|TRACE)\(([0-9]+)\).*/\1=\2/p' $(1))
BOARD_pipelined := $(call top_params,rtl/fpga/ulx3s_top.v)
BOARD_tiny := $(call top_params,rtl/fpga/hx8k_top.v)
BOARD_memory := $(BOARD_tiny)
PARAMS_memory = $(PARAMS_tiny)
BOARDS := pipelined tiny memory
board_rtl = $(if $(filter memory,$(1)),$(V)/board_memory/dmt_mmu.v,$(RTL)) $(BOARD_RTL)
$(V)/board_memory/dmt_mmu.v: rtl/dmt_mmu.v
	@mkdir -p $(@D)
	@{ sed '/^);/q' $<; echo endmodule; } >$@
define BOARD_RULES
$(V)/board_$(1)/model.a: $$(call board_rtl,$(1)) rtl/dmt_fifo.v rtl/dmt_regs.vh rtl/fpga/dmt_board.vh $(wildcard rtl/fpga/*_top.v) $(BUILD)/configs.mk $(V)/flags
	@echo "  rtl     board $(1)"
	@verilator $(subst dmt_mmu,dmt_board,$(VFLAGS)) -Irtl/fpga $$(addprefix -G,$(PARAMS_$(1)) $(BOARD_$(1)) DIVISOR=$(BOARD_DIVISOR) CLK_KHZ=$(BOARD_KHZ)) \
	    --prefix Vboard_$(1) --Mdir $(V)/board_$(1) $$(call board_rtl,$(1)) -y rtl
	@$$(MAKE) -s -C $(V)/board_$(1) -f Vboard_$(1).mk OPT_FAST=-O2 Vboard_$(1)__ALL.a >/dev/null
	@mv $(V)/board_$(1)/Vboard_$(1)__ALL.a $$@
$(O)/obj/tb/board_model.$(1).o: tb/board_model.cpp tb/board_model.h $(V)/board_$(1)/model.a $(O)/flags
	@mkdir -p $$(@D)
	@echo "  c++     tb/board_model.cpp ($(1))"
	@$$(CXX) $$(CXXFLAGS_ALL) -isystem $(V)/board_$(1) -DBOARD_PREFIX=Vboard_$(1) -DBOARD_NAME=$(1) \
	    -DBOARD_DIVISOR=$(BOARD_DIVISOR) -c $$< -o $$@
endef
$(foreach c,$(BOARDS),$(eval $(call BOARD_RULES,$(c))))

.PHONY: board-sim
board-sim: $(O)/dmt-board-sim ## build/dmt-board-sim, the FPGA board's core with its UART on a pseudo-terminal
$(O)/dmt-board-sim: $(call objects,tb/board_sim.cpp tb/rng.c) $(patsubst %,$(O)/obj/tb/board_model.%.o,$(BOARDS)) \
    $(patsubst %,$(V)/board_%/model.a,$(BOARDS)) $(RUNTIME_O)
	@echo "  link    $@"
	@$(CXX) $(OPT) $^ -lz -lpthread -o $@

# ---------------------------------------------------------------- tests
# tests/test_*.c: one Criterion binary each; other tests/*.c go into all of them.
HELPER_O := $(call objects,$(filter-out tests/test_%,$(wildcard tests/*.c)))
TESTS := $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/test_*.c))

.PHONY: tests
tests: $(TESTS) ## The Criterion binaries under build/tests, not run
$(O)/tests/%: $(O)/obj/tests/%.o $(HELPER_O) $(LINK_O)
	@mkdir -p $(@D)
	@echo "  link    $@"
	@$(CXX) $(OPT) $^ $(LDLIBS) -lcriterion -o $@

.PHONY: lint check-regs regs
lint: $(BUILD)/setup/test ## Verilator -Wall, Icarus and Yosys check on every configuration
	@BUILD=$(BUILD) tests/test_lint.sh

# The register compiler and the tools of docs/flows.md are not in Debian: they come from PyPI into an environment
# of their own.
.PHONY: venv
venv: $(BUILD)/venv/ready ## Python tools that are not in Debian, into build/venv
$(BUILD)/venv/ready: tests/requirements.txt | $(BUILD)/setup/test
	@echo "setup: installing Python tools from PyPI into $(BUILD)/venv"
	@$(PYTHON) -m venv --clear $(BUILD)/venv
	@$(BUILD)/venv/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
	@touch $@
regs: $(BUILD)/venv/ready ## Regenerate register headers and docs/registers.md from rtl/dmt_regs.rdl
	@$(BUILD)/venv/bin/python rtl/gen_regs.py
check-regs: $(BUILD)/venv/ready ## Fail when one of them is not what rtl/dmt_regs.rdl yields
	@$(BUILD)/venv/bin/python rtl/gen_regs.py --check

# ---------------------------------------------------------------- campaigns and reports
.PHONY: bench soak software mutants formal synth area fpga fpga-report waves pictures report
bench: dmt ## Latency, throughput and simulation speed, as ratios and exact clocks
	@$(BUILD)/dmt bench
soak: dmt ## Twenty million random lockstep cycles, 50 seeds of each configuration
	@tests/soak.sh $(BUILD)
software: dmt ## A million operations of kernels and hypervisors, all invariants, a sample on the RTL
	@tests/software.sh $(BUILD)
mutants: ## Put bugs into RTL and models, one at a time, and see each one caught
	@tests/mutants.sh $(BUILD)
formal: $(BUILD)/setup/formal ## Prove isolation of guests; covers and mutants show that the proofs bite
	@formal/prove.py $(BUILD)
# nextpnr-ecp5 and ecppack are not in Debian 12; those on the path are used when there are any.
ECP5_TOOLS := $(if $(shell command -v nextpnr-ecp5),,$(BUILD)/venv-fpga/ready)
synth: $(BUILD)/setup/synth $(ECP5_TOOLS) ## Area and clock of every configuration, into build/synth/report.md
	@VENV=$(BUILD)/venv-fpga $(PYTHON) -B rtl/synth/synth.py $(BUILD)/synth
area: $(BUILD)/setup/synth $(ECP5_TOOLS) ## The same, and refresh docs/area.md
	@VENV=$(BUILD)/venv-fpga $(PYTHON) -B rtl/synth/synth.py $(BUILD)/synth --docs
$(BUILD)/venv-fpga/ready: rtl/fpga/requirements.txt | $(BUILD)/setup/fpga
	@echo "setup: installing nextpnr-ecp5 from PyPI into $(BUILD)/venv-fpga"
	@$(PYTHON) -m venv --clear $(BUILD)/venv-fpga
	@$(BUILD)/venv-fpga/bin/pip install -q --disable-pip-version-check -r rtl/fpga/requirements.txt
	@touch $@
fpga: $(BUILD)/setup/fpga $(if $(filter ulx3s,$(BOARD)),$(ECP5_TOOLS)) ## BOARD=ulx3s|hx8k|arty: bitstream, area and clock, under build/fpga
	@case '$(BOARD)' in ulx3s|hx8k|arty) ;; *) echo "make fpga: BOARD is '$(BOARD)', expected ulx3s, hx8k or arty" >&2; exit 2;; esac
	@VENV=$(BUILD)/venv-fpga $(PYTHON) -B rtl/fpga/fpga.py '$(BOARD)' $(BUILD)/fpga
fpga-report: ## Area and clock of the boards made, into docs/fpga.md
	@$(PYTHON) -B rtl/fpga/fpga.py report $(BUILD)/fpga --docs
waves: dmt $(BUILD)/setup/waves ## [SCENARIO=name | SEED=n] Walks in GTKWave, or where the waves are; names: build/dmt waves --list
	@SCENARIO='$(SCENARIO)' SEED='$(SEED)' tests/waves.sh $(BUILD)
pictures: dmt $(BUILD)/setup/waves $(BUILD)/setup/pictures ## Draw docs/waves anew from what the RTL does; tables of datasheet and integration guide
	@$(PYTHON) -B docs/waves/draw.py $(BUILD)/dmt docs/waves
	@docs/waves/screenshot.sh $(BUILD)/dmt pvdmt docs/waves/gtkwave.png
	@$(PYTHON) -B docs/waves/draw.py --page $(BUILD)/dmt docs/integration.md
	@$(PYTHON) -B rtl/interface.py --docs

# A unit that is there, of the same command and program, is not simulated again: a run that was stopped goes on.
REPORT := $(BUILD)/eval$(if $(FULL),-full)
REPORT_SIM := $(if $(FULL),-n 200000000 --warmup 100000000,-n 4000000 --warmup 6000000)
VARIANT_SIM := --workload redis,gups,xsbench --env native,virt --pages all --design radix,nested,dmt,pvdmt --windows 0 \
    $(if $(FULL),-n 20000000 --warmup 20000000,-n 1000000 --warmup 2000000 --scale 0.25)
# The published arithmetic, on the published program's machine: a page of its own.
FORMULA_SIM := --workload all --env native,virt --pages 4k --design radix,nested --machine sim/machines/published.machine \
    --windows 0 $(if $(FULL),-n 200000000 --warmup 200000000,-n 10000000 --warmup 20000000)
report: dmt $(BUILD)/setup/report ## [FULL=1] Translation designs side by side, the paper's evaluation: build/eval/report.html, build/eval-formula/report.html
	@mkdir -p $(REPORT) $(REPORT)-formula
	@$(BUILD)/dmt sim $(FORMULA_SIM) -j $(JOBS) --out $(REPORT)-formula
	@$(BUILD)/dmt report $(REPORT)-formula
	@$(BUILD)/dmt sim --all $(REPORT_SIM) -j $(JOBS) --out $(REPORT)
	@grep -v '^#' sim/eval/variants | while read -r name options; do echo "variant $$name: $$options"; \
	    mkdir -p $(REPORT)/$$name && $(BUILD)/dmt sim $(VARIANT_SIM) $$options -j $(JOBS) --out $(REPORT)/$$name </dev/null || exit; done
	@$(BUILD)/dmt report $(REPORT) --csv $(REPORT)/results.csv

# ---------------------------------------------------------------- for other people's flows
.PHONY: filelist install uninstall
filelist: $(BUILD)/dmt.f ## build/dmt.f, rtl/dmt.f with absolute paths
$(BUILD)/dmt.f: rtl/dmt.f Makefile
	@mkdir -p $(@D)
	@sed -E 's,^(\+incdir\+)?rtl,\1$(CURDIR)/rtl,; s/root of the repository/root of the file system/' $< >$@

PLACE = $(DESTDIR)$(PREFIX)
SHARE = $(PLACE)/share/opendmt
DOC = $(PLACE)/share/doc/opendmt
absolute = case '$(PREFIX):$(LIBDIR)' in /*:/*) ;; \
    *) echo "make $@: PREFIX is '$(PREFIX)', LIBDIR '$(LIBDIR)', expected absolute paths" >&2; exit 2;; esac
install: dmt dpi $(BUILD)/libdmt.so $(BUILD)/public/libdmt.a ## Command, libraries, headers, RTL, documents, under DESTDIR PREFIX
	@$(absolute)
	@install -d $(PLACE)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(PLACE)/include/dmt $(SHARE)/rtl $(DOC)/docs/waves $(DOC)/sim
	@install $(BUILD)/dmt $(PLACE)/bin
	@install -m 644 $(BUILD)/public/libdmt.a $(BUILD)/libdmt_dpi.so $(DESTDIR)$(LIBDIR)
	@install -m 644 $(BUILD)/libdmt.so $(DESTDIR)$(LIBDIR)/libdmt.so.$(VERSION)
	@ln -sf libdmt.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	@ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libdmt.so
	@sed 's,@PREFIX@,$(PREFIX),; s,@LIBDIR@,$(LIBDIR),; s,@VERSION@,$(VERSION),' cmodel/dmt.pc.in \
	    >$(DESTDIR)$(LIBDIR)/pkgconfig/dmt.pc
	@install -m 644 cmodel/include/dmt/*.h cmodel/include/dmt/pins.def $(PLACE)/include/dmt
	@install -m 644 opendmt.core sim/eval/report.py $(SHARE)
	@install -m 644 rtl/*.v rtl/*.vh rtl/dmt_regs.rdl rtl/configs.json $(SHARE)/rtl
	@sed -E 's,^(\+incdir\+)?rtl,\1$(PREFIX)/share/opendmt/rtl,; s/root of the repository/root of the file system/' \
	    rtl/dmt.f >$(SHARE)/rtl/dmt.f
	@cp -r --no-preserve=mode,ownership sim/captures $(SHARE)
	@for f in tb/example/*.sv tb/dpi/*.sv tb/cocotb/Makefile tb/cocotb/*.py; do install -m 644 -D $$f $(SHARE)/$$f; done
	@install -m 644 README.md LICENSE CHANGELOG.md $(DOC)
	@install -m 644 docs/*.md $(DOC)/docs
	@install -m 644 docs/waves/*.svg docs/waves/*.png $(DOC)/docs/waves
	@install -m 644 sim/README.md $(DOC)/sim
	@echo "OpenDMT $(VERSION) is under $(PLACE)"
uninstall: ## Remove what make install put there
	@$(absolute)
	rm -f $(PLACE)/bin/dmt $(addprefix $(DESTDIR)$(LIBDIR)/,libdmt.a libdmt_dpi.so libdmt.so libdmt.so.* pkgconfig/dmt.pc)
	rm -rf $(PLACE)/include/dmt $(SHARE) $(DOC)

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf $(BUILD)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
