/* SPDX-License-Identifier: Apache-2.0
 * dmt import: other tools' files to memory, state and trace files. */
#include "cmd.h"

#include "areas.h"
#include "dmt/regs.h"
#include "dmt/table.h"
#include "inputs.h"
#include "io.h"
#include "space.h"
#include "trace.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    struct inputs in;
    const char *info, *maps;
    const char *out_memory, *out_state, *out_trace;
    uint64_t root, pid, cpu, registers, skip, tea_base;
    unsigned maxpa;
    bool all, build, has_root, gtea, nest;
    struct {
        const char *key, *value;
    } set[32]; /* keys of the state file */
    unsigned sets;
};

enum {
    O_INFO = 256,
    O_MAPS,
    O_PID,
    O_CPU,
    O_REGISTERS,
    O_OUT_MEMORY,
    O_OUT_STATE,
    O_OUT_TRACE,
    O_ROOT,
    O_MAXPA,
    O_ALL,
    O_BUILD,
    O_RECORDS,
    O_SKIP,
    O_TEA_BASE,
    O_GTEA,
    O_NEST,
    O_SET,
    O_KEYS /* from here on: options that are keys of the state file, as in keys[] */
};

static const char *const keys[] = {"mode",          "s0.root",       "s0.format", "s0.levels",
                                   "s1.root",       "s1.format",     "s1.levels", "shadow.root",
                                   "shadow.format", "shadow.levels", "fallback"};

static const struct argp_option option_list[] = {
    {0, 0, 0, 0, "What comes in:", 1},
    {"memory", 'm', "FILE", 0, "Frames, raw image or ELF core, zstd-compressed or not", 1},
    {"base", 'b', "ADDR", 0, "The memory file is a raw image that starts at this hex address", 1},
    {"records", O_RECORDS, 0, 0, "The memory file is bare records of a 64-bit frame number and 4096 bytes",
     1},
    {"state", 's', "FILE", 0, "A state file to start from", 1},
    {"info-registers", O_INFO, "FILE", 0, "Text of QEMU's monitor command \"info registers\"", 1},
    {"cpu", O_CPU, "N", 0, "Which processor of that text (default 0)", 1},
    {"root", O_ROOT, "ADDR", 0, "CR3 to use instead (hex)", 1},
    {"mode", O_KEYS, "MODE", 0,
     "What the tables are: native, virt, nested (default: the state file's; virt with --s0-root, nested with "
     "--s1-root)",
     1},
    {"s0-root", O_KEYS + 1, "ADDR", 0, "Root of the second-stage tables to host memory: EPTP or nCR3 (hex)",
     1},
    {"s0-format", O_KEYS + 2, "FORMAT", 0, "ept or npt", 1},
    {"s0-levels", O_KEYS + 3, "N", 0, "4 (default) or 5", 1},
    {"s1-root", O_KEYS + 4, "ADDR", 0, "Nested: root of the tables that the hypervisor in between made", 1},
    {"s1-format", O_KEYS + 5, "FORMAT", 0, "ept or npt", 1},
    {"s1-levels", O_KEYS + 6, "N", 0, "4 (default) or 5", 1},
    {"shadow-root", O_KEYS + 7, "ADDR", 0, "Nested: root of the host's shadow of both", 1},
    {"shadow-format", O_KEYS + 8, "FORMAT", 0, "ept or npt", 1},
    {"shadow-levels", O_KEYS + 9, "N", 0, "4 (default) or 5", 1},
    {"fallback", O_KEYS + 10, "WHAT", 0, "Nested: shadow (default) or full", 1},
    {"set", O_SET, "KEY=VALUE", 0, "Any other key of the state file; may be repeated", 1},
    {"maxphyaddr", O_MAXPA, "BITS", 0, "32 to 52 (default: the state file's, or 52)", 1},
    {"maps", O_MAPS, "FILE", 0, "/proc/PID/maps of the process", 1},
    {"pid", O_PID, "PID", 0, "The maps file has sections \"# pid PID\": use this one", 1},
    {"trace", 't', "FILE", 0, "Lackey, ChampSim or compact trace; - for standard input", 1},
    {0, 0, 0, 0, "What happens:", 2},
    {"registers", O_REGISTERS, "N", 0,
     "Lay leaf tables into TEAs, using at most N registers of each stage's set; areas are those of --maps, "
     "or "
     "what the tables map (always so for second stages)",
     2},
    {"gtea", O_GTEA, 0, 0, "TEAs of guests become gTEAs, with the table that names them", 2},
    {"nest", O_NEST, 0, 0, "Make nested of virt: an identity-mapped stage 1 in between, and its shadow", 2},
    {"tea-base", O_TEA_BASE, "PFN", 0, "First frame for TEAs, hex (default: above all frames in use)", 2},
    {"build", O_BUILD, 0, 0, "Build page tables for the pages that the trace touches inside the maps", 2},
    {"all-frames", O_ALL, 0, 0, "Write every frame, not only tables that the roots reach", 2},
    {"skip", O_SKIP, "N", 0, "Leave out the first N accesses of the trace", 2},
    {"limit", INPUT_LIMIT, "N", 0, "Take at most N accesses of the trace", 2},
    {0, 0, 0, 0, "What comes out (compressed when the name ends in .zst):", 3},
    {"out-memory", O_OUT_MEMORY, "FILE", 0, "Sparse frames file", 3},
    {"out-state", O_OUT_STATE, "FILE", 0, "State file", 3},
    {"out-trace", O_OUT_TRACE, "FILE", 0, "Compact trace", 3},
    {0}};

static void hex_option(const char *text, uint64_t max, const char *name, uint64_t *to, struct argp_state *a)
{
    if (!parse_hex(text, max, to)) {
        argp_error(a, "--%s: '%s' is not a hex number up to 0x%" PRIx64, name, text, max);
    }
}

static void check_options(const struct options *o, struct argp_state *a)
{
    if (o->out_memory == NULL && o->out_state == NULL && o->out_trace == NULL) {
        argp_error(a, "nothing to write: give --out-memory, --out-state or --out-trace");
    }
    if ((o->out_memory != NULL || o->registers > 0) && o->in.memory == NULL && !o->build) {
        argp_error(a, "--out-memory and --registers need --memory (or --build)");
    }
    if (o->build && o->maps == NULL) {
        argp_error(a, "--build needs --maps");
    }
    if (o->gtea && o->registers == 0) {
        argp_error(a, "--gtea belongs to --registers");
    }
    if (o->nest && (o->out_memory == NULL || o->out_state == NULL)) {
        argp_error(a, "--nest needs both --out-memory and --out-state: they belong together");
    }
    if ((o->out_trace != NULL || o->build) && o->in.trace == NULL) {
        argp_error(a, "--out-trace and --build need --trace");
    }
    if (o->build && o->in.memory != NULL) {
        argp_error(a, "--build makes a memory: leave out --memory");
    }
    if (o->in.state != NULL && o->info != NULL) {
        argp_error(a, "give --state or --info-registers, not both");
    }
    if (o->registers > 0 && (o->out_memory == NULL) != (o->out_state == NULL)) {
        argp_error(a, "--registers needs both --out-memory and --out-state: they belong together");
    }
}

static void set_key(struct options *o, const char *key, const char *value, struct argp_state *a)
{
    if (!state_key(key)) {
        argp_error(a, "--set: '%.40s' is not a key of state files", key);
    }
    if (o->sets == sizeof o->set / sizeof *o->set) {
        argp_error(a, "too many keys of the state file");
    }
    o->set[o->sets].key = key;
    o->set[o->sets++].value = value;
}

static error_t parse_option(int key, char *arg, struct argp_state *a)
{
    struct options *o = a->input;
    char *value;

    if (key >= O_KEYS && key < O_KEYS + (int)(sizeof keys / sizeof *keys)) {
        set_key(o, keys[key - O_KEYS], arg, a);
        return 0;
    }
    switch (key) {
    case O_RECORDS:
        o->in.how.records = true;
        break;
    case O_INFO:
        o->info = arg;
        break;
    case O_CPU:
        o->cpu = option_number(arg, 4095, "cpu", a);
        break;
    case O_ROOT:
        o->has_root = true;
        hex_option(arg, UINT64_MAX, "root", &o->root, a);
        break;
    case O_MAXPA:
        o->maxpa = (unsigned)option_number(arg, 52, "maxphyaddr", a);
        if (o->maxpa < 32) {
            argp_error(a, "--maxphyaddr: 32 to 52");
        }
        break;
    case O_MAPS:
        o->maps = arg;
        break;
    case O_PID:
        o->pid = option_number(arg, UINT32_MAX, "pid", a);
        break;
    case O_REGISTERS:
        o->registers = option_number(arg, DMT_TEA_MAX, "registers", a);
        if (o->registers == 0) {
            argp_error(a, "--registers: 1 to %u", DMT_TEA_MAX);
        }
        break;
    case O_TEA_BASE:
        hex_option(arg, (UINT64_C(1) << 40) - 1, "tea-base", &o->tea_base, a);
        break;
    case O_GTEA:
        o->gtea = true;
        break;
    case O_NEST:
        o->nest = true;
        break;
    case O_SET:
        value = strchr(arg, '=');
        if (value == NULL) {
            argp_error(a, "--set: '%.40s' is not key=value", arg);
        }
        *value++ = '\0';
        set_key(o, arg, value, a);
        break;
    case O_BUILD:
        o->build = true;
        break;
    case O_ALL:
        o->all = true;
        break;
    case O_SKIP:
        o->skip = option_number(arg, UINT64_MAX, "skip", a);
        break;
    case O_OUT_MEMORY:
        o->out_memory = arg;
        break;
    case O_OUT_STATE:
        o->out_state = arg;
        break;
    case O_OUT_TRACE:
        o->out_trace = arg;
        break;
    case ARGP_KEY_ARG:
        argp_error(a, "'%s' is not an option", arg);
        break;
    case ARGP_KEY_END:
        check_options(o, a);
        break;
    default:
        return inputs_option(&o->in, key, arg, a);
    }
    return 0;
}

static const struct argp argp = {
    option_list,
    parse_option,
    NULL,
    "Turn other tools' files into memory, state and trace files of dmt."
    "\vExamples:\n"
    "  a captured system (see sim/capture/system.sh):\n"
    "    dmt import -m core.zst --info-registers registers.txt \\\n"
    "        --out-memory memory.zst --out-state state\n"
    "  give its process 16 TEA registers:\n"
    "    dmt import -m memory.zst -s state --maps maps --registers 16 \\\n"
    "        --out-memory tea.zst --out-state tea.state\n"
    "  a guest with AMD nested paging; registers are the guest's own (see\n"
    "  sim/capture/nested.sh):\n"
    "    dmt import -m core.zst --info-registers registers.txt \\\n"
    "        --s0-root 1fa34000 --s0-format npt \\\n"
    "        --out-memory memory.zst --out-state state\n"
    "  TEA registers for it and its host, the guest's over gTEAs:\n"
    "    dmt import -m memory.zst -s state --registers 16 --gtea \\\n"
    "        --out-memory tea.zst --out-state tea.state\n"
    "  a Valgrind trace:\n"
    "    dmt import --trace lackey.zst --out-trace trace.zst\n"
    "  page tables for a trace of which only the maps are known:\n"
    "    dmt import --trace lackey.zst --maps maps --build --registers 16 \\\n"
    "        --out-memory m.zst --out-state state",
    NULL,
    NULL,
    NULL};

/* ---------------------------------------------------------------- registers */

static const char *const control[] = {"CR0=", "CR3=", "CR4=", "EFER="};

/* CR0, CR3, CR4 and EFER of one processor of "info registers". */
static bool read_info(const struct options *o, struct dmt_level *l)
{
    uint64_t *to[] = {&l->cr0, &l->cr3, &l->cr4, &l->efer};
    unsigned seen = 0;
    uint64_t cpu = 0;
    struct in *in = in_open(o->info);
    char *line;
    bool ok = true;

    if (in == NULL) {
        return false;
    }
    while (ok && (ok = in_line(in, &line)) && line != NULL) {
        unsigned long long n;
        if (sscanf(line, "CPU#%llu", &n) == 1) {
            cpu = n;
        }
        for (unsigned i = 0; cpu == o->cpu && ok && i < 4; i++) {
            const char *at = strstr(line, control[i]);
            char digits[20] = "";
            if (at != NULL) {
                sscanf(at + strlen(control[i]), "%17[0-9a-fA-F]", digits);
                if (!parse_hex(digits, UINT64_MAX, to[i])) {
                    in_say(in, "%s is not followed by a hex number", control[i]);
                    ok = false;
                }
                seen |= 1u << i;
            }
        }
    }
    for (unsigned i = 0; ok && i < 4; i++) {
        if ((seen & 1u << i) == 0) {
            say("%s: no %s of processor %" PRIu64 ": not the text of \"info registers\" of an x86-64 guest?",
                in_name(in), control[i], o->cpu);
            ok = false;
        }
    }
    in_close(in);
    return ok;
}

/* Keys given as options; a root of a second stage implies the mode. */
static const char *apply_keys(const struct options *o, struct full_state *s)
{
    bool mode = false, s0 = false, s1 = false;
    const char *bad = NULL;

    for (unsigned i = 0; i < o->sets; i++) {
        mode = mode || strcmp(o->set[i].key, "mode") == 0;
        s0 = s0 || strcmp(o->set[i].key, "s0.root") == 0;
        s1 = s1 || strcmp(o->set[i].key, "s1.root") == 0;
    }
    if (!mode && state_entry(&s->dmt) == 0 && (s0 || s1)) {
        bad = state_set(s, "mode", s1 ? "nested" : "virt");
    }
    for (unsigned i = 0; bad == NULL && i < o->sets; i++) {
        bad = state_set(s, o->set[i].key, o->set[i].value);
    }
    return bad;
}

static bool make_state(const struct options *o, const struct core_info *core, struct full_state *s)
{
    const char *bad;

    if (o->in.state != NULL) {
        if (!state_read(o->in.state, s)) {
            return false;
        }
    } else {
        state_default(s);
        if (o->info != NULL) {
            if (!read_info(o, &s->dmt.level[0])) {
                return false;
            }
        } else if (core->qemu) {
            s->dmt.level[0] = core->level;
            s->dmt.level[0].efer = DMT_LEVEL_EFER_NXE_MASK; /* not in the note; every x86-64 system sets it */
        } else if (o->has_root) {
            s->dmt.level[0].cr0 = DMT_LEVEL_CR0_WP_MASK;
            s->dmt.level[0].efer = DMT_LEVEL_EFER_NXE_MASK;
        } else if (!o->build) {
            say("no registers: give --state, --info-registers, --root, or a core with a QEMU note");
            return false;
        }
    }
    s->dmt.maxpa = o->maxpa != 0 ? (uint8_t)o->maxpa : s->dmt.maxpa;
    bad = apply_keys(o, s);
    if (bad == NULL && o->has_root) {
        s->dmt.level[state_entry(&s->dmt)].cr3 = o->root;
    }
    bad = bad == NULL ? state_check(s) : bad;
    if (bad != NULL) {
        say("%s", bad);
    }
    return bad == NULL;
}

/* ---------------------------------------------------------------- traces */

/* Page tables of a process that is only known by its areas and accesses. */
struct builder {
    struct dmt_table table;
    struct dmt_pool tables, pages; /* pages.mem is not used: what is mapped need not be present */
    const struct areas *areas;
    uint64_t mapped, outside;
};

static bool start_build(struct builder *b, struct dmt_mem *mem, const struct areas *areas,
                        struct full_state *s)
{
    *b = (struct builder){.areas = areas};
    b->tables = (struct dmt_pool){mem, 0x1000, 0x100000};
    b->pages.next = 0x100000; /* pages lie at 4 GiB and above, tables below */
    struct dmt_frames frames = {&b->tables, dmt_pool_alloc};
    if (!dmt_table_new(&b->table, mem, 4, &frames)) {
        say("out of memory");
        return false;
    }
    s->dmt.level[0] = (struct dmt_level){
        .cr0 = DMT_LEVEL_CR0_WP_MASK, .cr3 = b->table.root << 12, .efer = DMT_LEVEL_EFER_NXE_MASK};
    return true;
}

static bool build_page(struct builder *b, uint64_t vpn)
{
    const struct areas *a = b->areas;
    struct dmt_frames frames = {&b->tables, dmt_pool_alloc};
    size_t i = 0;

    while (i < a->n && (vpn < a->vma[i].vpn || vpn - a->vma[i].vpn >= a->vma[i].pages)) {
        i++;
    }
    if (i == a->n) {
        b->outside++;
        return true;
    }
    uint64_t flags = DMT_PTE_U | DMT_PTE_A | ((a->rights[i] & 1) != 0 ? DMT_PTE_W : 0) |
                     ((a->rights[i] & 4) != 0 ? 0 : DMT_PTE_XD);
    switch (dmt_table_map(&b->table, vpn << 12, b->pages.next << 12, DMT_SIZE_4K, flags, &frames)) {
    case DMT_MAP_OK:
        b->pages.next++;
        b->mapped++;
        return true;
    case DMT_MAP_TAKEN:
        return true;
    default:
        say("no room for more page tables");
        return false;
    }
}

static bool convert_trace(const struct options *o, struct builder *b)
{
    struct trace *t = trace_open(o->in.trace);
    struct trace_writer *w = NULL;
    struct access a;
    uint64_t n = 0, taken = 0, last[2] = {UINT64_MAX, UINT64_MAX};
    bool end = false, ok = t != NULL;

    if (ok && o->out_trace != NULL) {
        w = trace_create(o->out_trace);
        ok = w != NULL;
    }
    while (ok && !(o->in.limit != 0 && taken == o->in.limit) && (ok = trace_next(t, &a, &end)) && !end) {
        if (n++ < o->skip) {
            continue;
        }
        taken++;
        if (w != NULL) {
            trace_put(w, &a);
        }
        uint64_t vpn = a.va >> 12, vpn_end = (a.va + (a.size - 1u)) >> 12;
        if (b != NULL && (vpn != last[a.kind == DMT_ACCESS_EXECUTE] || vpn_end != vpn)) {
            ok = build_page(b, vpn) && (vpn_end == vpn || build_page(b, vpn_end));
            last[a.kind == DMT_ACCESS_EXECUTE] = vpn;
        }
    }
    if (ok) {
        printf("trace: %" PRIu64 " accesses (%s)\n", taken, trace_kind(t));
    }
    if (w != NULL && ok) {
        ok = trace_commit(w);
    } else if (w != NULL) {
        trace_discard(w);
    }
    if (t != NULL) {
        trace_close(t);
    }
    return ok;
}

/* ---------------------------------------------------------------- the command */

static bool write_memory(const struct options *o, const struct space *space)
{
    uint64_t *pfn;
    size_t n;

    if (o->all) {
        n = dmt_mem_count(space->mem);
        pfn = malloc((n + 1) * sizeof *pfn);
        if (pfn == NULL) {
            say("out of memory");
            return false;
        }
        dmt_mem_list(space->mem, pfn);
    } else {
        n = space_tables(space, &pfn);
    }
    bool ok = memory_write(o->out_memory, space->mem, pfn, n);
    if (ok) {
        printf("memory: %zu frames\n", n);
    }
    free(pfn);
    return ok;
}

static bool lay_out(const struct options *o, struct space *space, const struct areas *areas)
{
    struct dmt_tea_report report[DMT_SETS_MAX];
    unsigned entry = state_entry(space->state);
    struct space_layout how = {
        .areas = o->maps != NULL ? areas : NULL, .registers = (unsigned)o->registers, .gtea = o->gtea};

    if (entry == 0 && (o->maps == NULL || o->gtea)) {
        say(o->gtea ? "--gtea: mode native has no guest" : "--registers needs --maps in mode native");
        return false;
    }
    if (!space_layout(space, &how, report)) {
        return false;
    }
    for (unsigned k = entry + 1; k-- > 0;) {
        const struct dmt_tea_report *r = &report[k];
        printf("TEAs");
        if (entry > 0) {
            printf(" of stage %u", k);
        }
        printf(": %u registers, ", r->registers);
        if (k == entry && o->maps != NULL) {
            printf("%zu areas in ", areas->n);
        }
        printf("%zu clusters, %" PRIu64 " frames, %" PRIu64 " leaf tables moved, %" PRIu64 " of %" PRIu64
               " mapped pages covered\n",
               r->clusters, r->frames, r->tables, r->covered_pages, r->mapped_pages);
    }
    return true;
}

/* Memory and state: they come from one another. */
static bool write_tables(const struct options *o, struct full_state *s, struct dmt_mem *mem,
                         uint64_t host_base, const struct areas *areas)
{
    struct space space;

    state_resolve(&s->dmt, mem);
    if (!space_open(&space, &s->dmt, mem, host_base)) {
        return false;
    }
    if (o->nest) {
        if (s->dmt.mode != DMT_MODE_VIRT) {
            say("--nest: the system is not one of mode virt");
            return false;
        }
        if (!space_nest(&space)) {
            return false;
        }
    }
    return (o->registers == 0 || lay_out(o, &space, areas)) &&
           (o->out_memory == NULL || write_memory(o, &space));
}

static bool work(const struct options *o, struct dmt_mem *mem, const struct core_info *core,
                 const struct areas *areas)
{
    struct full_state s;
    struct builder b;
    bool whole = o->all && o->out_memory != NULL && o->out_state == NULL; /* needs no registers */

    state_default(&s);
    if ((o->out_state != NULL || o->out_memory != NULL) && !whole && !make_state(o, core, &s)) {
        return false;
    }
    if (o->build && state_entry(&s.dmt) > 0) {
        say("--build makes native tables: leave out --mode and second stages");
        return false;
    }
    if (o->build && !start_build(&b, mem, areas, &s)) {
        return false;
    }
    if (o->in.trace != NULL && !convert_trace(o, o->build ? &b : NULL)) {
        return false;
    }
    if (o->build) {
        printf("tables: %" PRIu64 " pages mapped, %" PRIu64 " touched outside the areas\n", b.mapped,
               b.outside);
    }
    if (whole) {
        return write_memory(o, &(struct space){.mem = mem});
    }
    if (mem != NULL && (o->out_memory != NULL || o->registers > 0)) {
        /* A TEA must not lie on a frame that the built tables map. */
        uint64_t base = o->tea_base != 0 || !o->build ? o->tea_base : (b.pages.next + 511) & ~UINT64_C(511);
        if (!write_tables(o, &s, mem, base, areas)) {
            return false;
        }
    }
    return o->out_state == NULL || state_write(o->out_state, &s.dmt, "written by dmt import");
}

int cmd_import(int argc, char **argv)
{
    struct options o = {0};
    struct areas areas = {0};
    struct core_info core = {0};
    struct dmt_mem *mem = NULL;
    bool ok = true;

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.in.memory != NULL) {
        mem = memory_read(o.in.memory, &o.in.how, &core);
        ok = mem != NULL;
    } else if (o.build) {
        mem = dmt_mem_new();
        ok = mem != NULL;
    }
    ok = ok && (o.maps == NULL || maps_read(o.maps, o.pid, &areas));
    ok = ok && work(&o, mem, &core, &areas);
    areas_free(&areas);
    dmt_mem_free(mem);
    return ok && fflush(stdout) == 0 ? EXIT_OK : EXIT_BAD_INPUT;
}
