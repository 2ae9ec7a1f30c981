/* SPDX-License-Identifier: Apache-2.0 */
#include "tb/waves.h"
#include "dmt/regs.h"
#include "gtkwave/fstapi.h"
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

std::vector<codes> tables()
{
    std::vector<codes> t;

#define ROW(member, value) text += hex(value, 1) + " " #member "\n";
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
const char *table_of(const std::string &leaf)
{
    static const struct { const char *tail, *table; } rule[] = {
        { "_status_o", "status" }, { "_status", "status" }, { "_access_i", "access" },
        { "_access_o", "access" }, { "_access", "access" }, { "_size_o", "size" },
        { "_path_o", "paths" },    { "_level_o", "level" }, { "_level", "level" },
        { "resp_i", "resp" },      { "resp_o", "resp" },    { "_rights_o", "rights" },
        { "_mode", "mode" },       { "_mode_o", "mode" },   { "_mode_i", "mode" },
    };

    if (ends(leaf, "arsize_o") || ends(leaf, "awsize_o"))
        return nullptr;
    for (const auto &r : rule) {
        if (ends(leaf, r.tail))
            return r.table;
    }
    return nullptr;
}

struct group {
    const char *title;
    std::vector<const char *> prefix;
};

const std::vector<group> rooms = {
    { "clock and reset", { "clk_i", "rst_i" } },
    { "request", { "req_" } },
    { "response", { "resp_" } },
    { "PTE port AR", { "m_ar" } },
    { "PTE port R", { "m_r" } },
    { "PTE port AW", { "m_aw" } },
    { "PTE port W", { "m_w" } },
    { "PTE port B", { "m_b" } },
    { "CSR port", { "s_" } },
    { "event", { "event_" } },
    { "walk trace: request", { "wt_req_" } },
    { "walk trace: read", { "wt_ref_" } },
    { "walk trace: A/D write", { "wt_upd_" } },
    { "walk trace: answer", { "wt_end_" } },
};

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

    void show(const signal &s)
    {
        const char *table = table_of(s.leaf);

        if (table)
            std::fprintf(f, "@%x\n^1 %s.%s.txt\n%s\n", TR_HEX | TR_RJUSTIFY | TR_FTRANSLATED, base.c_str(),
                         table,
                         s.path.c_str());
        else
            std::fprintf(f, "@%x\n%s\n", TR_HEX | TR_RJUSTIFY, s.path.c_str());
    }

  private:
    std::FILE *f;
    std::string base;
};

/* Signals by scope path, in the order of the file. */
bool read_hierarchy(const char *fst, std::vector<std::pair<std::string, std::vector<signal>>> &scopes)
{
    void *reader = fstReaderOpen(fst);
    std::vector<size_t> stack;
    std::string path;

    if (!reader)
        return false;
    while (struct fstHier *h = fstReaderIterateHier(reader)) {
        if (h->htyp == FST_HT_SCOPE) {
            std::string parent = stack.empty() ? "" : scopes[stack.back()].first + ".";

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
            scopes[stack.back()].second.push_back({ scopes[stack.back()].first + "." + shown, leaf });
        }
    }
    fstReaderClose(reader);
    return true;
}

std::string absolute(const char *path)
{
    char full[PATH_MAX];

    return realpath(path, full) ? full : path;
}

} // namespace

bool waves_view(const char *fst, const char *view_path, uint64_t marker, const char **error)
{
    std::vector<std::pair<std::string, std::vector<signal>>> scopes;
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
    if (marker != UINT64_MAX) {
        unsigned long long at = static_cast<unsigned long long>(marker) * WAVES_PERIOD;

        std::fprintf(f.get(), "[timestart] %llu\n*-7 %llu %llu", at > 400 ? at - 400 : 0, at, at);
        for (int i = 1; i < 26; i++)
            std::fputs(" -1", f.get());
        std::fputs("\n", f.get());
    }
    std::fputs("[size] 1500 950\n[pos] -1 -1\n[signals_width] 330\n[sst_width] 160\n[sst_expanded] 1\n",
               f.get());

    view v(f.get(), base);
    for (const auto &scope : scopes) {
        if (!ends(scope.first, ".dmt_mmu"))
            continue;
        for (const group &g : rooms) {
            v.open(g.title, false);
            for (const signal &s : scope.second) {
                for (const char *p : g.prefix) {
                    if (s.leaf.compare(0, std::strlen(p), p) == 0)
                        v.show(s);
                }
            }
            v.close(g.title, false);
        }
        for (const auto &inner : scopes) {
            if (inner.first.compare(0, scope.first.size() + 1, scope.first + ".") != 0)
                continue;
            std::string title = inner.first.substr(scope.first.size() + 1);
            v.open("inside: " + title, true);
            for (const signal &s : inner.second)
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
