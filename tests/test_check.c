/* SPDX-License-Identifier: Apache-2.0
 * The judge of the software side, judged: it must be silent about what is
 * right and name what is not. */
#include "dmt/check.h"
#include "dmt/regs.h"
#include "dmt/table.h"
#include "soft_world.h"
#include "xorshift.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RW  (DMT_OS_R | DMT_OS_W)
#define RX  (DMT_OS_R | DMT_OS_X)
#define ALL (RW | DMT_OS_X)

#define silent(call)                                                                                         \
    do {                                                                                                     \
        const char *said_ = (call);                                                                          \
        cr_assert_null(said_, "%s", said_);                                                                  \
    } while (0)
#define reports(call, ...)                                                                                   \
    do {                                                                                                     \
        const char *said_ = (call);                                                                          \
        const char *const word_[] = {__VA_ARGS__};                                                           \
        cr_assert_not_null(said_, "nothing reported, expected: %s", word_[0]);                               \
        for (size_t i_ = 0; i_ < sizeof word_ / sizeof *word_; i_++) {                                       \
            cr_assert_not_null(strstr(said_, word_[i_]), "%s missing in: %s", word_[i_], said_);             \
        }                                                                                                    \
    } while (0)

/* ---------------------------------------------------------------- answers */

static struct dmt_oracle *o;
static struct dmt_os_watch w;

/* An oracle of two threads, both of which have run process 1. */
static void start(void)
{
    o = dmt_oracle_new(2);
    w = dmt_oracle_watch(o);
    w.spawned(w.user, 1, NULL);
    w.switched(w.user, 0, 1);
    w.switched(w.user, 1, 1);
}

static void stop(void)
{
    dmt_oracle_delete(o);
}

static const char *answer(int pid, unsigned thread, uint64_t vpn, uint8_t access, uint64_t pfn,
                          unsigned rights, uint64_t moment)
{
    struct dmt_request q = {.va = vpn << 12 | 0x123, .access = access, .cpl = 3, .nonspec = true};
    struct dmt_result r = {.status = DMT_STATUS_OK, .pa = pfn << 12 | 0x123};

    r.rights = (uint8_t)(2 | ((rights & DMT_OS_W) != 0) | ((rights & DMT_OS_X) != 0 ? 4 : 0));
    return dmt_oracle_judge(o, pid, thread, &q, &r, moment, false);
}

static const char *reads(unsigned thread, uint64_t vpn, uint64_t pfn, unsigned rights)
{
    return answer(1, thread, vpn, DMT_ACCESS_READ, pfn, rights, dmt_oracle_now(o));
}

static const char *writes(unsigned thread, uint64_t vpn, uint64_t pfn)
{
    return answer(1, thread, vpn, DMT_ACCESS_WRITE, pfn, RW, dmt_oracle_now(o));
}

static const char *faults_at(unsigned thread, uint64_t vpn, uint8_t access, uint64_t error, uint64_t moment)
{
    struct dmt_request q = {.va = vpn << 12, .access = access, .cpl = 3, .nonspec = true};
    struct dmt_result r = {.status = DMT_STATUS_PF, .addr = q.va, .error = error};

    return dmt_oracle_judge(o, 1, thread, &q, &r, moment, false);
}

static const char *faults(unsigned thread, uint64_t vpn, uint8_t access, uint64_t error)
{
    return faults_at(thread, vpn, access, error, dmt_oracle_now(o));
}

static void flush_all(uint64_t vpn, uint64_t n)
{
    w.flushed(w.user, 1, 0, vpn, n);
    w.flushed(w.user, 1, 1, vpn, n);
}

TestSuite(oracle, .init = start, .fini = stop);

Test(oracle, the_state_of_now)
{
    w.mapped(w.user, 1, 0x100, 4, 0x5000, RW);
    cr_assert_eq(dmt_oracle_pages(o), 4);
    silent(reads(0, 0x103, 0x5003, RW));
    silent(writes(0, 0x102, 0x5002));
    reports(reads(0, 0x103, 0x5002, RW), "vpn 0x103", "frame 0x5003 RW-", "pa 0x5002123");
    reports(reads(0, 0x104, 0x5004, RW), "vpn 0x104", "nothing mapped");
    reports(reads(0, 0xff, 0x4fff, RW), "nothing mapped");
    reports(answer(2, 0, 0x100, DMT_ACCESS_READ, 0x5000, RW, dmt_oracle_now(o)), "pid 2");
}

Test(oracle, the_offset_belongs_to_the_answer)
{
    struct dmt_request q = {.va = 0x100123, .access = DMT_ACCESS_READ, .cpl = 3};
    struct dmt_result r = {.status = DMT_STATUS_OK, .pa = 0x5000124};

    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    reports(dmt_oracle_judge(o, 1, 0, &q, &r, dmt_oracle_now(o), true), "from the TLB");
}

Test(oracle, other_statuses_are_not_its_business)
{
    struct dmt_request q = {.va = 0x100123, .access = DMT_ACCESS_READ, .cpl = 3};
    struct dmt_result r = {.status = DMT_STATUS_RETRY};

    silent(dmt_oracle_judge(o, 1, 0, &q, &r, dmt_oracle_now(o), false));
}

Test(oracle, rights_of_an_answer)
{
    w.mapped(w.user, 1, 0x100, 1, 0x5000, DMT_OS_R);
    silent(reads(0, 0x100, 0x5000, DMT_OS_R));
    reports(reads(0, 0x100, 0x5000, RW), "R--", "W-");
    reports(reads(0, 0x100, 0x5000, RX), "-X");
    reports(writes(0, 0x100, 0x5000), "write");
    reports(answer(1, 0, 0x100, DMT_ACCESS_EXECUTE, 0x5000, DMT_OS_R, dmt_oracle_now(o)), "fetch");
    w.mapped(w.user, 1, 0x200, 1, 0x6000, DMT_OS_X);
    silent(reads(0, 0x200, 0x6000, DMT_OS_X)); /* present pages can be read */
    w.mapped(w.user, 1, 0x300, 1, 0x7000, 0);
    reports(reads(0, 0x300, 0x7000, 0), "---");
}

Test(oracle, replaced_states_end_with_the_flush_of_their_thread)
{
    uint64_t before;

    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.mapped(w.user, 1, 0x100, 1, 0x6000, RW);
    silent(reads(0, 0x100, 0x5000, RW));
    silent(reads(1, 0x100, 0x5000, RW));
    silent(reads(0, 0x100, 0x6000, RW));
    before = dmt_oracle_now(o);
    w.flushed(w.user, 1, 0, 0x100, 1);
    reports(reads(0, 0x100, 0x5000, RW), "thread 0", "frame 0x6000", "pa 0x5000123");
    silent(answer(1, 0, 0x100, DMT_ACCESS_READ, 0x5000, RW, before)); /* was in flight */
    silent(reads(1, 0x100, 0x5000, RW));
    w.flushed(w.user, 1, 1, 0x100, 1);
    reports(reads(1, 0x100, 0x5000, RW), "thread 1");
    silent(reads(1, 0x100, 0x6000, RW));
}

Test(oracle, flushes_of_another_page_or_process_end_nothing)
{
    w.spawned(w.user, 2, NULL);
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.unmapped(w.user, 1, 0x100, 1);
    cr_assert_eq(dmt_oracle_pages(o), 0);
    w.flushed(w.user, 1, 0, 0xff, 1);
    w.flushed(w.user, 1, 0, 0x101, 1);
    w.flushed(w.user, 2, 0, 0x100, 1);
    silent(reads(0, 0x100, 0x5000, RW));
    w.flushed(w.user, 1, 0, 0, UINT64_C(1) << 52); /* the space as a whole */
    reports(reads(0, 0x100, 0x5000, RW), "nothing mapped");
    silent(reads(1, 0x100, 0x5000, RW));
}

Test(oracle, a_thread_that_never_ran_the_process_holds_nothing)
{
    w.spawned(w.user, 2, NULL);
    w.switched(w.user, 0, 2);
    w.mapped(w.user, 2, 0x100, 1, 0x5000, RW);
    w.mapped(w.user, 2, 0x100, 1, 0x6000, RW);
    silent(answer(2, 0, 0x100, DMT_ACCESS_READ, 0x5000, RW, dmt_oracle_now(o)));
    reports(answer(2, 1, 0x100, DMT_ACCESS_READ, 0x5000, RW, dmt_oracle_now(o)), "pid 2 thread 1");
    w.switched(w.user, 1, 2);
    reports(answer(2, 1, 0x100, DMT_ACCESS_READ, 0x5000, RW, dmt_oracle_now(o)), "pid 2 thread 1");
}

Test(oracle, a_thread_that_switches_away_and_back_holds_what_is_not_flushed)
{
    w.spawned(w.user, 2, NULL);
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.switched(w.user, 1, 2);
    w.unmapped(w.user, 1, 0x100, 1);
    w.flushed(w.user, 1, 0, 0x100, 1);
    w.switched(w.user, 1, 1);
    silent(reads(1, 0x100, 0x5000, RW));
    w.flushed(w.user, 1, 1, 0, UINT64_C(1) << 40);
    reports(reads(1, 0x100, 0x5000, RW), "nothing mapped");
}

Test(oracle, a_process_that_has_ended_maps_nothing)
{
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.exited(w.user, 1);
    cr_assert_eq(dmt_oracle_pages(o), 0);
    reports(reads(0, 0x100, 0x5000, RW), "nothing mapped");
    w.spawned(w.user, 1, NULL);
    reports(reads(0, 0x100, 0x5000, RW), "nothing mapped");
}

Test(oracle, rights_taken_away_end_with_the_flush)
{
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.mapped(w.user, 1, 0x100, 1, 0x5000, DMT_OS_R);
    silent(writes(0, 0x100, 0x5000));
    silent(faults(0, 0x100, DMT_ACCESS_WRITE, 7));
    w.flushed(w.user, 1, 0, 0x100, 1);
    reports(writes(0, 0x100, 0x5000), "R--");
    silent(faults(0, 0x100, DMT_ACCESS_WRITE, 7));
    silent(writes(1, 0x100, 0x5000));
}

Test(oracle, faults_that_the_record_asks_for)
{
    silent(faults(0, 0x100, DMT_ACCESS_READ, 4));
    w.mapped(w.user, 1, 0x100, 1, 0x5000, DMT_OS_R);
    silent(faults(0, 0x100, DMT_ACCESS_WRITE, 7));
    silent(faults(0, 0x100, DMT_ACCESS_EXECUTE, 0x15));
    reports(faults(0, 0x100, DMT_ACCESS_WRITE, 15), "PF, error 0xf"); /* reserved bits are nobody's wish */
    w.mapped(w.user, 1, 0x100, 1, 0x5000, 0);
    flush_all(0x100, 1);
    silent(faults(0, 0x100, DMT_ACCESS_READ, 5));
}

Test(oracle, spurious_faults_of_protection)
{
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    reports(faults(0, 0x100, DMT_ACCESS_READ, 5), "vpn 0x100", "frame 0x5000", "PF");
    reports(faults(0, 0x100, DMT_ACCESS_WRITE, 7), "PF");
    /* More rights need no flush: the old ones may stay. */
    w.mapped(w.user, 1, 0x200, 1, 0x6000, DMT_OS_R);
    w.mapped(w.user, 1, 0x200, 1, 0x6000, RW);
    silent(faults(0, 0x200, DMT_ACCESS_WRITE, 7));
    reports(faults(0, 0x200, DMT_ACCESS_READ, 5),
            "RW-"); /* neither the old state nor the new one forbids it */
    w.flushed(w.user, 1, 0, 0x200, 1);
    reports(faults(0, 0x200, DMT_ACCESS_WRITE, 7), "RW-");
    silent(faults(1, 0x200, DMT_ACCESS_WRITE, 7));
}

Test(oracle, a_huge_page_is_one_interval_until_it_is_not)
{
    uint64_t vpn = UINT64_C(1) << 30, pfn = 0x40000, n = 262144;

    w.mapped(w.user, 1, vpn, n, pfn, RW);
    cr_assert_eq(dmt_oracle_pages(o), n);
    silent(reads(0, vpn + n - 1, pfn + n - 1, RW));
    w.mapped(w.user, 1, vpn + 1000, 10, 0x9000000, DMT_OS_R);
    w.unmapped(w.user, 1, vpn + 5000, 512);
    cr_assert_eq(dmt_oracle_pages(o), n - 512);
    flush_all(vpn + 1003, 2);
    silent(reads(0, vpn + 999, pfn + 999, RW));
    silent(reads(0, vpn + 1002, pfn + 1002, RW)); /* not flushed */
    reports(reads(0, vpn + 1003, pfn + 1003, RW), "frame 0x9000003");
    reports(reads(0, vpn + 1004, pfn + 1004, RW), "frame 0x9000004");
    silent(reads(0, vpn + 1005, pfn + 1005, RW));
    silent(reads(0, vpn + 1009, 0x9000009, DMT_OS_R));
    silent(reads(0, vpn + 1010, pfn + 1010, RW));
    silent(reads(0, vpn + 5000, pfn + 5000, RW));
    silent(faults(0, vpn + 5511, DMT_ACCESS_READ, 4));
    silent(reads(0, vpn + 5512, pfn + 5512, RW));
    flush_all(vpn, n);
    reports(reads(0, vpn + 5000, pfn + 5000, RW), "nothing mapped");
    silent(reads(0, vpn + 5512, pfn + 5512, RW));
    w.mapped(w.user, 1, vpn, n, pfn, RW);
    cr_assert_eq(dmt_oracle_pages(o), n);
    silent(reads(0, vpn + 5000, pfn + 5000, RW));
    silent(reads(0, vpn + 1003, pfn + 1003, RW));
}

/* More intervals than may pile up before they are looked over. */
static void map_apart(uint64_t vpn, uint64_t n, uint64_t pfn)
{
    for (uint64_t i = 0; i < n; i++) {
        w.mapped(w.user, 1, vpn + i, 1, pfn + 2 * i, RW);
    }
}

Test(oracle, forgetting_keeps_what_is_not_flushed)
{
    uint64_t before;

    map_apart(0x100, 64, 0x5000);
    before = dmt_oracle_now(o);
    w.unmapped(w.user, 1, 0x100, 64);
    w.flushed(w.user, 1, 0, 0x100, 64);
    dmt_oracle_forget(o, before);
    silent(answer(1, 0, 0x100, DMT_ACCESS_READ, 0x5000, RW, before));
    dmt_oracle_forget(o, dmt_oracle_now(o));
    silent(reads(1, 0x13f, 0x507e, RW));
    w.flushed(w.user, 1, 1, 0x100, 64);
    dmt_oracle_forget(o, dmt_oracle_now(o));
    reports(reads(1, 0x13f, 0x507e, RW), "nothing mapped");
}

Test(oracle, forgetting_keeps_what_an_access_in_flight_may_have_met)
{
    uint64_t before;

    map_apart(0x100, 64, 0x5000);
    before = dmt_oracle_now(o);
    w.mapped(w.user, 1, 0x100, 64, 0x9000, RW);
    flush_all(0x100, 64);
    dmt_oracle_forget(o, before);
    silent(answer(1, 1, 0x102, DMT_ACCESS_READ, 0x5004, RW, before));
    reports(reads(1, 0x102, 0x5004, RW), "frame 0x9002");
}

Test(oracle, forgetting_keeps_what_may_still_be_told_clean)
{
    map_apart(0x100, 64, 0x5000);
    silent(writes(0, 0x120, 0x5040));
    w.unmapped(w.user, 1, 0x100, 64);
    flush_all(0x100, 64);
    dmt_oracle_forget(o, dmt_oracle_now(o));
    w.cleaned(w.user, 1, 0x100, 64, true);
    reports(faults(0, 0x100, DMT_ACCESS_READ, 4), "dropped", "vpn 0x120", "frame 0x5040");
}

/* ---------------------------------------------------------------- frames below */

struct host {
    uint64_t at[16]; /* 0: not backed */
};

static bool to_host(void *user, uint64_t pfn, uint64_t *hpfn)
{
    const struct host *h = user;

    *hpfn = pfn < 16 ? h->at[pfn] : 0;
    return *hpfn != 0;
}

Test(oracle, frames_of_a_guest_are_compared_in_the_host)
{
    struct host h = {.at = {[3] = 0x1003, [4] = 0x2004}};

    dmt_oracle_below(o, to_host, &h);
    w.mapped(w.user, 1, 0x100, 3, 3, RW);
    silent(reads(0, 0x100, 0x1003, RW));
    silent(reads(0, 0x101, 0x2004, RW));
    reports(reads(0, 0x100, 3, RW), "frame 0x3", "host frame 0x1003");
    reports(reads(0, 0x102, 5, RW), "frame 0x5");
}

Test(oracle, moved_frames_are_legal_until_flushed)
{
    struct host h = {.at = {[3] = 0x1003}};
    uint64_t before;

    dmt_oracle_below(o, to_host, &h);
    w.mapped(w.user, 1, 0x100, 1, 3, RW);
    dmt_oracle_moved(o, 3, 0x1003);
    silent(reads(0, 0x100, 0x1003, RW));
    h.at[3] = 0x4003;
    silent(reads(0, 0x100, 0x1003, RW));
    silent(reads(0, 0x100, 0x4003, RW));
    before = dmt_oracle_now(o);
    dmt_oracle_moved_flushed(o, 3, 0);
    reports(reads(0, 0x100, 0x1003, RW), "host frame 0x4003");
    silent(answer(1, 0, 0x100, DMT_ACCESS_READ, 0x1003, RW, before));
    silent(reads(1, 0x100, 0x1003, RW));
    dmt_oracle_moved_flushed(o, 4, 1);
    dmt_oracle_forget(o, dmt_oracle_now(o));
    silent(reads(1, 0x100, 0x1003, RW));
    dmt_oracle_moved_flushed(o, 3, 1);
    dmt_oracle_forget(o, dmt_oracle_now(o));
    reports(reads(1, 0x100, 0x1003, RW), "thread 1");
    silent(reads(1, 0x100, 0x4003, RW));
}

/* ---------------------------------------------------------------- dirty pages */

Test(oracle, a_written_page_must_not_be_dropped)
{
    w.mapped(w.user, 1, 0x100, 4, 0x5000, RW);
    silent(writes(0, 0x102, 0x5002));
    w.unmapped(w.user, 1, 0x100, 4);
    flush_all(0x100, 4);
    w.cleaned(w.user, 1, 0x100, 2, true);
    silent(faults(0, 0x100, DMT_ACCESS_READ, 4));
    w.cleaned(w.user, 1, 0x102, 2, true);
    reports(faults(0, 0x100, DMT_ACCESS_READ, 4), "dropped", "vpn 0x102", "frame 0x5002");
    silent(faults(0, 0x100, DMT_ACCESS_READ, 4)); /* once */
}

Test(oracle, a_page_written_out_may_be_dropped)
{
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    silent(writes(0, 0x100, 0x5000));
    w.cleaned(w.user, 1, 0x100, 1, false);
    w.cleaned(w.user, 1, 0x100, 1, true);
    silent(reads(0, 0x100, 0x5000, RW));
    silent(writes(0, 0x100, 0x5000));
    w.cleaned(w.user, 1, 0x100, 1, true);
    reports(reads(0, 0x100, 0x5000, RW), "dropped");
}

Test(oracle, reads_and_speculative_writes_make_nothing_dirty)
{
    struct dmt_request q = {.va = 0x100123, .access = DMT_ACCESS_WRITE, .cpl = 3};
    struct dmt_result r = {.status = DMT_STATUS_OK, .pa = 0x5000123, .rights = 3};

    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    silent(reads(0, 0x100, 0x5000, RW));
    silent(dmt_oracle_judge(o, 1, 0, &q, &r, dmt_oracle_now(o), false));
    w.cleaned(w.user, 1, 0x100, 1, true);
    silent(reads(0, 0x100, 0x5000, RW));
}

Test(oracle, writes_before_the_flush_count_for_the_old_page)
{
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.unmapped(w.user, 1, 0x100, 1);
    silent(writes(1, 0x100, 0x5000));
    flush_all(0x100, 1);
    w.cleaned(w.user, 1, 0x100, 1, true);
    reports(faults(0, 0x100, DMT_ACCESS_READ, 4), "dropped", "frame 0x5000");
}

Test(oracle, what_was_written_moves_with_its_page)
{
    /* mremap: entries move, with their D bits. */
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    silent(writes(0, 0x100, 0x5000));
    w.unmapped(w.user, 1, 0x100, 1);
    flush_all(0x100, 1);
    w.mapped(w.user, 1, 0x900, 1, 0x5000, RW);
    w.cleaned(w.user, 1, 0x900, 1, true);
    reports(reads(0, 0x900, 0x5000, RW), "vpn 0x900", "frame 0x5000", "at vpn 0x100");
    /* Promotion: the page is copied to another frame. */
    silent(writes(0, 0x900, 0x5000));
    w.mapped(w.user, 1, 0x800, 512, 0x8000, RW);
    flush_all(0x800, 512);
    w.cleaned(w.user, 1, 0x800, 512, true);
    reports(reads(0, 0x900, 0x8100, RW), "vpn 0x900", "frame 0x8100");
}

Test(oracle, a_frame_of_two_mappings_is_dirty_by_the_one_that_wrote)
{
    w.spawned(w.user, 2, NULL);
    w.mapped(w.user, 1, 0x100, 1, 0x5000, RW);
    w.mapped(w.user, 2, 0x700, 1, 0x5000, RW);
    silent(writes(0, 0x100, 0x5000));
    w.unmapped(w.user, 2, 0x700, 1);
    w.cleaned(w.user, 2, 0x700, 1, true); /* its own D bit is clear, and the other's is still to be seen */
    silent(reads(0, 0x100, 0x5000, RW));
    w.mapped(w.user, 2, 0x700, 1, 0x5000, RW);
    w.exited(w.user, 1);
    w.unmapped(w.user, 2, 0x700, 1);
    w.cleaned(w.user, 2, 0x700, 1, true);
    reports(reads(0, 0x100, 0x5000, RW), "nothing mapped");
    reports(faults(0, 0x100, DMT_ACCESS_READ, 4), "dropped", "pid 2 vpn 0x700", "by pid 1 at vpn 0x100");
}

/* ---------------------------------------------------------------- random, against a page by page record */

#define PAGES  48
#define STATES 4096

struct plain {
    uint64_t pfn;
    unsigned rights;
    uint64_t end[2]; /* per thread, UINT64_MAX: not flushed, or the state of now */
};

static struct plain plain[PAGES][STATES];
static unsigned plains[PAGES];
static uint64_t rng_state = 88172645463325252;

static uint64_t rng(uint64_t n)
{
    return xorshift(&rng_state) % n;
}

static void replace(uint64_t vpn, uint64_t n, bool present, uint64_t pfn, unsigned rights)
{
    if (present) {
        w.mapped(w.user, 1, 0x1000 + vpn, n, pfn, rights);
    } else {
        w.unmapped(w.user, 1, 0x1000 + vpn, n);
    }
    for (uint64_t i = vpn; i < vpn + n; i++) {
        plain[i][plains[i]++] =
            (struct plain){present ? pfn + (i - vpn) : 0, present ? rights : 0, {UINT64_MAX, UINT64_MAX}};
    }
}

static bool legal(uint64_t vpn, unsigned thread, uint64_t pfn, uint64_t moment)
{
    for (unsigned k = 0; k < plains[vpn]; k++) {
        const struct plain *p = &plain[vpn][k];
        if (p->rights != 0 && p->pfn == pfn && p->end[thread] > moment) {
            return true;
        }
    }
    return false;
}

Test(oracle, agrees_with_a_record_kept_page_by_page)
{
    unsigned said[2] = {0, 0};

    for (unsigned step = 0; step < 4000; step++) {
        uint64_t vpn = rng(PAGES), n = 1 + rng(PAGES - vpn), now = dmt_oracle_now(o);
        unsigned thread = (unsigned)rng(2);
        switch (rng(8)) {
        case 0:
        case 1:
            replace(vpn, n, true, 0x5000 + rng(3) * PAGES + vpn, rng(2) != 0 ? RW : DMT_OS_R);
            break;
        case 2:
            replace(vpn, n, false, 0, 0);
            break;
        case 3:
            dmt_oracle_forget(o, now > 20 ? now - 20 : 0);
            break;
        default:
            w.flushed(w.user, 1, thread, 0x1000 + vpn, n);
            for (uint64_t i = vpn; i < vpn + n; i++) {
                for (unsigned k = 0; k + 1 < plains[i]; k++) {
                    uint64_t *end = &plain[i][k].end[thread];
                    *end = *end == UINT64_MAX ? dmt_oracle_now(o) : *end;
                }
            }
        }
        for (unsigned k = 0; k < 16; k++) {
            uint64_t page = rng(PAGES), pfn = 0x5000 + rng(3) * PAGES + page;
            uint64_t moment = dmt_oracle_now(o) - rng(dmt_oracle_now(o) < 20 ? 1 : 20);
            const char *wrong = answer(1, thread, 0x1000 + page, DMT_ACCESS_READ, pfn, DMT_OS_R, moment);
            bool right = legal(page, thread, pfn, moment);
            cr_assert_eq(wrong == NULL, right,
                         "step %u page %" PRIu64 " frame 0x%" PRIx64 " at %" PRIu64 ": %s", step, page, pfn,
                         moment, wrong == NULL ? "silent" : wrong);
            said[right]++;
        }
    }
    cr_assert(said[0] > 1000 && said[1] > 1000, "%u illegal, %u legal", said[0], said[1]);
}

/* ---------------------------------------------------------------- spaces */

#define FRAMES 0x40000u
#define IN_USE 0x20000u /* frames from here on are data: never allocated by the board */

struct board {
    struct dmt_mem *mem;
    struct dmt_buddy *buddy;
    struct dmt_platform platform;
    struct dmt_space *space;
    struct dmt_vma area[8];
    unsigned sizes[8];
    size_t areas;
    struct dmt_tea hw[2][DMT_TEA_MAX]; /* as the threads have them */
};

static uint64_t b_load(void *user, uint64_t pa)
{
    uint64_t v = 0;

    dmt_mem_read(((struct board *)user)->mem, pa, &v);
    return v;
}

static void b_store(void *user, uint64_t pa, uint64_t value)
{
    struct board *b = user;

    if (dmt_buddy_has(b->buddy, pa >> 12)) {
        dmt_mem_add(b->mem, pa >> 12);
        dmt_mem_write(b->mem, pa, value);
    }
}

static uint64_t b_exchange(void *user, uint64_t pa, uint64_t value)
{
    uint64_t old = b_load(user, pa);

    b_store(user, pa, value);
    return old;
}

static void b_clear(void *user, uint64_t pfn)
{
    memset(dmt_mem_add(((struct board *)user)->mem, pfn), 0, 4096);
}

static void b_csr(void *user, unsigned thread, unsigned offset, uint64_t value)
{
    (void)user;
    (void)thread;
    (void)offset;
    (void)value;
}

static size_t b_tea_alloc(void *user, const uint64_t *frames, size_t n, struct dmt_grant *grant, size_t room)
{
    struct board *b = user;
    size_t got = 0;

    for (size_t i = 0; i < n && got < room; i++) {
        uint64_t pfn;
        if (!dmt_buddy_alloc_run(b->buddy, frames[i], &pfn)) {
            continue;
        }
        for (uint64_t k = 0; k < frames[i]; k++) {
            b_clear(b, pfn + k);
        }
        grant[got++] = (struct dmt_grant){.request = i, .pfn = pfn, .frames = frames[i]};
    }
    return got;
}

static void b_tea_release(void *user, const struct dmt_grant *grant, uint64_t skip, uint64_t frames)
{
    cr_assert(dmt_buddy_release(((struct board *)user)->buddy, grant->pfn + skip, frames));
}

static bool b_next_area(void *user, uint64_t vpn, struct dmt_vma *area, unsigned *sizes)
{
    const struct board *b = user;

    for (size_t i = 0; i < b->areas; i++) {
        if (b->area[i].vpn + b->area[i].pages > vpn) {
            *area = b->area[i];
            *sizes = b->sizes[i];
            return true;
        }
    }
    return false;
}

static void b_set_register(void *user, unsigned index, const struct dmt_tea *tea)
{
    struct board *b = user;

    b->hw[0][index] = b->hw[1][index] = *tea;
}

static void b_flush(void *user, uint64_t vpn, uint64_t pages, bool tables)
{
    (void)user;
    (void)tables;
    flush_all(vpn, pages);
}

static struct board *board_new(enum dmt_space_format format, unsigned levels, unsigned defects)
{
    struct board *b = calloc(1, sizeof *b);

    b->mem = dmt_mem_new();
    b->buddy = dmt_buddy_new(1, FRAMES - 1);
    cr_assert(dmt_buddy_alloc_at(b->buddy, IN_USE, FRAMES - IN_USE));
    b->platform = (struct dmt_platform){.user = b,
                                        .threads = 2,
                                        .registers = 16,
                                        .maxpa = 40,
                                        .buddy = b->buddy,
                                        .load = b_load,
                                        .store = b_store,
                                        .exchange = b_exchange,
                                        .clear = b_clear,
                                        .csr = b_csr,
                                        .tea_alloc = b_tea_alloc,
                                        .tea_release = b_tea_release};
    struct dmt_space_options options = {.format = format,
                                        .levels = levels,
                                        .platform = &b->platform,
                                        .port = {b, b_next_area, b_set_register, b_flush},
                                        .policy = dmt_tea_policy_default(),
                                        .defects = defects};
    options.policy.background = 0;
    b->space = dmt_space_new(&options);
    cr_assert_not_null(b->space);
    start();
    w.exited(w.user, 1);
    w.spawned(w.user, 1, b->space);
    w.switched(w.user, 0, 1);
    w.switched(w.user, 1, 1);
    return b;
}

static void board_free(struct board *b)
{
    stop();
    dmt_space_delete(b->space);
    dmt_buddy_delete(b->buddy);
    dmt_mem_free(b->mem);
    free(b);
}

static void add_area(struct board *b, uint64_t vpn, uint64_t pages, unsigned sizes)
{
    b->area[b->areas] = (struct dmt_vma){vpn, pages};
    b->sizes[b->areas++] = sizes;
    dmt_space_areas_changed(b->space, vpn, pages);
}

static uint64_t leaf_of(const struct board *b, uint64_t pfn, unsigned rights)
{
    if (dmt_space_format(b->space) == DMT_SPACE_EPT) {
        return pfn << 12 | rights;
    }
    return pfn << 12 | DMT_PTE_P | DMT_PTE_U | DMT_PTE_A | ((rights & DMT_OS_W) != 0 ? DMT_PTE_W : 0) |
           ((rights & DMT_OS_X) != 0 ? 0 : DMT_PTE_XD);
}

static void map(struct board *b, uint64_t vpn, unsigned size, uint64_t pfn, unsigned rights)
{
    w.mapped(w.user, 1, vpn, UINT64_C(1) << 9 * size, pfn, rights);
    cr_assert(dmt_space_map(b->space, vpn, size, leaf_of(b, pfn, rights)));
}

static const char *check(const struct board *b)
{
    const struct dmt_tea *loaded[2] = {b->hw[0], b->hw[1]};

    return dmt_check_space(b->space, o, 1, NULL, loaded, 2);
}

/* Three areas with holes in them; 4K pages, a 2M page, and a block of the first that is empty. */
#define A 0x10000u
#define B 0x80000u

static struct board *usual(enum dmt_space_format format, unsigned levels)
{
    struct board *b = board_new(format, levels, 0);

    add_area(b, A, 8 * 512, 1);
    add_area(b, B, 4 * 512, 3);
    dmt_space_settle(b->space);
    for (uint64_t i = 0; i < 4 * 512; i += 1 + i % 3) {
        map(b, A + i, DMT_SIZE_4K, IN_USE + i, i % 2 != 0 ? RW : RX);
    }
    map(b, B + 512, DMT_SIZE_2M, IN_USE + 0x2000, RW);
    map(b, B + 3, DMT_SIZE_4K, IN_USE + 0x1003, DMT_OS_R);
    dmt_space_settle(b->space);
    silent(check(b));
    return b;
}

/* The LIVE TEA of that size which has the page. */
static struct dmt_tea_view tea_of(const struct board *b, uint64_t vpn, unsigned size)
{
    uint64_t block = vpn >> 9 * (size + 1);

    for (size_t i = 0; i < dmt_space_teas(b->space); i++) {
        struct dmt_tea_view v = dmt_space_tea(b->space, i);
        if (v.state == DMT_TEA_LIVE && v.size == size && block >= v.first && block - v.first < v.blocks) {
            return v;
        }
    }
    cr_assert_fail("no LIVE TEA of size %u has vpn 0x%" PRIx64, size, vpn);
    return (struct dmt_tea_view){0};
}

/* Where the upper entry is that links the leaf table of vpn, by a walk of 4K leaves. */
static uint64_t link_of(const struct board *b, uint64_t vpn, unsigned level)
{
    uint64_t table = dmt_space_root(b->space), pa = 0;

    for (unsigned l = dmt_space_levels(b->space); l > level; l--) {
        pa = dmt_table_entry_addr(table, l, vpn << 12);
        table = (b_load((void *)(uintptr_t)b, pa) & DMT_PTE_FRAME) >> 12;
    }
    return pa;
}

static uint64_t leaf_pa(const struct board *b, uint64_t vpn)
{
    unsigned level;

    return dmt_space_entry_pa(b->space, vpn, &level);
}

Test(space, all_formats_are_silent)
{
    static const struct {
        enum dmt_space_format format;
        unsigned levels;
    } kind[] = {{DMT_SPACE_IA32E, 4},
                {DMT_SPACE_IA32E, 5},
                {DMT_SPACE_EPT, 4},
                {DMT_SPACE_NPT, 4},
                {DMT_SPACE_EPT, 5}};

    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        struct board *b = usual(kind[i].format, kind[i].levels);
        tea_of(b, A, DMT_SIZE_4K);
        silent(dmt_check_space(b->space, NULL, -1, NULL, NULL, 0));
        board_free(b);
    }
}

Test(space, the_canonical_upper_half)
{
    struct board *b = board_new(DMT_SPACE_IA32E, 4, 0);
    uint64_t vpn = UINT64_C(0xffff800000000);

    add_area(b, vpn, 1024, 1);
    map(b, vpn + 5, DMT_SIZE_4K, IN_USE, RW);
    dmt_space_settle(b->space);
    silent(check(b));
    board_free(b);
}

Test(space, work_and_unmapping_stay_silent)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    for (uint64_t i = 0; i < 4 * 512; i += 1 + i % 3) {
        w.unmapped(w.user, 1, A + i, 1);
        dmt_space_exchange(b->space, A + i, DMT_SIZE_4K, 0);
        dmt_space_flush(b->space, A + i, 1);
        if (i % 100 == 0) {
            silent(check(b));
        }
    }
    b->area[0] = b->area[1];
    b->sizes[0] = b->sizes[1];
    b->areas = 1;
    dmt_space_areas_changed(b->space, A, 8 * 512);
    dmt_space_prune(b->space, A, 8 * 512);
    dmt_space_settle(b->space);
    silent(check(b));
    board_free(b);
}

Test(space, I1_registers_that_overlap)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    struct dmt_tea_view v = tea_of(b, A, DMT_SIZE_4K);

    cr_assert(v.index >= 0);
    b->hw[1][15] = b->hw[1][v.index];
    reports(check(b), "I1", "thread 1", "register 15", "0x10000");
    b->hw[1][15].valid = false;
    silent(check(b));
    b->hw[1][15].valid = true;
    b->hw[1][15].sz = DMT_SIZE_2M; /* other sizes may overlap; 4K leaves decide nothing there */
    silent(check(b));
    board_free(b);
}

Test(space, I1_TEAs_that_overlap)
{
    struct board *b = board_new(DMT_SPACE_IA32E, 4, DMT_DEFECT_BOUNDARY);
    const char *wrong;

    add_area(b, A, 8 * 512 + 100, 1);
    add_area(b, A + 8 * 512 + 300, 8 * 512, 1);
    map(b, A + 8 * 512 + 99, DMT_SIZE_4K, IN_USE, RW);
    map(b, A + 8 * 512 + 301, DMT_SIZE_4K, IN_USE + 1, RW);
    dmt_space_settle(b->space);
    wrong = check(b);
    reports(wrong, "I1", "TEA");
    board_free(b);
}

Test(space, I2_a_slot_that_is_not_linked_holds_a_leaf)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pa = link_of(b, A + 512, 1), old = b_load(b, pa);

    b_store(b, pa, 0);
    reports(check(b), "I2", "TEA", "vpn 0x10201");
    b_store(b, pa, old);
    silent(check(b));
    board_free(b);
}

Test(space, I2_under_a_larger_leaf)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    struct dmt_tea_view v = tea_of(b, B + 512, DMT_SIZE_4K);
    uint64_t slot = v.grant.pfn + (((B + 512) >> 9) - v.first);

    b_store(b, slot << 12 | 7 * 8, leaf_of(b, IN_USE + 5, RW));
    reports(check(b), "I2", "vpn 0x80207", "none of that size");
    board_free(b);
}

Test(space, I2_of_what_is_not_a_leaf_of_the_size)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    struct dmt_tea_view v = tea_of(b, B + 512, DMT_SIZE_4K);
    uint64_t slot = v.grant.pfn + (((B + 512) >> 9) - v.first);

    b_store(b, slot << 12 | 7 * 8, (IN_USE + 5) << 12); /* not present: decides nothing */
    silent(check(b));
    board_free(b);
}

Test(space, I3_a_table_linked_beside_its_slot)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    struct dmt_tea_view v = tea_of(b, A, DMT_SIZE_4K);
    uint64_t pa = link_of(b, A + 512, 1), slot = v.grant.pfn + (((A + 512) >> 9) - v.first), pfn;

    cr_assert_eq((b_load(b, pa) & DMT_PTE_FRAME) >> 12, slot);
    cr_assert(dmt_buddy_alloc(b->buddy, 0, &pfn));
    memcpy(dmt_mem_add(b->mem, pfn), dmt_mem_frame(b->mem, slot), 4096);
    b_store(b, pa, (b_load(b, pa) & ~DMT_PTE_FRAME) | pfn << 12);
    reports(check(b), "I3", "vpn 0x10201");
    b_clear(b, slot); /* an empty slot beside it is nobody's concern */
    silent(check(b));
    memcpy(dmt_mem_frame(b->mem, slot), dmt_mem_frame(b->mem, pfn), 4096);
    b_store(b, pa, (b_load(b, pa) & ~DMT_PTE_FRAME) | slot << 12);
    cr_assert(dmt_buddy_release(b->buddy, pfn, 1));
    board_free(b);
}

Test(space, I3_by_a_register_of_the_space)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    int index = tea_of(b, A, DMT_SIZE_4K).index;
    struct dmt_tea *tea = (struct dmt_tea *)(uintptr_t)&dmt_space_registers(b->space)[index];

    tea->base_vpn -= 512; /* growth at the front without a new base */
    reports(dmt_check_space(b->space, NULL, -1, NULL, NULL, 0), "I", "register", "vpn 0x");
    tea->base_vpn += 512;
    silent(check(b));
    board_free(b);
}

Test(space, I2_and_I3_of_a_thread_whose_register_is_off)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    int index = tea_of(b, A, DMT_SIZE_4K).index;

    b->hw[1][index].base_pfn++;
    b->hw[1][index].pages -= 512;
    reports(check(b), "I", "thread 1", "vpn 0x");
    board_free(b);
}

Test(space, I4_frames_of_a_TEA)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    struct dmt_tea_view v = tea_of(b, A, DMT_SIZE_4K);

    cr_assert(dmt_buddy_release(b->buddy, v.grant.pfn + 6, 1));
    reports(check(b), "I4", "TEA", "vpn 0x10c00");
    cr_assert(dmt_buddy_alloc_at(b->buddy, v.grant.pfn + 6, 1));
    silent(check(b));
    board_free(b);
}

Test(space, I4_linked_tables)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pfn = (b_load(b, link_of(b, A, 3)) & DMT_PTE_FRAME) >> 12;

    cr_assert(dmt_buddy_release(b->buddy, pfn, 1));
    reports(check(b), "I4", "table of level 3");
    cr_assert(dmt_buddy_alloc_at(b->buddy, pfn, 1));
    cr_assert(dmt_buddy_release(b->buddy, dmt_space_root(b->space), 1));
    reports(check(b), "I4", "table of level 4");
    cr_assert(dmt_buddy_alloc_at(b->buddy, dmt_space_root(b->space), 1));
    board_free(b);
}

Test(space, I4_what_a_thread_still_reaches)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pfn;

    cr_assert(dmt_buddy_alloc_run(b->buddy, 2, &pfn));
    b->hw[0][15] =
        (struct dmt_tea){.base_vpn = 0x400000, .pages = 1024, .base_pfn = pfn, .allow = 7, .valid = true};
    silent(check(b)); /* nothing in it */
    cr_assert(dmt_buddy_release(b->buddy, pfn + 1, 1));
    reports(check(b), "I4", "register 15 of thread 0", "vpn 0x400200");
    b->hw[0][15].pages = 512;
    silent(check(b));
    cr_assert(dmt_buddy_release(b->buddy, pfn, 1));
    reports(check(b), "I4", "vpn 0x400000");
    board_free(b);
}

Test(space, I5_a_gTEA_without_a_machine)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    b->hw[0][15] = (struct dmt_tea){
        .base_vpn = 0x400000, .pages = 512, .kind = DMT_KIND_GTEA, .gtea = 77, .allow = 7, .valid = true};
    reports(check(b), "I5", "register 15 of thread 0", "ID 77");
    board_free(b);
}

/* ---------------------------------------------------------------- guests */

struct inside {
    struct world *world;
    struct dmt_vm *vm[2];
    struct guest *guest[2];
};

/* Two machines with a kernel each; the first is entered on thread 0. */
static struct inside guests(void)
{
    struct inside in = {.world = world_new(0x10000, 4, 16)};
    struct dmt_host_options options = world_options(in.world);
    struct dmt_vm_options machine = {.format = DMT_SPACE_EPT,
                                     .levels = 4,
                                     .ad = true,
                                     .frames = 4096,
                                     .pv = true,
                                     .quota = 512,
                                     .vcpus = 2};

    in.world->host = dmt_host_new(&options);
    cr_assert_not_null(in.world->host);
    for (unsigned i = 0; i < 2; i++) {
        in.vm[i] = dmt_vm_new(in.world->host, &machine);
        cr_assert_not_null(in.vm[i]);
        in.guest[i] = guest_new(dmt_vm_platform(in.vm[i]), 0x7f0000000, 4 * 512);
        guest_settle(in.guest[i]);
        for (uint64_t k = 0; k < 4 * 512; k += 37) {
            cr_assert(guest_map(in.guest[i], k));
        }
    }
    dmt_vm_enter(in.vm[0], 0);
    return in;
}

static void guests_free(struct inside in)
{
    dmt_vm_exit(in.vm[0], 0);
    for (unsigned i = 0; i < 2; i++) {
        guest_delete(in.guest[i]);
        dmt_vm_delete(in.vm[i]);
    }
    world_free(in.world);
}

static const char *check_guest(const struct inside *in, unsigned i, const struct dmt_vm *vm)
{
    const struct dmt_tea *loaded[2] = {in->world->state[0].tea[1], NULL};

    return dmt_check_space(in->guest[i]->s, NULL, -1, vm, i == 0 ? loaded : NULL, 2);
}

static struct dmt_tea *first_valid(struct dmt_tea *tea)
{
    while (!tea->valid) {
        tea++;
    }
    return tea;
}

Test(guest, its_own_gTEAs_are_right)
{
    struct inside in = guests();
    const struct dmt_tea *tea = first_valid(in.world->state[0].tea[1]);

    cr_assert(tea->kind == DMT_KIND_GTEA && tea->resolution == DMT_RESOLUTION_OK);
    silent(check_guest(&in, 0, in.vm[0]));
    silent(check_guest(&in, 1, in.vm[1]));
    silent(dmt_check_space(dmt_vm_space(in.vm[0]), NULL, -1, NULL, NULL, 0));
    guests_free(in);
}

/* IDs are each machine's own: it is what they resolve to that differs. */
Test(guest, I5_a_gTEA_of_another_machine)
{
    struct inside in = guests();
    const struct dmt_tea *others[1] = {in.world->state[0].tea[1]};
    struct dmt_tea *tea = first_valid(in.world->state[0].tea[1]), old = *tea;

    reports(dmt_check_space(in.guest[1]->s, NULL, -1, in.vm[1], others, 1), "I5", "resolved");
    tea->gtea = 99;
    reports(check_guest(&in, 0, in.vm[0]), "I5", "ID 99");
    *tea = old;
    reports(check_guest(&in, 0, NULL), "I5", "vpn 0x7f0000000");
    guests_free(in);
}

Test(guest, I5_resolved_to_what_is_not_the_machines)
{
    struct inside in = guests();
    struct dmt_tea *tea = first_valid(in.world->state[0].tea[1]), old = *tea;

    tea->gtea_base++;
    reports(check_guest(&in, 0, in.vm[0]), "I5", "of thread 0", "resolved");
    *tea = old;
    tea->gtea_pages++;
    reports(check_guest(&in, 0, in.vm[0]), "I5", "resolved");
    *tea = old;
    tea->resolution = DMT_RESOLUTION_REVOKED; /* reaches nothing */
    tea->gtea_base = tea->gtea_pages = 0;
    silent(check_guest(&in, 0, in.vm[0]));
    *tea = old;
    tea->base_pfn += 1000;
    reports(check_guest(&in, 0, in.vm[0]), "I5", "inside gTEA");
    *tea = old;
    silent(check_guest(&in, 0, in.vm[0]));
    guests_free(in);
}

Test(guest, I4_frames_of_a_gTEA_in_the_host)
{
    struct inside in = guests();
    const struct dmt_tea *tea = first_valid(in.world->state[0].tea[1]);
    uint64_t pfn = tea->gtea_base + tea->base_pfn + 1;

    cr_assert(dmt_buddy_release(in.world->buddy, pfn, 1));
    reports(check_guest(&in, 0, in.vm[0]), "I4", "hypervisor's frame", "vpn 0x7f0000200");
    cr_assert(dmt_buddy_alloc_at(in.world->buddy, pfn, 1));
    guests_free(in);
}

static void taken_back(void *user, uint16_t id)
{
    struct guest *guest = user;

    dmt_space_revoked(guest->s, id);
}

/* The tables of a gTEA that was taken back stay where they are, under an ID that is another gTEA's next. */
Test(guest, I4_an_ID_that_was_taken_back_and_given_again)
{
    struct inside in = guests();
    const struct dmt_platform *p = dmt_vm_platform(in.vm[0]);
    struct dmt_tea_view old = dmt_space_tea(in.guest[0]->s, 0);
    struct dmt_tea *tea = &in.world->state[0].tea[1][15];
    struct dmt_grant grant;

    dmt_vm_on_revoke(in.vm[0], taken_back, in.guest[0]);
    cr_assert(dmt_vm_revoke(in.vm[0], old.grant.id));
    cr_assert_eq(dmt_space_tea(in.guest[0]->s, 0).state, DMT_TEA_RETIRED);
    silent(check_guest(&in, 0, in.vm[0]));
    cr_assert_eq(p->tea_alloc(p->user, &old.blocks, 1, &grant, 1), 1);
    cr_assert_eq(grant.id, old.grant.id);
    *tea = (struct dmt_tea){.base_vpn = 0x400000,
                            .pages = 512,
                            .base_pfn = grant.inside,
                            .kind = DMT_KIND_GTEA,
                            .gtea = grant.id,
                            .valid = true};
    reports(check_guest(&in, 0, in.vm[0]), "I4", "register 15 of thread 0", "which no TEA has");
    tea->valid = false;
    p->tea_release(p->user, &grant, 0, grant.frames);
    guests_free(in);
}

Test(guest, I4_frames_of_a_gTEA_that_no_TEA_has)
{
    struct inside in = guests();
    uint64_t pfn, frames;
    unsigned spare = first_valid(in.world->state[0].tea[1])->gtea;
    struct dmt_tea *tea = &in.world->state[0].tea[1][15];

    cr_assert(dmt_vm_gtea(in.vm[0], spare, &pfn, &frames));
    *tea = (struct dmt_tea){.base_vpn = 0x400000,
                            .pages = 512,
                            .base_pfn = frames - 1,
                            .kind = DMT_KIND_GTEA,
                            .gtea = (uint16_t)spare,
                            .valid = true};
    for (size_t i = 0; i < dmt_space_teas(in.guest[0]->s); i++) {
        struct dmt_tea_view v = dmt_space_tea(in.guest[0]->s, i);
        cr_assert(v.state == DMT_TEA_ABSENT || v.grant.inside + v.grant.frames <= frames);
    }
    reports(check_guest(&in, 0, in.vm[0]), "register 15 of thread 0", "vpn 0x400");
    guests_free(in);
}

/* ---------------------------------------------------------------- the table against the record */

Test(space, the_table_maps_another_frame)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pa = leaf_pa(b, A + 1), old = b_load(b, pa);

    b_store(b, pa, old + 0x1000);
    reports(check(b), "oracle", "vpn 0x10001", "frame 0x20001", "frame 0x20002");
    b_store(b, pa, old);
    pa = leaf_pa(b, B + 512);
    old = b_load(b, pa);
    b_store(b, pa, old + 0x200000);
    reports(check(b), "oracle", "vpn 0x80200", "level 2");
    b_store(b, pa, old);
    silent(check(b));
    board_free(b);
}

Test(space, the_table_lacks_a_page)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pa = leaf_pa(b, A + 3), old = b_load(b, pa);

    b_store(b, pa, 0);
    reports(check(b), "oracle", "vpn 0x10003", "no leaf");
    b_store(b, pa, old);
    w.mapped(w.user, 1, B + 1500, 1, IN_USE, RW); /* behind everything in the table */
    reports(check(b), "oracle", "vpn 0x805dc", "no leaf");
    board_free(b);
}

Test(space, the_table_has_a_page_too_many)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    w.unmapped(w.user, 1, B + 512 + 100, 1);
    reports(check(b), "oracle", "vpn 0x80264", "nothing mapped");
    w.mapped(w.user, 1, B + 512 + 100, 1, IN_USE + 0x2000 + 100, RW);
    silent(check(b));
    cr_assert(dmt_space_map(b->space, B + 5, DMT_SIZE_4K, leaf_of(b, IN_USE, DMT_OS_R)));
    reports(check(b), "oracle", "vpn 0x80005", "nothing mapped");
    board_free(b);
}

Test(space, the_table_gives_more_rights)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pa = leaf_pa(b, B + 3), old = b_load(b, pa);

    b_store(b, pa, old | DMT_PTE_W);
    reports(check(b), "oracle", "vpn 0x80003", "at most R--", "RW-");
    b_store(b, pa, old & ~DMT_PTE_XD);
    reports(check(b), "oracle", "R-X");
    b_store(b, pa, old & ~DMT_PTE_U); /* fewer are a matter of faults */
    silent(check(b));
    board_free(b);
}

Test(space, EPT_entries_are_present_by_any_right)
{
    struct board *b = usual(DMT_SPACE_EPT, 4);

    cr_assert(dmt_space_map(b->space, B + 5, DMT_SIZE_4K, leaf_of(b, IN_USE, DMT_OS_X)));
    reports(check(b), "oracle", "vpn 0x80005", "--X");
    w.mapped(w.user, 1, B + 5, 1, IN_USE, DMT_OS_X);
    silent(check(b));
    board_free(b);
}

Test(space, intervals_that_have_become_one_are_compared_like_those_that_have_not)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t vpn = B + 1024;

    for (uint64_t i = 0; i < 40; i++) {
        map(b, vpn + i, DMT_SIZE_4K, IN_USE + 0x4000 + i, RW);                         /* one */
        map(b, vpn + 100 + i, DMT_SIZE_4K, IN_USE + 0x5000 + 2 * i, RW);               /* apart by frame */
        map(b, vpn + 200 + 2 * i, DMT_SIZE_4K, IN_USE + 0x6000 + i, RW);               /* by page */
        map(b, vpn + 300 + i, DMT_SIZE_4K, IN_USE + 0x7000 + i, i % 2 != 0 ? RW : RX); /* by rights */
    }
    for (unsigned i = 0; i < 3; i++) {
        silent(check(b));
        dmt_oracle_forget(o, dmt_oracle_now(o));
        w.flushed(w.user, 1, 0, vpn, 400); /* so that all are looked over again */
    }
    reports(reads(0, vpn + 201, IN_USE + 0x6001, RW), "nothing mapped");
    reports(reads(0, vpn + 101, IN_USE + 0x5001, RW), "0x25002");
    reports(reads(0, vpn + 300, IN_USE + 0x7000, RW), "R-X");
    silent(reads(0, vpn + 39, IN_USE + 0x4000 + 39, RW));
    w.unmapped(w.user, 1, vpn + 20, 1);
    reports(check(b), "oracle", "vpn 0x80414", "nothing mapped");
    board_free(b);
}

Test(space, a_process_that_nobody_told_of)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    reports(dmt_check_space(b->space, o, 9, NULL, NULL, 0), "pid 9");
    board_free(b);
}

/* ---------------------------------------------------------------- faults of absence, and dirty pages, over
 * operations */

Test(space, a_spurious_fault_of_absence_is_reported_after_the_operation)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    silent(faults(0, A + 1, DMT_ACCESS_READ, 4));
    reports(check(b), "vpn 0x10001", "thread 0", "PF");
    board_free(b);
}

Test(space, a_flush_explains_a_fault_of_absence)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t before;

    silent(faults(0, A + 1, DMT_ACCESS_READ, 4)); /* the table was unlinked, */
    w.flushed(w.user, 1, 1, A, 512);              /* it is flushed, */
    before = dmt_oracle_now(o);
    silent(faults(0, A + 3, DMT_ACCESS_READ, 4)); /* and linked again somewhere */
    silent(check(b));
    silent(faults_at(0, A + 3, DMT_ACCESS_READ, 4, before));
    silent(check(b));
    silent(faults(0, A + 3, DMT_ACCESS_READ, 4));
    reports(check(b), "vpn 0x10003");
    board_free(b);
}

Test(space, absence_ends_with_the_operation_that_maps)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t before = dmt_oracle_now(o);

    map(b, A + 2, DMT_SIZE_4K, IN_USE + 2, RW);
    silent(faults(0, A + 2, DMT_ACCESS_READ, 4));
    silent(check(b));
    silent(faults_at(0, A + 2, DMT_ACCESS_READ, 4, before));
    silent(check(b));
    dmt_oracle_forget(o, dmt_oracle_now(o));
    silent(faults(0, A + 2, DMT_ACCESS_READ, 4));
    reports(check(b), "vpn 0x10002");
    board_free(b);
}

Test(space, absence_while_pages_are_mapped_anew)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    w.mapped(w.user, 1, B + 512, 512, IN_USE + 0x2000, RW); /* changes size, perhaps */
    w.mapped(w.user, 1, B + 512 + 100, 1, IN_USE + 0x2000 + 100, RW);
    silent(faults(0, B + 512 + 300, DMT_ACCESS_READ, 4));
    silent(faults(0, B + 512 + 100, DMT_ACCESS_READ, 4));
    silent(check(b));
    silent(faults(0, B + 512 + 300, DMT_ACCESS_READ, 4));
    reports(check(b), "vpn 0x8032c");
    board_free(b);
}

Test(space, absence_around_a_flush_of_the_whole_space)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);

    w.flushed(w.user, 1, 0, 0, UINT64_C(1) << 52);
    silent(faults(1, A + 1, DMT_ACCESS_READ, 4));
    silent(check(b));
    silent(faults(1, A + 1, DMT_ACCESS_READ, 4));
    reports(check(b), "vpn 0x10001");
    board_free(b);
}

Test(space, what_was_written_into_a_freed_frame_is_nobodys)
{
    struct board *b = usual(DMT_SPACE_IA32E, 4);
    uint64_t pfn;

    cr_assert(dmt_buddy_alloc(b->buddy, 0, &pfn));
    map(b, B + 5, DMT_SIZE_4K, pfn, RW);
    silent(writes(0, B + 5, pfn));
    w.unmapped(w.user, 1, B + 5, 1);
    dmt_space_exchange(b->space, B + 5, DMT_SIZE_4K, 0);
    dmt_space_flush(b->space, B + 5, 1);
    silent(check(b));
    w.mapped(w.user, 1, B + 6, 1, pfn, RW);
    w.cleaned(w.user, 1, B + 6, 1, true);
    reports(check(b), "dropped", "vpn 0x80006");
    w.unmapped(w.user, 1, B + 6, 1);
    map(b, B + 5, DMT_SIZE_4K, pfn, RW);
    silent(writes(0, B + 5, pfn));
    w.unmapped(w.user, 1, B + 5, 1);
    dmt_space_exchange(b->space, B + 5, DMT_SIZE_4K, 0);
    dmt_space_flush(b->space, B + 5, 1);
    w.freed(w.user, pfn, 1);
    map(b, B + 6, DMT_SIZE_4K, pfn, RW);
    w.cleaned(w.user, 1, B + 6, 1, true);
    silent(check(b));
    board_free(b);
}
