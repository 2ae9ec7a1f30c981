/* SPDX-License-Identifier: Apache-2.0
 * A verilated dmt_mmu behind the device interface. Compiled once for each
 * configuration:
 *   -DDUT_PREFIX=Vdmt_<name>  class that verilator --prefix made
 *   -DDUT_NAME=<name>         as in rtl/configs.json
 * The parameters come from configs.h. */
#define STR_(x) #x
#define STR(x) STR_(x)
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#include STR(DUT_PREFIX.h)
#include "verilated.h"
#include "verilated_fst_c.h"
#include <cstring>
#include <memory>
#include <new>

extern "C" {
#include "tb/dut.h"
}

namespace {

struct config {
    const char *name;
    struct dmt_config c;
};

constexpr config configs[] = {
#define DMT_CONFIG(name, ...) { #name, { __VA_ARGS__ } },
#include "configs.h"
#undef DMT_CONFIG
};

constexpr bool same(const char *a, const char *b)
{
    return *a == *b && (!*a || same(a + 1, b + 1));
}

constexpr struct dmt_config own(unsigned i = 0)
{
    return same(configs[i].name, STR(DUT_NAME)) ? configs[i].c : own(i + 1);
}

constexpr struct dmt_config conf = own();

/* Bits that tell n things apart, at least `bits`. */
constexpr unsigned bits_for(unsigned n, unsigned bits)
{
    return n <= 1u << bits ? bits : bits_for(n, bits + 1);
}

constexpr bool ends(const char *s, const char *tail)
{
    return same(s, tail) || (*s && ends(s + 1, tail));
}

/* Width of a pin in this configuration; pins.def states that of the widest.
 * Tags, AXI IDs and physical addresses are as wide as the parameters say. */
constexpr unsigned width(const char *name, unsigned widest)
{
    return ends(name, "_tag") ? conf.tag_w
           : same(name, "m_arid") || same(name, "m_rid") || same(name, "m_awid") || same(name, "m_bid")
               ? bits_for(conf.ctx_n, 1) + bits_for(conf.sets, 0)
           : widest == 52 ? conf.pa_w
                          : widest;
}

constexpr uint64_t mask(unsigned bits)
{
    return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

struct rtl {
    VerilatedContext context;
    std::unique_ptr<DUT_PREFIX> top;
    std::unique_ptr<VerilatedFstC> fst;
    uint64_t now = 0; /* cycle number, 10 time units each */
    struct dmt_out out;
};

void *create(const struct dmt_config *)
{
    rtl *d = new (std::nothrow) rtl;

    if (!d)
        return nullptr;
    d->context.threads(1); /* before the model exists: a pool of threads would not survive a fork */
    d->context.traceEverOn(true);
    d->top.reset(new DUT_PREFIX(&d->context, "TOP"));
    d->top->clk_i = 1;
    d->top->rst_i = 0;
    d->top->eval();
    std::memset(&d->out, 0, sizeof(d->out));
    return d;
}

void trace_close(void *self)
{
    rtl *d = static_cast<rtl *>(self);

    if (d->fst) {
        d->fst->dump(d->now * 10);
        d->fst->close();
        d->fst.reset();
    }
}

void destroy(void *self)
{
    rtl *d = static_cast<rtl *>(self);

    trace_close(d);
    d->top->final();
    delete d;
}

const struct dmt_out *out(void *self)
{
    return &static_cast<rtl *>(self)->out;
}

void edge(void *self, const struct dmt_in *in, bool rst)
{
    rtl *d = static_cast<rtl *>(self);
    DUT_PREFIX *top = d->top.get();

#define PIN_IN(name, widest) top->name##_i = in->name & mask(width(#name, widest));
#define PIN_OUT(name, widest)
#include "dmt/pins.def"
    top->rst_i = rst;
    if (d->fst) {
        /* The inputs of a cycle change with its rising edge in the waves. */
        top->eval();
        d->fst->dump(d->now * 10);
    }
    top->clk_i = 0;
    top->eval();
    if (d->fst)
        d->fst->dump(d->now * 10 + 5);
    top->clk_i = 1;
    top->eval();
    d->now++;
#define PIN_IN(name, widest)
#define PIN_OUT(name, widest) d->out.name = top->name##_o;
#include "dmt/pins.def"
}

bool trace_open(void *self, const char *path)
{
    rtl *d = static_cast<rtl *>(self);
    std::FILE *probe = std::fopen(path, "wb"); /* the FST writer cannot say why it failed */

    if (!probe)
        return false;
    std::fclose(probe);
    trace_close(d);
    d->fst.reset(new VerilatedFstC);
    d->top->trace(d->fst.get(), 99);
    d->fst->open(path);
    if (!d->fst->isOpen()) {
        d->fst.reset();
        return false;
    }
    return true;
}

} // namespace

extern "C" {
extern const struct dut_ops CAT(dut_rtl_, DUT_NAME);
const struct dut_ops CAT(dut_rtl_, DUT_NAME) = {
    "rtl-" STR(DUT_NAME), conf, create, destroy, out, edge, trace_open, trace_close,
};
}
