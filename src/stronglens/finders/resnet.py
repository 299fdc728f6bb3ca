"""Small residual networks, made to train fast on a few CPU cores.

They take images of any size of at least 16 pixels, because a global pooling ends them. The polar
pictures in which `resnet-small` sees an image are in `polar.py`.
"""

from collections import OrderedDict
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.finders.networks import Architecture, InputShape, Recipe, networks
from stronglens.finders.polar import N_VIEWS, PolarViews

CITATION = """@inproceedings{he2016,
  author = {He, K. and Zhang, X. and Ren, S. and Sun, J.},
  title = {Deep Residual Learning for Image Recognition},
  booktitle = {CVPR},
  year = {2016},
  eprint = {1512.03385}
}"""

RECIPE = Recipe(
    normalisation="sky-asinh",
    loss="cross-entropy",
    optimiser="adamw",
    learning_rate=3e-3,
    decay=0.0,
    weight_decay=0.02,
    schedule="one-cycle",
    batch_size=64,
    epochs=30,
    augmentation="d4",
    precision="bfloat16",
)

N_STAGES = 3


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation, around which the input is added back.

    Normalisation over the batch keeps the brightness of a feature over the noise, which one over
    each image divides by that of the deflector: on mocks it learnt twice as fast.

    Args:
        n_in: Channels of the input.
        n_out: Channels of the output.
        stride: 2 to halve the size of the image, else 1.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.convolution_1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.normalisation_1 = nn.BatchNorm2d(n_out)
        self.activation_1 = nn.ReLU()
        self.convolution_2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.normalisation_2 = nn.BatchNorm2d(n_out)
        changes_shape = stride > 1 or n_in != n_out
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride) if changes_shape else nn.Identity()
        self.activation_2 = nn.ReLU()

    def forward(
        self, features: Float[Tensor, "batch channel y x"]
    ) -> Float[Tensor, "batch channel_out y_out x_out"]:
        """Features after the block."""
        inner = self.activation_1(self.normalisation_1(self.convolution_1(features)))
        inner = self.normalisation_2(self.convolution_2(inner))
        return self.activation_2(inner + self.shortcut(features))


class ResidualNetwork(nn.Module):
    """A strided stem, three stages of residual blocks, mean and maximum over the image, one unit.

    Args:
        view: What is made of an image first.
        n_channels: Channels of that.
        architecture: Channels of the first stage, which double from stage to stage; blocks in each
            stage; probability of dropping a feature before the last layer.
    """

    def __init__(self, view: nn.Module, n_channels: int, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            view=view,
            convolution=nn.Conv2d(n_channels, width, 5, 2, 2, bias=False),
            normalisation=nn.BatchNorm2d(width),
            activation=nn.ReLU(),
        )
        channels = width
        for i_stage in range(N_STAGES):
            for i_block in range(architecture.depth):
                stride = 2 if i_block == 0 and i_stage > 0 else 1
                block = ResidualBlock(channels, width * 2**i_stage, stride)
                layers[f"block_{i_stage + 1}_{i_block + 1}"] = block
                channels = width * 2**i_stage
        self.features = nn.Sequential(layers)
        self.dropout = nn.Dropout(architecture.dropout)
        self.output = nn.Linear(2 * channels, 1)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        features = self.features(images)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return self.output(self.dropout(pooled))[:, 0]


@networks.register(
    "resnet-small",
    summary="residual network of three stages on polar pictures, for training on a CPU",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=2, dropout=0.2),
    recipe=RECIPE,
    any_size=True,
)
def resnet_small(shape: InputShape, architecture: Architecture) -> ResidualNetwork:
    """Residual network that sees the image in polar pictures; it must be centred on the galaxy.

    Width is the number of channels of the first stage, depth that of residual blocks in each.
    """
    return ResidualNetwork(PolarViews(), N_VIEWS * shape.n_bands, architecture)


@networks.register(
    "resnet-small-flat",
    summary="the same residual network on the image itself",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=2, dropout=0.2),
    recipe=replace(RECIPE, augmentation="d4-shift"),
    any_size=True,
)
def resnet_small_flat(shape: InputShape, architecture: Architecture) -> ResidualNetwork:
    """Residual network on the image as it is, for comparison and for images off centre."""
    return ResidualNetwork(nn.Identity(), shape.n_bands, architecture)
