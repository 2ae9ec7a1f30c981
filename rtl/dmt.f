// SPDX-License-Identifier: Apache-2.0
// The files of the IP, for every tool that takes a file list (paths from the
// root of the repository). Top: dmt_mmu.
+incdir+rtl
rtl/dmt_ahead.v
rtl/dmt_contexts.v
rtl/dmt_counters.v
rtl/dmt_csr.v
rtl/dmt_entry.v
rtl/dmt_fetch.v
rtl/dmt_fifo.v
rtl/dmt_fmt_ept.v
rtl/dmt_fmt_ia32e.v
rtl/dmt_front.v
rtl/dmt_launch.v
rtl/dmt_loader.v
rtl/dmt_mmu.v
rtl/dmt_pte_port.v
rtl/dmt_pwc.v
rtl/dmt_pwc_array.v
rtl/dmt_roots.v
rtl/dmt_route.v
rtl/dmt_tea_file.v
rtl/dmt_trace.v
rtl/dmt_walk_step.v
