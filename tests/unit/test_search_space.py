"""What a study searches: short texts become values and ranges, or an error that says how."""

import pytest

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.training.search_space import (
    DECK,
    Choice,
    Range,
    grid,
    parse_dimension,
    parse_fixed,
    parse_space,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("width=16,32, 64", Choice("width", (16, 32, 64))),
        ("width=8", Choice("width", (8,))),
        ("dropout=0..0.5", Range("dropout", 0.0, 0.5)),
        ("learning_rate=1e-4..1e-2:log", Range("learning_rate", 1e-4, 1e-2, is_log=True)),
        ("depth=1..4", Range("depth", 1, 4, is_integer=True)),
        ("learning_rate=1e-4..1e-2:log:3", Choice("learning_rate", (1e-4, 1e-3, 1e-2))),
        ("dropout=0..0.5:3", Choice("dropout", (0.0, 0.25, 0.5))),
        ("width=8..10:9", Choice("width", (8, 9, 10))),
        ("augmentation=none,d4", Choice("augmentation", ("none", "d4"))),
        ("stream=true,false", Choice("stream", (True, False))),
        ("seed=1,2", Choice("seed", (1, 2))),
    ],
)
def test_a_text_becomes_what_it_says(text, found):
    assert parse_dimension(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width", "does not say what is to be tried"),
        ("width=", "does not say what is to be tried"),
        ("width=a", "is no value of train's width"),
        ("loss=crossentropy", "is no value of train's loss"),
        ("width=2..x", "holds 'x', no number"),
        ("width=8..2", "is no range"),
        ("dropout=0..0.5:log", "a logarithm needs more than 0"),
        ("dropout=0..0.5:1", "Allowed: 2 or more"),
        ("loss=1..2", "loss is no number"),
    ],
)
def test_a_text_that_means_nothing_is_refused(text, message):
    with pytest.raises(OutOfRangeError, match=message):
        parse_dimension(text)


@pytest.mark.parametrize("name", ["widht", "data", "device", "workers"])
def test_a_name_that_is_not_searched_is_refused(name):
    with pytest.raises(UnknownNameError, match=f"unknown setting of train '{name}'"):
        parse_dimension(f"{name}=1,2")


def test_later_texts_replace_earlier_ones_and_fixed_ones_leave():
    space = parse_space((*DECK, "width=5"), fixed=("epochs",))
    assert len(DECK) == 13
    assert {one.name: one for one in space}["width"] == Choice("width", (5,))
    assert "epochs" not in {one.name for one in space}
    assert parse_fixed(["epochs=3", "stream=true"]) == {"epochs": 3, "stream": True}


def test_a_grid_has_every_combination_once_and_no_range():
    space = parse_space(["width=1,2", "dropout=0..0.5:3"])
    found = grid(space)
    assert len(found) == 6
    assert found[1] == {"width": 1, "dropout": 0.25}
    with pytest.raises(OutOfRangeError, match=r"dropout=0\.\.0\.5:5, or list them"):
        grid(parse_space(["dropout=0..0.5"]))
