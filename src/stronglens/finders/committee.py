"""A committee: several finders of the same images that work as one finder.

The module inside is in `members.py`; weights are found in `stronglens.training.combination`.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.finders.calibrate import Calibration
from stronglens.finders.finder import Finder, FinderFacts
from stronglens.finders.members import (
    COMMITTEE,
    BetaMap,
    Combination,
    CommitteeNetwork,
    SideBySide,
)
from stronglens.finders.networks import Architecture
from stronglens.finders.normalise import normalisation_settings

_SCALE_TOLERANCE = 0.01
_ZERO_POINT_TOLERANCE = 0.01


def committee_of(
    finders: Sequence[Finder],
    calibrations: Sequence[Calibration],
    combination: Combination,
    *,
    names: Sequence[str] = (),
) -> Finder:
    """Join finders into one whose logit is the combined log-odds; it is saved and loaded like any.

    Args:
        finders: The members, networks or not, all of the same bands and pixels.
        calibrations: Map from the logits of each member to log-odds.
        combination: What becomes of the log-odds.
        names: What to call the members; their networks' names by default.

    Returns:
        The committee.

    Raises:
        WrongShapeError: Members were made for different images.
        OutOfRangeError: There are fewer than two members, or one is a committee itself.
    """
    check_members(finders, names)
    maps = [BetaMap.of(calibration) for calibration in calibrations]
    called = names or [finder.facts.network for finder in finders]
    members = [
        {
            "name": name,
            "facts": asdict(replace(finder.facts, calibration=None, abstention=None)),
            "normalisation": normalisation_settings(finder.normalisation),
            "map": asdict(one),
        }
        for name, finder, one in zip(called, finders, maps, strict=True)
    ]
    record = {"members": members, "combination": asdict(combination)}
    network = CommitteeNetwork(
        [finder.network for finder in finders],
        [finder.facts.views for finder in finders],
        maps,
        combination,
    )
    scaling = SideBySide(tuple(finder.normalisation for finder in finders))
    facts = _common_facts(finders, record)
    return Finder(network.eval(), scaling, facts=facts, device=finders[0].device)


def check_members(finders: Sequence[Finder], names: Sequence[str] = ()) -> None:
    """Refuse finders that cannot sit in one committee.

    Args:
        finders: The members.
        names: What to call them in the message.

    Raises:
        WrongShapeError: Members were made for different images.
        OutOfRangeError: There are fewer than two members, or one is a committee itself.
    """
    if len(finders) < 2:
        raise OutOfRangeError(
            f"{len(finders)} finder is no committee. Give two or more: --finders A B C."
        )
    called = names or [finder.facts.network for finder in finders]
    for name, finder in zip(called, finders, strict=True):
        if finder.facts.committee is not None:
            raise OutOfRangeError(
                f"member {name} is a committee itself. Give its members instead of it."
            )
        difference = _difference(finders[0].facts, finder.facts)
        if difference:
            raise WrongShapeError(
                f"member {name} differs from {called[0]}: {difference}. All members of a committee "
                "score the same images; leave one out, or train it anew."
            )


def _difference(first: FinderFacts, other: FinderFacts) -> str:
    """Say why two finders cannot take the same images; empty if they can."""
    if other.bands != first.bands:
        return f"bands {','.join(other.bands)} instead of {','.join(first.bands)}"
    if abs(other.pixel_scale / first.pixel_scale - 1) > _SCALE_TOLERANCE:
        return f'pixels of {other.pixel_scale:g}" instead of {first.pixel_scale:g}"'
    if abs(other.zero_point - first.zero_point) > _ZERO_POINT_TOLERANCE:
        return f"zero point {other.zero_point:g} instead of {first.zero_point:g}"
    sizes = [(facts.height, facts.width) for facts in (first, other)]
    if not (first.any_size or other.any_size) and sizes[0] != sizes[1]:
        (a, b), (c, d) = sizes
        return f"images of {c}x{d} pixels instead of {a}x{b}"
    return ""


def _common_facts(finders: Sequence[Finder], record: dict[str, Any]) -> FinderFacts:
    """Facts of the committee; its size is that of the members that take no other."""
    fixed = [finder.facts for finder in finders if not finder.facts.any_size]
    leading = fixed[0] if fixed else finders[0].facts
    return FinderFacts(
        network=COMMITTEE,
        architecture=Architecture(width=1, depth=len(finders), dropout=0.0),
        bands=leading.bands,
        height=leading.height,
        width=leading.width,
        pixel_scale=leading.pixel_scale,
        zero_point=leading.zero_point,
        committee=record,
    )
