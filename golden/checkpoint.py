"""Checkpoints of a training run: plain dictionaries of tensors and numbers."""

import pickle
from pathlib import Path

import torch

from golden.errors import SaformerError
from golden.files import write_atomically


def save_checkpoint(path: Path, state: dict) -> None:
    """Write `state`; a reader sees the old file or the new one."""
    write_atomically(path, lambda file: torch.save(state, file))


def load_checkpoint(path: Path) -> dict:
    """What `save_checkpoint` wrote, on any device, in main memory. Raises SaformerError: the file is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise SaformerError(f"{path} is not a training checkpoint ({reason}); remove it to start again") from None
