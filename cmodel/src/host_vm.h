/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the hypervisor model share: host.c (machines, second
 * stage, memory), host_cpu.c (registers, entry, exit), host_call.c (hypercall,
 * gTEAs), host_nest.c (the shadow table). Not installed. */
#ifndef DMT_HOST_VM_H
#define DMT_HOST_VM_H

#include "dmt/host.h"
#include "dmt/regs.h"
#include <sys/queue.h>

#define VM_NONE     UINT64_MAX /* no frame */
#define VM_BLOCK    512u       /* frames of a 2M page */
#define VM_IDS      4096u
#define VM_TABLE    16u        /* frames of a gTEA table */
#define VM_IMAGES   16u        /* frames of a guest's image area, two images each */
#define VM_TAGS     256u
#define VM_REGS     16u        /* registers of a LEVEL window from CR0 on */
#define VM_BUFFER   4u         /* guest frames that the guest's own hypercalls use */

/* Index of a register of a LEVEL window behind the TEA registers. */
#define VM_REG(offset) (((offset) - DMT_LEVEL_CR0) / 8u)

/* The window of one level as its software last wrote it: what an exit has to save (H6). */
struct vm_level {
    uint64_t word[DMT_TEA_MAX][3];
    uint64_t reg[VM_REGS];
    bool inv, inv_s2; /* invalidations were asked for while not entered; made up for at the entry */
};

struct vm_cpu {
    struct dmt_vm *vm;
    bool entered;
    bool nested;     /* runs the machine inside */
    bool stale;      /* a flush of the second stage was missed: S2ROOT without NOFLUSH at the next entry */
    bool changed;    /* `above` is not what the thread holds, even if it was the machine's last */
    struct vm_level above[2]; /* of levels k + 1 and k + 2 */
    struct dmt_space *shadow; /* NULL: none now */
    uint64_t shadow_root, shadow_ctl; /* S2ROOT and S2CTL that it was made from */
    bool shadow_used;         /* something is in it */
    bool shadow_cold;         /* SHADOW_ROOT must be written before the thread may use it */
    bool full;                /* there was no memory for a shadow table: FULL until the next launch */
};

/* A contiguous run of guest frames in the window: a gTEA (level 0), a piece of
 * one (level 1), or one ordinary frame that was in a gTEA before it was taken back. */
struct vm_run {
    LIST_ENTRY(vm_run) link;
    unsigned set;    /* 0: of the machine's set, 1: of the set of the machine inside */
    int id;          /* -1: ordinary frame */
    bool taken;      /* being taken back: its ID names nothing any more */
    uint64_t inside; /* first page inside the gTEA; 0 at level 0 */
    uint64_t gfn, pfn, frames;
};
LIST_HEAD(vm_runs, vm_run);

struct vm_cell {
    struct vm_run *run; /* NULL: nothing is here */
    bool given;         /* the guest has not freed it */
};

struct dmt_vm {
    LIST_ENTRY(dmt_vm) link;
    struct dmt_host *host;
    struct dmt_vm_options o;
    struct dmt_platform platform; /* that it gives to its guest */
    struct dmt_space *space;      /* second stage */
    unsigned tag;
    bool nesting;                 /* a hypervisor runs in it: level k + 2 is loaded and saved, too */
    bool track;
    /* Guest frames: RAM [0, o.frames), window [window, end) of image area and gTEAs (H2). */
    uint64_t window, gteas, end;
    uint64_t *pfn;                /* the hypervisor's frame behind each, or VM_NONE */
    uint64_t *dirty;              /* a bit each: stores that no D bit tells of (H7) */
    struct dmt_buddy *ram, *free_window;
    struct vm_cell *cell;         /* of window frames from `gteas` on */
    struct vm_runs runs;
    struct vm_run **by_id[2];     /* level 0: gTEA of each ID */
    uint64_t table[2];            /* level 0: gTEA tables, VM_NONE until made */
    uint64_t images, hidden;      /* level 0: guest's image area; images of saved sets, two a vCPU */
    uint64_t buffer;              /* guest frames of the guest's hypercall arrays */
    uint64_t held;                /* frames in runs, against the quota */
    void (*on_revoke)(void *user, uint16_t id);
    void *revoke_user;
    struct vm_cpu cpu[DMT_THREADS_MAX];
};

/* What a thread's registers hold as far as this hypervisor has written them. */
struct host_thread {
    struct dmt_vm *vm; /* whose registers of the levels above are there, entered or not */
    struct {
        uint64_t value;
        bool known;
    } reg[DMT_SETS_MAX][VM_REGS], shadow_ctl, shadow_root;
};

struct dmt_host {
    struct dmt_host_options o;
    const struct dmt_platform *p;
    struct dmt_host_stats stats;
    LIST_HEAD(, dmt_vm) vms; /* oldest first, so that defects are reproducible */
    bool tag[VM_TAGS];
    struct host_thread thread[DMT_THREADS_MAX];
};

/* ---- host.c */

/* Leaf of the second stage for a frame, and what is in one. */
uint64_t vm_leaf(const struct dmt_vm *vm, uint64_t pfn, bool exec);
bool vm_present(const struct dmt_vm *vm, uint64_t leaf);
/* Flush after leaves were withdrawn: shadow tables that may name the frames go first (H8). */
void vm_flush(struct dmt_vm *vm, uint64_t gfn, uint64_t pages);
/* Make the frame ready for an access, backing it if need be. False: not the guest's, or out of memory. */
bool vm_ready(struct dmt_vm *vm, uint64_t gfn, bool write, bool fetch);
void vm_mark_dirty(struct dmt_vm *vm, uint64_t gfn, uint64_t frames);
/* A guest's access by software. */
uint64_t vm_load(struct dmt_vm *vm, uint64_t pa);
bool vm_store(struct dmt_vm *vm, uint64_t pa, uint64_t value);
/* Copy a frame of tables. */
void vm_copy(struct dmt_host *h, uint64_t to, uint64_t from);

/* ---- host_cpu.c */

void vm_write_own(struct dmt_host *h, unsigned thread, unsigned offset, uint64_t value);
void vm_write_host(struct dmt_host *h, unsigned thread, unsigned offset, uint64_t value);
/* The vCPU that software of the guest is taken to run on where nobody says: the first entered one, else 0. */
unsigned vm_running(const struct dmt_vm *vm);
/* An exit if entered; give what it returns to vm_resume. */
bool vm_leave(struct dmt_vm *vm, unsigned vcpu);
void vm_resume(struct dmt_vm *vm, unsigned vcpu, bool left);
/* Ports of the second stage. */
void vm_set_register(void *user, unsigned index, const struct dmt_tea *tea);
void vm_flush_port(void *user, uint64_t vpn, uint64_t pages, bool tables);
/* GTEA_CMD on every thread that holds registers of the machine. set: as in vm_run. */
void vm_gtea_command(struct dmt_vm *vm, unsigned op, unsigned set, unsigned id);
/* The gTEA table of a set has been made: tell threads. */
void vm_gtea_table(struct dmt_vm *vm, unsigned set);
/* From now on a hypervisor runs in it. */
void vm_start_nesting(struct dmt_vm *vm);
/* Forget the machine on every thread, before its memory goes. */
void vm_unload(struct dmt_vm *vm);
/* Nothing is in the image from which the machine's set k is loaded. */
void vm_clear_image(struct dmt_vm *vm);
void host_clear_image(struct dmt_host *h);

/* ---- host_call.c */

size_t vm_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room);
bool vm_tea_extend(void *user, struct dmt_grant *grant, uint64_t frames);
void vm_tea_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames);
/* The same without pvDMT: out of guest RAM. */
size_t vm_ram_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room);
void vm_ram_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames);
/* Runs and gTEA tables go, without a word to anybody: nothing can use them any more. */
void vm_free_runs(struct dmt_vm *vm);

/* ---- host_nest.c */

/* Bring the vCPU's shadow table in line with what its hypervisor has loaded. False: there is none, use FULL. */
bool vm_shadow_ready(struct dmt_vm *vm, unsigned vcpu);
/* A fault of stage 1 in NESTED. False: the inner hypervisor's to handle. */
bool vm_shadow_fill(struct dmt_vm *vm, unsigned vcpu, const struct dmt_result *fault);
/* Everything in it goes. */
void vm_shadow_drop(struct dmt_vm *vm, unsigned vcpu);
void vm_shadow_drop_all(struct dmt_vm *vm);
void vm_shadow_delete(struct dmt_vm *vm, unsigned vcpu);
/* SHADOW_ROOT of a vCPU that is entered. */
void vm_write_shadow(struct dmt_vm *vm, unsigned vcpu);

#endif
