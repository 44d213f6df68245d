"""``saformer synth``: what the accelerator takes on a device, and how fast it is there."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hw.accelerator import Accelerator
from hw.config import HardwareConfig
from hw.serial.accelerator import SerialAccelerator
from hw.serial.config import SERIAL, SerialConfig, load_either
from hw.synth.devices import Device, find_device
from hw.synth.figures import SHARED, WHOLE, by_component, clock, critical_path, limit, misplaced, placed
from hw.synth.flow import TOP, Netlist, UnroutableError, hierarchy, memory_depths, place_and_route, synthesise
from hw.synth.harness import Harness
from hw.synth.rtlil import to_rtlil
from scripts.inputs import JsonFile
from scripts.outputs import ensure_writable, write_json
from scripts.tables import RESOURCES, bars, console, integer, percent, table

OBSERVERS = ("trace_",)
"""Ports that only a simulation looks at: on a device they are not connected."""

SPLIT = ("engine", "core")
"""Components that are shown part by part."""

WORKERS = 2
"""Tools that run side by side."""


def synth(
    hardware: Annotated[
        str,
        typer.Option(
            "--hw", metavar="CONFIG", help=f"Hardware configuration: a name ({', '.join(SERIAL)} too), or a TOML file."
        ),
    ] = "default",
    device: Annotated[str, typer.Option(metavar="NAME", help="Device, such as lfe5u-85f, up5k or gw2a-18.")] = (
        "lfe5u-85f"
    ),
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Place and route with the seeds 1 to N.")] = 1,
    freq: Annotated[float, typer.Option(metavar="MHZ", min=1, help="Clock that placement and routing aim at.")] = 100.0,
    route: Annotated[
        bool, typer.Option("--route/--no-route", help="Place and route, or stop at the netlist: quicker, no clock.")
    ] = True,
    json: JsonFile = None,
) -> None:
    """Synthesise the accelerator alone, place and route it, and say what it takes and how fast it is.

    LUT, flip-flops and block RAM are those of the netlist, in total and of every component synthesised alone; what the
    whole saves or adds is a line of its own. What is placed is more: the ends of carry chains take LUTs too. Finished
    steps are cached.
    """
    ensure_writable(json)
    config, target = load_either(hardware), find_device(device)
    with bars(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as progress:
        design, root = design_rtlil(config, target)
        parts = components(design, root)
        netlists = _synthesise(design, target, parts, progress)
        figures = summarise(config, target, netlists, memory_depths(design, TOP))
        if route:
            routed, unrouted = _route(netlists[WHOLE], target, seeds, freq, progress)
            worst = min(routed, key=lambda report: clock([report])["worst"])
            figures |= {"megahertz": clock(routed, unrouted=len(unrouted)), "seeds": seeds, "unrouted": unrouted}
            figures |= {"critical_path": asdict(critical_path(worst)), "path": str(critical_path(worst))}
            figures |= {"freq": freq, "placed": placed(worst)}
    if json is not None:
        write_json(json, figures)
    _print(figures)


def design_rtlil(config: HardwareConfig | SerialConfig, device: Device) -> tuple[str, str]:
    """Return the RTLIL of what is placed on a device, and the module of the accelerator in it."""
    accelerator = SerialAccelerator(config=config) if isinstance(config, SerialConfig) else Accelerator(config=config)
    if device.out_of_context:
        return to_rtlil(accelerator, without=OBSERVERS), TOP
    return to_rtlil(Harness(design=accelerator, without=OBSERVERS)), f"{TOP}.design"


def components(design: str, root: str) -> dict[str, str]:
    """Return the modules that are synthesised one by one, by the name of the component."""
    inside = hierarchy(design)
    found = {}
    for name, module in inside[root].items():
        if name in SPLIT:
            found |= {f"{name}.{_plain(part)}": inner for part, inner in inside[module].items()}
        else:
            found[_plain(name)] = module
    return found


def _plain(instance: str) -> str:
    """Return the name of an instance without the number that tells equal names apart."""
    return re.sub(r"\$\d+$", "", instance)


def _synthesise(design: str, device: Device, parts: dict[str, str], progress: Progress) -> dict[str, Netlist]:
    """Synthesise the whole and every component; return the netlists by name."""
    modules = {WHOLE: TOP} | parts
    task = progress.add_task(f"synthesis of {len(modules)} designs", total=len(modules))

    def one(name: str) -> Netlist:
        netlist = synthesise(design, device, top=modules[name])
        progress.advance(task)
        return netlist

    with ThreadPoolExecutor(WORKERS) as executor:
        return dict(zip(modules, executor.map(one, modules), strict=True))


def _route(
    netlist: Netlist, device: Device, seeds: int, freq: float, progress: Progress
) -> tuple[list[dict], list[int]]:
    """Place and route with every seed; return the reports, and the seeds with which routing does not end.

    Raises UnroutableError if it ends with none of them.
    """
    task = progress.add_task(f"place and route, {seeds} seeds", total=seeds)

    def one(seed: int) -> dict | UnroutableError:
        own = progress.add_task(f"seed {seed}", total=None)

        def tell(stage: str) -> None:
            progress.update(own, description=f"seed {seed}: {stage}")

        try:
            return place_and_route(netlist, device, seed=seed, megahertz=freq, watch=tell)
        except UnroutableError as error:
            return error
        finally:
            progress.remove_task(own)
            progress.advance(task)

    with ThreadPoolExecutor(WORKERS) as executor:
        results = dict(enumerate(executor.map(one, range(1, seeds + 1)), start=1))
    unrouted = {seed: result for seed, result in results.items() if isinstance(result, UnroutableError)}
    if len(unrouted) == seeds:
        raise unrouted[1]
    return [result for seed, result in results.items() if seed not in unrouted], list(unrouted)


def summarise(
    config: HardwareConfig | SerialConfig, device: Device, netlists: dict[str, Netlist], depths: dict[str, int]
) -> dict:
    """Return the figures of `saformer synth` that the netlists have."""
    whole = netlists[WHOLE]
    usage = by_component(netlists, device)
    total = usage.pop(WHOLE)
    resource, share = limit(total, device)
    return {
        "hardware": asdict(config),
        "device": device.name,
        "total": total,
        "capacity": dict(device.capacity),
        "components": usage,
        "limit": {"resource": resource, "share": share},
        "memories": whole.memories,
        "misplaced": misplaced(whole, depths),
    }


def _print(figures: dict) -> None:
    """Print the components, the whole, and what limits it."""
    out, total = console(), figures["total"]
    kinds = list(figures["capacity"])
    rows = sorted(
        ((name, part) for name, part in figures["components"].items() if name != SHARED),
        key=lambda row: -row[1]["lut"],
    )
    lines = [*rows, (SHARED, figures["components"][SHARED]), (WHOLE, total), (figures["device"], figures["capacity"])]
    cells = [(name, *(integer(part[kind]) for kind in kinds)) for name, part in lines]
    out.print(table(("component", *(RESOURCES[kind] for kind in kinds)), cells))
    resource, share = figures["limit"]["resource"], figures["limit"]["share"]
    out.print(f"limit     {RESOURCES[resource]}: {percent(share)} of the device")
    for name, reason in figures["misplaced"].items():
        out.print(f"memory    {name}: {reason}")
    if "megahertz" in figures:
        out.print(f"placed    {', '.join(f'{integer(count)} {cell}' for cell, count in figures['placed'].items())}")
        achieved = figures["megahertz"]
        out.print(
            f"clock     {achieved['median']:.1f} MHz in the median of {figures['seeds']} seeds, "
            f"{achieved['worst']:.1f} MHz in the worst"
        )
        if figures["unrouted"]:
            out.print(f"unrouted  seeds {', '.join(map(str, figures['unrouted']))}: 0 MHz in the median")
        out.print(f"path      {figures['path']}")
