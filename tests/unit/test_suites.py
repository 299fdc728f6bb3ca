"""The benchmark suites in miniature: drawing, the ceiling, keeping scores, carrying thresholds."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fits_toys import finder
from suites import figures, running
from suites.drawing import Drawer, blurred, digest, truth_of, without_a_band
from suites.entrants import GIVEN, Entrant, without_family
from suites.figures import carried_to, figures_of, kinds_of, thresholds_of
from suites.looking import logits_of, middle, suits, target_of
from suites.oracle import oracle_scores
from suites.pages import page
from suites.running import Options, compared_with_frozen, identity, run_suite
from suites.scoring import ORACLE
from suites.settings import (
    FULL,
    LOOK_ALIKES,
    NETWORKS,
    NEVER_TRAINED,
    PLAIN,
    SMALL,
    Arm,
    Part,
    Suite,
    Training,
    suites,
)

from stronglens.core.errors import StaleCheckpointError
from stronglens.data.catalog import read_table, write_table
from stronglens.data.layout import ImageFacts, Images
from stronglens.evaluation.metrics import Bootstrap
from stronglens.finders.networks import networks
from stronglens.simulation.simulated_set import BLOCK, ObservedBlock
from stronglens.simulation.task import Simulate
from stronglens.surveys import survey

DECK = Simulate(preset="deck", n=1000, seed=3, single=False)


def toy_block(n_lenses=40, n_others=60, size=16):
    """Block of flat scenes of noise 2, those of lenses with 16 pixels that are brighter by 1."""
    rng, sigma = np.random.default_rng(1), 2.0
    n = n_lenses + n_others
    label = np.arange(n) < n_lenses
    arcs = np.zeros((n, 1, size, size))
    arcs[label, :, 4:8, 4:8] = 1.0
    noiseless = np.full(arcs.shape, 5.0) + arcs
    flux = (noiseless + sigma * rng.normal(size=noiseless.shape)).astype(np.float32)
    ivar = np.full(flux.shape, sigma**-2, np.float32)
    planes = {"noiseless": noiseless.astype(np.float32), "source": arcs.astype(np.float32)}
    return ObservedBlock(Images(flux, ivar), {"label": label.astype(int)}, planes)


def toy_truth(n_lenses, n_others, n_detectable):
    label = np.r_[np.ones(n_lenses, int), np.zeros(n_others, int)]
    classes = np.r_[np.full(n_lenses, "lens"), np.where(np.arange(n_others) % 2, "ring", "alone")]
    return {
        "label": label,
        "is_detectable": np.arange(len(label)) < n_detectable,
        "scene_class": classes.astype(object),
        "theta_e": np.where(label == 1, 1.0, np.nan),
        "arc_snr": np.where(label == 1, 30.0, np.nan),
    }


@pytest.mark.parametrize("size", [FULL, SMALL])
def test_every_suite_is_made_of_whole_blocks_and_trains_on_none_of_its_test_images(size):
    for suite in suites(size).values():
        for arm in suite.arms:
            made = arm.training.simulate
            for part in (*arm.parts, *arm.calibration):
                assert part.n % BLOCK == 0
                assert part.first % BLOCK == 0
                if part.simulate is None:
                    continue
                if part.simulate.preset == "deck":
                    # the last fifth of the deck's scenes; a training set holds fewer or tests there
                    assert part.first >= 0.8 * made.n
                else:
                    assert part.simulate.seed != made.seed


def test_the_rare_suite_holds_look_alikes_that_it_never_trains_on():
    (arm,) = suites(SMALL)["rare"].arms
    shares = arm.parts[1].simulate.shares
    assert sum(shares[name] for name in LOOK_ALIKES) == pytest.approx(0.3)
    assert sum(shares[name] for name in PLAIN) == pytest.approx(0.7)
    trained = arm.training.simulate.shares
    assert not set(NEVER_TRAINED) & set(trained)
    assert set(NEVER_TRAINED) < set(shares)
    assert trained["lens"] + trained["group"] == pytest.approx(0.5)
    assert sum(trained.values()) == pytest.approx(1.0)


def test_every_system_that_is_registered_has_a_row():
    assert set(networks.names()) - {"ring-finder", "resnet-small-flat"} == set(NETWORKS)


def test_a_block_of_a_part_is_that_of_the_scenes_from_its_first_on():
    first = Drawer(Part("toy", 250, DECK, first=250)).draw(0)
    again = DECK.plan().draw(1, ("stack",))["stack"]
    assert digest(first) == digest(again)
    truth = truth_of(first)
    assert set(truth["label"]) == {0, 1}
    assert np.isfinite(truth["theta_e"][truth["label"] == 1]).all()
    assert not truth["is_detectable"][truth["label"] == 0].any()


def test_scores_are_kept_for_what_is_drawn_and_not_for_how_many():
    part = Part("toy", 500, replace(DECK, preset="survey", survey="kids-dr4"))
    assert identity(part) == identity(replace(part, n=250, name="other"))
    assert identity(part) != identity(replace(part, psf_factor=1.2))
    assert identity(part) != identity(replace(part, simulate=replace(part.simulate, seed=4)))


def test_the_shifts_change_what_they_say():
    kids = survey("kids-dr4")
    assert [b.psf_fwhm for b in blurred(kids, 1.2).bands] == pytest.approx(
        [1.2 * b.psf_fwhm for b in kids.bands]
    )
    images = Images(np.ones((50, 3, 4, 5), np.float32), np.ones((50, 3, 4, 5), np.float32))
    cut = without_a_band(images, (1, 2))
    gone = cut.mask.all(axis=(2, 3))
    np.testing.assert_array_equal(gone.sum(axis=1), 1)
    assert set(gone.argmax(axis=1)) == {0, 1, 2}
    assert (cut.flux[gone] == 0).all()
    assert (cut.ivar[gone] == 0).all()
    assert (images.flux == 1).all()


def test_the_oracle_ranks_as_well_as_the_noise_allows():
    drawn = toy_block(n_lenses=400, n_others=400)
    scores = oracle_scores(drawn, drawn.planes["source"][:1], "a")
    label = drawn.truth["label"]
    # 16 pixels of half a sigma: S/N 2, so log-likelihood ratios of mean +-2 and variance 4
    assert scores[label == 1].mean() == pytest.approx(2.0, abs=0.3)
    assert scores[label == 0].mean() == pytest.approx(-2.0, abs=0.3)
    assert scores[label == 0].std() == pytest.approx(2.0, abs=0.25)
    again = oracle_scores(drawn, drawn.planes["source"][:1], "a")
    np.testing.assert_array_equal(scores, again)
    # where nothing was observed nothing is told
    drawn.images.ivar[:] = 0.0
    assert (oracle_scores(drawn, drawn.planes["source"][:1], "a") == 0).all()


def test_a_finder_sees_its_own_bands_and_the_middle_of_the_image():
    facts = ImageFacts(("kids-u", "lsst-g"), 0.18, 30.0, 64, 63)
    small = finder()
    rng = np.random.default_rng(2)
    images = Images(rng.normal(size=(3, 2, 64, 63)).astype(np.float32))
    found = logits_of(small, images, facts)
    # 44 of 64 and 45 of 63 pixels keep the centre
    np.testing.assert_allclose(
        found, small.logits(images.flux[:, 1:, 10:54, 9:54]), rtol=1e-4, atol=1e-5
    )
    assert middle(40, 45, is_free=True) == slice(0, 40)
    assert suits(small, facts)
    assert not suits(small, replace(facts, bands=("kids-u",)))
    assert not suits(small, replace(facts, pixel_scale=0.09))


def test_a_finder_of_other_pixels_sees_them_on_its_own_with_the_same_flux():
    small = finder()
    facts = ImageFacts(("lsst-g",), 0.12, 27.0, 64, 72)
    # 64 pixels of 0.12 arcsec hold 42 of 0.18, and 72 of them all 45
    target = target_of(small.facts, facts)
    assert (target.height, target.width) == (42, 45)
    assert suits(small, facts)
    flux = np.zeros((2, 1, 64, 72), np.float32)
    flux[:, :, 28:36, 32:40] = 3.0
    flux += np.random.default_rng(4).normal(0, 0.01, flux.shape).astype(np.float32)
    seen = {}
    small.logits = lambda *planes, **_: seen.update(zip("fim", planes, strict=True))
    logits_of(small, Images(flux, np.ones_like(flux), np.zeros(flux.shape, bool)), facts)
    assert seen["f"].shape == (2, 1, 42, 45)
    # a unit of zero point 30 is 3 magnitudes fainter than one of 27
    np.testing.assert_allclose(seen["f"].sum(axis=(1, 2, 3)), 192 * 10**1.2, rtol=0.01)


def test_thresholds_of_one_set_are_judged_on_another():
    rng = np.random.default_rng(3)
    calibration = toy_truth(100, 2000, 80)
    scores = np.r_[rng.normal(4, 1, 100), rng.normal(0, 1, 2000)]
    limits = thresholds_of(scores, calibration)
    assert set(limits) == {1e-2}
    assert np.mean(scores[100:] >= limits[1e-2]) == pytest.approx(1e-2, abs=5e-4)
    truth = toy_truth(100, 1000, 50)
    shifted = np.r_[np.full(50, 9.0), np.full(50, np.nan), rng.normal(0.5, 1, 1000)]
    found = carried_to(shifted, truth, 1e-2, limits[1e-2])
    assert found.tpr["all"].value == pytest.approx(0.5)
    assert found.tpr["detectable"].value == 1.0
    assert found.fpr.value > 1e-2
    assert set(found.by_class) == {"ring", "alone"}


def test_images_without_a_score_are_counted_and_rank_last(monkeypatch):
    monkeypatch.setattr(figures, "bootstrap_for", lambda n: Bootstrap(n=20))
    truth = toy_truth(50, 100, 30)
    scores = np.r_[np.full(40, 2.0), np.full(10, np.nan), np.linspace(-1, 1, 100)]
    found = figures_of(scores, truth, {"large": "theta_e > 0.5 and arc_snr > 20"})
    assert found.n_failed == 10
    assert found.auroc["all"].value == pytest.approx(0.8)
    assert found.auroc["detectable"].value == 1.0
    assert found.auroc["large"] == found.auroc["all"]
    # a hundred negatives cannot tell one in a hundred
    assert found.tpr == {}
    assert set(kinds_of(truth, {"none": "theta_e > 5"})) == {"all", "detectable"}


def test_a_family_is_left_out_by_its_labels_alone(tmp_path):
    data = tmp_path / "data"
    (data / "images.zarr").mkdir(parents=True)
    columns = {"label": np.array([1, 0, 0]), "scene_class": np.array(["lens", "ring", "alone"])}
    write_table(data / "truth.parquet", columns)
    out = without_family(data, "ring", tmp_path / "out")
    np.testing.assert_array_equal(read_table(out / "truth.parquet")["label"], [1, np.nan, 0])
    assert (out / "images.zarr").resolve() == data / "images.zarr"
    np.testing.assert_array_equal(read_table(data / "truth.parquet")["label"], [1, 0, 0])


def test_hashes_are_frozen_once_and_compared_for_ever(tmp_path):
    file = tmp_path / "frozen.json"
    assert "not frozen" in compared_with_frozen("a", "1" * 20, freezes=False, file=file)
    assert not file.exists()
    compared_with_frozen("a", "1" * 20, freezes=True, file=file)
    assert compared_with_frozen("a", "1" * 20, freezes=True, file=file) == "as frozen"
    assert "NOT the frozen" in compared_with_frozen("a", "2" * 20, freezes=True, file=file)
    assert json.loads(file.read_text()) == {"a": "1" * 20}


def test_a_suite_is_run_once_and_goes_on_with_what_is_missing(tmp_path, monkeypatch):
    training = Training("toy", DECK, (), minutes=0.01)
    part = Part("toy", BLOCK, DECK, first=800 // BLOCK * BLOCK)
    suite = Suite("toy", "Does it run?", (Arm("stack", training, (part,)),))
    drawn = []

    def draw(self, block):
        drawn.append(block)
        return toy_block(n_lenses=100, n_others=150, size=45)

    monkeypatch.setattr(Drawer, "draw", draw)
    monkeypatch.setattr(figures, "bootstrap_for", lambda n: Bootstrap(n=20))
    weights = tmp_path / "first.safetensors"
    finder().save(weights)
    options = Options(tmp_path / "runs", SMALL, workers=1, given=(f"first={weights}",))
    (arm,) = run_suite(suite, options)
    rows = [row for row in arm.rows if "(shipped)" not in row.entrant.name]
    assert [row.entrant.name for row in rows] == [ORACLE, "first"]
    # two normal distributions, 4 apart and 2 wide each
    assert rows[0].figures.auroc["all"].value == pytest.approx(0.921, abs=0.04)
    assert rows[1].entrant.kind == GIVEN
    text = page(suite, [arm], "Facts.")
    assert "| `first` | given | " in text
    assert "lenses" in text
    assert drawn == [0]
    run_suite(suite, options)
    assert drawn == [0, 0]  # once more, to see that it is still the same
    monkeypatch.setattr(running, "digest", lambda _: "another")
    with pytest.raises(StaleCheckpointError, match="drawn otherwise by this code"):
        run_suite(suite, options)


def test_the_key_of_a_row_follows_its_weights(tmp_path):
    path = tmp_path / "one.safetensors"
    finder().save(path)
    before = Entrant("one", GIVEN, path).key
    other = finder()
    with torch.no_grad():
        next(other.network.parameters()).add_(1.0)
    other.save(path)
    assert before != Entrant("one", GIVEN, path).key
