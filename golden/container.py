"""The model container: a safetensors file with configuration, integer tensors, a hash and the training record."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from golden.config import ModelConfig
from golden.errors import SaformerError
from golden.files import write_atomically
from golden.integer import IntegerModel

FORMAT = "saformer-integer-model"
VERSION = 2
_KEY = "saformer"
BUNDLED_MODELS = Path(__file__).resolve().parent.parent / "models"


@dataclass(frozen=True, kw_only=True)
class Container:
    """A model as stored: the model, how it was trained (empty if it was not), and its SHA-256."""

    model: IntegerModel
    training: dict
    digest: str


# Settings that are younger than containers in use, with what those mean: there they are not part of the digest.
_YOUNGER = {
    "aggregate_threshold": 1.0,
    "mix_threshold": 1.0,
    "attention": "sasa",
    "heads": 8,
    "neuron": "lif",
    "decay": 0.5,
    "levels": 4,
}


def digest(config: ModelConfig, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the configuration and the tensors, in hexadecimal."""
    settings = {name: value for name, value in config.to_dict().items() if _YOUNGER.get(name) != value}
    state = hashlib.sha256(_text(settings).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        state.update(tensor.contiguous().numpy().tobytes())
    return state.hexdigest()


def save_model(model: IntegerModel, path: Path, *, training: dict | None = None) -> None:
    """Write a container. Raises SaformerError: the file cannot be written."""
    record = {
        "format": FORMAT,
        "version": VERSION,
        "config": model.config.to_dict(),
        "sha256": digest(model.config, model.tensors),
        "training": training or {},
    }
    # One key, because the library writes several in no fixed order, and the same model must give the same bytes.
    data = safetensors.torch.save(dict(model.tensors), metadata={_KEY: json.dumps(record)})
    write_atomically(path, lambda file: file.write(data))


def load_container(path: Path) -> Container:
    """Read a container.

    Raises SaformerError: no file, not a container, truncated, of another version, changed since it was written, or
    with tensors that do not fit its configuration.
    """
    metadata, tensors = _read(path)
    if _KEY not in metadata:
        raise SaformerError(f"{path} is not a SAFormer model; write one with saformer train or saformer init")
    config, training, stored = _parse(path, metadata[_KEY])
    model = IntegerModel(config=config, tensors=tensors)
    if digest(config, tensors) != stored:
        raise SaformerError(f"{path} is damaged: its SHA-256 is not the one it was written with; get or write it again")
    return Container(model=model, training=training, digest=stored)


def _parse(path: Path, text: str) -> tuple[ModelConfig, dict, str]:
    """Configuration, training record and SHA-256 of a container's metadata."""
    try:
        record = json.loads(text)
        name, version = record["format"], record["version"]
        config, training, stored = record["config"], record["training"], record["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise SaformerError(f"{path} has damaged metadata ({error}); get or write it again") from None
    if (name, version) != (FORMAT, VERSION):
        raise SaformerError(
            f"{path} has container version {version}, this program reads version {VERSION}; "
            "write the model again, or use the program that wrote it"
        )
    return ModelConfig.from_dict(config), training, stored


def find_model(name_or_path: str | Path) -> Path:
    """The file of a bundled model ("tiny") or the given container file. Raises SaformerError: neither."""
    bundled = BUNDLED_MODELS / f"{name_or_path}.safetensors"
    for path in (bundled, Path(name_or_path)):
        if path.is_file():
            return path
    names = ", ".join(sorted(path.stem for path in BUNDLED_MODELS.glob("*.safetensors")))
    raise SaformerError(f"no model {str(name_or_path)!r}: name a bundled one ({names}) or a container file")


def load_model(name_or_path: str | Path) -> IntegerModel:
    """The integer model of a bundled name or a container file. Raises SaformerError as `load_container` does."""
    return load_container(find_model(name_or_path)).model


def _text(settings: dict) -> str:
    return json.dumps(settings, sort_keys=True)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in list(file.keys())}
    except FileNotFoundError:
        raise SaformerError(f"no file {path}; name a container written by saformer train or saformer init") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise SaformerError(f"{path} is not a complete SAFormer model ({error}); get or write it again") from None
