"""Histograms of oriented gradients of whole batches, number for number as scikit-image has them.

The finder built on them is in `all_hog.py`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

HALF_CIRCLE = 180.0
"""Range of an orientation without a sign [deg]."""
LARGEST_SHARE = 0.2
"""Largest element of a normalised block before it is normalised again."""
_EPSILON = 1e-5


@dataclass(frozen=True)
class HogSettings:
    """What decides the histograms of an image."""

    orientations: int
    """Bins of the orientation, from 0 to 180 degrees."""
    cell: int
    """Side of a cell, over which gradients are counted [pixels]."""
    block: int
    """Side of a block, over which the cells are normalised [cells]."""

    def length(self, height: int, width: int) -> int:
        """Return the number of features of an image; 0 if no block fits in."""
        rows, columns = (max(side // self.cell - self.block + 1, 0) for side in (height, width))
        return rows * columns * self.block**2 * self.orientations


class CellHistograms(nn.Module):
    """Mean gradient in each cell, by orientation.

    Gradients are differences of the two neighbours along each axis, 0 at the border of the image;
    what is left over after the last whole cell is not used.

    Args:
        settings: Orientations and size of the cells.
    """

    def __init__(self, settings: HogSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(
        self, images: Float[Tensor, "batch y x"]
    ) -> Float[Tensor, "batch orientation y_cell x_cell"]:
        """Histograms of the cells."""
        along_y, along_x = torch.zeros_like(images), torch.zeros_like(images)
        along_y[:, 1:-1] = images[:, 2:] - images[:, :-2]
        along_x[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
        n, cell = self.settings.orientations, self.settings.cell
        rows, columns = images.shape[1] // cell, images.shape[2] // cell
        whole = (slice(None), slice(rows * cell), slice(columns * cell))
        along_y, along_x = along_y[whole], along_x[whole]
        size = torch.hypot(along_x, along_y)
        angle = torch.rad2deg(torch.atan2(along_y, along_x)).remainder(HALF_CIRCLE)
        chosen = (angle * (n / HALF_CIRCLE)).long().clamp_max(n - 1)
        cell_of_row = torch.arange(rows * cell, device=images.device) // cell
        cell_of_column = torch.arange(columns * cell, device=images.device) // cell
        chosen += (cell_of_row[:, None] * columns + cell_of_column) * n
        total = images.new_zeros(len(images), rows * columns * n)
        total.scatter_add_(1, chosen.flatten(1), size.flatten(1))
        return total.view(-1, rows, columns, n).permute(0, 3, 1, 2) / cell**2


def block_features(
    cells: Float[Tensor, "batch orientation y_cell x_cell"], block: int
) -> Float[Tensor, "batch feature"]:
    """Cells normalised over every block of them, in the order of scikit-image.

    Args:
        cells: Histograms of the cells.
        block: Side of a block [cells].

    Reference:
        Dalal & Triggs 2005 (CVPR, 886), with the clipped norm of Lowe 2004 (IJCV 60, 91).
    """
    blocks = cells.unfold(2, block, 1).unfold(3, block, 1).permute(0, 2, 3, 4, 5, 1)
    blocks = blocks.flatten(3)
    first = blocks / torch.sqrt(blocks.square().sum(-1, keepdim=True) + _EPSILON**2)
    clipped = first.clamp_max(LARGEST_SHARE)
    second = clipped / torch.sqrt(clipped.square().sum(-1, keepdim=True) + _EPSILON**2)
    return second.flatten(1)
