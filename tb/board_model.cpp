// SPDX-License-Identifier: Apache-2.0
// One verilated board core behind the interface of board_model.h. Compiled once
// a configuration, with BOARD_NAME, BOARD_PREFIX and BOARD_DIVISOR defined.
#include "tb/board_model.h"

#include <memory>
#include <verilated.h>
#include <verilated_fst_c.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#include STRING(BOARD_PREFIX.h)

namespace {

class model final : public board_model {
  public:
    model(uint16_t version, uint32_t build)
    {
        context.threads(1);
        context.traceEverOn(true);
        top = std::make_unique<BOARD_PREFIX>(&context);
        top->version_i = version;
        top->build_i = build;
        top->rxd_i = 1;
        top->clk_i = 0;
        top->rst_i = 1;
        top->eval();
    }
    ~model() override
    {
        if (fst)
            fst->close();
        top->final();
    }
    bool clock(bool rst, bool rxd) override
    {
        top->rst_i = rst;
        top->rxd_i = rxd;
        top->clk_i = 1;
        top->eval();
        if (fst)
            fst->dump(time++);
        top->clk_i = 0;
        top->eval();
        if (fst)
            fst->dump(time++);
        return top->txd_o;
    }
    bool trace(const char *path) override
    {
        fst = std::make_unique<VerilatedFstC>();
        top->trace(fst.get(), 99);
        fst->open(path);
        return fst->isOpen();
    }

  private:
    VerilatedContext context;
    std::unique_ptr<BOARD_PREFIX> top;
    std::unique_ptr<VerilatedFstC> fst;
    uint64_t time = 0;
};

board_model *make(uint16_t version, uint32_t build)
{
    return new model(version, build);
}

} // namespace

const board_kind PASTE(board_, BOARD_NAME) = {STRING(BOARD_NAME), BOARD_DIVISOR, make};
