"""Lenses and their pictures as plain functions, without a task or a file: the parts of the road.

Pictures take the fast path of `fast`; datasets with look-alikes and truth are the task `Simulate`.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.seeds import torch_generator
from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Sersics
from stronglens.simulation.fast import observe_fast
from stronglens.simulation.fast_noise import observe_in_pieces
from stronglens.simulation.galaxies import BLUE, OLD, Filters
from stronglens.simulation.gaussian_psf import GaussianPsf, gaussian_psf, moffat_psf
from stronglens.simulation.kernels import has_compiler
from stronglens.simulation.noise import NoiseModel
from stronglens.simulation.relations import Columns
from stronglens.simulation.render import Grid
from stronglens.simulation.sky import Sky
from stronglens.simulation.systems import draw_lens_systems
from stronglens.surveys import Band, Survey
from stronglens.surveys.colours import equivalent_band

_THETA_E_MIN = 0.5  # of lenses, unless the sky says otherwise [arcsec]
_PADDING_WIDTHS = 2.5  # padding around the frame, in PSF widths


@dataclass(frozen=True, eq=False)
class Pictures:
    """What a survey sees of lenses, band by band."""

    flux: Float[Tensor, "n band y x"]
    """Noisy images, sky removed [pixel units of the band]."""
    ivar: Float[Tensor, "n band y x"]
    """Inverse variance [1 / pixel units^2]."""
    source: Float[Tensor, "n band y x"]
    """Noiseless lensed sources [pixel units]."""
    deflector_light: Float[Tensor, "n band y x"]
    """Noiseless deflectors [pixel units]."""


def draw_lenses(n: int, seed: int = 1, sky: Sky | None = None) -> Columns:
    """Draw lens systems: isothermal deflectors with a source inside their caustic.

    Args:
        n: How many.
        seed: Seed of the draw.
        sky: Priors; by default lenses of at least 0.5 arcsec as often as the sky has them.

    Returns:
        One array of length n per column: theta_e [arcsec], z_lens, z_source, sigma_v [km/s],
        gamma1, gamma2, mag_i_source [mag AB] and so on.
    """
    sky = sky or Sky(prior="sky")
    sky = replace(sky, theta_e_min=sky.theta_e_min or _THETA_E_MIN)
    return draw_lens_systems(sky, seed, "lenses", 0, n)


def render(lenses: Columns, survey: Survey, *, size: int | None = None, seed: int = 1) -> Pictures:
    """Picture lenses as the full stack of a survey sees them, at its median PSF.

    Args:
        lenses: What `draw_lenses` returned.
        survey: The survey.
        size: Side of the images [pixel]; by default 10 arcsec.
        seed: Seed of the noise.

    Returns:
        Images of all bands of the survey.
    """
    n = len(lenses["theta_e"])
    bands = [_picture(lenses, band, size or _side(band), (seed, n)) for band in survey.bands]
    return Pictures(*(torch.stack(planes, dim=1) for planes in zip(*bands, strict=True)))


def _picture(
    lenses: Columns, band: Band, size: int, key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Flux, inverse variance, source and deflector of one band."""
    seed, n = key
    padding = int(np.ceil(_PADDING_WIDTHS * band.psf_fwhm / band.pixel_scale))
    grid = Grid(size, size, band.pixel_scale, padding=padding)
    filters = Filters((equivalent_band(band),), band.zero_point, 0.5 * grid.fine_scale, 0.0)
    arcs, light = observe_fast(
        grid,
        _lens(lenses),
        _source(lenses, filters),
        _deflector(lenses, filters),
        _psf(band, n),
        compiled=has_compiler(),
    )
    noise_model = NoiseModel(
        band.gain, band.read_noise, band.sky_brightness, band.zero_point, band.pixel_scale
    )
    generator = torch_generator(seed, "pictures", band.name)
    noiseless = arcs + light
    flux, ivar = observe_in_pieces(noiseless, noise_model, band.n_exposures, generator)
    # a coadd's noise that the camera does not explain
    flux = noiseless + (flux - noiseless) * band.noise_scale
    return flux, ivar / band.noise_scale**2, arcs, light


def _side(band: Band) -> int:
    return round(10.0 / band.pixel_scale)


def _psf(band: Band, n: int) -> GaussianPsf:
    fwhm = torch.full((n,), band.psf_fwhm)
    if band.psf_beta is None:
        return gaussian_psf(fwhm)
    return moffat_psf(fwhm, torch.full((n,), band.psf_beta))


def _lens(lenses: Columns) -> SieShear:
    names = ("theta_e", "q", "phi", "gamma1", "gamma2")
    zero = torch.zeros(len(lenses["theta_e"]))
    return SieShear(**{name: _float(lenses[name]) for name in names}, x_center=zero, y_center=zero)


def _source(lenses: Columns, filters: Filters) -> Sersics:
    flux = filters.flux(lenses["mag_i_source"], lenses["z_source"], BLUE[1])
    names = {
        "r_eff": "r_eff_source",
        "n_sersic": "n_sersic_source",
        "q": "q_source",
        "phi": "phi_source",
        "x_center": "x_source",
        "y_center": "y_source",
    }
    columns = {name: _float(lenses[column])[:, None] for name, column in names.items()}
    return Sersics(flux=_float(flux), **columns)


def _deflector(lenses: Columns, filters: Filters) -> Sersics:
    z = lenses["z_lens"]
    flux = filters.flux(filters.mag_i_of(lenses["absolute_r"], z), z, OLD)
    names = {
        "r_eff": "r_eff_deflector",
        "n_sersic": "n_sersic_deflector",
        "q": "q_light",
        "phi": "phi_light",
    }
    columns = {name: _float(lenses[column])[:, None] for name, column in names.items()}
    zero = torch.zeros(len(z), 1)
    return Sersics(flux=_float(flux), **columns, x_center=zero, y_center=zero)


def _float(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32))
