"""What is imported when: the package and its help come up without the heavy packages."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import stronglens as sl
from stronglens.cli.verbs import VERBS

SOURCE = Path(__file__).parents[2] / "src" / "stronglens"
HEAVY = {
    "torch",
    "lightning",
    "numpy",
    "scipy",
    "matplotlib",
    "astropy",
    "zarr",
    "pyarrow",
    "sklearn",
    "skimage",
    "optuna",
}
ALSO_NOT_FOR_THE_LIST = {"pydantic", "tyro"}


def _imported_by(code: str) -> set[str]:
    """Run code in a new interpreter and return the top packages it has imported."""
    tail = (
        "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    command = [sys.executable, "-c", f"{code}\n{tail}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_of_the_package_brings_nothing_heavy():
    assert not _imported_by("import stronglens") & (HEAVY | ALSO_NOT_FOR_THE_LIST)


def test_list_of_verbs_brings_nothing_heavy():
    code = "from stronglens.cli.main import main; main(['--help'])"
    assert not _imported_by(code) & (HEAVY | ALSO_NOT_FOR_THE_LIST)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_brings_nothing_heavy(verb):
    code = f"from stronglens.cli.main import main; main(['{verb}', '--help'])"
    assert not _imported_by(code) & HEAVY


def _names_for_editors() -> dict[str, str]:
    """Return the names imported under TYPE_CHECKING, with their modules."""
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        name.asname or name.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }


def test_editors_and_python_see_the_same_public_names():
    assert _names_for_editors() == sl._HOMES
    assert list(sl._HOMES) == sorted(sl._HOMES)


def test_public_names_are_few():
    assert len([name for name in dir(sl) if not name.startswith("_")]) <= 25


@pytest.mark.parametrize("name", dir(sl))
def test_every_public_name_exists_and_is_documented(name):
    thing = getattr(sl, name)
    assert name == "__version__" or thing.__doc__


def test_a_name_that_is_not_there_is_refused_with_the_nearest_one():
    with pytest.raises(AttributeError, match="Did you mean 'Simulate'"):
        sl.Simulat  # noqa: B018


def test_version_is_a_version():
    assert sl.__version__[0].isdigit()
