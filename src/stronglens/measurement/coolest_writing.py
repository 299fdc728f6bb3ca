"""Write COOLEST: a JSON file, FITS images beside it, and a weighted chain as CSV; all by hand.

What goes into it is decided in `coolest_export`; the words of the standard are in `core.coolest`.
"""

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from stronglens.core.conventions import axis_ratio_from_ellipticity, shear_to_polar
from stronglens.core.coolest import mass_to_coolest, position_angle, sersic_to_coolest
from stronglens.core.errors import UnknownNameError
from stronglens.core.files import atomic_path, write_json
from stronglens.lensing.cosmology import HUBBLE_CONSTANT, MATTER_DENSITY
from stronglens.lensing.records import CallableMass
from stronglens.measurement.coolest import CoolestLens, Posterior, shear_offset
from stronglens.measurement.csv_tables import write_csv
from stronglens.measurement.lens_image import LensImage
from stronglens.simulation.exchange import sersic_rows

MASKED = 1e8
"""Noise that stands for a masked pixel [pixel units]."""
CHAIN = "coolest_chain.csv"
"""Name of the weighted chain."""
WEIGHTS = "probability_weights"
"""Name of the chain's last column."""
IMAGE, NOISE, PSF, SOURCE = "image.fits", "noise.fits", "psf.fits", "source.fits"
_MOST_PADDING = 40
_OURS = {
    "theta_E": "theta_e", "gamma": "slope", "q": "q", "phi": "phi", "center_x": "x_center",
    "center_y": "y_center", "gamma_ext": "gamma1", "phi_ext": "gamma2",
}  # fmt: skip
_ANGLES = ("phi", "phi_ext")


def write_coolest(path: Path, lens: CoolestLens) -> Path:
    """Write a lens model as COOLEST.

    An image that is not square is filled up with masked pixels, since the standard's own reader
    refuses it otherwise.

    Args:
        path: The JSON file; FITS images and chain are written beside it.
        lens: The model.

    Returns:
        The path written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"standard": "COOLEST", "mode": "MAP"}
    content["coordinates_origin"] = {"ra": "00h00m00s", "dec": "+00d00m00s"}
    content["cosmology"] = {
        "astropy_name": "FlatLambdaCDM", "H0": HUBBLE_CONSTANT, "Om0": MATTER_DENSITY
    }  # fmt: skip
    content |= _observed(path.parent, lens.image)
    content["lensing_entities"] = _entities(lens, path.parent)
    content["meta"] = _meta(lens)
    if lens.posterior is not None:
        write_csv(path.parent / CHAIN, _chain(lens, content["lensing_entities"]))
    write_json(path, content)
    return path


def _meta(lens: CoolestLens) -> dict[str, Any]:
    own: dict[str, Any] = {"modeling_code": f"stronglens {metadata.version('stronglens')}"}
    if lens.posterior is not None:
        own["chain_file_name"] = CHAIN
    if lens.image is not None:
        height, width = lens.image.flux.shape
        own |= {"name": lens.image.name, "image_height": height, "image_width": width}
    return own | lens.meta


def _observed(folder: Path, image: LensImage | None) -> dict[str, Any]:
    """Observation and instrument, with their FITS files."""
    nothing = {"path": None}
    empty = {"fits_file": nothing, "field_of_view_x": [0, 0], "field_of_view_y": [0, 0],
             "num_pix_x": 0, "num_pix_y": 0}  # fmt: skip
    facts = {"exposure_time": None, "mag_sky_brightness": None, "mag_zero_point": None}
    if image is None:
        observation = facts | {"pixels": empty, "noise": {"type": None}}
        return {"observation": observation, "instrument": {
            "name": "", "band": "", "pixel_size": 0.0, "readout_noise": None,
            "psf": {"type": None, "description": ""}}}  # fmt: skip
    flux, sigma = squared(np.where(image.is_good, image.flux, 0.0), 0.0), squared(
        np.where(image.is_good, image.sigma, MASKED), MASKED
    )  # fmt: skip
    scale = image.pixel_scale
    middle = [0.5 * (len(flux) - n) * scale for n in reversed(image.flux.shape)]
    pixels, noise_map = (
        _grid(folder, name, plane, scale, middle) for name, plane in ((IMAGE, flux), (NOISE, sigma))
    )
    size = field_of_view(len(flux), scale) / len(flux)
    psf = _grid(folder, PSF, padded_psf(image.psf, size), size, [0.0, 0.0])
    noise = {"type": "NoiseMap", "noise_map": noise_map}
    return {
        "observation": facts | {"pixels": pixels, "noise": noise},
        "instrument": {
            "name": "", "band": "", "pixel_size": scale, "readout_noise": None,
            "psf": {"type": "PixelatedPSF", "description": "", "pixels": psf},
        },
    }  # fmt: skip


def squared(plane: np.ndarray, value: float) -> np.ndarray:
    """The plane with rows above it or columns to its right until it is square.

    Args:
        plane: Image.
        value: What is put there.
    """
    side = max(plane.shape)
    full = np.full((side, side), value)
    full[: plane.shape[0], : plane.shape[1]] = plane
    return full


def padded_psf(psf: np.ndarray, pixel_size: float) -> np.ndarray:
    """The PSF on a square in which its pixels are, to the last bit, as large as those of the image.

    Readers divide a field of view by a number of pixels and compare; when the two results differ
    by rounding, lenstronomy takes the PSF for one of another sampling.

    Args:
        psf: Kernel of odd height and width.
        pixel_size: Field of view of the image over its number of pixels [arcsec].
    """
    side = max(psf.shape)
    for n in range(side, side + _MOST_PADDING, 2):
        if field_of_view(n, pixel_size) / n == pixel_size:
            side = n
            break
    full = np.zeros((side, side))
    top, left = (side - psf.shape[0]) // 2, (side - psf.shape[1]) // 2
    full[top : top + psf.shape[0], left : left + psf.shape[1]] = psf
    return full


def field_of_view(n: int, pixel_scale: float) -> float:
    """Side of n pixels that, divided by n, gives the pixel scale without rounding if any does.

    Args:
        n: Number of pixels.
        pixel_scale: Pixel scale [arcsec].
    """
    plain = n * pixel_scale
    for side in (plain, np.nextafter(plain, np.inf), np.nextafter(plain, 0.0)):
        if side / n == pixel_scale:
            return float(side)
    return plain


def _limits(n: int, scale: float, middle: float) -> list[float]:
    half = 0.5 * field_of_view(n, scale)
    return [middle - half, middle + half]


def _grid(
    folder: Path, name: str, plane: np.ndarray, scale: float, middle: list[float]
) -> dict[str, Any]:
    """Write an image and describe it."""
    with atomic_path(folder / name) as temporary:
        fits.PrimaryHDU(plane.astype(np.float32)).writeto(temporary, overwrite=True)
    height, width = plane.shape
    return {
        "fits_file": {"path": name},
        "field_of_view_x": _limits(width, scale, middle[0]),
        "field_of_view_y": _limits(height, scale, middle[1]),
        "num_pix_x": width,
        "num_pix_y": height,
    }


def _entities(lens: CoolestLens, folder: Path) -> list[dict[str, Any]]:
    """Shear, deflector and source."""
    masses: list[tuple[str, dict[str, float]]] = []
    for mass in lens.scene.lens_model:
        if isinstance(mass, CallableMass):
            raise UnknownNameError(
                "a callable deflection has no name in COOLEST. Describe it by registered profiles."
            )
        own = {key: float(value[0]) for key, value in mass.parameters.items()}
        masses.append(mass_to_coolest(mass.name, own))
    stats = _statistics(lens)
    fields = [m for m in masses if m[0] == "ExternalShear"]
    galaxies = [m for m in masses if m[0] != "ExternalShear"]
    shear = [{
        "type": "MassField", "name": "external shear", "redshift": lens.z_lens,
        "mass_model": [_profile(*field, stats, lens.fixed) for field in fields],
    }] if fields else []  # fmt: skip
    deflector = {
        "type": "Galaxy", "name": "lens", "redshift": lens.z_lens,
        "light_model": [_profile("Sersic", sersic_to_coolest(row), {}, lens.fixed)
                        for row in sersic_rows(lens.scene.deflector)],
        "mass_model": [_profile(*mass, stats, lens.fixed) for mass in galaxies],
    }  # fmt: skip
    source = {
        "type": "Galaxy", "name": "source", "redshift": lens.z_source,
        "light_model": _source_light(lens, folder, stats), "mass_model": [],
    }  # fmt: skip
    return [*shear, deflector, source]


def _source_light(
    lens: CoolestLens, folder: Path, stats: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    if lens.source_grid is not None:
        left, right, bottom, top = lens.source_grid.extent
        height, width = lens.source_grid.flux.shape
        _grid(folder, SOURCE, lens.source_grid.flux, (right - left) / width, [0.0, 0.0])
        pixels = {
            "fits_file": {"path": SOURCE}, "field_of_view_x": [left, right],
            "field_of_view_y": [bottom, top], "num_pix_x": width, "num_pix_y": height,
        }  # fmt: skip
        return [{"type": "PixelatedRegularGrid", "parameters": {"pixels": pixels}}]
    centre = {name: stats[f"source_{name}"] for name in ("center_x", "center_y") if stats}
    rows = sersic_rows(lens.scene.source)
    return [
        _profile("Sersic", sersic_to_coolest(row), centre if k == 0 else {}, lens.fixed)
        for k, row in enumerate(rows)
    ]


def _profile(
    kind: str,
    values: dict[str, float],
    stats: dict[str, dict[str, float]],
    fixed: frozenset[str],
) -> dict[str, Any]:
    """One profile with a point estimate, a posterior where there is one, and no prior."""
    nothing = dict.fromkeys(("mean", "median", "percentile_16th", "percentile_84th"))
    return {
        "type": kind,
        "parameters": {
            name: {
                "point_estimate": {"value": value},
                "posterior_stats": stats.get(name, nothing),
                "prior": {"type": None},
                "fixed": _OURS.get(name, name) in fixed and kind != "Sersic",
            }
            for name, value in values.items()
        },
    }


def _statistics(lens: CoolestLens) -> dict[str, dict[str, float]]:
    """Mean, median, 16 and 84 % of every parameter of the mass and of the source's centre."""
    if lens.posterior is None:
        return {}
    posterior = lens.posterior
    weighted = not posterior.even
    columns = _in_their_words(posterior.draws if weighted else posterior.even)
    n = len(next(iter(columns.values())))
    weights = posterior.weights if weighted else np.full(n, 1.0 / n)
    return {name: _summary(name, column, weights) for name, column in columns.items()}


def _summary(name: str, column: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    if name in _ANGLES:
        # an axis has no beginning: count from its mean direction
        mean = 0.5 * np.angle((weights * np.exp(2j * np.radians(column))).sum(), deg=True)
        column = mean + (column - mean + 90.0) % 180.0 - 90.0
    order = np.argsort(column)
    share = np.cumsum(weights[order]) - 0.5 * weights[order]
    low, middle, high = np.interp([0.16, 0.5, 0.84], share, column[order])
    return {"mean": float(weights @ column), "median": float(middle),
            "percentile_16th": float(low), "percentile_84th": float(high)}  # fmt: skip


def _in_their_words(draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Draws under COOLEST's names; those of the source begin with `source_`."""
    q, phi = axis_ratio_from_ellipticity(draws["e1"], draws["e2"])
    gamma_ext, phi_ext = shear_to_polar(draws["gamma1"], draws["gamma2"])
    dx, dy = shear_offset(draws)
    return {
        "theta_E": draws["theta_e"], "gamma": draws["slope"], "q": q, "phi": position_angle(phi),
        "center_x": draws["x_center"], "center_y": draws["y_center"],
        "gamma_ext": gamma_ext, "phi_ext": position_angle(phi_ext),
        "source_center_x": draws["beta_x"] + dx, "source_center_y": draws["beta_y"] + dy,
    }  # fmt: skip


def _chain(lens: CoolestLens, entities: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Columns of the chain: every parameter of mass and source, constant where it was not drawn."""
    posterior = lens.posterior or Posterior({}, np.zeros(0))
    drawn = _in_their_words(posterior.draws)
    columns: dict[str, np.ndarray] = {}
    for k, entity in enumerate(entities):
        kind = entity["type"].lower()
        for part, prefix in (("mass", ""), ("light", "source_")):
            if part == "light" and entity["name"] != "source":
                continue
            for j, profile in enumerate(entity.get(f"{part}_model", ())):
                for name, parameter in profile["parameters"].items():
                    if "point_estimate" not in parameter:
                        continue
                    constant = np.full(len(posterior.weights), parameter["point_estimate"]["value"])
                    column = drawn.get(prefix + name, constant)
                    columns[f"{k}-{kind}-{part}-{j}-{profile['type']}-{name}"] = column
    return columns | {WEIGHTS: posterior.weights}
