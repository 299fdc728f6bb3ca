"""The surveys known, by name, and the user's own, by file.

The records are in `records`; each family of surveys enters its numbers from its own file.
"""

import math

from stronglens.core.registry import Registry
from stronglens.surveys.custom import read_survey
from stronglens.surveys.records import Band, PublishedDepth, Survey

__all__ = ["Band", "PublishedDepth", "Survey", "exposure_zero_point", "survey", "surveys"]

surveys: Registry[Survey] = Registry("survey")


def survey(name: str) -> Survey:
    """Return the survey of that name, or the one a TOML file describes.

    Args:
        name: Name of a survey, or the path of a file that ends in .toml.

    Raises:
        UnknownNameError: No such survey; the message lists those that exist.
        MissingDataError: No such file.
        OutOfRangeError: The file does not describe a survey.
    """
    return read_survey(name) if name.endswith(".toml") else surveys.get(name)


def exposure_zero_point(rate_zero_point: float, exposure_time: float, gain: float) -> float:
    """Magnitude of one pixel unit in one exposure, from that of one electron per second.

    Args:
        rate_zero_point: Magnitude of a source that gives one electron per second [mag AB].
        exposure_time: Length of one exposure [s].
        gain: Electrons per pixel unit [e-].

    Returns:
        Zero point [mag AB].

    Reference:
        Definition of the magnitude: exposure_time electrons are exposure_time / gain units.
    """
    return rate_zero_point + 2.5 * math.log10(exposure_time / gain)
