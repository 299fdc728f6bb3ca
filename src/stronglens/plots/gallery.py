"""Galleries: pictures in rows with a name each, in colour where there are bands for it.

Which pictures are shown is decided by the caller; contact sheets with titles are in `mosaic`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from stronglens.core.errors import WrongShapeError

Picture = Float[np.ndarray, "y x colour"]
"""Red, green and blue from 0 to 1, the first row at the bottom."""

_DPI = 100
_GAP = 2  # between pictures [dots]
_LABEL = 100  # width of the column of names [dots]
_HEAD = 17  # height of a title or footnote line [dots]
_SOFTENING = 3.0  # units at which the stretch turns from linear to logarithmic
_LEAST_WHITE = 30.0  # an image without a bright object keeps a dark sky [units]
_BAD = np.array([0.33, 0.36, 0.45], dtype=np.float32)  # slate: neither sky nor galaxy
_BAD_ON_WHITE = np.array([0.80, 0.84, 0.90], dtype=np.float32)


def picture(
    flux: Float[np.ndarray, "band y x"],
    unit: Float[np.ndarray, " band"],
    mask: Bool[np.ndarray, "band y x"] | None = None,
    *,
    white: float | None = None,
) -> Picture:
    """Picture for eyes: three bands in colour on black, a single one dark on white.

    One arcsinh scale serves all bands, so that colour survives the stretch. Where a band is bad the
    others stand for it, and a slate tint tells so.

    Args:
        flux: Three bands from blue to red, or one, sky removed [pixel units].
        unit: Flux that counts as one in each band: about the noise of the sky, in proportions that
            are the colour of what shall look white [pixel units].
        mask: True where a pixel is bad.
        white: Brightness that becomes white, in that unit; by default the 99.7th percentile of the
            picture, and not less than 30.

    Reference:
        Lupton et al. 2004, PASP 116, 133: every colour times f(I) / I, with I their mean and f an
        inverse hyperbolic sine.

    Raises:
        WrongShapeError: Not one or three bands, or another number of units.
    """
    if flux.shape[0] not in {1, 3} or len(unit) != flux.shape[0]:
        raise WrongShapeError(
            f"a picture of {flux.shape[0]} bands with {len(unit)} units cannot be shown. "
            "Choose one band or three, with one unit each."
        )
    bad = ~np.isfinite(flux) if mask is None else mask | ~np.isfinite(flux)
    scaled = _filled(flux / np.asarray(unit)[:, None, None], bad)
    intensity = scaled.mean(axis=0)
    if white is None:
        white = max(float(np.percentile(intensity, 99.7)), _LEAST_WHITE)
    colours = _stretched(scaled, intensity, white)[::-1]
    tint = bad.mean(axis=0, dtype=np.float32)[..., None]
    if len(flux) == 1:
        grey = 1.0 - np.repeat(colours, 3, axis=0)
        return np.moveaxis(grey, 0, -1) * (1 - tint) + _BAD_ON_WHITE * tint
    return np.moveaxis(colours, 0, -1) * (1 - tint) + _BAD * tint


def gallery(
    rows: Mapping[str, Sequence[np.ndarray]],
    *,
    column_titles: Sequence[str] = (),
    footnote: str = "",
    zoom: int = 1,
) -> Figure:
    """Pictures row by row, each row with its name, every pixel of a picture a square of dots.

    Args:
        rows: Pictures (y, x, 3) of one size by the name of their row, which may be empty.
        column_titles: Text above each column; none where there is nothing to say.
        footnote: One line below the pictures.
        zoom: Dots along the side of a pixel; text grows with it.

    Raises:
        WrongShapeError: Pictures of several sizes, or none at all.
    """
    shapes = {np.shape(one) for pictures in rows.values() for one in pictures}
    if len(shapes) != 1:
        raise WrongShapeError(
            f"pictures of shapes {sorted(shapes)} do not make a gallery. Give pictures of one size."
        )
    height, width = (side + _GAP for side in shapes.pop()[:2])
    n_columns = max(len(pictures) for pictures in rows.values())
    head, foot = (_HEAD if text else 0 for text in (column_titles, footnote))
    label = _LABEL if any(rows) else 0
    # a footnote needs room of its own, whatever the pictures are
    dots = label + max(n_columns * width, 5 * len(footnote)), head + foot + len(rows) * height
    figure = Figure(figsize=(dots[0] / _DPI, dots[1] / _DPI), dpi=zoom * _DPI, facecolor="white")
    for i, (name, pictures) in enumerate(rows.items()):
        top = dots[1] - head - i * height
        for j, one in enumerate(pictures):
            place = (label + j * width, top - height + _GAP)
            _show(figure, np.asarray(one), place)
        middle = (top - 0.5 * height) / dots[1]
        figure.text((label - 5) / dots[0], middle, name, fontsize=6.5, ha="right", va="center")
    for j, title in enumerate(column_titles):
        x = (label + (j + 0.5) * width) / dots[0]
        figure.text(x, 1 - 0.5 * head / dots[1], title, fontsize=9, ha="center", va="center")
    place = label / dots[0], 0.5 * foot / dots[1]
    figure.text(*place, footnote, fontsize=6, va="center", color="0.35")
    return figure


def _filled(
    scaled: Float[np.ndarray, "band y x"], bad: Bool[np.ndarray, "band y x"]
) -> Float[np.ndarray, "band y x"]:
    """Put the mean of the good bands where a band is bad, and nothing where all are."""
    good = np.where(bad, 0.0, scaled)
    mean = good.sum(axis=0) / np.maximum((~bad).sum(axis=0), 1)
    return np.where(bad, mean, scaled).astype(np.float32)


def _stretched(
    scaled: Float[np.ndarray, "band y x"], intensity: Float[np.ndarray, "y x"], white: float
) -> Float[np.ndarray, "band y x"]:
    """Values from 0, a unit below the sky, to 1."""
    size = np.maximum(np.abs(intensity), 1e-3)
    top = np.arcsinh(white / _SOFTENING)
    values = scaled * (np.arcsinh(size / _SOFTENING) / size / top)
    black = -np.arcsinh(1.0 / _SOFTENING) / top
    values = np.maximum((values - black) / (1.0 - black), 0.0)
    # too bright a colour is dimmed with the others, so that its hue stays
    return values / np.maximum(values.max(axis=0), 1.0)


def _show(figure: Figure, image: np.ndarray, place: tuple[int, int]) -> None:
    """Draw a picture with its lower left corner at a dot of the figure."""
    width, height = figure.get_size_inches() * _DPI
    side = image.shape[1::-1]
    axis = figure.add_axes((place[0] / width, place[1] / height, side[0] / width, side[1] / height))
    axis.imshow(np.clip(image, 0, 1), origin="lower", interpolation="nearest", aspect="auto")
    axis.set_axis_off()
