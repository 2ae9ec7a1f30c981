/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "dmt/regs.h"
#include <inttypes.h>
#include <stdio.h>

static double mean(const uint64_t sum[4], const uint64_t n[4])
{
    uint64_t a = sum[0] + sum[1] + sum[2] + sum[3], b = n[0] + n[1] + n[2] + n[3];

    return b > 0 ? (double)a / (double)b : 0;
}

double report_references(const struct cosim_stats *s)
{
    return mean(s->path_refs, s->path);
}

double report_clocks(const struct cosim_stats *s)
{
    return mean(s->path_clocks, s->path);
}

static double covered(const uint64_t sum[4], const struct cosim_stats *s)
{
    return s->path[DMT_PATH_TEA] > 0 ? (double)sum[DMT_PATH_TEA] / (double)s->path[DMT_PATH_TEA] : 0;
}

double report_references_covered(const struct cosim_stats *s)
{
    return covered(s->path_refs, s);
}

double report_clocks_covered(const struct cosim_stats *s)
{
    return covered(s->path_clocks, s);
}

double report_coverage(const struct cosim_stats *s)
{
    return s->walks > 0 ? (double)s->path[DMT_PATH_TEA] / (double)s->walks : 0;
}

/* "562 of 562 translations of QEMU agree", or why there are none. */
static const char *oracle_text(const struct report_system *s, char buf[80])
{
    if (s->oracle == 0) {
        return "no translations of QEMU to compare with";
    }
    snprintf(buf, 80, "%" PRIu64 " of %" PRIu64 " translations of QEMU agree", s->oracle - s->oracle_bad,
             s->oracle);
    return buf;
}

static unsigned registers(const struct report_system *s)
{
    unsigned n = 0;

    for (unsigned k = 0; k < s->stages; k++) {
        n += s->tea[k].registers;
    }
    return n;
}

void report_table(const struct report_system *s, size_t n)
{
    uint64_t accesses = 0, walks = 0, divergences = 0;

    printf("\n%-8s %-11s %9s %9s | %7s %6s %7s | %6s %7s | %6s %7s | %6s %6s\n", "", "", "", "walks",
           "covered", "refs", "clocks", "refs", "clocks", "refs", "clocks", "clocks", "diver-");
    printf("%-8s %-11s %9s %9s | %7s %6s %7s | %6s %7s | %6s %7s | %6s %6s\n", "system", "mode", "accesses",
           "(misses)", "by TEA", "/walk", "covered", "/walk", "DMT all", "/walk", "x86", "saved", "gences");
    for (int i = 0; i < 118; i++) {
        putchar('-');
    }
    putchar('\n');
    for (size_t i = 0; i < n; i++) {
        const struct cosim_stats *d = &s[i].dmt.stats, *x = &s[i].x86.stats;
        printf("%-8s %-11s %9" PRIu64 " %9" PRIu64
               " | %6.2f%% %6.3f %7.2f | %6.3f %7.2f | %6.3f %7.2f | %5.1f%% %6" PRIu64 "\n",
               s[i].name, s[i].mode, s[i].tlb.accesses, s[i].tlb.walks, 100 * report_coverage(d),
               report_references_covered(d), report_clocks_covered(d), report_references(d), report_clocks(d),
               report_references(x), report_clocks(x),
               report_clocks(x) > 0 ? 100 * (1 - report_clocks(d) / report_clocks(x)) : 0,
               d->divergences + x->divergences);
        accesses += s[i].tlb.accesses;
        walks += d->walks + x->walks;
        divergences += d->divergences + x->divergences;
    }
    printf("\ncovered: walks that TEA registers completed in every stage; x86: registers cleared\n"
           "%" PRIu64 " accesses, %" PRIu64 " walks in lockstep, %" PRIu64 " divergences\n",
           accesses, walks, divergences);
    for (size_t i = 0; i < n; i++) {
        char buf[80];
        printf("%s, %s: %u TEA registers; %s; waves: %s\n", s[i].name, s[i].mode, registers(&s[i]),
               oracle_text(&s[i], buf), s[i].waves);
    }
}

/* ---------------------------------------------------------------- page */

#define BAR_W 420

/* Two bars a system: DMT and x86. */
static void plot(struct out *o, const char *title, const char *unit, const struct report_system *s, size_t n,
                 double (*value)(const struct cosim_stats *))
{
    double top = 0;
    unsigned height = (unsigned)n * 56 + 10;

    for (size_t i = 0; i < n; i++) {
        double d = value(&s[i].dmt.stats), x = value(&s[i].x86.stats);
        top = d > top ? d : top;
        top = x > top ? x : top;
    }
    out_printf(
        o, "<figure><figcaption>%s</figcaption><svg viewBox=\"0 0 640 %u\" role=\"img\" aria-label=\"%s\">\n",
        title, height, title);
    for (size_t i = 0; i < n; i++) {
        unsigned y = (unsigned)i * 56 + 6;
        double v[2] = {value(&s[i].dmt.stats), value(&s[i].x86.stats)};
        out_printf(o,
                   "<text x=\"76\" y=\"%u\" text-anchor=\"end\">%s</text><text x=\"76\" y=\"%u\" "
                   "text-anchor=\"end\">%s</text>\n",
                   y + 16, s[i].name, y + 34, s[i].mode);
        for (unsigned k = 0; k < 2; k++) {
            double w = top > 0 ? v[k] / top * BAR_W : 0;
            out_printf(o, "<rect class=\"%s\" x=\"86\" y=\"%u\" width=\"%.1f\" height=\"18\"/>",
                       k == 0 ? "d" : "x", y + 21 * k, w);
            out_printf(o, "<text x=\"%.1f\" y=\"%u\">%s %.2f %s</text>\n", 92 + w, y + 21 * k + 14,
                       k == 0 ? "DMT" : "x86", v[k], unit);
        }
    }
    out_printf(o, "</svg></figure>\n");
}

static void rows(struct out *o, const struct report_system *s, size_t n)
{
    out_printf(o,
               "<table><thead><tr><th>system</th><th>mode</th><th>accesses</th><th>L1 TLB hits</th>"
               "<th>L2 TLB hits</th><th>walks</th><th>covered by TEA</th><th>references a covered walk</th>"
               "<th>clocks</th><th>references a walk, DMT</th><th>x86</th>"
               "<th>clocks a walk, DMT</th><th>x86</th><th>divergences</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        const struct cosim_stats *d = &s[i].dmt.stats, *x = &s[i].x86.stats;
        out_printf(o,
                   "<tr><td>%s</td><td>%s</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64
                   "</td><td>%" PRIu64
                   "</td><td>%.2f %%</td><td>%.3f</td><td>%.2f</td><td>%.3f</td><td>%.3f</td>"
                   "<td>%.2f</td><td>%.2f</td><td>%" PRIu64 "</td></tr>\n",
                   s[i].name, s[i].mode, s[i].tlb.accesses, s[i].tlb.l1_hits, s[i].tlb.l2_hits,
                   s[i].tlb.walks, 100 * report_coverage(d), report_references_covered(d),
                   report_clocks_covered(d), report_references(d), report_references(x), report_clocks(d),
                   report_clocks(x), d->divergences + x->divergences);
    }
    out_printf(o, "</tbody></table>\n");
}

static void register_rows(struct out *o, const struct report_system *s, unsigned k)
{
    static const char *const size[] = {"4K", "2M", "1G"};
    const struct dmt_tea_report *r = &s->tea[k];

    out_printf(o, "<h3>%s, %s: TEA registers", s->name, s->mode);
    if (s->stages > 1) {
        out_printf(o, " of stage %u", k);
    }
    out_printf(o,
               "</h3><p>%zu clusters of areas, %" PRIu64 " leaf tables moved into %" PRIu64
               " frames, %" PRIu64 " of %" PRIu64
               " mapped pages covered.</p>\n<table><thead><tr><th>register</th>"
               "<th>from</th><th>to</th><th>page</th><th>TEA frames</th><th>allow</th></tr></thead><tbody>\n",
               r->clusters, r->tables, r->frames, r->covered_pages, r->mapped_pages);
    for (unsigned i = 0; i < r->registers; i++) {
        const struct dmt_tea *t = &s->state.tea[k][i];
        out_printf(o,
                   "<tr><td>%u</td><td>0x%" PRIx64 "</td><td>0x%" PRIx64 "</td><td>%s</td><td>0x%" PRIx64
                   "&hellip;</td><td>%s%s%s</td></tr>\n",
                   i, t->base_vpn << 12, (t->base_vpn + t->pages) << 12, size[t->sz],
                   t->kind == DMT_KIND_GTEA ? t->gtea_base + t->base_pfn : t->base_pfn,
                   (t->allow & 1) != 0 ? "w" : "", (t->allow & 2) != 0 ? "u" : "",
                   (t->allow & 4) != 0 ? "x" : "");
    }
    out_printf(o, "</tbody></table>\n");
}

bool report_html(const char *path, const struct report_system *s, size_t n, unsigned latency)
{
    struct out *o = out_open(path);

    if (o == NULL) {
        return false;
    }
    out_printf(
        o,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>OpenDMT: dmt run</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:82rem;margin:2rem auto;padding:0 1rem;"
        "color:#1b1f24}p{max-width:66rem}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem "
        ".6rem;"
        "border-bottom:1px solid #d5dae0;text-align:right}th:first-child,td:first-child{text-align:left}"
        "figure{margin:1.5rem 0}figcaption{font-weight:600}svg{width:100%%;max-width:44rem;"
        "font:13px system-ui,sans-serif}.d{fill:#1f77b4}.x{fill:#b9c2cc}</style></head><body>\n"
        "<h1>Direct memory translation of real accesses</h1>\n"
        "<p>RTL beside its cycle model on every pin and clock, each answer judged by the architectural "
        "model. Accesses of the trace go through a TLB of 64 (data) and 128 (code) entries and 1536 "
        "behind them; what misses is walked, once with TEA registers and once, on the same RTL, with the "
        "registers cleared. Memory answers after %u clocks; clocks are counted from the request to "
        "its answer, one request at a time. A system without a trace walks the addresses of its oracle in "
        "random order. Systems of mode nested are generated from a captured guest: a stage 1 that maps every "
        "address to itself lies between the guest and its nested table, whose shadow is walked where "
        "registers do not cover (nested-full: both tables).</p>\n",
        latency);
    rows(o, s, n);
    plot(o, "References a walk", "", s, n, report_references);
    plot(o, "Clocks a walk", "clocks", s, n, report_clocks);
    for (size_t i = 0; i < n; i++) {
        for (unsigned k = s[i].stages; k-- > 0;) {
            register_rows(o, &s[i], k);
        }
        char buf[80];
        out_printf(o, "<p>%s. Waves: <code>%s</code></p>\n", oracle_text(&s[i], buf), s[i].waves);
    }
    out_printf(o, "</body></html>\n");
    return out_commit(o);
}
