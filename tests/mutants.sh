#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The mutation campaign (tests/mutants.py): tests/mutants.sh [BUILD] [OPTION...]. It starts from an
# existing build where there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
exec /usr/bin/python3 tests/mutants.py "$@"
