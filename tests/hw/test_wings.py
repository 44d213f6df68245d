"""The wings of the hardware: who may import from whom."""

import ast
from pathlib import Path

import pytest

import hw

ROOT = Path(hw.__file__).parent
UNITS = ("engine", "attention", "neurons", "memory", "serial")
"""Wings that hold components; those of `compile`, `estimate` and `synth` are run on the host."""

HOST = ("hw.compile", "hw.estimate", "hw.synth")


def imported(path):
    """The modules that a file imports from."""
    return {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("wing", UNITS)
def test_components_do_not_know_the_compiler(wing):
    files = sorted((ROOT / wing).glob("*.py"))
    assert len(files) > 2
    for path in files:
        assert not {module for module in imported(path) if module.startswith(HOST)}, path


def test_the_accelerator_does_not_know_the_compiler():
    for name in ("accelerator", "sequencer", "program", "beats", "config", "counters"):
        assert not {module for module in imported(ROOT / f"{name}.py") if module.startswith(HOST)}, name


def test_only_the_ground_floor_and_the_wings_themselves_are_there():
    ground = {path.stem for path in ROOT.glob("*.py")}
    assert ground == {"__init__", "accelerator", "sequencer", "program", "beats", "config", "counters"}
