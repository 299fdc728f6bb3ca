"""The convolutional networks of the 2017 study that stronglens continues, layer for layer.

Their images are scaled as that study scaled them; the scaling lives in `normalise.py`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.core.errors import OutOfRangeError
from stronglens.finders.networks import Architecture, InputShape, Recipe, networks

CITATION = """@misc{ramachandra2017,
  author = {Ramachandra, N. and others},
  title = {Strong Lensing analysis using Deep Neural Networks},
  year = {2017},
  month = {July},
  howpublished = {slides; code at github.com/hep-cce/ml\\_classification\\_studies}
}"""

RECIPE = Recipe(
    normalisation="min-max",
    loss="cross-entropy",
    optimiser="adam",
    learning_rate=5e-4,
    decay=0.0,
    weight_decay=0.0,
    schedule="constant",
    batch_size=32,
    epochs=200,
    augmentation="deck",
    precision="bfloat16",
)
"""Batch, epochs and augmentation of the slides, learning rate of the published code. With the plain
SGD and the decay of the slides the learning rates of a whole training sum to 0.67, so Adam without
decay is the default; at 0.001 it stayed at chance for eight epochs of a mock set, at 0.0005 not."""


@dataclass(frozen=True)
class Convolution:
    """One 3x3 convolution: its channels, and whether it keeps the size of the image."""

    channels: int
    keeps_size: bool


class DeckNetwork(nn.Module):
    """Blocks of 3x3 convolutions, each block ending in a pooling, then two dense layers.

    The last layer has a unit per class, "lensed" first; the logit is their difference, whose
    sigmoid is the softmax probability of the first. Dropout is half as strong after a pooling as
    before the last layer: 0.25 and 0.5 in the study.

    Args:
        shape: Shape of one image.
        blocks: The convolutions of each block.
        n_hidden: Units of the first dense layer.
        dropout: Probability of dropping a feature before the last layer.
    """

    def __init__(
        self,
        shape: InputShape,
        blocks: Sequence[Sequence[Convolution]],
        n_hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels, height, width = shape.n_bands, shape.height, shape.width
        n_convolutions = 0
        for i_block, block in enumerate(blocks, start=1):
            for convolution in block:
                n_convolutions += 1
                padding = int(convolution.keeps_size)
                layers[f"convolution_{n_convolutions}"] = nn.Conv2d(
                    channels, convolution.channels, 3, padding=padding
                )
                layers[f"activation_{n_convolutions}"] = nn.ReLU()
                channels = convolution.channels
                height, width = height - 2 + 2 * padding, width - 2 + 2 * padding
            layers[f"pooling_{i_block}"] = nn.MaxPool2d(2)
            layers[f"dropout_{i_block}"] = nn.Dropout(dropout / 2)
            height, width = height // 2, width // 2
            _check_size(shape, height, width)
        self.features = nn.Sequential(layers)
        self.dense = nn.Linear(channels * height * width, n_hidden)
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.classes = nn.Linear(n_hidden, 2)
        self.apply(_initialise)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        hidden = self.activation(self.dense(torch.flatten(self.features(images), 1)))
        classes = self.classes(self.dropout(hidden))
        return classes[:, 0] - classes[:, 1]


def _blocks_of_pairs(architecture: Architecture) -> list[list[Convolution]]:
    """Pairs of convolutions whose channels double from block to block; only the first keeps."""
    blocks = []
    for i in range(architecture.depth):
        channels = architecture.width * 2**i
        blocks.append([Convolution(channels, i == 0), Convolution(channels, keeps_size=False)])
    return blocks


@networks.register(
    "deck-cnn",
    summary="the study's published code: 32, 32, 64, 64 convolutions",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=2, dropout=0.5),
    recipe=RECIPE,
    any_size=False,
)
def deck_cnn(shape: InputShape, architecture: Architecture) -> DeckNetwork:
    """Network of the study's code; depth is the number of blocks of two convolutions."""
    blocks = _blocks_of_pairs(architecture)
    return DeckNetwork(shape, blocks, 2 * architecture.width, architecture.dropout)


@networks.register(
    "deck-cnn-17",
    summary="the study's slide: one convolution only after the first block",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=2, dropout=0.5),
    recipe=RECIPE,
    any_size=False,
)
def deck_cnn_17(shape: InputShape, architecture: Architecture) -> DeckNetwork:
    """Network as printed on the slide; depth is the number of blocks."""
    first, *others = _blocks_of_pairs(architecture)
    blocks = [first, *([block[-1]] for block in others)]
    return DeckNetwork(shape, blocks, 2 * architecture.width, architecture.dropout)


@networks.register(
    "deck-cnn-deeper",
    summary="the study's deeper variant: four blocks of two convolutions",
    citation=CITATION,
    input_shape=InputShape(1, 45, 45),
    architecture=Architecture(width=32, depth=4, dropout=0.5),
    recipe=RECIPE,
    any_size=False,
)
def deck_cnn_deeper(shape: InputShape, architecture: Architecture) -> DeckNetwork:
    """Deeper network of the study's code; all but its second convolution keep the size.

    Channels go up by two after the first block and are then halved from block to block.
    """
    blocks = []
    for i in range(architecture.depth):
        factor = 1.0 if i == 0 else 2.0 ** (2 - i)
        channels = max(1, round(architecture.width * factor))
        blocks.append([Convolution(channels, keeps_size=True), Convolution(channels, i > 0)])
    return DeckNetwork(shape, blocks, 2 * architecture.width, architecture.dropout)


def _check_size(shape: InputShape, height: int, width: int) -> None:
    """Refuse images of which the layers leave nothing."""
    if min(height, width) < 1:
        raise OutOfRangeError(
            f"images of {shape.height}x{shape.width} pixels are too small for this many blocks: "
            "nothing is left after the last pooling. Use larger images or a smaller depth."
        )


def _initialise(layer: nn.Module) -> None:
    """Initial weights as Keras draws them: Glorot & Bengio 2010, equation 16; biases zero."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
