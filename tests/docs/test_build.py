"""The documentation builds without a warning, and shows only what is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stronglens.cli.main import main
from stronglens.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _commands(text: str) -> list[str]:
    """Return the stronglens commands of the console blocks of a page."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [
        line for block in blocks for line in block.splitlines() if line.startswith("stronglens")
    ]


SHOWN = sorted({line for page in PAGES for line in _commands(page.read_text())})
EXAMPLES = [verb.example for verb in VERBS.values()]


@pytest.mark.parametrize("command", [*SHOWN, *EXAMPLES])
def test_a_command_that_is_shown_is_understood(command, capsys):
    words = command.split()[1:]
    if VERBS[words[0]].task is not None:
        words.append("--print-config")
    elif words[0] != "list":
        words = [words[0], "--help"]
    assert main(words) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_points_only_at_files_that_exist(page):
    targets = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_is_short(page):
    assert len(page.read_text().splitlines()) <= 150


def test_readme_shows_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text


@pytest.mark.slow
def test_documentation_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert (tmp_path / "html" / "index.html").is_file()
