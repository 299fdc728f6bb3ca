"""Where real lenses lie among simulated ones of their survey, feature by feature.

There are too few of them for a classifier.
"""

import dataclasses
import tempfile
import warnings
from pathlib import Path

import numpy as np

from stronglens.data.fits import read_cutouts
from stronglens.evaluation.two_sample import Features, border_rms, features, percentile_ranks
from stronglens.simulation.simulated_set import STACK
from stronglens.simulation.sky import Sky
from stronglens.simulation.task import Simulate
from stronglens.surveys import Survey, survey, write_survey

REAL = Path(__file__).parents[2] / "shared" / "data" / "real"
FAMILIES = ("power", "lag", "concentration", "asymmetry", "colour")
# preset, its files, the name of their bands there, pixel scale, side of the frames
CASES = (
    ("cfhtls", "cfhtls_lenses/[SW]*", {}, 0.186, 41),
    ("ps1", "ps1_lenses/*.fits", {}, 0.25, 41),
    ("euclid-vis", "euclid_q1_lenses/*.fits", {}, 0.1, 61),
    ("hst-acs-f814w", "slacs_hst_development/J*", {"hst-f814w": ""}, 0.05, 81),
)
SLACS = Sky(
    z_lens_min=0.06,
    z_lens_max=0.36,
    sigma_v_min=160.0,
    theta_e_min=0.7,
    theta_e_max=1.8,
    center_scatter=0.025,
)
"""Where spectra of bright galaxies look for lenses (Bolton et al. 2008, ApJ 682, 964), cut out
around their centres to half a pixel."""
OTHERS = {"hst-acs-f814w": {"noise_correlation": 0.18}}
"""What else differs in the cutouts: drops of 0.8 pixel drizzled to pixels of their own size."""


def ranks(
    preset: str, pattern: str, names: dict[str, str], scale: float, side: int, sky: Sky
) -> Features:
    """Percentile ranks of the real cutouts of a survey among its simulated lenses."""
    seen = survey(preset)
    bands = tuple(band.name for band in seen.bands)
    stored = tuple(names.get(name, name) for name in bands)
    few = [_middle(cutout, stored, side) for path in sorted(REAL.glob(pattern))
           for cutout in read_cutouts(path)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "survey.toml"
        write_survey(as_published(seen, scale), file)
        task = Simulate(survey=str(file), size=side, shares={"lens": 1.0}, planes=False, sky=sky)
        images = task.plan().draw(0, (STACK,))[STACK].images
    return percentile_ranks(
        _described(np.stack(few), bands), _described(images.flux.astype(np.float64), bands)
    )


def as_published(seen: Survey, scale: float) -> Survey:
    """The survey with the pixels of the cutouts."""
    changes = {"pixel_scale": scale} | OTHERS.get(seen.name, {})
    bands = tuple(dataclasses.replace(band, **changes) for band in seen.bands)
    return dataclasses.replace(seen, bands=bands)


def _described(flux: np.ndarray, bands: tuple[str, ...]) -> Features:
    return features(flux, border_rms(flux), bands)


def _middle(cutout: object, bands: tuple[str, ...], side: int) -> np.ndarray:
    """The bands in the middle of a cutout, at one zero point where all are known."""
    height, width = cutout.flux.shape[1:]
    rows, columns = (slice(n // 2 - side // 2, n // 2 + side // 2 + 1) for n in (height, width))
    order = [cutout.bands.index(band) for band in bands]
    factor = 10.0 ** (0.4 * (30.0 - np.nan_to_num(cutout.zero_point[order], nan=30.0)))
    return cutout.flux[order, rows, columns].astype(np.float64) * factor[:, None, None]


def rank_table() -> str:
    lines = [
        "Real lenses among 250 simulated ones of their survey (training prior): median rank, and",
        "share of values outside the middle 90 %, which is 0.10 where they are alike.",
        "",
        f"| | lenses | {' | '.join(FAMILIES)} |",
        f"|---|---|{'---|' * len(FAMILIES)}",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [(case[0], (*case, Sky())) for case in CASES]
        cases.append((f"{CASES[-1][0]}, as SLACS", (*CASES[-1], SLACS)))
        for name, case in cases:
            found = ranks(*case)
            n = len(next(iter(found.values())))
            cells = [_cell(found, family) for family in FAMILIES]
            lines.append(f"| {name} | {n} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def _cell(found: Features, family: str) -> str:
    own = [values for name, values in found.items() if name.startswith(family)]
    if not own:
        return ""
    values = np.concatenate(own)
    values = values[np.isfinite(values)]
    outside = np.mean((values < 0.05) | (values > 0.95))
    return f"{np.median(values):.2f}, {outside:.2f}"
