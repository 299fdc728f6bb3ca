"""Scenes of lenses as lenstronomy's lists and keywords, and back; the package is not needed.

Names and units of single profiles are converted in `core.lenstronomy`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from stronglens.core.conventions import circularised_radius
from stronglens.core.errors import UnknownNameError, WrongShapeError
from stronglens.core.lenstronomy import (
    mass_from_lenstronomy,
    mass_to_lenstronomy,
    sersic_from_lenstronomy,
    sersic_to_lenstronomy,
)
from stronglens.lensing.records import CallableMass, LensModel, MassProfile
from stronglens.light.sersic import Approximation, Sersics, central_brightness, sersic_b

Keywords = dict[str, float | int]


@dataclass(frozen=True)
class LensScenes:
    """A batch of lenses in our own records, each tensor with one row per image."""

    lens_model: LensModel
    """What bends the light."""
    source: Sersics
    """Components of the source, in the source plane."""
    deflector: Sersics
    """Components of the deflector's light."""


@dataclass(frozen=True)
class LenstronomyScenes:
    """The same batch in lenstronomy's words: lists of names, and a list of keywords per image."""

    lens_model_list: list[str]
    """Names of the mass profiles."""
    kwargs_lens: list[list[Keywords]]
    """Keywords of every mass profile, for every image."""
    source_light_model_list: list[str]
    """Names of the components of the source."""
    kwargs_source: list[list[Keywords]]
    """Keywords of every component of the source, for every image."""
    lens_light_model_list: list[str]
    """Names of the components of the deflector's light."""
    kwargs_lens_light: list[list[Keywords]]
    """Keywords of every component of the deflector's light, for every image."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.kwargs_lens)


def to_lenstronomy(scenes: LensScenes, approximation: Approximation = "exact") -> LenstronomyScenes:
    """Lists and keywords with which lenstronomy draws the same light.

    lenstronomy's constant b_n is a linear approximation. With "exact" the radii are scaled so that
    the light is the same nevertheless; with "linear" they are those of `scenes`.

    Args:
        scenes: Lens models of registered profiles, and light.
        approximation: How b_n is computed when `scenes` are drawn by us.

    Returns:
        The batch in lenstronomy's words; `amp` is a surface brightness [pixel units / arcsec^2].

    Raises:
        UnknownNameError: A callable deflection, or a profile that lenstronomy does not have.
        WrongShapeError: Mass and light are not of the same number of images.
    """
    n = len(scenes.source)
    names, keywords = _masses_to_lenstronomy(scenes.lens_model)
    if {len(keywords), len(scenes.deflector)} != {n}:
        raise WrongShapeError(
            f"{len(keywords)} lens models, {n} sources and {len(scenes.deflector)} deflectors do "
            "not fit. Pass one of each per image."
        )
    source = _sersics_to_lenstronomy(scenes.source, approximation)
    deflector = _sersics_to_lenstronomy(scenes.deflector, approximation)
    return LenstronomyScenes(names, keywords, *source, *deflector)


def from_lenstronomy(
    scenes: LenstronomyScenes,
    dtype: torch.dtype = torch.float32,
    approximation: Approximation = "exact",
) -> LensScenes:
    """The inverse of `to_lenstronomy`, for batches that need not come from there.

    Args:
        scenes: Lists of names, and keywords for every image. Among the names that are understood
            are EPL_NUMBA, SHEAR_GAMMA_PSI and SERSIC too.
        dtype: Precision of the tensors.
        approximation: How b_n will be computed when the light is drawn by us.

    Returns:
        The batch in our records.

    Raises:
        UnknownNameError: A profile or a keyword that has no counterpart here.
        WrongShapeError: An image has other profiles than the lists say.
    """
    masses = []
    for position, name in enumerate(scenes.lens_model_list):
        columns = _column(scenes.kwargs_lens, position, scenes.lens_model_list)
        masses.append(_mass([mass_from_lenstronomy(name, own) for own in columns], name, dtype))
    light = (
        (scenes.source_light_model_list, scenes.kwargs_source),
        (scenes.lens_light_model_list, scenes.kwargs_lens_light),
    )
    return LensScenes(masses, *(_sersics(*part, dtype, approximation) for part in light))


def _masses_to_lenstronomy(lens_model: LensModel) -> tuple[list[str], list[list[Keywords]]]:
    columns = []
    for mass in lens_model:
        if isinstance(mass, CallableMass):
            raise UnknownNameError(
                "a callable deflection has no name in lenstronomy. Leave it out, or describe it "
                "by registered mass profiles."
            )
        columns.append([mass_to_lenstronomy(mass.name, row) for row in _rows(mass.parameters)])
    names = [column[0][0] for column in columns if column]
    return names, [[keywords for _, keywords in image] for image in zip(*columns, strict=True)]


def sersic_rows(sersics: Sersics, approximation: Approximation = "exact") -> list[Keywords]:
    """Components one by one, for a constant b_n of 1.9992 n - 0.3271 as lenstronomy and COOLEST.

    Args:
        sersics: Components of all images.
        approximation: How b_n is computed when they are drawn by us.

    Returns:
        What `core.lenstronomy.sersic_to_lenstronomy` and `core.coolest.sersic_to_coolest` take,
        component by component, image by image.
    """
    b_n = sersic_b(sersics.n_sersic, approximation)
    b_theirs = sersic_b(sersics.n_sersic, "linear")
    stretch = (b_theirs / b_n) ** sersics.n_sersic
    parameters = {
        "brightness": central_brightness(sersics, b_n) * torch.exp(-b_theirs),
        "r_eff_circ": circularised_radius(sersics.r_eff, sersics.q) * stretch,
    }
    shared = ("n_sersic", "q", "phi", "x_center", "y_center")
    return _rows(parameters | {name: getattr(sersics, name) for name in shared})


def sersics_from_rows(
    images: Sequence[Sequence[Mapping[str, float]]],
    dtype: torch.dtype = torch.float64,
    approximation: Approximation = "exact",
) -> Sersics:
    """The inverse of `sersic_rows`.

    Args:
        images: For every image its components, as many in each.
        dtype: Precision of the tensors.
        approximation: How b_n will be computed when they are drawn by us.

    Returns:
        Components of all images, (batch, component).
    """
    if not images or not images[0]:
        empty = torch.zeros(len(images), 0, dtype=dtype)
        return Sersics(**{part.name: empty for part in fields(Sersics)})
    values = {
        key: torch.tensor([[row[key] for row in image] for image in images], dtype=dtype)
        for key in images[0][0]
    }
    amplitude, radius, n, q = (values.pop(k) for k in ("brightness", "r_eff_circ", "n_sersic", "q"))
    b_n, b_theirs = sersic_b(n, approximation), sersic_b(n, "linear")
    r_eff = radius / circularised_radius(torch.ones_like(q), q) * (b_n / b_theirs) ** n
    unit = Sersics(flux=torch.ones_like(n), r_eff=r_eff, n_sersic=n, q=q, **values)
    flux = amplitude * torch.exp(b_theirs) / central_brightness(unit, b_n)
    return Sersics(flux=flux, r_eff=r_eff, n_sersic=n, q=q, **values)


def _sersics_to_lenstronomy(
    sersics: Sersics, approximation: Approximation
) -> tuple[list[str], list[list[Keywords]]]:
    n, n_component = sersics.flux.shape
    flat = [sersic_to_lenstronomy(row) for row in sersic_rows(sersics, approximation)]
    images = [flat[k * n_component : (k + 1) * n_component] for k in range(n)]
    return ["SERSIC_ELLIPSE"] * n_component, images


def _rows(columns: Mapping[str, Tensor]) -> list[Keywords]:
    """Columns of numbers as one dictionary per row."""
    lists = [values.flatten().tolist() for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _column(
    images: Sequence[Sequence[Keywords]], position: int, names: Sequence[str]
) -> list[Keywords]:
    """Keywords of one profile in every image."""
    for k, image in enumerate(images):
        if len(image) != len(names):
            raise WrongShapeError(
                f"image {k} has keywords of {len(image)} profiles, but the list names "
                f"{len(names)}: {', '.join(names)}. Give one dictionary per name."
            )
    return [image[position] for image in images]


def _mass(rows: Sequence[tuple[str, Keywords]], name: str, dtype: torch.dtype) -> MassProfile:
    """One mass profile of all images."""
    kinds = sorted({kind for kind, _ in rows})
    if len(kinds) != 1:
        raise WrongShapeError(
            f"{name} stands for {len(kinds)} of our profiles in this batch ({', '.join(kinds)}). "
            "Convert images of one kind at a time, at least one."
        )
    return MassProfile(kinds[0], _tensors([parameters for _, parameters in rows], dtype))


def _tensors(rows: Sequence[Keywords], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: torch.tensor([row[name] for row in rows], dtype=dtype) for name in rows[0]}


def _sersics(
    names: Sequence[str],
    images: Sequence[Sequence[Keywords]],
    dtype: torch.dtype,
    approximation: Approximation,
) -> Sersics:
    """Components of all images, (batch, component)."""
    columns = [
        [sersic_from_lenstronomy(name, own) for own in _column(images, i, names)]
        for i, name in enumerate(names)
    ]
    by_image = [list(image) for image in zip(*columns, strict=True)] or [[] for _ in images]
    return sersics_from_rows(by_image, dtype, approximation)
