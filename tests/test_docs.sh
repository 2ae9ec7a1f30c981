#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What documents say that a machine can check. Prints "ok NAME" or "not ok NAME" a check.
set -u
cd "$(dirname "$0")/.."
status=0

check() { # NAME COMMAND...: passes when the command says nothing
    local name=$1 said
    shift
    if said=$("$@" 2>&1) && [ -z "$said" ]; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/    /' <<<"$said"
        status=1
    fi
}

# Every file of ours; inside a release tarball, without git, all files count.
files() { git ls-files -co --exclude-standard 2>/dev/null || find . -type f -not -path './build/*'; }

broken_links() {
    local page target
    for page in README.md CHANGELOG.md docs/*.md sim/README.md; do
        grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -v '^https\?://' | while read -r target; do
            [ -e "$(dirname "$page")/$target" ] || echo "$page: $target"
        done
    done
}

# A heading's anchor, as GitHub makes it: in lower case, without punctuation, spaces as dashes.
anchors() { sed -nE 's/^#+ +//p' "$1" | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'; }
broken_anchors() {
    local page target
    for page in README.md CHANGELOG.md docs/*.md sim/README.md; do
        grep -oE '\]\([^):]*#[^)]+' "$page" | cut -c3- | while IFS='#' read -r target anchor; do
            target=${target:+$(dirname "$page")/$target}
            anchors "${target:-$page}" | grep -qxF -- "$anchor" || echo "$page: ${target:-$page} has no heading #$anchor"
        done
    done
}

unlisted_pages() {
    local page
    for page in docs/*.md; do
        [ "$page" = docs/README.md ] || grep -qF "($(basename "$page"))" docs/README.md || echo "$page"
    done
}

stale_table() {
    diff <(/usr/bin/python3 rtl/configs.py table) <(sed -n '/configs.py table/,/^$/p' README.md | grep '^|')
}

unknown_targets() {
    local target
    grep -ohE '(^|`)make [a-z-]+' README.md docs/*.md | sort -u | while read -r _ target; do
        grep -qE "^$target:" Makefile || echo "make $target"
    done
}

without_licence() {
    local file
    files | grep -E '\.(c|h|cpp|v|vh|sv|py|sh|rdl|f|md|def)$|^(Makefile|\.ci/run)$' | while read -r file; do
        head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
    done
}

check "links lead somewhere" broken_links
check "links into pages lead to a heading" broken_anchors
check "docs/README.md lists every page" unlisted_pages
check "README's configurations are those of rtl/configs.json" stale_table
check "make targets that documents name exist" unknown_targets
check "every source names its licence" without_licence
exit $status
