"""The truth of a block of a survey preset: what was drawn, and how well it can be seen."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.data.splits import split_of_groups
from stronglens.simulation.camera import AbstractCamera, View
from stronglens.simulation.cast import Cast
from stronglens.simulation.detectability import (
    LensFacts,
    arc_snr,
    arc_snr_collett,
    is_detectable,
    is_discoverable,
)
from stronglens.simulation.population import ellipticities
from stronglens.simulation.relations import Columns
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.tuning import Brightness

PLANES = ("noise", "noiseless", "source", "deflector_light")
"""Names of the aligned planes."""
_OF_LENSES = ("theta_e", "q", "phi", "slope", "gamma1", "gamma2", "z_source", "r_eff_source")


@dataclass(frozen=True)
class Planes:
    """Noiseless images of a block, PSF and pixels included [pixel units]."""

    source: Float[Tensor, "n band y x"]
    """Lensed source, or what stands for it where there is no lens."""
    deflector: Float[Tensor, "n band y x"]
    """Light of the deflector, members of its group included."""
    surroundings: Float[Tensor, "n band y x"]
    """Everything else."""

    @property
    def noiseless(self) -> Float[Tensor, "n band y x"]:
        """The whole image."""
        return self.source + self.deflector + self.surroundings

    def named(self, flux: Float[Tensor, "n band y x"]) -> dict[str, np.ndarray]:
        """Return the planes of a dataset by name.

        Args:
            flux: The noisy images, artefacts included.
        """
        noiseless = self.noiseless
        planes = (flux - noiseless, noiseless, self.source, self.deflector)
        return {name: plane.numpy() for name, plane in zip(PLANES, planes, strict=True)}


@dataclass(frozen=True)
class Known:
    """What is known of a block when its images are made."""

    camera: AbstractCamera
    """Bands and noise."""
    cast: Cast
    """Who is in it."""
    bright: Brightness
    """How bright the arcs are."""
    arc_flux: Float[Tensor, "n band"]
    """Flux of the arcs of the sources as drawn [pixel units]."""

    def columns(self, key: tuple[int, int], view: View, planes: Planes) -> Columns:
        """Return the columns of the truth table, NaN where they do not apply.

        Args:
            key: Seed of the dataset and number of the block.
            view: How the block was seen.
            planes: Its noiseless images.
        """
        cast, seed = self.cast, key[0]
        index = np.arange(key[1] * BLOCK, (key[1] + 1) * BLOCK)
        group_id = np.array([f"scene-{seed}-{i:08d}" for i in index])
        columns: Columns = {
            "object_id": np.array([f"sim-{seed}-{i:08d}" for i in index]),
            "group_id": group_id,
            "split": split_of_groups(group_id),
            "label": cast.label.astype(np.int64),
            "scene_class": cast.scene_class,
            "in_group": cast.in_group,
            "weight": np.where(cast.label, self.bright.weight, np.nan),
            "x_center": cast.center[0],
            "y_center": cast.center[1],
        }
        columns |= {name: cast.hosts[name] for name in ("sigma_v", "z_lens", "r_eff_deflector")}
        columns |= self._lenses() | self._magnitudes(view, planes)
        # what the camera knows goes last: patches of real sky have groups and splits of their own
        return columns | self._visibility(view, planes) | view.truth

    def _lenses(self) -> Columns:
        """Return what only lenses have."""
        cast = self.cast
        own = {name: cast.lensed[name] for name in _OF_LENSES} | ellipticities(cast.lensed)
        own |= {
            "x_source": cast.lensed["x_source"] + cast.center[0],
            "y_source": cast.lensed["y_source"] + cast.center[1],
            "mag_source": self.bright.mag_i,
        }
        drawn = {name: np.where(cast.label, values, np.nan) for name, values in own.items()}
        return drawn | {"magnification": self._magnification()}

    def _magnification(self) -> Float[np.ndarray, " n"]:
        total = (self.arc_flux.sum(dim=1) / self.cast.source_flux().sum(dim=1)).double().numpy()
        return np.where(self.cast.label, total, 1.0)

    def _magnitudes(self, view: View, planes: Planes) -> Columns:
        """Return magnitudes inside the frame, and PSF widths, by band."""
        columns: Columns = {"psf_fwhm": view.psf_fwhm.min(axis=1)}
        for k, band in enumerate(self.camera.bands):
            for name, plane in (("deflector", planes.deflector), ("arc", planes.source)):
                flux = plane[:, k].sum(dim=(1, 2)).double().numpy()
                with np.errstate(divide="ignore", invalid="ignore"):
                    mag = self.camera.zero_point - 2.5 * np.log10(flux)
                columns[f"mag_{name}_{band.name}"] = np.where(flux > 0, mag, np.nan)
            columns[f"psf_fwhm_{band.name}"] = view.psf_fwhm[:, k]
        return columns

    def _visibility(self, view: View, planes: Planes) -> Columns:
        """Return arc S/N in the best band and the flags made from it."""
        label = self.cast.label
        arc = planes.source
        ivar = self.camera.variance(arc + planes.deflector, view).reciprocal()
        clean = self.camera.variance(planes.deflector, view).reciprocal()
        snr = torch.stack([arc_snr(arc[:, k], ivar[:, k]) for k in range(arc.shape[1])], dim=1)
        best = snr.argmax(dim=1)
        chosen = torch.arange(len(best)), best
        collett = arc_snr_collett(arc[chosen], ivar[chosen]).double()
        facts = self._facts(view, best)
        seen = is_detectable(arc[chosen], clean[chosen], facts.magnification).numpy()
        names = np.array([band.name for band in self.camera.bands])
        return {
            "arc_snr_band": np.where(label, names[best.numpy()], ""),
            "arc_snr": np.where(label, snr[chosen].double().numpy(), np.nan),
            "arc_snr_collett": np.where(label, collett.numpy(), np.nan),
            "is_detectable": seen & label,
            "is_discoverable": is_discoverable(collett, facts).numpy() & label,
        }

    def _facts(self, view: View, best: Tensor) -> LensFacts:
        lensed = self.cast.lensed
        offset = np.hypot(lensed["x_source"], lensed["y_source"])
        width = view.psf_fwhm[np.arange(len(best)), best.numpy()]
        return LensFacts(
            theta_e=torch.as_tensor(lensed["theta_e"]),
            source_offset=torch.as_tensor(offset),
            r_eff_source=torch.as_tensor(lensed["r_eff_source"]),
            magnification=torch.as_tensor(self._magnification()),
            psf_fwhm=torch.as_tensor(width),
        )
