"""From a posterior to files other codes open: COOLEST, and lenstronomy's lists of keywords.

A source on a grid is the standard's `PixelatedRegularGrid`, which few readers know; the same lens
with a Sersic source fitted to its arcs is written beside it.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from stronglens.core.conventions import axis_ratio_from_ellipticity
from stronglens.core.files import content_hash, write_json
from stronglens.core.seeds import numpy_generator
from stronglens.lensing.records import MassProfile
from stronglens.light.sersic import Sersics
from stronglens.measurement.coolest import (
    PLACEHOLDER_REDSHIFTS,
    CoolestLens,
    Posterior,
    SourceGrid,
    shear_offset,
)
from stronglens.measurement.coolest_writing import IMAGE, NOISE, PSF, write_coolest
from stronglens.measurement.inputs import LensInput
from stronglens.measurement.inversion import Solution
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.lens_record import LensRecord
from stronglens.measurement.mass_model import VECTOR, free_parameters
from stronglens.measurement.posterior_network import posterior_file
from stronglens.measurement.refine import Refined
from stronglens.measurement.sersic_source import SersicSource, fit_sersic_source
from stronglens.measurement.source_grid import interpolation, places
from stronglens.measurement.task import Measure
from stronglens.simulation.exchange import LensScenes, sersics_from_rows, to_lenstronomy

COOLEST, COOLEST_GRID, LENSTRONOMY = "coolest.json", "coolest_grid.json", "lenstronomy.json"
"""Names of the files: with a Sersic source, with the source on a grid, and lenstronomy's lists."""
_FINER, _ISOTHERMAL = 4, 2.0
_RELATIVE = ("theta_e",)


def export_measured(
    folder: Path, entry: LensInput, record: LensRecord, refined: Refined, task: Measure
) -> list[Path]:
    """Write a measured lens for other codes, unless it was rejected.

    Args:
        folder: Where the files go.
        entry: The input.
        record: Its row.
        refined: Its posterior.
        task: The settings it was measured with.

    Returns:
        The files that describe the lens: COOLEST, COOLEST with the source on a grid, lenstronomy.
    """
    if entry.image is None or record.verdict == "rejected":
        return []
    facts = _facts(record, refined, task)
    lens, grid = (
        replace(one, meta=facts | one.meta) for one in coolest_lenses(entry.image, refined)
    )
    # the chain that stays has the columns of both
    write_coolest(folder / COOLEST_GRID, grid)
    write_coolest(folder / COOLEST, lens)
    write_json(folder / LENSTRONOMY, lenstronomy_keywords(lens))
    return [folder / name for name in (COOLEST, COOLEST_GRID, LENSTRONOMY)]


def coolest_lenses(image: LensImage, refined: Refined) -> tuple[CoolestLens, CoolestLens]:
    """A posterior as a lens model with a Sersic source, and as one with a source on a grid.

    Args:
        image: The whole image.
        refined: Its posterior, with a stage and a minimum.
    """
    stage, best = refined.stage, refined.minima[0].solution
    if stage is None:
        message = "there is no stage without an image"
        raise ValueError(message)
    sersic = fit_sersic_source(stage.inversion, best)
    lens_model = stage.inversion.lens_model
    mass, offset = _mass(best.vector, lens_model)
    row = sersic.row | {
        "x_center": sersic.row["x_center"] + offset[0],
        "y_center": sersic.row["y_center"] + offset[1],
    }
    deflector, sky, left_out = _deflector(refined, best)
    free = {VECTOR[k] for k in free_parameters(lens_model)}
    shared = CoolestLens(
        LensScenes(mass, sersics_from_rows([[row]]), deflector),
        image, posterior=_posterior(refined), fixed=frozenset({*VECTOR} - free),
        meta={
            "redshifts": f"unknown; {PLACEHOLDER_REDSHIFTS[0]:g} and {PLACEHOLDER_REDSHIFTS[1]:g} "
                         "tell lens from source only",
            "flux_unit": "that of the image given",
            "constant_sky": sky,
            "deflector_light_left_out": left_out,
        },
    )  # fmt: skip
    chi2 = _reduced_chi2(refined, best, sersic)
    none = sersics_from_rows([[]])
    grid = replace(
        shared, scene=replace(shared.scene, source=none),
        source_grid=source_grid(best, offset),
        meta=shared.meta | {"reduced_chi2": refined.chi2},
    )  # fmt: skip
    return replace(shared, meta=shared.meta | {"reduced_chi2": chi2}), grid


def lenstronomy_keywords(lens: CoolestLens) -> dict[str, Any]:
    """Lists and keywords with which lenstronomy draws a lens, x to the right as the image has it.

    Args:
        lens: A model with an image; FITS files are named as `write_coolest` names them.

    Returns:
        kwargs_model, kwargs_result, kwargs_data and kwargs_psf; images stand as names of files.
    """
    words = to_lenstronomy(lens.scene)
    keywords: dict[str, Any] = {
        "kwargs_model": {
            "lens_model_list": words.lens_model_list,
            "source_light_model_list": words.source_light_model_list,
            "lens_light_model_list": words.lens_light_model_list,
        },
        "kwargs_result": {
            "kwargs_lens": words.kwargs_lens[0],
            "kwargs_source": words.kwargs_source[0],
            "kwargs_lens_light": words.kwargs_lens_light[0],
        },
    }
    if lens.image is None:
        return keywords
    scale = lens.image.pixel_scale
    height, width = lens.image.flux.shape
    return keywords | {
        "kwargs_data": {
            "image_data": IMAGE, "noise_map": NOISE, "ra_at_xy_0": -0.5 * (width - 1) * scale,
            "dec_at_xy_0": -0.5 * (height - 1) * scale,
            "transform_pix2angle": [[scale, 0.0], [0.0, scale]],
        },
        "kwargs_psf": {"psf_type": "PIXEL", "kernel_point_source": PSF},
    }  # fmt: skip


def source_grid(solution: Solution, offset: tuple[float, float], finer: int = _FINER) -> SourceGrid:
    """The reconstructed source in cells finer than its nodes, dark beyond them.

    The grid has the same limits along x and y, because the `coolest` package takes those of one
    axis for the other.

    Args:
        solution: A mass model with its source.
        offset: How far the source is moved along x and y [arcsec].
        finer: Cells between two nodes.
    """
    window, n_side = solution.window, round(len(solution.source) ** 0.5)
    x, y = window.x + offset[0], window.y + offset[1]
    low, high = min(x, y) - window.half_width, max(x, y) + window.half_width
    n = math.ceil((high - low) / (window.step(n_side) / finer))
    line = low + (np.arange(n) + 0.5) * (high - low) / n
    beta_x, beta_y = np.meshgrid(line - offset[0], line - offset[1])
    place = places(beta_x.ravel(), beta_y.ravel(), window, n_side)
    flux = (interpolation(place, n_side, 1) @ solution.source).reshape(n, n)
    return SourceGrid(flux, (low, high, low, high))


def _facts(record: LensRecord, refined: Refined, task: Measure) -> dict[str, Any]:
    """Verdict and diagnostics as a file's remarks."""
    samples = refined.samples
    numbers = {} if samples is None else {
        "ess": samples.draws.effective_size, "khat": samples.draws.k_hat,
        "logz": samples.draws.log_evidence,
    }  # fmt: skip
    return {
        "verdict": record.verdict,
        "reasons": list(record.reasons),
        "remarks": list(record.remarks),
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "prior_name": f"stronglens {task.lens_model}",
        "checkpoint_sha": content_hash(posterior_file(task.posterior)) if record.network else None,
    }


def _mass(
    vector: Float[np.ndarray, "8"], lens_model: str
) -> tuple[list[MassProfile], tuple[float, float]]:
    """Power law and shear about the origin, and how far the source moves with that."""
    values: dict[str, float] = dict(zip(VECTOR[1:], map(float, vector[1:]), strict=True))
    # a slope that is not free is whatever the start had
    values["slope"] = values["slope"] if lens_model.startswith("epl") else _ISOTHERMAL
    q, phi = axis_ratio_from_ellipticity(vector[1], vector[2])
    power_law = {
        "theta_e": math.exp(vector[0]), "slope": values["slope"], "q": q, "phi": phi,
        "x_center": values["x_center"], "y_center": values["y_center"],
    }  # fmt: skip
    shear = {"gamma1": values["gamma1"], "gamma2": values["gamma2"]}
    about = {"x_center": 0.0, "y_center": 0.0}
    dx, dy = shear_offset(values)
    masses = [
        MassProfile("epl", _tensors(power_law)),
        MassProfile("shear", _tensors(shear | about)),
    ]
    return masses, (float(dx), float(dy))


def _tensors(values: dict[str, float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([float(v)], dtype=torch.float64) for name, v in values.items()}


def _deflector(refined: Refined, solution: Solution) -> tuple[Sersics, float, float]:
    """Gaussians of the deflector, the sky, and the share of the light that they do not hold."""
    stage = refined.stage
    if stage is None:
        message = "there is no stage without an image"
        raise ValueError(message)
    inversion, light = stage.inversion, stage.inversion.light
    scale = inversion.frame.image.pixel_scale
    is_active = light.amplitudes > 0
    n = int(is_active.sum())
    factors = np.clip(solution.light[:n], 0.0, None)
    place = np.log(light.widths / light.widths[0]) / np.log(light.widths[-1] / light.widths[0])
    e1 = (light.shape[2] * (1.0 - place) + light.shape[4] * place)[is_active]
    e2 = (light.shape[3] * (1.0 - place) + light.shape[5] * place)[is_active]
    q, phi = axis_ratio_from_ellipticity(e1, e2)
    # as `blurred_gaussians` draws them, widened by the pixel
    sigma = np.sqrt(light.widths[is_active] ** 2 + (0.3 * scale) ** 2)
    columns = {
        "flux": factors * light.amplitudes[is_active] / scale**2,
        "r_eff": sigma * math.sqrt(2.0 * math.log(2.0)) / np.sqrt(q),
        "n_sersic": np.full(n, 0.5), "q": q, "phi": phi,
        "x_center": np.full(n, light.shape[0]), "y_center": np.full(n, light.shape[1]),
    }  # fmt: skip
    lit = {name: torch.tensor(v[factors > 0][None]) for name, v in columns.items()}
    images = inversion.columns.images
    rest = solution.light[n + 1 :] @ images[n + 1 :]
    whole = solution.light[:n] @ images[:n]
    sky = float(solution.light[n] * images[n][0])
    return Sersics(**lit), sky, float(np.sqrt((rest**2).sum() / max((whole**2).sum(), 1e-300)))


def _posterior(refined: Refined) -> Posterior | None:
    """Weighted draws, widened by the scatter between choices of the model as the table's are."""
    if refined.samples is None:
        return None
    weights, stage = refined.samples.draws.weights, refined.stage
    generator = numpy_generator(1, "coolest")
    draws = {}
    for name in ("theta_e", *VECTOR[1:], "beta_x", "beta_y"):
        noise = refined.spread.get(name, 0.0) * generator.standard_normal(len(weights))
        column = refined.samples.values[name]
        draws[name] = column * np.exp(noise) if name in _RELATIVE else column + noise
    even = {name: refined.draws[name] for name in draws}
    if stage is not None and not stage.inversion.lens_model.startswith("epl"):
        draws["slope"], even["slope"] = (
            np.full(len(d["theta_e"]), _ISOTHERMAL) for d in (draws, even)
        )
    return Posterior(draws, weights, even)


def _reduced_chi2(refined: Refined, solution: Solution, sersic: SersicSource) -> float:
    """Chi-square per fitted pixel with the Sersic source in place of the grid."""
    stage = refined.stage
    arcs = stage.inversion.without_light(solution) if stage is not None else np.zeros(0)
    return float(((arcs - sersic.image) ** 2).mean())
