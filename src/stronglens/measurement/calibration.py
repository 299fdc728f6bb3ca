"""The work of the task CalibratePosterior: a certificate from simulations of other seeds.

The tests themselves are in `certificate`, the domain in `domain`.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.device import torch_device
from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.core.seeds import derived_seed
from stronglens.core.weights import WEIGHTS
from stronglens.measurement.certificate import (
    LEVELS,
    accuracy,
    coverage,
    fitted_temperature,
    ranks,
    sbc_p_values,
    tarp_coverage,
)
from stronglens.measurement.domain import domain_of, feature_spread
from stronglens.measurement.mock_frames import MockFrame, PsfShape
from stronglens.measurement.mock_images import SNR_RANGE, MockChoices, MockImages, draw_images
from stronglens.measurement.network_input import prepare_mocks
from stronglens.measurement.parameters import PARAMETERS, from_latent, to_latent
from stronglens.measurement.posterior_network import (
    VIEWS,
    PosteriorNetwork,
    load_posterior,
    views_of,
)
from stronglens.measurement.posterior_task import CalibratePosterior, CalibratePosteriorResult
from stronglens.plots.calibration import calibration_page

_BLOCK = 32
_SNR_EDGES = (15.0, 30.0, 60.0, 120.0, 240.0, 400.0)
_N_DISTANCES = 201
_DRAWS_FIRST = (0, 2)


@dataclass(frozen=True)
class Sample:
    """Posteriors of simulated images, and the truth about them."""

    latent: Float[np.ndarray, "draw lens parameter"]
    """Draws of u."""
    latent_truth: Float[np.ndarray, "lens parameter"]
    """True u."""
    draws: Float[np.ndarray, "draw lens parameter"]
    """Draws of the parameters."""
    truth: Float[np.ndarray, "lens parameter"]
    """True parameters."""
    arc_snr: Float[np.ndarray, "lens"]
    """S/N of the arcs [-]."""
    features: Float[Tensor, "lens feature"]
    """What the network makes of the images, averaged over views."""
    conditions: Float[Tensor, "lens number"]
    """What it is told of them."""


def mock_blocks(seed: int, n: int, choices: MockChoices) -> Iterator[MockImages]:
    """Yield n simulated images in blocks that share a frame each."""
    for block in range(math.ceil(n / _BLOCK)):
        yield draw_images(seed, block, min(_BLOCK, n - block * _BLOCK), choices)


def sample_posteriors(
    network: PosteriorNetwork, blocks: Iterator[MockImages], n_draws: int, seed: int
) -> Sample:
    """Draw from the posteriors of simulated images.

    Args:
        network: The network; its temperature is applied.
        blocks: Images with their truth.
        n_draws: Draws per image.
        seed: Seed of the draws.

    Returns:
        Draws and truth.
    """
    parts: list[list[Any]] = []
    for number, images in enumerate(blocks):
        prepared = prepare_mocks(images)
        u, limits = network.latent_draws(prepared, n_draws, derived_seed(seed, number))
        values = from_latent(u.flatten(0, 1), limits.repeat(n_draws, 1))
        draws = torch.stack([values[name] for name in PARAMETERS], dim=-1).view(u.shape)
        views = views_of(prepared, network.device)
        features = network.features(views).cpu().unflatten(0, (len(VIEWS), -1)).mean(dim=0)
        truth = torch.stack([images.truth[name] for name in PARAMETERS], dim=-1)
        true_u = to_latent(images.truth, limits)
        conditions = views.conditions[: len(prepared)].cpu()
        parts.append([u, true_u, draws, truth, images.arc_snr, features, conditions])
    # draws come first in two of the seven, lenses in the others
    columns = list(zip(*parts, strict=True))
    joined = [torch.cat(column, dim=int(k in _DRAWS_FIRST)) for k, column in enumerate(columns)]
    u, true_u, draws, truth, snr = (part.double().numpy() for part in joined[:5])
    return Sample(u, true_u, draws, truth, snr, joined[5], joined[6])


def calibrate_posterior(task: CalibratePosterior, run: RunDirectory) -> CalibratePosteriorResult:
    """Fit the temperature, then judge the posteriors on yet other simulations.

    Args:
        task: The settings.
        run: Where everything goes.

    Returns:
        What came out.
    """
    loaded = load_posterior(task.posterior, device=torch_device(task.device))
    if task.in_half:
        # what is certified is what is written
        loaded.network.half().float()
    choices = choices_of(task)
    plain = _with(loaded, None)
    run.log(f"{loaded!r}: temperature from {task.n_fit} images, certificate from {task.n}")
    fit_seed, seed = derived_seed(task.seed, "temperature"), derived_seed(task.seed, "certificate")
    fitted = sample_posteriors(plain, mock_blocks(fit_seed, task.n_fit, choices), task.draws, 1)
    temperature = fitted_temperature(fitted.latent, fitted.latent_truth)
    spread = feature_spread(fitted.features)
    warm = _with(loaded, {"temperature": temperature.tolist()})
    run.log("temperature " + ", ".join(f"{t:.3f}" for t in temperature))
    sample = sample_posteriors(warm, mock_blocks(seed, task.n, choices), task.draws, 2)
    certificate = certificate_of(sample, seed) | {
        "temperature": temperature.tolist(),
        "domain": domain_of(sample.conditions),
        "distances": _quantiles(spread.distance(sample.features)),
        "settings": {k: v for k, v in task.to_dict().items() if k != "posterior"},
    }
    extra = {"feature_mean": spread.mean, "feature_whitening": spread.whitening}
    _with(loaded, certificate, extra).save(run.path / WEIGHTS, in_half=task.in_half)
    write_json(run.path / "certificate.json", certificate)
    (run.path / "figures").mkdir(exist_ok=True)
    calibration_page(certificate).savefig(run.path / "figures" / "certificate.png")
    return CalibratePosteriorResult(
        path=run.path,
        n=task.n,
        coverage_error=certificate["coverage_error"],
        worst_parameter=certificate["worst_parameter"],
        coverage_noise=certificate["coverage_noise"],
        tarp_error=certificate["tarp_error"],
        sbc_failures=tuple(certificate["sbc_failures"]),
    )


def choices_of(task: CalibratePosterior) -> MockChoices:
    """Return the instrument that the settings name, or all of them."""
    if task.pixel_scale is None or task.psf_fwhm is None:
        return MockChoices()
    psf = PsfShape(task.psf_fwhm)
    return MockChoices(frame=MockFrame(task.pixel_scale, task.n_pixels, psf, psf))


def certificate_of(sample: Sample, seed: int) -> dict[str, Any]:
    """Put all tests of a sample of posteriors into plain values.

    Args:
        sample: Draws and truth.
        seed: Seed of what the tests draw.

    Returns:
        The certificate, without temperature and domain.
    """
    places = ranks(sample.draws, sample.truth, seed)
    found = coverage(places)
    error = np.abs(found - LEVELS[:, None]).max(axis=0)
    p_values = sbc_p_values(places)
    joint = tarp_coverage(sample.latent, sample.latent_truth, seed=seed)
    n = len(sample.truth)
    return {
        "n": n,
        "parameters": list(PARAMETERS),
        "levels": LEVELS.tolist(),
        "coverage": _named(found.T.tolist()),
        "coverage_errors": _named(error.tolist()),
        "coverage_error": float(error.max()),
        "worst_parameter": PARAMETERS[int(error.argmax())],
        # 95 % of the largest deviations of a perfect network stay below this (Kolmogorov)
        "coverage_noise": 1.36 / math.sqrt(n),
        "rank_histograms": _named([_histogram(column) for column in places.T]),
        "sbc_p": _named(p_values.tolist()),
        "sbc_failures": [
            name for name, p in zip(PARAMETERS, p_values, strict=True) if p < 0.01 / len(PARAMETERS)
        ],
        "tarp": joint.tolist(),
        "tarp_error": float(np.abs(joint - LEVELS).max()),
        "arc_snr": list(SNR_RANGE),
        "by_snr": [_at_snr(sample, low, high) for low, high in _bins()],
    }


def _bins() -> list[tuple[float, float]]:
    return list(itertools.pairwise(_SNR_EDGES))


def _at_snr(sample: Sample, low: float, high: float) -> dict[str, Any]:
    """Errors in a bin of S/N; theta_e and the source's size relative to their true values."""
    rows = (sample.arc_snr >= low) & (sample.arc_snr < high)
    result: dict[str, Any] = {"arc_snr": [low, high], "n": int(rows.sum())}
    if not rows.any():
        return result
    for j, name in enumerate(PARAMETERS):
        draws, truth = sample.draws[:, rows, j], sample.truth[rows, j]
        if name == "theta_e":
            draws, truth = draws / truth, np.ones_like(truth)
        result[name] = asdict(accuracy(draws, truth))
    return result


def _named(values: list[Any]) -> dict[str, Any]:
    return dict(zip(PARAMETERS, values, strict=True))


def _histogram(places: np.ndarray) -> list[int]:
    return np.histogram(places, bins=20, range=(0.0, 1.0))[0].tolist()


def _quantiles(distance: Tensor) -> list[float]:
    place = torch.linspace(0.0, 1.0, _N_DISTANCES, dtype=torch.float64)
    return torch.quantile(distance.double(), place).tolist()


def _with(
    network: PosteriorNetwork,
    certificate: dict[str, Any] | None,
    extra: dict[str, Tensor] | None = None,
) -> PosteriorNetwork:
    return PosteriorNetwork(
        network.network,
        network.shape,
        training=network.training,
        certificate=certificate,
        extra=extra,
    )
