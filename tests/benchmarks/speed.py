"""How fast one network runs and trains on this processor, and runs in SpikingJelly, in one run, as JSON.

    python -m tests.benchmarks.speed 4-384 --images 8 --threads 2

SpikingJelly computes on real numbers: weights are divided by the thresholds of their channels, so that all its neurons
have the threshold 1. What it predicts is compared, and may differ where a membrane is at its threshold.
"""

import argparse
import json
import statistics
import time

import torch
from spikingjelly.activation_based import layer as jelly_layer
from spikingjelly.activation_based import neuron as jelly
from torch import Tensor, nn
from torch.nn import functional as F

from golden.config import ModelConfig
from golden.evaluate import predict
from golden.integer import IntegerModel, aggregate_threshold
from golden.model import SAFormer
from golden.plan import TrainPlan, default_stages
from golden.products import multiplies_bytes
from golden.train import step_seconds
from scripts.inputs import load_images, resolve_model

REPEATS = 3


class JellySAFormer(nn.Module):
    """A SAFormer of images with SpikingJelly's layers and neurons, [B, C, H, W] to logits [T, B, classes]."""

    def __init__(self, model: IntegerModel):
        super().__init__()
        self.model, self.config = model, model.config
        self.stream = model.stream_threshold.float()
        self.fire, self.mask_neuron = _neuron(), _neuron(self.config.mask_threshold / 16)
        self.convolutions = nn.ModuleDict()
        for stage in range(1, 6):
            self.convolutions[f"conv{stage}"] = _layer(model, f"conv{stage}", self._scale(f"conv{stage}"))
        for index in range(self.config.depth):
            for part in ("q", "k", "proj", "fc1", "fc2"):
                name = f"blocks.{index}.{part}"
                self.convolutions[name.replace(".", "_")] = _layer(model, name, self._scale(name))
            dwc = model.layer(f"blocks.{index}.dwc")
            self.convolutions[f"blocks_{index}_dwc"] = _layer(
                model, f"blocks.{index}.dwc", dwc.threshold, depthwise=True
            )
        self.open = (model.layer("conv4").threshold * 2.0 ** model.layer("conv4").shift / self.stream).reshape(-1, 1, 1)

    def _scale(self, name: str) -> Tensor:
        """What a current is divided by: its threshold, or that of the stream that it is written to."""
        layer = self.model.layer(name)
        return self.stream / 2.0**layer.shift if layer.threshold is None else layer.threshold

    def _spikes(self, x: Tensor) -> Tensor:
        self.fire.reset()
        return self.fire(x)

    def _current(self, name: str, x: Tensor) -> Tensor:
        return self.convolutions[name.replace(".", "_")](x)

    def _pool(self, stage: int, x: Tensor) -> Tensor:
        if stage not in self.config.pool_stages:
            return x
        return F.max_pool2d(x.flatten(0, 1), self.config.pool_kernel, 2).unflatten(0, x.shape[:2])

    def forward(self, images: Tensor) -> Tensor:
        config = self.config
        current = self._current("conv1", images.unsqueeze(0)).expand(config.timesteps, -1, -1, -1, -1)
        x = self._spikes(current)
        for stage in (2, 3, 4):
            current = self._pool(stage, self._current(f"conv{stage}", x))
            x = self._spikes(current)
        stream = self.open * current + self._current("conv5", x)
        for index in range(config.depth):
            stream = self._block(f"blocks.{index}", stream)
        head = self.model.layer("head")
        features = self._spikes(stream.mean(dim=(-2, -1)))
        return F.linear(features, head.weight.float(), head.bias.float())

    def _block(self, name: str, stream: Tensor) -> Tensor:
        spikes = self._spikes(stream)
        k = self._current(f"{name}.k", spikes)
        qa, ka = (
            self._aggregate(f"{name}.{part}", x) for part, x in (("q", self._current(f"{name}.q", spikes)), ("k", k))
        )
        k = self._spikes(k)
        self.mask_neuron.reset()
        mask = self.mask_neuron((qa * ka).sum(dim=(-2, -1), keepdim=True))
        dwc = self.model.layer(f"{name}.dwc")
        one = (dwc.one / dwc.threshold).reshape(-1, 1, 1)
        mix = self._spikes(self._current(f"{name}.dwc", k) + one * (mask * k))
        stream = stream + self._current(f"{name}.proj", mix)
        hidden = self._spikes(self._current(f"{name}.fc1", self._spikes(stream)))
        return stream + self._current(f"{name}.fc2", hidden)

    def _aggregate(self, name: str, x: Tensor) -> Tensor:
        """Spikes on the sums over windows, whose threshold is another one."""
        threshold = self.model.layer(name).threshold
        share = (threshold / aggregate_threshold(self.config, threshold)).reshape(-1, 1, 1)
        sums = F.avg_pool2d(x.flatten(0, 1), self.config.window_kernel, divisor_override=1).unflatten(0, x.shape[:2])
        return self._spikes(share * sums)


def _neuron(threshold: float = 1.0) -> jelly.LIFNode:
    return jelly.LIFNode(tau=2.0, v_threshold=threshold, step_mode="m")


def _layer(model: IntegerModel, name: str, scale: Tensor, *, depthwise: bool = False) -> jelly_layer.Conv2d:
    own = model.layer(name)
    weight = own.weight.float()
    weight = weight.reshape(*weight.shape, 1, 1) if weight.dim() == 2 else weight
    weight = weight.unsqueeze(1) if depthwise else weight
    outputs, inputs, kernel, _ = weight.shape
    groups = outputs if depthwise else 1
    made = jelly_layer.Conv2d(inputs * groups, outputs, kernel, padding=kernel // 2, groups=groups, step_mode="m")
    made.weight.data = weight / scale.reshape(-1, 1, 1, 1)
    made.bias.data = own.bias / scale
    return made


def seconds(work) -> float:
    """The median time of some calls, after one that is not measured."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def training_speed(config: ModelConfig, *, batch: int, bfloat16: bool) -> dict[str, float]:
    """Images a second of a training step, by stage, on the bundled images."""
    plan = TrainPlan(config=config, stages=default_stages(config), batch=batch, bfloat16=bfloat16)
    times = step_seconds(plan, training=load_images(config, None))
    return {stage.name: batch / time for stage, time in zip(plan.stages, times, strict=True)}


def compare(name: str, *, images: int) -> dict:
    """Images a second: of the integer model, of the network in floating point, of SpikingJelly, and in training; on the
    bundled images; and how many predictions of the integer model and of SpikingJelly are the same."""
    model = resolve_model(name).model
    pixels = load_images(model.config, None, count=images).images
    network = JellySAFormer(model).eval()

    def theirs() -> Tensor:
        with torch.no_grad():
            return network(pixels.float()).sum(dim=0).argmax(dim=1)

    def ours() -> Tensor:
        return predict(model, pixels)

    real = SAFormer(model.config).eval()

    def floating() -> Tensor:
        with torch.no_grad():
            return real.scores(pixels.float())

    figures = {
        "model": name,
        "images": images,
        "threads": torch.get_num_threads(),
        "integer_images_per_second": images / seconds(ours),
        "float_images_per_second": images / seconds(floating),
        "spikingjelly_images_per_second": images / seconds(theirs),
        "bytes_are_multiplied": multiplies_bytes(),
        "training_images_per_second": {
            precision: training_speed(model.config, batch=images, bfloat16=precision == "bfloat16")
            for precision in ("float32", "bfloat16")
        },
        "same_predictions": int((ours() == theirs()).sum()),
    }
    return figures | {
        "ratio": figures["integer_images_per_second"] / figures["spikingjelly_images_per_second"],
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speed of a network here and in SpikingJelly, as JSON.")
    parser.add_argument("model", nargs="?", default="4-384")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    print(json.dumps(compare(arguments.model, images=arguments.images), indent=1))
