"""A finder for each picture, and what it says of it.

The choice is that of `stronglens scan`; where its finder cannot take a picture, because the field
is too small or no filter fits, the next best one does, and the table says so.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from real_pictures_sets import Picture

from stronglens.core.errors import StronglensError
from stronglens.core.weights import load_settings, weights_file
from stronglens.data.cutout import Cutout
from stronglens.data.planes import Hints
from stronglens.finders.calibrate import Calibration
from stronglens.finders.finder import Finder, finder_facts, load_finder
from stronglens.finders.shipped import ShippedFinder, choose_finder, shipped_finders
from stronglens.scanning.score import Entry, ScoreOptions, prepared_cutout, scored

PREVALENCE = 1e-3
"""Lenses over all objects, for which probabilities are given."""
_OPTIONS = ScoreOptions(Hints(), pad=0.3)


@dataclass(frozen=True, eq=False)
class Verdict:
    """A picture and what was said of it."""

    picture: Picture
    """The picture."""
    finder: str = ""
    """Name of the finder that scored it; "" where none could."""
    score: float = math.nan
    """Sigmoid of its logit."""
    log_odds: float = math.nan
    """Calibrated for PREVALENCE where the finder is, else NaN."""
    remark: str = ""
    """Why there is no score, or why the finder is not the one that scan would take."""
    assumed: str = ""
    """What had to be assumed while reading."""
    seen: Entry | None = None
    """Pixels that the finder saw."""

    @property
    def p_lens(self) -> float:
        """Probability at PREVALENCE; NaN where the finder is not calibrated."""
        return 1 / (1 + math.exp(-self.log_odds)) if math.isfinite(self.log_odds) else math.nan

    @property
    def rank(self) -> float:
        """What pictures are sorted by: log-odds at equal numbers, or those of the score."""
        if math.isfinite(self.log_odds):
            return self.log_odds - math.log(PREVALENCE / (1 - PREVALENCE))
        if not math.isfinite(self.score):
            return math.nan
        return math.log(max(self.score, 1e-12) / max(1 - self.score, 1e-12))


@dataclass
class Panel:
    """Finders to choose from, each loaded once."""

    finders: list[ShippedFinder]
    """What there is."""
    loaded: dict[str, Finder] = field(default_factory=dict)
    """What was needed so far."""

    def load(self, one: ShippedFinder) -> Finder:
        """Return a finder that works."""
        if one.name not in self.loaded:
            self.loaded[one.name] = load_finder(one.path)
        return self.loaded[one.name]

    def suited(self, cutout: Cutout) -> Iterable[tuple[ShippedFinder, str]]:
        """Finders for a cutout, the best first, with a remark on those that are makeshifts."""
        scale = cutout.pixel_scale if cutout.pixel_scale > 0 else None
        left, remark = list(self.finders), ""
        while left:
            try:
                chosen, _ = choose_finder(cutout.bands, scale, left)
            except StronglensError:
                break
            yield chosen, remark
            left.remove(chosen)
            remark = "not the first choice of scan"
        single = [one for one in left if len(one.facts.bands) == 1 and len(cutout.bands) == 1]
        for one in sorted(single, key=lambda f: abs(math.log(f.facts.pixel_scale / (scale or 1)))):
            yield one, "no finder of these bands: scan asks for --finder"


def panel_of(weights: Path | None, named: Sequence[str]) -> Panel:
    """Finders of a folder, those named NAME=PATH, or those that come with the package.

    Args:
        weights: Folder with .safetensors files.
        named: Finders with a name in front.
    """
    given = dict(text.split("=", 1) for text in named)
    if weights is not None:
        given |= {file.stem: str(file) for file in sorted(weights.glob("*.safetensors"))}
    if not given:
        return Panel(shipped_finders())
    finders = []
    for name, path in given.items():
        file = weights_file(Path(path), "finder", "train")
        finders.append(ShippedFinder(name, file, finder_facts(load_settings(file)), {}))
    return Panel(finders)


def judge(picture: Picture, panel: Panel) -> Verdict:
    """Score a picture with the first finder that can take it."""
    entry = picture.entry
    reasons = [entry.reason] if entry.status != "ok" else []
    for cutout in entry.cutouts:
        for one, remark in panel.suited(cutout):
            finder = panel.load(one)
            first = next(iter(scored([prepared_cutout(cutout, finder, _OPTIONS)], finder, 1)))
            if first.ok:
                return Verdict(
                    picture, one.name, first.score, _log_odds(finder, first.score), remark,
                    first.reason, replace(first, finder=one.name),
                )  # fmt: skip
            reasons.append(f"{one.name}: {first.reason}")
    return Verdict(picture, remark=reasons[0] if reasons else "no finder suits its bands")


def _log_odds(finder: Finder, score: float) -> float:
    """Calibrated log-odds at PREVALENCE; NaN where the finder is not calibrated."""
    record = finder.facts.calibration
    if record is None:
        return math.nan
    logit = np.array([math.log(max(score, 1e-12) / max(1 - score, 1e-12))])
    return float(Calibration.from_record(record).log_odds(logit, PREVALENCE)[0])
