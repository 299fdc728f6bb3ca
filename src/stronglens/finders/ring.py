"""The ring finder: what is left of a blue band without the deflector's colour, and its arcs.

The measurement of arcs is in `ring_features.py`; there is no network here.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stronglens.core.errors import WrongShapeError
from stronglens.data.stretch import sky_sigma
from stronglens.finders.logistic import fit_logits
from stronglens.finders.networks import Architecture, FitData, InputShape, Recipe, networks
from stronglens.finders.ring_features import (
    INNERMOST,
    OUTERMOST,
    SUMMARY,
    RingGrid,
    ring_summary,
)

CITATION = """@article{gavazzi2014,
  author = {Gavazzi, R. and Marshall, P. J. and Treu, T. and Sonnenfeld, A.},
  title = {{RINGFINDER}: Automated Detection of Galaxy-scale Gravitational Lenses in Ground-based
           Multi-filter Imaging Data},
  journal = {The Astrophysical Journal},
  volume = {785},
  pages = {144},
  year = {2014},
  doi = {10.1088/0004-637X/785/2/144}
}"""

RECIPE = Recipe(normalisation="flux")
DEFAULT_PIXEL_SCALE = 0.18
"""Pixel scale where none is known [arcsec]."""
STRENGTH = 1.0
"""Inverse strength of the penalty of the logistic regression."""


class ColourResidual(nn.Module):
    """Blue band minus alpha times the red one, over its noise, and as it is.

    Alpha is the ratio of the fluxes between 0.5 and 2.7 arcsec from the centre, and the noise that
    of the sky. The bands should have the same PSF: a sharper red one leaves a ring of its own.

    Args:
        blue: Number of the blue band.
        red: Number of the red band.
        pixel_scale: Side of a pixel [arcsec].
    """

    def __init__(self, blue: int, red: int, pixel_scale: float) -> None:
        super().__init__()
        self.blue, self.red, self.pixel_scale = blue, red, pixel_scale

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch 2 y x"]:
        """Significance [sigma] and residual [unit of the images]."""
        blue, red = images[:, self.blue], images[:, self.red]
        annulus = self._annulus(images)
        flux, reference = ((band * annulus).sum((1, 2)) for band in (blue, red))
        is_usable = (reference > 0) & (flux > 0)
        alpha = torch.where(is_usable, flux / torch.where(is_usable, reference, 1.0), 0.0)
        sigma = sky_sigma(images)
        noise = torch.hypot(sigma[:, self.blue], alpha * sigma[:, self.red])
        residual = blue - alpha[:, None, None] * red
        noise = torch.where(noise > 0, noise, torch.inf)
        return torch.stack([residual / noise[:, None, None], residual], dim=1)

    def _annulus(self, images: Tensor) -> Float[Tensor, "y x"]:
        """1 where the deflector's colour is measured, else 0."""
        height, width = images.shape[-2:]
        y = torch.arange(height, device=images.device) - (height - 1) / 2
        x = torch.arange(width, device=images.device) - (width - 1) / 2
        radius = self.pixel_scale * torch.hypot(x[None, :], y[:, None])
        return ((radius > INNERMOST) & (radius < OUTERMOST)).to(images.dtype)


class RingFinder(nn.Module):
    """Arcs around the centre of the residual, summed up in six numbers with a weight each.

    Args:
        shape: Shape of one image, with bands, pixel scale and zero point where they are known.

    Raises:
        WrongShapeError: There is one band only.
    """

    mean: Float[Tensor, "summary"]
    deviation: Float[Tensor, "summary"]
    keeps_flux: Bool[Tensor, ""]

    def __init__(self, shape: InputShape) -> None:
        super().__init__()
        if shape.n_bands < 2:
            raise WrongShapeError(
                f"images have {shape.n_bands} band, but 'ring-finder' subtracts a red band from a "
                "blue one. Use images in at least two bands, such as g and i, or another network."
            )
        blue, red = _blue_and_red(shape)
        self.pixel_scale = shape.pixel_scale or DEFAULT_PIXEL_SCALE
        self.zero_point = shape.zero_point
        self.residual = ColourResidual(blue, red, self.pixel_scale)
        self.register_buffer("mean", torch.zeros(len(SUMMARY)))
        self.register_buffer("deviation", torch.ones(len(SUMMARY)))
        self.register_buffer("keeps_flux", torch.tensor(True))
        self.output = nn.Linear(len(SUMMARY), 1)

    def summary(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch summary"]:
        """Numbers of each image, as named in `SUMMARY`."""
        with torch.autocast(images.device.type, enabled=False):
            seen = self.residual(images.float()).detach().cpu().numpy()
        zero_point = self.zero_point if bool(self.keeps_flux) else None
        numbers = ring_summary(seen[:, 0], seen[:, 1], RingGrid(self.pixel_scale, zero_point))
        return torch.from_numpy(numbers).to(images.device)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        return self.output((self.summary(images) - self.mean) / self.deviation)[:, 0]


def fit_ring_finder(finder: RingFinder, data: FitData) -> dict[str, Any]:
    """Fit the weight of each number; the cuts behind them stay as published.

    Without pixel units the cuts on magnitude are left out.

    Args:
        finder: What is fitted, in place.
        data: Normalised training images.

    Returns:
        The weights by name, for numbers scaled to deviation 1.
    """
    finder.keeps_flux.fill_(data.keeps_flux)
    numbers = torch.cat([finder.summary(some).cpu() for some in data.images.split(512)])
    mean, deviation = numbers.mean(0), numbers.std(0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    scaled = ((numbers - mean) / deviation).numpy()
    fitted = fit_logits(scaled, data.label.cpu().numpy(), [STRENGTH])[0]
    with torch.no_grad():
        finder.mean.copy_(mean)
        finder.deviation.copy_(deviation)
        finder.output.weight.copy_(torch.from_numpy(fitted.weight)[None])
        finder.output.bias.fill_(fitted.bias)
    weights = np.round(fitted.weight.astype(float), 4).tolist()
    return {
        "has_magnitudes": data.keeps_flux and finder.zero_point is not None,
        **dict(zip(SUMMARY, weights, strict=True)),
        "has_converged": fitted.has_converged,
    }


@networks.register(
    "ring-finder",
    summary="blue minus red band scaled to the deflector's colour, and arcs in it, no network; "
    "two bands or more",
    citation=CITATION,
    input_shape=InputShape(2, 45, 45),
    architecture=Architecture(width=1, depth=1, dropout=0.0),
    recipe=RECIPE,
    any_size=True,
    fit=fit_ring_finder,
)
def ring_finder(shape: InputShape, _architecture: Architecture) -> RingFinder:
    """Finder of arcs in a colour residual, such as g - alpha i; width and depth mean nothing."""
    return RingFinder(shape)


def _blue_and_red(shape: InputShape) -> tuple[int, int]:
    """Return the numbers of the bands g and i, or of the first and the last."""
    letters = [band.rpartition("-")[2] for band in shape.bands]
    blue = letters.index("g") if "g" in letters else 0
    red = letters.index("i") if "i" in letters else shape.n_bands - 1
    return blue, red if red != blue else shape.n_bands - 1 - blue
