/* SPDX-License-Identifier: Apache-2.0
 * The architectural model over DPI-C, as dmt_dpi_pkg.sv imports it; that file
 * says what the functions do. Types are those that DPI maps to: chandle,
 * int, longint unsigned, bit. */
#ifndef TB_DPI_H
#define TB_DPI_H

/* Outside libdmt_dpi.so, which hides everything else. */
#pragma GCC visibility push(default)

void *dmt_dpi_new(int pa_w, int ctx_n, int tea_n, int sets, int cnt_w);
void dmt_dpi_free(void *model);
int dmt_dpi_reset(void *model);
void dmt_dpi_attach(void *model, int memory);
int dmt_dpi_poke(void *model, unsigned long long addr, unsigned long long data);
unsigned char dmt_dpi_peek(void *model, unsigned long long addr, unsigned long long *data);
int dmt_dpi_csr_write(void *model, int addr, unsigned long long data);
int dmt_dpi_csr_read(void *model, int addr, unsigned long long *data, unsigned char *known);
int dmt_dpi_translate(void *model, unsigned long long va, int access, int cpl, unsigned char ac,
                      unsigned char implicit, unsigned char nonspec);
unsigned long long dmt_dpi_result(void *model, int field);
int dmt_dpi_ref_count(void *model);
void dmt_dpi_ref(void *model, int i, unsigned long long *addr, unsigned long long *data, int *stage,
                 int *level, int *tea, int *index, int *exclusive, int *write, int *resp);

#pragma GCC visibility pop

/* Exported by dmt_dpi_pkg.sv: a memory that was attached is asked. Answers are AXI's. */
int dmt_dpi_memory_read(int memory, unsigned long long addr, unsigned char exclusive,
                        unsigned long long *data);
int dmt_dpi_memory_write(int memory, unsigned long long addr, unsigned long long data);

#endif
