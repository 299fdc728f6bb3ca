"""Cutouts made by Cutana (ESA): a Zarr folder of images with a table of sources beside it.

Their values are what was asked of Cutana, which by default stretches and rescales them: only files
made with normalisation "none" hold flux. The array itself is read in `stronglens.data.stacks`.
"""

from stronglens.data.layouts.layout import Layout, layouts

layouts.register("cutana", summary="Cutana: images.zarr with its table, or FITS per source")(
    Layout(
        pattern=r"(?P<tile>images)\.zarr",
        source="Cutana 0.2, documentation of its output (arXiv:2511.04429)",
        weight_is_ivar=False,
        holds_cutouts=True,
    )
)
