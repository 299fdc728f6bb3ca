"""One independent random stream per key, whatever the batch size, worker or start index.

A key is any sequence of words and numbers, such as ("noise", block_index).
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derived_seed(seed: int, *key: int | str) -> int:
    """Derive a 63-bit seed from a seed and a key, the same on every machine.

    Args:
        seed: The seed of the task.
        *key: Words and numbers that name the stream.

    Returns:
        A non-negative integer below 2^63.
    """
    text = "\x1f".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in key)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, *key: int | str) -> "np.random.Generator":
    """Return the numpy random stream of a key."""
    import numpy as np

    return np.random.default_rng(derived_seed(seed, *key))


def torch_generator(seed: int, *key: int | str, device: str = "cpu") -> "torch.Generator":
    """Return the torch random stream of a key on a device."""
    import torch

    return torch.Generator(device=device).manual_seed(derived_seed(seed, *key))
