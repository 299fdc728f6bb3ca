"""FITS cutouts of every common layout, read into one record per object.

Layouts: one file per band, extensions per band, cubes of bands, stacks of objects, folders of
image, noise and PSF; plain or compressed. Where which piece lies is found in `data.parts`; what a
header says in `data.headers`; the pixels of one band are put together in `data.planes`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stronglens.core.errors import UnreadableFileError, WrongShapeError
from stronglens.data.companions import Companions
from stronglens.data.cutout import Cutout, stack_kernels
from stronglens.data.filters import filter_in, nearest_band
from stronglens.data.headers import Astrometry
from stronglens.data.inputs import object_files
from stronglens.data.parts import Part, read_folder_parts, read_parts, role_of, stem
from stronglens.data.planes import (
    Hints,
    Plane,
    Source,
    build_plane,
    cube_bands,
    name_band,
)

_GENERIC_NAMES = ("image", "data", "sci", "science", "cutout", "flux")
_CHANNELS = 6
_MAX_ELONGATION = 1.05


def read_cutouts(path: Path | str, hints: Hints | None = None) -> Iterator[Cutout]:
    """Objects in a FITS file, or in a folder that holds one object.

    A file or folder is one object, except where an array has more axes than bands explain: four, or
    three with planes that are no bands. That is a stack, and each entry is an object.

    Args:
        path: File, or folder with the files of one object.
        hints: What is known and may not stand in the files.

    Yields:
        One cutout per object.

    Raises:
        MissingDataError: There is no such file, or the folder holds no FITS file.
        UnreadableFileError: Empty, truncated, not FITS, or without an image.
        WrongShapeError: Arrays that do not belong together.
    """
    for cutout, *others in read_grids(path, hints):
        left = [
            f"{band or '?'} ({other.height}x{other.width})"
            for other in others
            for band in other.bands
        ]
        note = (f"other pixel grids left out: {', '.join(left)}",) if left else ()
        yield replace(cutout, remarks=(*cutout.remarks, *note))


def read_grids(path: Path | str, hints: Hints | None = None) -> Iterator[tuple[Cutout, ...]]:
    """Objects in a FITS file or folder as in `read_cutouts`, one cutout per pixel grid.

    Args:
        path: File, or folder with the files of one object.
        hints: What is known and may not stand in the files.

    Yields:
        The cutouts of one object: first that of the band wanted, or else of the first band.

    Raises:
        MissingDataError: There is no such file, or the folder holds no FITS file.
        UnreadableFileError: Empty, truncated, not FITS, or without an image.
        WrongShapeError: Arrays that do not belong together.
    """
    path = Path(path)
    hints = hints or Hints()
    if path.is_dir():
        parts = read_folder_parts(object_files(path))
    else:
        _check_name(path)
        parts = read_parts(path)
    names = (stem(path) if path.is_file() else path.name, path.absolute().parent.name)
    images = [_bands_first(part) for part in parts if part.role == "image"]
    if not images:
        roles = ", ".join(sorted({part.role for part in parts}))
        raise UnreadableFileError(f"'{path}' holds no image, only: {roles}. Add the image itself.")
    reader = _Reader(str(path), names, hints)
    companions = [part for part in parts if part.role not in ("image", "other")]
    left_out = [part.name for part in parts if part.role == "other"]
    remarks = (f"left out: {', '.join(left_out)}",) if left_out else ()
    yield from reader.objects(images, companions, remarks)


def object_name(path: Path) -> str:
    """Name of the object in a file or folder; the parent's is added where it says too little."""
    name = path.name if path.is_dir() else stem(path)
    parent = path.absolute().parent.name
    if name.lower() in _GENERIC_NAMES:
        return parent
    words = name.replace("-", "_").split("_")
    is_band = len(words) == 1 and filter_in([name]) != ""
    return f"{parent}_{name}" if is_band and parent else name


class _Reader:
    """Turns parts into cutouts; holds what is common to one input.

    Args:
        source: The input as the user wrote it.
        names: Name of the file or folder, and of the folder above.
        hints: What the user knows.
    """

    def __init__(self, source: str, names: tuple[str, ...], hints: Hints) -> None:
        self.source = source
        self.names = names
        self.hints = hints
        self.object_id = object_name(Path(source))

    def objects(
        self, images: Sequence[Part], companions: Sequence[Part], remarks: tuple[str, ...]
    ) -> Iterator[tuple[Cutout, ...]]:
        """Cutouts of one object, or of each entry of a stack."""
        first = images[0]
        if len(images) > 1 or not self._is_stack(first):
            yield self._cutouts(images, companions, remarks)
            return
        n = len(first.data)
        for index in range(n):
            entry = _bands_first(replace(first, data=first.data[index]))
            its = [_entry(part, index, first.data) for part in companions]
            grids = self._cutouts([entry], its, (*remarks, f"read as a stack of {n} objects"))
            name = f"{self.object_id}_{index:0{len(str(n - 1))}d}"
            yield tuple(replace(cutout, object_id=name) for cutout in grids)

    def _is_stack(self, image: Part) -> bool:
        if image.data.ndim == 3:
            return cube_bands(image, self.names, self.hints) is None
        return image.data.ndim == 4

    def _cutouts(
        self, images: Sequence[Part], companions: Sequence[Part], remarks: tuple[str, ...]
    ) -> tuple[Cutout, ...]:
        """Cutouts of all bands, one per pixel grid, that of the band wanted first."""
        planes = [
            plane
            for image in images
            for plane in self._planes(Source(image, _companions_of(image, images, companions)))
        ]
        return tuple(
            self._stacked(group, (*remarks, *_notes(group)))
            for group in _by_grid(self._named(planes), self.hints)
        )

    def _planes(self, source: Source) -> list[Plane]:
        image = source.image
        if image.data.ndim == 2:
            band = name_band(image, "", self.names)
            return [build_plane(image.data, band, source, None, self.hints)]
        n = image.data.shape[0]
        filters = cube_bands(image, self.names, self.hints) or ("",) * min(n, _CHANNELS)
        if image.data.ndim > 3 or len(filters) != n:
            raise WrongShapeError(
                f"'{self.source}' has an image of shape {image.data.shape}; allowed are (y, x), "
                "(band, y, x), and stacks of these alone in their file. Split the file."
            )
        bands = [name_band(image, f, self.names) if f else "" for f in filters]
        return [
            build_plane(image.data[k], band, source, k, self.hints) for k, band in enumerate(bands)
        ]

    def _named(self, planes: list[Plane]) -> list[Plane]:
        """Planes with the user's bands where none is stated, without those that come twice."""
        if len(self.hints.bands) == len(planes) and not any(plane.band for plane in planes):
            planes = [
                replace(plane, band=band)
                for plane, band in zip(planes, self.hints.bands, strict=True)
            ]
        kept: dict[str, Plane] = {}
        for index, plane in enumerate(planes):
            key = plane.band or f"unnamed {index}"
            if key in kept:
                note = f"second image of band {plane.band} left out"
                kept[key] = replace(kept[key], remarks=(*kept[key].remarks, note))
            else:
                kept[key] = plane
        return list(kept.values())

    def _stacked(self, planes: Sequence[Plane], remarks: tuple[str, ...]) -> Cutout:
        sky = next((p.sky for p in planes if math.isfinite(p.sky.ra)), planes[0].sky)
        _check_square(self.source, sky)
        scale = planes[0].sky.pixel_scale
        if not math.isfinite(scale) and self.hints.pixel_scale is not None:
            scale = self.hints.pixel_scale
        default = math.nan if self.hints.zero_point is None else self.hints.zero_point
        zero_points = [p.zero_point if math.isfinite(p.zero_point) else default for p in planes]
        return Cutout(
            flux=np.stack([plane.flux for plane in planes]),
            ivar=np.stack([plane.ivar for plane in planes]),
            mask=np.stack([plane.mask for plane in planes]),
            bands=tuple(plane.band for plane in planes),
            zero_point=np.array(zero_points, dtype=np.float64),
            pixel_scale=scale,
            object_id=self.object_id,
            input=self.source,
            psf=stack_kernels([plane.psf for plane in planes]),
            ra=sky.ra,
            dec=sky.dec,
            remarks=remarks,
        )


def _check_name(path: Path) -> None:
    """Refuse a file whose name says that it is a PSF, a noise map or a mask."""
    role = role_of(stem(path), anywhere=False)
    if path.is_file() and role not in (None, "image", "other"):
        raise UnreadableFileError(
            f"'{path}' is by its name not an image but a {role} that belongs to one. Give the "
            "image, or the folder that holds both."
        )


def _bands_first(part: Part) -> Part:
    """Part with the bands before the pixels, where they came last."""
    shape = part.data.shape
    if len(shape) > 2 and shape[-1] <= _CHANNELS < min(shape[-2], shape[-3]):
        return replace(part, data=np.moveaxis(part.data, -1, -3))
    return part


def _entry(part: Part, index: int, stack: np.ndarray) -> Part:
    """One entry of a companion that is a stack like the images."""
    is_stack = part.data.ndim == stack.ndim and len(part.data) == len(stack)
    return replace(part, data=part.data[index]) if is_stack else part


def _companions_of(image: Part, images: Sequence[Part], companions: Sequence[Part]) -> Companions:
    """Companions of one image: of the same key, or of none, or all where it is the only image."""
    same = [part for part in companions if part.key == image.key]
    common = [part for part in companions if part.key == "" and part not in same]
    rest = [part for part in companions if part not in [*same, *common]] if len(images) == 1 else []
    return Companions((*same, *common, *rest))


def _notes(planes: Sequence[Plane]) -> tuple[str, ...]:
    """Remarks on several planes, each once."""
    return tuple(dict.fromkeys(note for plane in planes for note in plane.remarks))


def _by_grid(planes: list[Plane], hints: Hints) -> list[list[Plane]]:
    """Planes of each pixel grid, that of the band wanted first."""
    bands = [plane.band for plane in planes]
    nearest = [nearest_band(band, bands) for band in hints.wanted]
    index = next((k for k in nearest if k is not None), 0)
    grids = dict.fromkeys([planes[index].grid, *(plane.grid for plane in planes)])
    return [[plane for plane in planes if plane.grid == grid] for grid in grids]


def _check_square(source: str, sky: Astrometry) -> None:
    if sky.elongation > _MAX_ELONGATION:
        raise WrongShapeError(
            f"'{source}' has pixels {sky.elongation:.2f} times longer than wide; allowed is up to "
            f"{_MAX_ELONGATION:g}. Resample the image to square pixels."
        )
