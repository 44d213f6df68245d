"""Products of integers: the type follows the bound, and the sums are those of integers in every one of them."""

import itertools

import pytest
import torch

import golden.products
from golden.calibrate import init_model
from golden.config import CONFIGS
from golden.errors import SaformerError
from golden.integer import run
from golden.products import exact_type, sums_of_products

LARGE = torch.full((2, 512), 127, dtype=torch.int8)


@pytest.fixture
def no_bytes(monkeypatch):
    """A processor without products of bytes."""
    monkeypatch.setattr(golden.products, "multiplies_bytes", lambda: False)


def numbers(largest, dtype):
    return torch.full((1,), largest, dtype=dtype)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (numbers(1, torch.uint8), torch.float32),
        (numbers(255, torch.uint8), torch.float32),
        (numbers(258, torch.int32), torch.float32),
        (numbers(-259, torch.int32), torch.float64),
    ],
)
def test_precision_follows_the_bound(no_bytes, x, expected):
    assert exact_type(LARGE, x) == expected


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (numbers(127, torch.uint8), torch.int8),
        (numbers(-127, torch.int32), torch.int8),
        (numbers(128, torch.uint8), torch.float32),
        (numbers(-128, torch.int32), torch.float32),
    ],
)
def test_bytes_where_the_processor_has_products_of_them(monkeypatch, x, expected):
    monkeypatch.setattr(golden.products, "multiplies_bytes", lambda: True)
    assert exact_type(LARGE, x) == expected
    # Weights that are no bytes.
    assert exact_type(LARGE.int(), x) == torch.float32


def test_what_nothing_holds():
    with pytest.raises(SaformerError, match="no floating-point type holds exactly"):
        exact_type(LARGE.repeat(1, 2**10), numbers(2**30, torch.int32))


def layouts(matrix):
    """The same matrix row after row, column after column, and as a part of a wider one."""
    columns = torch.empty_strided(matrix.shape, (1, matrix.shape[0]), dtype=matrix.dtype)
    return matrix, columns.copy_(matrix), matrix.repeat(1, 2)[:, : matrix.shape[1]]


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 7, 8, 9, 16, 27, 33, 64, 200])
def test_sums_of_every_shape_and_layout(inputs):
    generator = torch.Generator().manual_seed(inputs)
    for rows, outputs in itertools.product([1, 2, 3, 4, 7, 8, 17, 64], [1, 2, 3, 8, 9, 17, 48]):
        x = torch.randint(-127, 128, (rows, inputs), generator=generator)
        weight = torch.randint(-127, 128, (outputs, inputs), generator=generator).to(torch.int8)
        dtype, expected = exact_type(weight, x), (x[:, None] * weight.long()).sum(dim=2).int()
        for left, right in itertools.product(layouts(x.to(dtype)), layouts(weight.to(dtype))):
            assert torch.equal(sums_of_products(left, right), expected)


@pytest.mark.parametrize("largest", [1, 127, 255, 2**20])
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 2000, 5), (64, 864, 96)])
def test_sums_are_those_of_integers(largest, size):
    rows, inputs, outputs = size
    generator = torch.Generator().manual_seed(largest)
    x = torch.randint(-largest, largest + 1, (rows, inputs), generator=generator)
    x[0] = largest
    weight = torch.randint(-127, 128, (outputs, inputs), generator=generator).to(torch.int8)
    weight[0] = 127
    expected = (x[:, None] * weight.long()).sum(dim=2)
    if expected.abs().amax() < 2**31:
        dtype = exact_type(weight, x)
        assert torch.equal(sums_of_products(x.to(dtype), weight.to(dtype)), expected.int())


def test_a_model_computes_the_same_without_products_of_bytes(monkeypatch, bundled):
    """Where the processor has none, this compares nothing new."""
    model = init_model(CONFIGS["tiny"], seed=1)
    here = run(model, bundled.images[:5])
    monkeypatch.setattr(golden.products, "multiplies_bytes", lambda: False)
    there = run(model, bundled.images[:5])
    assert all(torch.equal(here.values[name], there.values[name]) for name in here.values)
