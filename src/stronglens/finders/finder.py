"""The finder: a trained network with all it needs to score images in pixel units.

How it was trained is the business of `stronglens.training`; how networks are built, of
`networks.py`.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from stronglens.core.errors import (
    MissingDataError,
    UnreadableFileError,
    WrongShapeError,
    unknown_name,
)
from stronglens.core.weights import WEIGHTS, load_weights, save_weights, weights_file
from stronglens.data.filters import SAME, band_distance
from stronglens.finders.members import rebuilt
from stronglens.finders.networks import Architecture, InputShape, build_network, networks
from stronglens.finders.normalise import (
    AbstractNormalisation,
    PixelImages,
    blank_bands,
    normalisation_from_settings,
    normalisation_settings,
)
from stronglens.finders.views import VIEWS, views_of

FOLDER = Path(__file__).parent / "weights"
"""Where the finders that come with the package are."""
SMALLEST_SIZE = 16
"""Smallest side of an image that a network of any size takes [pixels]."""
_SCALE_TOLERANCE = 0.01


@dataclass(frozen=True)
class FinderFacts:
    """What a finder was made for and with."""

    network: str
    """Name of its network."""
    architecture: Architecture
    """Width, depth and dropout of the network."""
    bands: tuple[str, ...]
    """Names of the bands, in order."""
    height: int
    """Rows of a training image."""
    width: int
    """Columns of a training image."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit in the training images [mag AB]."""
    threshold: float = 0.5
    """Score above which accuracy on the validation images was best."""
    views: str = "none"
    """Views of an image over which its logits are averaged."""
    takes_missing_bands: bool = False
    """Whether it was trained on images that lack a band, and scores such images."""
    training: dict[str, Any] = field(default_factory=dict)
    """How it was trained, as plain values."""
    calibration: dict[str, Any] | None = None
    """Map from logits to probabilities, as `calibrate.py` reads it; None if not calibrated."""
    abstention: dict[str, Any] | None = None
    """What training images look like, as `abstain.py` reads it; None where nobody has measured."""
    committee: dict[str, Any] | None = None
    """Members and their combination, as `members.py` reads it; None for a finder of its own."""

    @property
    def input_shape(self) -> InputShape:
        """Shape of one image."""
        scale, zero_point, bands = self.pixel_scale, self.zero_point, self.bands
        return InputShape(len(bands), self.height, self.width, scale, zero_point, bands)

    @property
    def any_size(self) -> bool:
        """Whether images of other sizes can be scored."""
        members = [] if self.committee is None else self.committee["members"]
        names = [member["facts"]["network"] for member in members] or [self.network]
        return all(networks.facts(name)["any_size"] for name in names)


class Finder:
    """Scores images in pixel units; the scaling is inside.

    Args:
        network: Maps normalised images to logits.
        normalisation: Scaling of the images.
        facts: What the finder was made for.
        device: Where the network works.
    """

    def __init__(
        self,
        network: nn.Module,
        normalisation: AbstractNormalisation,
        *,
        facts: FinderFacts,
        device: torch.device | None = None,
    ) -> None:
        self.network = network
        self.normalisation = normalisation
        self.facts = facts
        self.device = device or torch.device("cpu")

    def __repr__(self) -> str:
        """Name, bands and sizes on one line."""
        f = self.facts
        return (
            f"Finder({f.network}, bands={','.join(f.bands)}, {f.height}x{f.width} pixels of "
            f'{f.pixel_scale:g}", threshold={f.threshold:.3f})'
        )

    def check(self, bands: tuple[str, ...], pixel_scale: float, *, height: int, width: int) -> None:
        """Refuse images that the finder was not made for.

        Args:
            bands: Names of the bands; another survey's for the same filter is as good.
            pixel_scale: Side of a pixel [arcsec].
            height: Rows.
            width: Columns.

        Raises:
            WrongShapeError: Bands, pixel scale or size do not fit.
        """
        f = self.facts
        are_alike = len(bands) == len(f.bands) and all(
            band_distance(wanted, (band,)) < SAME
            for wanted, band in zip(f.bands, bands, strict=True)
        )
        if not are_alike:
            raise WrongShapeError(
                f"images have bands {','.join(bands)} but finder '{f.network}' was trained on "
                f"{','.join(f.bands)}. Pass a finder trained on {','.join(bands)}, or retrain."
            )
        if abs(pixel_scale / f.pixel_scale - 1) > _SCALE_TOLERANCE:
            raise WrongShapeError(
                f"images have pixels of {pixel_scale:g}\" but finder '{f.network}' was trained on "
                f'{f.pixel_scale:g}". Resample the images, or retrain.'
            )
        self._check_size(height, width)

    def logits(
        self,
        flux: Float[np.ndarray, "*images"],
        ivar: Float[np.ndarray, "n band y x"] | None = None,
        mask: Bool[np.ndarray, "n band y x"] | None = None,
        *,
        batch_size: int = 256,
    ) -> Float32[np.ndarray, "n"]:
        """Raw outputs of the network for images in pixel units.

        Args:
            flux: Images (n, band, y, x), sky removed [pixel units].
            ivar: Inverse variance [1 / pixel units^2].
            mask: True where a pixel is bad.
            batch_size: Images per pass.

        Returns:
            A logit per image; NaN where a band that the finder needs has no good pixel at all.

        Raises:
            WrongShapeError: Number of bands or size do not fit.
        """
        self._check_array(flux)
        parts = [np.zeros(0, np.float32)]
        for start in range(0, len(flux), batch_size):
            rows = slice(start, start + batch_size)
            images = PixelImages(
                torch.tensor(flux[rows], dtype=torch.float32),
                None if ivar is None else torch.tensor(ivar[rows], dtype=torch.float32),
                None if mask is None else torch.tensor(mask[rows]),
            )
            parts.append(self._logits_of(images).cpu().numpy())
        return np.concatenate(parts)

    def score(
        self,
        flux: Float[np.ndarray, "*images"],
        ivar: Float[np.ndarray, "n band y x"] | None = None,
        mask: Bool[np.ndarray, "n band y x"] | None = None,
        *,
        batch_size: int = 256,
    ) -> Float32[np.ndarray, "n"]:
        """Scores between 0 and 1: the sigmoid of the logits."""
        return sigmoid(self.logits(flux, ivar, mask, batch_size=batch_size))

    def __call__(self, images: Any) -> Float32[np.ndarray, "n"]:  # noqa: ANN401 - see Args
        """Logits of images.

        Args:
            images: A record with `flux` and perhaps `ivar` and `mask`, or the flux alone as an
                array or tensor (n, band, y, x) [pixel units].

        Returns:
            A logit per image.
        """
        planes = [getattr(images, name, None) for name in ("flux", "ivar", "mask")]
        if planes[0] is None:
            planes[0] = images
        flux, ivar, mask = (None if p is None else np.asarray(p) for p in planes)
        if flux is None:
            raise WrongShapeError("a finder needs images (n, band, y, x); got None.")
        return self.logits(flux, ivar, mask)

    def normalised(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Images as the network sees them."""
        return self.normalisation(images)

    def logits_of_normalised(
        self, normalised: Float[Tensor, "batch band y x"]
    ) -> Float[Tensor, "batch"]:
        """Logits of images as the network sees them, averaged over the finder's views."""
        self.network.eval()
        with torch.inference_mode():
            seen = [
                self.network(view.to(memory_format=torch.channels_last)).float()
                for view in views_of(normalised, self.facts.views)
            ]
        return torch.stack(seen).mean(0)

    def with_threshold(self, threshold: float) -> "Finder":
        """Return the same finder with another threshold on the score."""
        facts = replace(self.facts, threshold=threshold)
        return Finder(self.network, self.normalisation, facts=facts, device=self.device)

    def with_views(self, views: str) -> "Finder":
        """Return the same finder that averages its logits over other views of each image.

        Args:
            views: none, flips, turns or d4.

        Raises:
            UnknownNameError: There are no such views.
        """
        if views not in VIEWS:
            raise unknown_name("views", views, VIEWS)
        facts = replace(self.facts, views=views)
        return Finder(self.network, self.normalisation, facts=facts, device=self.device)

    def save(self, path: Path) -> None:
        """Write weights and all facts into one .safetensors file."""
        settings: dict[str, Any] = {"kind": "finder", "facts": asdict(self.facts)}
        if self.facts.committee is None:
            settings["normalisation"] = normalisation_settings(self.normalisation)
        save_weights(path, dict(self.network.state_dict()), settings)

    def _logits_of(self, images: PixelImages) -> Float[Tensor, "batch"]:
        logits = self.logits_of_normalised(self.normalisation(images).to(self.device))
        blank = blank_bands(images)
        is_unusable = blank.all(1) if self.facts.takes_missing_bands else blank.any(1)
        return logits.masked_fill(is_unusable.to(self.device), torch.nan)

    def _check_array(self, flux: np.ndarray) -> None:
        n_bands = len(self.facts.bands)
        if flux.ndim != 4 or flux.shape[1] != n_bands:
            raise WrongShapeError(
                f"images have shape {flux.shape}; finder '{self.facts.network}' takes "
                f"(n, {n_bands}, y, x). Add or remove axes, or pass a finder of other bands."
            )
        self._check_size(flux.shape[2], flux.shape[3])

    def _check_size(self, height: int, width: int) -> None:
        f = self.facts
        if f.any_size and min(height, width) >= SMALLEST_SIZE:
            return
        if not f.any_size and (height, width) == (f.height, f.width):
            return
        allowed = (
            f"at least {SMALLEST_SIZE}x{SMALLEST_SIZE}" if f.any_size else f"{f.height}x{f.width}"
        )
        raise WrongShapeError(
            f"images are {height}x{width} pixels but finder '{f.network}' takes {allowed}. "
            "Cut or pad the images, or retrain on that size."
        )


def load_finder(
    path: Path | str, *, device: torch.device | None = None, views: str | None = None
) -> Finder:
    """Load a finder from a run directory of `train`, from its weights file, or by its name.

    Args:
        path: The directory, the .safetensors file, or the name of a finder that comes with the
            package.
        device: Where the network shall work; the CPU by default.
        views: Views to average logits over, instead of the finder's own.

    Returns:
        The finder.

    Raises:
        UnknownNameError: There are no such views.
        MissingDataError: There is nothing at `path`, or a directory without weights.
        InterruptedRunError: The training there has not finished.
        UnreadableFileError: The weights cannot be understood.
    """
    file = weights_file(finder_path(Path(path)), "finder", "train")
    tensors, settings = load_weights(file)
    if settings.get("kind") != "finder":
        raise UnreadableFileError(
            f"weights {file} are not those of a finder but of a "
            f"{settings.get('kind', 'thing of unknown kind')}. Pass what stronglens train wrote."
        )
    facts = finder_facts(settings)
    if facts.committee is not None:
        network, normalisation = rebuilt(facts.committee)
    else:
        network = build_network(facts.network, facts.input_shape, facts.architecture)
        normalisation = normalisation_from_settings(settings["normalisation"])
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise UnreadableFileError(
            f"weights {file} do not fit the network '{facts.network}' they name. Train anew."
        ) from error
    device = device or torch.device("cpu")
    network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore
    finder = Finder(network, normalisation, facts=facts, device=device)
    return finder if views is None else finder.with_views(views)


def has_finder(finder: Path) -> bool:
    """Whether there is something at a path, or a finder of that name in the package."""
    is_name = len(finder.parts) == 1
    return finder.exists() or (is_name and (FOLDER / f"{finder}.safetensors").is_file())


def finder_path(finder: Path) -> Path:
    """Where a finder is: the path itself, or that of the package's finder of that name.

    Raises:
        MissingDataError: Neither is there.
    """
    if finder.exists():
        return finder
    if has_finder(finder):
        return FOLDER / f"{finder}.safetensors"
    known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.safetensors"))) or "none"
    raise MissingDataError(
        f"finder='{finder}' does not exist. Pass a run directory of stronglens train, its "
        f"{WEIGHTS}, or the name of a finder that comes with stronglens: {known}."
    )


def sigmoid(logits: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Score of a logit: 1 / (1 + exp(-logit)), without overflow; NaN stays NaN."""
    return (0.5 * (1 + np.tanh(0.5 * logits))).astype(logits.dtype)


def finder_facts(settings: dict[str, Any]) -> FinderFacts:
    """Build the facts from the settings that stand in a weights file."""
    values = settings["facts"]
    architecture = Architecture(**values["architecture"])
    plain = {**values, "architecture": architecture, "bands": tuple(values["bands"])}
    return FinderFacts(**plain)
