"""The networks of the searches in KiDS by Petrillo et al., and their square-root stretch.

The augmentation of their training is in `stronglens.data.augment`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.core.errors import OutOfRangeError
from stronglens.finders.cmu import EPSILON as LASAGNE_EPSILON
from stronglens.finders.cmu import RECIPE as CMU_RECIPE
from stronglens.finders.networks import Architecture, InputShape, Recipe, networks
from stronglens.finders.normalise import AbstractNormalisation, PixelImages, normalisations

CITATION_2019 = """@article{petrillo2019,
  author = {Petrillo, C. E. and others},
  title = {Testing convolutional neural networks for finding strong gravitational lenses in
           {KiDS}},
  journal = {Monthly Notices of the Royal Astronomical Society},
  volume = {482},
  pages = {807},
  year = {2019},
  eprint = {1807.04764}
}"""

CITATION_2017 = """@article{petrillo2017,
  author = {Petrillo, C. E. and others},
  title = {Finding strong gravitational lenses in the {Kilo Degree Survey} with convolutional
           neural networks},
  journal = {Monthly Notices of the Royal Astronomical Society},
  volume = {472},
  pages = {1129},
  year = {2017},
  eprint = {1702.07675}
}"""

RECIPE = Recipe(
    normalisation="petrillo-sqrt",
    loss="cross-entropy",
    optimiser="adam",
    learning_rate=1e-4,
    decay=0.0,
    weight_decay=2e-4,
    schedule="constant",
    batch_size=64,
    epochs=256,
    augmentation="petrillo",
    precision="bfloat16",
    views="flips",
)
"""The published recipe. Its 80,000 updates of 64 images are 256 epochs of 20,000 images; a penalty
of 1e-4 times the squared weights has a gradient of 2e-4 times the weights."""

N_STAGES = 4
N_CHANNELS = 3
"""Channels of the published network; one band is copied into all of them."""


class BasicUnit(nn.Module):
    """Two 3x3 convolutions, each after normalisation and activation, added to the input.

    Args:
        n_in: Channels of the input.
        n_out: Channels of the output.
        stride: 2 to halve the size of the image, else 1.
        is_first: Whether the input has been normalised and activated already.
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int, is_first: bool) -> None:
        super().__init__()
        self.normalisation_1 = nn.Identity() if is_first else _keras_normalisation(n_in)
        self.activation_1 = nn.Identity() if is_first else nn.ReLU()
        self.convolution_1 = nn.Conv2d(n_in, n_out, 3, stride, 1)
        self.normalisation_2 = _keras_normalisation(n_out)
        self.activation_2 = nn.ReLU()
        self.convolution_2 = nn.Conv2d(n_out, n_out, 3, 1, 1)
        changes_shape = stride > 1 or n_in != n_out
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride) if changes_shape else nn.Identity()

    def forward(
        self, features: Float[Tensor, "batch channel y x"]
    ) -> Float[Tensor, "batch channel_out y_out x_out"]:
        """Features after the unit."""
        inner = self.convolution_1(self.activation_1(self.normalisation_1(features)))
        inner = self.convolution_2(self.activation_2(self.normalisation_2(inner)))
        return self.shortcut(features) + inner


class PreactivationNetwork(nn.Module):
    """A strided 7x7 stem with pooling, four stages of units, the mean over the image, one unit.

    Args:
        n_bands: Bands of an image; a single one is copied into three channels.
        architecture: Channels of the first stage, which double from stage to stage; units in each
            stage; probability of dropping a feature before the last layer.
    """

    def __init__(self, n_bands: int, architecture: Architecture) -> None:
        super().__init__()
        self.n_copies = N_CHANNELS if n_bands == 1 else 1
        width = architecture.width
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(n_bands * self.n_copies, width, 7, 2, 3),
            normalisation=_keras_normalisation(width),
            activation=nn.ReLU(),
            pooling=nn.MaxPool2d(3, 2, 1),
        )
        channels = width
        for i_stage in range(N_STAGES):
            for i_unit in range(architecture.depth):
                is_first = i_stage == 0 and i_unit == 0
                stride = 2 if i_unit == 0 and i_stage > 0 else 1
                unit = BasicUnit(channels, width * 2**i_stage, stride=stride, is_first=is_first)
                layers[f"unit_{i_stage + 1}_{i_unit + 1}"] = unit
                channels = width * 2**i_stage
        layers["normalisation_last"] = _keras_normalisation(channels)
        layers["activation_last"] = nn.ReLU()
        self.features = nn.Sequential(layers)
        self.dropout = nn.Dropout(architecture.dropout)
        self.output = nn.Linear(channels, 1)
        self.apply(_initialise)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        copies = images.expand(-1, self.n_copies, -1, -1) if self.n_copies > 1 else images
        return self.output(self.dropout(self.features(copies).mean((2, 3))))[:, 0]


@networks.register(
    "petrillo-resnet18",
    summary="Petrillo et al. 2019: pre-activation ResNet-18, four flipped views averaged",
    citation=CITATION_2019,
    input_shape=InputShape(3, 101, 101),
    architecture=Architecture(width=64, depth=2, dropout=0.0),
    recipe=RECIPE,
    any_size=True,
)
def petrillo_resnet18(shape: InputShape, architecture: Architecture) -> PreactivationNetwork:
    """Network of the 2019 search; width is the channels of the first stage, depth units in each.

    Every convolution has a bias and every one but the first two a normalisation before it. So
    counted, it has 11,180,033 weights.
    """
    return PreactivationNetwork(shape.n_bands, architecture)


class PlainNetwork(nn.Module):
    """7x7 and 3x3 convolutions with two poolings, and two large dense layers.

    Args:
        shape: Shape of one image.
        architecture: Channels of the first convolution, of which the others have two and four
            times as many; convolutions after the last pooling; probability of dropping a feature
            before the last layer.
    """

    def __init__(self, shape: InputShape, architecture: Architecture) -> None:
        super().__init__()
        width, height, columns = architecture.width, shape.height // 4, shape.width // 4
        if min(height, columns) < 1:
            raise OutOfRangeError(
                f"images of {shape.height}x{shape.width} pixels are too small for two poolings. "
                "Use images of at least 4x4 pixels."
            )
        channels = [shape.n_bands, width, 2 * width, *(architecture.depth * [4 * width])]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(1, len(channels)):
            size = 7 if i == 1 else 3
            layers[f"convolution_{i}"] = nn.Conv2d(
                channels[i - 1], channels[i], size, 1, size // 2, bias=False
            )
            layers[f"normalisation_{i}"] = nn.BatchNorm2d(channels[i], LASAGNE_EPSILON)
            layers[f"activation_{i}"] = nn.ReLU()
            if i <= 2:
                layers[f"pooling_{i}"] = nn.MaxPool2d(2)
        self.features = nn.Sequential(layers)
        n_hidden = 32 * width
        dense: list[nn.Module] = []
        for n_in in (channels[-1] * height * columns, n_hidden):
            dense += [nn.Linear(n_in, n_hidden, bias=False)]
            dense += [nn.BatchNorm1d(n_hidden, LASAGNE_EPSILON), nn.ReLU()]
        self.dense = nn.Sequential(*dense)
        self.dropout = nn.Dropout(architecture.dropout)
        self.output = nn.Linear(n_hidden, 1)
        self.apply(_initialise)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        hidden = self.dense(torch.flatten(self.features(images), 1))
        return self.output(self.dropout(hidden))[:, 0]


@networks.register(
    "petrillo-2017",
    summary="Petrillo et al. 2017 as the code of CMU DeepLens reads it, not as published: same "
    "padding, normalised layers without bias",
    citation=CITATION_2017,
    input_shape=InputShape(1, 60, 60),
    architecture=Architecture(width=32, depth=2, dropout=0.0),
    recipe=replace(CMU_RECIPE, normalisation="petrillo-sqrt", augmentation="petrillo"),
    any_size=False,
)
def petrillo_2017(shape: InputShape, architecture: Architecture) -> PlainNetwork:
    """Network of the 2017 search as the code of CMU DeepLens has it; the paper's table is unknown.

    Convolutions keep the size of the image, every layer but the last is normalised over the batch
    and has no bias. So counted, it has 30,786,785 weights. Optimiser and schedule are those of that
    code; scaling and augmentation those of Petrillo et al. 2019.
    """
    return PlainNetwork(shape, architecture)


@normalisations.register("petrillo-sqrt")
@dataclass(frozen=True)
class PetrilloSqrt(AbstractNormalisation):
    """Square root of the positive flux, over its largest value in the image, all bands together."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "PetrilloSqrt":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images between 0 and 1; 0 where nothing is positive."""
        if images.flux.numel() == 0:
            return images.flux
        root = images.flux.clamp_min(0).sqrt()
        peak = root.amax((1, 2, 3), keepdim=True)
        return root / torch.where(peak > 0, peak, 1.0)


def _keras_normalisation(n_channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the numbers of Keras, in which the network of 2019 was written."""
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.01)


def _initialise(layer: nn.Module) -> None:
    """He's initial weights for all but the last layer, which has one output; biases zero."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return
    if isinstance(layer, nn.Linear) and layer.out_features == 1:
        nn.init.xavier_uniform_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
