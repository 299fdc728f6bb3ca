"""Sersic light as Gaussians that a Gaussian PSF has blurred already, drawn straight into pixels.

The expansion is in `light.mge`; which galaxies may be drawn so is said in `fast`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.light.mge import gaussian_expansion
from stronglens.light.sersic import Sersics
from stronglens.simulation.gaussian_psf import GaussianPsf
from stronglens.simulation.workspace import Workspace

# Gaussians narrower than this fraction of the blur's sigma look alike and are drawn as one.
_NARROW = 0.4
# exp(-60) is nothing beside any centre; beyond, denormal numbers would slow the sums tenfold.
_EXPONENT_FLOOR = -60.0


@dataclass(frozen=True)
class BlurredGaussians:
    """Elliptical Gaussians of each image, as exponents quadratic in x and y."""

    exponent: Float[Tensor, "batch gaussian 6"]
    """Coefficients of x^2, x y, y^2, x, y and one; positions in arcsec."""
    peak: Float[Tensor, "batch gaussian"]
    """Brightness at the centre, 0 for a Gaussian that is not drawn [flux per pixel]."""

    def __getitem__(self, index: slice | Tensor) -> "BlurredGaussians":
        """Return the Gaussians of some of the images."""
        return BlurredGaussians(self.exponent[index], self.peak[index])

    def drawn(self) -> "BlurredGaussians":
        """Return them without those that no image draws."""
        is_drawn = (self.peak != 0.0).any(dim=0)
        return BlurredGaussians(self.exponent[:, is_drawn], self.peak[:, is_drawn])

    def __len__(self) -> int:
        """Return the number of images."""
        return self.peak.shape[0]


def blurred_gaussians(
    sersics: Sersics, psf: GaussianPsf, pixel_scale: float, oversample: int
) -> BlurredGaussians:
    """Expand galaxies and convolve them with the PSF and with the pixel.

    Args:
        sersics: Components of each image, with indices from 0.5 to 8.
        psf: Sums of Gaussians.
        pixel_scale: Pixel scale [arcsec/pixel].
        oversample: Points along a pixel's side at which the Gaussians will be evaluated [-].

    Returns:
        Gaussians whose values are flux per pixel.

    Reference:
        Convolution adds covariances; that of a square of side s is s^2 / 12 along each axis.
    """
    weight, width = gaussian_expansion(sersics.n_sersic)
    radius2 = (width * sersics.r_eff[..., None])[:, :, None].square()
    blur2 = psf.sigma.square() + (pixel_scale / oversample) ** 2 / 12.0
    blur2 = blur2[:, None, :, None]
    weight, radius2 = _merged(weight[:, :, None], radius2, blur2)
    major, minor = radius2 + blur2, radius2 * (sersics.q**2)[..., None, None] + blur2
    flux = weight * (sersics.flux[:, :, None] * psf.weight[:, None])[..., None]
    peak = flux * (pixel_scale**2 / (2.0 * math.pi)) * (major * minor).rsqrt()
    return BlurredGaussians(_exponents(sersics, major, minor).flatten(1, 3), peak.flatten(1))


def _merged(weight: Tensor, radius2: Tensor, blur2: Tensor) -> tuple[Tensor, Tensor]:
    """Put one Gaussian of the same flux and mean square radius in the place of narrow ones."""
    is_narrow = radius2 < _NARROW**2 * blur2
    narrow = weight * is_narrow
    flux = narrow.sum(dim=-1, keepdim=True)
    mean = (narrow * radius2).sum(dim=-1, keepdim=True) / flux.clamp_min(1e-30)
    weight, radius2 = torch.broadcast_tensors(weight * ~is_narrow, radius2)
    return torch.cat([flux, weight], dim=-1), torch.cat([mean, radius2], dim=-1)


def _exponents(sersics: Sersics, major: Tensor, minor: Tensor) -> Tensor:
    """Coefficients of Gaussians with these squared widths along the axes of their galaxies."""
    cos, sin, x, y = (
        values[..., None, None]
        for values in (
            torch.cos(sersics.phi),
            torch.sin(sersics.phi),
            sersics.x_center,
            sersics.y_center,
        )
    )
    along, across = -0.5 / major, -0.5 / minor
    xx = cos**2 * along + sin**2 * across
    yy = sin**2 * along + cos**2 * across
    xy = 2.0 * cos * sin * (along - across)
    linear_x, linear_y = -(2.0 * xx * x + xy * y), -(2.0 * yy * y + xy * x)
    constant = -0.5 * (linear_x * x + linear_y * y)
    return torch.stack([xx, xy, yy, linear_x, linear_y, constant], dim=-1)


def quadratic_basis(x: Float[Tensor, " x"], y: Float[Tensor, " y"]) -> Float[Tensor, "6 point"]:
    """x^2, x y, y^2, x, y and one at every point of a frame, row by row.

    Args:
        x: Positions of the columns [arcsec].
        y: Positions of the rows [arcsec].

    Returns:
        Positions and their products [arcsec and arcsec^2].
    """
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((x * x, x * y, y * y, x, y, torch.ones_like(x))).flatten(1)


def draw_gaussians(
    gaussians: BlurredGaussians, basis: Float[Tensor, "6 point"], work: Workspace
) -> Float[Tensor, "batch point"]:
    """Sum the Gaussians at every point of a frame. It carries no gradients.

    Args:
        gaussians: What `blurred_gaussians` returned, or a part of it.
        basis: What `quadratic_basis` returned.
        work: Buffers.

    Returns:
        Flux per pixel at each point.
    """
    n, n_gaussians = gaussians.peak.shape
    values = work.take("gaussians", (n * n_gaussians, basis.shape[1]), basis)
    torch.mm(gaussians.exponent.flatten(0, 1), basis, out=values)
    values.clamp_min_(_EXPONENT_FLOOR).exp_()
    return torch.bmm(gaussians.peak[:, None], values.unflatten(0, (n, n_gaussians)))[:, 0]
