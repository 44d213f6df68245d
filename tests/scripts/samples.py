"""A small comparison's figures, made from the integer model, to render without simulating."""

from golden.config import Input, ModelConfig
from golden.evaluate import evaluate
from golden.integer import run
from hw.config import HARDWARE
from scripts.inputs import load_images, untrained
from scripts.report import ReportInput


def sample(*, images: int = 3, in_channels: int = 3, input: Input = Input.PIXELS) -> ReportInput:
    """Return what a comparison of a small untrained model that found no difference would report."""
    shape = {"image_size": 16, "in_channels": in_channels, "timesteps": 2, "input": input}
    config = ModelConfig(name="sample", dim=16, depth=1, **shape)
    named = untrained(config, seed=1)
    chosen = load_images(config, None, count=images)
    figures = evaluate(named.model, chosen.images, chosen.labels)
    trace = run(named.model, chosen.images)
    layers = [
        {
            **layer,
            "kind": "event",
            "sops_golden": layer["sops"],
            "sops_rtl": layer["sops"],
            "weight_fetches": layer["events"] * 16,
            "cycles": layer["events"] * 11 // 10,
            "ideal_cycles": layer["events"],
            "note": "" if layer["events"] else "in the background",
        }
        for layer in figures["layers"]
    ]
    figures |= {
        "bit_exact": True,
        "mismatches": [],
        "predictions": trace.predictions.tolist(),
        "labels": chosen.labels.tolist(),
        "cycles_per_image": 12_345,
        "cycles_per_second": 250_000.0,
        "image_bytes": 40_000,
        "bus_bytes": [40_000] * images,
        "accumulates_per_cycle": 12.5,
        "accumulates_per_cycle_and_lane": 12.5 / 64,
        "dense_equivalent_per_cycle": 99.0,
        "layers": layers,
        "query": {"ran": "pooled", "measured": 12_345, "other": "tokens", "estimated": 23_456.7},
    }
    return ReportInput(
        figures=figures,
        images=chosen,
        named=named,
        hardware=HARDWARE["default"],
        trace=run(named.model, chosen.images[:1]),
        hashes={"model (SHA-256)": named.digest},
    )
