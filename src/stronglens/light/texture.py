"""Log-normal random texture that multiplies a galaxy's light: draws of it and its values."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from stronglens.core.errors import OutOfRangeError
from stronglens.light.pixelated import sample
from stronglens.light.records import LightComponent


@dataclass(frozen=True)
class Texture:
    """Factors of mean one around the centres of galaxies, repeated without a seam."""

    image: Float[Tensor, "batch height width"]
    """Factor at each pixel [-]."""
    pixel_scale: Float[Tensor, "batch"]
    """Side of a pixel in the source plane [arcsec/pixel]."""
    x_center: Float[Tensor, "batch"]
    """Centre of the image along x [arcsec]."""
    y_center: Float[Tensor, "batch"]
    """Centre of the image along y [arcsec]."""

    def __len__(self) -> int:
        """Return the number of images."""
        return self.image.shape[0]

    def __getitem__(self, index: slice | Tensor) -> "Texture":
        """Return the textures of some of the images."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, target: torch.device | torch.dtype | str) -> "Texture":
        """Return the same textures on another device or in another precision."""
        return type(self)(**{f.name: getattr(self, f.name).to(target) for f in fields(self)})

    def factor(
        self, x: Float[Tensor, "#batch #y #x"], y: Float[Tensor, "#batch #y #x"]
    ) -> Float[Tensor, "batch y x"]:
        """Factor that the light is multiplied by, bilinear between pixels.

        Args:
            x: Position along x in the source plane [arcsec]; axes of length one broadcast.
            y: Position along y in the source plane [arcsec].

        Returns:
            Factor [-].
        """
        x, y = torch.broadcast_tensors(
            x - self.x_center[:, None, None], y - self.y_center[:, None, None]
        )
        height, width = self.image.shape[-2:]
        side = self.pixel_scale[:, None, None]
        # a rim of one pixel from the other side closes the seam
        closed = pad(self.image[:, None], (1, 1, 1, 1), mode="circular")[:, 0]
        return sample(_wrapped(x, side * width), _wrapped(y, side * height), closed, side[:, 0, 0])


def _wrapped(offset: Tensor, period: Tensor) -> Tensor:
    """Offset brought to within half a period of zero."""
    return offset - period * torch.round(offset / period)


def draw_texture(
    generator: torch.Generator,
    amplitude: Float[Tensor, "batch"],
    slope: Float[Tensor, "batch"],
    height: int = 64,
    width: int = 64,
) -> Float[Tensor, "batch height width"]:
    """Draw textures: exponentials of Gaussian random fields with power-law spectra.

    Args:
        generator: Source of randomness, on the device of the amplitudes.
        amplitude: Standard deviation of the natural logarithm of the factor; 0 gives ones [-].
        slope: Steepness b of the power spectrum k^-b; 2 to 3 is cloudy, 0 is white [-].
        height: Number of rows.
        width: Number of columns.

    Returns:
        Factors above zero, of mean one in each image, periodic.

    Raises:
        OutOfRangeError: An amplitude below zero.

    Reference:
        Coles & Jones 1991 for log-normal fields; Elmegreen, Elmegreen & Leitner 2003 for power-law
        spectra of the light of galaxies' discs.
    """
    if not bool((amplitude >= 0).all()):
        raise OutOfRangeError(
            f"amplitude={amplitude.tolist()} is below 0. Give standard deviations of the logarithm."
        )
    options = {"dtype": amplitude.dtype, "device": amplitude.device}
    white = torch.randn((len(amplitude), height, width), generator=generator, **options)
    rows = torch.fft.fftfreq(height, **options)[:, None]
    columns = torch.fft.rfftfreq(width, **options)
    k2 = rows * rows + columns * columns
    k2[0, 0] = 1.0
    transfer = torch.exp(-0.25 * slope[:, None, None] * torch.log(k2))
    transfer[:, 0, 0] = 0.0
    field = torch.fft.irfft2(torch.fft.rfft2(white) * transfer, s=(height, width))
    spread = field.std(dim=(-2, -1), correction=0, keepdim=True)
    texture = torch.exp(field * (amplitude[:, None, None] / spread))
    return texture / texture.mean(dim=(-2, -1), keepdim=True)


def textured_flux(
    component: LightComponent, texture: Texture, half_width: float, n_pixels: int = 128
) -> Float[Tensor, "batch"]:
    """Flux of light with a texture over that of the same light without.

    It is one on average over textures, not for each: divide the magnitude's flux by it where the
    total must be kept.

    Args:
        component: Smooth light of unit flux.
        texture: What it is multiplied by.
        half_width: Half of the side of the square, around the texture's centre, over which light is
            added up [arcsec].
        n_pixels: Number of points along the side [-].

    Returns:
        Ratio of fluxes [-].
    """
    line = torch.linspace(-half_width, half_width, n_pixels).to(texture.pixel_scale)
    x = line + texture.x_center[:, None, None]
    y = line[:, None] + texture.y_center[:, None, None]
    light = component.brightness(x, y)
    return (light * texture.factor(x, y)).sum(dim=(-2, -1)) / light.sum(dim=(-2, -1))
