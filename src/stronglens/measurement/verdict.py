"""The word on a measurement: verified, refined, network-only or rejected, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stronglens.measurement.refine import Refined
from stronglens.measurement.sampling import K_HAT_MAX, LEAST_EFFECTIVE

Verdict = Literal["verified", "refined", "network-only", "rejected"]

CHI2_VERIFIED = 1.3
"""Largest reduced chi-square of a verified measurement [-]."""
CHI2_REJECTED = 3.0
"""Reduced chi-square above which the model has not explained the image [-]."""
LEAST_GAIN = 20.0
"""Least gain of the lens over no lens, as twice the logarithm of an evidence ratio [-]."""
LEAST_ARC_SNR, LEAST_COUNTER_SNR = 10.0, 5.0
"""Least signal to noise of all images together, and of those inside and outside the critical
curve [-]."""
LEAST_MULTIPLE_SHARE = 0.2
"""Least share of the source that must be multiply imaged [-]."""
LEAST_MAGNIFICATION = 1.5
"""Least magnification of the source [-]."""
WIDE_THETA_E = 0.05
"""Relative error of theta_e above which a measurement is not called verified [-]."""
LARGE_SHEAR = 0.15
"""Shear above which a measurement is not called verified: 2.5 widths of its prior [-]."""
_AGREEMENT = 3.0
_NEAR_LIMIT, _CLOSE = 0.03, 40.0
_FULL_WINDOW = 0.98
_CHECKS_OF_FAILURE = 1.6


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reasons."""

    verdict: Verdict
    """The word."""
    reasons: tuple[str, ...]
    """Why, one short sentence each; empty where all is well."""


def judge(refined: Refined, network: Mapping[str, np.ndarray] | None = None) -> Judgement:
    """Say how far a measurement can be trusted.

    Args:
        refined: The refined posterior, or none with its reasons.
        network: Draws of a network, where there is one.
    """
    if not refined.draws or refined.evidence is None or refined.samples is None:
        return Judgement("rejected", refined.reasons)
    if against := _against_a_lens(refined):
        return Judgement("rejected", tuple(against))
    failed = _sampling_doubts(refined)
    doubts = [*failed, *_doubts(refined, network)]
    if failed and network is not None and refined.chi2 > CHI2_VERIFIED * _CHECKS_OF_FAILURE:
        return Judgement("network-only", tuple(doubts))
    return Judgement("refined" if doubts else "verified", tuple(doubts))


def _against_a_lens(refined: Refined) -> list[str]:
    """Reasons to believe that this is no lens, or that no model was found."""
    evidence, stage = refined.evidence, refined.stage
    if evidence is None or stage is None:
        return ["no model was found"]
    best = refined.minima[0].theta_e
    low, high = stage.prior.theta_e_range
    checks = (
        (evidence.lens_gain < LEAST_GAIN,
         f"lensing explains it no better than light of the galaxy's own: gain in twice ln evidence "
         f"{evidence.lens_gain:.0f}, needed {LEAST_GAIN:g}"),
        (evidence.arc_snr < LEAST_ARC_SNR,
         f"arcs are not significant: S/N {evidence.arc_snr:.1f}, needed {LEAST_ARC_SNR:g}"),
        (evidence.multiple_share < LEAST_MULTIPLE_SHARE,
         f"only {100 * evidence.multiple_share:.0f} % of the source would be multiply imaged"),
        (evidence.magnification < LEAST_MAGNIFICATION,
         f"magnification {evidence.magnification:.2f} is not that of a strong lens"),
        (refined.chi2 > CHI2_REJECTED,
         f"no lens model fits: reduced chi-square {refined.chi2:.2f}"),
        (not low * (1 + _NEAR_LIMIT) < best < high * (1 - _NEAR_LIMIT),
         f"theta_e={best:.2f} arcsec is at the edge of what the image can hold ({low:.2f} to "
         f"{high:.2f} arcsec)"),
    )  # fmt: skip
    return [text for is_against, text in checks if is_against]


def _sampling_doubts(refined: Refined) -> list[str]:
    """Reasons not to trust the widths of the posterior."""
    samples = refined.samples
    if samples is None:
        return []
    if samples.method == "tempered":
        return ["importance sampling failed; tempered sampling was used"]
    found = []
    if not samples.draws.k_hat < K_HAT_MAX:
        found.append(f"importance weights are uneven: k-hat {samples.draws.k_hat:.2f}")
    if samples.draws.effective_size < LEAST_EFFECTIVE:
        found.append(f"effective sample size is only {samples.draws.effective_size:.0f}")
    return found


def _doubts(refined: Refined, network: Mapping[str, np.ndarray] | None) -> list[str]:
    """Reasons not to call a lens model verified."""
    evidence = refined.evidence
    theta_e = refined.draws["theta_e"]
    width = float(np.std(theta_e) / np.mean(theta_e))
    found = []
    if refined.chi2 > CHI2_VERIFIED:
        found.append(f"reduced chi-square {refined.chi2:.2f} is above {CHI2_VERIFIED:g}")
    if width > WIDE_THETA_E:
        found.append(f"theta_e is known to {100 * width:.0f} % only")
    if evidence is not None and evidence.counter_snr < LEAST_COUNTER_SNR:
        found.append(f"counter-image is not significant: S/N {evidence.counter_snr:.1f}")
    shear = float(np.hypot(np.median(refined.draws["gamma1"]), np.median(refined.draws["gamma2"])))
    if shear > LARGE_SHEAR:
        found.append(f"a shear of {shear:.2f} is rare: another mass nearby, or a wrong model")
    if evidence is not None and evidence.window_share > _FULL_WINDOW:
        found.append("source fills all of the space it may have")
    if (text := _competing(refined)) is not None:
        found.append(text)
    if network is not None and (text := _disagreement(theta_e, network["theta_e"])) is not None:
        found.append(text)
    return found


def _competing(refined: Refined) -> str | None:
    """Sentence on a minimum elsewhere that is nearly as good."""
    best = refined.minima[0]
    for other in refined.minima[1:]:
        gap = other.objective - best.objective
        if gap < _CLOSE and abs(other.theta_e / best.theta_e - 1.0) > WIDE_THETA_E:
            return f"a model with theta_e={other.theta_e:.2f} arcsec is nearly as good"
    return None


def _disagreement(refined: np.ndarray, network: np.ndarray) -> str | None:
    """Sentence on a network that says something else."""
    gap = abs(float(np.median(refined)) - float(np.median(network)))
    width = float(np.hypot(np.std(refined), np.std(network)))
    if gap <= _AGREEMENT * width:
        return None
    return f"network and refined theta_e differ by {gap / width:.1f} standard deviations"
