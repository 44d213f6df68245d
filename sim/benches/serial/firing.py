"""Folds, biases, residual stream and neurons against the integer model, with random sums."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.config import STREAM_BITS
from hw.serial.config import SerialConfig, place_layout
from hw.serial.firing import logit_layout, parameter_fill, spikes_layout, stream_layout
from hw.serial.program import Mode, bias_layout, pack_descriptor
from sim.benches.serial.layers import places
from sim.benches.serial.values import KINDS, Expected, Layer, expect, random_layer
from sim.streams import StreamSink, StreamSource, generator, parameters, reset, settled, start

CONFIG = SerialConfig(**parameters())


class Lanes:
    """What stands before: sums come two cycles after their place was taken, the next one after each shift."""

    def __init__(self, dut, sums: list[list[int]]):
        self._dut, self._sums = dut, sums
        self._task = cocotb.start_soon(self._serve())

    def stop(self) -> None:
        """Stop sending."""
        self._task.cancel()

    async def _serve(self) -> None:
        dut, rng = self._dut, generator("noise")
        captured, leaving, waiting = False, [], iter(self._sums)
        while True:
            await ReadOnly()
            taken, shift = dut.place__valid.value and dut.place__ready.value, dut.shift.value
            await RisingEdge(dut.clk)
            if captured:
                leaving = list(next(waiting))
            elif shift and leaving:
                leaving.pop(0)
            captured = bool(taken)
            value = leaving[0] if leaving else rng.getrandbits(CONFIG.acc_bits)
            dut.sum.value = value % 2**CONFIG.acc_bits


class StreamMemory:
    """The memory of the residual stream: one read or write a cycle."""

    def __init__(self, dut, values: dict[int, int]):
        self.values = dict(values)
        self._dut = dut
        self._task = cocotb.start_soon(self._serve())

    def stop(self) -> None:
        """Stop answering."""
        self._task.cancel()

    async def _serve(self) -> None:
        dut, rng, layout = self._dut, generator("stream"), stream_layout(CONFIG)
        while True:
            await ReadOnly()
            assert not (dut.stream_read.value and dut.stream_write__valid.value)
            answer = rng.getrandbits(STREAM_BITS)
            if dut.stream_read.value:
                answer = self.values[int(dut.stream_address.value)]
            if dut.stream_write__valid.value:
                write = layout.from_bits(int(dut.stream_write__payload.value))
                self.values[write.address] = write.data
            await RisingEdge(dut.clk)
            dut.stream_data.value = answer % 2**STREAM_BITS


class Clamps:
    """Counts the values that were clamped."""

    def __init__(self, dut):
        self.count = 0
        self._dut = dut
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """Stop counting."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await ReadOnly()
            self.count += int(self._dut.saturated.value)
            await RisingEdge(self._dut.clk)


async def set_up(dut, layer: Layer) -> None:
    """Give it the descriptor and the parameters."""
    dut.layer.value, dut.group.value = pack_descriptor(CONFIG, layer.fields), layer.group
    for tile, (biases, thresholds, shifts) in enumerate(zip(layer.bias, layer.threshold, layer.shift, strict=True)):
        for channel, numbers in enumerate(zip(biases.tolist(), thresholds.tolist(), shifts.tolist(), strict=True)):
            bias, threshold, shift = numbers
            first = bias_layout(CONFIG).const({"bias": bias, "shift": shift}).as_value().value
            for which, word in enumerate((first, threshold)):
                entry = {"threshold": which, "channel": channel, "tile": tile, "data": word % 2**32}
                dut.fill__payload.value = parameter_fill(CONFIG).const(entry).as_value().value
                dut.fill__valid.value = 1
                await RisingEdge(dut.clk)
    dut.fill__valid.value = 0
    dut.restart.value = 1
    await RisingEdge(dut.clk)
    dut.restart.value = 0


def taken(sinks: dict[str, StreamSink]) -> Expected:
    """What has left, as the model says it."""
    spikes = [spikes_layout(CONFIG).from_bits(payload) for payload in sinks["spikes"].items]
    written = [stream_layout(CONFIG).from_bits(payload) for payload in sinks["stream_write"].items]
    logits = [logit_layout(CONFIG).from_bits(payload) for payload in sinks["logits"].items]
    return Expected(
        spikes=[(record.address, record.data) for record in spikes],
        written=[(record.address, record.data) for record in written],
        logits=[(record.group * CONFIG.lanes + record.channel, record.step, record.data) for record in logits],
    )


async def check(dut, layer: Layer, *, stall: float) -> None:
    """Run a layer and compare all that it writes."""
    await set_up(dut, layer)
    sinks = {name: StreamSink(dut, name) for name in ("spikes", "stream_write", "logits")}
    sums = layer.sums.tolist() if layer.fields["mode"] != Mode.POOL else [[]] * len(layer.sums)
    source, lanes = StreamSource(dut, "place", stall=stall), Lanes(dut, sums)
    memory, clamps = StreamMemory(dut, layer.stream), Clamps(dut)
    source.put(place_layout(CONFIG).const(vars(place)).as_value().value for place in places(layer.fields))
    await source.drained()
    await settled(dut)
    for part in (source, lanes, memory, clamps, *sinks.values()):
        part.stop()
    wanted = expect(CONFIG, layer)
    assert taken(sinks) == wanted, layer.fields
    assert clamps.count == sum(wanted.clamped)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def random_layers_and_stalls(dut):
    """Every kind of layer, with places that come at once and places that come late."""
    await start(dut)
    rng = generator("layers")
    for kind in KINDS:
        for stall in (0.0, 0.0, 0.97):
            await check(dut, random_layer(CONFIG, rng, kind), stall=stall)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def reset_in_flight(dut):
    """What was on its way is dropped; the next layer is whole."""
    await start(dut)
    rng = generator("reset")
    for age in range(1, 3 * len(KINDS)):
        layer = random_layer(CONFIG, rng, KINDS[age % len(KINDS)])
        await set_up(dut, layer)
        source = StreamSource(dut, "place")
        source.put(place_layout(CONFIG).const(vars(place)).as_value().value for place in places(layer.fields))
        for _ in range(2 * age):
            await RisingEdge(dut.clk)
        source.stop()
        await reset(dut, 1)
        await check(dut, layer, stall=0.3)
