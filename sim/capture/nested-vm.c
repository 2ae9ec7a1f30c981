/* SPDX-License-Identifier: Apache-2.0
 * A guest of a guest, for capturing nested page tables (see nested.sh): runs
 * inside the captured machine, makes a virtual machine with the KVM API, gives
 * it memory of every kind (4K pages, transparent and reserved huge pages of 2M
 * and 1G, read-only) and page tables of its own with leaves of every size, and
 * lets it read or write one address after the other. Each line on standard
 * output is what the processor made of one access:
 *
 *   ROW gva,access,outcome,gpa,hpa,error_code
 *
 * outcome ok: the guest and this program, which each know only their own
 * address of it, exchanged a unique value through the page. guest_pf: the guest took
 * a page fault. npf: the access left the virtual machine. Ends in
 * "ROWS-END" and then keeps the guest running, so that its tables can be
 * captured while it owns a processor. Needs root (physical addresses are those of
 * /proc/self/pagemap). Static: gcc -O2 -static -o nested-vm nested-vm.c */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB     UINT64_C(1024)
#define MIB     (1024 * KIB)
#define GIB     (1024 * MIB)
#define PAGE    (4 * KIB)
#define HUGE_2M (21 << 26) /* MAP_HUGE_SHIFT */
#define HUGE_1G (30 << 26)
#define NONE    (~UINT64_C(0))
#define PROBES  4000

/* Where things lie in the guest's physical memory, all in the first slot. */
#define CODE_READ  UINT64_C(0x8000)
#define CODE_WRITE UINT64_C(0x8010)
#define CODE_SPIN  UINT64_C(0x8020)
#define HANDLERS   UINT64_C(0x9000) /* 16 bytes an exception */
#define IDT        UINT64_C(0xb000)
#define GDT        UINT64_C(0xc000)
#define STACK      UINT64_C(0x7000)
#define ROOT       UINT64_C(0xabc000) /* nested.sh knows the guest by this CR3 */
#define TABLES     UINT64_C(0xac0000)
#define TABLES_END UINT64_C(0xff0000)

enum { P = 1, W = 2, U = 4, PS = 0x80 };

struct slot {
    uint64_t gpa, size;
    int flags; /* of mmap */
    bool thp, read_only;
    uint8_t *host;
};

static struct slot slots[] = {
    {0, 16 * MIB, 0, false, false, NULL},
    {UINT64_C(0x100000000), 64 * MIB, 0, true, false, NULL},
    {UINT64_C(0x4000000000), 8 * MIB, MAP_HUGETLB | HUGE_2M, false, false, NULL},
    {UINT64_C(0x8000000000), GIB, MAP_HUGETLB | HUGE_1G, false, false, NULL},
    {UINT64_C(0x200000000), 4 * MIB, 0, false, true, NULL},
    {UINT64_C(0x7f00000000), 8 * MIB, 0, false, false, NULL},
};

#define SLOTS (sizeof slots / sizeof *slots)

static struct probe {
    uint64_t va;
    bool write;
} probes[PROBES];
static unsigned probe_n;

static int machine, cpu, pagemap;
static struct kvm_run *run;

static void check(long result, const char *what)
{
    if (result < 0) {
        printf("CAPTURE-FAILED: %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static uint64_t random64(void)
{
    static uint64_t x = 0x9e3779b97f4a7c15;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* ---------------------------------------------------------------- memory */

static const struct slot *slot_of(uint64_t gpa)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i].host != NULL && gpa >= slots[i].gpa && gpa - slots[i].gpa < slots[i].size) {
            return &slots[i];
        }
    }
    return NULL;
}

/* This program's address of a guest-physical one, or NULL. */
static void *host(uint64_t gpa)
{
    const struct slot *s = slot_of(gpa);

    return s != NULL ? s->host + (gpa - s->gpa) : NULL;
}

/* Physical address (in the captured machine) of one of this program's, or NONE. */
static uint64_t physical(const void *at)
{
    uint64_t entry = 0;

    check(pread(pagemap, &entry, 8, (off_t)((uintptr_t)at / PAGE * 8)), "pagemap");
    return entry >> 63 != 0 ? (entry & ((UINT64_C(1) << 55) - 1)) * PAGE | ((uintptr_t)at & (PAGE - 1))
                            : NONE;
}

static void add_slot(unsigned i)
{
    struct slot *s = &slots[i];
    uint8_t *p = mmap(NULL, s->size + 2 * MIB, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | s->flags, -1, 0);

    if (p == MAP_FAILED && s->flags != 0) { /* exactly its size: huge pages are few */
        p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | s->flags, -1, 0);
    }
    if (p == MAP_FAILED) {
        printf("slot %u: %s: left out\n", i, strerror(errno));
        return;
    }
    if (s->flags == 0) {
        p = (uint8_t *)(((uintptr_t)p + 2 * MIB - 1) & ~(uintptr_t)(2 * MIB - 1));
        madvise(p, s->size, s->thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    struct kvm_userspace_memory_region region = {.slot = i,
                                                 .flags = s->read_only ? KVM_MEM_READONLY : 0,
                                                 .guest_phys_addr = s->gpa,
                                                 .memory_size = s->size,
                                                 .userspace_addr = (uintptr_t)p};
    check(ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    s->host = p;
}

/* ---------------------------------------------------------------- the guest's tables */

/* A page for a table: every fifth lies in the slot of huge pages, so that tables
 * are located through nested leaves of both kinds. */
static uint64_t new_table(void)
{
    static uint64_t next = TABLES, far, count;
    uint64_t gpa;

    if (++count % 5 == 0 && slots[1].host != NULL && far + PAGE < MIB) {
        far += PAGE;
        gpa = slots[1].gpa + slots[1].size - far;
    } else {
        gpa = next;
        next += PAGE;
    }
    if (next > TABLES_END) {
        printf("CAPTURE-FAILED: no room for tables\n");
        exit(1);
    }
    memset(host(gpa), 0, PAGE);
    return gpa;
}

/* Map va with a leaf at `level` (1, 2, 3). False: taken. */
static bool map(uint64_t va, uint64_t gpa, unsigned level, uint64_t flags)
{
    uint64_t table = ROOT, *entry;

    for (unsigned l = 4;; l--) {
        entry = (uint64_t *)host(table) + (va >> (9 * l + 3) & 511);
        if (l == level) {
            break;
        }
        if ((*entry & P) == 0) {
            *entry = new_table() | P | W | U;
        } else if (l < 4 && (*entry & PS) != 0) {
            return false;
        }
        table = *entry & UINT64_C(0xffffffffff000);
    }
    if ((*entry & P) != 0) {
        return false;
    }
    *entry = gpa | flags | P | (level > 1 ? PS : 0);
    return true;
}

static void probe(uint64_t va, bool write)
{
    if (probe_n < PROBES) {
        probes[probe_n++] = (struct probe){va & ~UINT64_C(7), write};
    }
}

static void make_tables(void)
{
    const uint64_t reserved = MIB; /* at the end of slot 1: tables */

    memset(host(ROOT), 0, PAGE);
    for (uint64_t a = 0; a < 2 * MIB; a += PAGE) { /* code, one to one */
        map(a, a, 1, W);
    }
    for (unsigned i = 0; i < 1500; i++) { /* 4K pages, two thirds in one area, the rest anywhere */
        const struct slot *s = &slots[random64() % SLOTS];
        if (s->host == NULL) {
            continue;
        }
        uint64_t room = (s == &slots[0] ? 8 * MIB : s->size - reserved) / PAGE;
        uint64_t gpa = s->gpa + (s == &slots[0] ? 2 * MIB : 0) + random64() % room * PAGE;
        uint64_t va = random64() & UINT64_C(0x7ffffffff000);
        if (i % 3 != 0) {
            va = UINT64_C(0x500000000000) + random64() % 0x4000 * PAGE;
        } else if (i % 2 != 0) {
            va |= UINT64_C(0xffff800000000000);
        }
        uint64_t flags = (random64() % 4 != 0 ? W : 0) | (random64() % 2 != 0 ? U : 0) |
                         (random64() % 8 == 0 ? UINT64_C(1) << 63 : 0);
        if (map(va, gpa, 1, flags)) {
            probe(va + random64() % 512 * 8, random64() % 2 != 0 && (flags & W) != 0 && !s->read_only);
            if (i % 13 == 0) { /* also where the guest's page or the slot is read-only */
                probe(va + random64() % 512 * 8, true);
            }
        }
    }
    for (unsigned i = 0; i < 60; i++) { /* 2M pages */
        const struct slot *s = &slots[1 + random64() % (SLOTS - 1)];
        uint64_t va =
            i % 3 == 0 ? random64() & UINT64_C(0x7fffffe00000) : UINT64_C(0x600000000000) + i * 2 * MIB;
        if (s->host == NULL || !map(va, s->gpa + random64() % (s->size / (2 * MIB)) * 2 * MIB, 2, W | U)) {
            continue;
        }
        for (unsigned k = 0; k < 4; k++) { /* the lower half: tables lie at the end of slot 1 */
            probe(va + random64() % MIB, k % 2 != 0);
        }
    }
    const uint64_t gib[] = {slots[3].gpa, slots[1].gpa, slots[2].gpa}, used[] = {GIB, 62 * MIB, 8 * MIB};
    for (unsigned i = 0; i < 3; i++) { /* 1G pages; only a part of the last two is backed */
        uint64_t va = UINT64_C(0x700000000000) + i * GIB;
        map(va, gib[i], 3, W | U);
        for (unsigned k = 0; k < 50; k++) {
            probe(va + random64() % used[i], k % 2 != 0 && i == 0);
        }
        for (unsigned k = 0; k < 10; k++) {
            probe(va + (i == 0 ? 0 : 128 * MIB) + random64() % (512 * MIB), k % 2 != 0);
        }
    }
    const uint64_t holes[] = {UINT64_C(0x300000000), UINT64_C(0x3fc0000000), UINT64_C(0xfef00000)};
    for (unsigned i = 0; i < 3; i++) { /* guest-physical addresses without memory */
        map(UINT64_C(0x510000000000) + i * PAGE, holes[i], 1, W);
        probe(UINT64_C(0x510000000000) + i * PAGE + 8 * i, i == 1);
    }
    for (unsigned i = 0; i < 200; i++) { /* mostly not mapped at all */
        probe(random64() & UINT64_C(0x7ffffffff000), i % 2 != 0);
    }
}

/* ---------------------------------------------------------------- the guest's processor */

static void make_code(void)
{
    static const uint8_t read[] = {0x48, 0x8b, 0x18, 0xf4};  /* mov (%rax),%rbx; hlt */
    static const uint8_t write[] = {0x48, 0x89, 0x18, 0xf4}; /* mov %rbx,(%rax); hlt */
    static const uint8_t spin[] = {0xf3, 0x90, 0xeb, 0xfc};  /* 1: pause; jmp 1b */
    uint64_t *idt = host(IDT), *gdt = host(GDT);

    memcpy(host(CODE_READ), read, sizeof read);
    memcpy(host(CODE_WRITE), write, sizeof write);
    memcpy(host(CODE_SPIN), spin, sizeof spin);
    memset(host(HANDLERS), 0xf4, PAGE); /* hlt: the address tells the exception */
    for (uint64_t i = 0; i < 256; i++) {
        uint64_t to = HANDLERS + 16 * i;
        idt[2 * i] = (to & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32 | to >> 16 << 48;
        idt[2 * i + 1] = 0;
    }
    gdt[1] = UINT64_C(0x00af9b000000ffff);
    gdt[2] = UINT64_C(0x00cf93000000ffff);
}

static void make_cpu(int kvm)
{
    struct kvm_segment code = {.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment data = {
        .limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + 256 * sizeof *cpuid->entries);
    struct kvm_sregs s;

    check(cpu = ioctl(machine, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    check(size, "KVM_GET_VCPU_MMAP_SIZE");
    run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    check(run == MAP_FAILED ? -1 : 0, "mmap of the processor");
    cpuid->nent = 256;
    check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
    check(ioctl(cpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
    free(cpuid);
    check(ioctl(cpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
    s.cr0 = 0x80010033; /* PG, WP, NE, ET, MP, PE */
    s.cr3 = ROOT;
    s.cr4 = 0x20;   /* PAE */
    s.efer = 0xd00; /* NXE, LMA, LME */
    s.idt.base = IDT;
    s.idt.limit = 4095;
    s.gdt.base = GDT;
    s.gdt.limit = 0x3f;
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    check(ioctl(cpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
}

/* Where the guest's tables send va, by KVM's own look at them; NONE: nowhere. */
static uint64_t guest_physical(uint64_t va)
{
    struct kvm_translation t = {.linear_address = va};

    check(ioctl(cpu, KVM_TRANSLATE, &t), "KVM_TRANSLATE");
    return t.valid ? (t.physical_address & ~(PAGE - 1)) | (va & (PAGE - 1)) : NONE;
}

static void row(const struct probe *p, const char *outcome, uint64_t gpa)
{
    printf("ROW %llx,%c,%s,", (unsigned long long)p->va, p->write ? 'w' : 'r', outcome);
    if (gpa != NONE) {
        printf("%llx", (unsigned long long)gpa);
    }
}

static void access_once(const struct probe *p)
{
    uint64_t gpa = guest_physical(p->va), tag = random64();
    volatile uint64_t *memory = gpa != NONE ? host(gpa) : NULL;
    struct kvm_regs r = {.rip = p->write ? CODE_WRITE : CODE_READ, .rsp = STACK, .rflags = 2, .rax = p->va};

    if (memory != NULL) {
        *memory = tag;
    }
    r.rbx = p->write ? ~tag : 0;
    check(ioctl(cpu, KVM_SET_REGS, &r), "KVM_SET_REGS");
    check(ioctl(cpu, KVM_RUN, 0), "KVM_RUN");
    if (run->exit_reason == KVM_EXIT_MMIO) {
        row(p, "npf", run->mmio.phys_addr);
        printf(",,\n");
        memset(run->mmio.data, 0, sizeof run->mmio.data); /* let the instruction finish */
        run->immediate_exit = 1;
        ioctl(cpu, KVM_RUN, 0);
        run->immediate_exit = 0;
        return;
    }
    check(run->exit_reason == KVM_EXIT_HLT ? 0 : -1, "an exit that is neither MMIO nor HLT");
    check(ioctl(cpu, KVM_GET_REGS, &r), "KVM_GET_REGS");
    if (r.rip >= HANDLERS && r.rip < HANDLERS + PAGE) {
        if ((r.rip - HANDLERS) / 16 == 14) {
            row(p, "guest_pf", gpa);
            printf(",,%llx\n", (unsigned long long)*(uint64_t *)host(r.rsp));
        }
        return;
    }
    if (memory != NULL && (p->write ? *memory == ~tag : r.rbx == tag)) {
        row(p, "ok", gpa);
        printf(",%llx,\n", (unsigned long long)physical((const void *)(uintptr_t)memory));
    } else {
        printf("no proof for %llx\n", (unsigned long long)p->va);
    }
}

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR);

    check(kvm, "/dev/kvm");
    check(pagemap = open("/proc/self/pagemap", O_RDONLY), "/proc/self/pagemap");
    check(machine = ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    for (unsigned i = 0; i < SLOTS; i++) {
        add_slot(i);
    }
    make_cpu(kvm);
    make_tables();
    make_code();
    for (unsigned i = 0; i < probe_n; i++) {
        access_once(&probes[i]);
    }
    printf("ROWS-END\n");
    fflush(stdout);
    struct kvm_regs r = {.rip = CODE_SPIN, .rsp = STACK, .rflags = 2};
    check(ioctl(cpu, KVM_SET_REGS, &r), "KVM_SET_REGS");
    for (;;) {
        ioctl(cpu, KVM_RUN, 0);
    }
}
