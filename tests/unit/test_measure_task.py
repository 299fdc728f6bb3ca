"""The verbs measure and floor: what is read, what is written, what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from measured_toys import SCALE, empty_field, galaxy_alone, lens

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.catalog import read_table
from stronglens.measurement import measuring
from stronglens.measurement.coolest_reading import read_coolest
from stronglens.measurement.information_floor import fisher_matrix, floor_errors
from stronglens.measurement.inputs import Given, read_lenses
from stronglens.measurement.lens_record import LensRecord, plain_record, record_from_plain
from stronglens.measurement.noise_estimate import correlation_factor, estimate_sigma, usual_psf
from stronglens.measurement.refine import refine
from stronglens.measurement.task import Floor, Measure


def write(path, image, *, noise=True, psf=True):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(image.flux.astype("f4"), name="SCI")]
    if noise:
        hdus.append(fits.ImageHDU(np.where(image.mask, 1e8, image.sigma).astype("f4"), name="ERR"))
    if psf:
        hdus.append(fits.ImageHDU(image.psf.astype("f4"), name="PSF"))
    fits.HDUList(hdus).writeto(path)
    return path


def test_named_extensions_are_read_and_large_noise_is_a_mask(tmp_path):
    image = galaxy_alone()
    mask = image.mask.copy()
    mask[:5, :7] = True
    (entry,) = read_lenses([write(tmp_path / "a.fits", image.replaced(mask=mask))], Given(SCALE))
    assert entry.failure == ""
    assert entry.image.mask.sum() == 35
    np.testing.assert_allclose(entry.image.sigma[~mask], image.sigma[~mask], rtol=1e-5)
    assert entry.image.psf.sum() == pytest.approx(1.0)
    assert not entry.has_estimated_noise
    assert not entry.has_estimated_psf


def test_missing_noise_and_psf_are_estimated_and_said_so(tmp_path):
    image = galaxy_alone(sigma=0.01)
    path = write(tmp_path / "a.fits", image, noise=False, psf=False)
    (entry,) = read_lenses([path], Given(SCALE))
    assert entry.has_estimated_noise
    assert entry.has_estimated_psf
    assert any("noise estimated" in remark for remark in entry.remarks)
    assert any("PSF" in remark for remark in entry.remarks)
    corner = entry.image.sigma[:8, :8]
    assert np.median(corner) == pytest.approx(0.01, rel=0.25)


def test_given_noise_and_psf_are_used(tmp_path):
    image = galaxy_alone()
    path = write(tmp_path / "a.fits", image, noise=False, psf=False)
    noise, psf = tmp_path / "n.fits", tmp_path / "p.fits"
    fits.PrimaryHDU(2 * image.sigma).writeto(noise)
    fits.PrimaryHDU(3 * image.psf).writeto(psf)
    (entry,) = read_lenses([path], Given(SCALE, noise, psf))
    np.testing.assert_allclose(entry.image.sigma, 2 * image.sigma)
    assert entry.image.psf.sum() == pytest.approx(1.0)
    assert not entry.has_estimated_psf


def test_an_image_without_a_pixel_scale_fails_with_what_to_do(tmp_path):
    (entry,) = read_lenses([write(tmp_path / "a.fits", galaxy_alone())], Given())
    assert "Pass --pixel-scale" in entry.failure


def test_noise_is_estimated_where_it_grows_with_the_light():
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(80.0), np.arange(70.0))
    light = 200 * np.exp(-((x - 40) ** 2 + (y - 35) ** 2) / 300)
    flux = light + rng.standard_normal(light.shape) * np.sqrt(4.0 + 0.5 * light)
    sigma = estimate_sigma(flux, np.ones(light.shape, bool))
    assert np.median(sigma[:10, :10]) == pytest.approx(2.0, rel=0.15)
    assert sigma[33:38, 38:43].mean() == pytest.approx(np.sqrt(104.0), rel=0.4)


def test_white_noise_has_no_correlation_and_smooth_noise_has():
    white = np.random.default_rng(1).standard_normal((60, 60))
    assert correlation_factor(white) < 1.4
    smooth = (white + np.roll(white, 1, 0) + np.roll(white, 1, 1)) / np.sqrt(3)
    assert correlation_factor(smooth) > 1.5
    assert correlation_factor(np.full((60, 60), np.nan)) == 1.0


def test_the_assumed_psf_is_odd_and_normalised():
    assert usual_psf().sum() == pytest.approx(1.0)
    assert usual_psf().shape[0] % 2 == 1


def test_a_run_writes_a_table_and_a_page_for_every_input(tmp_path):
    image = empty_field()
    paths = (
        write(tmp_path / "empty.fits", image),
        write(tmp_path / "nothing.fits", image.replaced(flux=image.flux * np.nan)),
    )
    result = Measure(files=paths, pixel_scale=SCALE).run(tmp_path / "run")
    assert (result.n_rows, result.n_rejected, result.n_failed) == (2, 2, 1)
    assert result.exit_code == 3
    table = read_table(tmp_path / "run" / "measurements.parquet")
    assert list(table["verdict"]) == ["rejected", "rejected"]
    assert "NaN" in table["reasons"][1]
    assert np.isnan(table["theta_e"]).all()
    for name in ("empty", "nothing"):
        assert (tmp_path / "run" / name / "page.html").is_file()
    assert (tmp_path / "run" / "index.html").read_text().count("rejected") >= 2


@pytest.fixture
def three(tmp_path, monkeypatch):
    """A task of three galaxies, and the names of those that are measured."""
    paths = tuple(
        write(tmp_path / f"{name}.fits", galaxy_alone(seed=k)) for k, name in enumerate("abc")
    )
    measured = []

    def refine_and_note(image, *others):
        measured.append(image.name)
        return refine(image, *others)

    monkeypatch.setattr(measuring, "refine", refine_and_note)
    return Measure(files=paths, pixel_scale=SCALE, network=False), measured


def test_a_killed_run_goes_on_with_what_it_has(three, tmp_path, monkeypatch):
    task, measured = three
    whole = task.run(tmp_path / "whole")
    wanted = read_table(tmp_path / "whole" / "measurements.parquet")
    measured.clear()

    def killed_at_b(image, *others):
        if image.name == "b":
            raise KeyboardInterrupt
        return refine(image, *others)

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "refine", killed_at_b)
        with pytest.raises(KeyboardInterrupt):
            task.run(tmp_path / "run")
    assert task.run(tmp_path / "run").n_rows == whole.n_rows == 3
    assert measured == ["b", "c"]
    found = read_table(tmp_path / "run" / "measurements.parquet")
    for column in ("name", "verdict", "reasons"):
        assert list(found[column]) == list(wanted[column])


def test_an_object_that_cannot_be_measured_costs_no_other(three, tmp_path, monkeypatch):
    task, _ = three

    def fails_at_b(image, *others):
        if image.name == "b":
            message = "matrix is singular"
            raise np.linalg.LinAlgError(message)
        return refine(image, *others)

    monkeypatch.setattr(measuring, "refine", fails_at_b)
    result = task.run(tmp_path / "run")
    assert (result.n_rows, result.n_failed) == (3, 1)
    table = read_table(tmp_path / "run" / "measurements.parquet")
    assert "the measurement failed: LinAlgError: matrix is singular" in table["reasons"][1]
    assert "nothing but" in table["reasons"][2]


def test_a_record_is_the_same_after_it_was_read_again():
    record = LensRecord(
        "a", "a.fits", "refined", ("why",), ("what",), is_failed=False, seconds=1.5,
        refined={"theta_e": (1.0, 0.9, 1.1)}, diagnostics={"k_hat": 0.3, "chi2": float("inf")},
    )  # fmt: skip
    again = record_from_plain(json.loads(json.dumps(plain_record(record))))
    assert np.isnan(again.diagnostics["chi2"])
    assert replace(again, diagnostics={}) == replace(record, diagnostics={})


@pytest.mark.slow
def test_a_lens_gets_figures_a_chain_and_a_row(tmp_path):
    path = write(tmp_path / "lens.fits", lens())
    task = Measure(files=(path,), pixel_scale=SCALE, n_draws=32, theta_e_min=0.6, theta_e_max=1.6)
    result = task.run(tmp_path / "run")
    table = read_table(tmp_path / "run" / "measurements.parquet")
    assert result.n_rejected == 0, table["reasons"]
    assert table["theta_e"][0] == pytest.approx(1.1, rel=0.03)
    assert table["theta_e_16"][0] < table["theta_e"][0] < table["theta_e_84"][0]
    for file in ("model.png", "corner.png", "chain.csv", "record.json", "page.html"):
        assert (tmp_path / "run" / "lens" / file).is_file()
    model = read_coolest(tmp_path / "run" / "lens" / "coolest.json")
    assert model.parameters()["theta_e"] == pytest.approx(table["theta_e"][0], rel=0.01)
    assert model.meta["verdict"] == table["verdict"][0]
    header = (tmp_path / "run" / "lens" / "chain.csv").read_text().splitlines()[0]
    assert header.endswith("probability_weights")


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"files": ()}, MissingDataError, "nothing to measure"),
        ({"n_draws": 3}, OutOfRangeError, "n_draws=3 is outside"),
        ({"theta_e_min": 0.5}, OutOfRangeError, "belong together"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, settings, error, words):
    task = Measure(**{"files": (tmp_path / "a.fits",), **settings})
    with pytest.raises(error, match=words):
        task.check()


def test_the_fisher_limit_of_a_line_is_known():
    """Slope and height of a line: textbook errors, the height marginalised or known."""
    x, sigma = np.linspace(-1, 1, 21), np.full(21, 0.5)
    ones = np.ones((21, 1))
    both = fisher_matrix(np.hstack([x[:, None], ones]), np.zeros((21, 0)), sigma, ("a", "b"))
    alone = fisher_matrix(x[:, None], ones, sigma, ("a",))
    wanted = 0.5 / np.sqrt((x**2).sum())
    assert both.errors()["a"] == pytest.approx(wanted)
    assert alone.errors()["a"] == pytest.approx(wanted, rel=1e-6)


def test_the_floor_falls_as_one_over_signal_to_noise():
    low = floor_errors(Floor(arc_snr=50.0, pixel_scale=0.1, fwhm=0.18, lens_model="sie+shear"))
    high = floor_errors(Floor(arc_snr=100.0, pixel_scale=0.1, fwhm=0.18, lens_model="sie+shear"))
    for name, error in low.items():
        assert error == pytest.approx(2.0 * high[name], rel=1e-3)


def test_deflector_light_and_its_poisson_noise_cost_information():
    bare = Floor(deflector_ratio=0.0, poisson_share=0.0, pixel_scale=0.1, fwhm=0.18)
    lit = Floor(deflector_ratio=10.0, poisson_share=0.6, pixel_scale=0.1, fwhm=0.18)
    assert floor_errors(lit)["log_theta_e"] > floor_errors(bare)["log_theta_e"]
