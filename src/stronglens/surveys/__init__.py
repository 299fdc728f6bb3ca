"""Surveys as facts: bands, pixel scales, depths, seeing, each number with its source."""

from stronglens.surveys import lsst
from stronglens.surveys.survey import Band, Survey, survey, surveys

__all__ = ["Band", "Survey", "lsst", "survey", "surveys"]
