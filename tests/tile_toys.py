"""Synthetic survey tiles with known PSF, noise, gain, stars and galaxies, made with GalSim."""

from dataclasses import dataclass

import galsim
import numpy as np
from scipy.ndimage import convolve1d

from stronglens.data.tiles import Tile

ZERO_POINT = 27.5
PIXEL_SCALE = 0.3


@dataclass(frozen=True)
class Sky:
    """What a toy tile is made with."""

    height: int = 340
    width: int = 450
    fwhm: float = 0.8
    beta: float = 3.0
    g1: float = 0.0
    g2: float = 0.0
    rms: float = 0.5
    side: float = 0.0
    """Weight of each neighbour in the smoothing of the noise along rows and columns."""
    gain: float = np.inf
    n_stars: int = 30
    n_galaxies: int = 25
    galaxy_flux: float = 2000.0
    r_eff: float = 1.5

    def psf(self, band=0):
        """Moffat profile of a band, a tenth wider in each bluer one."""
        fwhm = self.fwhm * 1.1**band
        return galsim.Moffat(beta=self.beta, fwhm=fwhm).shear(g1=self.g1, g2=self.g2)

    def lag_one(self):
        """Correlation of neighbouring pixels that the smoothing gives."""
        return 2 * self.side / (1 + 2 * self.side**2)


def build_tile(sky=None, bands=("kids-r", "kids-g"), seed=1, **facts):
    """Tile of stars on the left of a jittered grid and red galaxies among them."""
    sky = sky or Sky()
    rng = np.random.default_rng(seed)
    places = _grid(sky, rng)
    flux = []
    draws = {
        "fluxes": 10 ** rng.uniform(2.7, 4.3, sky.n_stars),
        "sizes": 10 ** rng.uniform(-0.2, 0.2, sky.n_galaxies),
    }
    for k in range(len(bands)):
        image = galsim.Image(sky.width, sky.height, scale=PIXEL_SCALE, dtype=np.float64)
        _draw_sources(image, sky, places, k, draws)
        flux.append(_observed(image.array, sky, np.random.default_rng((seed, k))))
    n = len(bands)
    given = {
        "ivar": None,
        "mask": np.zeros((n, sky.height, sky.width), bool),
        "zero_point": np.full(n, ZERO_POINT),
        "gain": np.full(n, np.nan),
        "saturation": np.full(n, np.nan),
        "exposure_time": np.full(n, np.nan),
        **facts,
    }
    tile = Tile("toy", np.stack(flux), bands=bands, pixel_scale=PIXEL_SCALE, **given)
    return tile, places[: sky.n_stars], places[sky.n_stars :]


def _grid(sky, rng):
    """Places (x, y) at least 30 pixels apart, in random order."""
    step = 46
    y, x = np.mgrid[step // 2 : sky.height - 15 : step, step // 2 : sky.width - 15 : step]
    places = np.stack([x.ravel(), y.ravel()], 1) + rng.uniform(-8, 8, (x.size, 2))
    return rng.permutation(places)[: sky.n_stars + sky.n_galaxies]


def _draw_sources(image, sky, places, band, draws):
    psf = sky.psf(band)
    for k, (x, y) in enumerate(places):
        if k < sky.n_stars:
            source = psf * draws["fluxes"][k]
        else:
            r_eff = sky.r_eff * draws["sizes"][k - sky.n_stars]
            galaxy = galsim.Exponential(half_light_radius=r_eff, flux=sky.galaxy_flux)
            source = galsim.Convolve(galaxy.shear(g1=0.1, g2=0.05), psf) * 0.4**band
        size = 101 if k < sky.n_stars else 121
        stamp = source.drawImage(
            nx=size, ny=size, scale=PIXEL_SCALE, center=galsim.PositionD(x + 1, y + 1)
        )
        both = stamp.bounds & image.bounds
        image[both] += stamp[both]


def _observed(noiseless, sky, rng):
    """Photon noise of the sources, and sky noise whose neighbours are correlated."""
    noise = rng.normal(size=noiseless.shape)
    line = np.array([sky.side, 1.0, sky.side]) / np.sqrt(1 + 2 * sky.side**2)
    for axis in (0, 1):
        noise = convolve1d(noise, line, axis=axis, mode="wrap")
    variance = sky.rms**2 + np.maximum(noiseless, 0) / sky.gain
    return (noiseless + noise * np.sqrt(variance)).astype(np.float32)
