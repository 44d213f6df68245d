"""What the processor that this runs on has instructions for."""

import torch


def has_instructions(*names: str) -> bool:
    """Whether the processor has any of these extensions, by the names of `torch.cpu.get_capabilities`."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in names)
