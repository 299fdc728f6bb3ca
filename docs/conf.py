"""Settings of Sphinx, and a directive that shows the help of a verb as it is printed."""

import contextlib
import io
import logging
import os
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from stronglens.cli.main import main

project = "stronglens"
author = "stronglens developers"
copyright = "2026, stronglens developers"
version = release = metadata.version("stronglens")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
# other projects' indices need the network, which a build on a closed machine has not
if "READTHEDOCS" in os.environ:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "astropy": ("https://docs.astropy.org/en/stable/", None),
        "lenstronomy": ("https://lenstronomy.readthedocs.io/en/latest/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "python": ("https://docs.python.org/3/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
    }

# pages that are notebooks run at every build, in a kernel that says nothing of its own
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
os.environ["JUPYTER_PATH"] = str(Path(__file__).parent / "_jupyter")
logging.getLogger("traitlets").setLevel(logging.WARNING)
html_theme = "furo"
html_title = "stronglens"
exclude_patterns = ["_build", "_jupyter"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
STAND_IN = "\N{RATIO}"


class VerbHelp(Directive):
    """`{verb-help} simulate` becomes what `stronglens simulate --help` prints."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        words = ["--help"] if self.arguments[0] == "all" else [self.arguments[0], "--help"]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            main(words)
        text = printed.getvalue()
        return [nodes.literal_block(text, text, language="none")]


def hide_colons(*event: Any) -> None:
    """Keep napoleon from taking the words before a colon for the type of a field."""
    _, what, *_, lines = event
    if what == "attribute":
        lines[:] = [line.replace(":", STAND_IN) for line in lines]


def show_colons(*event: Any) -> None:
    """Bring the colons back after napoleon."""
    *_, lines = event
    lines[:] = [line.replace(STAND_IN, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the two hooks around napoleon, whose own priority is 500."""
    app.add_directive("verb-help", VerbHelp)
    app.connect("autodoc-process-docstring", hide_colons, priority=400)
    app.connect("autodoc-process-docstring", show_colons, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
