"""Makes the pictures of the documentation's gallery: every class of scenes in every survey.

    .venv/bin/python tools/make_gallery.py            # all of them
    .venv/bin/python tools/make_gallery.py lsst-y10   # one survey
    .venv/bin/python tools/make_gallery.py one_scene  # one scene in four surveys

The first scenes of each class are shown, none is chosen. The pictures are simulated.
"""

import dataclasses
import io
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from stronglens.data.layout import Images
from stronglens.data.stretch import sky_sigma
from stronglens.plots.gallery import gallery, picture
from stronglens.simulation.artefacts import artefacts
from stronglens.simulation.classes import GROUP, LENS, REAL, default_shares, scene_classes
from stronglens.simulation.imperfections import Artefacts
from stronglens.simulation.simulated_set import STACK, ObservedBlock
from stronglens.simulation.sky import Sky
from stronglens.simulation.task import Simulate
from stronglens.surveys import Survey, survey, surveys
from stronglens.surveys.colours import equivalent_band, magnitude_offset

FOLDER = Path("docs/images")
SEED = 1
COLUMNS = 5
COLOURS = (160, 128, 96, 64, 48, 32)
"""Colours of a file: as many as its size allows."""
LARGEST = 245_000
"""Largest file [byte]."""
WHITE = ("sbc", 0.2)
"""What looks white: a spiral galaxy at this redshift."""
WIDEST = 72
"""Largest side of a picture; of wider images the middle is shown [pixel]."""
SCENE_SURVEYS = {
    "lsst-y10": ("lsst-i", "LSST i, ten years"),
    "lsst-visit": ("lsst-i", "LSST i, one visit"),
    "euclid-vis": ("euclid-vis", "Euclid VIS"),
    "hst-acs-f814w": ("hst-f814w", "HST ACS F814W"),
}
"""Surveys of the one scene: band and title."""
FIELD = 9.0
"""Side of the one scene [arcsec]: a whole number of pixels of each of the four."""
LEAST_SNR = 150.0
"""Least arc S/N of the one scene in the first of the four."""
SCENE_SIDE = 300
"""Side of its pictures [dots]."""


def main(names: list[str]) -> None:
    """Write the pictures of these names, or all."""
    for name in names or [*surveys.names(), "one_scene"]:
        if name == "one_scene":
            save(one_scene(), FOLDER / "one_scene.png")
        elif name != "lsst-deck":
            save(survey_gallery(survey(name)), FOLDER / f"gallery_{name}.png")


def survey_gallery(seen: Survey) -> Figure:
    """Return a row of pictures for every class of scenes."""
    bands, binning = shown_bands(seen), 2 if seen.bands[0].pixel_scale < 0.05 else 1
    names = [name for name in scene_classes.names() if name != REAL]
    # lenses and groups in their usual proportion: it is that of other classes' groups too
    usual = default_shares()
    shares = dict.fromkeys(names, 1.0) | {LENS: usual[LENS] / usual[GROUP]}
    task = Simulate(
        survey=seen.name, bands=bands, seed=SEED, planes=False, shares=shares
    ).resolved()
    block = task.plan().draw(0, (STACK,))[STACK]
    rows = {}
    for name in names:
        chosen = np.flatnonzero(block.truth["scene_class"] == name)[:COLUMNS]
        label = f"{name} ({scene_classes.get(name).label})"
        rows[label] = pictures(block.images, chosen, white_of(seen, bands), binning, WIDEST)
    width = min(WIDEST, int(task.size or 0) // binning) * binning * seen.bands[0].pixel_scale
    note = f"{' '.join(bands)}, {width:.1f} arcsec wide; 1: lens"
    return gallery(rows, footnote=note)


def shown_bands(seen: Survey) -> tuple[str, ...]:
    """Return three bands from blue to red, g r i where there are such, or the only one."""
    names = [band.name for band in seen.bands]
    visible = [name for name in names if name.rsplit("-", 1)[-1] in {"g", "r", "i"}]
    return tuple(visible if len(visible) == 3 else names[:3] if len(names) >= 3 else names[:1])


def white_of(seen: Survey, bands: tuple[str, ...]) -> np.ndarray:
    """Return the flux in each band of what shall look white, with mean one."""
    names = [equivalent_band(seen.band(name)) for name in bands]
    template, z = WHITE
    flux = 10 ** (-0.4 * np.array([magnitude_offset(template, name, z) for name in names]))
    return flux / flux.mean()


def pictures(
    images: Images, rows: np.ndarray, white: np.ndarray, binning: int = 1, widest: int = 10_000
) -> list[np.ndarray]:
    """Return pictures of some scenes, their pixels binned."""
    shown = []
    for row in rows:
        flux, ivar, mask = binned(images, int(row), binning)
        tensors = (torch.as_tensor(plane[None]) for plane in (flux, ivar, mask))
        # one noise for all bands; of binned pixels it is smaller than the variances say
        noise = float(np.nanmean(sky_sigma(*tensors)[0].numpy())) / binning
        edge = max(0, flux.shape[-1] - widest) // 2
        middle = slice(edge, flux.shape[-1] - edge)
        shown.append(picture(flux, noise * white, mask)[middle, middle])
    return shown


def binned(images: Images, row: int, binning: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flux, ivar and mask of an image, with the mean of binning x binning pixels."""
    planes = [images.flux[row], images.ivar[row], images.mask[row]]
    side = planes[0].shape[-1] // binning
    shape = (-1, side, binning, side, binning)
    cut = [plane[:, : side * binning, : side * binning].reshape(shape) for plane in planes]
    return cut[0].mean((2, 4)), cut[1].mean((2, 4)), cut[2].any((2, 4))


def one_scene() -> Figure:
    """Return one lens as four surveys see it, without artefacts."""
    sky = Sky(prior="sky", theta_e_min=1.2)
    clean = dataclasses.replace(Artefacts(), **dict.fromkeys(artefacts.names(), 0.0))
    base = Simulate(seed=SEED, sky=sky, artefacts=clean, shares={"lens": 1.0}, planes=False)
    shown, row = [], None
    for name, (band, _) in SCENE_SURVEYS.items():
        size = round(FIELD / survey(name).band(band).pixel_scale)
        task = dataclasses.replace(base, survey=name, bands=(band,), size=size)
        block = task.plan().draw(0, (STACK,))[STACK]
        row = clearest(block, band) if row is None else row
        one = pictures(block.images, np.array([row]), np.ones(1))[0]
        nearest = np.arange(SCENE_SIDE) * size // SCENE_SIDE
        shown.append(one[nearest][:, nearest])
    titles = [title for _, title in SCENE_SURVEYS.values()]
    return gallery({"": shown[::-1]}, column_titles=titles[::-1])


def clearest(block: ObservedBlock, band: str) -> int:
    """Return the lens whose arc is brightest beside its deflector, if seen well."""
    truth = block.truth
    brighter = truth[f"mag_deflector_{band}"] - truth[f"mag_arc_{band}"]
    return int(np.where(truth["arc_snr"] > LEAST_SNR, brighter, -np.inf).argmax())


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small file."""
    whole = io.BytesIO()
    figure.savefig(whole, format="png")
    image = Image.open(whole).convert("RGB")
    colours = 0
    for colours in COLOURS:
        palette = image.quantize(colours, kmeans=2)
        few = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        few.save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            break
    size = path.stat().st_size / 1000
    sys.stdout.write(f"{path} {image.size}, {colours} colours, {size:.0f} kB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
