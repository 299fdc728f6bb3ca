"""Simulated images of lenses with noise, masks and truth, for training and for judging a network.

Scenes and frames are drawn in `mock_scenes` and `mock_frames`; batches of them for a training are
in `mock_batches`. Every block of images is a function of the seed and its number alone.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from stronglens.core.conventions import turn_labels
from stronglens.core.seeds import numpy_generator, torch_generator
from stronglens.lensing.raytrace import trace
from stronglens.light.sersic import coefficients, evaluate
from stronglens.light.texture import Texture
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.mock_frames import MockFrame, draw_frame
from stronglens.measurement.mock_scenes import Scenes, Source, draw_scenes
from stronglens.measurement.parameters import theta_e_limits
from stronglens.measurement.psf_numbers import psf_width
from stronglens.simulation.render import Grid, observe_planes, pixel_coordinates

SNR_RANGE = (15.0, 400.0)
"""Range of arc_snr, drawn uniformly in its logarithm [-]."""
_RAYS_IN_CACHE = 90_000
_COARSEST_RAYS = 0.1
_RAYS_PER_FWHM = 3.0
_TEXTURE_SIDE = 6.0


@dataclass(frozen=True)
class MockImages:
    """A batch of simulated images that share a frame, with the truth about them."""

    flux: Float[Tensor, "batch y x"]
    """Noisy images, sky subtracted [pixel units]."""
    sigma: Float[Tensor, "batch y x"]
    """Standard deviation of the noise [pixel units]."""
    mask: Bool[Tensor, "batch y x"]
    """True where a pixel is bad."""
    frame: MockFrame
    """Pixels and PSF."""
    limits: Float[Tensor, "batch 2"]
    """Limits of the prior of theta_e [arcsec]."""
    truth: dict[str, Tensor]
    """Parameters of the lenses, each (batch,)."""
    arc_snr: Float[Tensor, "batch"]
    """Signal-to-noise ratio of the arcs [-]."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.flux)

    def first(self, n: int) -> "MockImages":
        """Return the first n images."""
        names = ("flux", "sigma", "mask", "limits", "arc_snr")
        parts = {name: getattr(self, name)[:n] for name in names}
        return replace(self, truth={k: v[:n] for k, v in self.truth.items()}, **parts)

    def turned(self, n_quarter_turns: int) -> "MockImages":
        """Return the same sky seen by a camera turned by quarter turns, labels and PSF with it."""

        def turn(plane: Tensor) -> Tensor:
            return torch.rot90(plane, n_quarter_turns, dims=(-2, -1))

        sign = -1.0 if n_quarter_turns % 2 else 1.0
        frame = self.frame
        psf, told = (
            replace(shape, e1=sign * shape.e1, e2=sign * shape.e2)
            for shape in (frame.psf, frame.told_psf)
        )
        return replace(
            self,
            flux=turn(self.flux),
            sigma=turn(self.sigma),
            mask=turn(self.mask),
            frame=replace(frame, psf=psf, told_psf=told),
            truth=turn_labels(self.truth, n_quarter_turns),
        )

    def lens_image(self, index: int, name: str = "") -> LensImage:
        """Return one image as a measurement takes it."""
        return LensImage(
            flux=self.flux[index].cpu().double().numpy(),
            sigma=self.sigma[index].cpu().double().numpy(),
            mask=self.mask[index].cpu().numpy(),
            psf=self.frame.told_psf.observed(self.frame.image_scale).double().numpy(),
            pixel_scale=self.frame.image_scale,
            name=name or f"mock-{index}",
        )


@dataclass(frozen=True)
class MockChoices:
    """What is fixed about simulated images; the rest is drawn."""

    frame: MockFrame | None = None
    """Pixels and PSF; drawn for each block where it is not given."""
    arc_snr: float | None = None
    """S/N of the arcs; drawn where it is not given [-]."""
    theta_e: tuple[float, float] | None = None
    """Range of theta_e, logarithm uniform; that of the prior where it is not given [arcsec]."""
    oversample: int | None = None
    """Rays along a pixel's side; as many as the PSF asks for where it is not given [-]."""


def draw_images(
    seed: int,
    block: int,
    n: int,
    choices: MockChoices = MockChoices(),
    device: torch.device | None = None,
) -> MockImages:
    """Simulate one block of images.

    Args:
        seed: Seed of the set.
        block: Number of the block in it.
        n: Images in a block.
        choices: What is fixed about them.
        device: Where to work; the CPU by default.

    Returns:
        The images with their truth; the same for the same seed, number and size.
    """
    return next(draw_exposures(seed, block, n, choices, device))


def draw_exposures(
    seed: int,
    block: int,
    n: int,
    choices: MockChoices = MockChoices(),
    device: torch.device | None = None,
) -> Iterator[MockImages]:
    """Simulate one block of scenes, and yield image after image of each.

    The images of a scene differ in S/N, contrast of lens and arcs, noise, masks and, from the
    second on, in how the camera is turned. They come at a tenth of the price of new scenes.

    Args:
        seed: Seed of the set.
        block: Number of the block in it.
        n: Scenes in a block.
        choices: What is fixed about them.
        device: Where to work; the CPU by default.

    Yields:
        An image of each scene, with the truth, without end.
    """
    place = device or torch.device("cpu")
    frame = choices.frame or draw_frame(numpy_generator(seed, "mock-frame", block))
    generator = torch_generator(seed, "mock-images", block, device=str(place))
    told = frame.told_psf.observed(frame.pixel_scale)
    width = psf_width(told, frame.pixel_scale)
    limits = theta_e_limits(torch.tensor([frame.field]), torch.tensor([width]))
    drawn = limits if choices.theta_e is None else torch.tensor([choices.theta_e])
    scenes = draw_scenes(generator, drawn.expand(n, 2).to(place), frame.field)
    planes = render_planes(scenes, frame, choices.oversample)
    for turns in itertools.count():
        images = _observed(generator, scenes, planes, (frame, limits.expand(n, 2)), choices)
        yield images.turned(turns) if turns % 4 else images


@torch.no_grad()
def render_planes(
    scenes: Scenes, frame: MockFrame, oversample: int | None = None
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Draw the arcs of unlensed flux one, and the unlensed light, blurred and in pixels.

    Args:
        scenes: What is seen.
        frame: Through which pixels and PSF.
        oversample: Rays along a pixel's side; by default a ray per third of the PSF's width [-].

    Returns:
        Noiseless flux per pixel of the arcs, and of deflector and neighbours.
    """
    fewest = frame.image_scale * max(_RAYS_PER_FWHM / frame.psf.fwhm, 1.0 / _COARSEST_RAYS)
    steps = oversample or min(max(math.ceil(fewest), 2), 5)
    grid = Grid(frame.n_pixels, frame.n_pixels, frame.image_scale, steps, padding=1)
    x, y = pixel_coordinates(grid, device=scenes.boxiness.device)
    x, y = x[:, :1, :], y[:, :, :1]
    n, (rows, columns) = len(scenes.boxiness), grid.fine_shape
    planes = scenes.boxiness.new_empty((2, n, rows, columns))
    size = n if planes.is_cuda else max(1, _RAYS_IN_CACHE // (rows * columns))
    mass, deflector = scenes.lens_model, coefficients(scenes.light)
    neighbours = coefficients(scenes.neighbours)
    has_neighbours = (scenes.neighbours.flux > 0).any(dim=1)
    for k in range(0, n, size):
        part = slice(k, k + size)
        beta = trace(x, y, [profile[part] for profile in mass])
        planes[0, part] = _source_light(*beta, scenes.source, part)
        planes[1, part] = evaluate(*_boxy(x, y, scenes, part), deflector[:, part])
        if bool(has_neighbours[part].any()):
            planes[1, part] += evaluate(x, y, neighbours[:, part])
    side = 2 * math.ceil(3.0 * frame.psf.fwhm / grid.fine_scale) + 1
    kernel = frame.psf.kernel(grid.fine_scale, side).to(planes)
    planes *= grid.fine_scale**2
    arcs, light = observe_planes((planes[0], planes[1]), kernel, grid)
    return arcs, light


def _source_light(x: Tensor, y: Tensor, source: Source, part: slice) -> Tensor:
    light = evaluate(x, y, coefficients(source.smooth[part]))
    if source.texture is not None:
        own = source.smooth[part]
        scale = own.r_eff[:, 0] * (_TEXTURE_SIDE / source.texture.shape[-1])
        center = own.x_center[:, 0], own.y_center[:, 0]
        light = light * Texture(source.texture[part], scale, *center).factor(x, y)
    if source.clumps is None:
        return light
    light = light * (1.0 - source.clump_share[part])[:, None, None]
    clumps = source.clumps
    for i in range(clumps.sigma.shape[1]):
        dx, dy, sigma = (
            values[part, i, None, None]
            for values in (clumps.x_center, clumps.y_center, clumps.sigma)
        )
        exponent = ((x - dx).square() + (y - dy).square()) * (-0.5 / sigma**2)
        flux = (clumps.flux_share[part, i] * source.clump_share[part])[:, None, None]
        light += exponent.clamp_min_(-60.0).exp_() * (flux / (2.0 * math.pi * sigma**2))
    return light


def _boxy(x: Tensor, y: Tensor, scenes: Scenes, part: slice) -> tuple[Tensor, Tensor]:
    """Positions stretched by 1 + a cos 4 phi about the deflector: isophotes become boxy or discy.

    Reference: Bender & Moellenhoff 1987 for isophotes with a cos 4 phi term.
    """
    light = scenes.light
    x0, y0, phi = (
        values[part, 0, None, None] for values in (light.x_center, light.y_center, light.phi)
    )
    dx, dy = x - x0, y - y0
    cos, sin = torch.cos(phi), torch.sin(phi)
    u2, v2 = (dx * cos + dy * sin).square(), (dy * cos - dx * sin).square()
    cos4 = 1.0 - 8.0 * u2 * v2 / (u2 + v2).clamp_min(1e-12).square()
    stretch = 1.0 - scenes.boxiness[part, None, None] * cos4
    return x0 + dx * stretch, y0 + dy * stretch


def _observed(
    generator: Generator,
    scenes: Scenes,
    planes: tuple[Tensor, Tensor],
    where: tuple[MockFrame, Tensor],
    choices: MockChoices,
) -> MockImages:
    """Scale arcs, light and noise to the signal-to-noise ratio that is wanted, and add masks."""
    arcs, light = planes
    n = len(arcs)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator, device=arcs.device)

    ratio = 10.0 ** uniform(-0.5, 1.5) * (uniform(0.0, 1.0) > 0.1) + 1e-3
    arcs = arcs / arcs.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    scene = arcs + light * ratio[:, None, None] / light.sum(dim=(1, 2), keepdim=True)
    photons = 10.0 ** uniform(-2.0, 1.5)
    variance = 1.0 + scene * (photons / scene.amax(dim=(1, 2)))[:, None, None]
    low, high = (math.log(s) for s in SNR_RANGE)
    snr = torch.exp(uniform(low, high))
    snr = snr if choices.arc_snr is None else torch.full_like(snr, choices.arc_snr)
    found = (arcs.square() / variance).sum(dim=(1, 2)).sqrt()
    # pixel units in which the sky's noise is one
    scene = scene * (snr / found)[:, None, None]
    sigma = variance.sqrt()
    noise = torch.randn(scene.shape, generator=generator, device=scene.device)
    mask = _masks(generator, scenes, where[0], scene)
    limits = where[1].to(scene)
    return MockImages(
        scene + sigma * noise, sigma, mask, where[0], limits, scenes.truth, arc_snr=snr
    )


def _masks(generator: Generator, scenes: Scenes, frame: MockFrame, like: Tensor) -> Tensor:
    """Bad pixels, bars and discs over neighbours, in some of the images."""
    n, side = len(like), frame.n_pixels

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=like.device)

    share = (uniform(n, 1, 1) < 0.3) * 0.02 * uniform(n, 1, 1)
    mask = uniform(n, side, side) < share
    line = torch.arange(side, device=like.device)
    start, width = (uniform(n) * side).floor(), 1.0 + (uniform(n) * 3.0).floor()
    is_bar = (line >= start[:, None]) & (line < (start + width)[:, None])
    mask |= is_bar[:, None, :] & (uniform(n, 1, 1) < 0.05)
    position = (line - 0.5 * (side - 1)) * frame.image_scale
    others = scenes.neighbours
    for i in range(others.flux.shape[1]):
        x, y, r = (v[:, i, None, None] for v in (others.x_center, others.y_center, others.r_eff))
        distance = torch.hypot(position[None, None, :] - x, position[None, :, None] - y)
        is_masked = (others.flux[:, i] > 0) & (uniform(n) < 0.5)
        mask |= (distance < 1.5 * r + frame.psf.fwhm) & is_masked[:, None, None]
    return mask
