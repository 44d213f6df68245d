"""Sums of products of integers, in whatever arithmetic of the processor is exact for them."""

from functools import lru_cache

import torch
from torch import Tensor

from golden.errors import SaformerError
from golden.processor import has_instructions

_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Any of these multiplies and adds bytes exactly; without them products of bytes are slower than those in float32."""
_BYTE = 127
_TERMS = 2**31 // 2**14
"""Products of bytes of which no sum reaches 32 bits."""


@lru_cache(maxsize=1)
def multiplies_bytes() -> bool:
    """Whether the processor has instructions for sums of products of bytes."""
    return has_instructions(*_INSTRUCTIONS)


def exact_type(weight: Tensor, x: Tensor) -> torch.dtype:
    """The type in which every partial sum of `weight` [Co, fan-in] times `x` is exact, in any order, and fastest.

    Raises SaformerError: no type holds them.
    """
    inputs = int(x.amax()) if x.dtype == torch.uint8 else int(x.abs().amax())
    # With one input the strides of a matrix do not say how it lies, and torch's product of bytes reads elsewhere.
    if inputs <= _BYTE and weight.dtype == torch.int8 and 1 < weight.shape[1] < _TERMS and multiplies_bytes():
        return torch.int8
    bound = int(weight.to(torch.int32).abs().sum(dim=1).amax()) * inputs
    if bound >= 2**53:
        raise SaformerError(f"a layer's sums reach {bound}, which no floating-point type holds exactly")
    return torch.float32 if bound < 2**24 else torch.float64


def sums_of_products(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [M, fan-in] times `weight` [Co, fan-in], which are of a type that `exact_type` returned: int32 [M, Co]."""
    if x.dtype == torch.int8:
        # The one product of torch whose sums of bytes are int32; others bring them back to bytes.
        return torch._int_mm(_in_rows(x), _in_rows(weight).T)
    return (x @ weight.T).to(torch.int32)


def _in_rows(matrix: Tensor) -> Tensor:
    """The matrix row after row, with the strides that say so: that of a single row can have others, and is misread."""
    usual = (matrix.shape[1], 1)
    return matrix if matrix.stride() == usual else matrix.clone(memory_format=torch.contiguous_format)
