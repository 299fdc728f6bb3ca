"""Several networks as one: their scalings side by side, their logits combined into one log-odds.

How a committee is put together from finders is in `committee.py`; how its weights are found, in
`stronglens.training.combination`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stronglens.core.errors import OutOfRangeError, WrongShapeError, unknown_name
from stronglens.finders.calibrate import MOST_EXTREME, Calibration
from stronglens.finders.networks import Architecture, InputShape, build_network
from stronglens.finders.normalise import (
    AbstractNormalisation,
    PixelImages,
    normalisation_from_settings,
)
from stronglens.finders.views import views_of

COMMITTEE = "committee"
"""Name that stands in the place of a network's in the facts of a committee."""
RULES = ("sum", "probability", "median")
"""Weighted sum of log-odds plus an offset; log-odds of the weighted mean probability; median."""


@dataclass(frozen=True)
class Combination:
    """How the calibrated log-odds of members become one."""

    rule: str
    """What is done with them."""
    weights: tuple[float, ...]
    """A weight for each member; the median uses only whether it is 0."""
    offset: float = 0.0
    """What is added to a sum."""

    def __post_init__(self) -> None:
        """Refuse a combination of nothing."""
        if self.rule not in RULES:
            raise unknown_name("rule of combination", self.rule, RULES)
        if not any(self.weights):
            raise OutOfRangeError(
                f"weights={self.weights}: all members count nothing. Give one a weight."
            )
        if self.rule == "probability" and min(self.weights) < 0:
            raise OutOfRangeError(
                f"weights={self.weights}: a mean of probabilities takes weights of 0 or more."
            )

    def __call__(self, log_odds: Float[Tensor, "member batch"]) -> Float[Tensor, "batch"]:
        """One log-odds for each image from those of all members."""
        weights = torch.tensor(self.weights, dtype=log_odds.dtype, device=log_odds.device)
        if self.rule == "median":
            # of an even number the mean of the middle two, which torch.median is not
            return log_odds[weights != 0].quantile(0.5, dim=0)
        if self.rule == "sum":
            return weights @ log_odds + self.offset
        shares = (weights / weights.sum())[weights != 0, None].log()
        used = log_odds[weights != 0]
        lens = torch.logsumexp(shares + functional.logsigmoid(used), 0)
        other = torch.logsumexp(shares + functional.logsigmoid(-used), 0)
        return lens - other

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Combination":
        """Build a combination from its plain values."""
        return cls(record["rule"], tuple(record["weights"]), record["offset"])


@dataclass(frozen=True)
class BetaMap:
    """The beta calibration as torch does it; a temperature is one with equal slopes."""

    low: float
    """Slope of ln s, the logarithm of the score."""
    high: float
    """Slope of -ln(1 - s)."""
    offset: float
    """What is added."""

    @classmethod
    def of(cls, calibration: Calibration) -> "BetaMap":
        """Take over a calibration.

        Raises:
            OutOfRangeError: It is isotonic, which has steps instead of slopes.
        """
        if calibration.method == "temperature":
            return cls(calibration.parameters[0], calibration.parameters[0], 0.0)
        if calibration.method != "beta":
            raise OutOfRangeError(
                f"method='{calibration.method}' is no calibration of a committee's members. "
                "Allowed: beta, temperature."
            )
        return cls(*calibration.parameters)

    def __call__(self, logits: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        """Log-odds of logits; see `stronglens.finders.calibrate` for the numpy twin.

        Reference:
            Kull, Silva Filho & Flach 2017, AISTATS, section 3.
        """
        low, high = functional.logsigmoid(logits), -functional.logsigmoid(-logits)
        mapped = self.low * low + self.high * high + self.offset
        return mapped.clamp(-MOST_EXTREME, MOST_EXTREME)


@dataclass(frozen=True)
class SideBySide(AbstractNormalisation):
    """The scalings of all members, one after another along the axis of bands."""

    parts: tuple[AbstractNormalisation, ...] = ()
    """A scaling for each member."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "SideBySide":
        """Refuse: members bring scalings that were found when they were trained."""
        raise OutOfRangeError("a committee has no scaling of its own. Fit those of its members.")

    def scale(self, images: PixelImages) -> Float[Tensor, "batch channel y x"]:
        """Scaled images of every member."""
        return torch.cat([part.scale(images) for part in self.parts], dim=1)


class CommitteeNetwork(nn.Module):
    """Networks that each see their own scaling of an image, and one log-odds of all.

    Args:
        networks: Networks of the members.
        views: Views over which each member averages its logits.
        maps: Calibration of each member.
        combination: What becomes of their log-odds.
    """

    def __init__(
        self,
        networks: Iterable[nn.Module],
        views: Iterable[str],
        maps: Iterable[BetaMap],
        combination: Combination,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)
        self.views = tuple(views)
        self.maps = tuple(maps)
        self.combination = combination

    def member_logits(
        self, images: Float[Tensor, "batch channel y x"]
    ) -> Float[Tensor, "member batch"]:
        """Logits of every member, averaged over its own views.

        Args:
            images: Scalings of all members, as `SideBySide` gives them.

        Raises:
            WrongShapeError: The channels cannot be shared out.
        """
        if images.shape[1] % len(self.members):
            raise WrongShapeError(
                f"{images.shape[1]} channels cannot be shared by {len(self.members)} members. "
                "Pass images in pixel units to the committee's finder instead."
            )
        parts = images.chunk(len(self.members), dim=1)
        logits = []
        for member, part, views in zip(self.members, parts, self.views, strict=True):
            seen = [
                member(view.to(memory_format=torch.channels_last)).float()
                for view in views_of(part, views)
            ]
            logits.append(torch.stack(seen).mean(0))
        return torch.stack(logits)

    def forward(self, images: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch"]:
        """Log-odds of being a lens in the mixture of images that the calibrations were fitted to.

        Args:
            images: Scalings of all members, as `SideBySide` gives them.
        """
        logits = self.member_logits(images)
        log_odds = [one(row) for one, row in zip(self.maps, logits, strict=True)]
        return self.combination(torch.stack(log_odds))


def rebuilt(record: dict[str, Any]) -> tuple[CommitteeNetwork, SideBySide]:
    """Build network and scaling of a committee, weights still random, from its facts.

    Args:
        record: What stands as `committee` in the facts: members and combination.
    """
    members = record["members"]
    network = CommitteeNetwork(
        [_network_of(member["facts"]) for member in members],
        [member["facts"]["views"] for member in members],
        [BetaMap(**member["map"]) for member in members],
        Combination.from_record(record["combination"]),
    )
    parts = [normalisation_from_settings(member["normalisation"]) for member in members]
    return network, SideBySide(tuple(parts))


def _network_of(facts: dict[str, Any]) -> nn.Module:
    shape = InputShape(
        len(facts["bands"]), facts["height"], facts["width"],
        facts["pixel_scale"], facts["zero_point"], tuple(facts["bands"]),
    )  # fmt: skip
    return build_network(facts["network"], shape, Architecture(**facts["architecture"]))
