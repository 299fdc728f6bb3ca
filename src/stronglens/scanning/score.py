"""From files to scores: read, choose bands, check, resample, and ask the finder.

The table and the contact sheet made of the scores are in `stronglens.scanning.rank`.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from stronglens.core.errors import StronglensError, WrongShapeError
from stronglens.data.colour_pictures import are_display_values
from stronglens.data.cutout import Cutout, fault
from stronglens.data.fits import object_name
from stronglens.data.objects import read_objects
from stronglens.data.planes import Hints
from stronglens.data.resample import Resampled, Target, field_of, resample
from stronglens.finders.finder import SMALLEST_SIZE, Finder, FinderFacts
from stronglens.scanning.bands import UNNAMED, choose_bands

LEAST_FIELD = 0.5
"""Part of a finder's field, along an axis, that an image must hold to be scored as it is."""


@dataclass(frozen=True)
class ScoreOptions:
    """How files are turned into what the finder sees."""

    hints: Hints
    """What the user knows and files may not say."""
    asked_bands: tuple[str, ...] = ()
    """Bands to use instead of the nearest."""
    pad: float = 0.0
    """Part of the finder's field that an image may lack."""
    batch_size: int = 256
    """Images per pass of the network."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One row of the table of candidates, with the pixels that the finder saw."""

    object_id: str
    """Name of the object."""
    input: str
    """File or folder."""
    reason: str = ""
    """Why it failed, or what had to be assumed."""
    ok: bool = False
    """Whether there is a score."""
    score: float = math.nan
    """Output of the finder, between 0 and 1."""
    p_lens: float = math.nan
    """Probability at the stated prevalence; NaN where the finder is not calibrated."""
    band: str = ""
    """Bands used, separated by commas."""
    ra: float = math.nan
    """Right ascension [deg]."""
    dec: float = math.nan
    """Declination [deg]."""
    pixels: Resampled | None = None
    """Pixels on the finder's grid."""
    finder: str = ""
    """Finder that scored it; "" where none did."""
    threshold: float = math.nan
    """Score above which it is a candidate."""


def prepared(path: Path, finder: Finder, options: ScoreOptions) -> Iterator[Entry]:
    """Entries of one input, ready to be scored or marked as failed; it never raises for bad data.

    Args:
        path: File or folder.
        finder: Finder that will score.
        options: How to read.

    Yields:
        One entry, or one per object of a stack.
    """
    try:
        for cutout in read_objects(path, options.hints):
            yield prepared_cutout(cutout, finder, options)
    except StronglensError as error:
        yield Entry(object_name(path), str(path), reason=str(error))


def prepared_cutout(cutout: Cutout, finder: Finder, options: ScoreOptions) -> Entry:
    """Entry of one cutout, ready to be scored or marked as failed.

    Args:
        cutout: Image of one object.
        finder: Finder that will score.
        options: How its bands are chosen and what may be missing.
    """
    facts = finder.facts
    cutout = _with_scale(cutout, facts)
    target, smaller = _target(facts, cutout)
    entry = Entry(cutout.object_id, cutout.input, ra=cutout.ra, dec=cutout.dec)
    try:
        indices, notes = choose_bands(
            cutout.bands, facts.bands, options.asked_bands, may_lack=facts.takes_missing_bands
        )
        there = [n for n, index in enumerate(indices) if index is not None]
        chosen = cutout.part(tuple(k for k in indices if k is not None), slice(None), slice(None))
        entry = replace(entry, band=",".join(band or UNNAMED for band in chosen.bands))
        _check_pixels(field_of(chosen, target, options.pad))
        pixels = resample(chosen, target).among(len(indices), there)
    except StronglensError as error:
        return replace(entry, reason=str(error))
    remarks = dict.fromkeys((*notes, *smaller, *cutout.remarks, *pixels.remarks))
    return replace(entry, ok=True, reason="; ".join(remarks), pixels=pixels)


def scored(entries: Iterable[Entry], finder: Finder, batch_size: int) -> Iterator[Entry]:
    """Entries with their scores, in the order given.

    Args:
        entries: Entries from `prepared`.
        finder: Finder to ask.
        batch_size: Images per pass.
    """
    stream = iter(entries)
    while batch := list(itertools.islice(stream, batch_size)):
        scores = np.full(len(batch), np.nan)
        # a pass takes images of one size, with a noise map for every one or for none
        alike: dict[tuple[bool, tuple[int, ...]], list[int]] = {}
        for k, entry in enumerate(batch):
            if entry.ok and entry.pixels is not None:
                planes = entry.pixels
                kind = (bool(has_noise(planes.ivar, planes.mask)), planes.flux.shape)
                alike.setdefault(kind, []).append(k)
        for (with_noise, _), rows in alike.items():
            scores[rows] = _scores([batch[k] for k in rows], finder, with_noise=with_noise)
        for entry, score in zip(batch, scores, strict=True):
            yield _with_score(entry, float(score))


def has_noise(
    ivar: Float[np.ndarray, "*n band y x"], mask: Bool[np.ndarray, "*n band y x"]
) -> Bool[np.ndarray, "*n"]:
    """Whether every band that is there has a noise map."""
    known = (ivar > 0).any(axis=(-2, -1)) | mask.all(axis=(-2, -1))
    return np.asarray(known.all(axis=-1))


def _with_scale(cutout: Cutout, facts: FinderFacts) -> Cutout:
    """A picture whose pixel scale nobody states, taken for one of the finder's own, with a remark.

    A finder of pictures was trained on enlarged ones too; an image in flux must state its scale.
    """
    if cutout.pixel_scale > 0 or not are_display_values(facts.bands):
        return cutout
    remark = f'pixel scale not known; taken for {facts.pixel_scale:.3g}" (--pixel-scale says it)'
    return replace(cutout, pixel_scale=facts.pixel_scale, remarks=(*cutout.remarks, remark))


def _target(facts: FinderFacts, cutout: Cutout) -> tuple[Target, tuple[str, ...]]:
    """The finder's grid, or the part of it that a smaller image holds, with a remark."""
    target = Target(facts.height, facts.width, facts.pixel_scale, facts.zero_point)
    if not facts.any_size or not cutout.pixel_scale > 0:
        return target, ()
    ratio = cutout.pixel_scale / facts.pixel_scale
    height, width = (math.floor(n * ratio + 1e-6) for n in (cutout.height, cutout.width))
    held = Target(
        min(height, target.height), min(width, target.width), target.pixel_scale, target.zero_point
    )
    is_smaller = (held.height, held.width) != (target.height, target.width)
    least = max(LEAST_FIELD * min(target.height, target.width), SMALLEST_SIZE)
    if not is_smaller or min(held.height, held.width) < least:
        return target, ()
    side = min(held.height, held.width) * target.pixel_scale
    usual = min(target.height, target.width) * target.pixel_scale
    return held, (
        f'the image holds {side:.1f}" of the {usual:.1f}" that the finder was trained to look at',
    )


def _check_pixels(field: Cutout) -> None:
    """Raise if the pixels that the finder would see cannot be used."""
    reason = fault(field)
    if reason is not None:
        raise WrongShapeError(reason)


def _scores(entries: list[Entry], finder: Finder, *, with_noise: bool) -> np.ndarray:
    pixels = [entry.pixels for entry in entries if entry.pixels is not None]
    ivar = np.stack([p.ivar for p in pixels]) if with_noise else None
    flux, mask = np.stack([p.flux for p in pixels]), np.stack([p.mask for p in pixels])
    return finder.score(flux, ivar, mask, batch_size=len(pixels))


def _with_score(entry: Entry, score: float) -> Entry:
    """Entry with its score; without a finite one it has failed."""
    if not entry.ok or math.isfinite(score):
        return replace(entry, score=score)
    reason = "the finder gave no number for this image. Look at its pixels and its mask."
    return replace(entry, ok=False, reason=reason)
