"""The serial lanes against sums of weight rows, cycle by cycle."""

import cocotb

from hw.serial.config import SerialConfig
from hw.serial.lanes import event_layout, fill_layout
from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start

CONFIG = SerialConfig(**parameters())
LANES, ROWS, BITS = CONFIG.lanes, CONFIG.weight_depth, CONFIG.acc_bits


class Model:
    """The weights, the sums so far, those that leave, and what is on its way."""

    def __init__(self, dut, name: str):
        self.design = Clocked(dut, ["sum"])
        self.rng = generator(name)
        self.rows = [[0] * LANES for _ in range(ROWS)]
        self.begin()

    def begin(self) -> None:
        """Forget everything but the weights; the sums start with a capture."""
        self.sums: list[int] | None = None
        self.leaving: list[int] | None = None
        self.pending: tuple[str, object] | None = None

    async def fill(self, weight) -> None:
        """Write every row, in random order of its parts."""
        parts = [(row, part) for row in range(ROWS) for part in range(CONFIG.row_parts)]
        for row in range(ROWS):
            self.rows[row] = [weight() for _ in range(LANES)]
        for row, part in self.rng.sample(parts, len(parts)):
            data = pack(self.rows[row][4 * part : 4 * part + 4], 8)
            word = fill_layout(CONFIG).const({"row": row, "part": part, "data": data}).as_value().value
            await self.design.cycle(fill__valid=1, fill__payload=word)
        self.design.set(fill__valid=0)

    async def cycle(self, *, event: tuple[int, int] | None = None, capture: int = 0, shift: int = 0) -> None:
        """One cycle with an event (row, lanes), a capture, a shift, or none of them."""
        row, lanes = event or (self.rng.randrange(ROWS), self.rng.getrandbits(LANES))
        word = event_layout(CONFIG).const({"row": row, "lanes": lanes}).as_value().value
        valid = event is not None
        seen = await self.design.cycle(event__valid=valid, event__payload=word, capture=capture, shift=shift)
        if self.leaving:
            assert seen.sum == self.leaving[0] % 2**BITS
        if shift and self.leaving:
            self.leaving.pop(0)
        kind, what = self.pending or ("", None)
        if kind == "event" and self.sums is not None:
            row, lanes = what
            chosen = [weight * (lanes >> lane & 1) for lane, weight in enumerate(self.rows[row])]
            self.sums = [total + weight for total, weight in zip(self.sums, chosen, strict=True)]
        elif kind == "capture":
            self.leaving, self.sums = self.sums, [0] * LANES
        self.pending = ("event", event) if valid else ("capture", None) if capture else None

    async def position(self, events: int) -> None:
        """Some events, with shifts and pauses between them, and a capture."""
        while events:
            event = (self.rng.randrange(ROWS), self.rng.choice((2**LANES - 1, self.rng.getrandbits(LANES), 0)))
            event = event if self.rng.random() < 0.8 else None
            await self.cycle(event=event, shift=self.rng.getrandbits(1))
            events -= event is not None
        await self.cycle(capture=1)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_events(dut):
    """Positions with few and many events; the sums of one leave while the next is added."""
    await start(dut)
    model = Model(dut, "events")
    await model.fill(lambda: model.rng.randint(-128, 127))
    for _ in range(60):
        await model.position(model.rng.choice((0, 1, 5, 40)))
    for _ in range(LANES + 3):
        await model.cycle(shift=1)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def largest_sums(dut):
    """Sums at both ends of the accumulator, and beyond: they wrap around."""
    await start(dut)
    model = Model(dut, "largest")
    for weight in (-128, 127):
        await model.fill(lambda weight=weight: weight)
        await model.cycle(capture=1)
        for _ in range(2 ** (BITS - 8) + 3):
            await model.cycle(event=(0, 2**LANES - 1))
        await model.cycle(capture=1)
        for _ in range(LANES + 1):
            await model.cycle(shift=1)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """What is on its way is dropped; the weights stay, and a capture begins anew."""
    await start(dut)
    model = Model(dut, "reset")
    await model.fill(lambda: model.rng.randint(-128, 127))
    for events in range(1, 8):
        for _ in range(events):
            await model.cycle(event=(model.rng.randrange(ROWS), 2**LANES - 1))
        await reset(dut, 1)
        model.begin()
        await model.cycle(capture=1)
        for _ in range(3):
            await model.position(6)
        for _ in range(LANES):
            await model.cycle(shift=1)
