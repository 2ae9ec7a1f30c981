#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is a page of `dmt report` well-formed HTML (html5lib, strict), alone in the world, and complete?

check_page.py PAGE TEXT...: every TEXT must be in what a reader sees. Says what is wrong, exit 1."""
import re
import sys

import html5lib

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


def main(path, wanted):
    wrong = []
    source = open(path, encoding="utf-8").read()
    try:
        tree = html5lib.HTMLParser(strict=True).parse(source)
    except html5lib.html5parser.ParseError as e:
        return [f"not well-formed: {e}"]
    html = "{http://www.w3.org/1999/xhtml}"
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    wrong += [f"id '{i}' is there twice" for i in sorted({i for i in ids if ids.count(i) > 1})[:5]]
    # Nothing is fetched: no scripts, no links out of the page, in no attribute and no style.
    for e in tree.iter():
        tag = str(e.tag)
        if tag in (html + "script", html + "link", html + "iframe", html + "img", html + "object", html + "base"):
            wrong.append(f"<{tag.split('}')[1]}> in a page that shall stand alone")
        for key, value in e.attrib.items():
            if key in ("src", "srcset", "data", "action") or (key in ("href", XLINK + "href") and not value.startswith("#")):
                wrong.append(f"{key}=\"{value[:60]}\" leads out of the page")
            if key in ("href", XLINK + "href") and value.startswith("#") and value[1:] not in ids:
                wrong.append(f"{key}=\"{value[:60]}\" leads nowhere")
            for target in re.findall(r"url\(([^)]*)\)", value):
                if target.strip("'\"")[:1] != "#" or target.strip("'\"")[1:] not in ids:
                    wrong.append(f"url({target[:60]}) leads nowhere")
    style = "".join(e.text or "" for e in tree.iter(html + "style"))
    for bad in ("url(", "@import", "http:", "https:"):
        if bad in style:
            wrong.append(f"'{bad}' in the style")
    defined = set(re.findall(r"(--[a-z0-9-]+):", style)) | {"--heat", "--c"}
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", source))
    wrong += [f"{v} is used, but defined nowhere" for v in sorted(used - defined)]
    if re.search(r"#0[a-f]0[a-f][0-9a-f]{2}", source):
        wrong.append("a colour that stands for one of the page's was left in a plot")
    plots = [e for e in tree.iter(SVG + "svg")]
    if not plots:
        wrong.append("no plot")
    wrong += ["a plot without a label" for e in plots if not e.get("aria-label")]
    body = next(tree.iter(html + "body"))
    seen = re.sub(r"\s+", " ", " ".join(t for e in body.iter() for t in (e.text, e.tail) if t))
    wrong += [f"'{w}' is not on the page" for w in wanted if w not in seen]
    if re.search(r"\b(nan|None|null|inf)\b", seen):
        wrong.append("a missing number is shown as " + re.search(r"\b(nan|None|null|inf)\b", seen)[0])
    return wrong


if __name__ == "__main__":
    found = main(sys.argv[1], sys.argv[2:])
    for f in found[:20]:
        print(f"{sys.argv[1]}: {f}", file=sys.stderr)
    sys.exit(1 if found else 0)
