"""A trained network of posteriors: images in, draws of lens parameters out."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import flip_labels, turn_labels
from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError
from stronglens.core.seeds import derived_seed
from stronglens.core.weights import load_weights, save_weights, weights_file
from stronglens.measurement.domain import Assessment, FeatureSpread, assess
from stronglens.measurement.encoder import EncoderShape
from stronglens.measurement.flows import LatentPosterior, PosteriorShape
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.network_input import NetworkInput, Prepared, prepare
from stronglens.measurement.parameters import PARAMETERS, from_latent

"""Name of the weights in a run directory."""
SHIPPED = Path(__file__).parent / "weights"
"""Folder of the networks that come with the package."""
VIEWS = tuple((turns, is_flipped) for is_flipped in (False, True) for turns in range(4))
"""The eight views of a square: quarter turns, and whether x is reversed before."""


class PosteriorNetwork:
    """A network with what is known about it.

    Args:
        network: Encoder and flow.
        shape: Their sizes.
        training: How it was trained.
        certificate: How well its posteriors hold, as `calibrate-posterior` found; None before.
        extra: Further tensors that belong to the certificate.
    """

    def __init__(
        self,
        network: LatentPosterior,
        shape: PosteriorShape,
        *,
        training: dict[str, Any] | None = None,
        certificate: dict[str, Any] | None = None,
        extra: dict[str, Tensor] | None = None,
    ) -> None:
        self.network = network
        self.shape = shape
        self.training = training or {}
        self.certificate = certificate
        self.extra = extra or {}

    def __repr__(self) -> str:
        """Return what it is and whether it has been calibrated."""
        word = "calibrated" if self.certificate else "not calibrated"
        count = sum(weight.numel() for weight in self.network.parameters())
        return f"PosteriorNetwork({count:,} parameters, {word})"

    @property
    def device(self) -> torch.device:
        """Where the network works."""
        return next(self.network.parameters()).device

    @property
    def temperature(self) -> Float[Tensor, "11"]:
        """Factor that stretches the draws of each latent parameter about their median [-]."""
        one = [1.0] * len(PARAMETERS)
        return torch.tensor((self.certificate or {}).get("temperature", one))

    def draws(
        self, image: LensImage, n: int, *, field: float | None = None, seed: int = 0
    ) -> dict[str, Float[np.ndarray, "n"]]:
        """Draw parameters from the posterior of an image.

        The posterior is the mean of those of the eight views of the image, each turned back.

        Args:
            image: The image.
            n: Number of draws.
            field: Side of the square that is looked at; by default all of a small image, and 6
                arcsec of a large one [arcsec].
            seed: Seed of the draws.

        Returns:
            Every one of `PARAMETERS`, positions from the middle of the image.

        Raises:
            OutOfRangeError: n is not above 0, or the image is too small or without good pixels.
        """
        prepared = prepare(image, field)
        u, limits = self.latent_draws(prepared, n, seed)
        values = from_latent(u[:, 0], limits)
        for name, offset in (("x", prepared.x_offset), ("y", prepared.y_offset)):
            for position in (f"{name}_center", f"beta_{name}"):
                values[position] = values[position] + offset
        return {name: value.numpy() for name, value in values.items()}

    def assess(self, image: LensImage, *, field: float | None = None) -> Assessment:
        """Say where an image lies in the domain of the certificate, and how unusual it looks.

        Args:
            image: The image.
            field: As for `draws`.

        Returns:
            The assessment, to be quoted beside the draws.

        Raises:
            MissingDataError: The network has no certificate.
        """
        if self.certificate is None:
            raise MissingDataError(
                "this network has no certificate, so nothing is known about its posteriors. Run "
                "stronglens calibrate-posterior on it."
            )
        views = views_of(prepare(image, field), self.device)
        features = self.features(views).mean(dim=0, keepdim=True).cpu()
        spread = FeatureSpread(self.extra["feature_mean"], self.extra["feature_whitening"])
        return assess(views.conditions[:1].cpu(), features, spread, self.certificate)

    def latent_draws(
        self, prepared: Prepared, n: int, seed: int = 0
    ) -> tuple[Float[Tensor, "n batch 11"], Float[Tensor, "batch 2"]]:
        """Draw latent parameters of several images, averaged over views, with the temperature.

        Args:
            prepared: Images of one frame.
            n: Draws per image.
            seed: Seed of the draws.

        Returns:
            Latent parameters u, and the limits of the prior of theta_e [arcsec].

        Raises:
            OutOfRangeError: n is not above 0.
        """
        if n < 1:
            raise OutOfRangeError(f"n={n} draws are none. Allowed: 1 or more.")
        views = views_of(prepared, self.device)
        features = self.features(views)
        each = -(-n // len(VIEWS))
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(derived_seed(seed, "draws"))
            u = self.network.draws(features, each).cpu().unflatten(1, (len(VIEWS), -1))
            turned = torch.cat([_turned_back(u[:, i], *view) for i, view in enumerate(VIEWS)])
            turned = turned[torch.randperm(len(turned))[:n]]
        return self._stretched(turned), views.limits[: len(prepared)].cpu()

    def features(self, seen: NetworkInput) -> Float[Tensor, "batch feature"]:
        """Return the numbers that images become, from which the posterior follows."""
        planes = seen.planes.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            return self.network(planes, seen.conditions).float()

    def _stretched(self, u: Tensor) -> Tensor:
        """Stretch draws about their median, along the first axis, by the temperature."""
        median = u.median(dim=0, keepdim=True).values
        return median + (u - median) * self.temperature

    def save(self, path: Path, *, in_half: bool = False) -> None:
        """Write weights, sizes and certificate into one file.

        Args:
            path: The file, ending in .safetensors.
            in_half: Whether to write weights in half precision.
        """
        tensors = dict(self.network.state_dict())
        if in_half:
            tensors = {
                name: value.half() if value.is_floating_point() else value
                for name, value in tensors.items()
            }
        tensors |= {f"extra.{name}": value for name, value in self.extra.items()}
        settings: dict[str, Any] = {"kind": "posterior", "parameters": list(PARAMETERS)}
        settings |= {"shape": asdict(self.shape), "training": self.training}
        settings["certificate"] = self.certificate
        save_weights(path, tensors, settings)


def posterior_file(path: Path | str | None = None) -> Path:
    """Weights that `load_posterior` reads.

    Args:
        path: Run directory or weights file; the network that comes with the package by default.
    """
    if path is None:
        return SHIPPED / "posterior-small.safetensors"
    return weights_file(Path(path), "posterior", "train-posterior")


def load_posterior(
    path: Path | str | None = None, *, device: torch.device | None = None
) -> PosteriorNetwork:
    """Load a network of posteriors.

    Args:
        path: Run directory of `train-posterior` or `calibrate-posterior`, or a weights file; the
            network that comes with the package by default.
        device: Where it shall work; the CPU by default.

    Returns:
        The network.

    Raises:
        MissingDataError: There is nothing at `path`.
        InterruptedRunError: The run there has not finished.
        UnreadableFileError: The weights are of another kind, or of another version.
    """
    file = posterior_file(path)
    tensors, settings = load_weights(file)
    if settings.get("kind") != "posterior":
        raise UnreadableFileError(
            f"weights {file} are not those of a posterior but of a "
            f"{settings.get('kind', 'thing of unknown kind')}. Pass what stronglens "
            "train-posterior wrote."
        )
    if tuple(settings["parameters"]) != PARAMETERS:
        raise UnreadableFileError(
            f"weights {file} are for the parameters {', '.join(settings['parameters'])}; this "
            f"version measures {', '.join(PARAMETERS)}. Train anew."
        )
    sizes = dict(settings["shape"])
    shape = PosteriorShape(**{**sizes, "encoder": EncoderShape(**sizes["encoder"])})
    with torch.random.fork_rng(devices=[]):
        network = LatentPosterior(shape)
    own = {k: v for k, v in tensors.items() if not k.startswith("extra.")}
    extra = {k.removeprefix("extra."): v for k, v in tensors.items() if k.startswith("extra.")}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise UnreadableFileError(
            f"weights {file} do not fit the network they describe. Train anew."
        ) from error
    network = network.to(device or torch.device("cpu")).eval()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return PosteriorNetwork(
        network,
        shape,
        training=settings["training"],
        certificate=settings["certificate"],
        extra=extra,
    )


def views_of(prepared: Prepared, device: torch.device) -> NetworkInput:
    """Return the eight views of images as one batch, view after view."""
    views = [prepared.view(turns, is_flipped=flip) for turns, flip in VIEWS]
    return NetworkInput(
        torch.cat([view.planes for view in views]),
        torch.cat([view.conditions for view in views]),
        torch.cat([view.limits for view in views]),
    ).to(device)


def _turned_back(u: Tensor, n_quarter_turns: int, is_flipped: bool) -> Tensor:
    """Latent parameters of the image itself from those of one of its views.

    The priors of both members of a pair are equal and symmetric, so u turns as the values do.
    """
    labels = turn_labels(dict(zip(PARAMETERS, u.unbind(-1), strict=True)), -n_quarter_turns)
    if is_flipped:
        labels = flip_labels(labels, "x")
    return torch.stack([labels[name] for name in PARAMETERS], dim=-1)
