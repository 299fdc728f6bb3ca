"""Which real pictures there are, how each folder is read, and what is known to be a lens.

Labels come from the README or the labels.csv of each folder; scoring is in `real_pictures_scores`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stronglens.data.fetch_inputs import Entry, list_cutout_inputs
from stronglens.data.label_tables import read_labels
from stronglens.data.planes import Hints
from stronglens.data.tile_sources import TileHints

LENS, OTHER, SIMULATED = 1, 0, "simulated"


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one instrument that are read alike."""

    folder: str
    """Folder below the root, or a pattern for some of its files."""
    instrument: str
    """What took them; the table is split by it."""
    label: int | None = None
    """Label of all of them; None where `labels` or `exceptions` say."""
    labels: tuple[str, ...] = ()
    """Columns of labels.csv, as `stronglens fetch --columns` takes them."""
    exceptions: dict[str, int] = field(default_factory=dict)
    """Label by a part of the object's path."""
    hints: Hints = field(default_factory=Hints)
    """What the files do not say."""
    kind: str = "real"
    """real, semi-real (arcs painted on real galaxies) or simulated."""


SETS = (
    # Space Warps grade 0.3 in the centre of the mini tile: most likely no lens
    PictureSet(
        "cfhtls_lenses", "CFHTLS", LENS, exceptions={"HumVI": OTHER}, hints=Hints(zero_point=30.0)
    ),
    PictureSet(
        "spacewarps_cfhtls_sample", "CFHTLS colour", labels=("label=expert_grade>2",),
        hints=Hints(pixel_scale=0.186),
    ),
    PictureSet("ps1_lenses", "Pan-STARRS1", LENS),
    PictureSet("decals_galaxies", "DECaLS", OTHER),
    # angular scale differs from galaxy to galaxy and is not told; that of the survey is taken
    PictureSet("galaxyzoo_decals_rings", "DECaLS colour", OTHER, hints=Hints(pixel_scale=0.262)),
    PictureSet(
        "hsc_cosmos_blends/*.npz", "HSC", OTHER,
        hints=Hints(pixel_scale=0.168, zero_point=27.0, flags=259),
    ),
    PictureSet("hsc_cosmos_blends/Cut_HSC*.fits", "HSC", OTHER, hints=Hints(zero_point=27.0)),
    PictureSet(
        "holismokes_ix_hsc_mocks/*.fits", "HSC", LENS,
        hints=Hints(pixel_scale=0.168, zero_point=27.0), kind="semi-real",
    ),
    PictureSet(
        "hsc_cosmos_blends/Cut_HST*.fits", "HST", OTHER,
        hints=Hints(zero_point=25.95, bands=("hst-f814w",)),
    ),
    PictureSet(
        "slacs_hst_development", "HST", LENS,
        hints=Hints(pixel_scale=0.05, zero_point=25.95, bands=("hst-f814w",)),
    ),
    PictureSet(
        "hst_jwst_lenses/SDSSJ1430+4105_F814W", "HST", LENS,
        hints=Hints(pixel_scale=0.05, zero_point=25.95),
    ),
    PictureSet("hst_jwst_lenses/COSMOS-Web-ring", "JWST", LENS, hints=Hints(pixel_scale=0.03)),
    PictureSet("euclid_q1_lenses", "Euclid Q1", LENS),
    PictureSet(
        "bologna_challenge_samples_simulated/ground_based", "challenge, ground",
        exceptions={"/lens/": LENS, "/nolens/": OTHER}, kind=SIMULATED,
    ),
    PictureSet(
        "bologna_challenge_samples_simulated/space_based", "challenge, space",
        exceptions={"/lens/": LENS, "/nolens/": OTHER}, kind=SIMULATED,
    ),
)  # fmt: skip
"""Every folder of real pictures but the field of KiDS, which is a tile."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One object with its label."""

    entry: Entry
    """Its pixels, on one grid or several."""
    label: int | None
    """1 lens, 0 not, None where nobody says."""
    of: PictureSet
    """The set it belongs to."""


def missing_folders(root: Path) -> list[str]:
    """Return the folders of which nothing is there."""
    return [one.folder for one in SETS if not list(root.glob(one.folder))]


def read_pictures(root: Path) -> Iterator[Picture]:
    """Objects of every folder that is there; it never raises for bad data."""
    for one in SETS:
        paths = sorted(root.glob(one.folder))
        known = _labels(paths[0] / "labels.csv", one) if paths and one.labels else {}
        tiles = TileHints(pixel_scale=one.hints.pixel_scale, zero_point=one.hints.zero_point)
        for source in list_cutout_inputs(paths, one.hints, tiles):
            for entry in source.entries(0):
                yield Picture(entry, _label(entry, one, known), one)


def _labels(table: Path, one: PictureSet) -> dict[str, int]:
    """Return labels by name of the object, none where there is no table."""
    if not table.is_file():
        return {}
    return {name: int(row.label) for name, row in read_labels(table, one.labels).items()}


def _label(entry: Entry, one: PictureSet, known: dict[str, int]) -> int | None:
    """Return what an object is: by its path, by the table, or as all of its set."""
    for part, label in one.exceptions.items():
        if part in entry.input:
            return label
    return known.get(entry.object_id, one.label)
