"""``saformer init``: untrained models of any shape."""

from pathlib import Path
from typing import Annotated

import typer

from golden.config import load_config
from golden.container import save_model
from scripts.inputs import untrained
from scripts.outputs import ensure_writable
from scripts.tables import console


def init(
    config: Annotated[
        str, typer.Argument(help="A configuration: a name (tiny, micro, mini, 4-384, 2-512, 2-256) or a TOML file.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write the model to.")],
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of the random weights.")] = 0,
) -> None:
    """Write an untrained integer model whose neurons fire at realistic rates.

    Its weights are random; its thresholds are calibrated on images. For simulating what nobody has trained yet.
    """
    ensure_writable(out)
    named = untrained(load_config(config), seed=seed)
    save_model(named.model, out)
    console().print(f"wrote {out}: {named.name}, SHA-256 {named.digest[:16]}")
