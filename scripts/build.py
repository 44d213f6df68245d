"""``saformer build``: the bitstream of a board, with the figures that belong to it."""

import hashlib
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

import firmware
from golden.errors import SaformerError
from hw.boards.board import Board
from hw.boards.catalogue import BOARDS, find_board
from hw.boards.design import (
    DesignText,
    append_script,
    core_memory,
    design_text,
    estimate_luts,
    load_content,
    memory_bytes,
    ram_use,
)
from hw.compile.lowering import Lowered
from hw.compile.serial import SerialLowered, lower_on
from hw.config import HardwareConfig
from hw.estimate.cycles import estimate
from hw.serial.config import SerialConfig, load_either
from hw.soc.system import build_hash
from hw.synth.devices import DEVICES, Device
from hw.synth.figures import clock, critical_path, placed
from hw.synth.flow import TOP, Netlist, UnroutableError, flow_script, make_bitstream, synthesise, write_verilog
from scripts.estimate import golden_activity
from scripts.inputs import JsonFile, NamedModel, load_images, resolve_model
from scripts.outputs import ensure_folder, ensure_writable, write_bytes, write_json
from scripts.tables import RESOURCES, bars, console, integer, percent, table
from sim.device import plan_memory
from sim.serial import cosim_serial
from sim.serial_device import plan_serial

LARGEST = 8
"""Memories that the table of the preflight names, the largest first."""

TOOLS = ("amaranth", "amaranth-boards", "pyosys", "pythondata-cpu-picorv32")
"""Packages that decide what a bitstream is, beside the router."""


def build(
    board: Annotated[str, typer.Option(metavar="B", help="The board; --list prints them.")] = "ulx3s-85f",
    model: Annotated[
        str | None, typer.Option(metavar="M", help="Check that this model fits, and how many frames a second it does.")
    ] = None,
    hardware: Annotated[
        str | None, typer.Option("--hw", metavar="CONFIG", help="Sizes of the accelerator, if not the board's own.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", min=1, help="Seed of placement.")] = 1,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Try N seeds from S on, and keep the fastest.")] = 1,
    freq: Annotated[
        float | None, typer.Option(metavar="MHZ", min=1, help="Clock of the design, if not the board's own.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the bitstream.")] = Path("build"),
    json: JsonFile = None,
    elaborate: Annotated[
        bool, typer.Option("--elaborate", help="Write Verilog, constraints and a script for another flow, and stop.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Print the boards with their resources, and stop.")] = False,
) -> None:
    """Make the bitstream of a board: the SoC with the accelerator, its firmware in it.

    A table first says whether it fits. Then it is synthesised, placed and routed; a clock that is missed is an error.
    The same inputs and seed give the same bytes. Finished steps are cached.
    """
    if listing:
        _list()
        return
    target = find_board(board)
    if freq is not None:
        target = replace(target, hertz=round(freq * 1e6))
    config = load_either(hardware or target.hardware)
    named = None if model is None else resolve_model(model)
    lowered = None if named is None else lower_on(named.model, config)
    ensure_folder(out)
    ensure_writable(json)
    text = design_text(target, config)
    figures = preflight(target, config, text, lowered)
    _print_preflight(figures)
    check_fit(figures)
    if elaborate:
        _write_sources(out, target, text)
        return
    with bars(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as progress:
        netlist = _synthesise(text, DEVICES[target.device], progress)
        report, bitstream, best = _route(target, text, netlist, range(seed, seed + seeds), progress)
    bitstream = load_content(target, bitstream)
    figures |= summarise(target, config, netlist, report, bitstream, best)
    if named is not None:
        figures |= _speed(named, lowered, target)
    path = out / f"{target.name}{Path(DEVICES[target.device].bitstream.file).suffix}"
    if figures["megahertz"] < figures["target_megahertz"]:
        raise SaformerError(
            f"{target.name} reaches {figures['megahertz']:.1f} MHz with seed {best}, not the "
            f"{figures['target_megahertz']:g} MHz of its clock: try more --seeds, a lower --freq or fewer lanes "
            f"(path: {figures['path']})"
        )
    write_bytes(path, bitstream)
    write_json(path.with_suffix(".json"), figures)
    if json is not None:
        write_json(json, figures)
    _print(path, figures)


def preflight(
    board: Board, config: HardwareConfig | SerialConfig, text: DesignText, lowered: Lowered | SerialLowered | None
) -> dict:
    """Return what the design will take of the device, and the model of the board's memory."""
    device = DEVICES[board.device]
    rams = ram_use(text.rtlil, device)
    serial = isinstance(config, SerialConfig)
    plan = None if lowered is None else plan_serial(lowered) if serial else plan_memory(lowered)
    return {
        "board": board.name,
        "device": board.device,
        "hardware": asdict(config),
        "build_hash": f"{build_hash(config):#010x}",
        "estimated": {
            **{resource: sum(memories.values()) for resource, memories in rams.items()},
            "lut": estimate_luts(board, config),
        },
        "capacity": dict(device.capacity),
        "memories": rams,
        "program_memory": {"bytes": memory_bytes(board, config), "needed": None if plan is None else plan.size},
        "model": None if lowered is None else lowered.model.name,
    }


def check_fit(figures: dict) -> None:
    """Raises SaformerError for what will not fit, with the numbers and what to change."""
    memory = figures["program_memory"]
    if memory["needed"] is not None and memory["needed"] > memory["bytes"]:
        raise SaformerError(
            f"{figures['model']} needs {integer(memory['needed'])} bytes of program memory, {figures['board']} has "
            f"{integer(memory['bytes'])}: use a smaller model, or a board with more memory"
        )
    for resource, needed in figures["estimated"].items():
        there = figures["capacity"][resource]
        if needed > there:
            change = "fewer lanes" if resource == "lut" else "smaller memories in a TOML file for --hw, or fewer lanes"
            raise SaformerError(
                f"{figures['hardware']['name']} needs {integer(needed)} {RESOURCES[resource]}s, "
                f"{figures['device']} has {integer(there)}: use {change}"
            )


def summarise(
    board: Board, config: HardwareConfig | SerialConfig, netlist: Netlist, report: dict, bitstream: bytes, seed: int
) -> dict:
    """Return what became of the design, and what it was made with."""
    device = DEVICES[board.device]
    path = critical_path(report)
    return {
        "netlist": device.usage(netlist.cells),
        "placed": placed(report),
        "megahertz": clock([report])["worst"],
        "target_megahertz": board.hertz / 1e6,
        "critical_path": asdict(path),
        "path": str(path),
        "seed": seed,
        "tools": {name: version(name) for name in (*TOOLS, device.router)},
        "firmware_sha256": hashlib.sha256(firmware.IMAGE.read_bytes()).hexdigest(),
        "bitstream_sha256": hashlib.sha256(bitstream).hexdigest(),
    }


def _speed(named: NamedModel, lowered: Lowered | SerialLowered, board: Board) -> dict:
    """How fast a model will be on its first bundled image: by estimate, or where that is quick by simulation."""
    image = load_images(named.model.config, None, first=0, count=1).images
    if isinstance(lowered, SerialLowered):
        (run,) = cosim_serial(named.model, image, config=lowered.config)
        return {"estimated_cycles": run.cycles, "estimated_frames_per_second": board.hertz / run.cycles}
    steps = [layer.step for layer in lowered.layers]
    cycles = estimate(steps, golden_activity(named, steps, image, lowered.config), lowered.config, board.memory).cycles
    return {"estimated_cycles": cycles, "estimated_frames_per_second": board.hertz / cycles}


def _synthesise(text: DesignText, device: Device, progress: Progress) -> Netlist:
    task = progress.add_task("synthesis", total=None)
    netlist = synthesise(text.rtlil, device)
    progress.remove_task(task)
    for resource, used in device.usage(netlist.cells).items():
        if used > device.capacity[resource]:
            raise SaformerError(
                f"the netlist has {integer(used)} {resource}, {device.name} has {integer(device.capacity[resource])}: "
                "use fewer lanes or smaller memories"
            )
    return netlist


def _route(
    board: Board, text: DesignText, netlist: Netlist, seeds: range, progress: Progress
) -> tuple[dict, bytes, int]:
    """Place and route with every seed; return report, bitstream and seed of the fastest.

    Raises UnroutableError if routing ends with none of them.
    """
    task, results, failure = progress.add_task("place and route", total=len(seeds)), [], None
    for seed in seeds:

        def tell(stage: str, seed: int = seed) -> None:
            progress.update(task, description=f"seed {seed}: {stage}")

        try:
            report, bitstream = make_bitstream(
                netlist,
                DEVICES[board.device],
                constraints=text.constraints,
                package=board.package,
                packing=board.packing,
                seed=seed,
                megahertz=board.hertz / 1e6,
                watch=tell,
            )
            results.append((report, bitstream, seed))
        except UnroutableError as error:
            failure = error
        progress.advance(task)
    if failure is not None and not results:
        raise failure
    return max(results, key=lambda result: clock([result[0]])["worst"])


def _write_sources(out: Path, board: Board, text: DesignText) -> None:
    """Write what another flow needs."""
    device, verilog, memory = DEVICES[board.device], f"{TOP}.v", "firmware.bin"
    script = flow_script(
        device, package=board.package, packing=board.packing, source=verilog, megahertz=board.hertz / 1e6
    )
    files = {
        verilog: write_verilog(text.rtlil).encode(),
        device.bitstream.constraints: text.constraints.encode(),
        "build.sh": (script + append_script(board, bitstream=device.bitstream.file, memory=memory)).encode(),
    }
    if board.flash is not None:
        files[memory] = core_memory()
    for name, content in files.items():
        write_bytes(out / name, content)
    console().print(f"wrote {', '.join(files)} to {out}: run the script there")


def _list() -> None:
    """Print the boards."""
    rows = [
        (
            board.name,
            board.title,
            integer(DEVICES[board.device].capacity["lut"]),
            integer(DEVICES[board.device].capacity["block"]),
            f"{board.hertz / 1e6:g}",
            integer(board.memory_bytes),
            board.hardware,
        )
        for board in BOARDS.values()
    ]
    columns = ("name", "board", "LUT", "block RAM", "MHz", "program memory, bytes", "hardware")
    console().print(table(columns, rows))


def _print_preflight(figures: dict) -> None:
    """Print what will be needed."""
    out, capacity, estimated = console(), figures["capacity"], figures["estimated"]
    rows = []
    for resource, needed in estimated.items():
        memories = sorted(figures["memories"].get(resource, {}).items(), key=lambda item: -item[1])
        rows += [(_short(path), integer(count), "") for path, count in memories[:LARGEST]]
        if rest := memories[LARGEST:]:
            rows.append(("other memories", integer(sum(count for _, count in rest)), ""))
        name = RESOURCES[resource] + (", about" if resource == "lut" else "")
        rows.append((name, integer(needed), percent(needed / capacity[resource])))
    memory = figures["program_memory"]
    if memory["needed"] is not None:
        rows.append(("program memory, bytes", integer(memory["needed"]), percent(memory["needed"] / memory["bytes"])))
    out.print(table(("before it is built", "needed", "of what is there"), rows))


def _short(path: str) -> str:
    """The end of a memory's path that says what it is."""
    return path.removeprefix("top.").removeprefix("soc.inside.").removeprefix("accelerator.")


def _print(path: Path, figures: dict) -> None:
    """Print what was built."""
    out, used = console(), figures["netlist"]
    resources = ", ".join(
        f"{integer(used[key])} {name} ({percent(used[key] / figures['capacity'][key])})"
        for key, name in RESOURCES.items()
        if key in used
    )
    out.print(f"bitstream   {path}, SHA-256 {figures['bitstream_sha256'][:16]}", soft_wrap=True)
    out.print(f"hardware    {figures['hardware']['name']}, build {figures['build_hash']}; {resources}", soft_wrap=True)
    out.print(
        f"clock       {figures['megahertz']:.1f} MHz with seed {figures['seed']}, "
        f"{figures['target_megahertz']:g} MHz needed",
        soft_wrap=True,
    )
    out.print(f"path        {figures['path']}", soft_wrap=True)
    if "estimated_cycles" in figures:
        out.print(
            f"speed       {figures['model']}: {integer(figures['estimated_cycles'])} cycles an image by estimate, "
            f"{figures['estimated_frames_per_second']:.0f} frames a second",
            soft_wrap=True,
        )
    out.print(f"load it     saformer load --board {figures['board']} {path}", soft_wrap=True)
