"""Cached Verilator builds: one folder for each combination of design, harness, flags and tool versions."""

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from hw.synth.tools import cache_dir, cached_folder, rename_folder
from sim.toolchain import compile_model, verilate, verilator_root

WAIVERS = Path(__file__).with_name("waivers.vlt")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a design becomes something that runs.

    Parameters
    ----------
    product : name of the file that the build makes
    flags : arguments of Verilator
    variables : variables of the makefile, ``NAME=value``
    sources : text of additional files by name; C++ files are compiled in, headers only written
    externals : C++ files outside the build folder that are compiled in
    """

    product: str
    flags: tuple[str, ...]
    variables: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    externals: tuple[str, ...] = ()


def build(*, verilog: str, recipe: Recipe) -> Path:
    """Return the product of ``recipe`` for a design, building it if it is not in the cache.

    A build happens in a temporary folder that is renamed when it is complete, so an interrupted one leaves nothing
    that looks finished. Raises SaformerError with the tool's messages when the design does not build, and when the
    cache cannot be written.
    """
    folder = cached_folder(
        "models",
        _key(verilog, asdict(recipe)),
        lambda work: _build_in(work, verilog, recipe),
        keep=(recipe.product, "top.v"),
    )
    return folder / recipe.product


def _build_in(work: Path, verilog: str, recipe: Recipe) -> None:
    """Write the sources into ``work``, verilate and compile."""
    (work / "top.v").write_text(verilog)
    for name, text in recipe.sources.items():
        (work / name).write_text(text)
    compiled = [name for name in recipe.sources if name.endswith((".cpp", ".vlt"))]
    options = ["--cc", "--exe", "-Wall", "--top-module", "top", "--prefix", "Vtop", "--Mdir", ".", "-o", recipe.product]
    verilate([*options, *recipe.flags, WAIVERS, *compiled, *recipe.externals, "top.v"], cwd=work)
    runtime = cache_dir() / "runtime" / _key(recipe.flags, recipe.variables)
    if runtime.is_dir():
        # Verilator's own sources are the same for every design; make skips objects newer than they are.
        for archived in runtime.iterdir():
            shutil.copyfile(archived, work / archived.name)
    compile_model(cwd=work, variables=recipe.variables)
    if not runtime.is_dir():
        _keep_runtime(work, runtime)


def _keep_runtime(work: Path, runtime: Path) -> None:
    """Save the objects of Verilator's runtime library for the next build with the same flags."""
    runtime.parent.mkdir(parents=True, exist_ok=True)
    saved = Path(tempfile.mkdtemp(dir=runtime.parent, prefix="objects-"))
    for compiled in work.glob("verilated*.o"):
        shutil.copyfile(compiled, saved / compiled.name)
    rename_folder(saved, runtime)


def _key(*parts: object) -> str:
    """Return a hash of ``parts`` and of the tools that a build depends on."""
    tools = [version("verilator"), version("cocotb"), platform.machine(), str(verilator_root()), WAIVERS.read_text()]
    text = json.dumps([parts, tools], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
