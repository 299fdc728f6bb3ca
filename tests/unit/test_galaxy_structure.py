"""Structure moves light about; it neither makes nor loses any."""

import dataclasses

import numpy as np
import pytest
import torch

from stronglens.simulation.field_galaxies import EARLY, LATE, SPIRAL, FieldGalaxies
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.galaxy_structure import galaxy_layers

FILTERS = Filters(("kids-g", "kids-r"), 27.5, 0.05, 0.7)


def galaxies(kind, mag_i=19.0, r_eff=1.5, q=0.8, n=7):
    flux = np.stack([np.full(n, 100.0), np.full(n, 150.0)], axis=1)
    return FieldGalaxies(
        rows=np.arange(n), place=np.full((n, 2), 0.5), mag_i=np.full(n, mag_i),
        z=np.full(n, 0.3), kind=np.full(n, kind), r_eff=np.full(n, r_eff), q=np.full(n, q),
        phi=np.zeros(n), flux=flux, old_flux=flux * np.array([0.5, 0.9]),
    )  # fmt: skip


def drawn(of):
    return galaxy_layers(of, FILTERS, np.random.default_rng(1))


def total(layers, n):
    flux = torch.zeros(n, 2)
    for one in layers:
        flux.index_add_(0, one.rows, one.flux)
    return flux.numpy()


@pytest.mark.parametrize("kind", [EARLY, SPIRAL, LATE])
@pytest.mark.parametrize("q", [0.25, 0.8])
def test_components_add_up_to_the_galaxy(kind, q):
    own = galaxies(kind, q=q)
    np.testing.assert_allclose(total(drawn(own), 7), own.flux, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "names"),
    [(EARLY, {"sersic"}), (SPIRAL, {"sersic", "spiral"}), (LATE, {"sersic", "gaussian"})],
)
def test_bright_large_galaxies_have_the_structure_of_their_type(kind, names):
    layers = drawn(galaxies(kind))
    assert {one.component.name for one in layers} == names
    assert len(layers) > 1


@pytest.mark.parametrize("changed", [{"mag_i": 23.0}, {"r_eff": 0.2}])
@pytest.mark.parametrize("kind", [EARLY, SPIRAL, LATE])
def test_faint_and_small_galaxies_are_one_component(kind, changed):
    (one,) = drawn(galaxies(kind, **changed))
    assert one.component.name == "sersic"


def test_discs_from_their_side_have_no_arms():
    assert {one.component.name for one in drawn(galaxies(SPIRAL, q=0.3))} == {"sersic"}


def test_bulges_are_redder_than_discs():
    layers = drawn(galaxies(SPIRAL))
    (disc,) = (one for one in layers if one.component.name == "spiral")
    (bulge,) = (one for one in layers if one.component.name == "sersic")
    ratio = [(one.flux[:, 1] / one.flux[:, 0]).median() for one in (disc, bulge)]
    assert ratio[1] > ratio[0]


def test_a_bulge_brighter_than_its_galaxy_leaves_a_faint_disc():
    own = galaxies(SPIRAL)
    own = dataclasses.replace(own, old_flux=own.flux * np.array([0.5, 30.0]))
    assert all((one.flux > 0).all() for one in drawn(own))


def test_galaxies_of_one_image_are_in_layers_of_their_own():
    own = dataclasses.replace(galaxies(SPIRAL), rows=np.array([0, 0, 0, 1, 4, 4, 9]))
    for one in drawn(own):
        assert (np.diff(one.rows.numpy()) > 0).all()


@pytest.mark.parametrize("kind", [EARLY, SPIRAL, LATE])
def test_no_galaxy_has_no_layer(kind):
    assert drawn(galaxies(kind, n=0)) == []
