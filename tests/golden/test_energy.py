"""Energy by every convention: against sums written out, and against what the paper prints."""

import dataclasses
from pathlib import Path

import pytest
import torch

from golden.calibrate import init_model
from golden.config import CONFIGS, Attention
from golden.counts import count
from golden.data import fit_images
from golden.energy.complexity import exponent, operations
from golden.energy.conventions import BY_NAME, activation_bits, bill, break_even_rate, described, layer_millijoules
from golden.energy.costs import load_costs, preset_names
from golden.energy.paper import PAPER_FIGURES, implied_rate, paper_figure, relative_difference
from golden.energy.rates import read_rates
from golden.energy.tables import spikformer_shares, table5
from golden.energy.workload import Kind, from_counts, from_rate
from golden.errors import SaformerError
from golden.integer import run

COSTS = load_costs()


@pytest.fixture
def counted(small, bundled):
    images = fit_images(bundled.images[:2], channels=3, size=16)
    return count(small, images, run(init_model(small, seed=1), images))


def test_eq19(small, counted):
    others = counted.layers[1:]
    sops = sum(int(layer.sops.sum()) for layer in others) / 2
    estimate = sum(layer.sops_dense_estimate for layer in others) / 2
    macs = 27 * 2 * 16 * 16
    work = from_counts(small, counted)
    energy = bill(work, COSTS)
    assert energy["eq19"] == pytest.approx((4.6 * macs + 0.9 * sops) * 1e-9)
    assert energy["eq19_dense_estimate"] == pytest.approx((4.6 * macs + 0.9 * estimate) * 1e-9)
    assert energy["eq19_conv1_each_step"] == pytest.approx((4 * 4.6 * macs + 0.9 * sops) * 1e-9)
    assert sum(layer_millijoules(work).values()) == pytest.approx(energy["eq19"])
    # Borders only lose operations.
    assert energy["eq19"] < energy["eq19_dense_estimate"]


def test_events_are_not_multiplied(small, inputs):
    config = dataclasses.replace(small, input="events")
    frames = inputs(config, 2)
    counts = count(config, frames, run(init_model(config, seed=1), frames))
    work = from_counts(config, counts)
    assert {layer.kind for layer in work.layers} == {Kind.AC}
    assert layer_millijoules(work)["conv1"] == pytest.approx(0.9 * int(counts.layers[0].sops.sum()) / 2 * 1e-9)


@pytest.mark.parametrize(
    ("change", "layer"), [({"mix_neuron": False}, "blocks.0.proj"), ({"head": "rate"}, "head")], ids=["mix", "head"]
)
def test_numbers_are_never_billed_as_spikes(small, inputs, change, layer):
    config = dataclasses.replace(small, **change)
    work = {each.name: each for each in from_rate(config, 0.1).layers}
    assert work[layer].kind is Kind.MAC
    assert {name for name, each in work.items() if each.kind is Kind.MAC} == {"conv1", layer}


def test_neurons_of_several_levels_are_multiplied(small):
    spikes = {"blocks.0.mix", "pool"}
    for changes, single in (
        ({"neuron": "pmsm"}, spikes),
        ({"neuron": "relu-count", "attention": "ssa"}, {"blocks.0.proj"}),
    ):
        config = dataclasses.replace(small, levels=3, **changes)
        work = {each.name: each for each in from_rate(config, 0.1).layers}
        accumulated = {name for name, each in work.items() if each.kind is Kind.AC}
        assert accumulated == single | {"blocks.0.attend", "pool"} & set(work)
    assert (work["blocks.0.fc1"].movement.input_bits, work["blocks.0.proj"].movement.input_bits) == (2, 1)
    binary = {each.name: each for each in from_rate(dataclasses.replace(config, neuron="lif"), 0.1).layers}
    assert work["conv2"].movement.output_bits == 2 * binary["conv2"].movement.output_bits
    assert work["blocks.0.v"].movement.output_bits == binary["blocks.0.v"].movement.output_bits
    # A signed spike adds or subtracts.
    ternary = from_rate(dataclasses.replace(config, neuron="ternary"), 0.1).layers
    assert [each.kind for each in ternary] == [each.kind for each in binary.values()]


def test_the_papers_energy_at_the_rate_it_implies():
    assert bill(from_rate(CONFIGS["4-384"], 0.152), COSTS)["eq19"] == pytest.approx(0.49, abs=0.001)
    assert implied_rate(PAPER_FIGURES[0]) == pytest.approx(0.152, abs=0.0005)
    assert implied_rate(PAPER_FIGURES[1]) == pytest.approx(0.181, abs=0.001)
    assert from_rate(CONFIGS["4-384"], 0.3).rate == pytest.approx(0.3)


def test_paper_figures():
    assert paper_figure(CONFIGS["4-384"]).energy_mj == 0.49
    assert paper_figure(CONFIGS["2-256"]).data == "CIFAR10-DVS"
    assert paper_figure(CONFIGS["tiny"]).network == "4-384"
    others = PAPER_FIGURES[0].others_mj()
    assert (others["Spikformer"], others["S-Transformer"]) == pytest.approx((5.15, 0.52), abs=0.005)
    assert relative_difference(others["Spikformer"], 0.49) == pytest.approx(0.9049)
    with pytest.raises(SaformerError, match="divides by the other's figure"):
        relative_difference(0, 1)


def test_table_5_follows_from_the_equations():
    rows = {row["mechanism"]: (row["linear_uj"], row["attention_uj"], row["convolution_uj"]) for row in table5()}
    expected = {"VSA": (130, 14.5, 0), "SSA": (102, 11.3, 0), "SDSA": (102, 0.09, 0), "SASA": (68, 0.09, 0.8)}
    for name, energies in expected.items():
        assert rows[name] == pytest.approx(energies, rel=0.02)
    assert [row["exponentials"] for row in table5()] == [8 * 64 * 64] + 6 * [0]


def test_spikformers_energy_is_that_of_its_sums():
    shares = spikformer_shares()
    assert shares["number_macs"] == 4 * 4 * 64 * 384 * (3 * 384 + 1536)
    rest = shares["claimed_mj"] - shares["numbers_as_macs_mj"]
    # Billed as spikes they are the smaller part, and the claim's size is gone.
    assert 0 < rest < 0.06 * shares["claimed_mj"]
    assert rest + shares["numbers_as_accumulates_mj"] < PAPER_FIGURES[0].energy_mj


def one_layer(small, name, **change):
    """The work of one layer of a small network, and its movement, with some numbers replaced."""
    work = from_rate(small, 0.25)
    chosen = dataclasses.replace(next(layer for layer in work.layers if layer.name == name), **change)
    return dataclasses.replace(work, layers=(chosen,)), chosen.movement


def test_integer_bills_the_widths(small):
    work, moved = one_layer(small, "blocks.0.fc1", executed=1000.0)
    # 16 inputs of weights up to 127 sum to 2,032: 11 bits and a sign; 64 hidden channels on 16 tokens, and LIF(U).
    assert (moved.accumulator_bits, moved.neurons, moved.additions) == (12, 64 * 16 + 16 * 16, 0)
    addition = 0.03 + 0.07 * 4 / 24
    expected = addition * (1000 + 2 * moved.neurons * 4)
    assert BY_NAME["integer"].millijoules(work, COSTS) == pytest.approx(expected * 1e-9)


def test_memory_bills_every_bit(small):
    work, moved = one_layer(small, "blocks.0.fc1", executed=0.0, fetches=500.0)
    assert (moved.weights, moved.inputs, moved.outputs, moved.stream) == (1024, 256, 1280, 256)
    bit = 10 / 64  # all of them fit 8 KB
    bits = 500 * 8 + 4 * (256 + 1280) + 2 * 4 * 12 * 1280 + 2 * 4 * 16 * 256
    extra = BY_NAME["integer_sram"].millijoules(work, COSTS) - BY_NAME["integer"].millijoules(work, COSTS)
    assert extra == pytest.approx(bits * bit * 1e-9)
    with_dram = BY_NAME["integer_dram"].millijoules(work, COSTS) - BY_NAME["integer_sram"].millijoules(work, COSTS)
    assert with_dram == pytest.approx(1024 * 8 * 1300 / 64 * 1e-9)
    once = BY_NAME["integer_weights_once"].millijoules(work, COSTS)
    assert once - BY_NAME["integer_sram"].millijoules(work, COSTS) == pytest.approx((1024 - 500) * 8 * bit * 1e-9)
    parallel = BY_NAME["integer_parallel_steps"].millijoules(work, COSTS)
    assert once - parallel == pytest.approx(2 * 4 * 12 * 1280 * bit * 1e-9)


def test_quantised_network(small):
    work, _ = one_layer(small, "blocks.0.fc1")
    # Three bits hold 0 to 4 spikes; 16 * 64 products on 16 tokens, once, sums three bits wider.
    multiply, add, narrow = 0.2 * 3 * 8 / 64, 0.03 + 0.07 * 7 / 24, 0.03 + 0.07 * 4 / 24
    operations = 16 * 64 * 16 * (multiply + add) + 2 * 1280 * narrow
    bits = 1024 * 8 + 3 * (256 + 1280) + 2 * 16 * 256
    assert BY_NAME["quantised_network"].millijoules(work, COSTS) == pytest.approx((operations + bits * 10 / 64) * 1e-9)


@pytest.mark.parametrize(("timesteps", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 3), (8, 4), (16, 5)])
def test_activation_bits(timesteps, bits):
    assert activation_bits(timesteps) == bits


def test_break_even():
    config, name = CONFIGS["4-384"], "integer_parallel_steps"
    rate = break_even_rate(config, COSTS, name)
    below, above = (bill(from_rate(config, rate * factor), COSTS) for factor in (0.99, 1.01))
    assert below[name] < below["quantised_network"]
    assert above[name] > above["quantised_network"]
    assert break_even_rate(config, COSTS, "integer_sram") is None
    free = dataclasses.replace(COSTS, integer_multiply={8: 1e6})
    assert break_even_rate(config, free, name) == 1.0


def test_additions_between_and_beyond_the_table():
    assert [COSTS.add(bits) for bits in (4, 8, 20, 32, 64)] == pytest.approx([0.015, 0.03, 0.065, 0.1, 0.2])
    assert COSTS.multiply(8, 8) == 0.2
    assert [64 * COSTS.sram_bit(8 * size) for size in (1, 8192, 8193, 2**20, 2**30)] == [10, 10, 20, 100, 100]


@pytest.mark.parametrize("name", preset_names())
def test_presets_have_sources(name):
    costs = load_costs(name)
    assert costs.name == name
    assert "ISSCC" in costs.source or "ISCA" in costs.source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", "costs mine have no integer_add"),
        ("integer_add = 3", "integer_add must be a table of sizes and pJ, not 3"),
        ("integer_add = { 8 = 0.0 }", "integer_add must have positive numbers, not 0.0"),
        ("integer_add = { eight = 1 }", "the sizes of integer_add must be integers"),
        ("colour = 1", "unknown setting 'colour'"),
        ("dram = -1", "dram must have positive numbers, not -1"),
        ("dram = ", "is not a readable TOML file"),
    ],
)
def test_wrong_costs(tmp_path, change, message):
    settings = {"dram": "1", "sram": "{ 8 = 1.0 }", "integer_multiply": "{ 8 = 1.0 }"}
    settings["integer_add"] = "{ 8 = 1.0 }"
    key = change.partition(" =")[0]
    settings.pop(key or "integer_add", None)
    path = tmp_path / "mine.toml"
    path.write_text("\n".join([f"{name} = {value}" for name, value in settings.items()] + [change]))
    with pytest.raises(SaformerError, match=message):
        load_costs(path)


def test_costs_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("integer_add = { 8 = 1.0 }\ninteger_multiply = { 8 = 2 }\nsram = { 8192 = 64.0 }\ndram = 640\n")
    costs = load_costs(path)
    assert (costs.name, costs.add(16), costs.sram_bit(1), costs.dram_bit) == ("mine", 2.0, 1.0, 10.0)
    with pytest.raises(SaformerError, match="no costs 'other': name one of horowitz-45nm, jouppi-7nm"):
        load_costs("other")


TABLE = "layer,operations,rate,kind\nconv1,1000000,1,mac\nq,2e6,0.25,ac\nk, 4000000, 0.5, AC\n"


def test_table_of_rates(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text(TABLE)
    work = read_rates(path)
    assert [layer.name for layer in work.layers] == ["conv1", "q", "k"]
    energy = bill(work, COSTS)
    assert energy == {name: pytest.approx((4.6e6 + 0.9 * 2.5e6) * 1e-9) for name in ("eq19", "eq19_dense_estimate")}
    assert work.rate == pytest.approx(2.5 / 6)
    assert [name for name, *_ in described(energy)] == list(energy)


def test_published_firing_rates():
    # Spikingformer-8-512 on ImageNet: dense operations and rates as in the log that its authors published
    # (github.com/zhouchenlin2096/Spikingformer, energy_consumption_calculation/test_spikingformer-8-512_eg.log). The
    # two products of an attention from its shapes, T * heads * N * (D / heads)**2, at the rates of their script.
    work = read_rates(Path(__file__).with_name("spikingformer-8-512.csv"))
    assert bill(work, COSTS)["eq19"] == pytest.approx(7.463502601886196, rel=1e-8)
    executed = {kind: sum(layer.executed for layer in work.layers if layer.kind is kind) for kind in Kind}
    assert executed[Kind.MAC] == 347_329_512
    assert executed[Kind.AC] == pytest.approx(6_517_540_940.76, rel=1e-8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'layer'; its first line must be layer,operations,rate,kind"),
        ("layer,operations,rate\n", "has no column 'kind'"),
        ("layer,operations,rate,kind\n", "has no layers"),
        (TABLE + "v,1,1.5,ac\n", "line 5: rate must be a number from 0 to 1, not '1.5'"),
        (TABLE + "v,-1,1,ac\n", "line 5: operations must be a number that is not negative, not '-1'"),
        (TABLE + "v,inf,1,ac\n", "operations must be a number that is not negative, not 'inf'"),
        (TABLE + "v,1,nan,ac\n", "rate must be a number from 0 to 1, not 'nan'"),
        (TABLE + "v,1,1,add\n", "kind must be mac or ac, not 'add'"),
        (TABLE + "v,1,1\n", "line 5: there must be as many values as the first line has names"),
        (TABLE + "v,1,1,ac,5\n", "line 5: there must be as many values"),
        ("\ufffd\x00", "has no column"),
    ],
)
def test_wrong_tables_of_rates(tmp_path, text, message):
    path = tmp_path / "rates.csv"
    path.write_text(text)
    with pytest.raises(SaformerError, match=message):
        read_rates(path)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_wrong_rate(small, rate):
    with pytest.raises(SaformerError, match="a firing rate must be from 0 to 1"):
        from_rate(small, rate)


def test_work_is_that_of_the_spikes(small, counted):
    work = from_counts(small, counted)
    for layer, works in zip(counted.layers[1:], work.layers[1:], strict=True):
        assert works.executed == int(layer.sops.sum()) / 2
        assert works.estimate == pytest.approx(layer.sops_dense_estimate / 2)
        assert works.fetches == layer.events * layer.layer.channels / 2
    assert torch.tensor([layer.operations for layer in work.layers]).sum() > 0


def test_operations_if_everything_fires():
    every = {attention: operations(attention, tokens=16, windows=4, rate=1.0) for attention in Attention}
    tokens, dim, steps = 16, 64, 4
    # Taps that fall outside of a 4x4 map are not there: 100 of 144 are.
    assert every == {
        Attention.SASA: steps * dim * (100 + 16 + 4),
        Attention.SSA: 2 * steps * tokens**2 * dim,
        Attention.SDSA: steps * tokens * dim,
        Attention.QK_TOKEN: steps * tokens * dim,
        Attention.QK_CHANNEL: steps * tokens * dim,
        Attention.A2OS2A: 2 * steps * tokens**2 * dim,
        Attention.VSA: 2 * steps * tokens**2 * dim,
    }
    assert exponent([1, 10, 100], [5, 500, 50_000]) == pytest.approx(2)
