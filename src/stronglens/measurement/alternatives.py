"""Other choices of the model that are as good, and how far the answer moves with them."""

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from stronglens.measurement.frames import Frame
from stronglens.measurement.inversion import Inversion
from stronglens.measurement.mass_model import VECTOR
from stronglens.measurement.optimise import Minimum, descend
from stronglens.measurement.stage import Stage

_CORE, _ENVELOPE, _COARSER, _FINER = 0.35, 0.75, 16, 24
_PSF_STRETCH = 1.2
_SAME_SOLUTION = 0.25


def model_spread(
    stage: Stage, minimum: Minimum, *, has_estimated_psf: bool = False
) -> dict[str, float]:
    """Scatter of the parameters between choices of source grid, smoothness, core and PSF.

    Every choice is fitted from the same start; one that leads to a quite different Einstein radius
    has found another solution, which is for the search to judge.

    Args:
        stage: The stage of the search.
        minimum: Its best minimum.
        has_estimated_psf: Whether the width of the PSF is varied too.

    Returns:
        Standard deviation by name; that of theta_e is relative.
    """
    vectors = [minimum.solution.vector]
    for inversion in _alternatives(stage, has_estimated_psf=has_estimated_psf):
        start = inversion.solve_best(
            minimum.solution.vector, minimum.solution.window, minimum.solution.strength
        )
        found = descend(inversion, start, stage.prior, None, 5).solution.vector
        if abs(found[0] - minimum.solution.vector[0]) < _SAME_SOLUTION:
            vectors.append(found)
    if len(vectors) < 2:
        return {}
    sd = np.std(vectors, axis=0, ddof=1)
    return {"theta_e": float(sd[0]), **{VECTOR[k]: float(sd[k]) for k in range(1, len(VECTOR))}}


def _alternatives(stage: Stage, *, has_estimated_psf: bool) -> list[Inversion]:
    choices = [
        stage.inversion_with(n_side=_COARSER),
        stage.inversion_with(n_side=_FINER, envelope=_ENVELOPE),
        stage.inversion_with(core=_CORE),
    ]
    if has_estimated_psf:
        narrow, wide = (
            stage.inversion_with(frame=_with_psf(stage.frame, factor))
            for factor in (1.0 / _PSF_STRETCH, _PSF_STRETCH)
        )
        choices += [narrow, wide]
    return choices


def _with_psf(frame: Frame, factor: float) -> Frame:
    """The frame with a PSF stretched about its middle."""
    psf = frame.image.psf
    stretched = np.asarray(zoom(psf, factor, order=1, grid_mode=True, mode="nearest"))
    size = [n - (n % 2 == 0) for n in stretched.shape]
    stretched = np.clip(stretched[: size[0], : size[1]], 0.0, None)
    peak = np.unravel_index(int(np.argmax(gaussian_filter(stretched, 0.5))), stretched.shape)
    half = min(min(int(p), n - 1 - int(p)) for p, n in zip(peak, stretched.shape, strict=True))
    rows, columns = (slice(int(p) - half, int(p) + half + 1) for p in peak)
    cut = stretched[rows, columns]
    image = frame.image.replaced(psf=cut / cut.sum())
    return Frame(image, frame.x, frame.y)
