"""The native engine."""

import numpy as np
import pytest

from golden.errors import SaformerError
from sim.native import NativeModel
from tests.sim.components import Reporter

COUNT = 12


@pytest.fixture
def model():
    with NativeModel(Reporter(count=COUNT), seed=3, public=(("top", "history"),)) as native:
        yield native


def run(model, values, offset=0):
    model.send("i", values)
    model.set("offset", offset)
    model.pulse("start")
    return model.run_until("done", limit=10_000)


@pytest.mark.parametrize("stall", [0.0, 0.7])
def test_records_carry_every_item(model, stall):
    values = np.random.default_rng(1).integers(0, 256, COUNT)
    model.stall("i", stall)
    cycles = run(model, values)
    records = model.records("report")
    assert cycles == COUNT if stall == 0 else cycles > COUNT
    np.testing.assert_array_equal(records.field("number"), np.arange(COUNT))
    np.testing.assert_array_equal(records.field("pair"), np.stack([values, -values], axis=1))
    assert np.all(np.diff(records.cycles.astype(np.int64)) >= 1)
    assert records.cycles[-1] == model.cycle - 1


def test_plain_ports_wider_than_a_word(model):
    offset = (1 << 36) + 5
    run(model, np.arange(COUNT), offset)
    assert model.get("total") == COUNT * offset + sum(range(COUNT))


def test_wide_payloads_pass_unchanged_under_back_pressure(model):
    words = np.random.default_rng(2).integers(0, 1 << 32, (50, 3), dtype=np.uint32)
    words[:, 2] &= (1 << 6) - 1
    model.stall("echo", 0.5)
    model.stall("wide", 0.5)
    model.send("wide", words)
    cycles = model.run_drained("wide", limit=10_000)
    assert cycles > 50
    np.testing.assert_array_equal(model.records("echo").words, words)


def test_back_to_back_runs_and_clear(model):
    first = run(model, np.arange(COUNT))
    model.clear()
    assert len(model.records("report")) == 0
    assert run(model, np.arange(COUNT)) == first
    assert len(model.records("report")) == COUNT


def test_reset_drops_what_is_pending(model):
    model.send("i", np.arange(COUNT))
    model.pulse("start")
    model.step(3)
    assert model.pending("i") == COUNT - 3
    model.reset()
    assert (model.pending("i"), len(model.records("report")), model.get("total")) == (0, 0, 0)
    assert run(model, np.arange(COUNT)) == COUNT


def test_flip_changes_one_bit_of_a_memory(model):
    run(model, np.zeros(COUNT))
    model.clear()
    model.flip("top", "history", row=0, bit=0)
    model.send("i", [7])
    model.pulse("start")
    model.step(1)
    assert model.records("report").field("flag").tolist() == [1]
    with pytest.raises(ValueError, match="no public signal 'history' with a bit 8 in row 0"):
        model.flip("top", "history", row=0, bit=8)


def test_cycle_limit_says_what_is_missing(model):
    model.send("i", [1, 2])
    model.pulse("start")
    calls = []
    with pytest.raises(SaformerError, match=r"gave up after 100001 cycles: done was not set \(i has 0 items left"):
        model.run_until("done", limit=100_001, progress=calls.append)
    assert calls == [50_000, 100_000, 100_001]


def test_waveform_is_written(tmp_path):
    path = tmp_path / "wave.vcd"
    with NativeModel(Reporter(count=2), trace=path) as model:
        run(model, [1, 2])
    assert "$enddefinitions" in path.read_text()


def test_waveform_in_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SaformerError, match="cannot write the waveform"):
        NativeModel(Reporter(count=2), trace=tmp_path / "no" / "wave.vcd")


def test_streams_without_back_pressure_cannot_stall(model):
    with pytest.raises(ValueError, match="report has no back-pressure"):
        model.stall("report", 0.5)
