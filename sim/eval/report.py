#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The page of `dmt report`: data (JSON, from sim/eval/summary.c) on standard input, HTML on standard output.

Nothing is computed here but percentages of two numbers beside each other. Plots are Matplotlib's, as SVG inside the
page; their colours are the page's, so that they follow its light and dark dress."""
import html
import io
import json
import re
import sys

try:
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
except ImportError:
    sys.exit(3)  # which the command knows

ENV = {"native": "Native", "virt": "Virtualized", "nested": "Nested"}
PAGES = {"4k": "4K pages", "thp": "transparent huge pages"}
WORKLOAD = {"redis": "Redis", "memcached": "Memcached", "gups": "GUPS", "btree": "BTree", "canneal": "Canneal",
            "xsbench": "XSBench", "graph500": "Graph500"}
TITLE = {"fpt": "FPT", "ecpt": "ECPT", "asap": "ASAP", "agile": "Agile Paging", "dmt": "DMT", "pvdmt": "pvDMT"}

# Okabe and Ito's palette, told apart with every kind of colour vision: (light page, dark page). A design has its
# colour on the whole page; those beyond the list share the last one.
COLOURS = {"pvdmt": ("#d55e00", "#f0793a"), "dmt": ("#0072b2", "#3f9bd6"), "fpt": ("#009e73", "#22bb91"),
           "ecpt": ("#cc79a7", "#e19ac2"), "asap": ("#c58c00", "#e9b441"), "agile": ("#4aa3df", "#7cc4f2"),
           "hugegpt": ("#6f6a9e", "#a29dcb"), "shadow": ("#5d6570", "#9aa4b1"), "full": ("#8a6d55", "#c2a287"),
           "other": ("#a35d6a", "#d98a98")}
# Comparators first, so that DMT stands at the same place everywhere.
ORDER = ["full", "shadow", "hugegpt", "fpt", "ecpt", "agile", "asap"]
# Colours as Matplotlib is told them; the page has variables in their place.
INK, GRID, FAINT, PAPER = "#0a0a0a", "#0b0b0b", "#0c0c0c", "#0c0c0d"
SENTINEL = {name: "#0d0d%02x" % i for i, name in enumerate(COLOURS)}
GUEST = ["#0e0e%02x" % i for i in range(4)]
HOST = ["#0f0f%02x" % i for i in range(6)]

plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "dmt", "font.size": 8.5, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y", "grid.color": GRID, "grid.linewidth": 0.6,
    "axes.axisbelow": True, "xtick.major.size": 0, "ytick.major.size": 0, "axes.titlesize": 9,
    "axes.titleweight": "bold", "legend.frameon": False, "hatch.linewidth": 0.6,
})


def text(s):
    return html.escape(str(s))


def number(v, digits=3):
    return '<span class="none" title="no unit or no such number">&ndash;</span>' if v is None else f"{v:,.{digits}f}"


def whole(v):
    return f"{v:,}".replace(",", "&#8239;")


def percent(a, b):
    return None if a is None or not b else 100 * (a / b - 1)


def signed(v, digits=1):
    return number(None) if v is None else f"{v:+.{digits}f}&#8239;%".replace("-", "&minus;")


def heading(group):
    return f"{ENV[group['environment']]}, {PAGES[group['pages']]}"


def inside(title):
    """A heading in the middle of a sentence."""
    return title[0].lower() + title[1:]


def workload_name(w):
    return WORKLOAD.get(w, w)


def colour(design):
    return SENTINEL.get(design, SENTINEL["other"])


def anchor(workload, env, pages):
    return "u-" + re.sub(r"[^a-z0-9-]", "-", f"{workload}-{env}-{pages}".lower())


def table(head, rows, first="", caption=None, cls=""):
    """head: cells' HTML; rows: lists of cells' HTML, or (class, list). The first cell of each row names it."""
    out = [f'<div class="scroll"><table class="{cls}">']
    if caption:
        out.append(f"<caption>{caption}</caption>")
    out.append("<thead><tr>" + "".join(f'<th scope="col">{h}</th>' for h in [first] + head) + "</tr></thead><tbody>")
    for r in rows:
        c, cells = r if isinstance(r, tuple) else ("", r)
        out.append((f'<tr class="{c}">' if c else "<tr>") + f'<th scope="row">{cells[0]}</th>' +
                   "".join(f"<td>{x}</td>" for x in cells[1:]) + "</tr>")
    out.append("</tbody></table></div>")
    return "".join(out)


# ------------------------------------------------------------------------------------------------ plots

plots = 0


def page_colour(s):
    """Colours that Matplotlib was told, as the page's variables."""
    for name, c in SENTINEL.items():
        s = s.replace(c, f"var(--d-{name})")
    for i, c in enumerate(GUEST):
        s = s.replace(c, f"var(--g-{i})")
    for i, c in enumerate(HOST):
        s = s.replace(c, f"var(--h-{i})")
    return s.replace(INK, "var(--fg)").replace(GRID, "var(--grid)").replace(FAINT, "var(--faint)").replace(PAPER, "var(--card)")


def svg(figure, label, keys=()):
    """A figure as inline SVG: colours of the page, ids of its own, nothing that is fetched. keys: its legend, as
    (mark, colour, text) with a class of .key as mark; it is the page's, so that it wraps."""
    global plots
    plots += 1
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True)
    plt.close(figure)
    s = out.getvalue()
    s = s[s.index("<svg"):]
    s = re.sub(r"<metadata>.*?</metadata>", "", s, flags=re.S)
    s = re.sub(r' xmlns:(dc|cc|rdf)="[^"]*"', "", s)
    s = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>p{plots}-", s)
    s = page_colour(s)
    s = re.sub(r"<svg ([^>]*)>", lambda m: "<svg " + re.sub(r'(width|height)="[^"]*pt" ?', "", m.group(1)) +
               f' role="img" aria-label="{text(label)}">', s, count=1)
    legend = "".join(f'<li><i class="{mark}" style="--c:{page_colour(c)}"></i>{text(name)}</li>' for mark, c, name in keys)
    legend = f'<ul class="key">{legend}</ul>' if keys else ""
    return (f'<figure class="plot">{legend}<div class="scroll">{s}</div>'
            f"<figcaption>{text(label)}</figcaption></figure>")


def others(group):
    """Designs with speedups to show: simulated ones that are no baseline."""
    rank = {**{n: i for i, n in enumerate(ORDER)}, "dmt": 98, "pvdmt": 99}
    return sorted((d for d in group["designs"] if d["simulated"] and d["name"] != d["base"]),
                  key=lambda d: rank.get(d["name"], 50))


def grouped(data, group, own, label, form, ylabel, caption):
    """Ours as bars, the paper's beside each as paler ones; both stand on 1."""
    designs = others(group)
    names = [workload_name(w) for w in data["workloads"]] + ["geomean"]
    if not designs:
        return ""
    fig, ax = plt.subplots(figsize=(11.4, 3.3), layout="constrained")
    slot = min(0.86 / len(designs), 0.24)
    first = -slot * len(designs) / 2
    top, low = 1.05, 1.0
    for k, d in enumerate(designs):
        ours = d["values"][own] + [d["geomean"][own][0]]
        paper = d["values"][label] + [d["paper"].get(label, {}).get("geomean")]
        other = d["values"][form] + [d["paper"].get(form, {}).get("geomean")]
        c = colour(d["name"])
        for i, (v, p, q) in enumerate(zip(ours, paper, other)):
            x = i + (i == len(names) - 1) * 0.25 + first + k * slot
            if v is not None:
                ax.bar(x, v - 1, slot * 0.56, bottom=1, color=c, align="edge", linewidth=0)
                top, low = max(top, v), min(low, v)
            if p is not None:
                ax.bar(x + slot * 0.56, p - 1, slot * 0.32, bottom=1, color=c, alpha=0.32, align="edge", linewidth=0)
                top, low = max(top, p), min(low, p)
            if q is not None and q != p:
                ax.plot(x + slot * 0.72, q, marker="D", markersize=2.6, markerfacecolor="none", markeredgecolor=INK,
                        markeredgewidth=0.6, linestyle="none")
                top = max(top, q)
            if v is not None and i == len(names) - 1 and v > 0.6:
                ax.annotate(f"{v:.2f}", (x + slot * 0.28, max(v, 1)), (0, 2), textcoords="offset points", rotation=90,
                            ha="center", va="bottom", fontsize=6.5)
    for i in range(len(names) - 1):
        if all(d["values"][own][i] is None for d in designs):
            ax.text(i, 1 + 0.02 * (top - low), "no unit", ha="center", va="bottom", fontsize=7, color=FAINT)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set_xticks([i + (i == len(names) - 1) * 0.25 for i in range(len(names))], names)
    ax.set_xlim(-0.6, len(names) - 0.1)
    # A design that is several times slower would press all others together: its bars end at the plot's edge.
    far = [v for d in designs for v in d["values"][own] if v is not None and v < 0.6]
    low = max(low, 0.75) if far and top > 0.75 else low
    ax.set_ylim(low - 0.04 * (top - low), top + 0.1 * (top - low))
    for k, d in enumerate(designs):
        for i, v in enumerate(d["values"][own] + [d["geomean"][own][0]]):
            if v is not None and v < low:
                ax.annotate(f"{v:.2f}", (i + (i == len(names) - 1) * 0.25 + first + (k + 0.28) * slot, low), (0, 2), rotation=90,
                            textcoords="offset points", ha="center", va="bottom", fontsize=6.5, color=PAPER)
    ax.set_ylabel(ylabel)
    keys = [("box", colour(d["name"]), d["title"]) for d in designs] + [("pale", INK, "paper, as labelled")]
    if any(d["paper"].get(form) and d["paper"][form] != d["paper"].get(label) for d in designs):
        keys.append(("diamond", INK, "the paper's bar of this formula"))
    return svg(fig, caption, keys)


def headline_plot(data):
    """Paper, own and formula, a line each."""
    rows = [h for h in data["headlines"] if h["own"] is not None or h["published"] is not None]
    if not rows:
        return ""
    fig, ax = plt.subplots(figsize=(9.2, 0.42 * len(rows) + 1), layout="constrained")
    ax.grid(axis="x")
    ax.grid(visible=False, axis="y")
    for i, h in enumerate(reversed(rows)):
        known = [v for v in (h["paper"], h["own"], h["published"]) if v is not None]
        ax.plot([min(known), max(known)], [i, i], color=GRID, linewidth=3, solid_capstyle="round", zorder=1)
        ax.plot(h["paper"], i, marker="|", markersize=13, markeredgewidth=2, color=INK, zorder=2)
        if h["published"] is not None:
            ax.plot(h["published"], i, marker="D", markersize=6, markerfacecolor="none", markeredgewidth=1.3,
                    markeredgecolor=colour(h["design"]), zorder=3)
        if h["own"] is not None:
            ax.plot(h["own"], i, marker="o", markersize=7.5, color=colour(h["design"]), markeredgewidth=0, zorder=4)
    ax.axvline(1, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(rows)), [f"{TITLE[h['design']]}, {h['environment']} {h['pages'].upper() if h['pages'] == 'thp' else '4K'}"
                                     for h in reversed(rows)])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_xlabel("page-walk speedup, geometric mean")
    keys = [("bar", INK, "paper"), ("dot", INK, "simulated with its own state"),
            ("diamond", INK, "by the published formula on our walks")]
    return svg(fig, "Geometric means of page-walk speedup beside the paper's", keys)


def distributions(data, group):
    units = [u for u in data["units"] if u["environment"] == group["environment"] and u["pages"] == group["pages"]]
    if not units:
        return ""
    columns = 4
    rows = (len(units) + columns - 1) // columns
    fig, axes = plt.subplots(rows, columns, figsize=(11.4, 1.9 * rows + 0.5), sharey=True, layout="constrained",
                             squeeze=False)
    seen = {}
    for ax, u in zip(axes.flat, units):
        for d in u["designs"]:
            points = d["distribution"]
            step = max(1, len(points) // 60)  # a plot has no more pixels than that between its marks
            points = points[::step] + points[-1:]
            base = d["name"] == d["base"]
            ax.plot([max(p[0], 1) for p in points], [p[1] for p in points], drawstyle="steps-post",
                            color=INK if base else colour(d["name"]), linewidth=1.5 if base else 1.1,
                            linestyle="--" if base else "-")
            seen.setdefault(d["title"], ("dash" if base else "line", INK if base else colour(d["name"]), d["title"]))
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
        ax.grid(axis="both")
        ax.set_title(workload_name(u["workload"]), loc="left")
        ax.set_ylim(0, 1.02)
    for ax in axes.flat[len(units):]:
        ax.set_visible(False)
    fig.supxlabel("clocks of a walk", fontsize=8.5)
    fig.supylabel("walks that take no more", fontsize=8.5)
    return svg(fig, f"Walks by clocks: {inside(heading(group))}", seen.values())


def stacked(units, caption):
    """Where a two-dimensional walk's clocks go."""
    parts = []
    for g in range(4):
        parts.append((f"host walk of gL{4 - g}", HOST[g], range(5 * g, 5 * g + 4)))
        parts.append((f"gL{4 - g}", GUEST[g], range(5 * g + 4, 5 * g + 5)))
    parts.append(("data, hL4 to hL2", HOST[4], range(20, 23)))
    parts.append(("data, hL1", HOST[5], range(23, 24)))
    fig, ax = plt.subplots(figsize=(11.4, 0.42 * len(units) + 1.1), layout="constrained")
    ax.grid(axis="x")
    ax.grid(visible=False, axis="y")
    for y, (name, slots) in enumerate(reversed(units)):
        left = 0
        for _, c, which in parts:
            v = sum(slots[i] or 0 for i in which)
            ax.barh(y, v, 0.66, left=left, color=c, linewidth=0)
            left += v
        ax.annotate(f"{left:.0f}", (left, y), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    ax.set_yticks(range(len(units)), [n for n, _ in reversed(units)])
    ax.set_xlabel("mean clocks of a walk")
    return svg(fig, caption, [("box", c, n) for n, c, _ in parts])


def tornado(data, env, pages, design):
    rows = []
    for v in data["variants"]:
        for r in v["rows"]:
            change = percent(r["speedup"], r["speedup_reference"])
            if (r["environment"], r["pages"], r["design"]) == (env, pages, design) and change is not None:
                rows.append((change, v["name"], r["speedup"]))
    if not rows:
        return ""
    rows.sort(key=lambda r: abs(r[0]))
    fig, ax = plt.subplots(figsize=(11.4, 0.27 * len(rows) + 0.9), layout="constrained")
    ax.grid(axis="x")
    ax.grid(visible=False, axis="y")
    ax.barh(range(len(rows)), [r[0] for r in rows], 0.62, color=colour(design), linewidth=0)
    for y, r in enumerate(rows):
        ax.annotate(f"{r[2]:.3f}", (r[0], y), (3 if r[0] >= 0 else -3, 0), textcoords="offset points", va="center",
                    ha="left" if r[0] >= 0 else "right", fontsize=7)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(rows)), [r[1] for r in rows])
    ax.margins(x=0.14)
    ax.set_xlabel("change of the speedup's geometric mean, per cent")
    return svg(fig, f"What each variant does to {TITLE[design]}'s speedup ({ENV[env].lower()}, {PAGES[pages]})")


# ------------------------------------------------------------------------------------------------ sections

def made_by(data, what):
    return f'<p class="by">Made by <code>{text(data["command"])}</code> {what}</p>'


FROM_UNITS = 'of the units; each unit\'s own command is under <a href="#commands">commands</a>, one click on a workload\'s name away.'

PART = {
    "workloads": "the mean of the paper's bars of the workloads that were run, against its text's (rounded) mean of all seven",
    "walk": "the walks: our streams, page tables and baseline under the published arithmetic, against the paper's bars",
    "pages": "real huge pages, where the published arithmetic leaves out the last level of walks of 4K pages",
    "state": "the design simulated with its own registers, caches, lookups and parallel reads, against arithmetic",
    "fallback": "walks that a register did not serve in every stage",
}


def effect_of(data, name):
    v = next(v for v in data["variants"] if v["name"] == name)
    keys = [f"{k} {a} &rarr; {b}" for k, a, b, _ in v["machine"]]
    if v["fragment"][0] != v["fragment"][1]:
        keys.append(f"fragmentation {v['fragment'][0]} &rarr; {v['fragment'][1]} %")
    return ", ".join(keys) or "nothing else"


def place(h):
    return f"{TITLE[h['design']]}, {ENV[h['environment']].lower()}, {PAGES[h['pages']]}"


def cause(data, h):
    off = percent(h["own"], h["paper"])
    who = f"<b>{place(h)}</b>"
    out = [f"<li>{who}: {h['own']:.3f} is {abs(off):.1f}&#8239;% {'above' if off > 0 else 'below'} the paper's "
           f"{h['paper']:.2f}. Factors, which multiply to that:<ul>"]
    parts = [(n, v) for n, v in h["parts"] if v is not None and abs(v - 1) >= 0.0005]
    for name, v in sorted(parts, key=lambda p: -abs(p[1] - 1)):
        out.append(f"<li>{signed(100 * (v - 1))}: {PART[name]}</li>")
    missing = [n for n, v in h["parts"] if v is None]
    if missing:
        out.append(f"<li>not known, for want of units, or of a histogram of their radix walks: {text(', '.join(missing))}</li>")
    out.append("</ul>")
    toward = []
    for e in h["effects"]:
        change = percent(e["speedup"], e["reference"])
        if change is not None and abs(change) >= 0.5:
            toward.append(((change < 0) == (off > 0), abs(change), change, e))
    toward.sort(key=lambda t: (not t[0], -t[1]))
    if toward:
        out.append("Measured by changing the machine:<ul>")
        for near, _, change, e in toward[:6]:
            out.append(f"<li>{signed(change)} ({'towards' if near else 'away from'} the paper's) with <code>{text(e['variant'])}</code>: "
                       f"{effect_of(data, e['variant'])}{'' if e['workloads'] == h['workloads'] else ' (over %d workloads)' % e['workloads']}</li>")
        out.append("</ul>")
    return "".join(out) + "</li>"


def summary(data):
    rows = []
    for h in data["headlines"]:
        a, b = percent(h["own"], h["paper"]), percent(h["published"], h["paper"])
        mark = lambda v: f'<span class="{"ok" if v is not None and abs(v) <= 5 else "off"}">{signed(v)}</span>' if v is not None else number(None)
        same = dict(h["parts"])["workloads"]
        rows.append([place(h), f"{h['paper']:.2f}", number(h["paper"] * same) if same is not None else number(None),
                     number(h["own"]), mark(a), number(h["published"]), mark(b), number(h["formula"]),
                     f"{h['workloads']} of 7"])
    known = [h for h in data["headlines"] if h["own"] is not None]
    off = [h for h in known if abs(percent(h["own"], h["paper"])) > 5]
    unknown = [place(h) for h in data["headlines"] if h["own"] is None]
    out = ['<section id="summary"><h2>Summary</h2><p>Geometric means over the paper\'s workloads of page-walk speedup: mean '
           "clocks of a radix walk over mean clocks of the design's. <em>Own state</em>: the design has its own tables, "
           "registers, caches and traffic. <em>Formula</em>: the published evaluation's arithmetic on our radix walks, "
           "for huge pages as published (the last level of walks of 4K pages left out), and on walks of real huge pages. "
           "<em>Paper</em> is the mean in its text, <em>of these workloads</em> that of its bars of what was run here; "
           "differences are from the former.</p>"]
    out.append(headline_plot(data))
    out.append(table(["paper", "of these workloads", "own state", "difference", "formula", "difference", "formula, real huge pages", "workloads"],
                     rows, "speedup"))
    out.append("<h3>Where differences above 5&#8239;% come from</h3>")
    if off:
        out.append('<ul class="causes">' + "".join(cause(data, h) for h in off) + "</ul>")
    elif known:
        out.append("<p>No mean of own state differs by more than 5&#8239;% from the paper's.</p>")
    if unknown:
        out.append(f"<p>Own state is not known, for want of units in which design and baseline had walks: {'; '.join(unknown)}.</p>")
    scarce = [f"{u['workload']}, {ENV[u['environment']].lower()}, {'4K' if u['pages'] == '4k' else 'THP'} "
              f"({min(d['walks'] for d in u['designs'])})" for u in data["units"] if u["scarce"]]
    if scarce:
        out.append(f"<p>Of too few walks to have a part in means: {text('; '.join(scarce))}.</p>")
    out.append("<details><summary>Factors by workload</summary>" + factors(data) + "</details>")
    out.append(made_by(data, FROM_UNITS) + "</section>")
    return "".join(out)


def factors(data):
    """The same factors, workload by workload: each is one row of the section on speedups over another."""
    rows = []
    for h in data["headlines"]:
        g = next(g for g in data["groups"] if (g["environment"], g["pages"]) == (h["environment"], h["pages"]))
        d = next((d for d in g["designs"] if d["name"] == h["design"] and d["simulated"]), None)
        if d is None:
            continue
        v = d["values"]
        rows.append(("head", [f"<b>{TITLE[h['design']]}, {inside(heading(g))}</b>, own state over the paper's bar"] +
                     [signed(percent(a, b)) for a, b in zip(v["speedup"], v["paper_label"])]))
        for name, a, b in (("walks", "published", "paper_label"), ("pages", "formula", "published"),
                           ("state", "covered", "formula"), ("fallback", "speedup", "covered")):
            if name != "pages" or h["pages"] == "thp":
                rows.append([name] + [signed(percent(x, y)) for x, y in zip(v[a], v[b])])
    return table([text(workload_name(w)) for w in data["workloads"]], rows, "", cls="numbers")


def per_workload(data, group, d, keys):
    """Rows of numbers of a design: [(name, key, key of the paper's own mean)]."""
    rows = []
    for name, key in keys:
        values = d["values"][key]
        mean = d["paper"].get(key, {}).get("geomean") if key.startswith("paper") else d["geomean"][key][0]
        n = d["geomean"][key][1]
        if all(v is None for v in values):
            continue
        cells = [number(v) for v in values]
        note = "" if key.startswith("paper") or n in (0, 7) else f' <span class="none">of {n}</span>'
        rows.append((key, [name] + cells + [number(mean) + note]))
    return rows


def linked(data, group):
    have = {u["workload"] for u in data["units"] if u["environment"] == group["environment"] and u["pages"] == group["pages"]}
    return [f'<a href="#{anchor(w, group["environment"], group["pages"])}">{text(workload_name(w))}</a>' if w in have
            else f'<span class="none" title="no unit">{text(workload_name(w))}</span>' for w in data["workloads"]] + ["geomean"]


def paper_rows(d, app=False):
    a, b = ("paper_app_label", "paper_app_formula") if app else ("paper_label", "paper_formula")
    if d["paper"].get(a) == d["paper"].get(b):
        return [("the paper's bar", a)]
    return [("the paper's bar so labelled", a), ("the paper's bar of this formula", b)]


def speedups(data):
    out = ['<section id="speedups"><h2>Page-walk speedups</h2><p>Bars stand on 1, the radix walk of the environment '
           "(nested: over L0's shadow table). Paler bars are the paper's. Its bars of the comparators fit the published "
           "formulas only when their labels are exchanged; which of the two is right is not known, so both readings are "
           "shown: the paler bar by label, the diamond by formula. DMT and pvDMT are the same either way.</p>"]
    for g in data["groups"]:
        title = heading(g)
        out.append(f"<h3>{title}</h3>")
        if not others(g):
            out.append('<p class="none">No unit was run.</p>')
        out.append(grouped(data, g, "speedup", "paper_label", "paper_formula", "page-walk speedup",
                           f"Page-walk speedup: {inside(title)}"))
        rows = []
        for d in g["designs"]:
            if d["simulated"] and d["name"] == d["base"]:
                rows.append(("head", [f"<b>{text(d['title'])}</b>, clocks of a walk"] + [number(v, 1) for v in d["values"]["mean_walk"]] +
                             [number(d["geomean"]["mean_walk"][0], 1)]))
                continue
            if not d["simulated"] and all(v is None for v in d["values"]["formula"]):
                continue
            rows.append(("head", [f"<b>{text(d['title'] if d['simulated'] else TITLE.get(d['name'], d['name']))}</b>" +
                                  ("" if d["simulated"] else " (formula only)")] + [""] * (len(data["workloads"]) + 1)))
            keys = [("own state", "speedup"), ("served by registers", "covered"), ("formula", "formula"),
                    ("formula, as published", "published")] + paper_rows(d)
            if d["values"]["covered"] == d["values"]["speedup"]:
                keys.pop(1)
            if g["pages"] == "4k":
                keys = [k for k in keys if k[1] != "published"]
            rows += per_workload(data, g, d, keys)
        if rows:
            out.append(f"<details><summary>Numbers: {inside(title)}</summary>" + table(linked(data, g), rows, "", cls="numbers") + "</details>")
    over = table5(data)
    return "".join(out) + over + made_by(data, FROM_UNITS) + "</section>"


def table5(data):
    rows = []
    for p in data["paper"]["table5"]:
        g = next(g for g in data["groups"] if g["environment"] == p["environment"] and g["pages"] == p["pages"])
        mine = next((d for d in g["designs"] if d["name"] == ("dmt" if p["environment"] == "native" else "pvdmt")), None)
        cells = []
        for name in ("fpt", "ecpt", "agile", "asap"):
            d = next((d for d in g["designs"] if d["name"] == name), None)
            ours = None
            if d and mine and d["geomean"]["speedup"][0] and mine["geomean"]["speedup"][0] and \
                    d["geomean"]["speedup"][1] == mine["geomean"]["speedup"][1]:
                ours = mine["geomean"]["speedup"][0] / d["geomean"]["speedup"][0]
            cells += [number(ours, 2), number(p[name] or None, 2)]
        rows.append([f"{'DMT' if p['environment'] == 'native' else 'pvDMT'}, {ENV[p['environment']].lower()}, {PAGES[p['pages']]}"] + cells)
    return "<h3>Over each comparator (the paper's table 5, by its labels)</h3>" + table(
        [x for n in ("FPT", "ECPT", "Agile Paging", "ASAP") for x in (f"over {n}", "paper")], rows, "")


def latencies(data):
    out = ['<section id="latency"><h2>Clocks of a walk</h2><p>Distributions of single walks; the dashed line is the '
           "baseline.</p>"]
    for g in data["groups"]:
        title = heading(g)
        units = [u for u in data["units"] if u["environment"] == g["environment"] and u["pages"] == g["pages"]]
        if not units:
            continue
        rows = []
        for u in units:
            for d in u["designs"]:
                n = max(d["walks"], 1)
                levels = d["walk_levels"][2:]
                total = max(sum(levels), 1)
                rows.append([f'<a href="#{anchor(u["workload"], u["environment"], u["pages"])}">{text(workload_name(u["workload"]))}</a>',
                             text(d["title"]), whole(d["accesses"]), f"{whole(d['walks'])} ({100 * d['walks'] / max(d['accesses'], 1):.2g}&#8239;%)",
                             number(d["mean"], 1), whole(d["p50"]), whole(d["p99"]), number(d["refs"] / n if d["walks"] else None, 2),
                             number(d["reads"] / n if d["walks"] else None, 2),
                             f"{100 * d['fallbacks'] / n:.2f}&#8239;%"] +
                            [f"{100 * v / total:.1f}" for v in levels])
        out.append(f"<details><summary>{title}</summary>" + distributions(data, g) + table(
            ["design", "accesses", "walks", "mean", "median", "99th percentile", "references one after the other", "all reads",
             "fallback", "L1D %", "L2 %", "LLC %", "memory %"], rows, "workload", cls="numbers named") + "</details>")
    return "".join(out) + made_by(data, FROM_UNITS) + "</section>"


def heat(v, top):
    if v is None:
        return f"<td>{number(None)}</td>"
    return f'<td style="--heat:{min(100, 100 * v / top):.0f}%" class="heat">{v:.2f}</td>'


def grid(slots, title, top, native=False):
    """The figure's table of one walk; slots that no reference of a huge page fills are left empty."""
    out = [f'<div class="scroll"><table class="grid"><caption>{title}</caption>']
    if native:
        out.append("<thead><tr>" + "".join(f'<th scope="col">L{4 - i}</th>' for i in range(4)) + "</tr></thead><tbody><tr>")
        return "".join(out) + "".join(heat(v, top) for v in slots[:4]) + "</tr></tbody></table></div>"
    out.append('<thead><tr><th scope="col"></th>' + "".join(f'<th scope="col">hL{4 - i}</th>' for i in range(4)) +
               '<th scope="col">entry</th></tr></thead><tbody>')
    for r in range(5):
        out.append(f'<tr><th scope="row">{"gL%d" % (4 - r) if r < 4 else "data"}</th>' +
                   "".join(heat(v, top) for v in slots[5 * r:5 * r + (5 if r < 4 else 4)]) + ("" if r < 4 else "<td></td>") + "</tr>")
    return "".join(out) + "</tbody></table></div>"


def breakdown(data):
    out = ['<section id="references"><h2>Clocks of each reference</h2><p>Mean clocks of each of the 24 references of a '
           "radix walk under nested paging (zero: skipped, or not there because the page is huge), as the paper's figure 16 "
           "has them for Redis.</p>"]
    for pages in ("4k", "thp"):
        units = []
        for u in data["units"]:
            base = next((d for d in u["designs"] if d["name"] == d["base"] and "slots" in d), None)
            if base and u["environment"] == "virt" and u["pages"] == pages:
                units.append((u, base))
        paper = data["paper"]["redis"][pages]
        redis = next((b["slots"] for u, b in units if u["workload"] == "redis"), None)
        out.append(f"<h3>{PAGES[pages][0].upper() + PAGES[pages][1:]}</h3>")
        bars = [("Redis, paper", paper)] + [(workload_name(u["workload"]), b["slots"]) for u, b in units]
        out.append(stacked(bars, f"Where the clocks of a walk under nested paging go: {PAGES[pages]}"))
        top = max([130] + [v for u, b in units for v in b["slots"] if v is not None])
        out.append('<div class="grids">' + grid(paper, "Redis, the paper's figure 16" + ("a" if pages == "4k" else "b"), top))
        out.append(grid(redis, "Redis, ours", top) if redis else '<p class="none">Redis: no unit.</p>')
        out.append("</div>")
        if redis:
            rows = []
            for i, p in enumerate(paper):
                if p > 5:
                    name = f"data, hL{4 - i % 5}" if i >= 20 else f"gL{4 - i // 5}" + (f", hL{4 - i % 5}" if i % 5 < 4 else " entry")
                    off = percent(redis[i], p)
                    rows.append([name, number(p, 2), number(redis[i], 2),
                                 f'<span class="{"ok" if off is not None and abs(off) <= 25 else "off"}">{signed(off)}</span>'])
            out.append(table(["paper", "ours", "difference"], rows, "Redis, references above 5 clocks"))
        rest = [(u, b) for u, b in units if u["workload"] != "redis"]
        if rest:
            out.append("<details><summary>Tables of the other workloads</summary><div class=\"grids\">" + "".join(
                grid(b["slots"], text(workload_name(u["workload"])), top) for u, b in rest) + "</div></details>")
    for env in ("native", "nested"):
        more = []
        for u in data["units"]:
            base = next((d for d in u["designs"] if d["name"] == d["base"] and "slots" in d), None)
            if base and u["environment"] == env:
                top = max([1] + [v for v in base["slots"] if v is not None])
                more.append(grid(base["slots"], f"{text(workload_name(u['workload']))}, {'4K' if u['pages'] == '4k' else 'THP'}", top,
                                 env == "native"))
        if more:
            what = "Native" if env == "native" else "Nested, over L0's shadow table"
            out.append(f'<details><summary>{what}</summary><div class="grids">' + "".join(more) + "</div></details>")
    return "".join(out) + made_by(data, FROM_UNITS) + "</section>"


def sensitivity(data):
    out = ['<section id="sensitivity"><h2>Sensitivity</h2>']
    if not data["variants"]:
        return "".join(out) + '<p class="none">No variant was run: directories in the results\' directory are variants (make report).</p></section>'
    reference = next((v["reference"] for v in data["variants"] if v["name"] != "default"), "")
    out.append("<p>Each row is a machine that differs from the results' in the keys named. Numbers are geometric means over the "
               "workloads that both have, run over as many accesses; small ones are the change against "
               + ("the variant <code>" + text(reference) + "</code>" if reference else "the results")
               + " and, behind <i>run</i>, the speedup of whole runs, waits for a walker and exits included.</p>")
    for g in data["groups"]:
        env, pages = g["environment"], g["pages"]
        here = [(v, [r for r in v["rows"] if (r["environment"], r["pages"]) == (env, pages) and r["workloads"]])
                for v in data["variants"]]
        columns = {}
        for _, rows in here:
            for r in rows:
                columns.setdefault(r["design"], r["title"])
        if not columns:
            continue
        bases = {d["base"] for d in g["designs"]}
        table_rows = []
        before = {}
        for _, rows in here:
            for r in rows:
                before.setdefault(r["design"], r)
        table_rows.append([f"<code>{text(reference)}</code>" if reference else "the results"] +
                          [number(before[name]["mean_reference"], 1) if name in bases else number(before[name]["speedup_reference"])
                           + f"<br><small>run {number(before[name]['run_reference'])}</small>" for name in columns] + [""])
        for v, rows in here:
            by_name = {r["design"]: r for r in rows}
            cells = [f"<code>{text(v['name'])}</code><br><small>{effect_of(data, v['name'])}</small>"]
            for name in columns:
                r = by_name.get(name)
                if r is None:
                    cells.append(number(None))
                    continue
                base = name in bases
                now, then = (r["mean"], r["mean_reference"]) if base else (r["speedup"], r["speedup_reference"])
                run = "" if base else f", run {number(r['run'])}"
                cells.append(f"{number(now, 1 if base else 3)}<br><small>{signed(percent(now, then))}{run}</small>")
            if rows and v["name"] != reference:
                n = {r["workloads"] for r in rows}
                table_rows.append(cells + [" to ".join(str(x) for x in sorted({min(n), max(n)}))])
        out.append(f"<h3>{heading(g)}</h3>" + table(
            [f"{text(t)}{', clocks' if name in bases else ''}" for name, t in columns.items()] + ["workloads"], table_rows,
            "variant", cls="numbers"))
    for env, pages, design in (("native", "4k", "dmt"), ("virt", "4k", "pvdmt"), ("virt", "thp", "pvdmt")):
        out.append(tornado(data, env, pages, design))
    commands = "".join(f"<h4><code>{text(v['name'])}</code></h4><pre>" + "\n".join(text(c) for c in v["commands"]) + "</pre>"
                       for v in data["variants"])
    out.append(f"<details><summary>Commands of the variants</summary>{commands}</details>")
    return "".join(out) + made_by(data, "of the variants' units.") + "</section>"


def applications(data):
    out = ['<section id="applications"><h2>Application speedups</h2><p>The paper computes 1 / ((1 &minus; <i>f</i>) + <i>f</i> / <i>s</i>) '
           "from the walks' speedup <i>s</i> and the share <i>f</i> of time in walks that it measured on its machine; nested, times the run "
           "time under shadow paging over that under nested paging (its bar of GUPS fits only with the run time of nested "
           "virtualization there: \"other ratio\"). <em>Our share</em> has <i>f</i> from our runs: clocks in which the program waited "
           "for walks over all clocks. <em>Clocks</em> is the ratio of whole runs; they have no time but memory's, so it is an upper bound.</p>"]
    for g in data["groups"]:
        if not others(g):
            continue
        title = heading(g)
        out.append(f"<h3>{title}</h3>")
        if any(v is not None for d in others(g) for v in d["values"]["app"]):
            out.append(grouped(data, g, "app", "paper_app_label", "paper_app_formula", "application speedup",
                               f"Application speedup by the paper's shares of time: {inside(title)}"))
        rows = []
        f = data["paper"]["f"][g["environment"] + "." + g["pages"]]
        own = []
        for w in data["workloads"]:
            u = next((u for u in data["units"] if (u["workload"], u["environment"], u["pages"]) == (w, g["environment"], g["pages"])), None)
            base = next((d for d in u["designs"] if d["name"] == d["base"] and others(g)[0]["base"] == d["name"]), None) if u else None
            own.append(base["exposed_share"] if base else None)
        rows.append(("head", ["share of time in walks, paper"] + [number(v) for v in f] + [""]))
        rows.append(("head", ["share of time in walks, ours"] + [number(v) for v in own] + [""]))
        for d in others(g):
            rows.append(("head", [f"<b>{text(d['title'])}</b>"] + [""] * (len(data["workloads"]) + 1)))
            keys = [("the paper's share", "app")]
            if g["environment"] == "nested":
                keys.append(("the paper's share, other ratio", "app_nested"))
            rows += per_workload(data, g, d, keys + [("our share", "app_own"), ("clocks", "app_clocks")] + paper_rows(d, True))
        out.append(f"<details><summary>Numbers: {inside(title)}</summary>" + table(linked(data, g), rows, "", cls="numbers") + "</details>")
    return "".join(out) + made_by(data, FROM_UNITS) + "</section>"


def kind(s):
    names = [n for n, on in (("TEAs", s["tea"]), ("paravirtual", s["pv"]), ("2M backing", s["host_huge"]), ("real stages", s["full"])) if on]
    return ", ".join(names) or "no TEAs"


def spread(values, unit, digits=1):
    """Least and most of what is known."""
    values = [v for v in values if v is not None]
    if not values:
        return "not known"
    least, most = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return f"{least}&#8239;{unit}" if least == most else f"{least} to {most}&#8239;{unit}"


def os_summary(data):
    paper, rows = data["paper"], []
    for g in data["groups"]:
        env = list(ENV).index(g["environment"])
        units = [u for u in data["units"] if (u["environment"], u["pages"]) == (g["environment"], g["pages"])]
        if not units:
            continue
        cover, fall, frames, spent = [], [], [], []
        for u in units:
            without = next((s["tables"] + s["tea_frames"] for s in u["systems"] if not s["tea"]), None)
            for s in u["systems"]:
                if s["tea"]:
                    cover += [100 * c / a for c, a in zip(s["covered"], s["area_pages"]) if a]
                    frames.append(percent(s["tables"] + s["tea_frames"], without))
                if s["pv"]:
                    spent.append(s["hypercalls"] * paper["hypercall_us"][env] / 1e3 + s["tea_frames"] / 256 * paper["tea_mb_ms"][env])
            fall += [100 * d["fallbacks"] / d["walks"] for d in u["designs"] if u["systems"][d["system"]]["tea"] and d["walks"]]
        rows.append([heading(g), spread(cover, "%", 2), spread(fall, "%", 2), spread(frames, "%"), spread(spent, "ms", 0) if env else "&ndash;",
                     f"{paper['managing_ms'][env]:.0f}&#8239;ms"])
    return table(["pages that TEAs cover, a stage", "walks that fall back", "frames of tables more than without TEAs",
                  "pvDMT's hypercalls and TEAs, at the paper's cost of each", "paper: all management, Redis, fragmented"], rows,
                 "over all workloads")


def os_cost(data):
    out = ['<section id="os"><h2>What software does</h2><p>Sums over all levels of software, of set-up and run. Coverage: pages of '
           "areas that lie in a live TEA, by stage. Table frames are those outside TEAs; TEA frames hold leaf tables, but for <em>unused</em> ones. "
           f"For comparison, the paper has {data['paper']['tables_mb'][1]} MB of page tables against {data['paper']['tables_mb'][0]} MB (Redis), and "
           f"{data['paper']['hypercall_us'][1]} &micro;s a hypercall, {data['paper']['hypercall_us'][2]} &micro;s nested. Software is counted here, not timed: times "
           "are those costs, and the paper's of a MB more of TEAs, times what was counted over all levels; in nested virtualization a hypercall that "
           "a hypervisor hands on counts twice, so that it is at most that.</p>", os_summary(data)]
    for env in ENV:
        rows = []
        for u in data["units"]:
            if u["environment"] != env:
                continue
            for s in u["systems"]:
                cover = " / ".join(f"{100 * c / a:.2f}&#8239;%" for c, a in zip(s["covered"], s["area_pages"]) if a) if s["tea"] else "&ndash;"
                used = sum(s["registers"])
                rows.append([f'<a href="#{anchor(u["workload"], env, u["pages"])}">{text(workload_name(u["workload"]))}</a>', "4K" if u["pages"] == "4k" else "THP",
                             kind(s), whole(s["pages"]), cover, whole(used), whole(s["tables"]), whole(s["tea_frames"]),
                             whole(max(s["tea_frames"] - s["tea_used"], 0)), whole(s["faults"]), whole(s["violations"]), whole(s["exits"]), whole(s["hypercalls"]),
                             whole(s["csr_writes"]), whole(s["guest_stores"]), whole(s["moved_tables"]), whole(s["migrated"]),
                             whole(s["alloc_failed"]), number(s["fragmentation"])])
        if rows:
            out.append(f"<details><summary>{ENV[env]}</summary>" + table(
                ["pages", "system", "4K pages resident", "coverage by stage", "TEA registers", "table frames", "TEA frames", "unused", "faults",
                 "violations", "exits", "hypercalls", "register writes", "guests' stores to tables", "tables moved", "frames migrated",
                 "allocations failed", "unusable free space"], rows, "workload", cls="numbers") + "</details>")
    return "".join(out) + made_by(data, FROM_UNITS) + "</section>"


def rtl(data):
    rows, walks, bad = [], 0, 0
    for u in data["units"]:
        for d in u["designs"]:
            r = d["rtl"]
            if r["walks"]:
                walks += r["walks"]
                bad += r["mismatches"]
                rows.append([f'<a href="#{anchor(u["workload"], u["environment"], u["pages"])}">{text(workload_name(u["workload"]))}</a>',
                             text(d["title"]), ENV[u["environment"]].lower(), "4K" if u["pages"] == "4k" else "THP", whole(r["windows"]), whole(r["walks"]),
                             whole(r["references"]), whole(r["clocks_equal"]), whole(r["mismatches"])])
    head = '<section id="rtl"><h2>Agreement with the RTL</h2>'
    if not rows:
        return head + '<p class="none">No window was replayed into the RTL.</p></section>'
    verdict = (f'<p class="off"><b>{whole(bad)} of {whole(walks)} replayed walks differ.</b></p>' if bad else
               f"<p><b>All {whole(walks)} replayed walks are equal</b> in translated address, list of references and clocks. The RTL walked "
               "windows of the runs with the simulated caches as its memory.</p>")
    return head + verdict + "<details><summary>By unit</summary>" + table(
        ["design", "environment", "pages", "windows", "walks", "references", "equal clocks", "different"], rows, "workload", cls="numbers named") + \
        "</details>" + made_by(data, FROM_UNITS) + "</section>"


def speed(data):
    rows = []
    for u in data["units"]:
        done = u["warmup"] + u["measured"]
        rates = [f"{text(d['title'])} {done / d['seconds'] / 1e6:.2f}" for d in u["designs"] if d["seconds"]]
        rows.append([f'<a href="#{anchor(u["workload"], u["environment"], u["pages"])}">{text(workload_name(u["workload"]))}</a>', ENV[u["environment"]].lower(),
                     "4K" if u["pages"] == "4k" else "THP", whole(done), number(u["seconds"], 1), number(u["peak"] / 2 ** 30, 2), ", ".join(rates) or number(None)])
    total = sum(u["seconds"] for u in data["units"])
    return ('<section id="speed"><h2>Speed of the simulator</h2>'
            f"<p>The units took {total / 60:.1f} minutes of wall clock when run one after the other, on the computer that made these files.</p>"
            "<details><summary>By unit</summary>" + table(
                ["environment", "pages", "accesses", "seconds", "GiB at most", "million accesses a second of processor time"], rows, "workload", cls="numbers left-last") +
            "</details>" + made_by(data, FROM_UNITS) + "</section>")


def commands(data):
    out = ['<section id="commands"><h2>Commands</h2><p>Each of these makes one unit again; the result file differs in its lines that begin '
           "with <code>host_</code> only.</p><dl>"]
    for u in data["units"]:
        out.append(f'<dt id="{anchor(u["workload"], u["environment"], u["pages"])}">{text(workload_name(u["workload"]))}, {ENV[u["environment"]].lower()}, '
                   f'{PAGES[u["pages"]]} <small>(scale {u["scale"]:g}, {whole(u["warmup"])} accesses of warm-up, {whole(u["measured"])} measured, fragmentation '
                   f'{u["fragment"]}&#8239;%)</small></dt><dd><code>{text(u["command"])}</code><br><small>{text(u["file"])}</small>{counters(u)}</dd>')
    out.append("</dl><details><summary>The machine</summary>" + table(
        ["value", "default", "what"], [("changed" if v != d else "", [f"<code>{text(k)}</code>", str(v), str(d), text(w)])
                                       for k, d, v, w in data["machine"]], "key", cls="machine") + "</details></section>")
    return "".join(out)


def counters(u):
    rows = [[text(d["title"]), text(k), f"{v:,.6g}".replace(",", "&#8239;") if v is not None else number(None)]
            for d in u["designs"] for k, v in d["counters"].items()]
    return f"<details><summary>Designs' own counters</summary>{table(['counter', 'value'], rows, 'design', cls='machine')}</details>" if rows else ""


STYLE = """
:root{color-scheme:light dark;--bg:#fcfcfb;--card:#fff;--fg:#1c2024;--soft:#5c6570;--line:#dfe3e6;--grid:#e3e6e9;--faint:#8b939c;
--accent:#0b63a5;--ok:#0b7a4b;--off:#b3470a;--heat-c:#d55e00;LIGHT}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1a1e22;--fg:#e4e7ea;--soft:#a3acb5;--line:#31373d;--grid:#2c3238;
--faint:#7d8791;--accent:#6db7f0;--ok:#4fc793;--off:#f0935a;--heat-c:#f0793a;DARK}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,section,footer{max-width:80rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:2.2rem}h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.3rem;margin:3rem 0 .4rem;padding-top:.6rem;border-top:1px solid var(--line)}h3{font-size:1.05rem;margin:1.8rem 0 .4rem}h4{margin:1rem 0 .2rem}
p,ul{max-width:56rem}a{color:var(--accent);text-decoration-thickness:1px;text-underline-offset:2px}
nav{position:sticky;top:0;z-index:2;background:var(--bg);border-bottom:1px solid var(--line);margin-top:1.2rem}
nav div{max-width:80rem;margin:0 auto;padding:.5rem 1.5rem;display:flex;gap:1.1rem;overflow-x:auto;white-space:nowrap;font-size:.9rem}
nav a{text-decoration:none;color:var(--soft)}nav a:hover,nav a:focus{color:var(--accent)}
section{scroll-margin-top:2.5rem}dt{scroll-margin-top:3.5rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;font-weight:600;padding-bottom:.3rem}
th,td{padding:.28rem .65rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
thead th{color:var(--soft);font-weight:500;vertical-align:bottom}tbody th{font-weight:400;text-align:left}th:first-child{text-align:left}
table.numbers tbody th,table.numbers td,table.machine td{white-space:nowrap}table.named td:nth-child(2){text-align:left}table.machine td:last-child,table.left-last td:last-child,table.machine th{text-align:left}
tr.head th,tr.head td{border-bottom:0;padding-top:.7rem}tr.speedup td,tr.speedup th,tr.app td,tr.app th{font-weight:600}
tr.paper_label,tr.paper_formula,tr.paper_app_label,tr.paper_app_formula{color:var(--soft)}tr.changed{font-weight:600}
small{color:var(--soft);font-size:.82em}.none{color:var(--faint)}.ok{color:var(--ok)}.off{color:var(--off)}
figure{margin:1rem 0}figcaption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.plot{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem}.plot svg{display:block;width:100%;min-width:46rem;height:auto}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:0 0 .4rem;padding:0;max-width:none;font-size:.85rem}
.key i{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;vertical-align:-.08rem;background:var(--c);border-radius:2px}
.key .pale{opacity:.3}.key .line,.key .dash{height:0;width:1.2rem;background:none;border-top:2px solid var(--c);vertical-align:.22rem;border-radius:0}
.key .dash{border-top-style:dashed}.key .dot{border-radius:50%}.key .bar{width:2px;height:.9rem;margin:0 .75rem 0 .4rem;border-radius:0}
.key .diamond{width:.5rem;height:.5rem;background:none;border:1.5px solid var(--c);border-radius:0;transform:rotate(45deg);margin:0 .6rem 0 .2rem;vertical-align:.06rem}
.plot text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif!important}
.grids{display:flex;flex-wrap:wrap;gap:.4rem 2.4rem}.grid td{min-width:3.9rem}.grid thead th{text-align:right}
.heat{background:color-mix(in srgb,var(--heat-c) calc(var(--heat)*.75),transparent)}
details{margin:.5rem 0}summary{cursor:pointer;color:var(--accent);width:fit-content}
code,pre{font:.87em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace}pre,dd code{overflow-wrap:anywhere;white-space:pre-wrap}
.by{color:var(--soft);font-size:.85rem;margin-top:1rem}dt{font-weight:600;margin-top:.9rem}dd{margin:.1rem 0 0 0}dt:target{color:var(--accent)}
.causes{columns:2 32rem;column-gap:2.5rem;max-width:none;padding-left:1.1rem}.causes>li{margin-bottom:.8rem;break-inside:avoid}
.causes ul{padding-left:1.1rem;margin:.1rem 0}footer{padding-top:2.5rem;padding-bottom:3rem;color:var(--soft);font-size:.85rem}
@media print{nav{display:none}}
"""
RAMPS = {"g": (["#f6c9a4", "#eda46a", "#e07f35", "#b85305"], ["#5a3418", "#8a4a1c", "#c2692a", "#f0904e"]),
         "h": (["#cfe3f2", "#a9cde8", "#7db2da", "#4e93c7", "#9fa8b2", "#0b5a94"],
               ["#1d3547", "#27506d", "#336d96", "#4a90c4", "#646e78", "#86c5f2"])}


def style():
    def variables(dark):
        v = [f"--d-{n}:{c[dark]}" for n, c in COLOURS.items()]
        v += [f"--{r}-{i}:{c}" for r, both in RAMPS.items() for i, c in enumerate(both[dark])]
        return ";".join(v)
    return STYLE.replace("LIGHT", variables(0)).replace("DARK", variables(1))


SECTIONS = [("summary", "Summary", summary), ("speedups", "Speedups", speedups), ("latency", "Clocks", latencies),
            ("references", "References", breakdown), ("sensitivity", "Sensitivity", sensitivity),
            ("applications", "Applications", applications), ("os", "Software", os_cost), ("rtl", "RTL", rtl), ("speed", "Speed", speed),
            ("commands", "Commands", commands)]


def older(data):
    """The version is of the program that made the page; units may be older."""
    n = data["others"]
    return f", but {n} unit{' was' if n == 1 else 's were'} made by another program (variants' included)" if n else ""


def page(data):
    measured = sorted({u["measured"] for u in data["units"]})
    scales = sorted({u["scale"] for u in data["units"]})
    length = " to ".join(whole(v) for v in dict.fromkeys((measured[0], measured[-1])))
    scale = " to ".join(f"{v:g}" for v in dict.fromkeys((scales[0], scales[-1])))
    out = ['<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
           f"<title>OpenDMT: translation designs side by side</title><style>{style()}</style></head><body>",
           "<header><h1>Translation designs side by side</h1><p>Trace-driven simulation of page walks, each design with its own tables, "
           "caches and traffic, beside the numbers published for Direct Memory Translation (Zhang et al., ASPLOS 2024). "
           f"{len(data['units'])} units from <code>{text(data['directory'])}</code>; {length} accesses measured a unit, data at scale {scale}; "
           f"{len(data['variants']) or 'no'} variant{'' if len(data['variants']) == 1 else 's'} of the machine; OpenDMT {text(data['version'])}{older(data)}.</p></header><nav><div>",
           "".join(f'<a href="#{i}">{n}</a>' for i, n, _ in SECTIONS), "</div></nav><main>"]
    out += [make(data) for _, _, make in SECTIONS]
    out.append("</main><footer>What units, formulas and variants are: docs/evaluation.md of OpenDMT.</footer></body></html>\n")
    return "".join(out)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(page(json.load(sys.stdin)))
