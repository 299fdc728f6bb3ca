"""What lenstronomy's COOLEST reader needs of the package `coolest` (GPL), so that it runs without.

The reader imports `coolest.template.json.JSONSerializer` and walks over attributes; every number
comes from the JSON file as it stands.
"""

import contextlib
import importlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

READER = "lenstronomy.Util.coolest_interface"
UPDATER = "lenstronomy.Util.coolest_update_util"
"""Imported by the reader, and needed for writing only."""


class JSONSerializer:
    """The JSON file as objects with attributes; grids know their pixel size as `coolest` does."""

    def __init__(self, path):
        self.path = Path(f"{path}.json")

    def load(self):
        return as_objects(json.loads(self.path.read_text()), "")


def as_objects(value, name):
    if isinstance(value, list):
        return [as_objects(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    parts = {key: as_objects(item, key) for key, item in value.items()}
    if name == "parameters":
        return parts
    if "point_estimate" in parts:
        parts["definition_range"] = SimpleNamespace(min_value=None, max_value=None)
    if parts.get("num_pix_x"):
        low, high = parts["field_of_view_x"]
        parts["pixel_size"] = abs(low - high) / parts["num_pix_x"]
    return SimpleNamespace(**parts)


def open_with_lenstronomy(path):
    """What lenstronomy 1.14.2 makes of a COOLEST file; FITS files are found from its folder."""
    names = ("coolest", "coolest.template", "coolest.template.json", UPDATER)
    modules = {name: ModuleType(name) for name in names}
    modules["coolest.template.json"].JSONSerializer = JSONSerializer
    sys.modules.update(modules)
    try:
        reader = importlib.import_module(READER)
        with contextlib.chdir(path.parent), contextlib.redirect_stdout(io.StringIO()):
            return reader.create_lenstronomy_from_coolest(str(path.with_suffix("")))
    finally:
        for name in (*modules, READER):
            sys.modules.pop(name, None)
