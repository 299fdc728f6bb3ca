"""Saturated stars in or beside the frame: cut-off cores and bleeding columns.

Their light is in `star_light`.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.simulation.artefacts.artefact import (
    Artefact,
    Canvas,
    Draws,
    Images,
    Parameters,
    artefacts,
)
from stronglens.simulation.artefacts.planes import column, coordinates, masked, sum_of_events
from stronglens.simulation.artefacts.star_light import RAYS, star_light

OUTSIDE = 0.25
"""How far outside the frame a star may lie, as part of the frame's sides."""
CLEAR = 0.55
"""Radius around the centre that stays free, as part of half of the shorter side: a target beside a
saturated core would not have been selected."""
COUNT_SLOPE = 0.3
"""Number of stars grows as 10^(0.3 mag) at high latitude (our choice)."""
COLOUR, COLOUR_SCATTER = 0.45, 0.2
"""Half the colour between the first and the last band: mean, scatter (our choice) [mag AB]."""
BAND_SCATTER = 0.1
"""Scatter of each band about the smooth spectrum of its star (our choice) [mag]."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw positions, brightness above saturation, colours, and spike angles.

    Args:
        n_events: Number of stars.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    settings, n_band = canvas.settings, len(canvas.bands)
    largest = settings.largest_star_excess
    reach = np.array([canvas.width, canvas.height]) * (0.5 + OUTSIDE)
    position = rng.uniform(-reach, reach, (n_events, 2))
    distance = np.hypot(*position.T)
    clear = CLEAR * canvas.side / 2
    position *= (np.maximum(distance, clear) / np.maximum(distance, 1e-9))[:, None]
    # brightness by inversion of the cumulative number counts
    share = rng.random(n_events) * (1.0 - 10.0 ** (-COUNT_SLOPE * largest))
    excess = -np.log10(1.0 - share) / COUNT_SLOPE
    normal = rng.standard_normal((n_events, n_band)) * (n_band > 1)
    # bands run from blue to red, and so do the spectra of stars
    slope = np.linspace(-1, 1, n_band) * (n_band > 1)
    colour = (COLOUR + COLOUR_SCATTER * normal[:, :1]) * slope + BAND_SCATTER * normal
    size = (n_events, n_band, *_padded(canvas))
    return {
        "x": position[:, 0],
        "y": position[:, 1],
        "excess": excess[:, None] + colour,
        "spike_angle": settings.spike_angle + 0.05 * rng.standard_normal(n_events),
        "ray_phase": rng.uniform(-np.pi, np.pi, (n_events, len(RAYS))),
        "is_missed": rng.random(n_events) < settings.missed,
        "photon_noise": rng.standard_normal(size, dtype=np.float32),
    }


def bleeding(
    light: Float[Tensor, "event y x"],
    level: Float[Tensor, " event"],
    y_star: Float[Tensor, " event"],
) -> Bool[Tensor, "event y x"]:
    """Pixels that the charge above saturation fills, column by column, around the star's row.

    Args:
        light: Light of the star alone [pixel units].
        level: Flux at which a pixel is full [pixel units].
        y_star: Row of the star from the centre of the frame [pixel].

    Reference:
        Charge is kept: a column holds as many full pixels as its charge above saturation fills.
    """
    full = column(level)
    n_filled = (light - full).clamp_min(0.0).sum(dim=1, keepdim=True) / full
    n_filled = n_filled + (light > full).sum(dim=1, keepdim=True)
    _, y = coordinates(light.shape[1], light.shape[2], light)
    return (y - column(y_star)).abs() < n_filled / 2.0


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Add stars to images with the noise of their photons; full pixels are cut off and masked.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Gains, full wells and numbers of exposures.
    """
    image, excess = parameters["image"], parameters["excess"]
    n_band = excess.shape[1]
    band = torch.arange(n_band, device=image.device).repeat(len(image))
    # from here on an event is a star in one band
    each = {
        name: value.repeat_interleave(n_band, dim=0)
        for name, value in parameters.items()
        if name not in ("excess", "photon_noise")
    } | {"band": band, "photon_noise": parameters["photon_noise"].flatten(0, 1)}
    gain, n_exposures, full_well = (
        canvas.by_band(name, images.flux)[band] for name in ("gain", "n_exposures", "full_well")
    )
    level = full_well / gain
    psf = images.psf[each["image"], band]
    peak = psf.flatten(1).amax(dim=1)
    flux = _flux(level, peak, excess)
    light = star_light(each, psf, _padded(canvas), canvas.settings.halo_share) * column(flux)
    is_full = light > column(level)
    if canvas.settings.bleeds:
        spills = canvas.by_band("bleeds", images.flux)[band] > 0.0
        is_full = is_full | bleeding(light, level, each["y"]) & spills[:, None, None]
    variance = light / column(gain * n_exposures)
    light = light + variance.sqrt() * each["photon_noise"]
    light, variance, is_full = (_cropped(plane, canvas) for plane in (light, variance, is_full))
    # noise and other light fill pixels that the star nearly fills
    is_full = is_full | (images.flux[each["image"], band] + light >= column(level))
    return _blended(images, (light, variance, is_full), each, canvas)


def _flux(
    level: Float[Tensor, " each"], peak: Float[Tensor, " each"], excess: Float[Tensor, "event band"]
) -> Float[Tensor, " each"]:
    """Flux of each star in each band: what fills a pixel in the mean of the bands, and its colour.

    Bands share a zero point; were every one to saturate alike, stars would be bluer than any are.
    """
    seen = (peak > 0.0).view_as(excess)
    full = (level / peak.clamp_min(1e-30)).log10().view_as(excess)
    mean = (full * seen).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True).clamp_min(1)
    return torch.where(seen, 10.0 ** (mean + 0.4 * excess), 0.0).flatten()


def _blended(
    images: Images, star: tuple[Tensor, Tensor, Tensor], each: Parameters, canvas: Canvas
) -> Images:
    """Images with light, variance and full pixels of stars."""
    light, variance, is_full = (
        sum_of_events(plane, each["image"], each["band"], images) for plane in star
    )
    facts = [canvas.by_band(name, images.flux) for name in ("full_well", "gain")]
    level = (facts[0] / facts[1])[None, :, None, None]
    flux = images.flux + light
    flux = torch.where(is_full > 0.0, level, flux.minimum(level))
    grown = torch.nn.functional.max_pool2d(star[2].float(), 3, stride=1, padding=1) > 0.0
    ivar = images.ivar / (1.0 + images.ivar * variance)
    return replace(images, flux=flux, ivar=ivar, mask=masked(images, grown, each))


def _padded(canvas: Canvas) -> tuple[int, int]:
    """Rows and columns of a frame that also holds the stars beside the images."""
    margin_y, margin_x = _margins(canvas)
    return canvas.height + 2 * margin_y, canvas.width + 2 * margin_x


def _margins(canvas: Canvas) -> tuple[int, int]:
    return int(np.ceil(OUTSIDE * canvas.height)), int(np.ceil(OUTSIDE * canvas.width))


def _cropped(planes: Tensor, canvas: Canvas) -> Tensor:
    top, left = _margins(canvas)
    return planes[:, top : top + canvas.height, left : left + canvas.width]


artefacts.register("saturated_stars")(Artefact(draw, apply, stage="sky", is_of_one_band=False))
