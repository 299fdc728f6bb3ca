"""Reading a training history: where training and validation part.

How a history comes about is the business of `stronglens.training`.
"""

import numpy as np
from jaxtyping import Float

SMOOTHING = 5
"""Epochs over which the losses are averaged before they are compared."""
RISE = 0.02
"""Smallest relative rise of the validation loss that counts as parting."""


def parting_epoch(
    loss: Float[np.ndarray, "epoch"], val_loss: Float[np.ndarray, "epoch"]
) -> int | None:
    """Epoch from which the training loss still falls while the validation loss rises.

    Both losses are averaged over five epochs. The two part at the lowest point of the averaged
    validation loss, if it ends at least 2 % higher and the training loss ends lower than there.

    Args:
        loss: Training loss of every epoch.
        val_loss: Validation loss of every epoch.

    Returns:
        The epoch, counted from 1, or None if they never part.
    """
    if len(loss) < 2 * SMOOTHING:
        return None
    smooth, val_smooth = _running_mean(loss), _running_mean(val_loss)
    lowest = int(np.argmin(val_smooth))
    rises = val_smooth[-1] > val_smooth[lowest] * (1 + RISE)
    falls = smooth[-1] < smooth[lowest]
    return lowest + 1 + SMOOTHING // 2 if rises and falls else None


def _running_mean(values: Float[np.ndarray, "epoch"]) -> Float[np.ndarray, "shorter"]:
    return np.convolve(values, np.full(SMOOTHING, 1 / SMOOTHING), mode="valid")
