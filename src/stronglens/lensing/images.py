"""How many images a point source has behind any lens model, counted on a grid of triangles.

Closed forms for the SIE are in `caustics`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stronglens.lensing.raytrace import trace
from stronglens.lensing.records import LensModel


def count_images(
    lens_model: LensModel,
    beta_x: Float[Tensor, "batch source"],
    beta_y: Float[Tensor, "batch source"],
    half_width: float,
    n_cells: int = 96,
) -> Int[Tensor, "batch source"]:
    """Images of point sources inside a square around the origin.

    Every cell of the square is two triangles; a source has an image in each triangle whose map to
    the source plane holds it. Images closer together than a cell merge, and so do those at the
    centre of a singular lens.

    Args:
        lens_model: Lenses.
        beta_x: Source positions along x [arcsec].
        beta_y: Source positions along y [arcsec].
        half_width: Half of the side of the square [arcsec].
        n_cells: Cells along the side [-].

    Returns:
        Number of images.

    Reference:
        Schneider, Ehlers & Falco 1992, section 10.3: triangles of a grid mapped by the lens
        equation; lenstronomy's and gravlens's solvers begin in the same way.
    """
    line = torch.linspace(-half_width, half_width, n_cells + 1).to(beta_x)
    x, y = torch.broadcast_tensors(line[None, None, :], line[None, :, None])
    mapped = torch.stack(trace(x, y, lens_model), dim=1)
    corners = torch.stack(
        [
            mapped[:, :, rows, columns].flatten(2)
            for rows in (slice(-1), slice(1, None))
            for columns in (slice(-1), slice(1, None))
        ]
    )
    low, high = corners.amin(dim=0), corners.amax(dim=0)
    counts = torch.zeros(beta_x.shape, dtype=torch.int64)
    for k, point in enumerate(torch.stack([beta_x, beta_y], dim=1).unbind(2)):
        # most cells are nowhere near the source
        around = ((low <= point[:, :, None]) & (high >= point[:, :, None])).all(dim=1)
        lens, cell = around.nonzero(as_tuple=True)
        a, b, c, d = (corner[lens, :, cell][:, :, None] for corner in corners)
        held = sum(
            _holds(point[lens], *triangle)[:, 0].to(torch.int64)
            for triangle in ((a, b, c), (d, c, b))
        )
        counts[:, k].index_add_(0, lens, torch.as_tensor(held))
    return counts


def _holds(point: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Whether each triangle holds the point: it lies on the same side of all three edges."""
    point = point[:, :, None]
    edges = ((first, second), (second, third), (third, first))
    sides = [_cross(end - start, point - start) for start, end in edges]
    positive = torch.stack([side > 0 for side in sides])
    return positive.all(dim=0) | (~positive).all(dim=0)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
