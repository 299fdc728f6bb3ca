"""Only the arcs tell lenses from their broken-lensing twins, not what stands around the arcs.

A logistic regression on the light in rings learns the two classes. Where every scene is given the
arc of another one, it must not know any more which class the rest of the scene was drawn for.
"""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stronglens.evaluation.metrics import auroc_of, roc_curve
from stronglens.simulation.artefacts import artefacts
from stronglens.simulation.imperfections import Artefacts
from stronglens.simulation.simulated_set import STACK
from stronglens.simulation.sky import Sky
from stronglens.simulation.task import Simulate

BLOCKS, TRAINING = 6, 4
CLEAN = dataclasses.replace(Artefacts(), **dict.fromkeys(artefacts.names(), 0.0))
WAVES, ANGLES = 7, 48


def described(flux):
    """How strong the first waves around the middle are in every ring, whatever their phase."""
    sigma = 1.48 * np.median(np.abs(flux - np.median(flux, (2, 3), keepdims=True)), (2, 3))
    pictures = np.arcsinh(flux / (3.0 * sigma[:, :, None, None]))
    middle = (flux.shape[-1] - 1) / 2
    radius = np.arange(1.0, middle, 1.5)[:, None]
    angle = np.arange(ANGLES) / ANGLES * 2 * np.pi
    at = middle + radius * np.stack([np.sin(angle), np.cos(angle)])[:, None]
    polar = np.array([map_coordinates(picture[0], at, order=1) for picture in pictures])
    waves = np.abs(np.fft.rfft(polar, axis=2))[:, :, :WAVES] / ANGLES
    return np.log(waves + 0.02).reshape(len(flux), -1)


@pytest.mark.slow
def test_what_stands_around_an_arc_does_not_tell_lenses_from_twins():
    task = Simulate(
        survey="euclid-vis",
        size=60,
        seed=11,
        artefacts=CLEAN,
        sky=Sky(arc_snr_min=20.0, arc_snr_max=200.0),
        shares={"lens": 1.0, "twin": 1.0},
        planes=True,
    )
    blocks = [task.plan().draw(k, (STACK,))[STACK] for k in range(BLOCKS)]
    label = np.concatenate([block.truth["label"] for block in blocks])
    flux = np.concatenate([block.images.flux for block in blocks])
    arcs = np.concatenate([block.planes["source"] for block in blocks])
    n = TRAINING * len(label) // BLOCKS
    rng = np.random.default_rng(1)
    other = np.concatenate([rng.permutation(n), n + rng.permutation(len(label) - n)])
    own, shuffled = described(flux), described(flux - arcs + arcs[other])

    def area(model, rows, truth):
        return auroc_of(roc_curve(model.decision_function(rows[n:]), truth[n:]))

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    model.fit(own[:n], label[:n])
    # three errors of 250 and 250 scenes are 0.077
    assert area(model, own, label) > 0.577
    assert area(model, shuffled, label[other]) > area(model, shuffled, label)
    assert abs(area(model, shuffled, label) - 0.5) < 0.077
    # nor does one that is taught on shuffled pictures learn it
    model.fit(shuffled[:n], label[:n])
    assert abs(area(model, shuffled, label) - 0.5) < 0.077
