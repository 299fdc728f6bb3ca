"""Normalising flows over the latent parameters of an image, and an encoder in front of them."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import zuko
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.measurement.encoder import Encoder, EncoderShape
from stronglens.measurement.parameters import PARAMETERS


@dataclass(frozen=True)
class PosteriorShape:
    """Sizes of encoder and flow."""

    encoder: EncoderShape = field(default_factory=EncoderShape)
    """Sizes of the encoder."""
    transforms: int = 5
    """Transformations of the flow."""
    hidden: int = 128
    """Units in each of the two hidden layers of a transformation."""
    bins: int = 8
    """Bins of its splines."""


class LatentPosterior(nn.Module):
    """Distribution of the latent parameters u of each image of a batch.

    The flow is a coupling of rational-quadratic splines, whose inverse takes two passes instead of
    one per parameter; its base is the prior. Beside it, a linear layer gives mean and width of a
    Gaussian, which gets the features going and is a quick estimate.

    Args:
        shape: Sizes.

    Reference:
        Durkan et al. 2019 (neural spline flows), through zuko.
    """

    def __init__(self, shape: PosteriorShape) -> None:
        super().__init__()
        n = len(PARAMETERS)
        self.encoder = Encoder(shape.encoder)
        self.gaussian = nn.Linear(shape.encoder.n_features, 2 * n)
        self.flow = zuko.flows.NSF(
            features=n,
            context=shape.encoder.n_features,
            transforms=shape.transforms,
            hidden_features=(shape.hidden, shape.hidden),
            bins=shape.bins,
            passes=2,
            randperm=True,
        )

    def forward(
        self, planes: Float[Tensor, "batch plane 64 64"], conditions: Float[Tensor, "batch number"]
    ) -> Float[Tensor, "batch feature"]:
        """Features of images, on which all else depends."""
        return self.encoder(planes, conditions)

    def losses(
        self, features: Float[Tensor, "batch feature"], u: Float[Tensor, "batch 11"]
    ) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Negative logarithms of the densities of flow and Gaussian, over those of the prior.

        Args:
            features: What forward returned.
            u: True latent parameters.

        Returns:
            One number per image of each: 0 if nothing was learnt, negative if more is known [nat].
        """
        prior = -0.5 * u.square().sum(dim=1)
        constant = 0.5 * len(PARAMETERS) * math.log(2.0 * math.pi)
        # densities are computed in full precision whatever the layers before them use
        with torch.autocast(features.device.type, enabled=False):
            flow = self.flow(features.float()).log_prob(u)
            mean, log_sd = self.gaussian(features.float()).chunk(2, dim=1)
            log_sd = log_sd.clamp(-6.0, 3.0)
            gaussian = (-0.5 * ((u - mean) / log_sd.exp()).square() - log_sd).sum(dim=1)
        return prior - constant - flow, prior - gaussian

    def draws(
        self, features: Float[Tensor, "batch feature"], n: int
    ) -> Float[Tensor, "n batch 11"]:
        """Draw n latent parameters for each image, with torch's own random numbers."""
        base = torch.randn(n, len(features), len(PARAMETERS), device=features.device)
        return self.from_base(features, base)

    def from_base(
        self, features: Float[Tensor, "batch feature"], base: Float[Tensor, "n batch 11"]
    ) -> Float[Tensor, "n batch 11"]:
        """Latent parameters that points of the flow's base become.

        The first half of each coupling hangs on the image alone, so its splines are made once an
        image and not once a draw: half the work of the flow's own inverse.

        Args:
            features: What forward returned.
            base: Points under the standard normal distribution.
        """
        nothing = features.new_zeros(len(features), len(PARAMETERS))
        layers: Any = self.flow.transform.transforms
        u = base
        for layer in reversed(layers):
            first = layer.meta(features, nothing).inv(u)
            u = layer.meta(features, first).inv(u)
        return u
