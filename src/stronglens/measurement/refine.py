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
from stronglens.measurement.mass_model import VECTOR, free_parameters, vector_from_values
from stronglens.measurement.optimise import Minimum
from stronglens.measurement.sampling import Sampled, sample_posterior
from stronglens.measurement.search import N_SOURCE, find_starts, minima_from
from stronglens.measurement.stage import Stage, best_stage, coarse_stage, theta_e_range

_MOST_STARTS = 8
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
    stage, minima = searched(stage, starts)
    refined = _posterior(stage, minima, options)
    return replace(refined, seconds=perf_counter() - begun)


def searched(
    stage: Stage,
    starts: Mapping[str, Float[np.ndarray, "n"]] | None,
) -> tuple[Stage, list[Minimum]]:
    """Grid and descents on a simple source, on a finer one, and again without the arcs' light."""
    prior, arcs = stage.prior, stage.arcs
    simple = stage.inversion_with(n_side=N_SOURCE)
    found = find_starts(simple, prior, arcs, _proposed(starts, stage))
    rough = minima_from(simple, found, prior, arcs)[:_KEPT]
    minima = _followed(stage, rough)
    best = minima[0].solution
    stage = stage.tempered_by(best).with_light_without(best)
    return stage, _followed(stage, minima)


def _followed(stage: Stage, minima: Sequence[Minimum]) -> list[Minimum]:
    """Minima followed further on the source grid of a stage, those that can compete."""
    starts = [minimum.solution for minimum in minima]
    return _kept(minima_from(stage.inversion, starts, stage.prior, stage.arcs))


def _kept(minima: Sequence[Minimum]) -> list[Minimum]:
    best = minima[0].objective
    return [m for m in minima if m.objective < best + _KEPT_GAP][:_KEPT]


def _proposed(
    starts: Mapping[str, Float[np.ndarray, "n"]] | None, stage: Stage
) -> list[Float[np.ndarray, "8"]]:
    """Some of a network's draws as vectors, what the mass model holds fixed as the prior says."""
    if not starts:
        return []
    columns = {name: starts[name] for name in ("theta_e", *VECTOR[1:]) if name in starts}
    n = len(columns["theta_e"])
    chosen = np.linspace(0, n - 1, min(n, _MOST_STARTS)).astype(int)
    free = free_parameters(stage.inversion.lens_model)
    vectors = []
    for k in chosen:
        vector = stage.prior.mean.copy()
        drawn = {name: float(values[k]) for name, values in columns.items()}
        vector[free] = vector_from_values(drawn)[free]
        if np.isfinite(stage.prior.penalty(vector)):
            vectors.append(vector)
    return vectors


def _posterior(stage: Stage, minima: list[Minimum], options: RefineOptions) -> Refined:
    """Sample around the minima, with the scatter between choices of the model added."""
    fine, sharp = best_stage(stage, minima)
    sharp = _kept(sharp)
    sampled = sample_posterior(
        fine.inversion, sharp, fine.prior, (options.n_draws, options.seed, fine.temperature)
    )
    best = min(minima, key=lambda minimum: abs(minimum.theta_e - sharp[0].theta_e))
    spread = model_spread(stage, best, has_estimated_psf=options.has_estimated_psf)
    return Refined(
        draws=sampled.with_spread(spread, options.seed),
        samples=sampled,
        evidence=weigh_arcs(stage, best),
        minima=tuple(sharp),
        stage=fine,
        chi2=fine.reduced_chi2(sharp[0].solution),
        temperature=fine.temperature,
        spread=spread,
    )
