"""``saformer energy``: one inference, billed by every convention."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from golden.config import ModelConfig
from golden.energy.conventions import bill, break_even_rate, described
from golden.energy.costs import DEFAULT_PRESET, Costs, load_costs, preset_names
from golden.energy.paper import PAPER_FIGURES, implied_rate, relative_difference
from golden.energy.rates import read_rates
from golden.energy.tables import spikformer_shares, table5
from golden.energy.workload import Workload, from_counts, from_rate
from golden.errors import SaformerError
from golden.evaluate import count_images
from scripts.inputs import DataFolder, FirstImage, JsonFile, ModelName, find_config, load_images, resolve_model
from scripts.outputs import ensure_writable, write_json, write_text
from scripts.plots import energies
from scripts.tables import console, integer, millijoule, percent, table

PUBLISHED_BREAK_EVEN = 0.057
"""At T = 5, data movement included: Z. Yan et al., arXiv:2409.08290."""

TABLES_NOTE = (
    "What the paper compares with costs what its relative differences (eq. 21) imply. The implied rate is the one at "
    "which eq. 19 gives the paper's figure for its own network. Ours is this run; networks named by their "
    "configuration are not trained, so their firing rates are not those of the paper."
)

_COMPARED = ("integer_sram", "integer_weights_once", "integer_parallel_steps")


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Work, where it comes from in words, and the network, where there is one."""

    work: Workload
    words: str
    config: ModelConfig | None


def energy(
    model: ModelName = "tiny",
    rate: Annotated[
        float | None, typer.Option(metavar="R", help="One firing rate for all spikes, 0 to 1, instead of images.")
    ] = None,
    rates: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A CSV file with the columns layer,operations,rate,kind instead of MODEL."),
    ] = None,
    images: Annotated[int, typer.Option(metavar="K", min=1, help="Images whose spikes are counted.")] = 10,
    first: FirstImage = 0,
    data: DataFolder = None,
    costs: Annotated[
        str, typer.Option(metavar="NAME", help=f"Prices: {', '.join(preset_names())}, or a TOML file of that form.")
    ] = DEFAULT_PRESET,
    tables: Annotated[bool, typer.Option("--tables", help="The paper's tables 1, 2 and 5 beside ours.")] = False,
    json: JsonFile = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the tables as CSV.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the conventions side by side, as SVG.")
    ] = None,
) -> None:
    """Energy of one inference by several conventions, each named with what it bills.

    From the spikes of MODEL on images, from one firing rate, or from a table of firing rates of any network.
    """
    ensure_writable(json, csv_file, plot)
    prices = load_costs(costs)
    source = _source(model, rate, rates, data, first, images)
    figures = _figures(source, prices)
    shown = _paper_rows(source, figures["energy_mj"]["eq19"]) if tables or csv_file else []
    blocks = table5() if tables or csv_file else []
    if tables or csv_file:
        figures |= {"paper": shown, "table5": blocks, "spikformer": spikformer_shares()}
    if json is not None:
        write_json(json, figures)
    if csv_file is not None:
        write_text(csv_file, _as_csv([*shown, *blocks]))
    if plot is not None:
        write_text(plot, energies(figures["energy_mj"]))
    _print(source, figures, prices)
    if tables:
        _print_tables(figures)


def _source(model: str, rate: float | None, rates: Path | None, data: Path | None, first: int, images: int) -> _Source:
    """The work that the command line names. Raises SaformerError where it names two."""
    if rate is not None and rates is not None:
        raise SaformerError("--rate and --rates are two sources of firing rates: give one of them")
    if rates is not None:
        return _Source(work=read_rates(rates), words=f"firing rates of {rates.name}", config=None)
    if rate is not None:
        config = find_config(model)
        return _Source(
            work=from_rate(config, rate), words=f"{config.name}, all spikes at a rate of {rate}", config=config
        )
    named = resolve_model(model)
    config = named.model.config
    chosen = load_images(config, data, first=first, count=images)
    work = from_counts(config, count_images(named.model, chosen.images))
    return _Source(work=work, words=f"{named.name}, spikes of {images} images", config=config)


def _figures(source: _Source, prices: Costs) -> dict:
    """Everything that was computed, as JSON has it."""
    work, config = source.work, source.config
    figures = {
        "source": source.words,
        "costs": {"name": prices.name, "source": prices.source},
        "firing_rate": work.rate,
        "energy_mj": dict(bill(work, prices)),
        "layers": [
            {
                "name": layer.name,
                "kind": str(layer.kind),
                "operations": layer.operations,
                "rate": layer.rate,
                "executed": layer.executed,
            }
            for layer in work.layers
        ],
    }
    # Both sides of it are of integers and memory.
    if config is not None and work.has_shapes:
        rates = {name: break_even_rate(config, prices, name) for name in _COMPARED}
        figures["break_even_rate"] = rates | {"published_at_5_timesteps": PUBLISHED_BREAK_EVEN}
    return figures


def _paper_rows(source: _Source, here: float) -> list[dict]:
    """Tables 1 and 2: the paper's networks, what it compares them with, and this run's energy `here` beside its own."""
    rows, found = [], False
    for figure in PAPER_FIGURES:
        place = {"table": figure.table, "data": figure.data}
        row = {
            "network": figure.network,
            "accuracy_percent": figure.accuracy,
            "paper_mj": figure.energy_mj,
            "implied_rate": implied_rate(figure),
        }
        if source.config is not None and source.config.name == figure.network:
            found = True
            row |= _ours(source, here, figure.energy_mj)
        rows.append(place | row)
        rows += [
            place | {"network": name, "paper_mj": energy, "relative_difference": figure.savings[name]}
            for name, energy in figure.others_mj().items()
        ]
    if not found:
        rows.append({"table": 1, "data": "", "network": "this run"} | _ours(source, here, PAPER_FIGURES[0].energy_mj))
    return rows


def _ours(source: _Source, energy: float, paper: float) -> dict:
    return {"ours": source.words, "ours_mj": energy, "relative_difference": relative_difference(paper, energy)}


def _as_csv(rows: Sequence[dict]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _print(source: _Source, figures: dict, prices: Costs) -> None:
    out, energy_mj = console(), figures["energy_mj"]
    for name, energy, bills in described(energy_mj):
        out.print(f"{name:<23} {energy:>10.4f} mJ   {bills}", soft_wrap=True)
    out.print(f"energy    {energy_mj['eq19']:.2f} mJ by eq. 19: {source.words}", soft_wrap=True)
    out.print(f"rate      {percent(figures['firing_rate'])} of the inputs of layers that read spikes fire")
    out.print(f"prices    integers and memory: {prices.source}", soft_wrap=True)
    if "break_even_rate" in figures:
        for name in _COMPARED:
            rate = figures["break_even_rate"][name]
            words = "at no rate" if rate is None else f"below a rate of {percent(rate)}"
            out.print(f"spiking   billed by {name}, costs less than quantised_network {words}", soft_wrap=True)
        out.print(f"          published, for another model of data movement, at T = 5: {percent(PUBLISHED_BREAK_EVEN)}")


def _print_tables(figures: dict) -> None:
    out = console()
    rows = [
        (
            ", ".join(filter(None, (f"{row['table']}: {row['network']}", row["data"]))),
            f"{row['paper_mj']:.2f}" if "paper_mj" in row else "",
            percent(row["implied_rate"]) if "implied_rate" in row else "",
            f"{row['ours_mj']:.4f}" if "ours_mj" in row else "",
            percent(row["relative_difference"]) if "relative_difference" in row else "",
        )
        for row in figures["paper"]
    ]
    out.print(table(("table", "paper, mJ", "implied rate", "ours, mJ", "eq. 21"), rows))
    out.print(TABLES_NOTE, soft_wrap=True)
    blocks = [
        (row["mechanism"], f"{row['linear_uj']:.2f}", f"{row['attention_uj']:.2f}", f"{row['convolution_uj']:.2f}")
        for row in figures["table5"]
    ]
    out.print(table(("table 5: one block, rates 1", "linear, uJ", "attention, uJ", "DWC, uJ"), blocks))
    shares = figures["spikformer"]
    for line in (
        f"Spikformer  {millijoule(shares['claimed_mj'])} by the paper's claim, of which "
        f"{millijoule(shares['numbers_as_macs_mj'])} are layers that read sums of spikes (its residuals),",
        f"            billed as {integer(shares['number_macs'])} dense multiply-accumulates. As accumulates at a rate",
        f"            of {percent(shares['rate'])} they would be {millijoule(shares['numbers_as_accumulates_mj'])}: "
        "the tenfold difference is one of billing.",
        f"            They are numbers of up to {shares['number_bits']} bits, neither spikes nor real.",
    ):
        out.print(line, soft_wrap=True)
