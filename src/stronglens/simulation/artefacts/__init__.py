"""Artefacts of cameras and coadds: one file each, found by name in the registry `artefacts`."""

from stronglens.simulation.artefacts import (
    background_residuals,
    bad_columns,
    cosmic_rays,
    ghosts,
    masked_regions,
    oversubtraction,
    satellite_trails,
    saturated_stars,
    scattered_light,
)
from stronglens.simulation.artefacts.apply import apply_artefacts
from stronglens.simulation.artefacts.artefact import Artefact, BandFacts, Canvas, Images, artefacts
from stronglens.simulation.artefacts.placed_stars import place_stars

__all__ = [
    "Artefact",
    "BandFacts",
    "Canvas",
    "Images",
    "apply_artefacts",
    "artefacts",
    "background_residuals",
    "bad_columns",
    "cosmic_rays",
    "ghosts",
    "masked_regions",
    "oversubtraction",
    "place_stars",
    "satellite_trails",
    "saturated_stars",
    "scattered_light",
]
