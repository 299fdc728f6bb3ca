"""Objects in files of any kind that holds them: FITS, or pictures for eyes.

Reading each kind is in `fits` and `picture_files`; survey tiles are read elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path

from stronglens.data.cutout import Cutout
from stronglens.data.fits import read_cutouts
from stronglens.data.picture_files import is_picture, read_picture
from stronglens.data.planes import Hints


def read_objects(path: Path | str, hints: Hints | None = None) -> Iterator[Cutout]:
    """Objects in a FITS file, in a folder that holds one object, or in a PNG or JPEG picture.

    Args:
        path: File, or folder with the files of one object.
        hints: What is known and may not stand in the files.

    Yields:
        One cutout per object.

    Raises:
        MissingDataError: There is no such file, or the folder holds none that can be read.
        UnreadableFileError: Empty, truncated, of another kind, or without an image.
        WrongShapeError: Arrays that do not belong together.
    """
    if is_picture(Path(path)):
        yield read_picture(path, hints)
    else:
        yield from read_cutouts(path, hints)
