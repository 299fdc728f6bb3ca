"""Files of no known survey: roles and bands from extensions, headers and file names."""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("plain", summary="any FITS: extensions or files per band, noise and mask")(
    Layout(pattern=r"(?P<tile>.+)", source="FITS standard 4.0; names of extensions in common use")
)
