"""Surveys as facts: bands, pixel scales, depths, seeing, each number with its source."""

from stronglens.surveys import (
    cfhtls,
    des,
    euclid,
    hsc,
    hst,
    kids,
    legacy,
    lsst,
    panstarrs,
    roman,
)
from stronglens.surveys.custom import read_survey, write_survey
from stronglens.surveys.depth import limiting_magnitude
from stronglens.surveys.resampled import with_pixel_scale
from stronglens.surveys.survey import Band, PublishedDepth, Survey, survey, surveys

__all__ = [
    "Band",
    "PublishedDepth",
    "Survey",
    "cfhtls",
    "des",
    "euclid",
    "hsc",
    "hst",
    "kids",
    "legacy",
    "limiting_magnitude",
    "lsst",
    "panstarrs",
    "read_survey",
    "roman",
    "survey",
    "surveys",
    "with_pixel_scale",
    "write_survey",
]
