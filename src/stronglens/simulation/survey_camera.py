"""A survey's camera by its facts: PSF and noise of every image in every band.

The scenes come from `survey_set`; kernels and the noise law from `psf` and `noise`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import numpy_generator, torch_generator
from stronglens.data.measure import read_centred
from stronglens.simulation.artefacts import BandFacts
from stronglens.simulation.camera import AbstractCamera, View
from stronglens.simulation.correlated import (
    correlated_noise,
    neighbour_kernel,
    noise_kernel,
    wide_share,
)
from stronglens.simulation.jitter import Jitter, JitterDraw, draw_jitter
from stronglens.simulation.measured_psf import psf_correction
from stronglens.simulation.noise import NoiseModel, noise_variance, observe
from stronglens.simulation.psf import EllipticalMoffat, elliptical_moffat_kernel
from stronglens.surveys import Band, Survey

PSF_WIDTHS = 4.0  # half-size of a kernel, in median widths: stars show what is cut off
# three widths with these shares have the mean and the scatter of a log-normal law
_NODES, _SHARES = (-(3.0**0.5), 0.0, 3.0**0.5), (1 / 6, 2 / 3, 1 / 6)
_SHARED_DEPTH = 0.5  # of the variance of ln(noise): bands are exposed in the same pattern
_GAUSSIAN_BETA = 30.0  # a Moffat profile this steep is a Gaussian to half a per cent of its peak


@dataclass(frozen=True)
class SurveyView(View):
    """How each image of a block was seen in every band, by what many exposures."""

    spread: Float[np.ndarray, " band"]
    """Scatter of ln(PSF width) among the exposures of an image."""
    jitter: JitterDraw
    """What differs from the survey's facts."""


@dataclass(frozen=True)
class SurveyCamera(AbstractCamera):
    """Bands of a survey, all on one pixel grid and in one flux unit."""

    survey: Survey
    """The survey."""
    bands: tuple[Band, ...]
    """The bands used."""
    zero_point: float
    """Magnitude of one pixel unit, the same in every band [mag AB]."""
    jitter: Jitter | None
    """How much images differ from the survey's facts; None for not at all."""
    is_real: bool = False
    """Everything is simulated."""
    has_pixels: bool = False
    """Kernels are those of the optics and the air alone."""

    def draw_view(self, seed: int, block: int, scene_class: np.ndarray) -> SurveyView:
        """Draw seeing and jitter of a block."""
        n = len(scene_class)
        rng = numpy_generator(seed, "view", block)
        scatter = np.array([band.psf_fwhm_scatter for band in self.bands])
        exposures = np.array([band.n_exposures for band in self.bands])
        shared = self.survey.psf_correlation
        normal = np.sqrt(shared) * rng.standard_normal((n, 1))
        normal = normal + np.sqrt(1 - shared) * rng.standard_normal((n, len(self.bands)))
        median = np.array([band.psf_fwhm for band in self.bands])
        none = Jitter(0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
        drawn = draw_jitter(self.jitter or none, (n, len(self.bands)), rng)
        # the mean of many exposures varies less from image to image than one does
        width = median * np.exp(scatter / np.sqrt(exposures) * normal)
        return SurveyView(
            psf_fwhm=width * drawn.fwhm_factor,
            bad=drawn.is_missing[:, :, None, None],
            has_host=np.zeros(n, dtype=bool),
            host_shape=np.full((2, n), np.nan),
            truth={},
            spread=np.where(exposures > 1, scatter, 0.0),
            jitter=replace(drawn, noise_factor=drawn.noise_factor * self._depth(n, rng)),
        )

    def kernels(self, view: View, images: slice, pixel_scale: float) -> Float[Tensor, "n band k k"]:
        """Return the PSF of coadds: the mean of their exposures' Moffat profiles.

        Where the band has a measured kernel, what it differs by from the band's profile is added.
        """
        own, size = _own(view), self.kernel_size(pixel_scale)
        drawn = own.jitter
        kernel: Tensor | float = 0.0
        for node, share in zip(_NODES, _SHARES, strict=True):
            fwhm = own.psf_fwhm[images] * np.exp(node * own.spread)
            columns = {
                "fwhm": fwhm,
                "beta": self._beta(own)[images],
                "e1": drawn.e1[images],
                "e2": drawn.e2[images],
                "x_shift": drawn.x_shift[images] * self.bands[0].pixel_scale,
                "y_shift": drawn.y_shift[images] * self.bands[0].pixel_scale,
            }
            flat = {
                name: torch.as_tensor(values.astype(np.float32)).flatten()
                for name, values in columns.items()
            }
            profile = EllipticalMoffat(**flat)
            kernel = kernel + share * elliptical_moffat_kernel(profile, pixel_scale, size)
            if not own.spread.any():
                kernel = kernel / share
                break
        return torch.as_tensor(kernel).unflatten(0, (-1, len(self.bands))) + torch.stack(
            [self._correction(band, pixel_scale, size) for band in self.bands]
        )

    def kernel_size(self, pixel_scale: float) -> int:
        """Return the odd side of a kernel at some scale [pixel]."""
        widest = max(band.psf_fwhm for band in self.bands)
        return 2 * round(PSF_WIDTHS * widest / pixel_scale) + 1

    def variance(
        self, noiseless: Float[Tensor, "n band y x"], view: View
    ) -> Float[Tensor, "n band y x"]:
        """Return the variance of the pixels of the coadds [pixel units^2]."""
        squared = self._noise_factor(_own(view)).square()
        floor, per_flux = (values * squared for values in self._variances)
        return noiseless.clamp_min(0.0).mul_(per_flux).add_(floor)

    def noise(
        self, noiseless: Float[Tensor, "n band y x"], view: View, key: tuple[int, int]
    ) -> Float[Tensor, "n band y x"]:
        """Return the noise of the coadds, correlated where the survey's is [pixel units]."""
        generator = torch_generator(key[0], "noise", key[1])
        factor = self._noise_factor(_own(view))
        planes = []
        for k, band in enumerate(self.bands):
            noise_model, plane = self._noise_model(band), noiseless[:, k]
            kernel, wide = self._noise_kernels[k]
            if kernel is not None:
                shape = (len(plane), 1, plane.shape[1], plane.shape[2])
                unit = correlated_noise(shape, kernel, generator)[:, 0]
                if wide:
                    level = torch.randn((len(plane), 1, 1), generator=generator)
                    unit = (1.0 - wide) ** 0.5 * unit + wide**0.5 * level
                noise = unit * noise_variance(plane, noise_model, band.n_exposures).sqrt()
            else:
                noise = observe(plane, noise_model, band.n_exposures, generator)[0] - plane
            planes.append(noise)
        return torch.stack(planes, dim=1) * factor

    def facts(self) -> tuple[BandFacts, ...]:
        """Return what artefacts must know of the bands."""
        return tuple(
            BandFacts(self._gain(band), band.n_exposures, band.saturation or 100_000.0, band.bleeds)
            for band in self.bands
        )

    @cached_property
    def _variances(self) -> tuple[Tensor, Tensor]:
        """Variance without objects and what their flux adds to it, as (band, 1, 1)."""
        floors, slopes = [], []
        for band in self.bands:
            noise_model = self._noise_model(band)
            dark = torch.zeros((1, 1, 1))
            floors.append(noise_variance(dark, noise_model, band.n_exposures)[0])
            slopes.append(torch.full((1, 1), 1.0 / (noise_model.gain * band.n_exposures)))
        return torch.stack(floors), torch.stack(slopes)

    @cached_property
    def _noise_kernels(self) -> tuple[tuple[Tensor | None, float], ...]:
        """What turns white noise into each band's, and the share that whole images have in common.

        No kernel where pixels are independent.
        """
        return tuple(_noise_kernel(band) for band in self.bands)

    def _correction(self, band: Band, pixel_scale: float, size: int) -> Float[Tensor, "k k"]:
        """What a measured kernel has more than the formula; 0 where there is none."""
        if band.psf_kernel is None:
            return torch.zeros(size, size)
        formula = (band.psf_fwhm, band.psf_beta or _GAUSSIAN_BETA)
        scales = (band.pixel_scale, pixel_scale)
        return psf_correction(read_centred(band.psf_kernel), formula, scales, size)

    def _depth(self, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n band"]:
        """Noise of each image over that of the survey, as exposures overlap where it is."""
        scatter = np.array([band.noise_scatter for band in self.bands])
        if not scatter.any():
            return np.ones((n, len(scatter)))
        normal = np.sqrt(_SHARED_DEPTH) * rng.standard_normal((n, 1))
        own = np.sqrt(1 - _SHARED_DEPTH) * rng.standard_normal((n, len(scatter)))
        return np.exp(scatter * (normal + own))

    def _noise_factor(self, view: SurveyView) -> Float[Tensor, "n band 1 1"]:
        scale = np.array([band.noise_scale for band in self.bands])
        factor = torch.as_tensor((scale * view.jitter.noise_factor).astype(np.float32))
        return factor[:, :, None, None]

    def _noise_model(self, band: Band) -> NoiseModel:
        return NoiseModel(
            gain=self._gain(band),
            read_noise=band.read_noise,
            sky_brightness=band.sky_brightness,
            zero_point=self.zero_point,
            pixel_scale=band.pixel_scale,
        )

    def _gain(self, band: Band) -> float:
        """Electrons of one exposure per pixel unit of the common zero point."""
        return band.gain * 10.0 ** (-0.4 * (self.zero_point - band.zero_point))

    def _beta(self, view: SurveyView) -> Float[np.ndarray, "n band"]:
        if self.jitter is not None and self.survey.kind == "ground":
            return view.jitter.beta
        beta = [band.psf_beta or _GAUSSIAN_BETA for band in self.bands]
        return np.broadcast_to(np.array(beta), view.psf_fwhm.shape)


def _noise_kernel(band: Band) -> tuple[Float[Tensor, "k_y k_x"] | None, float]:
    if band.noise_covariance is not None:
        covariance = torch.as_tensor(read_centred(band.noise_covariance))
        wide = wide_share(covariance)
        return noise_kernel(covariance - wide * covariance.max()).float(), wide
    return neighbour_kernel(band.noise_correlation) if band.noise_correlation else None, 0.0


def _own(view: View) -> SurveyView:
    """Return the view as one that this camera drew."""
    if not isinstance(view, SurveyView):
        raise WrongShapeError("the view is another camera's. Draw it with this one.")
    return view
