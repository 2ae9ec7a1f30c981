# SPDX-License-Identifier: Apache-2.0
"""dmt_mmu with other people's AXI models: cocotbext-axi's RAM on the PTE port and its AXI4-Lite manager on the
CSR port. What a translation must be is computed here, from sections 2 to 9 of docs/specification.md, native mode.

The RAM of cocotbext-axi has no exclusive monitor: it answers exclusive accesses OKAY, which the walker reports
as a memory without one. Tests that do not want A/D updates use that RAM as it is; for those that do,
ExclusiveRam below adds the monitor.
"""
import logging
import os
import random
import re
from collections import Counter, deque
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiResp
from cocotbext.axi import axi_channels as axi
from cocotbext.axi import axil_channels as axil
from cocotbext.axi.axi_ram import AxiRamRead, AxiRamWrite
from cocotbext.axi.stream import define_stream

# ---------------------------------------------------------------- names and codes, from the generated header
CODES = {name: int(value, {"d": 10, "h": 16}[base]) for name, base, value in re.findall(
    r"`define DMT_(\w+) +\d+'([dh])([0-9a-fA-F]+)\s", (Path(os.environ["DMT_RTL"]) / "dmt_regs.vh").read_text())}
HOST = {name[5:]: 0x3000 + value for name, value in CODES.items() if name.startswith("HOST_")}
LEVEL = {name[6:]: value for name, value in CODES.items() if name.startswith("LEVEL_")}
READ, WRITE, EXECUTE = (CODES["ACCESS_" + n] for n in ("READ", "WRITE", "EXECUTE"))
OK, GP, PF, BUS = (CODES["STATUS_" + n] for n in ("OK", "GP", "PF", "BUS"))
P, W, U, A, D, PS, XD = 1, 2, 4, 0x20, 0x40, 0x80, 1 << 63
FRAME = 0x000ffffffffff000


# ---------------------------------------------------------------- pins
def channel(bus, dut, prefix, device_drives):
    """A channel of cocotbext-axi on our pins, whose names end in _i and _o."""
    def names(signals):
        return {s: s + ("_o" if s.endswith("ready") != device_drives else "_i") for s in signals}
    return type(bus.__name__, (bus,), {"_signals": names(bus._signals),
                                       "_optional_signals": names(bus._optional_signals)}).from_prefix(dut, prefix)


ReqBus, Req, ReqSource, _, _ = define_stream("Req", [
    "req_valid", "req_ready", "req_tag", "req_va", "req_access", "req_cpl", "req_ac", "req_implicit", "req_nonspec"])
RespBus, Resp, _, RespSink, _ = define_stream("Resp", [
    "resp_valid", "resp_ready", "resp_tag", "resp_status", "resp_pa", "resp_size", "resp_rights", "resp_dirty",
    "resp_ad_needed", "resp_error", "resp_addr"])


# ---------------------------------------------------------------- a RAM with an exclusive monitor
class ExclusiveRead(AxiRamRead):
    """Single beats of the bus' width, which is all that the walker sends (microarchitecture 7)."""

    async def _process_read(self):
        while True:
            ar = await self.ar_channel.recv()
            assert (int(ar.arlen), int(ar.arsize), int(ar.araddr) % 8) == (0, 3, 0), ar
            if int(ar.arlock):
                self.reserved[int(ar.arid)] = int(ar.araddr)
            r = self.r_channel._transaction_obj()
            r.rid, r.rlast = int(ar.arid), 1
            r.rdata = int.from_bytes(await self._read(int(ar.araddr), 8), "little")
            r.rresp = AxiResp.EXOKAY if int(ar.arlock) else AxiResp.OKAY
            await self.r_channel.send(r)


class ExclusiveWrite(AxiRamWrite):
    async def _process_write(self):
        while True:
            aw = await self.aw_channel.recv()
            w = await self.w_channel.recv()
            assert (int(aw.awlen), int(aw.awsize), int(aw.awlock), int(w.wstrb), int(w.wlast)) == (0, 3, 1, 0xff, 1)
            address = int(aw.awaddr)
            b = self.b_channel._transaction_obj()
            b.bid, b.bresp = int(aw.awid), AxiResp.OKAY
            if self.reserved.get(int(aw.awid)) == address and not self.lose():
                b.bresp = AxiResp.EXOKAY
                await self._write(address, int(w.wdata).to_bytes(8, "little"))
                for i in [i for i, other in self.reserved.items() if other == address]:
                    del self.reserved[i]
            await self.b_channel.send(b)


class ExclusiveRam(AxiRam):
    def __init__(self, bus, clock, reset, size, lose=lambda: False):
        super(AxiRam, self).__init__(size)
        self.write_if = ExclusiveWrite(bus.write, clock, reset, mem=self.mem)
        self.read_if = ExclusiveRead(bus.read, clock, reset, mem=self.mem)
        self.write_if.reserved = self.read_if.reserved = {}
        self.write_if.lose = lose


# ---------------------------------------------------------------- AXI's rules, clock by clock
class Rules:
    """What the walker drives: VALID low in reset and known ever after, VALID and payload kept until READY, an
    exclusive write only after the exclusive read of its ID and address and with no other read of that ID between,
    at most five reads of an ID in flight."""

    PAYLOAD = {"m_ar": "id addr len size burst lock cache prot", "m_aw": "id addr len size burst lock cache prot",
               "m_w": "data strb last", "s_b": "resp", "s_r": "data resp", "resp": "tag status pa error addr"}

    def __init__(self, dut):
        self.dut, self.broken, self.count, self.reads = dut, [], Counter(), []
        self.reserved, self.open = {}, Counter()    # by ID
        cocotb.start_soon(self.run())

    def pin(self, name):
        return getattr(self.dut, name).value

    def check(self, good, what):
        if not good:
            self.broken.append(what)

    async def run(self):
        held, clocks = {}, 0
        while True:
            # Everything has settled at the falling edge; what is there then is sampled by the rising one.
            await FallingEdge(self.dut.clk_i)
            await ReadOnly()
            clocks += 1
            if self.dut.rst_i.value == 1:
                held = {}
                for port in self.PAYLOAD:
                    valid = f"{port}valid_o" if port != "resp" else "resp_valid_o"
                    self.check(clocks < 2 or self.pin(valid) == 0, f"{valid} is {self.pin(valid)} in reset")
                continue
            for port, payload in self.PAYLOAD.items():
                dash = "_" if port == "resp" else ""
                valid, ready = self.pin(f"{port}{dash}valid_o"), self.pin(f"{port}{dash}ready_i")
                self.check(valid.is_resolvable, f"{port}: valid is {valid}")
                now = [str(self.pin(f"{port}{dash}{p}_o")) for p in payload.split()] if valid == 1 else None
                if port in held:
                    self.check(now == held[port], f"{port}: {held[port]} became {now} before it was taken")
                if now:
                    self.check(not re.search("[xzXZ]", "".join(now)), f"{port}: payload {now}")
                held.pop(port, None)
                if now and ready == 0:
                    held[port] = now
                elif now:
                    self.count[port] += 1
                    self.handshake(port)
            if self.pin("m_rvalid_i") == 1 and self.pin("m_rready_o") == 1:
                self.open[int(self.pin("m_rid_i"))] -= 1
            self.check(len(self.broken) < 10, "and more")
            if len(self.broken) >= 10:
                return

    def handshake(self, port):
        if port == "m_ar":
            ident, addr = int(self.pin("m_arid_o")), int(self.pin("m_araddr_o"))
            self.check(addr % 8 == 0, f"AR address {addr:x}")
            self.reads.append((addr, int(self.pin("m_arlock_o"))))
            self.open[ident] += 1
            self.check(self.open[ident] <= 5, f"{self.open[ident]} reads of ID {ident} in flight")
            self.reserved.pop(ident, None)
            if self.pin("m_arlock_o") == 1:
                self.reserved[ident] = addr
        elif port == "m_aw":
            ident, addr = int(self.pin("m_awid_o")), int(self.pin("m_awaddr_o"))
            self.check(self.pin("m_awlock_o") == 1, "a write that is not exclusive")
            self.check(self.reserved.pop(ident, None) == addr, f"exclusive write of {addr:x} without its read")


# ---------------------------------------------------------------- the specification, native
class Tables:
    """IA-32e tables of four levels in a RAM, and what walking them must yield."""

    def __init__(self, ram, maxpa, frame=0x100):
        self.ram, self.maxpa, self.next = ram, maxpa, frame
        self.cr3 = self.alloc()
        self.wp = self.nxe = True
        self.tea = []        # (first page, pages, first frame, SZ)

    def alloc(self):
        self.next += 1
        self.ram.write((self.next - 1) << 12, bytes(4096))
        return (self.next - 1) << 12

    def entry_addr(self, table, level, va):
        return table + 8 * (va >> (9 * level + 3) & 511)

    def map(self, va, entry, size=0, upper=P | W | U | A):
        """Install entry as the leaf of va; size 0, 1, 2 for 4K, 2M, 1G. Its address is returned."""
        table = self.cr3
        for level in range(4, size + 1, -1):
            at = self.entry_addr(table, level, va)
            if not self.ram.read_qword(at) & P:
                self.ram.write_qword(at, self.alloc() | upper)
            table = self.ram.read_qword(at) & FRAME
        at = self.entry_addr(table, size + 1, va)
        self.ram.write_qword(at, entry | (PS if size else 0))
        return at

    def reserved(self, entry, level):
        bits = FRAME >> self.maxpa << self.maxpa
        bits |= 0 if self.nxe else XD
        bits |= PS if level == 4 else 0
        if level in (2, 3) and entry & PS:
            bits |= (1 << (9 * level + 3)) - (1 << 13)
        return entry & bits != 0

    def denied(self, rights, access, user):
        w, u, x = rights & W, rights & U, not rights & XD
        if user:
            return not u or (access == WRITE and not w) or (access == EXECUTE and not x)
        return (access == WRITE and not w and self.wp) or (access == EXECUTE and not x)

    def translate(self, va, access, user):
        """(status, value, references): value is the pa or the error code; A/D bits are not looked at."""
        if (va >> 47) not in (0, 0x1ffff):
            return GP, 0, 0
        refs = 0
        hits = sorted((t for t in self.tea if t[0] <= va >> 12 < t[0] + t[1]), key=lambda t: -t[3])
        if hits:
            refs = 1
            for first, _, frame, size in hits:
                entry = self.ram.read_qword(frame * 4096 + 8 * (((va >> 12) - first) >> 9 * size))
                if entry & P and (not size or entry & PS):
                    if not self.reserved(entry, size + 1) and not self.denied(entry, access, user):
                        return OK, self.page(entry, size + 1, va), refs
                    break
        code = (2 if access == WRITE else 0) | (4 if user else 0) | (16 if access == EXECUTE and self.nxe else 0)
        table, rights = self.cr3, W | U
        for level in range(4, 0, -1):
            entry = self.ram.read_qword(self.entry_addr(table, level, va))
            refs += 1
            if not entry & P:
                return PF, code, refs
            if self.reserved(entry, level):
                return PF, code | 9, refs
            rights = (rights & entry & (W | U)) | ((rights | entry) & XD)
            if level == 1 or (level < 4 and entry & PS):
                if self.denied(rights, access, user):
                    return PF, code | 1, refs
                return OK, self.page(entry, level, va), refs
            table = entry & FRAME
        raise AssertionError

    @staticmethod
    def page(entry, level, va):
        offset = (1 << (9 * level + 3)) - 1
        return (entry & FRAME & ~offset) | (va & offset)


# ---------------------------------------------------------------- one bench for all tests
class Bench:
    def __init__(self, dut, ram=AxiRam, **options):
        self.dut = dut
        logging.getLogger("cocotb.dmt_mmu").setLevel(logging.WARNING)
        for pin in (p for p in dir(dut) if p.endswith("_i")):
            getattr(dut, pin).setimmediatevalue(0)
        dut.rst_i.setimmediatevalue(1)
        cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
        self.rules = Rules(dut)
        pte = AxiBus.from_channels(
            channel(axi.AxiAWBus, dut, "m", True), channel(axi.AxiWBus, dut, "m", True),
            channel(axi.AxiBBus, dut, "m", False), channel(axi.AxiARBus, dut, "m", True),
            channel(axi.AxiRBus, dut, "m", False))
        csr = AxiLiteBus.from_channels(
            channel(axil.AxiLiteAWBus, dut, "s", False), channel(axil.AxiLiteWBus, dut, "s", False),
            channel(axil.AxiLiteBBus, dut, "s", True), channel(axil.AxiLiteARBus, dut, "s", False),
            channel(axil.AxiLiteRBus, dut, "s", True))
        self.ram = ram(pte, dut.clk_i, dut.rst_i, size=1 << len(dut.m_araddr_o), **options)
        self.csr = AxiLiteMaster(csr, dut.clk_i, dut.rst_i)
        self.req = ReqSource(channel(ReqBus, dut, None, False), dut.clk_i, dut.rst_i)
        self.resp = RespSink(channel(RespBus, dut, None, True), dut.clk_i, dut.rst_i)
        self.tags = 1 << len(dut.req_tag_i)

    async def start(self, ad_update):
        for _ in range(3):
            await RisingEdge(self.dut.clk_i)
        self.dut.rst_i.value = 0
        await RisingEdge(self.dut.clk_i)
        caps = await self.read(HOST["CAPS"])
        self.cached = bool(caps >> 32 & 0x7f7f7f)
        self.tables = Tables(self.ram, await self.read(HOST["MAXPA"]))
        await self.write(LEVEL["CR3"], self.tables.cr3)
        await self.write(LEVEL["CR0"], CODES["LEVEL_CR0_WP_MASK"])
        await self.write(LEVEL["EFER"], CODES["LEVEL_EFER_NXE_MASK"])
        await self.write(HOST["CTL"], CODES["MODE_NATIVE"] | (CODES["HOST_CTL_AD_UPDATE_MASK"] if ad_update else 0))
        return self.tables

    async def access(self, address, data=None, length=8):
        """A register access: the AXI answer, and the value read."""
        if data is None:
            got = await with_timeout(self.csr.read(address, length), 20, "us")
            return got.resp, int.from_bytes(got.data, "little")
        done = await with_timeout(self.csr.write(address, data.to_bytes(length, "little")), 20, "us")
        return done.resp, None

    async def read(self, address):
        resp, value = await self.access(address)
        assert resp == AxiResp.OKAY, f"read of register {address:x}: {resp.name}"
        return value

    async def write(self, address, data):
        resp, _ = await self.access(address, data)
        assert resp == AxiResp.OKAY, f"write of register {address:x}: {resp.name}"

    async def set_tea(self, index, first, pages, frame, size=0):
        word = [LEVEL["TEA_STRIDE"] * index + 8 * n for n in range(4)]
        await self.write(word[1], frame << 12)
        await self.write(word[2], pages)
        await self.write(word[0], first << 12 | 0xe0 | size << 1 | 1)     # all rights, KIND PA
        state = await self.read(word[3])
        assert state & 1, f"TEA register {index} refused, reason {state >> 1 & 15}"
        self.tables.tea.append((first, pages, frame, size))

    async def send(self, va, access=READ, user=True, nonspec=True, tag=0):
        await self.req.send(Req(req_tag=tag, req_va=va, req_access=access, req_cpl=3 if user else 0,
                                req_nonspec=int(nonspec)))

    async def receive(self):
        return await with_timeout(self.resp.recv(), 50, "us")

    async def ask(self, va, access=READ, user=True, nonspec=True):
        """One request and its answer, with the number of reads that it took in reads."""
        before = len(self.rules.reads)
        await self.send(va, access, user, nonspec)
        answer = await self.receive()
        answer.reads = len(self.rules.reads) - before
        return answer

    def judge(self, answer, va, access, user, reads=None):
        status, value, refs = self.tables.translate(va, access, user)
        got = int(answer.resp_pa if int(answer.resp_status) == OK else answer.resp_error)
        what = f"va {va:#x} access {access} user {user}"
        assert (int(answer.resp_status), got) == (status, value), \
            f"{what}: status {int(answer.resp_status)} value {got:#x}, expected {status} {value:#x}"
        if reads is not None:
            assert reads == refs or (self.cached and reads < refs), f"{what}: {reads} reads, expected {refs}"
        if status in (GP, PF):
            assert int(answer.resp_addr) == va, what

    async def check(self, va, access=READ, user=True):
        answer = await self.ask(va, access, user)
        self.judge(answer, va, access, user, answer.reads)
        return answer

    async def end(self):
        for _ in range(20):
            await RisingEdge(self.dut.clk_i)
        assert not self.rules.broken, "; ".join(self.rules.broken)
        assert self.resp.empty(), "an answer that nobody asked for"
        assert self.rules.count["m_ar"], "nothing was read"


# ---------------------------------------------------------------- tests
@cocotb.test()
async def registers(dut):
    """AXI4-Lite as an independent manager speaks it; errors for what is not there."""
    b = Bench(dut)
    tables = await b.start(ad_update=False)
    assert await b.read(HOST["ID"]) >> 32 == int.from_bytes(b"ODMT", "big")
    await b.write(LEVEL["CR3"], 0xabcde000)
    assert await b.read(LEVEL["CR3"]) == 0xabcde000
    await b.write(LEVEL["CR3"], tables.cr3)
    for resp, _ in (await b.access(0x2ff8), await b.access(0x2ff8, 1), await b.access(LEVEL["CR0"], 1, length=4)):
        assert resp == AxiResp.SLVERR, resp
    assert await b.read(LEVEL["CR0"]) == CODES["LEVEL_CR0_WP_MASK"]
    # Writes and reads side by side, answers taken late.
    for port in (b.csr.write_if.b_channel, b.csr.read_if.r_channel, b.csr.write_if.w_channel):
        port.set_pause_generator(random.random() < 0.5 for _ in iter(int, 1))
    for n in range(40):
        writing = cocotb.start_soon(b.write(LEVEL["PKRU"], n))
        assert await b.read(LEVEL["CR3"]) == tables.cr3
        await writing
        assert await b.read(LEVEL["PKRU"]) == n
    tables.map(0x1000, 0x7000 | P | U | A)
    await b.check(0x1000)
    await b.end()


@cocotb.test()
async def native_walk(dut):
    """Pages of every size, four reads and fewer, on the RAM as it comes."""
    b = Bench(dut)
    t = await b.start(ad_update=True)
    pages = [(0x7f12_3456_7000, 0), (0xffff_8880_0020_0000, 1), (0x0000_1280_4000_0000, 2)]
    for va, size in pages:
        t.map(va, 0x1_c000_0000 | P | W | U | A | D, size)
    for va, size in pages:
        for access in (READ, WRITE, EXECUTE):
            answer = await b.check(va + random.randrange(4096 << 9 * size), access)
            assert int(answer.resp_size) == size and int(answer.resp_dirty) == 1
    await b.end()


@cocotb.test()
async def tea_walk(dut):
    """One read where a TEA register covers the page, x86's walk where its entry does not count."""
    b = Bench(dut)
    t = await b.start(ad_update=False)
    area = 0x5555_5540_0000
    for n in range(16):
        last = t.map(area + n * 4096, (0x40000 + n) << 12 | A | D | U | (0 if n == 3 else P) | (0 if n == 5 else W))
    await b.set_tea(0, area >> 12, 16, last >> 12)
    for n in range(16):
        answer = await b.check(area + n * 4096 + 8 * n, WRITE)
        assert answer.reads == (1 if n not in (3, 5) else 5 if not b.cached else answer.reads)
    await b.check(area + 16 * 4096)
    await b.end()


@cocotb.test()
async def faults(dut):
    """Every way in which a native walk can fail, with x86's error codes."""
    b = Bench(dut)
    t = await b.start(ad_update=False)
    base, good = 0x1234_5678_9000, 0x5000 | P | W | U | A | D
    for n, entry in enumerate((good & ~P, good & ~W, good & ~U, good | XD, good | 1 << (t.maxpa - 1), good)):
        t.map(base + n * 4096, entry)
    t.map(base + (1 << 30), 0x4020_0000 | 0x4000 | P | U, size=1)                # reserved: bit 14 of a 2M leaf
    t.map(base + (1 << 39), good, upper=P | U)                                   # read-only from above
    for va in [base + n * 4096 for n in range(6)] + [base + (1 << 30), base + (1 << 39), base + (1 << 41)]:
        for access in (READ, WRITE, EXECUTE):
            for user in (False, True):
                await b.check(va, access, user)
    await b.check(0x8000_0000_0000)
    await b.check(0xffff_7fff_ffff_f000)
    await b.end()


@cocotb.test()
async def no_monitor(dut):
    """A RAM that answers exclusive reads OKAY: reported, and nothing written. With updates off: asked for."""
    b = Bench(dut)
    t = await b.start(ad_update=True)
    leaf = t.map(0x4000, 0x9000 | P | W | U)
    answer = await b.ask(0x4000, WRITE)
    assert int(answer.resp_status) == BUS and int(answer.resp_addr) == leaf
    assert int(answer.resp_error) == CODES["BUS_ERROR_NOT_EXCLUSIVE"]
    assert await b.read(HOST["EVENT"]) == CODES["HOST_EVENT_NOT_EXCLUSIVE_MASK"]
    await b.write(HOST["CTL"], CODES["MODE_NATIVE"])
    answer = await b.check(0x4000, WRITE)
    assert int(answer.resp_ad_needed) == 1 and int(answer.resp_dirty) == 0
    assert b.ram.read_qword(leaf) == 0x9000 | P | W | U and not b.rules.count["m_aw"]
    await b.end()


@cocotb.test()
async def accessed_and_dirty(dut):
    """With a monitor: bits set by exclusive writes, again and again while others win."""
    lost = deque([True, True, False, True])
    b = Bench(dut, ExclusiveRam, lose=lambda: bool(lost) and lost.popleft())
    t = await b.start(ad_update=True)
    leaf = t.map(0x4000, 0x9000 | P | W | U, upper=P | W | U)
    answer = await b.ask(0x4000, READ, nonspec=False)
    assert int(answer.resp_status) == CODES["STATUS_RETRY"] and not b.rules.count["m_aw"]
    answer = await b.ask(0x4000, WRITE)
    b.judge(answer, 0x4000, WRITE, True)
    assert int(answer.resp_dirty) == 1
    assert b.ram.read_qword(leaf) == 0x9000 | P | W | U | A | D
    # Three tables and the leaf, and three writes that were lost.
    assert b.rules.count["m_aw"] == b.rules.count["m_w"] == 7 and not lost
    assert b.ram.read_qword(t.entry_addr(t.cr3, 4, 0x4000)) & A
    answer = await b.check(0x4000, WRITE)
    assert b.rules.count["m_aw"] == 7
    await b.end()


@cocotb.test()
async def crowded(dut):
    """Many walks in flight over random tables and TEA registers, all channels paused at random."""
    b = Bench(dut, ExclusiveRam)
    t = await b.start(ad_update=True)
    pages = []
    for area in (0x1000_0000, 0x7fff_0000_0000, 0xffff_c000_0000_0000):
        for n in range(24):
            flags = sum(f for f in (W, U, A, D, XD) if random.random() < 0.7) | (P if random.random() < 0.9 else 0)
            last = t.map(area + n * 4096, random.randrange(1 << 30) << 12 | flags)
            pages.append(area + n * 4096)
        await b.set_tea(len(t.tea), (area & (1 << 64) - 1) >> 12, random.choice((8, 12, 24)), last >> 12)
    for paused in (b.ram.read_if.ar_channel, b.ram.read_if.r_channel, b.ram.write_if.aw_channel,
                   b.ram.write_if.w_channel, b.ram.write_if.b_channel, b.req, b.resp):
        paused.set_pause_generator(random.random() < 0.4 for _ in iter(int, 1))
    waiting = {}

    async def take():
        answer = await b.receive()
        b.judge(answer, *waiting.pop(int(answer.resp_tag)))

    for n in range(400):
        tag = n % b.tags
        while tag in waiting or len(waiting) >= 12:
            await take()
        waiting[tag] = random.choice(pages) + random.randrange(4096), random.choice((READ, WRITE, EXECUTE)), \
            random.random() < 0.7
        await b.send(*waiting[tag], tag=tag)
    while waiting:
        await take()
    assert b.rules.count["resp"] == 400 and b.rules.count["m_aw"] > 20
    await b.end()
