"""Quantised networks that `saformer convert` trained, as it left them in a folder."""

import hashlib
import json
from pathlib import Path

from torch import nn

from golden.checkpoint import load_checkpoint
from golden.config import ModelConfig
from golden.conversion.config import ConversionConfig
from golden.conversion.networks import build
from golden.errors import SaformerError

RECORD, CHECKPOINT = "conversion.json", "checkpoint.pt"


def load_network(folder: Path) -> tuple[nn.Module, str]:
    """The network of a folder, in evaluation, and the SHA-256 of its checkpoint.

    Raises SaformerError: the folder holds none that is finished, or it is damaged.
    """
    record, checkpoint = folder / RECORD, folder / CHECKPOINT
    if not record.is_file() or not checkpoint.is_file():
        raise SaformerError(f"{folder} holds no network that was trained: name the --out of saformer convert")
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
        config = ConversionConfig(model=ModelConfig.from_dict(values["model"]), **values["conversion"])
        network = build(config)
        network.load_state_dict(load_checkpoint(checkpoint)["best"]["model"])
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise SaformerError(
            f"{folder} holds a damaged network ({reason}): train it again with saformer convert"
        ) from None
    return network.eval(), hashlib.sha256(checkpoint.read_bytes()).hexdigest()
