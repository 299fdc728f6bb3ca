"""Figures of training and test: they show what they are given."""

import io

import numpy as np
import pytest

from stronglens.core.errors import WrongShapeError
from stronglens.plots.curves import (
    RocBand,
    confusion_matrix,
    roc,
    score_histograms,
    training_history,
)
from stronglens.plots.maps import feature_map_figure


def texts(figure):
    found = [text.get_text() for axis in figure.axes for text in axis.texts]
    return found + [text.get_text() for text in figure.texts]


def rendered(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer)
    return len(buffer.getvalue())


def history(n):
    epoch = np.arange(1.0, n + 1)
    falling = 1 / epoch
    columns = ("epoch", "loss", "val_loss", "accuracy", "val_accuracy")
    return dict(zip(columns, (epoch, falling, falling, 1 - falling, 1 - falling), strict=True))


@pytest.mark.parametrize("n", [1, 30])
def test_history_shows_both_curves_the_best_epoch_and_where_they_part(n):
    figure = training_history(history(n), best_epoch=n, parting=n, title="deck-cnn")
    loss, accuracy = figure.axes
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Loss", "Accuracy"]
    labels = [text.get_text() for text in loss.get_legend().get_texts()]
    assert labels == ["training", "validation", f"best: epoch {n}"]
    assert f"they part: epoch {n}" in texts(figure)
    assert len(accuracy.lines) == 4
    assert rendered(figure) > 5000


def test_confusion_matrix_shows_counts_and_probabilities():
    figure = confusion_matrix(np.array([[3, 1], [1, 1199]]), subtitle="lens: score above 0.5")
    assert {"75.0%", "25.0%", "3 images", "1,199 images", "99.9%"} <= set(texts(figure))
    assert figure.axes[0].get_xlabel() == "the finder says (lens: score above 0.5)"
    assert rendered(figure) > 5000


def test_confusion_matrix_without_images_is_empty():
    assert texts(confusion_matrix(np.zeros((2, 2), int))).count("0.0%") == 4


def test_roc_ends_where_the_test_set_is_too_small():
    grid = np.linspace(0, 1, 20)
    band = RocBand("ours", grid, grid**0.5, grid**0.6, grid**0.4, lowest_fpr=0.005)
    figure = roc([band, band])
    linear, logarithmic = figure.axes
    assert logarithmic.get_xlim() == (0.005, 1)
    assert [text.get_text() for text in linear.get_legend().get_texts()] == ["ours", "ours"]
    assert rendered(figure) > 5000


def test_histograms_count_every_image():
    scores = np.array([0.1, 0.2, 0.9, 0.95, 1.0, 0.0])
    figure = score_histograms(scores, np.array([0, 0, 1, 1, 1, 0]), threshold=0.42)
    (axis,) = figure.axes
    assert sum(patch.get_height() for patch in axis.patches if hasattr(patch, "get_height")) == 6
    assert "best on validation: 0.42" in [t.get_text() for t in axis.get_legend().get_texts()]


def test_feature_maps_have_a_row_per_layer():
    maps = {
        "convolution 1": np.random.default_rng(0).normal(size=(12, 9, 7)),
        "activation 1": np.zeros((12, 9, 7)),
        "pooling 1": np.ones((3, 4, 3)),
    }
    figure = feature_map_figure(np.zeros((9, 7)), maps, title="a lens")
    assert len(figure.axes) == 1 + 8 + 8 + 3
    assert {"input", "pooling 1", "9 x 7 x 12", "a lens"} <= set(texts(figure))
    assert rendered(figure) > 5000


def test_feature_maps_of_nothing_are_refused():
    with pytest.raises(WrongShapeError, match="no feature maps"):
        feature_map_figure(np.zeros((3, 3)), {})


def test_figures_leave_the_settings_of_the_user_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    training_history(history(3))
    assert dict(mpl.rcParams) == before
