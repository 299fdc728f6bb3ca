"""Observation of ideal lenses: stacks, pictures, S/N and the cuts that each lens passes."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.forecasting.cuts import (
    CUTS,
    MIN_SNR,
    cuts_passed,
    difference_passes,
    is_separable,
)
from stronglens.forecasting.frames import Frames, batches
from stronglens.forecasting.noise import StackedBand, highest_snr
from stronglens.forecasting.observations import DifferenceFinder, Observation
from stronglens.forecasting.strategies import (
    Exposures,
    Stack,
    draw_exposures,
    largest_seeing,
    stack,
)
from stronglens.simulation.detectability import arc_snr_collett
from stronglens.simulation.relations import Columns

# annulus in which the g-i finder scales i to the deflector's g [arcsec]
_ANNULUS = (0.5, 2.7)
_NOT_DRAWN = ("magnification", "snr", "psf_fwhm", "snr_difference")


@dataclass(frozen=True)
class Watch:
    """How a survey is looked at."""

    observation: Observation
    """The survey."""
    strategy: str
    """Which exposures are stacked."""
    finder: DifferenceFinder | None = None
    """The g-i finder, if lenses have to pass its cuts too."""
    read_noise_as_in_2015: bool = True
    """Whether read noise enters as it did in 2015."""

    @property
    def n_cuts(self) -> int:
        """Cuts that a lens has to pass."""
        return len(CUTS) if self.finder else len(CUTS) - 1

    def observe(self, lenses: Columns, rng: np.random.Generator) -> Columns:
        """Observe ideal lenses; drawn are only those that may pass all cuts.

        Args:
            lenses: Ideal lenses.
            rng: Source of randomness.

        Returns:
            Columns to add: cuts_passed, a number of entries of `CUTS`; magnification, best_band,
            snr and psf_fwhm [arcsec] in it, and snr_difference; NaN where no picture was drawn.
        """
        n = len(lenses["theta_e"])
        exposures = draw_exposures(self.observation, rng, n)
        separable = self._is_separable(lenses, exposures)
        drawn = separable & (highest_snr(lenses, self.observation, exposures) > MIN_SNR)
        seen: Columns = {name: np.full(n, np.nan) for name in _NOT_DRAWN}
        seen["best_band"] = np.full(n, "", dtype="U4")
        seen["cuts_passed"] = np.where(separable, 2, 1)
        rows = np.flatnonzero(drawn)
        chosen = {name: values[rows] for name, values in lenses.items()}
        reach = max(_ANNULUS) if self.finder else 0.5
        for batch, frames in batches(chosen, self.observation, reach):
            of_batch = {name: values[batch] for name, values in chosen.items()}
            found = self._observe_frames(of_batch, frames, exposures[rows[batch]])
            for name, values in found.items():
                seen[name][rows[batch]] = values
        return seen

    def _is_separable(self, lenses: Columns, exposures: Exposures) -> Bool[np.ndarray, " n"]:
        """Whether some band could separate images and deflector, magnification aside."""
        theta_e, r_eff = lenses["theta_e"], lenses["r_eff_source"]
        limit = largest_seeing(self.strategy, theta_e, r_eff)
        stacks = stack(exposures, limit, self.strategy)
        return np.any(is_separable(theta_e, r_eff, stacks.psf_fwhm), axis=1)

    def _observe_frames(self, lenses: Columns, frames: Frames, exposures: Exposures) -> Columns:
        """Stack, blur and judge the lenses of one batch."""
        lenses = lenses | {"magnification": frames.magnification()}
        size = lenses["theta_e"], lenses["r_eff_source"]
        limit = largest_seeing(self.strategy, *size, lenses["magnification"])
        stacks = stack(exposures, limit, self.strategy)
        snr = self._snr(lenses, frames, stacks)
        passed, best = cuts_passed(lenses, stacks.psf_fwhm, snr)
        row = np.arange(len(best))
        names = np.array([band.name for band in self.observation.bands])
        seen = {
            "magnification": lenses["magnification"],
            "best_band": names[best],
            "snr": snr[row, best],
            "psf_fwhm": stacks.psf_fwhm[row, best],
            "cuts_passed": passed,
        }
        if self.finder is None:
            return seen
        psf_fwhm, difference = self._difference(lenses, frames, stacks)
        passes = difference_passes(lenses, psf_fwhm, difference) & _is_wanted(lenses, self.finder)
        seen["cuts_passed"] = passed + ((passed == len(CUTS) - 1) & passes)
        return seen | {"snr_difference": difference}

    def _stacked(self, stacks: Stack, k: int) -> StackedBand:
        """Return band k of the stacks; an empty one is noisy as a single exposure."""
        band, n_kept = self.observation.bands[k], np.maximum(stacks.n_kept[:, k], 1.0)
        kind = band, self.observation, self.read_noise_as_in_2015
        return StackedBand(*kind, sky=stacks.sky[:, k], n_kept=n_kept)

    def _snr(self, lenses: Columns, frames: Frames, stacks: Stack) -> Float[np.ndarray, "n band"]:
        """S/N of the arcs in each band, 0 where there is no stack."""
        snr = np.zeros_like(stacks.psf_fwhm)
        for k, band in enumerate(self.observation.bands):
            rows = np.flatnonzero(stacks.n_kept[:, k])
            if not len(rows):
                continue
            own = Frames(frames.grid, frames.source[rows], frames.deflector[rows])
            source, deflector = own.blurred(stacks.psf_fwhm[rows, k])
            chosen = Stack(stacks.psf_fwhm[rows], stacks.sky[rows], stacks.n_kept[rows])
            stacked = self._stacked(chosen, k)
            arc = source * stacked.flux(lenses[f"mag_source_{band.name}"][rows])
            light = deflector * stacked.flux(lenses[f"mag_deflector_{band.name}"][rows])
            variance = stacked.variance(arc + light)
            snr[rows, k] = arc_snr_collett(arc, variance.reciprocal()).numpy()
        return snr

    def _difference(
        self, lenses: Columns, frames: Frames, stacks: Stack
    ) -> tuple[np.ndarray, np.ndarray]:
        """PSF width and S/N of D = g - alpha i, both 0 where a band is missing."""
        names = [band.name for band in self.observation.bands]
        g, i = names.index("g"), names.index("i")
        widths = stacks.psf_fwhm
        is_there = (stacks.n_kept[:, [g, i]] > 0.0).all(axis=1)
        crossed = self.finder is not None and self.finder.cross_convolved
        psf_fwhm = np.hypot(widths[:, g], widths[:, i]) if crossed else widths.max(axis=1)
        source, deflector = frames.blurred(np.where(is_there, psf_fwhm, 1.0))
        arcs, lights, variances = [], [], []
        for k, name in ((g, "g"), (i, "i")):
            stacked = self._stacked(stacks, k)
            arcs.append(source * stacked.flux(lenses[f"mag_source_{name}"]))
            lights.append(arcs[-1] + deflector * stacked.flux(lenses[f"mag_deflector_{name}"]))
            variances.append(stacked.variance(lights[-1]))
        alpha = _alpha(lights, frames.radius())
        variance = variances[0] + alpha**2 * variances[1]
        snr = arc_snr_collett(arcs[0] - alpha * arcs[1], variance.reciprocal()).numpy()
        return np.where(is_there, psf_fwhm, 0.0), np.where(is_there, snr, 0.0)


def _alpha(lights: list[Tensor], radius: Tensor) -> Float[Tensor, "n 1 1"]:
    """Ratio of g to i in an annulus around each deflector."""
    inside = (radius > _ANNULUS[0]) & (radius < _ANNULUS[1])
    in_g, in_i = ((light * inside).sum(dim=(1, 2), keepdim=True) for light in lights)
    return in_g / in_i


def _is_wanted(lenses: Columns, finder: DifferenceFinder) -> Bool[np.ndarray, " n"]:
    """Whether the finder looks at a deflector at all."""
    wanted = np.ones(len(lenses["z_lens"]), dtype=bool)
    for values, (low, high) in (
        (lenses["z_lens"], finder.z_lens),
        (lenses["mag_deflector_i"], finder.mag_deflector_i),
    ):
        wanted &= (values > low) & (values < high)
    return wanted


def observe_without_gradients(watch: Watch, lenses: Columns, rng: np.random.Generator) -> Columns:
    """Observe lenses as `Watch.observe` does, keeping nothing for gradients."""
    with torch.inference_mode():
        return watch.observe(lenses, rng)
