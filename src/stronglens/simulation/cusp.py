"""Finer integration where sampled light is steep: at galaxies' centres and at the arcs' ridges.

The steep centres of galaxies are the largest error of every picture made by sampling, because the
brightness changes by a large factor within one sub-pixel.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.light.sersic import evaluate

# Sub-pixels on each side of the central one that are integrated again.
_REACH = 2
# Distance from a source's centre, in sub-pixels, within which its images are integrated again.
_RIDGE = 3.0


def refine_centers(
    light: Float[Tensor, "batch y x"],
    constants: Float[Tensor, "8 batch component 1 1"],
    fine_scale: float,
    n_steps: int,
) -> None:
    """Replace the midpoint values at the centre of each component by means over sub-pixels.

    Args:
        light: Sampled light, flux per sub-pixel [pixel units]; changed in place.
        constants: What `light.sersic.coefficients` returned, scaled to flux per sub-pixel.
        fine_scale: Scale of the frame [arcsec/sub-pixel].
        n_steps: Samples along a side of each of the 5 x 5 sub-pixels at a centre [-].

    Reference:
        Midpoint rule; what it leaves is compared with a 20-fold oversampled truth in
        tests/reference.
    """
    image = torch.arange(light.shape[0], device=light.device)[:, None, None]
    n_rows, n_columns = light.shape[1:]
    for component in constants.split(1, dim=2):
        center_x, center_y = component[0, :, 0, :, 0], component[1, :, 0, :, 0]
        column, x = _nearest(center_x, n_columns, fine_scale)
        row, y = _nearest(center_y, n_rows, fine_scale)
        fine_x, fine_y = (_subdivided(axis, fine_scale, n_steps) for axis in (x, y))
        fine = evaluate(fine_x[:, None, :], fine_y[:, :, None], component)
        mean = fine.unflatten(2, (-1, n_steps)).unflatten(1, (-1, n_steps)).mean(dim=(2, 4))
        missing = mean - evaluate(x[:, None, :], y[:, :, None], component)
        is_inside = (row >= 0) & (row < n_rows), (column >= 0) & (column < n_columns)
        missing = missing * (is_inside[0][:, :, None] & is_inside[1][:, None, :])
        place = row.clamp(0, n_rows - 1)[:, :, None], column.clamp(0, n_columns - 1)[:, None, :]
        light.index_put_((image, *place), missing, accumulate=True)


def ridge_brightness(
    constants: Float[Tensor, "8 batch component 1 1"], fine_scale: float
) -> Float[Tensor, "batch"]:
    """Brightness at the distance from a source's centre where plain sampling is good enough.

    Args:
        constants: What `light.sersic.coefficients` returned.
        fine_scale: Scale of the frame [arcsec/sub-pixel].

    Returns:
        Brightness three sub-pixels from the centre, of the component that is brightest there [the
        unit of the coefficients].
    """
    xx, xy, yy, half_inverse_n, minus_b, center = constants[2:, ..., 0, 0].unbind(0)
    # the determinant of the quadratic form makes the distance that of the circularised profile
    radius2 = (_RIDGE * fine_scale) ** 2 * (xx * yy - 0.25 * xy**2).sqrt()
    return (center * torch.exp(minus_b * radius2**half_inverse_n)).amax(dim=1).clamp_min(0.0)


def refine_ridges(
    light: Float[Tensor, "batch y x"],
    threshold: Float[Tensor, "batch"],
    fine_scale: float,
    n_steps: int,
    brightness: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Replace the midpoint values of the brightest sub-pixels by means over them.

    Args:
        light: Sampled light, flux per sub-pixel [pixel units]; changed in place.
        threshold: Flux per sub-pixel above which it is integrated again, one per image.
        fine_scale: Scale of the frame [arcsec/sub-pixel].
        n_steps: Samples along a side of such a sub-pixel [-].
        brightness: The light at positions x and y of shape (batch, 1, any).

    Reference:
        Midpoint rule; see `refine_centers`.
    """
    image, row, column = (light > threshold[:, None, None]).nonzero(as_tuple=True)
    if not len(image):
        return
    # the sub-pixels of each image side by side, filled up to the same number
    count = torch.bincount(image, minlength=len(light))
    slot = torch.arange(len(image), device=image.device) - (count.cumsum(0) - count)[image]
    shape = (len(light), int(count.max()), n_steps, n_steps)
    part = torch.arange(n_steps, dtype=light.dtype, device=light.device)
    part = ((part + 0.5) / n_steps - 0.5) * fine_scale
    fine = []
    for index, length, shift in (
        (column, light.shape[2], part[None, :]),
        (row, light.shape[1], part[:, None]),
    ):
        place = light.new_zeros(shape[:2])
        place[image, slot] = (index.to(light.dtype) - 0.5 * (length - 1)) * fine_scale
        fine.append((place[:, :, None, None] + shift).expand(shape).flatten(1)[:, None])
    mean = brightness(fine[0], fine[1]).unflatten(2, (-1, n_steps**2)).mean(dim=3)[:, 0]
    light.index_put_((image, row, column), mean[image, slot])


def _nearest(center: Tensor, length: int, fine_scale: float) -> tuple[Tensor, Tensor]:
    """Indices and positions [arcsec] along one axis of the sub-pixels around each centre."""
    middle = 0.5 * (length - 1)
    reach = torch.arange(-_REACH, _REACH + 1, device=center.device)
    index = (center.detach() / fine_scale + middle).round().to(torch.int64) + reach
    return index, (index.to(center.dtype) - middle) * fine_scale


def _subdivided(position: Tensor, fine_scale: float, n_steps: int) -> Tensor:
    """Midpoints [arcsec] of the parts of each sub-pixel along one axis."""
    part = torch.arange(n_steps, dtype=position.dtype, device=position.device)
    offset = ((part + 0.5) / n_steps - 0.5) * fine_scale
    return (position[:, :, None] + offset).flatten(1)
