/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/waves.h"
#include "dmt/arch.h"
#include "dmt/regs.h"
#include "gtkwave/fstapi.h"
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

/* GTKWave trace flags (its analyzer.h). */
enum { TR_HEX = 0x2, TR_RJUSTIFY = 0x20, TR_BLANK = 0x200, TR_FTRANSLATED = 0x2000, TR_GRP_BEGIN = 0x800000,
       TR_GRP_END = 0x1000000, TR_CLOSED = 0x400000 };

struct signal {
    std::string path, leaf; /* with its range; without */
    fstHandle handle;
};

/* A table of codes as GTKWave wants it: the value in hex as the trace prints
 * it, a space, the text. */
struct codes {
    const char *file;
    std::string text;
};

std::string hex(unsigned value, unsigned digits)
{
    char text[16];

    std::snprintf(text, sizeof(text), "%0*X", static_cast<int>(digits), value);
    return text;
}

/* A background that GTKWave gives to a value. */
const char *paint(const std::string &word)
{
    static const struct { const char *word, *color; } by[] = {
        { "RETRY", "?DarkOrange3?" },  { "GP", "?red4?" },            { "PF", "?red4?" },
        { "BUS", "?red4?" },           { "GTEA", "?red4?" },          { "NPT_FAULT", "?red4?" },
        { "EPT_VIOLATION", "?red4?" }, { "EPT_MISCONFIG", "?red4?" },
    };

    for (const auto &b : by) {
        if (word == b.word)
            return b.color;
    }
    return "";
}

std::vector<codes> tables()
{
    std::vector<codes> t;

/* An outcome that is not OK has its colour; OK has none, as it is also what idle pins say. */
#define ROW(member, value) text += hex(value, 1) + " " + paint(#member) + #member "\n";
#define TABLE(name, LIST) { std::string text; LIST(ROW) t.push_back({ name, text }); }
    TABLE("status", DMT_STATUS_LIST)
    TABLE("access", DMT_ACCESS_LIST)
    TABLE("size", DMT_SIZE_LIST)
    TABLE("mode", DMT_MODE_LIST)
    TABLE("path", DMT_PATH_LIST)
#undef TABLE
#undef ROW
    /* Three stages of two bits. */
    std::string all;
    const char *const name[] = { "-", "TEA", "RADIX", "RESTART" };
    for (unsigned v = 0; v < 64; v++)
        all += hex(v, 2) + " " + name[v >> 4] + "/" + name[v >> 2 & 3] + "/" + name[v & 3] + "\n";
    t.push_back({ "paths", all });
    t.push_back({ "level", "0 -\n1 PTE\n2 PDE\n3 PDPTE\n4 PML4E\n5 PML5E\n" });
    t.push_back({ "stage", "0 s0 host\n1 s1 guest\n2 s2 guest's guest\n" });
    /* rtl/dmt_walk.vh */
    t.push_back({ "frame", "0 V entering\n1 S0\n2 S1\n3 FINAL\n" });
    t.push_back({ "resp", "0 OKAY\n1 EXOKAY\n2 SLVERR\n3 DECERR\n" });
    std::string rights;
    for (unsigned v = 0; v < 16; v++)
        rights += hex(v, 1) + (v & 8 ? " NR" : " ") + (v & 4 ? "X" : "-") + (v & 2 ? "U" : "-") +
                  (v & 1 ? "W" : "-") + "\n";
    t.push_back({ "rights", rights });
    return t;
}

bool ends(const std::string &s, const char *tail)
{
    size_t n = std::strlen(tail);

    return s.size() >= n && s.compare(s.size() - n, n, tail) == 0;
}

/* Which table explains a signal, by the name that pins and registers share. */
const char *table_of(const signal &s)
{
    const std::string &leaf = s.leaf;
    static const struct { const char *tail, *table; } rule[] = {
        { "_status_o", "status" }, { "_status", "status" }, { "_access_i", "access" },
        { "_access_o", "access" }, { "_access", "access" }, { "_size_o", "size" },
        { "_path_o", "paths" },    { "_level_o", "level" }, { "_level", "level" },
        { "resp_i", "resp" },      { "resp_o", "resp" },    { "_rights_o", "rights" },
        { "_mode", "mode" },       { "mode_o", "mode" },    { "mode_i", "mode" },
        { "_stage_o", "stage" },   { "frame", "frame" },    { "frame_i", "frame" },
        { "frame_o", "frame" },    { "_owner", "frame" },   { "_owner_o", "frame" },
    };

    if (ends(leaf, "arsize_o") || ends(leaf, "awsize_o"))
        return nullptr;
    for (const auto &r : rule) {
        /* Page frames have the same names as the frames of a walk, but more bits. */
        if (ends(leaf, r.tail) && (std::strcmp(r.table, "frame") != 0 || ends(s.path, "[1:0]")))
            return r.table;
    }
    return nullptr;
}

/* GTKWave's colours of traces. */
enum colour { NORMAL, RED, ORANGE, YELLOW, GREEN, BLUE, INDIGO, VIOLET };

/* Pins of one port: what one looks at, and whatever else begins so, folded. */
struct group {
    const char *title;
    colour paint;
    std::vector<const char *> shown;
    std::vector<const char *> prefix;
};

const std::vector<group> rooms = {
    { "clock", NORMAL, { "clk_i", "rst_i" }, {} },
    { "request", GREEN, { "req_valid_i", "req_ready_o", "req_va_i", "req_access_i", "req_tag_i" }, { "req_" } },
    { "response",
      GREEN,
      { "resp_valid_o", "resp_ready_i", "resp_status_o", "resp_pa_o", "resp_size_o", "resp_rights_o", "resp_tag_o" },
      { "resp_" } },
    { "PTE port: reads",
      YELLOW,
      { "m_arvalid_o", "m_arready_i", "m_arid_o", "m_araddr_o", "m_arlock_o", "m_rvalid_i", "m_rready_o", "m_rid_i",
        "m_rdata_i", "m_rresp_i" },
      { "m_ar", "m_r" } },
    { "PTE port: A/D writes",
      ORANGE,
      { "m_awvalid_o", "m_awready_i", "m_awaddr_o", "m_wvalid_o", "m_wready_i", "m_wdata_o", "m_bvalid_i", "m_bid_i",
        "m_bresp_i" },
      { "m_aw", "m_w", "m_b" } },
    { "CSR port",
      BLUE,
      { "s_awvalid_i", "s_awready_o", "s_awaddr_i", "s_wvalid_i", "s_wready_o", "s_wdata_i", "s_bvalid_o", "s_bresp_o",
        "event_o" },
      { "s_" } },
    { "walk trace port", INDIGO, {}, { "wt_" } },
};

/* Never change (docs/microarchitecture.md), so they are not worth a line. */
bool constant(const std::string &leaf)
{
    static const char *const names[] = { "m_arlen_o",  "m_arsize_o",  "m_arburst_o", "m_arcache_o", "m_arprot_o",
                                         "m_awlen_o",  "m_awsize_o",  "m_awburst_o", "m_awlock_o",  "m_awcache_o",
                                         "m_awprot_o", "m_wstrb_o",   "m_wlast_o",   "m_rlast_i",   "m_bready_o" };

    return std::find(std::begin(names), std::end(names), leaf) != std::end(names);
}

class view {
  public:
    view(std::FILE *file, std::string base) : f(file), base(std::move(base)) {}

    void open(const std::string &title, bool closed)
    {
        std::fprintf(f, "@%x\n-%s\n", TR_GRP_BEGIN | TR_BLANK | (closed ? TR_CLOSED : 0), title.c_str());
    }

    void close(const std::string &title, bool closed)
    {
        std::fprintf(f, "@%x\n-%s\n", TR_GRP_END | TR_BLANK | (closed ? TR_CLOSED : 0), title.c_str());
    }

    void show(const signal &s, colour paint = NORMAL)
    {
        const char *table = table_of(s);

        if (paint != NORMAL)
            std::fprintf(f, "[color] %d\n", paint);
        if (table)
            std::fprintf(f, "@%x\n^1 %s.%s.txt\n%s\n", TR_HEX | TR_RJUSTIFY | TR_FTRANSLATED, base.c_str(),
                         table,
                         s.path.c_str());
        else
            std::fprintf(f, "@%x\n%s\n", TR_HEX | TR_RJUSTIFY, s.path.c_str());
    }

    /* A line of text. */
    void text(const std::string &path, colour paint)
    {
        std::fprintf(f, "[color] %d\n@%x\n%s\n", paint, TR_HEX, path.c_str());
    }

  private:
    std::FILE *f;
    std::string base;
};

struct scope {
    std::string path;
    std::vector<signal> signals;
};

/* Lines of text that this file adds to a waveform are in a scope of their own. */
const char *const LINES = "walks";

struct reader {
    void *fst;
    explicit reader(const char *path) : fst(fstReaderOpen(path)) {}
    ~reader()
    {
        if (fst)
            fstReaderClose(fst);
    }
    reader(const reader &) = delete;
    reader &operator=(const reader &) = delete;
};

/* Signals by scope path, in the order of the file. */
bool read_hierarchy(const char *fst, std::vector<scope> &scopes)
{
    reader r(fst);
    std::vector<size_t> stack;

    if (!r.fst)
        return false;
    while (struct fstHier *h = fstReaderIterateHier(r.fst)) {
        if (h->htyp == FST_HT_SCOPE) {
            std::string parent = stack.empty() ? "" : scopes[stack.back()].path + ".";

            scopes.push_back({ parent + h->u.scope.name, {} });
            stack.push_back(scopes.size() - 1);
        } else if (h->htyp == FST_HT_UPSCOPE) {
            if (!stack.empty())
                stack.pop_back();
        } else if (h->htyp == FST_HT_VAR && !stack.empty()) {
            std::string name = h->u.var.name, leaf = name.substr(0, name.find(' '));
            std::string shown = name;

            /* "x [3:0]" in the FST is x[3:0] in a view. */
            if (size_t space = shown.find(' '); space != std::string::npos)
                shown.erase(space, 1);
            leaf = leaf.substr(0, leaf.find('['));
            scopes[stack.back()].signals.push_back(
                { scopes[stack.back()].path + "." + shown, leaf, h->u.var.handle });
        }
    }
    return true;
}

const signal *find(const scope &s, const char *leaf)
{
    for (const signal &i : s.signals) {
        if (i.leaf == leaf)
            return &i;
    }
    return nullptr;
}

/* The blocks in a file, whatever their instances are called: the innermost scopes with its pins. */
std::vector<const scope *> blocks(const std::vector<scope> &scopes)
{
    std::vector<const scope *> found;

    for (const scope &s : scopes) {
        bool all = find(s, "clk_i") && find(s, "rst_i");

#define PIN_IN(name, width) all = all && find(s, #name "_i");
#define PIN_OUT(name, width) all = all && find(s, #name "_o");
#include "dmt/pins.def"
        if (!all)
            continue;
        if (!found.empty() && s.path.compare(0, found.back()->path.size() + 1, found.back()->path + ".") == 0)
            found.pop_back();
        found.push_back(&s);
    }
    return found;
}

/* ---------------------------------------------------------------- pins out of a waveform */

/* Where a pin's value goes. */
struct pin {
    fstHandle handle;
    void *at;
    size_t size;
};

struct sampler {
    struct dmt_out out;
    struct dmt_in in;
    uint64_t rst = 0, clk = 0;
    std::vector<pin> pins;
    std::map<fstHandle, size_t> by_handle;
    struct walklog *log = nullptr;
    struct waves_time *time = nullptr;
    std::vector<std::pair<size_t, uint64_t>> pending; /* changes of the time under way */
    uint64_t now = 0;
    uint64_t edges = 0, last_edge = 0, first_edge = 0;

    template <typename T> void add(const signal *s, T *at)
    {
        if (!s)
            return;
        by_handle[s->handle] = pins.size();
        pins.push_back({ s->handle, at, sizeof(T) });
    }

    void apply()
    {
        for (const auto &p : pending) {
            const pin &to = pins[p.first];

            switch (to.size) {
            case 1: *static_cast<uint8_t *>(to.at) = static_cast<uint8_t>(p.second); break;
            case 2: *static_cast<uint16_t *>(to.at) = static_cast<uint16_t>(p.second); break;
            case 4: *static_cast<uint32_t *>(to.at) = static_cast<uint32_t>(p.second); break;
            default: *static_cast<uint64_t *>(to.at) = p.second; break;
            }
        }
        pending.clear();
    }

    /* All changes of one time are known. */
    void settle()
    {
        uint64_t before = clk;
        struct dmt_out old_out = out;
        struct dmt_in old_in = in;
        uint64_t old_rst = rst;

        apply();
        if (before || !clk)
            return;
        /* A rising edge: what was there before it was the clock that ends with it. */
        if (edges == 1) {
            time->period = now - first_edge;
            time->phase = first_edge % time->period;
            walklog_free(log);
            if (!walklog_init(log, first_edge / time->period))
                std::abort();
        }
        if (edges == 0)
            first_edge = now;
        else
            walklog_clock(log, &old_out, &old_in, old_rst);
        edges++;
    }
};

uint64_t number_of(const unsigned char *text)
{
    uint64_t v = 0;

    for (; *text; text++)
        v = v << 1 | (*text == '1');
    return v;
}

void change(void *user, uint64_t time, fstHandle handle, const unsigned char *value)
{
    sampler *s = static_cast<sampler *>(user);
    auto found = s->by_handle.find(handle);

    if (time != s->now) {
        s->settle();
        s->now = time;
    }
    if (found != s->by_handle.end())
        s->pending.push_back({ found->second, number_of(value) });
}

void change_text(void *, uint64_t, fstHandle, const unsigned char *, uint32_t) {}

/* ---------------------------------------------------------------- lines of text */

struct entry {
    uint64_t clock;
    std::string text;
};

/* One line: what it says from which clock on. */
struct line {
    std::string name;
    colour paint;
    std::vector<entry> entries;

    void say(uint64_t from, const std::string &text) { entries.push_back({ from, text }); }
};

std::string two(unsigned n)
{
    return std::string(n < 10 ? "0" : "") + std::to_string(n);
}

const char *paint_outcome(const walklog_walk &w)
{
    const char *status = walklog_statuses[w.status & 15];

    return w.status == DMT_STATUS_OK ? "?DarkGreen?" : paint(status ? status : "");
}

const char *paint_reference(const walklog_ref &r)
{
    if (r.kind == WALKLOG_WRITE)
        return r.resp == DMT_RESP_EXOKAY ? "?DarkGreen?" : "?red3?";
    if (r.kind == WALKLOG_SURPLUS)
        return "?DarkOrange3?";
    return !r.number ? "?purple4?" : r.tea ? "?SteelBlue4?" : "?gray30?";
}

/* A line for each context and its reads, one for what takes no context, one for
 * register writes. What is said ends with the next thing said. */
std::vector<line> lines_of(const struct walklog *log)
{
    static const char *const rows[] = { "_reads", "_reads02", "_reads03", "_surplus", "_surplus02" };
    std::map<int, line> walks, reads[std::size(rows)];
    line writes{ "register_writes", BLUE, {} };
    std::vector<line> all;
    char text[256];
    uint64_t free_from = 0;

    for (size_t i = 0; i < log->walks; i++) {
        const walklog_walk &w = log->walk[i];
        line &l = walks[w.context];

        walklog_request(&w, text, sizeof(text));
        l.say(w.began == WALKLOG_NEVER ? 0 : w.began, text);
        if (w.ended == WALKLOG_NEVER)
            continue;
        walklog_outcome(&w, text, sizeof(text));
        l.say(w.ended + 1, std::string(w.reset ? "" : paint_outcome(w)) + text);
    }
    for (size_t i = 0; i < log->refs; i++) {
        const walklog_ref &r = log->ref[i];
        line &l = reads[r.kind == WALKLOG_SURPLUS ? 3 + r.lane % 2 : r.lane % 3][r.context];
        char address[64];

        walklog_reference(&r, text, sizeof(text));
        std::snprintf(address, sizeof(address), "  [%llx] %s %llx", static_cast<unsigned long long>(r.addr),
                      r.kind == WALKLOG_WRITE ? "=" : "->", static_cast<unsigned long long>(r.data));
        l.say(r.from, std::string(paint_reference(r)) + text + address);
        l.say(r.to + 1, "");
    }
    for (size_t i = 0; i < log->csrs; i++) {
        const walklog_csr &c = log->csr[i];
        char name[64];

        walklog_register(c.addr, name, sizeof(name));
        std::snprintf(text, sizeof(text), "%s = %llx", name, static_cast<unsigned long long>(c.data));
        writes.say(std::max(c.from, free_from), text);
        if (c.answered == WALKLOG_NEVER)
            continue;
        if (c.answered > c.held + 1 && c.held >= free_from)
            writes.say(c.held, std::string("?DarkOrange3?waits: ") + text);
        writes.say(c.answered, c.resp == DMT_RESP_OKAY ? std::string("?DarkGreen?OKAY: ") + text
                                                       : std::string("?red4?SLVERR: ") + text);
        writes.say(c.answered + 1, "");
        free_from = c.answered + 1;
    }
    for (auto &w : walks) {
        w.second.name = w.first < 0 ? "no_context" : "context" + two(static_cast<unsigned>(w.first)) + "_walk";
        w.second.paint = GREEN;
        all.push_back(w.second);
        for (size_t i = 0; i < std::size(rows); i++) {
            auto found = reads[i].find(w.first);

            if (w.first < 0 || found == reads[i].end())
                continue;
            found->second.name = "context" + two(static_cast<unsigned>(w.first)) + rows[i];
            found->second.paint = YELLOW;
            all.push_back(found->second);
        }
    }
    if (!writes.entries.empty())
        all.push_back(writes);
    for (line &l : all) {
        std::vector<entry> kept;

        std::stable_sort(l.entries.begin(), l.entries.end(),
                         [](const entry &a, const entry &b) { return a.clock < b.clock; });
        for (entry &e : l.entries) { /* of one clock the last thing said counts */
            if (!kept.empty() && kept.back().clock == e.clock)
                kept.pop_back();
            kept.push_back(std::move(e));
        }
        l.entries = std::move(kept);
    }
    return all;
}

/* ---------------------------------------------------------------- a waveform with them */

struct copier {
    void *to;
    std::map<fstHandle, fstHandle> handle;
    struct said {
        uint64_t time;
        fstHandle handle;
        const std::string *text;
    };
    std::vector<said> texts; /* by time */
    size_t next = 0;
    bool begun = false;
    uint64_t now = 0;

    void advance(uint64_t time)
    {
        if (!begun || time != now)
            fstWriterEmitTimeChange(to, time);
        begun = true;
        now = time;
    }

    /* Texts up to this time. */
    void speak(uint64_t until)
    {
        for (; next < texts.size() && texts[next].time <= until; next++) {
            const said &s = texts[next];

            advance(std::max(s.time, now));
            fstWriterEmitVariableLengthValueChange(to, s.handle, s.text->data(),
                                                   static_cast<uint32_t>(s.text->size()));
        }
    }
};

void copy_change(void *user, uint64_t time, fstHandle handle, const unsigned char *value)
{
    copier *c = static_cast<copier *>(user);
    auto to = c->handle.find(handle);

    if (to == c->handle.end())
        return;
    if (!c->begun)
        c->advance(time); /* nothing is said before the file's first time */
    c->speak(time);
    c->advance(time);
    fstWriterEmitValueChange(c->to, to->second, value);
}

void copy_change_text(void *user, uint64_t time, fstHandle handle, const unsigned char *value, uint32_t n)
{
    copier *c = static_cast<copier *>(user);
    auto to = c->handle.find(handle);

    if (to == c->handle.end())
        return;
    c->speak(time);
    c->advance(time);
    fstWriterEmitVariableLengthValueChange(c->to, to->second, value, n);
}

/* Scopes and signals, without the lines of an earlier time. */
void copy_hierarchy(void *from, void *to, std::map<fstHandle, fstHandle> &handles)
{
    unsigned depth = 0;
    bool skip = false;

    while (struct fstHier *h = fstReaderIterateHier(from)) {
        if (h->htyp == FST_HT_SCOPE) {
            skip = skip || (depth == 0 && std::strcmp(h->u.scope.name, LINES) == 0);
            depth++;
            if (!skip)
                fstWriterSetScope(to, static_cast<fstScopeType>(h->u.scope.typ), h->u.scope.name,
                                  h->u.scope.component);
        } else if (h->htyp == FST_HT_UPSCOPE) {
            depth--;
            if (!skip)
                fstWriterSetUpscope(to);
            skip = skip && depth > 0;
        } else if (h->htyp == FST_HT_ATTRBEGIN && !skip) {
            fstWriterSetAttrBegin(to, static_cast<fstAttrType>(h->u.attr.typ), h->u.attr.subtype, h->u.attr.name,
                                  h->u.attr.arg);
        } else if (h->htyp == FST_HT_ATTREND && !skip) {
            fstWriterSetAttrEnd(to);
        } else if (h->htyp == FST_HT_VAR && !skip) {
            fstHandle alias = h->u.var.is_alias ? handles[h->u.var.handle] : 0;
            fstHandle made = fstWriterCreateVar(to, static_cast<fstVarType>(h->u.var.typ),
                                                static_cast<fstVarDir>(h->u.var.direction), h->u.var.length,
                                                h->u.var.name, alias);

            if (!h->u.var.is_alias)
                handles[h->u.var.handle] = made;
        }
    }
}

std::string absolute(const char *path)
{
    char full[PATH_MAX];

    return realpath(path, full) ? full : path;
}

/* What one looks at. */
void show_room(view &v, const scope &block, const group &g)
{
    if (g.shown.empty())
        return;
    v.open(g.title, false);
    for (const char *name : g.shown) {
        if (const signal *s = find(block, name))
            v.show(*s, g.paint);
    }
    v.close(g.title, false);
}

/* What the block is at: requests in front, contexts in use, registers waiting or being
 * loaded. A name that is not in the file is left out. */
void show_state(view &v, const std::vector<scope> &scopes, const scope &block)
{
    static const struct { const char *room, *leaf; } state[] = {
        { ".u_front", "mode_i" },   { ".u_front", "skid_valid_q" }, { ".u_contexts", "busy_q" },
        { ".u_csr", "drain_o" },    { ".u_csr", "idle_i" },         { ".u_loader", "busy_o" },
    };

    v.open("state", false);
    for (const auto &wanted : state) {
        for (const scope &s : scopes) {
            const signal *found = find(s, wanted.leaf);

            if (found && ends(s.path, wanted.room) && s.path.compare(0, block.path.size(), block.path) == 0)
                v.show(*found, VIOLET);
        }
    }
    v.close("state", false);
}

/* Whatever else is at that port. */
void show_rest(view &v, const scope &block, const group &g)
{
    std::string more = g.shown.empty() ? g.title : std::string(g.title) + ", the rest";
    bool any = false;

    for (const signal &s : block.signals) {
        bool pin = ends(s.leaf, "_i") || ends(s.leaf, "_o"), wanted = false;

        for (const char *p : g.prefix)
            wanted = wanted || s.leaf.compare(0, std::strlen(p), p) == 0;
        if (!pin || !wanted || constant(s.leaf) ||
            std::find(g.shown.begin(), g.shown.end(), s.leaf) != g.shown.end())
            continue;
        if (!any)
            v.open(more, true);
        any = true;
        v.show(s, g.paint);
    }
    if (any)
        v.close(more, true);
}

/* Where a view begins and how wide it is: around the marker, or all of a short file. */
void write_place(std::FILE *f, const char *fst, uint64_t marker)
{
    reader r(fst);
    uint64_t first = fstReaderGetStartTime(r.fst), last = fstReaderGetEndTime(r.fst);
    uint64_t span = std::max<uint64_t>(last - first, 1), at = marker * WAVES_PERIOD, shown = 60 * WAVES_PERIOD;

    /* GTKWave: 200 pixels show 2^-zoom units of time. */
    if (marker != UINT64_MAX)
        first = at > shown / 2 ? std::max(first, at - shown / 2) : first;
    else
        shown = std::min(span, shown);
    std::fprintf(f, "[timestart] %llu\n*%f %lld", static_cast<unsigned long long>(first),
                 -std::log2(200.0 * static_cast<double>(shown) / 850.0),
                 marker == UINT64_MAX ? -1 : static_cast<long long>(at));
    if (marker != UINT64_MAX)
        std::fprintf(f, " %lld", static_cast<long long>(at));
    for (int i = marker != UINT64_MAX; i < 26; i++)
        std::fputs(" -1", f);
    std::fputs("\n", f);
}

} // namespace

bool waves_log(const char *fst, struct walklog *log, struct waves_time *time, const char **error)
{
    std::vector<scope> scopes;
    std::vector<const scope *> found;
    reader r(fst);
    sampler s;

    if (!r.fst || !read_hierarchy(fst, scopes)) {
        *error = "cannot be read as an FST";
        return false;
    }
    found = blocks(scopes);
    if (found.empty()) {
        *error = "no dmt_mmu in it: expected a scope with all its pins";
        return false;
    }
    std::memset(&s.out, 0, sizeof(s.out));
    std::memset(&s.in, 0, sizeof(s.in));
    *time = { WAVES_PERIOD, 0 };
    s.log = log;
    s.time = time;
    s.add(find(*found[0], "clk_i"), &s.clk);
    s.add(find(*found[0], "rst_i"), &s.rst);
#define PIN_IN(name, width) s.add(find(*found[0], #name "_i"), &s.in.name);
#define PIN_OUT(name, width) s.add(find(*found[0], #name "_o"), &s.out.name);
#include "dmt/pins.def"
    fstReaderClrFacProcessMaskAll(r.fst);
    for (const pin &p : s.pins)
        fstReaderSetFacProcessMask(r.fst, p.handle);
    s.now = fstReaderGetStartTime(r.fst);
    if (!fstReaderIterBlocks2(r.fst, change, change_text, &s, nullptr)) {
        *error = "damaged or empty: no values in it";
        return false;
    }
    s.settle();
    walklog_finish(log);
    if (log->failed) {
        *error = "out of memory";
        return false;
    }
    return true;
}

bool waves_annotate(const char *from, const char *to, const struct walklog *log, const struct waves_time *time,
                    const char **error)
{
    std::string part = std::string(to) + ".new";
    std::vector<line> lines = lines_of(log);
    const std::string nothing;
    reader r(from);
    copier c;

    if (!r.fst) {
        *error = "cannot be read as an FST";
        return false;
    }
    c.to = fstWriterCreate(part.c_str(), 1);
    if (!c.to) {
        *error = "cannot be written";
        return false;
    }
    fstWriterSetTimescale(c.to, fstReaderGetTimescale(r.fst));
    fstWriterSetTimezero(c.to, fstReaderGetTimezero(r.fst));
    fstWriterSetVersion(c.to, fstReaderGetVersionString(r.fst));
    fstWriterSetDate(c.to, fstReaderGetDateString(r.fst));
    fstWriterSetPackType(c.to, FST_WR_PT_LZ4);
    copy_hierarchy(r.fst, c.to, c.handle);
    fstWriterSetScope(c.to, FST_ST_VCD_MODULE, LINES, nullptr);
    for (const line &l : lines) {
        fstHandle h = fstWriterCreateVar(c.to, FST_VT_GEN_STRING, FST_VD_IMPLICIT, 0, l.name.c_str(), 0);

        c.texts.push_back({ 0, h, &nothing });
        for (const entry &e : l.entries)
            c.texts.push_back({ e.clock * time->period + time->phase, h, &e.text });
    }
    fstWriterSetUpscope(c.to);
    std::stable_sort(c.texts.begin(), c.texts.end(),
                     [](const copier::said &a, const copier::said &b) { return a.time < b.time; });
    fstReaderSetFacProcessMaskAll(r.fst);
    fstReaderIterBlocks2(r.fst, copy_change, copy_change_text, &c, nullptr);
    c.speak(fstReaderGetEndTime(r.fst));
    c.advance(fstReaderGetEndTime(r.fst));
    fstWriterClose(c.to);
    if (std::rename(part.c_str(), to) != 0) {
        std::remove(part.c_str());
        *error = "cannot be written";
        return false;
    }
    return true;
}

bool waves_view(const char *fst, const char *view_path, uint64_t marker, const char **error)
{
    std::vector<scope> scopes;
    std::string base;

    if (!read_hierarchy(fst, scopes)) {
        *error = "the waveform file cannot be read";
        return false;
    }
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> f(std::fopen(view_path, "w"), std::fclose);
    if (!f) {
        *error = "the view cannot be written";
        return false;
    }
    base = absolute(view_path);
    for (const codes &c : tables()) {
        std::string name = base + "." + c.file + ".txt";
        std::unique_ptr<std::FILE, int (*)(std::FILE *)> t(std::fopen(name.c_str(), "w"), std::fclose);

        if (!t || std::fputs(c.text.c_str(), t.get()) < 0) {
            *error = "a translation file cannot be written";
            return false;
        }
    }
    std::fprintf(f.get(), "[dumpfile] \"%s\"\n", absolute(fst).c_str());
    write_place(f.get(), fst, marker);
    std::fputs("[size] 1500 950\n[pos] -1 -1\n[signals_width] 250\n[sst_width] 40\n[sst_expanded] 0\n",
               f.get());

    view v(f.get(), base);
    for (const scope &lines : scopes) {
        if (lines.path != LINES)
            continue;
        v.open("walks", false);
        for (const signal &s : lines.signals)
            v.text(s.path, ends(s.leaf, "_walk") ? GREEN : s.leaf.find("_reads") != std::string::npos ? YELLOW : BLUE);
        v.close("walks", false);
    }
    for (const scope *block : blocks(scopes)) {
        for (const group &g : rooms)
            show_room(v, *block, g);
        show_state(v, scopes, *block);
        for (const group &g : rooms)
            show_rest(v, *block, g);
        for (const scope &inner : scopes) {
            if (inner.path.compare(0, block->path.size() + 1, block->path + ".") != 0)
                continue;
            std::string title = inner.path.substr(block->path.size() + 1);
            v.open("inside: " + title, true);
            for (const signal &s : inner.signals)
                v.show(s);
            v.close("inside: " + title, true);
        }
    }
    if (std::ferror(f.get())) {
        *error = "the view cannot be written";
        return false;
    }
    return true;
}
