"""Lenses and look-alikes that share no code with the package's own simulation.

GalSim draws galaxies and PSF, lenstronomy bends and draws the sources. Profiles and priors differ
from the package's: Kolmogorov seeing, EPL with shear, sources of two Sersic parts with clumps,
discs with random knots, de Vaucouleurs bulges, colours from a short list. Noise is that of the
depth that KiDS publishes. Both classes share deflectors and neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import galsim
import numpy as np
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel

from stronglens.core.seeds import numpy_generator
from stronglens.data.layout import ImageFacts, Images
from stronglens.simulation.simulated_set import BLOCK, AbstractSimulatedSet, ObservedBlock
from stronglens.surveys import survey

SIZE, SCALE, ZERO_POINT = 64, 0.2, 30.0
BANDS = ("kids-u", "kids-g", "kids-r", "kids-i")
OVERSAMPLE = 3
"""Fine pixels per pixel side on which sources are bent."""
RED = (3.3, 1.9, 0.75, 0.0)
"""Colours of an early type at redshift 0.4, magnitudes less that in i."""
BLUE = (0.7, 0.45, 0.2, 0.0)
"""Colours of a star-forming galaxy."""
SHARES = {
    "companions": 0.2, "alone": 0.35, "spiral": 0.2, "edge-on": 0.1, "ring": 0.08, "merger": 0.07,
}  # fmt: skip
"""Shares of what is not a lens."""
REPLACED = frozenset({"spiral", "edge-on", "ring", "merger"})
"""Classes without the deflector of a lens."""

Layer = tuple[galsim.GSObject, np.ndarray]
"""A light profile of unit flux [arcsec], and its flux in each band [pixel units]."""


@dataclass(frozen=True)
class ForeignSet(AbstractSimulatedSet):
    """Blocks of foreign scenes, all lenses or all others."""

    kind: str
    """lens or other."""
    seed: int
    """Seed of every draw."""
    variants: tuple[str, ...] = ("stack",)
    planes: tuple[str, ...] = ("noiseless", "source")

    def facts(self, variant: str) -> ImageFacts:
        """Return what all images share."""
        return ImageFacts(BANDS, SCALE, ZERO_POINT, SIZE, SIZE, unit="AB flux, zero point 30")

    def provenance(self, variant: str) -> dict[str, Any]:
        """Return how the images were made."""
        return {"seed": self.seed, "kind": self.kind, "codes": "GalSim and lenstronomy"}

    def draw(self, block: int, variants: Sequence[str]) -> dict[str, ObservedBlock]:
        """Draw, bend and observe the scenes of a block."""
        scenes = [self._scene(block, k) for k in range(BLOCK)]
        noiseless, arcs, flux, sigma = (
            np.stack([scene[name] for scene in scenes]).astype(np.float32)
            for name in ("noiseless", "arc", "flux", "sigma")
        )
        ivar = np.broadcast_to(sigma[:, :, None, None] ** -2, flux.shape).astype(np.float32)
        truth = self._truth(scenes, arcs, ivar)
        images = Images(flux, ivar, np.zeros(flux.shape, bool))
        planes = {"noiseless": noiseless, "source": arcs}
        return dict.fromkeys(variants, ObservedBlock(images, truth, planes))

    def _truth(
        self, scenes: list[dict[str, Any]], arcs: np.ndarray, ivar: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return what figures need, by the definitions of the conventions."""
        snr = np.sqrt((arcs**2 * ivar).sum(axis=(2, 3))).max(axis=1)
        bright = (arcs * np.sqrt(ivar) > 1).sum(axis=(2, 3)).max(axis=1) >= 20
        magnification = np.array([scene["magnification"] for scene in scenes])
        is_lens = self.kind == "lens"
        return {
            "label": np.full(BLOCK, int(is_lens)),
            "scene_class": np.array([scene["scene_class"] for scene in scenes], object),
            "theta_e": np.array([scene["theta_e"] for scene in scenes]),
            "arc_snr": np.where(is_lens, snr, np.nan),
            "magnification": magnification,
            "is_detectable": bright & (magnification > 1.6) & is_lens,
        }

    def _scene(self, block: int, k: int) -> dict[str, Any]:
        """Draw and observe one scene."""
        rng = numpy_generator(self.seed, "foreign", block, k)
        kernels = psfs(rng)
        sigma = sky_sigma() * rng.uniform(0.8, 1.25, len(BANDS))
        classes = list(SHARES)
        name = "lens" if self.kind == "lens" else str(rng.choice(classes, p=list(SHARES.values())))
        mag = rng.uniform(17.5, 20.5)
        theta_e = rng.uniform(0.6, 2.6)
        layers = neighbours(rng)
        if name not in REPLACED:
            layers += early_type(rng, mag)
        arc, magnification = np.zeros((len(BANDS), SIZE, SIZE)), np.nan
        if name == "lens":
            arc, magnification = lensed(rng, theta_e, kernels, sigma)
        else:
            layers += look_alike(rng, name, mag, theta_e)
        image = rendered(layers, kernels)
        noiseless = image + arc
        noise = rng.normal(0.0, 1.0, noiseless.shape) * sigma[:, None, None]
        return {
            "noiseless": noiseless, "arc": arc, "flux": noiseless + noise, "sigma": sigma,
            "scene_class": name, "magnification": magnification,
            "theta_e": theta_e if name == "lens" else np.nan,
        }  # fmt: skip


def psfs(rng: np.random.Generator) -> list[galsim.GSObject]:
    """Seeing of one image: Kolmogorov, all bands by one factor, each with some ellipticity."""
    factor = rng.lognormal(0.0, 0.1)
    made = []
    for name in BANDS:
        e1, e2 = rng.normal(0.0, 0.015, 2)
        fwhm = survey("kids-dr4").band(name).psf_fwhm * factor
        made.append(galsim.Kolmogorov(fwhm=fwhm).shear(g1=e1, g2=e2))
    return made


def sky_sigma() -> np.ndarray:
    """Noise of a pixel that the published depth stands for, in each band [pixel units]."""
    sigma = []
    for name in BANDS:
        depth = survey("kids-dr4").band(name).depth_published
        if depth is None or depth.aperture is None:
            raise ValueError(f"{name} has no depth in an aperture; choose a band that has.")
        n_pixels = np.pi * (0.5 * depth.aperture / SCALE) ** 2
        sigma.append(flux_of(depth.magnitude) / depth.n_sigma / np.sqrt(n_pixels))
    return np.array(sigma)


def flux_of(magnitude: float | np.ndarray) -> float | np.ndarray:
    """Flux of a magnitude [pixel units]."""
    return 10 ** (-0.4 * (np.asarray(magnitude) - ZERO_POINT))


def fluxes(rng: np.random.Generator, mag_i: float, colours: tuple[float, ...]) -> np.ndarray:
    """Flux in each band of a galaxy of some colour, scattered by 0.2 mag."""
    scattered = np.array(colours) * rng.normal(1.0, 0.15) + rng.normal(0.0, 0.05, len(BANDS))
    return np.asarray(flux_of(mag_i + scattered))


def sheared(rng: np.random.Generator, profile: galsim.GSObject, most: float) -> galsim.GSObject:
    """A profile with a random ellipticity and angle."""
    return profile.shear(g=rng.uniform(0.0, most), beta=rng.uniform(0, 180) * galsim.degrees)


def early_type(rng: np.random.Generator, mag: float) -> list[Layer]:
    """A de Vaucouleurs bulge in an exponential envelope, of one angle."""
    radius = 10 ** (0.25 - 0.12 * (mag - 18.0)) * rng.lognormal(0.0, 0.2)
    total = fluxes(rng, mag, RED)
    bulge = galsim.DeVaucouleurs(half_light_radius=0.6 * radius)
    envelope = galsim.Exponential(half_light_radius=1.6 * radius)
    share = rng.uniform(0.5, 0.9)
    g, angle = rng.uniform(0.0, 0.25), rng.uniform(0, 180) * galsim.degrees
    return [
        (bulge.shear(g=g, beta=angle), share * total),
        (envelope.shear(g=0.8 * g, beta=angle), (1 - share) * total),
    ]


def neighbours(rng: np.random.Generator) -> list[Layer]:
    """Galaxies anywhere in the frame, about two of them."""
    layers = []
    for _ in range(rng.poisson(2.0)):
        x, y = rng.uniform(-0.5, 0.5, 2) * SIZE * SCALE
        if np.hypot(x, y) < 3.0:
            continue
        mag = 24.0 - rng.exponential(1.2)
        profile = galsim.Sersic(n=rng.choice([1.0, 2.0]), half_light_radius=rng.uniform(0.2, 0.8))
        colours = BLUE if rng.random() < 0.6 else RED
        layers.append((sheared(rng, profile, 0.4).shift(x, y), fluxes(rng, mag, colours)))
    return layers


def look_alike(rng: np.random.Generator, name: str, mag: float, theta_e: float) -> list[Layer]:
    """What a class has in the middle, or around a deflector."""
    return {
        "alone": list,
        "companions": lambda: companions(rng, theta_e),
        "spiral": lambda: spiral(rng, mag),
        "edge-on": lambda: edge_on(rng, mag),
        "ring": lambda: ring(rng, mag),
        "merger": lambda: merger(rng, mag),
    }[name]()


def companions(rng: np.random.Generator, theta_e: float) -> list[Layer]:
    """One to four blue galaxies at the radii of arcs."""
    layers = []
    for _ in range(rng.integers(1, 5)):
        radius, angle = theta_e * rng.uniform(0.7, 2.0), rng.uniform(0, 2 * np.pi)
        profile = galsim.Exponential(half_light_radius=rng.uniform(0.15, 0.5))
        moved = sheared(rng, profile, 0.5).shift(radius * np.cos(angle), radius * np.sin(angle))
        layers.append((moved, fluxes(rng, rng.uniform(21.5, 24.5), BLUE)))
    return layers


def spiral(rng: np.random.Generator, mag: float) -> list[Layer]:
    """A blue disc with knots of star formation and a red bulge."""
    radius = rng.uniform(0.8, 2.2)
    generator = galsim.BaseDeviate(int(rng.integers(1, 2**31)))
    disc = galsim.Exponential(half_light_radius=radius)
    knots = galsim.RandomKnots(int(rng.integers(15, 60)), profile=disc, rng=generator)
    share = rng.uniform(0.1, 0.35)
    total, g = fluxes(rng, mag, BLUE), rng.uniform(0.0, 0.3)
    angle = rng.uniform(0, 180) * galsim.degrees
    return [
        (disc.shear(g=g, beta=angle), (1 - share) * total),
        (galsim.Convolve(knots, galsim.Gaussian(fwhm=0.15)).shear(g=g, beta=angle), share * total),
        (
            galsim.Sersic(n=3.0, half_light_radius=0.25 * radius),
            fluxes(rng, mag + rng.uniform(0.5, 2.0), RED),
        ),
    ]


def edge_on(rng: np.random.Generator, mag: float) -> list[Layer]:
    """A thin disc seen from its side, with a small bulge."""
    radius = rng.uniform(0.8, 2.0)
    disc = galsim.InclinedExponential(
        inclination=rng.uniform(75, 90) * galsim.degrees, scale_radius=radius, scale_h_over_r=0.12
    )
    colours = BLUE if rng.random() < 0.5 else RED
    turned = disc.rotate(rng.uniform(0, 180) * galsim.degrees)
    bulge = galsim.DeVaucouleurs(half_light_radius=0.3)
    return [
        (turned, fluxes(rng, mag, colours)),
        (bulge, fluxes(rng, mag + rng.uniform(1.0, 2.5), RED)),
    ]


def ring(rng: np.random.Generator, mag: float) -> list[Layer]:
    """A blue ring of many knots around a red centre."""
    radius, n = rng.uniform(0.9, 2.6), int(rng.integers(40, 90))
    angle = rng.uniform(0, 2 * np.pi, n)
    places = radius * (1 + rng.normal(0.0, 0.06, n)), angle
    knots = [
        galsim.Gaussian(sigma=0.12 * radius, flux=weight).shift(r * np.cos(a), r * np.sin(a))
        for r, a, weight in zip(*places, rng.dirichlet(np.full(n, 2.0)), strict=True)
    ]
    whole = sheared(rng, galsim.Add(knots), 0.25)
    return [*early_type(rng, mag), (whole, fluxes(rng, mag + rng.uniform(1.0, 3.0), BLUE))]


def merger(rng: np.random.Generator, mag: float) -> list[Layer]:
    """Two galaxies close together, and a faint bent tail of blobs."""
    gap, turn = rng.uniform(0.8, 2.5), rng.uniform(0, 2 * np.pi)
    second = [
        (layer.shift(gap * np.cos(turn), gap * np.sin(turn)), flux)
        for layer, flux in early_type(rng, mag + rng.uniform(0.0, 1.5))
    ]
    layers = [*early_type(rng, mag), *second]
    total = fluxes(rng, mag + rng.uniform(2.0, 3.5), BLUE)
    for k in range(8):
        radius, angle = gap + 0.35 * k, turn + 0.22 * k
        blob = galsim.Gaussian(sigma=0.3).shift(radius * np.cos(angle), radius * np.sin(angle))
        layers.append((blob, total / 8))
    return layers


def rendered(layers: list[Layer], kernels: list[galsim.GSObject]) -> np.ndarray:
    """Image (band, y, x) of light profiles [pixel units]."""
    image = np.zeros((len(BANDS), SIZE, SIZE))
    for k, kernel in enumerate(kernels):
        # one sum of all profiles is convolved once
        scene = galsim.Add([profile.withFlux(float(flux[k])) for profile, flux in layers] or
                           [galsim.Gaussian(sigma=1.0, flux=0.0)])  # fmt: skip
        drawn = galsim.Convolve(scene, kernel, gsparams=_PARAMETERS)
        image[k] = drawn.drawImage(nx=SIZE, ny=SIZE, scale=SCALE, dtype=float).array
    return image


_PARAMETERS = galsim.GSParams(maximum_fft_size=8192, folding_threshold=1e-2, maxk_threshold=3e-3)


def lensed(
    rng: np.random.Generator, theta_e: float, kernels: list[galsim.GSObject], sigma: np.ndarray
) -> tuple[np.ndarray, float]:
    """Arcs (band, y, x) [pixel units] with a drawn S/N, and the magnification."""
    mass, bends = deflecting(rng, theta_e)
    light, sources = shining(rng, theta_e)
    fine, n = SCALE / OVERSAMPLE, SIZE * OVERSAMPLE
    axis = (np.arange(n) - (n - 1) / 2) * fine
    x, y = (plane.ravel() for plane in np.meshgrid(axis, axis))
    bent = mass.ray_shooting(x, y, bends)
    arc = light.surface_brightness(*bent, sources).reshape(n, n) * fine**2
    plain = light.surface_brightness(x, y, sources).sum() * fine**2
    shape = galsim.InterpolatedImage(galsim.Image(arc, scale=fine), normalization="flux")
    colours = np.asarray(flux_of(30.0 + np.array(BLUE) * rng.normal(1.0, 0.3)))
    unit = np.stack([
        galsim.Convolve(shape, kernel).drawImage(nx=SIZE, ny=SIZE, scale=SCALE, dtype=float).array
        for kernel in kernels
    ]) * colours[:, None, None]  # fmt: skip
    snr = np.sqrt((unit**2 / sigma[:, None, None] ** 2).sum(axis=(1, 2))).max()
    wanted = np.exp(rng.uniform(np.log(8.0), np.log(120.0)))
    return unit * wanted / snr, float(arc.sum() / plain)


def deflecting(rng: np.random.Generator, theta_e: float) -> tuple[LensModel, list[dict]]:
    """An elliptical power law with shear."""
    e1, e2 = rng.normal(0.0, 0.1, 2)
    gamma1, gamma2 = rng.normal(0.0, 0.04, 2)
    bends = [
        {"theta_E": theta_e, "gamma": np.clip(rng.normal(2.0, 0.12), 1.7, 2.3), "e1": e1, "e2": e2,
         "center_x": 0.0, "center_y": 0.0},
        {"gamma1": gamma1, "gamma2": gamma2, "ra_0": 0.0, "dec_0": 0.0},
    ]  # fmt: skip
    return LensModel(["EPL", "SHEAR"]), bends


def shining(rng: np.random.Generator, theta_e: float) -> tuple[LightModel, list[dict]]:
    """A source of two Sersic parts and some clumps, inside the Einstein radius."""
    radius, angle = 0.7 * theta_e * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    x, y, size = radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.08, 0.4)
    e1, e2 = rng.normal(0.0, 0.12, 2)
    common = {"e1": e1, "e2": e2, "center_x": x, "center_y": y}
    parts = [
        {"amp": 1.0, "R_sersic": size, "n_sersic": 1.0, **common},
        {"amp": 1.5, "R_sersic": 0.3 * size, "n_sersic": 2.5, **common},
    ]
    names = ["SERSIC_ELLIPSE", "SERSIC_ELLIPSE"]
    for _ in range(rng.integers(0, 5)):
        dx, dy = rng.normal(0.0, size, 2)
        names.append("GAUSSIAN")
        parts.append({"amp": rng.uniform(0.1, 0.6) * size**2, "sigma": 0.15 * size,
                      "center_x": x + dx, "center_y": y + dy})  # fmt: skip
    return LightModel(names), parts
