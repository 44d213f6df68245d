"""``saformer run``: a network on a board, or on the whole SoC in simulation, over its serial line."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

import firmware
from firmware.link import Identity, Link
from firmware.port import BAUD, SerialPort
from golden.data import ImageSet
from golden.energy.conventions import described
from golden.errors import SaformerError
from hw.boards.board import Board
from hw.boards.catalogue import find_board
from hw.compile.choose import lower_for
from hw.compile.lowering import Lowered
from hw.compile.serial import SerialLowered, lower_on
from hw.serial.config import SERIAL, load_either
from scripts.cosim import DIFFERENT, print_mismatches, verdict
from scripts.inputs import (
    DataFolder,
    FirstImage,
    ImageCount,
    JsonFile,
    ModelName,
    NamedModel,
    RandomFrames,
    load_images,
    resolve_model,
)
from scripts.outputs import ensure_writable, write_json
from scripts.serial import summarise
from scripts.tables import bars, console, integer, millijoule, recognised
from sim.board import SimulatedBoard
from sim.cosim import cosim
from sim.device import DeviceEngine, find_hardware, plan_memory
from sim.serial_device import SerialDevice
from sim.terminal import BoardTerminal

SIMULATION = "sim"
"""The port that is no port."""

SIMULATED_PATIENCE = 30.0
"""Seconds in which a simulated board answers a short request, on a machine that does something else."""

SMALLEST_MEMORY = 1 << 18
"""Bytes of a simulated board's memory: small models share a board."""


def run(
    model: ModelName = "tiny",
    port: Annotated[
        str, typer.Option(metavar="DEV", help="Serial port of the board, or sim: the whole SoC, simulated.")
    ] = SIMULATION,
    images: ImageCount = 1,
    first: FirstImage = 0,
    data: DataFolder = None,
    random: RandomFrames = False,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hw",
            metavar="CONFIG",
            help="Sizes of the accelerator, where the board's are none of the named ones; of a simulated board, by "
            "default the first that the model fits; of the serial accelerator: " + ", ".join(SERIAL) + ".",
        ),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(metavar="B", help="The board, of those that `saformer build --list` prints: simulate all of it."),
    ] = None,
    baud: Annotated[int, typer.Option(metavar="R", min=9600, help="Bits a second of the serial line.")] = BAUD,
    json: JsonFile = None,
) -> None:
    """Run a network on a board, and compare logits and counters with the integer model.

    The program is written into the board's memory unless it is there, then one image after the other is sent. Exits
    with 1 if anything differs from the integer model, and says where.
    """
    ensure_writable(json)
    if board is not None and port != SIMULATION:
        raise SaformerError("--board is for --port sim: a board at a port says itself what it is")
    target = None if board is None else find_board(board)
    named = resolve_model(model)
    chosen = load_images(named.model.config, data, first=first, count=images, random=random)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with bars(*columns) as bar, _board(port, named, hardware, baud, target, bar) as (engine, lowered, identity):
        task = bar.add_task("images", total=None)
        begin = time.monotonic()
        figures = _compare(named, chosen, engine, lowered)
        seconds = time.monotonic() - begin
        bar.remove_task(task)
    figures |= {
        "port": port,
        "clock_hz": identity.hertz,
        "latency_ms": 1000 * figures["cycles_per_image"] / identity.hertz,
        "frames_per_second": identity.hertz / figures["cycles_per_image"],
        "seconds": seconds,
    }
    if json is not None:
        write_json(json, figures)
    _print(named, lowered.config.name, figures)
    if not figures["bit_exact"]:
        raise typer.Exit(DIFFERENT)


def _compare(
    named: NamedModel, chosen: ImageSet, engine: DeviceEngine | SerialDevice, lowered: Lowered | SerialLowered
) -> dict:
    """Run the images and return the figures of the comparison."""
    if isinstance(engine, SerialDevice):
        runs = [engine.run(named.model, image) for image in chosen.images.split(1)]
        return summarise(named, chosen, lowered.config, runs)
    result = cosim(named.model, chosen.images, chosen.labels, config=lowered.config, engine=engine, lowered=lowered)
    return result.to_json()


@contextmanager
def _board(
    port: str, named: NamedModel, hardware: str | None, baud: int, target: Board | None, bar: Progress
) -> Iterator[tuple[DeviceEngine | SerialDevice, Lowered | SerialLowered, Identity]]:
    """The board at a port, with the program in it."""
    if port == SIMULATION:
        task = bar.add_task("building the simulation", total=None)
        board, lowered = _simulated(named, hardware, target)
        with BoardTerminal(board) as terminal, SerialPort(terminal.port) as line:
            bar.remove_task(task)
            link = Link(line, patience=SIMULATED_PATIENCE)
            identity = link.hello()
            yield _engine(link, identity, lowered, terminal.cycles_per_second, bar), lowered, identity
    else:
        with SerialPort(port, baud=baud) as line:
            line.restart()
            link = Link(line)
            identity = link.hello()
            config = find_hardware(identity, None if hardware is None else load_either(hardware))
            lowered = lower_on(named.model, config)
            yield _engine(link, identity, lowered, identity.hertz, bar), lowered, identity


def _simulated(
    named: NamedModel, hardware: str | None, target: Board | None
) -> tuple[SimulatedBoard, Lowered | SerialLowered]:
    """A simulated board and the program for it: a board of the catalogue, or one that the model fits."""
    hardware = hardware or (None if target is None else target.hardware)
    lowered = lower_for(named.model, None) if hardware is None else lower_on(named.model, load_either(hardware))
    if target is not None:
        own = {name: getattr(target, name) for name in ("memory_bytes", "hertz", "sdram", "flash")}
    else:
        needed = 1 if isinstance(lowered, SerialLowered) else plan_memory(lowered).size
        own = {"memory_bytes": max(SMALLEST_MEMORY, 1 << (needed - 1).bit_length())}
    return SimulatedBoard(config=lowered.config, firmware=firmware.image(), **own), lowered


def _engine(
    link: Link, identity: Identity, lowered: Lowered | SerialLowered, speed: float, bar: Progress
) -> DeviceEngine | SerialDevice:
    if identity.broken_words:
        raise SaformerError(f"the board's memory failed its check in {identity.broken_words} words: it is broken")
    task = bar.add_task("uploading the program", total=lowered.program.size)
    how = {"cycles_per_second": speed, "progress": lambda done: bar.update(task, completed=done)}
    if isinstance(lowered, SerialLowered):
        return SerialDevice(link, identity, lowered, **how)
    return DeviceEngine(link, identity, **how)


def _print(named: NamedModel, hardware: str, figures: dict) -> None:
    """Print what was compared, what came out, and the energy by every convention."""
    out, count = console(), figures["images"]
    print_mismatches(out, figures)
    for line in (
        f"model       {named.name}; counts, cycles and energy are per image",
        f"hardware    {hardware} at {figures['port']}, {figures['clock_hz'] / 1e6:g} MHz",
        f"comparison  {verdict(figures)}: logits and counters of {integer(count)} images",
        f"accuracy    {recognised(figures['accuracy'])} on these images" + ("" if named.trained else " (untrained)"),
        f"latency     {integer(figures['cycles_per_image'])} cycles, {figures['latency_ms']:.2f} ms at this clock: "
        f"{figures['frames_per_second']:.1f} frames a second",
        f"work        {integer(figures['sops'] / count)} accumulates, {figures['accumulates_per_cycle']:.1f} a cycle",
        f"time        {figures['seconds']:.1f} s, with the upload and the integer model",
    ):
        out.print(line, soft_wrap=True)
    for name, energy, bills in described(figures["energy_mj"]):
        out.print(f"energy      {millijoule(energy)} by {name}: {bills}", soft_wrap=True)
