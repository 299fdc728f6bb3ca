"""How much speaks for a lens: arcs, the gain over an image without lensing, several images."""

from dataclasses import dataclass

import numpy as np
import torch

from stronglens.lensing.caustics import is_multiply_imaged, tangential_critical_curve
from stronglens.lensing.records import SieShear
from stronglens.measurement.inversion import Inversion, Solution
from stronglens.measurement.mass_model import MAX_ELLIPTICITY
from stronglens.measurement.optimise import Minimum
from stronglens.measurement.source_grid import Window
from stronglens.measurement.source_summary import summarise_source
from stronglens.measurement.stage import Stage

_N_UNLENSED = 32
_UNLENSED_REACH = 1.7
_NO_LENS = 1e-4
_FIRST_STRENGTH = 1.0
_CUT = 0.1


@dataclass(frozen=True)
class ArcEvidence:
    """Figures on which a verdict rests."""

    arc_snr: float
    """Signal to noise of the source's images together [-]."""
    counter_snr: float
    """The smaller of the signal to noise inside and outside the critical curve, of light that is
    multiply imaged [-]."""
    multiple_share: float
    """Share of the source's flux that is multiply imaged [-]."""
    lens_gain: float
    """Twice the logarithm of the evidence ratio of lens to no lens: light left over by the
    deflector, as smooth as it likes, in the image itself [-]."""
    magnification: float
    """Lensed flux over unlensed flux of the source [-]."""
    window_share: float
    """Half width of the source grid in units of the largest allowed [-]."""


def weigh_arcs(stage: Stage, minimum: Minimum) -> ArcEvidence:
    """Collect the evidence for a lens.

    Args:
        stage: The stage of the search.
        minimum: Its best minimum.
    """
    solution = minimum.solution
    inside, outside, share = _multiple_images(stage.inversion, solution)
    largest = max(0.55 * minimum.theta_e, 0.25)
    return ArcEvidence(
        arc_snr=float(np.sqrt((solution.source_image**2).sum())),
        counter_snr=min(inside, outside),
        multiple_share=share,
        lens_gain=unlensed_deviance(stage, solution) - solution.deviance,
        magnification=summarise_source(stage.inversion, solution)[3],
        window_share=solution.window.half_width / largest,
    )


def unlensed_deviance(stage: Stage, solution: Solution) -> float:
    """Deviance of the same pixels with the arcs as light in the image plane, smooth but free.

    Args:
        stage: The stage of the search.
        solution: The lens model compared with; it says how far arcs reach.
    """
    vector = solution.vector.copy()
    vector[0], vector[1:3], vector[5:7], vector[7] = np.log(_NO_LENS), 0.0, 0.0, 2.0
    theta_e = float(np.exp(solution.vector[0]))
    x, y = float(solution.vector[3]), float(solution.vector[4])
    window = Window(x, y, _UNLENSED_REACH * theta_e)
    inversion = stage.inversion_with(n_side=_N_UNLENSED, envelope=0.0, lens_model="sie")
    return inversion.solve_best(vector, window, _FIRST_STRENGTH, 6).deviance


def sie_shear(solution: Solution) -> SieShear:
    """The mass of a solution as a singular isothermal ellipsoid in a shear, whatever its slope."""
    v = torch.from_numpy(solution.vector.copy())
    e = torch.hypot(v[1], v[2]).clamp(1e-9, MAX_ELLIPTICITY)
    q, phi = (1.0 - e) / (1.0 + e), 0.5 * torch.atan2(v[2], v[1])
    fields = (v[0].exp(), q, phi, v[3], v[4], v[5], v[6])
    return SieShear(*(value[None] for value in fields))


def _multiple_images(inversion: Inversion, solution: Solution) -> tuple[float, float, float]:
    """Signal to noise of multiply imaged light inside and outside the critical curve; its share."""
    lens = sie_shear(solution)
    x, y = (torch.from_numpy(line) for line in solution.window.node_positions(inversion.n_side))
    many = SieShear(*(getattr(lens, name).expand(len(x)) for name in lens.__dataclass_fields__))
    is_multiple = is_multiply_imaged(many, x, y).numpy()
    source = np.where(solution.source > _CUT * solution.source.max(), solution.source, 0.0)
    total = float(source.sum())
    image = solution.design @ np.where(is_multiple, source, 0.0)
    used = inversion.region.is_fitted
    dx = inversion.frame.x[used] - float(solution.vector[3])
    dy = inversion.frame.y[used] - float(solution.vector[4])
    curve_x, curve_y = (line[0].numpy() for line in tangential_critical_curve(lens))
    cx, cy = curve_x - float(solution.vector[3]), curve_y - float(solution.vector[4])
    order = np.argsort(np.arctan2(cy, cx))
    angles, radii = np.arctan2(cy, cx)[order], np.hypot(cx, cy)[order]
    critical = np.interp(np.arctan2(dy, dx), angles, radii, period=2.0 * np.pi)
    is_inside = np.hypot(dx, dy) < critical
    inside, outside = (float(np.sqrt((image[part] ** 2).sum())) for part in (is_inside, ~is_inside))
    share = float(source[is_multiple].sum()) / total if total > 0 else 0.0
    return inside, outside, share
