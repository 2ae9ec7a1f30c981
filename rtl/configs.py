#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The named configurations of rtl/configs.json, for whoever needs them:

  configs.py make      make variables CONFIGS and PARAMS_<name>
  configs.py header    C lines DMT_CONFIG(name, pa_w, ctx_n, ...), to include with DMT_CONFIG defined
  configs.py list      one line each: name PARAMETER=value ...
  configs.py table     the table in the documents
"""
import json
import sys
from pathlib import Path

# docs/microarchitecture.md section 1, in the order of struct dmt_config.
RANGES = {"PA_W": (32, 52), "CTX_N": (1, 64), "TEA_N": (2, 64), "SETS": (1, 3), "PWC4_N": (0, 64),
          "PWC3_N": (0, 64), "PWC2_N": (0, 64), "NPWC4_N": (0, 64), "NPWC3_N": (0, 64), "NPWC2_N": (0, 64),
          "TAG_W": (1, 16), "CNT_W": (0, 63), "PIPE": (0, 1)}
FILE = "rtl/configs.json"


def load():
    configs = json.loads((Path(__file__).resolve().parent / "configs.json").read_text())
    for name, params in configs.items():
        if not name.isidentifier():
            sys.exit(f"{FILE}: configuration name {name!r} must be an identifier")
        if set(params) != set(RANGES):
            odd = ", ".join(sorted(set(params) ^ set(RANGES)))
            sys.exit(f"{FILE}: {name}: every parameter exactly once, expected {', '.join(RANGES)}; odd: {odd}")
        for key, (low, high) in RANGES.items():
            if not (isinstance(params[key], int) and low <= params[key] <= high):
                sys.exit(f"{FILE}: {name}: {key} is {params[key]!r}, expected {low} to {high}")
    return {name: {key: params[key] for key in RANGES} for name, params in configs.items()}


def main():
    form = sys.argv[1] if len(sys.argv) == 2 else ""
    configs = load()
    words = {name: " ".join(f"{k}={v}" for k, v in params.items()) for name, params in configs.items()}
    if form == "make":
        print("CONFIGS :=", *configs)
        for name in configs:
            print(f"PARAMS_{name} := {words[name]}")
    elif form == "header":
        print("/* Generated from rtl/configs.json by rtl/configs.py. */")
        for name, params in configs.items():
            print(f"DMT_CONFIG({name}, {', '.join(map(str, params.values()))})")
    elif form == "list":
        for name in configs:
            print(name, words[name])
    elif form == "table":
        print("| configuration |", " | ".join(RANGES), "|")
        print("|---|" + "---|" * len(RANGES))
        for name, params in configs.items():
            print(f"| {name} |", " | ".join(map(str, params.values())), "|")
    else:
        sys.exit(__doc__.strip())


if __name__ == "__main__":
    main()
