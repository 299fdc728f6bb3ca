"""Scaling of pixel values, for networks and for eyes; the noise of the sky that sets the scale.

Which scaling a network was trained with is the business of `stronglens.finders`, not of this file.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

MAD_TO_SIGMA = 1.4826
"""Standard deviation over median absolute deviation of a Gaussian: 1 / Phi^-1(3/4)."""


def bad_pixels(
    flux: Float[Tensor, "batch band y x"], mask: Bool[Tensor, "batch band y x"] | None = None
) -> Bool[Tensor, "batch band y x"]:
    """Pixels without a usable value: not finite, or marked by the mask.

    Args:
        flux: Images [pixel units].
        mask: True where a pixel is known to be bad.

    Returns:
        True where a pixel must not be used.
    """
    if _is_for_numpy(flux):
        bad = torch.from_numpy(~np.isfinite(flux.numpy()))
    else:
        bad = ~torch.isfinite(flux)
    return bad if mask is None else bad | mask


def sky_sigma(
    flux: Float[Tensor, "batch band y x"],
    ivar: Float[Tensor, "batch band y x"] | None = None,
    mask: Bool[Tensor, "batch band y x"] | None = None,
) -> Float[Tensor, "batch band"]:
    """Standard deviation of the sky noise in each image, measured on its border.

    The border is the outermost tenth on each side, where a centred galaxy is faint. With `ivar` the
    noise is that of its median pixel there; without, it is estimated from the scatter of the pixels
    by their median absolute deviation. Where the border has no good pixel the whole image is used;
    an image without any gives NaN, a constant one 0.

    Args:
        flux: Images, sky removed [pixel units].
        ivar: Inverse variance; 0 where nothing is known [1 / pixel units^2].
        mask: True where a pixel is bad.

    Returns:
        Noise per pixel [pixel units].

    Reference:
        Rousseeuw & Croux 1993, JASA 88, 1273, for the median absolute deviation as a scale.
    """
    bad = bad_pixels(flux, mask)
    if ivar is not None:
        unknown = ~torch.isfinite(ivar) | (ivar <= 0)
        values = ivar.masked_fill(bad | unknown, torch.nan)
        return _border_median(values).rsqrt()
    values = flux.masked_fill(bad, torch.nan)
    centre = _border_median(values)[:, :, None, None]
    return MAD_TO_SIGMA * _border_median((values - centre).abs())


def fill_bad(
    flux: Float[Tensor, "batch band y x"], bad: Bool[Tensor, "batch band y x"]
) -> Float[Tensor, "batch band y x"]:
    """Images with every bad pixel at the median of the good ones (0 where there is none)."""
    if not bool(bad.any()):
        return flux
    median = torch.nanmedian(flux.masked_fill(bad, torch.nan).flatten(2), dim=2).values
    return torch.where(bad, torch.nan_to_num(median)[:, :, None, None], flux)


def asinh_stretch(
    flux: Float[Tensor, "batch band y x"], scale: Float[Tensor, "batch band"]
) -> Float[Tensor, "batch band y x"]:
    """Values linear below `scale` and logarithmic above: asinh(flux / scale).

    Args:
        flux: Images, sky removed [pixel units].
        scale: Flux at which the stretch turns from linear to logarithmic [pixel units]; where it is
            0 or NaN it counts as 1.

    Returns:
        Stretched images, without unit.

    Reference:
        Lupton, Gunn & Szalay 1999, AJ 118, 1406, their inverse hyperbolic sine magnitudes.
    """
    usable = torch.isfinite(scale) & (scale > 0)
    return _asinh(flux / torch.where(usable, scale, 1.0)[:, :, None, None])


def minmax_stretch(flux: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch band y x"]:
    """Each image and band brought linearly to 0...1 by its own extremes; 0 where it is constant."""
    if flux.numel() == 0:
        return flux
    low = flux.amin((2, 3), keepdim=True)
    extent = flux.amax((2, 3), keepdim=True) - low
    return (flux - low) / torch.where(extent > 0, extent, 1.0)


def display_stretch(
    flux: Float[Tensor, "batch band y x"], sigma: Float[Tensor, "batch band"] | None = None
) -> Float[Tensor, "batch band y x"]:
    """Images between 0 (black) and 1 (white) for eyes: faint arcs and bright centres both visible.

    The asinh stretch at 3 sigma of the sky, with 1 sigma below the sky as black and the 99.7th
    percentile of each image as white.

    Args:
        flux: Images, sky removed [pixel units]; bad pixels are shown at the median.
        sigma: Noise of the sky [pixel units]; estimated from the images by default.

    Returns:
        Values in 0...1.
    """
    if flux.numel() == 0:
        return flux
    flux = fill_bad(flux, bad_pixels(flux))
    sigma = sky_sigma(flux) if sigma is None else sigma
    stretched = asinh_stretch(flux, 3 * sigma)
    black = torch.asinh(torch.tensor(-1 / 3, dtype=flux.dtype, device=flux.device))
    white = torch.quantile(stretched.flatten(2), 0.997, dim=2)[:, :, None, None]
    return ((stretched - black) / (white - black).clamp_min(1e-3)).clamp(0, 1)


def _border_median(values: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch band"]:
    """Median of the finite border pixels, or of all pixels where the border has none."""
    if values.shape[0] == 0:
        return values.new_zeros(values.shape[:2])
    height, width = values.shape[-2:]
    border = max(1, min(height, width) // 10)
    is_border = torch.ones(height, width, dtype=torch.bool, device=values.device)
    is_border[border : height - border, border : width - border] = False
    outer = _median(values[:, :, is_border])
    if bool(outer.isfinite().all()):
        return outer
    return torch.where(outer.isfinite(), outer, _median(values.flatten(2)))


def _median(values: Float[Tensor, "batch band pixel"]) -> Float[Tensor, "batch band"]:
    """Lower median of the values that are not NaN; NaN where all are."""
    if _is_for_numpy(values):
        pixels, middle = values.numpy(), (values.shape[2] - 1) // 2
        if not np.isnan(pixels).any():
            return torch.from_numpy(np.partition(pixels, middle, axis=2)[..., middle])
    return torch.nanmedian(values, dim=2).values


def _asinh(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Inverse hyperbolic sine of each value."""
    if _is_for_numpy(values):
        return torch.from_numpy(np.arcsinh(values.numpy()))
    return torch.asinh(values)


def _is_for_numpy(values: Tensor) -> bool:
    """Whether numpy can do it: on a CPU it is 5 to 20 times as fast as torch at these steps."""
    return values.device.type == "cpu" and not values.requires_grad
