"""Refine: from an image, and starts if there are any, to a posterior under the exact likelihood.

The verdict on it is in `verdict`; reading images and writing tables is elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from jaxtyping import Float

from stronglens.core.errors import OutOfRangeError
from stronglens.measurement.alternatives import model_spread
from stronglens.measurement.arc_evidence import ArcEvidence, weigh_arcs
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.mass_model import VECTOR, vector_from_values
from stronglens.measurement.noise_estimate import correlation_factor
from stronglens.measurement.optimise import Minimum
from stronglens.measurement.sampling import Sampled, sample_posterior
from stronglens.measurement.search import best_starts, grid_vectors, minima_from
from stronglens.measurement.stage import Stage, best_stage, coarse_stage, theta_e_range

_MOST_STARTS = 24
_KEPT, _KEPT_GAP = 4, 40.0
_LEAST_ARC_SNR = 8.0


@dataclass(frozen=True)
class RefineOptions:
    """What may be chosen about a refinement."""

    lens_model: str = "sie+shear"
    """Mass model: sie, sie+shear or epl+shear."""
    n_draws: int = 256
    """Draws from the proposal; made again where they are worth too little."""
    seed: int = 1
    """Seed of the draws."""
    theta_e_range: tuple[float, float] | None = None
    """Smallest and largest Einstein radius searched [arcsec]; by default what the image allows."""
    has_estimated_psf: bool = False
    """Whether the PSF is an estimate, whose width is then varied."""


@dataclass(frozen=True, eq=False)
class Refined:
    """Posterior of one lens under the exact likelihood, and all that a verdict needs."""

    draws: dict[str, Float[np.ndarray, "n"]]
    """Equal-weight draws of every measured quantity; empty where nothing was found."""
    samples: Sampled | None
    """Weighted draws as they were sampled."""
    evidence: ArcEvidence | None
    """How much speaks for arcs, lensing and multiple images."""
    minima: tuple[Minimum, ...]
    """Competing minima of the last search, the best first."""
    stage: Stage | None
    """Image, light and likelihood of the last search."""
    chi2: float = float("nan")
    """Reduced chi-square in the fitted region [-]."""
    temperature: float = 1.0
    """Factor by which the deviance was divided: misfit and correlated noise [-]."""
    spread: dict[str, float] = field(default_factory=dict)
    """Scatter of each parameter between equally good choices of the model; in the draws too."""
    reasons: tuple[str, ...] = ()
    """Why there is nothing, where there is nothing."""
    seconds: float = 0.0
    """Time taken [s]."""


def refine(
    image: LensImage,
    starts: Mapping[str, Float[np.ndarray, "n"]] | None = None,
    options: RefineOptions = RefineOptions(),
) -> Refined:
    """Search for the best lens models of an image and sample their posterior.

    Args:
        image: The image; the lens is in its middle.
        starts: Draws of a network, by name as in `parameters.PARAMETERS`; more starts for the
            search. None for none.
        options: Mass model, draws, seed.

    Returns:
        The posterior, or the reasons why there is none.
    """
    begun = perf_counter()
    nothing = Refined({}, None, None, (), None)
    try:
        stage = coarse_stage(image, theta_e_range(image, options.theta_e_range), options.lens_model)
    except OutOfRangeError as error:
        return replace(nothing, reasons=(str(error),), seconds=perf_counter() - begun)
    if stage.arc_snr < _LEAST_ARC_SNR:
        reason = (
            f"nothing but the central object: light left over has S/N {stage.arc_snr:.1f}, "
            f"arcs need {_LEAST_ARC_SNR:g}"
        )
        return replace(nothing, stage=stage, reasons=(reason,), seconds=perf_counter() - begun)
    stage, minima = searched(stage, starts, options)
    refined = _posterior(image, stage, minima, options)
    return replace(refined, seconds=perf_counter() - begun)


def searched(
    stage: Stage,
    starts: Mapping[str, Float[np.ndarray, "n"]] | None,
    options: RefineOptions,
) -> tuple[Stage, list[Minimum]]:
    """Grid and descents, then the deflector once more without the arcs, and descents again."""
    vectors = grid_vectors(stage.prior, has_shear="shear" in options.lens_model)
    vectors += [
        vector for vector in _start_vectors(starts) if np.isfinite(stage.prior.penalty(vector))
    ]
    candidates = best_starts(stage.inversion, vectors, stage.prior, stage.arcs)
    minima = _kept(minima_from(stage.inversion, candidates, stage.prior, stage.arcs))
    stage = stage.with_light_without(minima[0].solution)
    again = [minimum.solution for minimum in minima]
    return stage, _kept(minima_from(stage.inversion, again, stage.prior, stage.arcs))


def _kept(minima: Sequence[Minimum]) -> list[Minimum]:
    best = minima[0].objective
    return [m for m in minima if m.objective < best + _KEPT_GAP][:_KEPT]


def _start_vectors(
    starts: Mapping[str, Float[np.ndarray, "n"]] | None,
) -> list[Float[np.ndarray, "8"]]:
    """Some of a network's draws as vectors."""
    if not starts:
        return []
    columns = {name: starts[name] for name in ("theta_e", *VECTOR[1:]) if name in starts}
    n = len(columns["theta_e"])
    chosen = np.linspace(0, n - 1, min(n, _MOST_STARTS)).astype(int)
    return [
        vector_from_values({name: float(values[k]) for name, values in columns.items()})
        for k in chosen
    ]


def _posterior(
    image: LensImage, stage: Stage, minima: list[Minimum], options: RefineOptions
) -> Refined:
    """Sample at full resolution, with the scatter between choices of the model added."""
    fine, sharp = best_stage(image, stage, minima)
    sharp = _kept(sharp)
    n_free = fine.inversion.n_pixels - fine.degrees_of_freedom(sharp[0].solution)
    chi2 = sharp[0].solution.chi2 / max(n_free, 1.0)
    temperature = max(1.0, chi2, correlation_factor(stage.residual_snr(minima[0].solution)))
    sampled = sample_posterior(
        fine.inversion, sharp, fine.prior, (options.n_draws, options.seed, temperature)
    )
    spread = model_spread(stage, minima[0], has_estimated_psf=options.has_estimated_psf)
    return Refined(
        draws=sampled.with_spread(spread, options.seed),
        samples=sampled,
        evidence=weigh_arcs(stage, minima[0]),
        minima=tuple(sharp),
        stage=fine,
        chi2=chi2,
        temperature=temperature,
        spread=spread,
    )
