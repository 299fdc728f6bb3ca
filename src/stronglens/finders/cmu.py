"""CMU DeepLens, the residual network of Lanusse et al. 2018, with the scalings it was used with.

The augmentation of its training is in `stronglens.data.augment`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stronglens.data.stretch import sky_sigma
from stronglens.finders.networks import Architecture, InputShape, Recipe, networks
from stronglens.finders.normalise import AbstractNormalisation, PixelImages, normalisations

CITATION = """@article{lanusse2018,
  author = {Lanusse, F. and others},
  title = {{CMU DeepLens}: deep learning for automatic image-based galaxy-galaxy strong lens
           finding},
  journal = {Monthly Notices of the Royal Astronomical Society},
  volume = {473},
  pages = {3895},
  year = {2018},
  eprint = {1703.02642}
}"""

RECIPE = Recipe(
    normalisation="cmu-paper",
    loss="cross-entropy",
    optimiser="adam",
    learning_rate=1e-3,
    decay=0.0,
    weight_decay=0.0,
    schedule="step",
    batch_size=128,
    epochs=120,
    augmentation="cmu",
    precision="bfloat16",
)
"""The published recipe: the learning rate drops tenfold at epochs 40 and 80."""

N_STAGES = 5
SQUEEZE = 2
"""Channels of a unit over those inside it."""
EPSILON = 1e-4
"""Added to variances by the batch normalisation of Lasagne, in which the network was written."""

CLIP_SIGMA = 250.0
"""Flux at which the paper's scaling clips [sigma of the sky]."""
GROUND_LIMIT = 1e-9
"""Flux at which the code's scaling for the challenge's ground images clips [its pixel units]."""
GROUND_GAIN = 100.0
"""Value of that flux after the scaling."""
GROUND_MASKED = 100.0
"""Value of a masked pixel in those images."""
SPACE_RANGE = (-1e-11, 1e-9)
"""Flux between which the code's scaling for the challenge's space images clips."""
_DIGITS = 7

Plane = tuple[tuple[float, ...], ...]


class BottleneckUnit(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each after normalisation and activation, added to the input.

    Args:
        n_in: Channels of the input.
        n_out: Channels of the output; half of them inside.
        stride: 2 to halve the size of the image in the first convolution, else 1.
        is_first: Whether the input has been normalised and activated already.
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int, is_first: bool) -> None:
        super().__init__()
        inner = max(1, n_out // SQUEEZE)
        self.normalisation_1 = nn.Identity() if is_first else nn.BatchNorm2d(n_in, EPSILON)
        self.activation_1 = nn.Identity() if is_first else nn.ELU()
        self.convolution_1 = nn.Conv2d(n_in, inner, 1, stride, bias=False)
        self.normalisation_2 = nn.BatchNorm2d(inner, EPSILON)
        self.activation_2 = nn.ELU()
        self.convolution_2 = nn.Conv2d(inner, inner, 3, 1, 1, bias=False)
        self.normalisation_3 = nn.BatchNorm2d(inner, EPSILON)
        self.activation_3 = nn.ELU()
        self.convolution_3 = nn.Conv2d(inner, n_out, 1)
        changes_shape = stride > 1 or n_in != n_out
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride) if changes_shape else None

    def forward(
        self, features: Float[Tensor, "batch channel y x"]
    ) -> Float[Tensor, "batch channel_out y_out x_out"]:
        """Features after the unit."""
        first = self.activation_1(self.normalisation_1(features))
        inner = self.activation_2(self.normalisation_2(self.convolution_1(first)))
        inner = self.activation_3(self.normalisation_3(self.convolution_2(inner)))
        kept = features if self.shortcut is None else self.shortcut(first)
        return kept + self.convolution_3(inner)


class DeepLensNetwork(nn.Module):
    """A 7x7 stem, five stages of bottleneck units, the mean over the image, one unit.

    Args:
        n_bands: Bands of an image.
        architecture: Channels of the first stage, which double from stage to stage; units in each
            stage; probability of dropping a feature before the last layer.
    """

    def __init__(self, n_bands: int, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(n_bands, width, 7, 1, 3, bias=False),
            normalisation=nn.BatchNorm2d(width, EPSILON),
            activation=nn.ELU(),
        )
        channels = width
        for i_stage in range(N_STAGES):
            for i_unit in range(architecture.depth):
                is_first = i_stage == 0 and i_unit == 0
                stride = 2 if i_unit == 0 and i_stage > 0 else 1
                unit = BottleneckUnit(
                    channels, width * 2**i_stage, stride=stride, is_first=is_first
                )
                layers[f"unit_{i_stage + 1}_{i_unit + 1}"] = unit
                channels = width * 2**i_stage
        self.features = nn.Sequential(layers)
        self.dropout = nn.Dropout(architecture.dropout)
        self.output = nn.Linear(channels, 1)
        self._initialise()

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        return self.output(self.dropout(self.features(images).mean((2, 3))))[:, 0]

    def _initialise(self) -> None:
        """Glorot's weights in the stem and the last layer, He's in the units, biases zero."""
        stem = self.features.get_submodule("convolution")
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer is not stem:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)


@networks.register(
    "cmu-deeplens",
    summary="CMU DeepLens: 46 convolutions in bottleneck units",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=3, dropout=0.0),
    recipe=RECIPE,
    any_size=True,
)
def cmu_deeplens(shape: InputShape, architecture: Architecture) -> DeepLensNetwork:
    """Residual network of Lanusse et al.; width is the channels of the first stage, depth units.

    Layers that a batch normalisation follows have no bias, all others have one; nothing is
    normalised after the last unit. So counted, it has 3,508,545 weights for one band.
    """
    return DeepLensNetwork(shape.n_bands, architecture)


@normalisations.register("cmu-paper")
@dataclass(frozen=True)
class CmuPaper(AbstractNormalisation):
    """The mean training image taken off, in units of the noise, clipped at 250 sigma.

    Bad pixels become 0. On images of another size the mean image is cut, or filled up with 0,
    about its centre.

    Reference:
        Lanusse et al. 2018, section on preprocessing.
    """

    mean: tuple[Plane, ...] = ()
    """Mean training image of each band [pixel units]."""
    sigma: tuple[float, ...] = ()
    """Median noise of the training images in each band [pixel units]."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "CmuPaper":
        """Find the mean image and the noise of each band."""
        plain = cls()
        total, n, sigmas = torch.zeros(()).double(), 0, []
        for chunk in chunks:
            total = total + plain(chunk).double().sum(0)
            n += len(chunk.flux)
            sigmas.append(sky_sigma(chunk.flux, chunk.ivar, chunk.mask))
        if n == 0:
            return plain
        sigma = torch.nanmedian(torch.cat(sigmas), dim=0).values
        return cls(_plain(total / n), tuple(float(s) if s > 0 else 1.0 for s in sigma))

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images: 0 where they are like the mean, 1 a sigma above."""
        flux = images.flux
        if images.mask is not None:
            flux = flux.masked_fill(images.mask, 0.0)
        if not self.sigma:
            return flux
        sigma = flux.new_tensor(self.sigma)[None, :, None, None]
        seen = ((flux - _about_centre(self.mean, flux)) / sigma).clamp(-CLIP_SIGMA, CLIP_SIGMA)
        return seen if images.mask is None else seen.masked_fill(images.mask, 0.0)


@normalisations.register("cmu-ground")
@dataclass(frozen=True)
class CmuGround(AbstractNormalisation):
    """The released code's scaling of the challenge's ground images, in whose flux unit it is."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "CmuGround":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images between -100 and 100; pixels at 100 units, the challenge's mask, at 0."""
        flux = images.flux.masked_fill(images.flux == GROUND_MASKED, 0.0)
        if images.mask is not None:
            flux = flux.masked_fill(images.mask, 0.0)
        return flux.clamp(-GROUND_LIMIT, GROUND_LIMIT) / GROUND_LIMIT * GROUND_GAIN


@normalisations.register("cmu-space")
@dataclass(frozen=True)
class CmuSpace(AbstractNormalisation):
    """The released code's scaling of the challenge's space images, in whose flux unit it is."""

    mean: tuple[Plane, ...] = ()
    """Mean of the clipped training images, of each band."""
    deviation: float = 1.0
    """Standard deviation of the clipped training images about it."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "CmuSpace":
        """Find the mean image and the deviation about it."""
        plain = cls()
        total, squares, n = torch.zeros(()).double(), torch.zeros(()).double(), 0
        for chunk in chunks:
            clipped = plain(chunk).double()
            total, squares = total + clipped.sum(0), squares + clipped.square().sum(0)
            n += len(clipped)
        if n == 0:
            return plain
        mean = total / n
        variance = float((squares / n - mean.square()).mean())
        return cls(_plain(mean), variance**0.5 if variance > 0 else 1.0)

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images, about 0 with deviation 1."""
        low, high = SPACE_RANGE
        clipped = (images.flux.clamp(low, high) - low) / (high - low)
        if not self.mean:
            return clipped
        return (clipped - _about_centre(self.mean, clipped)) / self.deviation


def _plain(image: Float[Tensor, "band y x"]) -> tuple[Plane, ...]:
    """Return an image as numbers of seven digits, so that it can be written beside the weights."""
    rounded = [
        [[float(f"{v:.{_DIGITS}g}") for v in row] for row in band] for band in image.tolist()
    ]
    return tuple(tuple(tuple(row) for row in band) for band in rounded)


def _about_centre(
    mean: tuple[Plane, ...], like: Float[Tensor, "batch band y x"]
) -> Float[Tensor, "band y x"]:
    """Return a mean image cut or filled up with 0 to the size of others, about its centre."""
    image = like.new_tensor(cast("list", mean))
    missing = [like.shape[axis] - image.shape[axis] for axis in (-1, -2)]
    sides = [part for m in missing for part in (m // 2, m - m // 2)]
    return functional.pad(image, sides)
