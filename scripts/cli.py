"""The command ``saformer``."""

import sys
from collections.abc import Sequence

import typer

from golden.errors import SaformerError
from scripts.bench import bench
from scripts.build import build
from scripts.complexity import complexity
from scripts.convert import convert
from scripts.cosim import cosim
from scripts.energy import energy
from scripts.estimate import estimate
from scripts.experiment import experiment
from scripts.golden import golden
from scripts.init import init
from scripts.load import load
from scripts.lower import lower_model
from scripts.nir import nir
from scripts.run import run
from scripts.scaling import scaling
from scripts.synth import synth
from scripts.train import train

USAGE = 2
"""Exit status of bad input. A comparison that finds a difference exits with 1."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A spiking transformer from PyTorch to bit-exact RTL: train it, run its integer model, run it on the "
    "simulated accelerator and compare the two.",
)
for command in (
    bench,
    build,
    complexity,
    convert,
    cosim,
    energy,
    estimate,
    experiment,
    golden,
    init,
    load,
    nir,
    run,
    scaling,
    synth,
    train,
):
    app.command()(command)
app.command("lower")(lower_model)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, the program's own by default, and return its exit status.

    Bad input ends in one line on the standard error and status 2.
    """
    try:
        return typer.main.get_command(app)(args=arguments, prog_name="saformer", standalone_mode=False) or 0
    except SaformerError as error:
        message = str(error)
    except typer.TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
    except (typer.Abort, KeyboardInterrupt):
        print("error: interrupted", file=sys.stderr)
        return 130
    # Without arguments the help has been printed, and there is no message.
    if message:
        print(f"error: {message}", file=sys.stderr)
    return USAGE
