"""From an image with noise, mask and PSF to the planes and numbers that a network sees.

One set of planes serves every telescope: a frame of 64 x 64 pixels in units of the noise, binned if
the camera's pixels are finer than the field asks for.
"""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from stronglens.core.errors import OutOfRangeError
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.mock_frames import LARGEST_SIDE
from stronglens.measurement.mock_images import MockImages
from stronglens.measurement.parameters import theta_e_limits
from stronglens.measurement.psf_numbers import N_PSF_NUMBERS, psf_numbers

N_PLANES = 6
"""Image, noise, mask, image minus itself turned by half a turn, x and y."""
CONDITIONS = (
    *(f"psf_{k}" for k in range(N_PSF_NUMBERS)),
    *("log_image_scale", "log_field", "log_binning", "is_odd", "masked_share", "brightness"),
)
"""Numbers about PSF, scale of the binned pixels, field, binning, parity, mask and brightness."""
N_CONDITIONS = len(CONDITIONS)
"""Count of them."""
FIELD = 6.0
"""Field that a large image is cut to unless another is asked for [arcsec]."""
_SKY_QUANTILE = 0.1
_STRIDE = 3
_SOFTENING = 3.0


@dataclass(frozen=True)
class NetworkInput:
    """What a network sees of a batch of images."""

    planes: Float[Tensor, "batch plane 64 64"]
    """Images and what is known about their pixels."""
    conditions: Float[Tensor, "batch number"]
    """Numbers about PSF, pixels and field."""
    limits: Float[Tensor, "batch 2"]
    """Limits of the prior of theta_e [arcsec]."""

    def to(self, device: torch.device) -> "NetworkInput":
        """Return the same on another device."""
        return NetworkInput(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class Prepared:
    """Images of one frame, cut and binned to that of a network."""

    flux: Float[Tensor, "batch y x"]
    """Flux per binned pixel [pixel units]."""
    sigma: Float[Tensor, "batch y x"]
    """Its noise [pixel units]."""
    mask: Bool[Tensor, "batch y x"]
    """True where nothing is known."""
    psf: Float[Tensor, "k_y k_x"]
    """PSF at the camera's pixel scale."""
    pixel_scale: float
    """The camera's pixel scale [arcsec/pixel]."""
    binning: int = 1
    """Camera pixels along the side of a binned one [-]."""
    x_offset: float = 0.0
    """Middle of the binned frame along x, from that of the image [arcsec]."""
    y_offset: float = 0.0
    """The same along y [arcsec]."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.flux)

    @property
    def image_scale(self) -> float:
        """Scale of the binned pixels [arcsec/pixel]."""
        return self.pixel_scale * self.binning

    def view(self, n_quarter_turns: int = 0, *, is_flipped: bool = False) -> NetworkInput:
        """Return what a network sees of the images flipped along x, then turned."""

        def seen(plane: Tensor) -> Tensor:
            flipped = torch.flip(plane, dims=(-1,)) if is_flipped else plane
            return torch.rot90(flipped, n_quarter_turns, dims=(-2, -1))

        numbers = psf_numbers(seen(self.psf), self.pixel_scale)
        planes = seen(self.flux), seen(self.sigma), seen(self.mask)
        return build_input(planes, numbers, self.image_scale, self.binning)


def prepare_mocks(images: MockImages) -> Prepared:
    """Take simulated images of one frame; those larger than a network's are binned.

    Args:
        images: Images of one frame.

    Returns:
        The images.
    """
    frame = images.frame
    if frame.n_pixels > LARGEST_SIDE:
        each = [prepare(images.lens_image(i)) for i in range(len(images))]
        parts = {
            name: torch.cat([getattr(one, name) for one in each])
            for name in ("flux", "sigma", "mask")
        }
        return replace(each[0], **parts)
    psf = frame.told_psf.observed(frame.pixel_scale)
    parts = images.flux, images.sigma, images.mask
    return Prepared(*parts, psf.double(), frame.pixel_scale, frame.binning)


def build_input(
    image: tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"], Bool[Tensor, "batch y x"]],
    numbers: Float[Tensor, "8"],
    image_scale: float,
    binning: int,
) -> NetworkInput:
    """Scale images by their noise and put them into the middle of the network's frame.

    Args:
        image: Flux, sigma and mask, at most 64 x 64 pixels.
        numbers: What `psf_numbers` says of their PSF.
        image_scale: Their pixel scale [arcsec/pixel].
        binning: Camera pixels along the side of one of theirs [-].

    Returns:
        Planes, numbers and limits.
    """
    flux, sigma, mask = image
    n, height, width = flux.shape
    scaled, noise = _in_noise_units(flux, sigma, mask)
    half_turned = torch.rot90(scaled, 2, dims=(-2, -1))
    is_paired = ~(mask | torch.rot90(mask, 2, dims=(-2, -1)))
    odd_part = torch.asinh((scaled - half_turned) / _SOFTENING) * is_paired
    y = (torch.arange(height).to(flux) - 0.5 * (height - 1)) / (0.5 * LARGEST_SIDE)
    x = (torch.arange(width).to(flux) - 0.5 * (width - 1)) / (0.5 * LARGEST_SIDE)
    seen = torch.stack([torch.asinh(scaled / _SOFTENING), noise, odd_part], dim=1)
    known = (~mask).to(flux)[:, None]
    place = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
    planes = torch.cat([seen, known, place.expand(n, -1, -1, -1)], dim=1)
    conditions = torch.cat(
        [numbers.to(flux).expand(n, -1), _conditions(planes, mask, image_scale, binning)], dim=1
    )
    field = conditions.new_full((n,), min(height, width) * image_scale)
    limits = theta_e_limits(field, numbers[:1].exp().to(flux).expand(n))
    return NetworkInput(_padded(planes), conditions, limits)


def prepare(image: LensImage, field: float | None = None) -> Prepared:
    """Cut and bin an image to the frame of a network.

    Args:
        image: The image.
        field: Side of the square that is looked at; all of a small image and 6 arcsec of a large
            one by default [arcsec].

    Returns:
        The binned image.

    Raises:
        OutOfRangeError: The image has no good pixel.
    """
    good = image.is_good
    if not good.any():
        raise OutOfRangeError(
            f"image {image.name!r} has no good pixel: all are masked, not finite or without noise. "
            "Pass an image with data."
        )
    binning = _binning(image, field)
    most = LARGEST_SIDE if field is None else round(field / (image.pixel_scale * binning))
    size = [max(1, min(n // binning, most, LARGEST_SIDE)) for n in image.flux.shape]
    starts = [(n - m * binning) // 2 for n, m in zip(image.flux.shape, size, strict=True)]
    cut = tuple(slice(s, s + m * binning) for s, m in zip(starts, size, strict=True))
    flux = np.where(good, image.flux, 0.0)[cut]
    variance = np.where(good, image.sigma, 0.0)[cut] ** 2
    n_good = _binned(good[cut].astype(float), binning)
    # a bin that lacks pixels is filled up with the mean of those it has
    fill = binning**2 / np.maximum(n_good, 1.0)
    y_offset, x_offset = (
        (s + 0.5 * (m * binning - 1) - 0.5 * (n - 1)) * image.pixel_scale
        for s, m, n in zip(starts, size, image.flux.shape, strict=True)
    )
    return Prepared(
        flux=_tensor(_binned(flux, binning) * fill),
        sigma=_tensor(np.sqrt(_binned(variance, binning)) * fill),
        mask=torch.from_numpy(n_good == 0)[None],
        psf=torch.from_numpy(image.psf.astype(np.float64)),
        pixel_scale=image.pixel_scale,
        binning=binning,
        x_offset=x_offset,
        y_offset=y_offset,
    )


def _binning(image: LensImage, field: float | None) -> int:
    """Smallest binning whose frame holds the field that is looked at."""
    whole = min(image.flux.shape) * image.pixel_scale
    wanted = min(whole, FIELD) if field is None else min(whole, field)
    return max(1, math.ceil(wanted / (LARGEST_SIDE * image.pixel_scale) - 1e-6))


def _binned(image: np.ndarray, binning: int) -> np.ndarray:
    height, width = (n // binning for n in image.shape)
    return image.reshape(height, binning, width, binning).sum(axis=(1, 3))


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.astype(np.float32))[None]


def _in_noise_units(flux: Tensor, sigma: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Flux over the noise of the sky, and the logarithm of each pixel's noise over it."""
    # masked pixels last, so that the quantile is one of the good ones; every third will do
    flat = sigma.masked_fill(mask, torch.inf).flatten(1)
    flat = torch.cat([flat[:, ::_STRIDE], flat.amin(dim=1, keepdim=True)], dim=1)
    rank = (_SKY_QUANTILE * torch.isfinite(flat).sum(dim=1)).long()
    sky = flat.sort(dim=1).values.gather(1, rank[:, None])[:, :, None]
    noise = torch.log((sigma / sky).clamp(0.1, 1e3)).masked_fill(mask, 0.0)
    return (flux / sky).masked_fill(mask, 0.0), noise


def _conditions(planes: Tensor, mask: Tensor, image_scale: float, binning: int) -> Tensor:
    n, height, width = mask.shape
    brightness = planes[:, 0].flatten(1)
    shared = [
        math.log(image_scale),
        math.log(image_scale * min(height, width)),
        math.log(binning),
        float(height % 2),
    ]
    own = [mask.float().mean(dim=(1, 2)), brightness.amax(dim=1)]
    return torch.cat([planes.new_tensor(shared).expand(n, -1), torch.stack(own, dim=1)], dim=1)


def _padded(planes: Tensor) -> Tensor:
    height, width = planes.shape[-2:]
    top, left = (LARGEST_SIDE - height) // 2, (LARGEST_SIDE - width) // 2
    return functional.pad(
        planes, (left, LARGEST_SIDE - width - left, top, LARGEST_SIDE - height - top)
    )
