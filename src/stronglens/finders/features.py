"""What every layer of a network makes of an image.

Drawing it is the business of `stronglens.plots`.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


def feature_maps(
    network: nn.Module, images: Float[Tensor, "batch band y x"]
) -> dict[str, Float[Tensor, "batch channel y_out x_out"]]:
    """Feature maps after every convolution, activation, pooling and dropout, in order.

    Args:
        network: A network of the register.
        images: Normalised images.

    Returns:
        Maps by the name of the layer, first to last; layers without an image, such as dense ones,
        are left out.
    """
    maps: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_hook(_recorder(name, maps))
        for name, layer in network.named_modules()
        if not list(layer.children()) and not isinstance(layer, nn.Identity)
    ]
    _watch(network, images, handles)
    return maps


def _watch(network: nn.Module, images: Tensor, handles: Sequence[RemovableHandle]) -> None:
    """Pass images through a network as in use, then take the hooks off it."""
    was_training = network.training
    try:
        network.eval()
        with torch.inference_mode():
            network(images)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()


def _recorder(name: str, maps: dict[str, Tensor]):  # noqa: ANN202 - torch's own hook type
    """Return a forward hook that keeps the output if it is a stack of maps."""
    label = name.removeprefix("features.").replace(".", " ").replace("_", " ")

    def record(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.ndim == 4:
            maps[label] = output.detach().clone()

    return record


def penultimate(
    network: nn.Module, images: Float[Tensor, "batch band y x"]
) -> Float[Tensor, "batch feature"] | None:
    """What the last dense layer of a network is given: the image in few numbers.

    Args:
        network: A network of the register.
        images: Normalised images.

    Returns:
        Features, or None where the network has no dense layer with one row an image.
    """
    seen: list[Tensor] = []

    def record(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs and inputs[0].ndim == 2 and len(inputs[0]) == len(images):
            seen[:] = [inputs[0].detach().clone()]

    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    handles = [layer.register_forward_pre_hook(record) for layer in dense]
    _watch(network, images, handles)
    return seen[0] if seen else None
