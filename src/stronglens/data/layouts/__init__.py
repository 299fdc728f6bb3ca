"""Layouts of survey files; each file registers the one that it is named after."""

from stronglens.data.layouts import (
    challenge,
    cutana,
    des,
    euclid,
    hsc,
    kids,
    legacy,
    plain,
    rubin,
)
from stronglens.data.layouts.layout import Layout, Named, find_layout, layout_of, layouts

__all__ = [
    "Layout",
    "Named",
    "challenge",
    "cutana",
    "des",
    "euclid",
    "find_layout",
    "hsc",
    "kids",
    "layout_of",
    "layouts",
    "legacy",
    "plain",
    "rubin",
]
