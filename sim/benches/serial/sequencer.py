"""Random programs from the store, group by group."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ReadOnly, RisingEdge

from hw.serial.config import SerialConfig
from hw.serial.firing import parameter_fill
from hw.serial.lanes import fill_layout
from hw.serial.program import Layer, Mode, Program, pack_descriptor
from sim.streams import StreamSink, generator, pack, parameters, reset, start

CONFIG = SerialConfig(**parameters())
LANES = CONFIG.lanes


def random_layer(rng: random.Random, mode: Mode) -> Layer:
    """A layer with all that the sequencer looks at, and noise in other fields."""
    groups, words, last_input = rng.randint(1, 3), rng.randint(1, 3), rng.randrange(LANES)
    dense = mode is Mode.DENSE
    taps, rows = rng.choice((1, 2)), rng.randint(1, 2 * LANES)
    if dense:
        last_row = (taps * words - 1) * LANES + last_input
        rows = taps * ((words - 1) * LANES + last_input + 1)
    elif mode is not Mode.DEPTHWISE:
        rows, last_row = 0, 0
    else:
        last_row = rows - 1
    fields = {"mode": mode, "both": rng.getrandbits(1), "last_group": groups - 1, "last_row": last_row}
    fields |= {"last_word": words - 1 if dense else 0, "last_input": last_input if dense else LANES - 1}
    fields |= {"extra": rng.getrandbits(5), "position": rng.getrandbits(4), "tile": rng.getrandbits(4)}
    generated = np.random.default_rng(rng.getrandbits(32))
    limit = 1 << CONFIG.current_bits - 1
    parameters = generated.integers(-limit, limit, (groups, 1 + fields["both"], LANES, 3))
    parameters[..., 2] = generated.integers(0, 4, parameters.shape[:-1])
    weights = generated.integers(-128, 128, (groups, rows, LANES)).astype(np.int8)
    return Layer(name="random", fields=fields, parameters=parameters, weights=weights)


def random_program(rng: random.Random) -> Program:
    """A program of all modes that fits the store."""
    while True:
        modes = [rng.choice(list(Mode)) for _ in range(rng.randint(1, 5))]
        program = Program(config=CONFIG, layers=tuple(random_layer(rng, mode) for mode in modes))
        if len(program.words()) <= CONFIG.store_depth:
            return program


def fills(layer: Layer, group: int) -> tuple[list[int], list[int]]:
    """The payloads of a group's parameters and weights, in order."""
    entries, rows = [], []
    for tile, channels in enumerate(layer.parameters[group].tolist()):
        for channel, (bias, threshold, shift) in enumerate(channels):
            first = bias % (1 << CONFIG.current_bits) | shift << CONFIG.current_bits
            for which, word in enumerate((first, threshold % 2**32)):
                entry = {"threshold": which, "channel": channel, "tile": tile, "data": word}
                entries.append(parameter_fill(CONFIG).const(entry).as_value().value)
    for row, weights in zip(numbered(layer), layer.weights[group].tolist(), strict=True):
        for part in range(CONFIG.row_parts):
            entry = {"row": row, "part": part, "data": pack(weights[4 * part : 4 * part + 4], 8)}
            rows.append(fill_layout(CONFIG).const(entry).as_value().value)
    return entries, rows


def numbered(layer: Layer) -> list[int]:
    """The rows of the weight buffer that a layer's rows go to: the last word of a tap may have fewer."""
    count, fields = layer.weights.shape[1], layer.fields
    if fields["mode"] is not Mode.DENSE:
        return list(range(count))
    channels = fields["last_word"] * LANES + fields["last_input"] + 1
    stride = (fields["last_word"] + 1) * LANES
    return [tap * stride + channel for tap in range(count // channels) for channel in range(channels)]


async def serve(dut, program: Program, base: int) -> None:
    """Be the store, with a program at any place; beyond it, and where nothing is read, there is noise."""
    words, rng = dict(enumerate(program.words().tolist(), start=base)), generator("store")
    while True:
        await ReadOnly()
        read = int(dut.address.value) if dut.enable.value else None
        await RisingEdge(dut.clk)
        dut.data.value = words.get(read, rng.getrandbits(32))


async def until(dut, name: str) -> None:
    """Go to the cycle in which an output is set, and stand at its end."""
    while True:
        await ReadOnly()
        if getattr(dut, name).value:
            return
        await RisingEdge(dut.clk)


async def check(dut, program: Program) -> None:
    """Run a program, whose walks take any time, and compare what arrives for every group."""
    rng = generator("walks")
    sinks = [StreamSink(dut, name) for name in ("parameters", "weights")]
    dut.finished.value, dut.start.value = 0, 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    for number, layer in enumerate(program.layers):
        final = {"final": int(number == len(program.layers) - 1)}
        for group in range(len(layer.weights)):
            await until(dut, "begin")
            assert (dut.number.value, dut.group.value) == (number, group)
            assert dut.layer.value == pack_descriptor(CONFIG, layer.fields | final)
            await RisingEdge(dut.clk)
            assert [sink.items for sink in sinks] == list(fills(layer, group))
            for sink in sinks:
                sink.items.clear()
            for _ in range(1 + rng.choice((0, 0, 1, 7))):
                await RisingEdge(dut.clk)
            dut.finished.value = 1
            await RisingEdge(dut.clk)
            dut.finished.value = 0
        await until(dut, "closed")
        for _ in range(rng.choice((0, 3))):
            await RisingEdge(dut.clk)
            await ReadOnly()
            assert dut.closed.value
        await RisingEdge(dut.clk)
        dut.reported.value = 1
        await RisingEdge(dut.clk)
        dut.reported.value = 0
    await ReadOnly()
    assert dut.done.value
    assert not dut.busy.value
    await RisingEdge(dut.clk)
    for sink in sinks:
        sink.stop()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def random_programs(dut):
    """One program after the other, anywhere in the store, and each twice."""
    await start(dut)
    rng = generator("programs")
    for _ in range(4):
        program = random_program(rng)
        base = rng.randrange(CONFIG.store_depth - len(program.words()) + 1)
        memory = cocotb.start_soon(serve(dut, program, base))
        dut.base.value = base
        for _ in range(2):
            await check(dut, program)
        memory.cancel()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset ends the program; the next run is whole."""
    await start(dut)
    program = random_program(generator("reset"))
    cocotb.start_soon(serve(dut, program, 0))
    dut.base.value = 0
    for age in range(1, 40, 3):
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        for _ in range(age):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        await check(dut, program)
