#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The quick part of the proofs (docs/formal.md): claims about walks, registers, the loader and one clock
# of the CSR block. What takes longer, covers and mutants are `make formal`. Prints "ok NAME" or
# "not ok NAME" a check.
set -u
cd "$(dirname "$0")/.."
formal/prove.py "${BUILD:-build}" walk-invariant walk-ahead tea-found tea-set0 'loader-[!s]*' \
    'csr-[!st]*' pipe-csr-invariant pipe-csr-ripe | grep -E '^(not )?ok '
exit "${PIPESTATUS[0]}"
