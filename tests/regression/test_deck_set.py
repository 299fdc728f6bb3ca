"""The first images of the deck set are what they were when the set was frozen.

They were made at the commit that added this file, by
`Simulate(n=20, seed=1, single=False, planes=False)`; a change here is a new version of the set.
"""

from pathlib import Path

import numpy as np

from stronglens.data.store import open_dataset
from stronglens.simulation.task import Simulate

FROZEN = Path(__file__).parent / "deck_first_images.npz"


def test_first_images_of_the_deck_set_have_not_changed(tmp_path):
    task = Simulate(n=20, seed=1, single=False, planes=False)
    dataset = open_dataset(task.run(tmp_path / "set").path)
    frozen = np.load(FROZEN)
    flux = dataset.images(slice(0, 4)).flux
    # a hundredth of the noise: processors round differently, and nothing else may differ
    np.testing.assert_allclose(flux, frozen["flux"], rtol=1e-4, atol=0.004)
    np.testing.assert_allclose(
        dataset.column("theta_e")[:4].astype(float), frozen["theta_e"], rtol=1e-6
    )
