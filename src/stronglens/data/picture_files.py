"""Colour pictures in PNG and JPEG files, read as three bands of display values.

A picture has been stretched for eyes by a rule that its file does not tell: its values are no flux,
and no zero point belongs to them. How such pictures are made is in `data.colour_pictures`.
"""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stronglens.core.errors import MissingDataError, UnreadableFileError
from stronglens.data.colour_pictures import BANDS, GREY
from stronglens.data.cutout import Cutout
from stronglens.data.planes import Hints

ENDINGS = (".png", ".jpg", ".jpeg")
"""Endings of the files read here."""
UNIT = "display value from 0 to 255 of a picture stretched for eyes; not flux"
"""What the values of a picture are."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.name.lower().endswith(ENDINGS)


def read_picture(path: Path | str, hints: Hints | None = None) -> Cutout:
    """Picture as a cutout with the bands rgb-r, rgb-g, rgb-b, or grey; first row at the bottom.

    Args:
        path: PNG or JPEG file.
        hints: Pixel scale, which such files do not state.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: It is no picture, or truncated.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"'{path}' does not exist. Check the name, or quote the pattern.")
    try:
        with Image.open(path) as opened:
            mode = "L" if opened.mode in ("1", "L", "I;16", "I", "F") else "RGB"
            values = np.asarray(opened.convert(mode), np.float32)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise UnreadableFileError(
            f"'{path}' is no picture that can be read ({error}). Allowed: PNG and JPEG. Fetch the "
            "file again."
        ) from error
    planes = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    # pictures begin at the top, images of the sky at the bottom
    flux = np.ascontiguousarray(planes[:, ::-1])
    scale = hints.pixel_scale if hints is not None else None
    return Cutout(
        flux=flux,
        ivar=np.zeros_like(flux),
        mask=np.zeros(flux.shape, bool),
        bands=BANDS if len(flux) == 3 else (GREY,),
        zero_point=np.full(len(flux), np.nan),
        pixel_scale=float("nan") if scale is None else float(scale),
        object_id=path.stem,
        input=str(path),
        remarks=("picture stretched for eyes: its values are no flux",),
    )
