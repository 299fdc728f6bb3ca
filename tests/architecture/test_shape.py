"""The shape of the code: lengths, folders, units. Layers are checked by import-linter."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "stronglens"
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
"""Lines of a function, signature included, docstring not."""

UNITS = {
    "alpha_x": "arcsec",
    "alpha_y": "arcsec",
    "beta_x": "arcsec",
    "beta_y": "arcsec",
    "d_lens": "Mpc",
    "d_ls": "Mpc",
    "d_source": "Mpc",
    "exposure_time": "s",
    "phi": "rad",
    "pixel_scale": "arcsec",
    "psf_fwhm": "arcsec",
    "r_eff": "arcsec",
    "read_noise": "e",
    "sigma_v": "km/s",
    "sky_brightness": "mag",
    "theta_e": "arcsec",
    "x_center": "arcsec",
    "y_center": "arcsec",
    "zero_point": "mag",
}
"""Names that carry a unit, and how its bracket begins; from the conventions."""

HOOKED = ("data", "evaluation", "finders", "lensing", "light", "simulation")
"""Folders whose shapes are checked while tests run; the checker refuses typing.Self there."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function)]


def _length(function: Function) -> int:
    """Return the lines of a function without its docstring."""
    start = min([function.lineno, *(mark.lineno for mark in function.decorator_list)])
    first = function.body[0]
    has_text = isinstance(first, ast.Expr) and ast.get_docstring(function) is not None
    text = (first.end_lineno or first.lineno) - first.lineno + 1 if has_text else 0
    return (function.end_lineno or start) - start + 1 - text


def _described_arguments(function: Function) -> dict[str, str]:
    """Return the Args section of a docstring, by argument."""
    text = ast.get_docstring(function) or ""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", text, flags=re.MULTILINE)
    if section is None:
        return {}
    entries = re.split(r"^ {4}(?=\*{0,2}\w+:)", section.group(1), flags=re.MULTILINE)[1:]
    return {entry.partition(":")[0]: " ".join(entry.partition(":")[2].split()) for entry in entries}


def _has_unit(name: str, text: str) -> bool:
    return re.search(rf"\[{re.escape(UNITS[name])}", text) is not None


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_file_is_short_enough_to_read(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_functions_are_short_enough_to_read(path):
    lengths = {function.name: _length(function) for function in _functions(path)}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_arguments_that_carry_a_unit_state_it(path):
    missing = [
        f"{function.name}({name}): [{UNITS[name]}...]"
        for function in _functions(path)
        for name, text in _described_arguments(function).items()
        if name in UNITS and not _has_unit(name, text)
    ]
    assert missing == []


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_fields_that_carry_a_unit_state_it(path):
    missing = []
    for record in ast.walk(ast.parse(path.read_text())):
        if not isinstance(record, ast.ClassDef):
            continue
        described = _described_fields(record)
        missing += [f"{record.name}.{n}" for n, text in described.items() if not _has_unit(n, text)]
    assert missing == []


def _described_fields(record: ast.ClassDef) -> dict[str, str]:
    """Return the fields of a class that carry a unit, with the string below or in the class."""
    whole = ast.get_docstring(record) or ""
    texts = {}
    for field, below in zip(record.body, [*record.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        name = field.target.id
        has_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        line = re.search(rf"^\s*{name}: (.*(?:\n\s{{8,}}.*)*)", whole, flags=re.MULTILINE)
        if name in UNITS:
            texts[name] = str(below.value.value) if has_text else (line.group(1) if line else whole)
    return texts


@pytest.mark.parametrize("folder", ["lensing/profiles", "light"])
def test_public_physics_describes_every_argument(folder):
    for path in sorted((SOURCE / folder).glob("*.py")):
        for function in _functions(path):
            names = [argument.arg for argument in function.args.args]
            if not function.name.startswith("_") and set(names) & set(UNITS):
                assert set(names) - {"self", "cls"} <= set(_described_arguments(function)), (
                    f"{_name(path)}: {function.name}"
                )


def test_no_folder_is_an_empty_stub():
    for folder in [SOURCE, *(path for path in SOURCE.rglob("*") if path.is_dir())]:
        if folder.name == "__pycache__" or not any(folder.rglob("*.py")):
            continue
        assert (folder / "__init__.py").is_file(), f"{_name(folder)} has no __init__.py"
        others = [path for path in folder.rglob("*.py") if path.name != "__init__.py"]
        assert others, f"{_name(folder)} is an empty package"


def test_a_folder_has_at_most_one_file_of_tasks_at_its_top():
    found = [_name(path) for path in FILES if path.name == "task.py"]
    assert all(name.count("/") == 1 for name in found)


@pytest.mark.parametrize("word", ["utils", "common", "helpers", "misc", "types", "random"])
def test_no_file_or_folder_is_a_drawer(word):
    assert [path for path in SOURCE.rglob("*") if path.stem == word] == []


@pytest.mark.parametrize("folder", HOOKED)
def test_folders_with_checked_shapes_do_not_use_self_as_a_type(folder):
    files = sorted((SOURCE / folder).rglob("*.py"))
    found = [_name(path) for path in files if re.search(r"\bSelf\b", path.read_text())]
    assert found == [], "write the name of the class in quotes instead"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_nothing_is_called_model_alone(path):
    names = {
        node.arg if isinstance(node, ast.arg) else getattr(node, "id", "")
        for node in ast.walk(ast.parse(path.read_text()))
    }
    assert "model" not in names
