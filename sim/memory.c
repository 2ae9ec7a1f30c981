/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include "dmt/table.h"
#include "io.h"
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME   4096u
#define HEADER  16u
#define PFN_MAX ((UINT64_C(1) << 40) - 1) /* 52-bit physical addresses */

static uint8_t *add_frame(struct dmt_mem *m, uint64_t pfn)
{
    uint8_t *frame = dmt_mem_add(m, pfn);

    if (frame == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    return frame;
}

/* ---------------------------------------------------------------- frames and images */

/* Records of a frame number and its bytes, up to the end of the data. */
static bool read_records(struct in *in, struct dmt_mem *m)
{
    for (;;) {
        uint64_t at = in_offset(in);
        uint8_t number[8];
        size_t got;
        if (!in_read(in, number, sizeof number, &got)) {
            return false;
        }
        if (got == 0) {
            return true;
        }
        uint64_t pfn = load64(number);
        if (got < sizeof number) {
            in_say_offset(in, at, "frame record cut: %zu of 4104 bytes", got);
            return false;
        }
        if (pfn > PFN_MAX) {
            in_say_offset(in, at, "frame number 0x%llx is beyond 52-bit physical addresses",
                          (unsigned long long)pfn);
            return false;
        }
        if (dmt_mem_frame(m, pfn) != NULL) {
            in_say_offset(in, at, "frame 0x%llx appears twice", (unsigned long long)pfn);
            return false;
        }
        if (!in_read(in, add_frame(m, pfn), FRAME, &got)) {
            return false;
        }
        if (got < FRAME) {
            in_say_offset(in, at, "frame record cut: %zu of 4104 bytes", got + 8);
            return false;
        }
    }
}

static bool read_frames(struct in *in, struct dmt_mem *m)
{
    uint8_t header[HEADER];
    size_t got;

    if (!in_read(in, header, HEADER, &got)) {
        return false;
    }
    if (got < HEADER) {
        in_say_offset(in, got, "frames file cut in its 16-byte header");
        return false;
    }
    uint64_t version = load64(header + 8);
    if (version != 1) {
        in_say_offset(in, 8, "frames file version 0x%llx, expected 1", (unsigned long long)version);
        return false;
    }
    return read_records(in, m);
}

static bool read_raw(struct in *in, struct dmt_mem *m, uint64_t base)
{
    for (uint64_t pfn = base >> 12;; pfn++) {
        const uint8_t *at;
        size_t got;
        if (!in_peek(in, &at, FRAME, &got)) {
            return false;
        }
        if (got == 0) {
            return true;
        }
        if (got < FRAME) {
            in_say_offset(in, in_offset(in), "raw image is not a multiple of 4096 bytes (%zu left)", got);
            return false;
        }
        if (pfn > PFN_MAX) {
            in_say_offset(in, in_offset(in), "raw image passes the end of 52-bit physical addresses");
            return false;
        }
        if (!in_read(in, add_frame(m, pfn), FRAME, &got)) {
            return false;
        }
    }
}

/* ---------------------------------------------------------------- ELF cores */

/* The whole of a stream that cannot be mapped. */
static uint8_t *slurp(struct in *in, size_t *size)
{
    size_t room = 1 << 20, n = 0, got;
    uint8_t *data = malloc(room);

    for (;;) {
        if (data == NULL) {
            say("%s: out of memory", in_name(in));
            exit(EXIT_BAD_INPUT);
        }
        if (!in_read(in, data + n, room - n, &got)) {
            free(data);
            return NULL;
        }
        n += got;
        if (n < room) {
            *size = n;
            return data;
        }
        room *= 2;
        data = realloc(data, room);
    }
}

/* Layout of QEMU's CPU-state note (target/i386/arch_dump.c, QEMUCPUState):
 * version and size, 18 general registers, 10 segments of 24 bytes, cr[5]. */
#define QEMU_NOTE_CR (8 + 18 * 8 + 10 * 24)

static void take_note(const GElf_Nhdr *note, const char *name, const uint8_t *desc, bool *machine,
                      struct core_info *core)
{
    if (note->n_namesz == 5 && memcmp(name, "QEMU", 5) == 0) {
        *machine = true;
        if (note->n_descsz >= QEMU_NOTE_CR + 5 * 8 && !core->qemu) { /* the first processor's */
            core->qemu = true;
            core->level.cr0 = load64(desc + QEMU_NOTE_CR);
            core->level.cr3 = load64(desc + QEMU_NOTE_CR + 3 * 8);
            core->level.cr4 = load64(desc + QEMU_NOTE_CR + 4 * 8);
        }
    } else if (note->n_namesz == 11 && memcmp(name, "VMCOREINFO", 11) == 0) {
        *machine = true;
    }
}

static bool read_notes(const char *name, Elf *elf, const GElf_Phdr *p, bool *machine, struct core_info *core)
{
    Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)p->p_offset, p->p_filesz, ELF_T_NHDR);
    GElf_Nhdr note;
    size_t at = 0, name_at, desc_at, next;

    if (data == NULL) {
        say("%s: offset %llu: notes cannot be read: %s", name, (unsigned long long)p->p_offset,
            elf_errmsg(-1));
        return false;
    }
    while (at < data->d_size && (next = gelf_getnote(data, at, &note, &name_at, &desc_at)) > 0) {
        take_note(&note, (const char *)data->d_buf + name_at, (const uint8_t *)data->d_buf + desc_at, machine,
                  core);
        at = next;
    }
    return true;
}

/* Copy one segment; bytes outside the file's part of a frame stay as they are. */
static void copy_segment(struct dmt_mem *m, const uint8_t *from, uint64_t pa, uint64_t n)
{
    while (n > 0) {
        uint64_t offset = pa & (FRAME - 1), part = FRAME - offset < n ? FRAME - offset : n;
        memcpy(add_frame(m, pa >> 12) + offset, from, part);
        from += part;
        pa += part;
        n -= part;
    }
}

static bool read_segments(const char *name, Elf *elf, const uint8_t *data, size_t size, struct dmt_mem *m,
                          struct core_info *core)
{
    GElf_Ehdr eh;
    size_t n;
    bool machine = false, some = false;

    if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &eh) == NULL || elf_getphdrnum(elf, &n) != 0) {
        say("%s: offset 0: damaged ELF header: %s", name, elf_errmsg(-1));
        return false;
    }
    if (eh.e_type != ET_CORE || eh.e_machine != EM_X86_64) {
        say("%s: offset 16: ELF type %u machine %u, expected a core (4) of x86-64 (62)", name, eh.e_type,
            eh.e_machine);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(elf, (int)i, &p) == NULL) {
            say("%s: program header %zu cannot be read: %s", name, i, elf_errmsg(-1));
            return false;
        }
        if (p.p_type != PT_NOTE && p.p_type != PT_LOAD) {
            continue;
        }
        if (p.p_offset > size || p.p_filesz > size - p.p_offset) {
            say("%s: offset %zu: core is cut: segment %zu needs %llu bytes from %llu", name, size, i,
                (unsigned long long)p.p_filesz, (unsigned long long)p.p_offset);
            return false;
        }
        if (p.p_type == PT_NOTE) {
            if (!read_notes(name, elf, &p, &machine, core)) {
                return false;
            }
        } else if (p.p_paddr >> 52 != 0 || p.p_filesz > (UINT64_C(1) << 52) - p.p_paddr) {
            if (p.p_paddr != UINT64_MAX) { /* kdump marks areas without a physical address so */
                say("%s: segment %zu: physical address 0x%llx is beyond 52 bits", name, i,
                    (unsigned long long)p.p_paddr);
                return false;
            }
        } else {
            some = some || p.p_filesz > 0;
            copy_segment(m, data + p.p_offset, p.p_paddr, p.p_filesz);
        }
    }
    if (!machine) {
        say("%s: no QEMU or VMCOREINFO note: not a memory dump of a machine (dump-guest-memory, kdump)",
            name);
        return false;
    }
    if (!some) {
        say("%s: no memory segment in this core", name);
        return false;
    }
    return true;
}

static bool read_elf(const char *path, struct in *in, bool mappable, struct dmt_mem *m,
                     struct core_info *core)
{
    size_t size = 0;
    uint8_t *data = NULL;
    bool ok = false;
    struct stat st;

    if (mappable) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) == 0) {
            size = (size_t)st.st_size;
            data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
            data = data == MAP_FAILED ? NULL : data;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    bool mapped = data != NULL;
    if (!mapped && (data = slurp(in, &size)) == NULL) {
        return false;
    }
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory((char *)data, size);
    if (elf == NULL) {
        say("%s: offset 0: damaged ELF header: %s", in_name(in), elf_errmsg(-1));
    } else {
        ok = read_segments(in_name(in), elf, data, size, m, core);
        elf_end(elf);
    }
    if (mapped) {
        munmap(data, size);
    } else {
        free(data);
    }
    return ok;
}

/* ---------------------------------------------------------------- any of them */

struct dmt_mem *memory_read(const char *path, const struct memory_how *how, struct core_info *core)
{
    static const struct memory_how plain;
    struct core_info none;
    const uint8_t *head;
    size_t got;
    bool ok = false;
    struct in *in = in_open(path);

    how = how != NULL ? how : &plain;
    core = core != NULL ? core : &none;
    *core = (struct core_info){0};
    if (in == NULL) {
        return NULL;
    }
    struct dmt_mem *m = dmt_mem_new();
    if (m == NULL) {
        say("out of memory");
        exit(EXIT_BAD_INPUT);
    }
    if (!in_peek(in, &head, 8, &got)) {
        ok = false;
    } else if (got == 8 && memcmp(head, "DMTFRAME", 8) == 0) {
        ok = read_frames(in, m);
    } else if (got >= 4 && memcmp(head, "\177ELF", 4) == 0) {
        uint8_t magic[4] = {0};
        int fd = open(path, O_RDONLY | O_CLOEXEC); /* not the standard input, not compressed: map it */
        bool mappable = fd >= 0 && pread(fd, magic, 4, 0) == 4 && memcmp(magic, "\177ELF", 4) == 0;
        if (fd >= 0) {
            close(fd);
        }
        ok = read_elf(path, in, mappable, m, core);
    } else if (got >= 8 && (memcmp(head, "KDUMP   ", 8) == 0 || memcmp(head, "makedump", 8) == 0)) {
        in_say_offset(in, 0,
                      "kdump-compressed dump; make an ELF core of it (makedumpfile -E, or "
                      "dump-guest-memory without -z, -l, -s)");
    } else if (how->records) {
        ok = read_records(in, m);
    } else if (how->raw) {
        ok = read_raw(in, m, how->base);
    } else {
        in_say_offset(in, 0, "neither a frames file (DMTFRAME) nor an ELF core; a raw image needs --base");
    }
    in_close(in);
    if (!ok) {
        dmt_mem_free(m);
        return NULL;
    }
    return m;
}

bool memory_write(const char *path, const struct dmt_mem *m, const uint64_t *pfn, size_t n)
{
    uint8_t header[HEADER] = "DMTFRAME\1", number[8];
    struct out *out = out_open(path);

    if (out == NULL) {
        return false;
    }
    out_write(out, header, HEADER);
    for (size_t i = 0; i < n; i++) {
        store64(number, pfn[i]);
        out_write(out, number, sizeof number);
        out_write(out, dmt_mem_frame(m, pfn[i]), FRAME);
    }
    return out_commit(out);
}
