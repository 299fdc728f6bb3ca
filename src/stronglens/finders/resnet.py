"""Small residual networks, made to train fast on a few CPU cores.

They take images of any size of at least 16 pixels, because a global pooling ends them.
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.finders.networks import Architecture, InputShape, Recipe, networks

CITATION = """@inproceedings{he2016,
  author = {He, K. and Zhang, X. and Ren, S. and Sun, J.},
  title = {Deep Residual Learning for Image Recognition},
  booktitle = {CVPR},
  year = {2016},
  eprint = {1512.03385}
}
@inproceedings{wu2018,
  author = {Wu, Y. and He, K.},
  title = {Group Normalization},
  booktitle = {ECCV},
  year = {2018},
  eprint = {1803.08494}
}"""

N_STAGES = 3


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group normalisation, around which the input is added back.

    Args:
        n_in: Channels of the input.
        n_out: Channels of the output.
        stride: 2 to halve the size of the image, else 1.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.convolution_1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.normalisation_1 = _normalisation(n_out)
        self.activation_1 = nn.ReLU()
        self.convolution_2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.normalisation_2 = _normalisation(n_out)
        changes_shape = stride > 1 or n_in != n_out
        self.shortcut = (
            nn.Conv2d(n_in, n_out, 1, stride, bias=False) if changes_shape else nn.Identity()
        )
        self.activation_2 = nn.ReLU()
        # each block starts as the identity, which makes the first epochs stable
        nn.init.zeros_(self.normalisation_2.weight)

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
        n_bands: Bands of the images.
        width: Channels of the first stage; they double from stage to stage.
        depth: Residual blocks in each stage.
        dropout: Probability of dropping a feature before the last layer.
    """

    def __init__(self, n_bands: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            convolution=nn.Conv2d(n_bands, width, 5, 2, 2, bias=False),
            normalisation=_normalisation(width),
            activation=nn.ReLU(),
        )
        channels = width
        for i_stage in range(N_STAGES):
            for i_block in range(depth):
                stride = 2 if i_block == 0 and i_stage > 0 else 1
                block = ResidualBlock(channels, width * 2**i_stage, stride)
                layers[f"block_{i_stage + 1}_{i_block + 1}"] = block
                channels = width * 2**i_stage
        self.features = nn.Sequential(layers)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * channels, 1)
        nn.init.zeros_(self.output.weight)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        features = self.features(images)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        return self.output(self.dropout(pooled))[:, 0]


@networks.register(
    "resnet-small",
    summary="residual network of three stages for training on a CPU",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=2, dropout=0.2),
    recipe=Recipe(
        normalisation="sky-asinh",
        loss="cross-entropy",
        optimiser="adamw",
        learning_rate=2e-3,
        decay=0.0,
        weight_decay=0.02,
        schedule="one-cycle",
        batch_size=64,
        epochs=30,
        augmentation="d4",
        precision="bfloat16",
    ),
    any_size=True,
)
def resnet_small(shape: InputShape, architecture: Architecture) -> ResidualNetwork:
    """Residual network of width, 2 width and 4 width channels, `depth` blocks in each stage."""
    return ResidualNetwork(
        shape.n_bands, architecture.width, architecture.depth, architecture.dropout
    )


def _normalisation(channels: int) -> nn.GroupNorm:
    """Normalisation over all channels of an image: one group is the fast case in bfloat16."""
    return nn.GroupNorm(1, channels)
