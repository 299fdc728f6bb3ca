"""The page of networks names every network, scaling and view, with the number of parameters."""

from pathlib import Path

import pytest

from stronglens.cli.listing import networks as listed_networks
from stronglens.data.augment import AUGMENTATIONS
from stronglens.finders.normalise import normalisations
from stronglens.finders.views import VIEWS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "networks.md").read_text()


@pytest.mark.parametrize("row", listed_networks(), ids=lambda row: row["name"])
def test_page_names_every_network_with_its_parameters(row):
    assert f"| `{row['name']}` | {row['parameters']:,} | {row['input']} |" in PAGE


@pytest.mark.parametrize("name", [*normalisations.names(), *VIEWS, *AUGMENTATIONS])
def test_page_names_every_scaling_view_and_augmentation(name):
    assert f"`{name}`" in PAGE
