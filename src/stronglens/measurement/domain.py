"""How far an image lies from those that a network was trained and certified on."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.measurement.network_input import CONDITIONS

_TOLERANCE = 1.02
# Ridge of the covariance of features, as a share of its mean variance.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Assessment:
    """What a network's certificate says about one image."""

    values: dict[str, float]
    """Pixel scale and PSF width [arcsec], PSF width in pixels, field [arcsec], masked share."""
    outside: tuple[str, ...]
    """Those of them that lie outside the domain of the certificate."""
    ood_score: float
    """Share of the certified images that are less unusual than this one, from 0 to 1 [-]."""
    coverage_error: float
    """Worst coverage error of any parameter in the certificate [-]."""

    @property
    def is_inside(self) -> bool:
        """Whether the image is of a kind that the certificate speaks about."""
        return not self.outside

    def sentence(self) -> str:
        """Return the assessment as a person reads it."""
        place = "inside its domain" if self.is_inside else f"outside in {', '.join(self.outside)}"
        return (
            f"network certified to {self.coverage_error:.3f} in coverage; image {place}; more "
            f"unusual than {100 * self.ood_score:.0f} % of the images it was certified on"
        )


def domain_values(conditions: Float[Tensor, "batch number"]) -> dict[str, Float[Tensor, "batch"]]:
    """What a domain is described by, from what a network is told.

    Args:
        conditions: Numbers as `network_input` gives them.

    Returns:
        Quantities by name.
    """
    column = {name: conditions[:, i] for i, name in enumerate(CONDITIONS)}
    return {
        "image_scale": column["log_image_scale"].exp(),
        "psf_fwhm": column["psf_0"].exp(),
        "psf_fwhm_in_pixels": (column["psf_0"] - column["log_image_scale"]).exp(),
        "field": column["log_field"].exp(),
        "masked_share": column["masked_share"],
    }


def domain_of(conditions: Float[Tensor, "batch number"]) -> dict[str, list[float]]:
    """Range of each quantity over a set of images."""
    values = domain_values(conditions)
    return {name: [float(v.min()), float(v.max())] for name, v in values.items()}


@dataclass(frozen=True)
class FeatureSpread:
    """Where the features of known images lie."""

    mean: Float[Tensor, "feature"]
    """Mean."""
    whitening: Float[Tensor, "feature feature"]
    """Matrix that gives them unit covariance."""

    def distance(self, features: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch"]:
        """Return Mahalanobis distances per root of the number of features [-]."""
        scaled = (features - self.mean) @ self.whitening.T
        return scaled.square().mean(dim=1).sqrt()


def feature_spread(features: Float[Tensor, "batch feature"]) -> FeatureSpread:
    """Find where features lie.

    Args:
        features: Features of known images.

    Returns:
        Their mean and whitening.

    Reference:
        Lee et al. 2018 (arXiv 1807.03888): Mahalanobis distance of features as a score of
        unusual inputs.
    """
    mean = features.mean(dim=0)
    covariance = torch.cov((features - mean).T.double())
    ridge = _RIDGE * covariance.diagonal().mean() * torch.eye(len(mean), dtype=torch.float64)
    factor = torch.linalg.cholesky(covariance + ridge)
    return FeatureSpread(mean, torch.linalg.inv(factor).float())


def assess(
    conditions: Float[Tensor, "1 number"],
    features: Float[Tensor, "1 feature"],
    spread: FeatureSpread,
    certificate: dict[str, Any],
) -> Assessment:
    """Say where an image lies in the domain of a certificate.

    Args:
        conditions: What the network is told of the image.
        features: What it makes of it.
        spread: Where features lie.
        certificate: The certificate.

    Returns:
        The assessment.
    """
    values = {name: float(v[0]) for name, v in domain_values(conditions).items()}
    outside = tuple(
        name
        for name, (low, high) in certificate["domain"].items()
        if not low / _TOLERANCE <= values[name] <= high * _TOLERANCE
    )
    known = np.array(certificate["distances"])
    distance = float(spread.distance(features)[0])
    score = float(np.interp(distance, known, np.linspace(0.0, 1.0, len(known))))
    is_finite = math.isfinite(distance)
    return Assessment(values, outside, score if is_finite else 1.0, certificate["coverage_error"])
