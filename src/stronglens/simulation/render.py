"""From light and mass to a noiseless picture: ray-tracing, PSF convolution, pixels.

Which lenses are drawn is in `population`; sky and detector are in `noise`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.lensing.raytrace import trace
from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Approximation, Sersics, coefficients, evaluate
from stronglens.simulation.convolution import convolve, pixel_fold
from stronglens.simulation.cusp import refine_centers, refine_ridges, ridge_brightness

__all__ = [
    "Grid",
    "Sersics",
    "SieShear",
    "bin_to_pixels",
    "convolve",
    "observe_noiseless",
    "observe_planes",
    "pixel_coordinates",
    "render_lensed",
    "render_light",
]

# Rays worked on at once by one CPU thread: the five float32 buffers of them stay in a 2 MB cache.
_RAYS_IN_CACHE = 90_000
# Images whose ridges are refined at once: many small steps, so more images than above.
_RIDGES_AT_ONCE = 12


@dataclass(frozen=True)
class Grid:
    """The pixel frame of a picture, and how finely it is worked out."""

    height: int
    """Rows [pixel]."""
    width: int
    """Columns [pixel]."""
    pixel_scale: float
    """Pixel scale [arcsec/pixel]."""
    oversample: int = 4
    """Sub-pixels along a pixel's side [-]."""
    padding: int = 0
    """Extra pixels on each side, whose light the PSF brings in, cut off afterwards [pixel]."""
    center_oversample: int = 8
    """Parts along a sub-pixel's side at the steep centre of a galaxy, a third as many along the
    ridge of an arc; 1 for plain sampling [-]."""

    def __post_init__(self) -> None:
        """Refuse frames that cannot exist."""
        counts = (self.height, self.width, self.oversample, self.center_oversample)
        if min(counts) < 1 or self.padding < 0 or not self.pixel_scale > 0.0:
            raise OutOfRangeError(
                f"{self} cannot be drawn. height, width, oversample and center_oversample start "
                "at 1, padding at 0, pixel_scale lies above 0 arcsec/pixel."
            )

    @property
    def fine_shape(self) -> tuple[int, int]:
        """Rows and columns of the oversampled frame with its padding [sub-pixel]."""
        rows, columns = self.height + 2 * self.padding, self.width + 2 * self.padding
        return rows * self.oversample, columns * self.oversample

    @property
    def fine_scale(self) -> float:
        """Scale of the oversampled frame [arcsec/sub-pixel]."""
        return self.pixel_scale / self.oversample


def _axes(grid: Grid, dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Positions of the sub-pixels as a row (1, 1, x) and a column (1, y, 1) [arcsec]."""
    rows, columns = grid.fine_shape
    x, y = (
        (torch.arange(n, dtype=torch.float64) - 0.5 * (n - 1)) * grid.fine_scale
        for n in (columns, rows)
    )
    return x.to(device, dtype)[None, None, :], y.to(device, dtype)[None, :, None]


def pixel_coordinates(
    grid: Grid, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "1 y x"], Float[Tensor, "1 y x"]]:
    """Positions of the sub-pixel centres; the origin is the centre of the frame.

    Args:
        grid: Frame.
        dtype: Precision of the positions.
        device: Where they live.

    Returns:
        x and y [arcsec], measured from native pixel ((n_x - 1) / 2, (n_y - 1) / 2).
    """
    x, y = torch.broadcast_tensors(*_axes(grid, dtype, device))
    return x, y


def render_light(
    grid: Grid, sersics: Sersics, approximation: Approximation = "exact"
) -> Float[Tensor, "batch y x"]:
    """Unlensed light on the oversampled frame, without PSF.

    Args:
        grid: Frame.
        sersics: Components, summed for each image.
        approximation: How b_n is computed; see `light.sersic.sersic_b`.

    Returns:
        Flux per sub-pixel [pixel units], on the padded oversampled frame.
    """
    x, y = _axes(grid, sersics.flux.dtype, sersics.flux.device)
    constants = _per_subpixel(sersics, grid, approximation)

    def render(part: slice) -> Tensor:
        return evaluate(x, y, constants[:, part])

    light = _in_chunks(render, len(sersics), grid, sersics.flux)
    if grid.center_oversample > 1:
        refine_centers(light, constants, grid.fine_scale, grid.center_oversample)
    return light


def render_lensed(
    grid: Grid, lens: SieShear, source: Sersics, approximation: Approximation = "exact"
) -> Float[Tensor, "batch y x"]:
    """Lensed light of the source on the oversampled frame, without PSF.

    Args:
        grid: Frame.
        lens: One lens per image.
        source: Components of the source in the source plane, summed for each image.
        approximation: How b_n is computed; see `light.sersic.sersic_b`.

    Returns:
        Flux per sub-pixel [pixel units], on the padded oversampled frame.

    Reference:
        Schneider, Ehlers & Falco 1992, section 5.2: surface brightness is conserved.
    """
    if len(lens) != len(source):
        raise WrongShapeError(
            f"{len(lens)} lenses do not fit {len(source)} sources. Pass one lens per source."
        )
    x, y = _axes(grid, source.flux.dtype, source.flux.device)
    constants = _per_subpixel(source, grid, approximation)

    def brightness(part: slice) -> Callable[[Tensor, Tensor], Tensor]:
        lens_model, own = lens[part].lens_model(), constants[:, part]
        return lambda x, y: evaluate(*trace(x, y, lens_model), own)

    light = _in_chunks(lambda part: brightness(part)(x, y), len(source), grid, source.flux)
    n_steps = -(-grid.center_oversample // 3)
    if n_steps > 1:
        threshold = ridge_brightness(constants, grid.fine_scale)
        for k in range(0, len(source), _RIDGES_AT_ONCE):
            part = slice(k, k + _RIDGES_AT_ONCE)
            own = light[part], threshold[part]
            refine_ridges(*own, grid.fine_scale, n_steps, brightness(part))
    return light


def bin_to_pixels(image: Float[Tensor, "batch y x"], grid: Grid) -> Float[Tensor, "batch h w"]:
    """Sum the sub-pixels of each pixel and cut the padding off.

    Args:
        image: Flux per sub-pixel on the padded oversampled frame [pixel units].
        grid: Frame.

    Returns:
        Flux per pixel [pixel units].
    """
    _check_frame(image, grid)
    step, cut = grid.oversample, grid.padding * grid.oversample
    inside = image[:, cut : image.shape[1] - cut, cut : image.shape[2] - cut]
    return inside.unflatten(2, (-1, step)).unflatten(1, (-1, step)).sum(dim=(2, 4))


def observe_noiseless(
    oversampled: Float[Tensor, "batch y x"],
    kernel: Float[Tensor, "#batch k_y k_x"] | Float[Tensor, "k_y k_x"],
    grid: Grid,
) -> Float[Tensor, "batch h w"]:
    """Convolve with the PSF, sum to pixels and cut the padding off.

    Args:
        oversampled: Flux per sub-pixel on the padded oversampled frame [pixel units].
        kernel: PSF at the oversampled scale, one for all images or one per image [-].
        grid: Frame.

    Returns:
        Noiseless flux per pixel [pixel units].
    """
    return observe_planes((oversampled,), kernel, grid)[0]


def observe_planes(
    planes: Sequence[Float[Tensor, "batch y x"]],
    kernel: Float[Tensor, "#batch k_y k_x"] | Float[Tensor, "k_y k_x"],
    grid: Grid,
) -> tuple[Float[Tensor, "batch h w"], ...]:
    """Convolve several planes of each image with its PSF; quicker than one after the other.

    Args:
        planes: Light of, say, arc and deflector: flux per sub-pixel on the padded oversampled
            frame [pixel units].
        kernel: PSF at the oversampled scale, one for all images or one per image [-].
        grid: Frame.

    Returns:
        The planes in the same order, as noiseless flux per pixel [pixel units].

    Reference:
        Convolution theorem. Summing sub-pixels is a convolution with a box, done with the PSF's;
        keeping one row in `oversample` afterwards folds the spectrum onto itself.
    """
    for plane in planes:
        _check_frame(plane, grid)
    plan = pixel_fold(kernel, (grid.height, grid.width), grid.padding, grid.oversample)

    def observe(part: slice) -> Tensor:
        own = kernel[part] if kernel.ndim == 3 and kernel.shape[0] > 1 else kernel
        transfer = plan.transfer(own)
        return torch.stack([plan.apply(plane[part], transfer) for plane in planes], dim=1)

    shape = (len(planes), grid.height, grid.width)
    observed = _in_chunks(observe, planes[0].shape[0], grid, planes[0], shape)
    return tuple(observed.unbind(1))


def _per_subpixel(sersics: Sersics, grid: Grid, approximation: Approximation) -> Tensor:
    """Prepared coefficients whose brightness is flux per sub-pixel."""
    return coefficients(replace(sersics, flux=sersics.flux * grid.fine_scale**2), approximation)


def _check_frame(image: Tensor, grid: Grid) -> None:
    if tuple(image.shape[1:]) != grid.fine_shape:
        raise WrongShapeError(
            f"an image of {image.shape[1]} x {image.shape[2]} does not fit {grid}, whose "
            f"oversampled frame has {grid.fine_shape[0]} x {grid.fine_shape[1]} sub-pixels. "
            "Render it with the same grid."
        )


def _in_chunks(
    function: Callable[[slice], Tensor],
    n_images: int,
    grid: Grid,
    like: Tensor,
    shape: tuple[int, ...] | None = None,
) -> Tensor:
    """Apply a function to slices of a batch that fit the cache; the whole batch on a GPU."""
    if n_images == 0:
        return like.new_zeros((0, *(shape or grid.fine_shape)))
    rows, columns = grid.fine_shape
    rays = _RAYS_IN_CACHE * torch.get_num_threads()
    size = n_images if like.is_cuda else max(1, round(rays / (rows * columns)))
    if size >= n_images:
        return function(slice(0, n_images))
    parts = [slice(k, k + size) for k in range(0, n_images, size)]
    if torch.is_grad_enabled():
        return torch.cat([function(part) for part in parts])
    # writing into one tensor lets the allocator hand the same warm memory to every chunk
    result = like.new_empty((n_images, *(shape or grid.fine_shape)))
    for part in parts:
        result[part] = function(part)
    return result
