"""Sources of a tile: where they are, how bright and how large, which are stars, which are whole.

Which of them serve for what is in `stronglens.data.selection`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import sep
from jaxtyping import Bool, Float32, Float64, Int32
from scipy.ndimage import (
    distance_transform_edt,
    find_objects,
    gaussian_filter1d,
    maximum_filter,
)

from stronglens.core.conventions import magnitude_from_flux
from stronglens.data.filters import nearest_band
from stronglens.data.stretch import MAD_TO_SIGMA
from stronglens.data.tiles import Tile

_MESH = 128
_EDGE = 4
_LOCUS_SNR = 50.0
_STAR_SNR = 20.0
_STEP = 0.01
_KRON = 2.5


@dataclass(frozen=True, eq=False)
class Detections:
    """Sources of one tile; positions count from 0 at the centre of its first pixel."""

    x: Float64[np.ndarray, "source"]
    """Column of the centre [pixel]."""
    y: Float64[np.ndarray, "source"]
    """Row of the centre [pixel]."""
    flux: Float64[np.ndarray, "source band"]
    """Within 2.5 Kron radii, the same in all bands [pixel units]."""
    peak: Float64[np.ndarray, "source band"]
    """Brightest of the 3 x 3 pixels at the centre [pixel units]."""
    snr: Float64[np.ndarray, "source"]
    """Signal to noise of that flux in the sum of all bands, if the noise were white [-]."""
    diameter: Float64[np.ndarray, "source"]
    """Twice the half-light radius in the reference band; NaN where it fails [pixel]."""
    q: Float64[np.ndarray, "source"]
    """Axis ratio of the isophote [-]."""
    is_star_like: Bool[np.ndarray, "source"]
    """Whether the size is that of the stars."""
    is_saturated: Bool[np.ndarray, "source"]
    """Whether the peak is above the saturation of a band."""
    is_edge: Bool[np.ndarray, "source"]
    """Whether bad pixels or the border are within 4 pixels of its pixels."""
    segmentation: Int32[np.ndarray, "y x"]
    """Row of the source plus 1 that a pixel belongs to; 0 where there is none."""
    star_diameter: float
    """Size of the stars in the reference band; NaN where too few are bright [pixel]."""
    bands: tuple[str, ...]
    """Names of the bands."""
    reference: int
    """Index of the band in which sizes are measured."""
    zero_point: Float64[np.ndarray, "band"]
    """Magnitude of one pixel unit [mag AB]."""

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.x)

    def magnitude(self, band: int) -> Float64[np.ndarray, "source"]:
        """Magnitude in a band; infinite where the flux is not positive [mag AB].

        Args:
            band: Index of the band.
        """
        flux = np.maximum(self.flux[:, band], 0.0)
        with np.errstate(divide="ignore"):
            return np.asarray(magnitude_from_flux(flux, float(self.zero_point[band])))

    def sky_mask(self, margin: int) -> Bool[np.ndarray, "y x"]:
        """Pixels of sources and of their surroundings, wider around larger ones.

        Args:
            margin: Pixels added around every source; half its own radius comes on top.
        """
        covered = np.zeros(self.segmentation.shape, bool)
        for label, box in enumerate(find_objects(self.segmentation), start=1):
            if box is None:
                continue
            area = np.count_nonzero(self.segmentation[box] == label)
            reach = margin + round(0.5 * math.sqrt(area / math.pi))
            around = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
            belongs = self.segmentation[around] == label
            covered[around] |= np.asarray(distance_transform_edt(~belongs)) <= reach
        return covered


def without_background(tile: Tile, mesh: int = _MESH) -> Tile:
    """The same tile with the smooth background of each band subtracted.

    Args:
        tile: Any tile; sources need not be masked.
        mesh: Side of the cells in which the background is estimated, larger than any source of
            interest [pixel].

    Reference:
        Bertin & Arnouts 1996, A&AS 117, 393, section 3, by the package sep (Barbary 2016).
    """
    smooth = [
        sep.Background(
            np.ascontiguousarray(flux), mask=np.ascontiguousarray(mask), bw=mesh, bh=mesh
        )
        for flux, mask in zip(tile.flux, tile.mask, strict=True)
    ]
    levels = np.stack([background.back(dtype=np.float32) for background in smooth])
    return replace(tile, flux=np.where(tile.mask, np.float32(0), tile.flux - levels))


def sky_rms(flux: Float32[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"]) -> float:
    """Standard deviation of pixels without the 0.3 % farthest out; 0 where there is no pixel.

    Args:
        flux: Image [pixel units].
        good: Pixels that count.
    """
    values = flux[good].astype(np.float64)
    for _ in range(5):
        if values.size == 0:
            return 0.0
        values = values[np.abs(values - values.mean()) < 4.0 * values.std() + 1e-30]
    return float(values.std())


def detect(tile: Tile, reference: str = "r", threshold: float = 1.5) -> Detections:
    """Find the sources of a tile in the sum of its bands, each divided by its noise.

    Args:
        tile: Tile; its smooth background is subtracted here.
        reference: Band in which sizes are measured, or else the nearest one of the tile.
        threshold: Level of the isophote in the summed bands [standard deviations].

    Reference:
        Bertin & Arnouts 1996, A&AS 117, 393; Barbary 2016, JOSS 1(6), 58 (sep).
    """
    flat = without_background(tile)
    index = nearest_band(reference, tile.bands) or 0
    image = _summed(flat)
    found = _extract(image, tile.is_bad, threshold)
    radius = found.kron_radius(image)
    snr = found.aperture_flux(image, radius) / found.aperture_area(radius) ** 0.5
    diameter = found.half_light_diameter(flat.flux[index])
    is_edge = found.is_near(tile.is_bad)
    is_star_like, locus = _star_like(diameter, snr, found.q, ~is_edge)
    peak = _peaks(flat, found.catalogue)
    return Detections(
        x=found.catalogue["x"].astype(np.float64),
        y=found.catalogue["y"].astype(np.float64),
        flux=np.stack([found.aperture_flux(flux, radius) for flux in flat.flux], axis=1),
        peak=peak,
        snr=snr,
        diameter=diameter,
        q=found.q,
        is_star_like=is_star_like,
        is_saturated=_above_saturation(tile, peak, is_star_like & ~is_edge),
        is_edge=is_edge,
        segmentation=found.segmentation,
        star_diameter=locus,
        bands=tile.bands,
        reference=index,
        zero_point=tile.zero_point,
    )


def star_locus(diameter: Float64[np.ndarray, "source"]) -> tuple[float, float]:
    """Size of the stars among bright sources, and its scatter in ln(size).

    Stars have one size and galaxies many, so the stars are the smallest size at which sources
    crowd: the first peak of the density of ln(size) with 0.4 of the highest.

    Args:
        diameter: Sizes of bright, whole, round sources [pixel].

    Returns:
        Size [pixel] and scatter of its logarithm; NaN where there are fewer than 3 sources.
    """
    sizes = np.log(diameter[np.isfinite(diameter) & (diameter > 1.0)])
    if len(sizes) < 3:
        return math.nan, math.nan
    edges = np.arange(sizes.min() - 0.2, sizes.max() + 0.2, _STEP)
    density = gaussian_filter1d(np.histogram(sizes, edges)[0].astype(float), 0.03 / _STEP)
    is_peak = (density == maximum_filter(density, 9)) & (density >= 0.4 * density.max())
    first = int(np.flatnonzero(is_peak)[0])
    centre = edges[first] + _STEP / 2
    near = sizes[np.abs(sizes - centre) < 0.12]
    middle = float(np.median(near))
    return math.exp(middle), float(MAD_TO_SIGMA * np.median(np.abs(near - middle)))


@dataclass(frozen=True, eq=False)
class _Isophotes:
    """Sources as sep finds them, and what is measured on their isophotes."""

    catalogue: np.ndarray
    segmentation: Int32[np.ndarray, "y x"]

    @property
    def q(self) -> Float64[np.ndarray, "source"]:
        """Axis ratio."""
        return np.clip(self.catalogue["b"] / self.catalogue["a"], 0.0, 1.0)

    @property
    def _others(self) -> dict[str, np.ndarray]:
        """Arguments by which sep leaves other sources out."""
        ids = np.arange(1, len(self.catalogue) + 1, dtype=np.int32)
        return {"seg_id": ids, "segmap": self.segmentation}

    def kron_radius(self, image: np.ndarray) -> Float64[np.ndarray, "source"]:
        """Radius of the flux aperture in units of the isophote's axes."""
        x, y, a, b, theta = (self.catalogue[name] for name in ("x", "y", "a", "b", "theta"))
        kron, _ = sep.kron_radius(image, x, y, a, b, theta, 6.0, **self._others)
        return np.clip(_KRON * np.nan_to_num(kron), 3.5, 15.0)

    def aperture_flux(self, image: np.ndarray, radius: np.ndarray) -> Float64[np.ndarray, "source"]:
        """Flux within ellipses."""
        x, y, a, b, theta = (self.catalogue[name] for name in ("x", "y", "a", "b", "theta"))
        # sep gives angles rounded to a little beyond what it takes
        theta = np.clip(theta, -math.pi / 2, math.pi / 2)
        plane = np.ascontiguousarray(image)
        total, _, _ = sep.sum_ellipse(plane, x, y, a, b, theta, radius, **self._others)
        return np.asarray(total, np.float64)

    def aperture_area(self, radius: np.ndarray) -> Float64[np.ndarray, "source"]:
        """Area of the ellipses [pixel^2]."""
        return math.pi * self.catalogue["a"] * self.catalogue["b"] * radius**2

    def half_light_diameter(self, image: np.ndarray) -> Float64[np.ndarray, "source"]:
        """Twice the radius that holds half of the light; NaN where it cannot be measured."""
        x, y, a = (self.catalogue[name] for name in ("x", "y", "a"))
        plane = np.ascontiguousarray(image)
        radius, _ = sep.flux_radius(plane, x, y, 6.0 * a, 0.5, **self._others)
        return np.where(np.isfinite(radius) & (radius > 0), 2.0 * radius, math.nan)

    def is_near(self, bad: np.ndarray) -> Bool[np.ndarray, "source"]:
        """Sources with a pixel close to a bad one or to the border."""
        padded = np.pad(bad, 1, constant_values=True)
        close: np.ndarray = maximum_filter(padded, 2 * _EDGE + 1)[1:-1, 1:-1].astype(bool)
        touched = np.zeros(len(self.catalogue) + 1, bool)
        touched[np.unique(self.segmentation[close])] = True
        return touched[1:]


def _summed(tile: Tile) -> Float32[np.ndarray, "y x"]:
    """Sum of the bands in units of its noise, 0 where a pixel is bad."""
    noise = np.array([sky_rms(*planes) for planes in zip(tile.flux, ~tile.mask, strict=True)])
    weights = np.divide(1.0, noise, out=np.zeros_like(noise), where=noise > 0)
    n_used = max(int((weights > 0).sum()), 1)
    image = np.tensordot(weights / math.sqrt(n_used), tile.flux, 1)
    return np.where(tile.is_bad, 0.0, image).astype(np.float32)


def _extract(image: np.ndarray, bad: np.ndarray, threshold: float) -> _Isophotes:
    """Sources above a threshold, five pixels or larger."""
    mask = np.ascontiguousarray(bad)
    return _Isophotes(
        *sep.extract(image, threshold, err=1.0, mask=mask, segmentation_map=True, minarea=5)
    )


def _star_like(
    diameter: np.ndarray, snr: np.ndarray, q: np.ndarray, is_whole: np.ndarray
) -> tuple[Bool[np.ndarray, "source"], float]:
    """Sources of the size of the stars, and that size."""
    is_round = q > 0.6
    locus, scatter = star_locus(diameter[(snr > _LOCUS_SNR) & is_whole & is_round])
    with np.errstate(invalid="ignore"):
        distance = np.abs(np.log(diameter / locus))
        is_close = distance < np.clip(3 * scatter, 0.05, 0.15)
    return is_close & (snr > _STAR_SNR) & is_round, locus


def _peaks(tile: Tile, found: np.ndarray) -> Float64[np.ndarray, "source band"]:
    """Brightest of the pixels at the centre, per band."""
    row = np.clip(np.rint(found["y"]).astype(int), 0, tile.height - 1)
    column = np.clip(np.rint(found["x"]).astype(int), 0, tile.width - 1)
    peaks = [maximum_filter(flux, 3)[row, column] for flux in tile.flux]
    return np.stack(peaks, axis=1).astype(np.float64)


def _above_saturation(
    tile: Tile, peak: np.ndarray, is_whole_star: np.ndarray
) -> Bool[np.ndarray, "source"]:
    """Peaks above the level stated, or else above the brightest star that still has a star's size.

    Saturated stars are flatter than the others, so none of them is counted as star-like.
    """
    level = tile.saturation.copy()
    for band in np.flatnonzero(np.isnan(level)):
        level[band] = peak[is_whole_star, band].max(initial=-math.inf)
    level[~np.isfinite(level)] = math.inf
    return np.logical_or.reduce(peak > level, axis=1)
