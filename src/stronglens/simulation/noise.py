"""Sky, detector and photon noise, in electrons first and then in the unit of the image."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import flux_from_magnitude
from stronglens.core.errors import OutOfRangeError

PhotonNoise = Literal["auto", "gaussian", "poisson"]

FEW_ELECTRONS = 50.0
"""Below this expectation a pixel's photon noise is drawn from the Poisson law [electrons]."""


@dataclass(frozen=True)
class NoiseModel:
    """What one exposure in one band adds to the light of the objects."""

    gain: float
    """Electrons per pixel unit of one exposure [electrons / pixel unit]."""
    read_noise: float
    """Read noise of one exposure [electrons / pixel]."""
    sky_brightness: float | Float[Tensor, "*batch"]
    """Sky brightness, one for all images or one per image [mag AB / arcsec^2]."""
    zero_point: float
    """Magnitude of one pixel unit [mag AB]."""
    pixel_scale: float
    """Pixel scale [arcsec/pixel]."""

    def sky(self, like: Tensor) -> Tensor:
        """Return the sky's flux in a pixel of one exposure [pixel units], as (..., 1, 1)."""
        brightness = torch.as_tensor(self.sky_brightness, dtype=like.dtype, device=like.device)
        return flux_from_magnitude(brightness, self.zero_point)[..., None, None] * (
            self.pixel_scale**2
        )


def noise_variance(
    noiseless: Float[Tensor, "*batch y x"], noise_model: NoiseModel, n_exposures: int = 1
) -> Float[Tensor, "*batch y x"]:
    """Variance of a pixel of the mean of n exposures.

    Args:
        noiseless: Flux of the objects, without sky, in one exposure [pixel units].
        noise_model: Sky and detector of one exposure.
        n_exposures: Number of exposures averaged, at least one [-].

    Returns:
        Variance [pixel units^2].

    Reference:
        Howell 1989, the CCD equation: per exposure, gain (object + sky) plus the
        square of the read noise, in electrons.
    """
    _check(noise_model, n_exposures)
    electrons = (noiseless.clamp_min(0.0) + noise_model.sky(noiseless)) * noise_model.gain
    return (electrons + noise_model.read_noise**2) * (1.0 / (n_exposures * noise_model.gain**2))


def observe(
    noiseless: Float[Tensor, "*batch y x"],
    noise_model: NoiseModel,
    n_exposures: int,
    generator: torch.Generator,
    photon_noise: PhotonNoise = "auto",
) -> tuple[Float[Tensor, "*batch y x"], Float[Tensor, "*batch y x"]]:
    """Noisy, sky-subtracted mean of n exposures and its inverse variance.

    The unit stays that of one exposure, so the zero point does too; the sky is subtracted without
    error, its noise stays.

    Args:
        noiseless: Flux of the objects, without sky, in one exposure [pixel units].
        noise_model: Sky and detector of one exposure.
        n_exposures: Number of exposures averaged, at least one [-].
        generator: Source of randomness, on the device of the images.
        photon_noise: "gaussian", "poisson", or "auto": Poisson in pixels that expect fewer than
            50 electrons, Gaussian elsewhere (ten times faster).

    Returns:
        flux [pixel units] and ivar [1 / pixel units^2], the latter from the noiseless image.

    Reference:
        Howell 1989. The sum of n Poisson draws is one draw of n times the mean.
    """
    variance = noise_variance(noiseless, noise_model, n_exposures)
    noise = torch.randn(
        noiseless.shape, generator=generator, dtype=noiseless.dtype, device=noiseless.device
    )
    ivar = variance.reciprocal()
    if photon_noise == "gaussian":
        return noise.mul_(variance.sqrt_()).add_(noiseless), ivar
    total = n_exposures * noise_model.gain
    electrons = (noiseless.clamp_min(0.0) + noise_model.sky(noiseless)) * total
    is_few = electrons < FEW_ELECTRONS if photon_noise == "auto" else torch.ones_like(electrons) > 0
    readout = noise * (noise_model.read_noise * n_exposures**0.5 / total)
    noise.mul_(variance.sqrt_())
    few = electrons[is_few]
    if few.numel():
        noise[is_few] = readout[is_few] + (torch.poisson(few, generator) - few) / total
    return noise.add_(noiseless), ivar


def _check(noise_model: NoiseModel, n_exposures: int) -> None:
    gain, read_noise = noise_model.gain, noise_model.read_noise
    if n_exposures < 1:
        raise OutOfRangeError(f"n_exposures={n_exposures} is below 1. Average one or more.")
    if not gain > 0.0 or not read_noise >= 0.0:
        raise OutOfRangeError(
            f"gain={gain} and read_noise={read_noise}: a gain lies above 0 and a read noise is "
            "not negative. Correct the noise model."
        )
