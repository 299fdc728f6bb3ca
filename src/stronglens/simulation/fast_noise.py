"""Gaussian noise of sky, detector and photons, made in pieces that stay in the cache.

The law, and Poisson noise for pixels of few electrons, are in `noise`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.simulation.noise import FEW_ELECTRONS, NoiseModel, noise_variance, observe

# Images worked on at once: their variance and noise stay in a 2 MB cache.
_PIXELS_IN_CACHE = 100_000


@torch.no_grad()
def observe_in_pieces(
    noiseless: Float[Tensor, "batch y x"],
    noise_model: NoiseModel,
    n_exposures: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Noisy, sky-subtracted mean of n exposures and its inverse variance; no gradients.

    Photon noise is Gaussian where the sky alone gives 50 electrons; elsewhere `noise.observe` is
    called. The law is the same, the numbers drawn are not.

    Args:
        noiseless: Flux of the objects, without sky, in one exposure [pixel units].
        noise_model: Sky and detector of one exposure, one for all images.
        n_exposures: Number of exposures averaged, at least one [-].
        generator: Source of randomness, on the device of the images.

    Returns:
        flux [pixel units] and ivar [1 / pixel units^2], the latter from the noiseless image.

    Reference:
        Howell 1989, as in `noise.noise_variance`.
    """
    sky = noise_model.sky(noiseless)
    if not bool((sky * noise_model.gain * n_exposures >= FEW_ELECTRONS).all()):
        return observe(noiseless, noise_model, n_exposures, generator)
    floor = noise_variance(noiseless.new_zeros(1, 1), noise_model, n_exposures)
    per_flux = 1.0 / (noise_model.gain * n_exposures)
    flux, ivar = torch.empty_like(noiseless), torch.empty_like(noiseless)
    size = len(noiseless) if noiseless.is_cuda else max(1, _PIXELS_IN_CACHE // noiseless[0].numel())
    for start in range(0, len(noiseless), size):
        part = slice(start, start + size)
        variance = noiseless[part].clamp_min(0.0).mul_(per_flux).add_(floor)
        torch.reciprocal(variance, out=ivar[part])
        noise = flux[part].normal_(generator=generator)
        noise.mul_(variance.sqrt_()).add_(noiseless[part])
    return flux, ivar
