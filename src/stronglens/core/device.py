"""Where tensors live: one word from the user becomes a torch device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stronglens.core.errors import OutOfRangeError

if TYPE_CHECKING:
    import torch


def torch_device(name: str) -> "torch.device":
    """Return the device meant by "auto", "cpu" or "cuda".

    Raises:
        OutOfRangeError: CUDA was asked for on a machine without a usable GPU.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise OutOfRangeError(
            "device='cuda' but this machine shows no usable GPU. Allowed here: auto, cpu. "
            "Pass --device cpu."
        )
    return torch.device(name)


@contextmanager
def cpu_threads(n: int) -> Iterator[None]:
    """Let torch use so many CPU threads for a while; 0 for as many as it uses already."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
