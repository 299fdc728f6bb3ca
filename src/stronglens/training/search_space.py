"""What a study searches: fields of Train by name, each with values or a range, from short texts.

`name=16,32,64` lists values; `name=0..0.5` is a range; `name=1e-4..1e-2:log` is one in the
logarithm; a number after a colon, as in `name=1e-4..1e-2:log:5`, takes so many values of it.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from stronglens.core.errors import OutOfRangeError, unknown_name
from stronglens.training.task import Train

DECK = (
    "width=8,16,32,64",
    "depth=1,2,3",
    "dropout=0..0.7",
    "loss=cross-entropy,focal,mse,hinge",
    "optimiser=sgd,rmsprop,adam,adamw,adadelta",
    "learning_rate=1e-4..1e-1:log",
    "decay=1e-6..1e-2:log",
    "weight_decay=1e-6..1e-2:log",
    "schedule=constant,cosine,one-cycle,step",
    "batch_size=16,32,64,128",
    "epochs=25,50,100,200",
    "augmentation=none,deck,d4,d4-shift",
    "normalisation=min-max,sky-asinh",
)
"""The hyper-parameters of the deck, by the names they have here."""
SPACES: dict[str, tuple[str, ...]] = {"none": (), "deck": DECK}
"""Ready-made spaces by name."""
_NOT_SEARCHED = ("data", "device", "workers")


@dataclass(frozen=True)
class Choice:
    """A field that takes one of some values."""

    name: str
    """Field of Train."""
    values: tuple[Any, ...]
    """What it may be."""


@dataclass(frozen=True)
class Range:
    """A field that takes any number between two."""

    name: str
    """Field of Train."""
    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    is_log: bool = False
    """Whether it is drawn evenly in the logarithm."""
    is_integer: bool = False
    """Whether it takes whole numbers only."""


Dimension = Choice | Range


def parse_dimension(text: str) -> Dimension:
    """Read what is to be searched from a text such as `learning_rate=1e-4..1e-2:log`.

    Raises:
        UnknownNameError: Train has no such field, or it cannot be searched.
        OutOfRangeError: The text is none of the forms, or a value does not fit the field.
    """
    name, values = _name_and_rest(text)
    if ".." in values:
        return _range(name, values, text)
    return Choice(name, tuple(_value(name, part) for part in values.split(",")))


def parse_space(texts: Iterable[str], fixed: Iterable[str] = ()) -> tuple[Dimension, ...]:
    """Read several texts; a later one replaces an earlier one of the same field.

    Args:
        texts: What is searched.
        fixed: Names of fields that are not searched after all.
    """
    found = {one.name: one for one in map(parse_dimension, texts)}
    without = set(fixed)
    return tuple(one for one in found.values() if one.name not in without)


def parse_fixed(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings that all trials share, from texts such as `epochs=20`.

    Raises:
        UnknownNameError: Train has no such field, or it belongs to the study.
        OutOfRangeError: A value does not fit its field.
    """
    pairs = [_name_and_rest(text) for text in texts]
    return {name: _value(name, value) for name, value in pairs}


def grid(space: Sequence[Dimension]) -> list[dict[str, Any]]:
    """Every combination of the values, the last field changing fastest.

    Raises:
        OutOfRangeError: A range has no end of values.
    """
    for one in space:
        if isinstance(one, Range):
            kind = ":log" if one.is_log else ""
            raise OutOfRangeError(
                f"{one.name}={one.low:g}..{one.high:g}{kind} has no end of values for a grid. Say "
                f"how many: {one.name}={one.low:g}..{one.high:g}{kind}:5, or list them."
            )
    names = [one.name for one in space]
    values = [one.values for one in space if isinstance(one, Choice)]
    return [
        dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)
    ]


def _name_and_rest(text: str) -> tuple[str, str]:
    name, equals, rest = (part.strip() for part in text.partition("="))
    allowed = [field.name for field in fields(Train) if field.name not in _NOT_SEARCHED]
    if not equals or not rest:
        raise OutOfRangeError(
            f"'{text}' does not say what is to be tried. Allowed: name=16,32,64, name=0..0.5, "
            "name=1e-4..1e-2:log or name=1e-4..1e-2:log:5."
        )
    if name not in allowed:
        raise unknown_name("setting of train", name, allowed)
    return name, rest


def _value(name: str, text: str) -> Any:  # noqa: ANN401 - any setting
    """One value as the field's own type."""
    hint = get_type_hints(Train)[name]
    try:
        found = TypeAdapter(hint).validate_python(text.strip())
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise OutOfRangeError(
            f"{name}={text.strip()} is no value of train's {name} ({reason}). "
            f"See stronglens train --help."
        ) from error
    return found if isinstance(found, bool | int | float | str) else str(found)


def _range(name: str, values: str, text: str) -> Dimension:
    bounds, *marks = values.split(":")
    numbers = [_number(part, text) for part in bounds.split("..")]
    counts = [mark for mark in marks if mark != "log"]
    hint = get_type_hints(Train)[name]
    kinds = set(get_args(hint) or (hint,))
    if len(numbers) != 2 or not numbers[0] < numbers[1] or len(counts) > 1:
        raise OutOfRangeError(f"'{text}' is no range. Allowed: low..high, with :log or :log:5.")
    if not kinds & {int, float}:
        raise OutOfRangeError(f"'{text}': {name} is no number. List its values: {name}=a,b,c.")
    is_log = len(counts) < len(marks)
    if is_log and numbers[0] <= 0:
        raise OutOfRangeError(f"'{text}' begins at {numbers[0]:g}; a logarithm needs more than 0.")
    found = Range(name, numbers[0], numbers[1], is_log, is_integer=float not in kinds)
    return _steps(found, int(_number(counts[0], text))) if counts else found


def _steps(one: Range, n: int) -> Choice:
    """So many values of a range, both ends among them."""
    if n < 2:
        raise OutOfRangeError(f"{one.name}: {n} steps of a range. Allowed: 2 or more.")
    spread = np.geomspace if one.is_log else np.linspace
    values = [float(f"{value:.6g}") for value in spread(one.low, one.high, n)]
    whole = dict.fromkeys(round(value) for value in values)
    return Choice(one.name, tuple(whole) if one.is_integer else tuple(values))


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise OutOfRangeError(
            f"'{whole}' holds '{text}', no number. Allowed: low..high, with :log or :log:5."
        ) from error
