"""The bundled event model on recordings: ten timesteps in three passes."""

from golden.container import load_model
from golden.events import BUNDLED_RECORDINGS, load_recordings
from hw.compile.fit import fit
from hw.config import HardwareConfig
from sim.cosim import cosim

HARDWARE = HardwareConfig(name="recordings", lanes=16, passes=3, beat_channels=2, word_channels=16, bus_bytes=4)


def test_the_event_model_is_bit_exact_on_recordings():
    model = load_model("events")
    recordings = load_recordings(model.config, "test", BUNDLED_RECORDINGS, count=2)
    result = cosim(model, recordings.images, recordings.labels.tolist(), config=fit([model], HARDWARE))
    assert [str(mismatch) for mismatch in result.mismatches] == []
    assert list(result.predictions) == list(result.labels)
    # Masks fire, so that all of the attention is exercised.
    hits = {layer.name: layer.counters["HITS"] for layer in result.layers if layer.name.endswith(".k")}
    assert all(hits.values())
