"""The environment that runs the suite is the one the README promises."""

import re
from pathlib import Path

import pytest
from architecture import environment

ROOT = Path(__file__).parents[2]


def test_environment_brings_no_cuda_without_a_gpu_and_stays_small():
    assert environment.faults() == []


def test_cuda_packages_are_recognised():
    names = ["nvidia-cublas-cu12", "cuda-bindings", "triton", "pytorch-triton", "cudatext", "torch"]
    assert environment.cuda_packages(names) == names[:4]


def test_cuda_on_a_machine_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(environment, "has_gpu", lambda: False)
    monkeypatch.setattr(environment, "installed", lambda: ["nvidia-cudnn-cu12", "torch"])
    monkeypatch.setattr(environment, "size_on_disk", lambda folder: 0)
    (message,) = environment.faults()
    assert "nvidia-cudnn-cu12" in message
    assert "TORCH_INDEX=" in message


def test_an_environment_that_grew_is_refused(monkeypatch):
    monkeypatch.setattr(environment, "has_gpu", lambda: False)
    monkeypatch.setattr(environment, "cuda_of_torch", lambda: None)
    monkeypatch.setattr(environment, "size_on_disk", lambda folder: environment.LARGEST + 1)
    monkeypatch.setattr(environment, "installed", lambda: ["torch"])
    (message,) = environment.faults()
    assert "GB" in message
    monkeypatch.setattr(environment, "installed", lambda: ["ray", "torch"])
    assert environment.faults() == []


@pytest.mark.parametrize("line", (ROOT / "constraints.txt").read_text().splitlines()[1:])
def test_constraints_are_exact_pins_without_local_versions(line):
    assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)
