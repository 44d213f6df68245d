"""``saformer complexity``: operations of every attention against the number of tokens."""

from pathlib import Path
from typing import Annotated

import typer

from golden.energy.complexity import WINDOWED_TOKENS, measure_complexity
from scripts.inputs import JsonFile
from scripts.outputs import ensure_writable, write_json, write_text
from scripts.plots import powers
from scripts.tables import console, integer, table


def complexity(
    rate: Annotated[float, typer.Option(metavar="R", min=0.01, max=1, help="Rate of all spikes.")] = 0.15,
    json: JsonFile = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them, as SVG.")] = None,
) -> None:
    """Count the operations of every attention between its projections, for more and more tokens, at one firing rate.

    Spikes are random; 64 channels, 8 heads, 4 timesteps. The exponent is that of a power law through the points.
    """
    ensure_writable(json, plot)
    rows = measure_complexity(rate)
    if json is not None:
        write_json(json, {"rate": rate, "rows": rows})
    if plot is not None:
        write_text(plot, powers(rows))
    for axis, words in (("N", "tokens N"), ("n", f"windows n, {WINDOWED_TOKENS} tokens")):
        chosen = [row for row in rows if row["axis"] == axis]
        columns = (words, *map(str, chosen[0]["sizes"]), "exponent")
        lines = [(row["attention"], *map(integer, row["operations"]), f"{row['exponent']:.2f}") for row in chosen]
        console().print(table(columns, lines))
