"""Buffers that are used again: fresh memory costs more than the sums done in it."""

import math

import torch
from torch import Tensor


class Workspace:
    """Named buffers that grow when asked for more."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a buffer with whatever was left in it.

        Args:
            name: What it is for; the last tensor taken under this name is overwritten.
            shape: Its shape.
            like: Gives precision and device.
        """
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = torch.empty(size, dtype=like.dtype, device=like.device)
        return buffer[:size].view(shape)
