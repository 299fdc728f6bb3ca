"""The set of the survey presets: lenses, groups and look-alikes as a survey's coadd shows them.

A block is drawn in this order: who is in it, the arcs, what look-alikes make of arcs, the rest of
the frame, the noise, the artefacts.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.seeds import numpy_generator
from stronglens.data.layout import ImageFacts, Images
from stronglens.simulation import truth
from stronglens.simulation.artefacts import Images as Exposures
from stronglens.simulation.artefacts import apply_artefacts, place_stars
from stronglens.simulation.camera import AbstractCamera, View
from stronglens.simulation.cast import Cast, Frame, draw_cast, draw_classes
from stronglens.simulation.companions import ImageTable, separate_images
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.kernels import build_kernels, has_compiler
from stronglens.simulation.lookalikes import bright_star, draw_look_alikes
from stronglens.simulation.render import Grid
from stronglens.simulation.simulated_set import BLOCK, STACK, AbstractSimulatedSet, ObservedBlock
from stronglens.simulation.stamp_sources import open_shelf
from stronglens.simulation.survey_camera import SurveyCamera
from stronglens.simulation.telescope import Telescope, deflector_layers
from stronglens.simulation.tile_camera import open_tile_camera
from stronglens.simulation.truth import Planes
from stronglens.simulation.tuning import tune_brightness
from stronglens.surveys import Survey
from stronglens.surveys.colours import equivalent_band

if TYPE_CHECKING:
    from stronglens.simulation.task import Simulate

ZERO_POINT = 30.0
"""Magnitude of one pixel unit in every band of the survey presets [mag AB]."""
_PADDING_WIDTHS = 2.5  # padding around the frame, in median PSF widths


@dataclass(frozen=True)
class _Arcs:
    """Lensed sources of a block, as bright as they were drawn."""

    observed: Float[Tensor, "n band y x"]
    """Noiseless images [pixel units]."""
    flux: Float[Tensor, "n band"]
    """Flux before the PSF, in the frame and its padding [pixel units]."""
    images: ImageTable
    """Images of each source, whose fluxes add up to one."""


@dataclass(frozen=True)
class SurveySet(AbstractSimulatedSet):
    """Lenses and look-alikes in the bands of a survey."""

    task: "Simulate"
    """The task, resolved."""
    survey: Survey
    """The survey."""
    variants: tuple[str, ...] = (STACK,)
    """Kinds of images made of each scene."""

    @property
    def planes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the aligned planes."""
        return truth.PLANES if self.task.planes else ()

    @cached_property
    def camera(self) -> AbstractCamera:
        """The survey's camera, or the user's own images."""
        if self.task.canvas.tile is not None:
            return open_tile_camera(
                self.task.canvas,
                self.survey,
                int(self.task.size or 0),
                ZERO_POINT,
                self.task.bands,
            )
        names = self.task.bands or tuple(band.name for band in self.survey.bands)
        bands = tuple(self.survey.band(name) for name in names)
        jitter = self.task.jitter if self.task.sky.prior == "training" else None
        return SurveyCamera(self.survey, bands, ZERO_POINT, jitter)

    @cached_property
    def grid(self) -> Grid:
        """The frame rendered on."""
        bands, size = self.camera.bands, int(self.task.size or 0)
        scale = bands[0].pixel_scale
        padding = int(np.ceil(_PADDING_WIDTHS * max(band.psf_fwhm for band in bands) / scale))
        return Grid(size, size, scale, int(self.task.oversample or 1), padding)

    @cached_property
    def filters(self) -> Filters:
        """Bands as colours know them."""
        names = tuple(equivalent_band(band) for band in self.camera.bands)
        sharpest = min(band.psf_fwhm for band in self.camera.bands)
        folder = self.task.sky.stamps
        stamps = None if folder is None else open_shelf(folder)
        return Filters(names, ZERO_POINT, 0.5 * self.grid.fine_scale, sharpest, stamps)

    def facts(self, variant: str) -> ImageFacts:
        """Return what all images share."""
        bands, size = self.camera.bands, int(self.task.size or 0)
        scale = bands[0].pixel_scale
        exposures = ", ".join(f"{b.n_exposures} x {b.exposure_time:g} s in {b.name}" for b in bands)
        return ImageFacts(
            bands=tuple(band.name for band in bands),
            pixel_scale=scale,
            zero_point=ZERO_POINT,
            height=size,
            width=size,
            grid=f"{scale:g}arcsec",
            unit=f"AB flux with zero point {ZERO_POINT:g} (mean of {exposures})",
        )

    def provenance(self, variant: str) -> dict[str, Any]:
        """Return how the images were made."""
        return {
            "seed": self.task.seed,
            "settings": self.task.to_dict(),
            "variant": variant,
            "survey": dataclasses.asdict(self.survey),
        }

    def draw(self, block: int, variants: Sequence[str]) -> dict[str, ObservedBlock]:
        """Draw, render and observe the 250 scenes of a block."""
        task, camera, key = self.task, self.camera, (self.task.seed, block)
        half_width = 0.5 * self.grid.height * self.grid.pixel_scale
        frame = Frame(self.filters, half_width, camera.is_real)
        sky = dataclasses.replace(task.sky, theta_e_min=self._theta_e_min())
        scene_class = draw_classes(task.shares, key, is_real=camera.is_real)
        with torch.inference_mode():
            view = camera.draw_view(task.seed, block, scene_class)
            cast = draw_cast(sky, frame, scene_class, view, key)
            telescope = self._telescope(view)
            arcs = self._arcs(cast, telescope)
            deflector = telescope.picture([*deflector_layers(cast.deflectors), *cast.members])
            without = camera.variance(deflector, view)
            with_arc = camera.variance(deflector + arcs.observed, view)
            bright = tune_brightness(sky, cast.lensed, arcs.observed, (without, with_arc), key)
            stage = (arcs.images, arcs.flux * bright.factor[:, None], self.filters)
            extras, replaced = draw_look_alikes(cast, stage, key)
            source = arcs.observed * bright.factor[:, None, None, None]
            source[torch.as_tensor(~cast.label)] = 0.0
            light, surroundings = (telescope.picture(one) for one in (extras, cast.surroundings))
            unseen = replaced | view.has_host | (not task.deflector_light)
            deflector[torch.as_tensor(unseen)] = 0.0
            planes = Planes(source + light, deflector, surroundings)
            seen = self._observed(planes, telescope, block)
            seen, events = self._with_artefacts(seen, cast, block)
        columns = truth.Known(camera, cast, bright, arcs.flux).columns(key, view, planes)
        columns |= {name: values.numpy() for name, values in events.items()}
        images = Images(seen.flux.numpy(), seen.ivar.numpy(), seen.mask.numpy(), seen.psf.numpy())
        drawn = ObservedBlock(images, columns, planes.named(seen.flux) if self.planes else {})
        return dict.fromkeys(variants, drawn)

    def _theta_e_min(self) -> float:
        """Half of the sharpest PSF width unless settings say otherwise [arcsec]."""
        least = max(0.5 * self.filters.sharpest, 1.5 * self.grid.pixel_scale)
        return self.task.sky.theta_e_min or least

    def _telescope(self, view: View) -> Telescope:
        kernels = build_kernels() if has_compiler() else None
        return Telescope(self.grid, self.camera, view, BLOCK, kernels)

    def _arcs(self, cast: Cast, telescope: Telescope) -> _Arcs:
        """Render all lensed sources, those that look-alikes take after too."""
        scenes = telescope.scenes(cast.sources, cast.lenses)
        # one band is enough for the table: all images of a source have its colours
        brightest = int(cast.source_flux().sum(dim=0).argmax())
        seen, fluxes, tables = [], [], []
        for part, (start, stop) in enumerate(telescope.parts()):
            # lenses need no table
            rows = np.flatnonzero(~cast.label[start:stop])
            drawn = scenes.draw(start, stop, rows.tolist(), brightest)
            seen.append(telescope.see(drawn, part))
            fluxes.append(drawn.flux)
            tables.append(separate_images(drawn.kept, self.grid).spread(rows, stop - start))
        return _Arcs(torch.cat(seen), torch.cat(fluxes), ImageTable.joined(tables).normalised())

    def _observed(self, planes: Planes, telescope: Telescope, block: int) -> Exposures:
        """Add noise and saturation, and mark what is bad."""
        camera, view, noiseless = self.camera, telescope.view, planes.noiseless
        flux = noiseless + camera.noise(noiseless, view, (self.task.seed, block))
        bad = torch.as_tensor(view.bad).expand_as(flux)
        wells = [fact.full_well / fact.gain for fact in camera.facts()]
        full = torch.tensor(wells, dtype=flux.dtype)[:, None, None]
        mask = bad if camera.is_real else bad | (noiseless > full)
        flux = flux if camera.is_real else flux.minimum(full)
        ivar = camera.variance(noiseless, view).reciprocal().masked_fill(mask, 0.0)
        return Exposures(flux.masked_fill(bad, 0.0), ivar, mask, telescope.psf)

    def _with_artefacts(
        self, seen: Exposures, cast: Cast, block: int
    ) -> tuple[Exposures, dict[str, Tensor]]:
        """Put stars in the middle of the images of their class, and artefacts on simulated ones."""
        seed, facts, settings = self.task.seed, self.camera.facts(), self.task.artefacts
        events: dict[str, Tensor] = {}
        if not self.camera.is_real:
            rng = numpy_generator(seed, "artefacts", block)
            seen, events = apply_artefacts(seen, settings, facts, rng)
        rows = np.flatnonzero(cast.scene_class == bright_star.NAME)
        place = cast.center / self.grid.pixel_scale
        at = {int(row): (float(place[0, row]), float(place[1, row])) for row in rows}
        rng = numpy_generator(seed, "bright stars", block)
        return place_stars(seen, at, settings, facts, rng), events
