"""Noise of Collett 2015: variance per pixel of a stack, and the best S/N that it allows."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.forecasting.observations import Observation, ObservedBand
from stronglens.forecasting.strategies import Exposures
from stronglens.simulation.relations import Columns

_FWHM_PER_SIGMA = 2.3548
# central brightness of an exponential disc of unit flux and r_eff, its width across the centre,
# and the magnification of a disc of r_eff = theta_e centred behind an isothermal lens
_PEAK, _WIDTH, _CENTRED = 0.4483, 1.1917, 3.3567


@dataclass(frozen=True)
class StackedBand:
    """One band of the stacks of some lenses."""

    band: ObservedBand
    """The band."""
    observation: Observation
    """The survey it belongs to."""
    read_noise_as_in_2015: bool
    """Whether read noise enters as it did in 2015: see `variance`."""
    sky: Float[np.ndarray, " n"]
    """Sky brightness [mag AB / arcsec^2]."""
    n_kept: Float[np.ndarray, " n"]
    """Exposures in the stack, at least one."""

    def flux(self, magnitude: Float[np.ndarray, " n"]) -> Float[Tensor, "n 1 1"]:
        """Return magnitudes as counts of the reference exposure."""
        counts = 10.0 ** (-0.4 * (magnitude - self.band.zero_point))
        return torch.as_tensor(counts, dtype=torch.float32)[:, None, None]

    def variance(self, light: Float[Tensor, "n y x"]) -> Float[Tensor, "n y x"]:
        """Variance of each pixel.

        Args:
            light: Noiseless light of deflector and source [counts of the reference exposure].

        Returns:
            Variance [counts^2].

        Reference:
            Code of Collett 2015: in electrons (light + sky) times the exposure plus the read-noise
            variable, not squared, once per exposure taken, kept or not. Otherwise its square, once
            per exposure kept (Howell 1989).
        """
        electrons = _electrons_per_count(self.band, self.observation, self.n_kept)
        scale = torch.as_tensor(electrons, dtype=torch.float32)[:, None, None]
        sky = self.flux(self.sky) * self.observation.pixel_scale**2
        return (light + sky) / scale + self._read_noise()[:, None, None] / scale**2

    def _read_noise(self) -> Tensor:
        """Variance of the read noise of each stack [electrons^2]."""
        n_exposures, read_noise = self.observation.n_exposures, self.observation.read_noise
        if self.read_noise_as_in_2015:
            return torch.full((len(self.n_kept),), n_exposures * read_noise)
        return torch.as_tensor(self.n_kept * read_noise**2, dtype=torch.float32)


def _electrons_per_count(
    band: ObservedBand, observation: Observation, n_kept: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Electrons that a count of the reference exposure becomes in the stack."""
    share = n_kept / observation.n_exposures
    return band.exposure_time / observation.reference_time * share * observation.gain


def highest_snr(
    lenses: Columns, observation: Observation, exposures: Exposures
) -> Float[np.ndarray, " n"]:
    """S/N that no stack of these exposures exceeds, without drawing the lens.

    A pixel of the arc is no brighter than the centre of the source, and an arc no wider than it,
    since an isothermal lens does not stretch along the radius; blurring makes it fainter.

    Args:
        lenses: The lenses.
        observation: The survey.
        exposures: All exposures of each lens.

    Returns:
        The largest S/N over all bands.

    Reference:
        Cauchy-Schwarz: cumulative S/N <= sqrt(sum(f^2) / variance) <= sqrt(flux peak / variance),
        with the variance of the sky alone.
    """
    theta_e, r_eff = lenses["theta_e"], lenses["r_eff_source"]
    everything = np.full(len(theta_e), float(observation.n_exposures))
    best = np.zeros(len(theta_e))
    for k, band in enumerate(observation.bands):
        scale = _electrons_per_count(band, observation, everything)
        flux = scale * 10.0 ** (-0.4 * (lenses[f"mag_source_{band.name}"] - band.zero_point))
        width = _WIDTH * r_eff * lenses["q_source"] ** -0.5
        sigma_psf = exposures.seeing[:, k].min(axis=1) / _FWHM_PER_SIGMA
        blur = np.minimum(1.0, width / (np.sqrt(2.0 * np.pi) * sigma_psf))
        pixel = observation.pixel_scale**2
        peak = flux * _PEAK / r_eff**2 * pixel * blur
        sky = scale * 10.0 ** (-0.4 * (exposures.sky[:, k].max(axis=1) - band.zero_point)) * pixel
        magnification = 1.0 + _CENTRED * theta_e / r_eff
        best = np.maximum(best, np.sqrt(magnification * flux * peak / sky))
    return best
