"""A residual network of images and their circumstances: one for all PSFs and pixel scales."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stronglens.measurement.network_input import N_CONDITIONS, N_PLANES

_CHANNELS_PER_GROUP = 8


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of an encoder."""

    width: int = 32
    """Channels after the first layer; they double at each halving of the image, twice at most."""
    depth: int = 1
    """Residual blocks at each size below the first."""
    n_features: int = 128
    """Numbers that an image becomes."""


class Encoder(nn.Module):
    """Images to features; PSF, pixel scale, noise and mask steer every block (FiLM).

    Normalisation is by groups of channels within an image, so that one image's features do not
    depend on the others of its batch.

    Args:
        shape: Sizes.

    Reference:
        He et al. 2016 (residuals), Wu & He 2018 (group normalisation), Perez et al. 2018 (FiLM).
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        width, n = shape.width, 64
        self.circumstances = nn.Sequential(
            nn.Linear(N_CONDITIONS, n), nn.SiLU(), nn.Linear(n, n), nn.SiLU()
        )
        self.first = nn.Conv2d(N_PLANES, width, 5, stride=2, padding=2)
        self.shrink = nn.ModuleList()
        self.blocks = nn.ModuleList()
        channels = width
        for factor in (2, 3):
            self.shrink.append(nn.Conv2d(channels, width * factor, 3, stride=2, padding=1))
            channels = width * factor
            self.blocks.append(
                nn.ModuleList(ConditionedBlock(channels, n) for _ in range(shape.depth))
            )
        self.last = nn.Sequential(nn.Linear(channels * 16, shape.n_features), nn.SiLU())
        self.mix = nn.Linear(shape.n_features + n, shape.n_features)
        self.register_buffer("condition_mean", torch.zeros(N_CONDITIONS))
        self.register_buffer("condition_sd", torch.ones(N_CONDITIONS))

    def forward(
        self,
        planes: Float[Tensor, "batch plane 64 64"],
        conditions: Float[Tensor, "batch number"],
    ) -> Float[Tensor, "batch feature"]:
        """Features of images."""
        scaled = (conditions - self.condition_mean) / self.condition_sd
        about = self.circumstances(scaled.clamp(-5.0, 5.0))
        hidden = functional.silu(self.first(planes))
        for shrink, blocks in zip(self.shrink, self.blocks, strict=True):
            hidden = shrink(hidden)
            for block in blocks:  # type: ignore[union-attr]
                hidden = block(hidden, about)
        pooled = functional.adaptive_avg_pool2d(hidden, 4).flatten(1)
        return self.mix(torch.cat([self.last(pooled), about], dim=1))

    def standardise(self, conditions: Float[Tensor, "n number"]) -> None:
        """Take mean and spread of the circumstances from a sample of them."""
        self.condition_mean = conditions.mean(dim=0)
        self.condition_sd = conditions.std(dim=0).clamp_min(1e-2)


class ConditionedBlock(nn.Module):
    """Two convolutions whose channels are scaled and shifted by the circumstances.

    Args:
        channels: Channels in and out.
        n_conditions: Numbers that describe the circumstances.
    """

    def __init__(self, channels: int, n_conditions: int) -> None:
        super().__init__()
        groups = max(1, channels // _CHANNELS_PER_GROUP)
        self.norm_1 = nn.GroupNorm(groups, channels)
        self.convolution_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm_2 = nn.GroupNorm(groups, channels)
        self.convolution_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(n_conditions, 2 * channels)
        for layer in (self.film, self.convolution_2):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self, images: Float[Tensor, "batch channel y x"], about: Float[Tensor, "batch number"]
    ) -> Float[Tensor, "batch channel y x"]:
        """Images with the block's residual added."""
        hidden = self.convolution_1(functional.silu(self.norm_1(images)))
        scale, shift = self.film(about)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm_2(hidden) * (1.0 + scale) + shift
        return images + self.convolution_2(functional.silu(hidden))
