"""Test images of a suite, block by block from their seeds, and the digest that freezes them.

What is drawn is decided in `settings`; scenes of other codes are in `foreign`.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from suites.settings import Arm, Part

from stronglens.core.seeds import numpy_generator
from stronglens.data.layout import ImageFacts, Images
from stronglens.simulation.simulated_set import BLOCK, AbstractSimulatedSet, ObservedBlock
from stronglens.simulation.survey_set import SurveySet
from stronglens.surveys import Survey

TRUTH = ("theta_e", "arc_snr", "arc_snr_collett", "magnification", "is_detectable", "scene_class")
"""Columns of the truth that figures need, besides the label."""


@dataclass(frozen=True)
class Drawer:
    """Draws the blocks of a part."""

    part: Part
    """Which part."""

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return self.part.n // BLOCK

    @cached_property
    def _plan(self) -> AbstractSimulatedSet:
        part = self.part
        if part.simulate is None:
            from suites.foreign import ForeignSet

            return ForeignSet(part.foreign, part.seed)
        plan = part.simulate.plan()
        if part.psf_factor != 1.0 and isinstance(plan, SurveySet):
            return SurveySet(plan.task, blurred(plan.survey, part.psf_factor))
        return plan

    @property
    def facts(self) -> ImageFacts:
        """Bands, pixels and zero point of the images."""
        return self._plan.facts(self.part.variant)

    def draw(self, block: int) -> ObservedBlock:
        """Draw a block of 250 images, counted from the first of the part."""
        part, number = self.part, self.part.first // BLOCK + block
        drawn = self._plan.draw(number, (part.variant,))[part.variant]
        if not part.loses_band:
            return drawn
        return replace(drawn, images=without_a_band(drawn.images, (part.n, number)))


def blurred(survey: Survey, factor: float) -> Survey:
    """Survey with every PSF wider by a factor."""
    bands = tuple(replace(band, psf_fwhm=factor * band.psf_fwhm) for band in survey.bands)
    return replace(survey, bands=bands)


def without_a_band(images: Images, key: tuple[int, int]) -> Images:
    """Images of each of which one band, drawn at random, was never taken."""
    n, n_bands = images.flux.shape[:2]
    lost = numpy_generator(*key, "lost band").integers(n_bands, size=n)
    flux, rows = images.flux.copy(), np.arange(n)
    ivar = np.ones_like(flux) if images.ivar is None else images.ivar.copy()
    mask = np.zeros(flux.shape, bool) if images.mask is None else images.mask.copy()
    flux[rows, lost], ivar[rows, lost], mask[rows, lost] = 0.0, 0.0, True
    return replace(images, flux=flux, ivar=ivar, mask=mask)


def arcs_of(drawn: ObservedBlock) -> tuple[np.ndarray, np.ndarray]:
    """Noiseless arcs (n, band, y, x) of the lenses of a block, and the rows they belong to."""
    rows = np.flatnonzero(np.asarray(drawn.truth["label"]) == 1)
    return drawn.planes["source"][rows], rows


def digest(drawn: ObservedBlock) -> str:
    """Hash of the pixels and labels of a block."""
    label = np.asarray(drawn.truth["label"], np.int8)
    made = hashlib.sha256(np.ascontiguousarray(drawn.images.flux).tobytes())
    made.update(label.tobytes())
    return made.hexdigest()


def truth_of(drawn: ObservedBlock) -> dict[str, np.ndarray]:
    """Label of each image, and what figures need to know of it."""
    n = len(drawn.images.flux)
    columns = {"label": np.asarray(drawn.truth["label"]).astype(np.int64)}
    for name in TRUTH:
        default = np.full(n, "", object) if name == "scene_class" else np.full(n, np.nan)
        columns[name] = np.asarray(drawn.truth.get(name, default))
    columns["is_detectable"] = columns["is_detectable"].astype(float) == 1
    return columns


def drawers_of(arm: Arm) -> dict[str, Drawer]:
    """Drawer of every part of an arm, those of its thresholds with a word in front."""
    tests = {part.name: Drawer(part) for part in arm.parts}
    return tests | {f"thresholds-{part.name}": Drawer(part) for part in arm.calibration}
