"""Where tensors live: one word from the user becomes a torch device."""

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
