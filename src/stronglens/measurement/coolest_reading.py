"""Read COOLEST files of any code: image, noise, PSF, mass, light and chain, in our words.

The record they become is in `coolest`; the words of the standard are in `core.coolest`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from astropy.io import fits

from stronglens.core.conventions import (
    ellipticity_from_axis_ratio,
    phi_from_position_angle,
    shear_from_polar,
)
from stronglens.core.coolest import SHEAR, mass_from_coolest, sersic_from_coolest
from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    StronglensError,
    UnreadableFileError,
    WrongShapeError,
    unknown_name,
)
from stronglens.core.files import read_json
from stronglens.lensing.records import MassProfile
from stronglens.measurement.coolest import CoolestLens, Posterior, SourceGrid
from stronglens.measurement.coolest_writing import MASKED, WEIGHTS
from stronglens.measurement.lens_image import LensImage
from stronglens.simulation.exchange import LensScenes, sersics_from_rows
from stronglens.simulation.psf import gaussian_kernel

_GAUSSIAN_REACH = 4.0
_SAME_SCALE = 1e-6
_PLAIN = {"theta_e": "theta_E", "slope": "gamma"}


@dataclass(frozen=True)
class _Frame:
    """Where the middle of the image is in the file's coordinates."""

    x: float = 0.0
    """Middle along x [arcsec]."""
    y: float = 0.0
    """Middle along y [arcsec]."""


def read_coolest(path: Path | str) -> CoolestLens:
    """Read a lens model from a COOLEST file.

    Mass may be SIE, PEMD and ExternalShear; light Sersic profiles, and for the source a regular
    grid of pixels. Positions come back measured from the middle of the image.

    Args:
        path: The JSON file; FITS files and chain are looked for beside it.

    Returns:
        The model in our words.

    Raises:
        MissingDataError: The file, or one it names, is not there.
        UnreadableFileError: It is not COOLEST.
        UnknownNameError: It holds a profile or a kind of noise that is not known here.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict) or content.get("standard") != "COOLEST":
        raise UnreadableFileError(
            f'\'{path}\' is JSON, but no COOLEST file: it lacks "standard": "COOLEST". Give a '
            "file of that standard."
        )
    try:
        return _lens_from(path, content)
    except (KeyError, TypeError, IndexError) as error:
        if isinstance(error, StronglensError):
            raise
        raise UnreadableFileError(
            f"'{path}' is not complete: {type(error).__name__} {error}. A COOLEST file has "
            "observation, instrument and lensing_entities."
        ) from error


def _lens_from(path: Path, content: Mapping[str, Any]) -> CoolestLens:
    entities, meta = content["lensing_entities"], dict(content.get("meta") or {})
    image, frame = _image(path, content, meta)
    redshifts = [float(entity["redshift"]) for entity in entities]
    z_lens, z_source = min(redshifts), max(redshifts)
    if not z_source > z_lens:
        raise OutOfRangeError(
            f"all entities of '{path}' are at redshift {z_lens:g}. A source lies behind its lens: "
            "give two redshifts."
        )
    masses: list[MassProfile] = []
    deflector: list[dict[str, float]] = []
    source: list[dict[str, float]] = []
    grid = None
    for entity in entities:
        is_source = float(entity["redshift"]) > z_lens
        masses += [_mass(profile, frame) for profile in entity.get("mass_model") or ()]
        for profile in entity.get("light_model") or ():
            if profile["type"] == "PixelatedRegularGrid" and is_source:
                grid = _source_grid(path, profile, frame)
            else:
                row = _moved(sersic_from_coolest(profile["type"], _values(profile)), frame)
                (source if is_source else deflector).append(row)
    scene = LensScenes(masses, sersics_from_rows([source]), sersics_from_rows([deflector]))
    posterior = _posterior(path, entities, meta, frame)
    return CoolestLens(scene, image, grid, z_lens, z_source, posterior, meta=meta)


def _values(profile: Mapping[str, Any]) -> dict[str, float]:
    """Point estimates, or medians where there are none."""
    found = {}
    for name, parameter in profile["parameters"].items():
        value = (parameter.get("point_estimate") or {}).get("value")
        value = (parameter.get("posterior_stats") or {}).get("median") if value is None else value
        if isinstance(value, int | float):
            found[name] = float(value)
    return found


def _mass(profile: Mapping[str, Any], frame: _Frame) -> MassProfile:
    name, values = mass_from_coolest(profile["type"], _values(profile))
    moved = _moved(values, frame)
    return MassProfile(
        name, {key: torch.tensor([v], dtype=torch.float64) for key, v in moved.items()}
    )


def _moved(values: dict[str, float], frame: _Frame) -> dict[str, float]:
    """The same, measured from the middle of the image."""
    centre = {"x_center": values["x_center"] - frame.x, "y_center": values["y_center"] - frame.y}
    return values | centre


def _image(
    path: Path, content: Mapping[str, Any], meta: Mapping[str, Any]
) -> tuple[LensImage | None, _Frame]:
    """The image, cropped to what it was before it was made square; and its middle."""
    observation = content["observation"]
    pixels = observation["pixels"]
    if (pixels.get("fits_file") or {}).get("path") is None:
        return None, _Frame()
    flux = _plane(path, pixels)
    height, width = (int(meta.get(k, n)) for k, n in
                     zip(("image_height", "image_width"), flux.shape, strict=True))  # fmt: skip
    scale = _scale(path, content["instrument"], _pixel_size(pixels, flux.shape))
    low_x, low_y = (float(min(pixels[f"field_of_view_{axis}"])) for axis in ("x", "y"))
    frame = _Frame(low_x + 0.5 * width * scale, low_y + 0.5 * height * scale)
    sigma = _sigma(path, observation["noise"], flux.shape)
    crop = slice(height), slice(width)
    flux, sigma = flux[crop], sigma[crop]
    mask = ~np.isfinite(flux) | ~(sigma > 0) | (sigma >= MASKED)
    image = LensImage(
        flux=np.where(mask, 0.0, flux), sigma=np.where(mask, 1.0, sigma), mask=mask,
        psf=_psf(path, content["instrument"]["psf"], scale), pixel_scale=scale,
        name=str(meta.get("name") or path.parent.name),
    )  # fmt: skip
    return image, frame


def _plane(path: Path, grid: Mapping[str, Any]) -> np.ndarray:
    """The image of a grid; it stands beside the JSON file."""
    name = grid["fits_file"]["path"]
    file = path.parent / name
    if Path(name).is_absolute() or not file.is_file():
        raise MissingDataError(
            f"FITS file '{name}' that '{path}' names is not beside it. Put it there, under a "
            "relative path."
        )
    with fits.open(file) as hdus:
        for hdu in hdus:
            data = getattr(hdu, "data", None)
            if isinstance(data, np.ndarray) and data.ndim == 2:
                return data.astype(float)
    raise WrongShapeError(f"'{file}' holds no two-dimensional image. Give one with an image.")


def _pixel_size(grid: Mapping[str, Any], shape: tuple[int, ...]) -> float:
    low, high = (float(v) for v in grid["field_of_view_x"])
    return abs(high - low) / shape[1]


def _scale(path: Path, instrument: Mapping[str, Any], found: float) -> float:
    """The pixel scale as stated, which the field of view must confirm."""
    stated = float(instrument.get("pixel_size") or found)
    if abs(stated / found - 1.0) > _SAME_SCALE:
        raise OutOfRangeError(
            f"'{path}' states pixels of {stated:g} arcsec, but its field of view makes them "
            f"{found:g}. Correct one of them."
        )
    return stated


def _sigma(path: Path, noise: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    kind = noise.get("type")
    if kind == "NoiseMap":
        sigma = _plane(path, noise["noise_map"])
        if sigma.shape != shape:
            raise WrongShapeError(
                f"noise map of '{path}' is {sigma.shape[0]}x{sigma.shape[1]} pixels, the image "
                f"{shape[0]}x{shape[1]}. Give one on the same pixels."
            )
        return sigma
    if kind == "UniformGaussianNoise":
        return np.full(shape, float(noise["std_dev"]))
    raise unknown_name("COOLEST noise", str(kind), ("NoiseMap", "UniformGaussianNoise"))


def _psf(path: Path, psf: Mapping[str, Any], scale: float) -> np.ndarray:
    """The PSF at the pixel scale, of odd size, its zero margin cut off."""
    kind = psf.get("type")
    if kind == "GaussianPSF":
        fwhm = float(psf["fwhm"]) * scale
        half = max(int(np.ceil(_GAUSSIAN_REACH * fwhm / scale / 2.0)), 1)
        width = torch.tensor([fwhm], dtype=torch.float64)
        return gaussian_kernel(width, scale, 2 * half + 1)[0].numpy()
    if kind != "PixelatedPSF":
        raise unknown_name("COOLEST PSF", str(kind), ("GaussianPSF", "PixelatedPSF"))
    plane = _plane(path, psf["pixels"])
    own = _pixel_size(psf["pixels"], plane.shape)
    if abs(own / scale - 1.0) > _SAME_SCALE:
        raise OutOfRangeError(
            f"the PSF of '{path}' has pixels of {own:g} arcsec, the image of {scale:g}. Give one "
            "at the scale of the image."
        )
    while min(plane.shape) > 3 and not any(map(np.any, _edges(plane))):
        plane = plane[1:-1, 1:-1]
    return plane / plane.sum()


def _edges(plane: np.ndarray) -> tuple[np.ndarray, ...]:
    return plane[0], plane[-1], plane[:, 0], plane[:, -1]


def _source_grid(path: Path, profile: Mapping[str, Any], frame: _Frame) -> SourceGrid:
    pixels = profile["parameters"]["pixels"]
    left, right = sorted(float(v) - frame.x for v in pixels["field_of_view_x"])
    bottom, top = sorted(float(v) - frame.y for v in pixels["field_of_view_y"])
    return SourceGrid(_plane(path, pixels), (left, right, bottom, top))


def _posterior(
    path: Path, entities: list[dict[str, Any]], meta: Mapping[str, Any], frame: _Frame
) -> Posterior | None:
    """Draws of the mass and of the source's centre from the chain, where there is one."""
    file = path.parent / str(meta.get("chain_file_name"))
    if not file.is_file():
        return None
    with file.open(newline="", encoding="utf-8") as lines:
        names, *rows = csv.reader(lines)
    columns = dict(zip(names, np.array(rows, float).T, strict=True))
    draws: dict[str, np.ndarray] = {}
    for k, entity in enumerate(entities):
        head = f"{k}-{entity['type'].lower()}"
        for j, profile in enumerate(entity.get("mass_model") or ()):
            own = _starting_with(f"{head}-mass-{j}-{profile['type']}-", columns)
            draws |= _shear_draws(own) if profile["type"] == SHEAR else _mass_draws(own, frame)
        if k == _source_index(entities):
            own = _starting_with(f"{head}-light-0-Sersic-center_", columns)
            own = {f"beta_{axis}": v - getattr(frame, axis) for axis, v in own.items()}
            draws |= own
    weights = columns.get(WEIGHTS, np.ones(len(rows)))
    return Posterior(draws, weights / weights.sum())


def _source_index(entities: list[dict[str, Any]]) -> int:
    return max(range(len(entities)), key=lambda k: float(entities[k]["redshift"]))


def _starting_with(head: str, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns whose name begins so, under the rest of it."""
    return {name.removeprefix(head): v for name, v in columns.items() if name.startswith(head)}


def _shear_draws(own: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not {"gamma_ext", "phi_ext"} <= set(own):
        return {}
    phi = phi_from_position_angle(own["phi_ext"])
    return dict(zip(("gamma1", "gamma2"), shear_from_polar(own["gamma_ext"], phi), strict=True))


def _mass_draws(own: dict[str, np.ndarray], frame: _Frame) -> dict[str, np.ndarray]:
    """Draws of one galaxy in our words, as many of them as its columns allow."""
    found = {ours: own[theirs] for ours, theirs in _PLAIN.items() if theirs in own}
    for axis in ("x", "y"):
        if f"center_{axis}" in own:
            found[f"{axis}_center"] = own[f"center_{axis}"] - getattr(frame, axis)
    if {"q", "phi"} <= set(own):
        e1, e2 = ellipticity_from_axis_ratio(own["q"], phi_from_position_angle(own["phi"]))
        found |= {"e1": e1, "e2": e2}
    return found
