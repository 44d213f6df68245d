"""``saformer nir``: a network from a NIR file, on integers and on the accelerator."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from golden.config import Reset
from golden.errors import SaformerError
from golden.feedforward.integer import IntegerFeedForward, predictions, quantise_network
from golden.feedforward.network import FeedForward
from golden.feedforward.nir import Finding, export_graph, import_graph, inspect, read_graph, write_graph
from golden.feedforward.nodes import Neurons
from hw.compile.chain import Chain
from hw.compile.image import write_image
from hw.compile.lowering import lower_chain
from hw.config import load_hardware
from scripts.inputs import JsonFile, resolve_model
from scripts.outputs import ensure_writable, write_json
from scripts.tables import console, integer, percent, table
from sim.chain import ChainResult, cosim_chain


def nir(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A NIR file: a chain of layers and neurons.")],
    dt: Annotated[
        float, typer.Option(metavar="SECONDS", help="Length of a timestep; the decay is 1 - dt / tau.")
    ] = 1e-4,
    reset: Annotated[
        Reset | None,
        typer.Option(help="Reset of neurons whose metadata name none: to 0 (hard, the default) or by the threshold."),
    ] = None,
    weight_bits: Annotated[int, typer.Option(min=2, max=8, help="Bits of a weight.")] = 8,
    frames: Annotated[
        Path | None,
        typer.Option(metavar="NPY", help="Recordings to run, uint8 [K, T, ...] of 0 and 1; by default random ones."),
    ] = None,
    recordings: Annotated[int, typer.Option(metavar="K", min=1, help="Random recordings.")] = 3,
    timesteps: Annotated[int, typer.Option(metavar="T", min=1, help="Timesteps of a random recording.")] = 4,
    rate: Annotated[float, typer.Option(metavar="R", min=0, max=1, help="Firing rate of random recordings.")] = 0.2,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of random recordings.")] = 1,
    on_hardware: Annotated[
        bool, typer.Option("--cosim", help="Run them on the simulated accelerator too, and compare everything.")
    ] = False,
    hw: Annotated[
        str, typer.Option(metavar="CONFIG", help="Hardware of --cosim and --image: a name or a file.")
    ] = "default",
    export: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the network to a NIR file again.")] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the program image for the hardware, as lower does.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Import a network from a NIR file, say of every node whether it is supported, and run it.

    Weights are rounded to integers with a scale for each output channel. With --cosim the exit status is 1 if the
    accelerator differs from the integer model.
    """
    ensure_writable(json, export, image)
    network, findings = _import(file, reset)
    quantised = quantise_network(network, dt=dt, weight_bits=weight_bits)
    inputs = _inputs(network, frames, (recordings, timesteps), rate, seed)
    figures = {"file": file, "nodes": [vars(finding) for finding in findings], "parameters": network.parameters}
    figures |= _run(quantised, inputs)
    if on_hardware:
        figures |= _cosim(quantised, inputs, Path(file).stem, hw)
    if image is not None:
        chain = Chain(quantised, name=Path(file).stem, timesteps=inputs.shape[1], config=load_hardware(hw))
        written = write_image(image, lower_chain(chain))
        console().print(f"wrote {image}: {integer(len(written.payload))} bytes for {hw}, SHA-256 {written.digest}")
    if export is not None:
        write_graph(export_graph(network), export)
        console().print(f"wrote {export}")
    if json is not None:
        write_json(json, figures)
    if not figures.get("bit_exact", True):
        raise typer.Exit(1)


def _import(file: str, reset: Reset | None) -> tuple[FeedForward, list[Finding]]:
    """The network of a file and the report on its nodes, which is printed before anything is refused."""
    if not Path(file).is_file() or Path(file).suffix == ".safetensors":
        config = resolve_model(file).model.config
        raise SaformerError(
            f"NIR has no node for blocks.0.attention of {config.name} ({config.attention}), nor for a residual stream: "
            "only chains of convolutions, linear maps, pools and neurons can be read and written"
        )
    graph = read_graph(Path(file))
    findings = inspect(graph, reset=reset)
    rows = [(each.name, each.kind, "yes" if each.supported else "no", each.words) for each in findings]
    console().print(table(("node", "type", "supported", ""), rows))
    return import_graph(graph, reset=reset), findings


def _inputs(network: FeedForward, frames: Path | None, sizes: tuple[int, int], rate: float, seed: int) -> Tensor:
    """The recordings to run, uint8 [K, T, ...]."""
    if frames is None:
        draws = torch.rand((*sizes, *network.input_shape), generator=torch.Generator().manual_seed(seed))
        return (draws < rate).to(torch.uint8)
    try:
        return torch.from_numpy(np.load(frames))
    except (OSError, ValueError, TypeError) as error:
        raise SaformerError(f"cannot read {frames} ({str(error).splitlines()[0]}): name a file of numpy.save") from None


def _run(network: IntegerFeedForward, inputs: Tensor) -> dict:
    """Run the integer model, and print how often its neurons fire."""
    values = network.run(inputs)
    rates = {
        node.node.name: float(values[node.node.name].float().mean())
        for node in network.nodes
        if isinstance(node.node, Neurons)
    }
    shown = ", ".join(f"{name} {percent(rate)}" for name, rate in rates.items()) or "no neurons"
    classes = predictions(values).tolist()
    console().print(
        f"{integer(network.network.parameters)} parameters; {len(inputs)} recordings of {inputs.shape[1]} timesteps"
    )
    console().print(f"fire: {shown}", soft_wrap=True)
    console().print(f"largest output: {classes[0] if len(classes) == 1 else classes}", soft_wrap=True)
    return {"rates": rates, "predictions": classes}


def _cosim(network: IntegerFeedForward, inputs: Tensor, name: str, hw: str) -> dict:
    """Compare with the accelerator, and print what came out."""
    result: ChainResult = cosim_chain(network, inputs, name=name, config=load_hardware(hw))
    for number, mismatches in enumerate(result.mismatches):
        for mismatch in mismatches[:3]:
            console().print(f"recording {number}: {mismatch}", soft_wrap=True)
    words = "bit-exact: spikes, outputs and counters" if result.bit_exact else "NOT bit-exact"
    cycles = sum(result.cycles) / len(result.cycles)
    console().print(
        f"accelerator {hw}: {words} of {len(inputs)} recordings; {integer(cycles)} cycles each, "
        f"{integer(result.program_bytes)} bytes of program",
        soft_wrap=True,
    )
    return {
        "hardware": hw,
        "bit_exact": result.bit_exact,
        "mismatches": [[str(mismatch) for mismatch in each] for each in result.mismatches],
        "cycles": result.cycles,
        "events": result.events,
        "accumulates": result.accumulates,
        "program_bytes": result.program_bytes,
    }
