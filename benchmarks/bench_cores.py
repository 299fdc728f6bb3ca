"""Deflectors of a survey's images beside a truth oversampled 20 times, in units of the noise.

The steep centres of bright galaxies are where sampled light errs most. The truth has the same
galaxies, PSFs and frames, drawn 20 times finer and convolved at that scale with kernels that end
where the others do.

Run it: python benchmarks/bench_cores.py [--survey lsst-y10] [--n 60]
"""

import argparse
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from bench_surveys import commit, task_of

from stronglens.simulation.cast import Frame, draw_cast, draw_classes
from stronglens.simulation.compose import compose_light, observe_bands
from stronglens.simulation.kernels import build_kernels, has_compiler
from stronglens.simulation.scene_fold import samples_per_pixel
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.survey_camera import SurveyCamera
from stronglens.simulation.survey_set import SurveySet
from stronglens.simulation.telescope import Telescope, deflector_layers
from stronglens.surveys import survey

FINE = 20  # sub-pixels along a pixel's side of the truth
SEED = 11


@dataclass(frozen=True)
class FineCamera(SurveyCamera):
    """The same camera, with fine kernels that end where coarse ones do."""

    side: int = 0
    """Side of the kernels [sub-pixel]."""

    def kernel_size(self, pixel_scale: float) -> int:
        """Return the side that was asked for."""
        return self.side


def fine_camera(camera: SurveyCamera, pixel_scale: float, fine_scale: float) -> FineCamera:
    """Return the camera of the truth."""
    side = round(camera.kernel_size(pixel_scale) * pixel_scale / fine_scale)
    own = {entry.name: getattr(camera, entry.name) for entry in fields(SurveyCamera)}
    return FineCamera(**own, side=side - 1 + side % 2)


def errors(name: str, n: int) -> np.ndarray:
    """Return the largest error of each image and band over the noise there."""
    plan = SurveySet(replace(task_of(name), seed=SEED, planes=False), survey(name))
    camera, grid, key = plan.camera, plan.grid, (SEED, 0)
    frame = Frame(plan.filters, 0.5 * grid.height * grid.pixel_scale, is_real=False)
    sky = replace(plan.task.sky, theta_e_min=0.5 * plan.filters.sharpest)
    classes = draw_classes(plan.task.shares, key, is_real=False)
    view = camera.draw_view(*key, classes)
    layers = deflector_layers(draw_cast(sky, frame, classes, view, key).deflectors)
    kernels = build_kernels() if has_compiler() else None
    seen = Telescope(grid, camera, view, BLOCK, kernels).picture(layers)
    noise = camera.variance(seen, view).sqrt()
    samples = samples_per_pixel(grid, plan.filters.sharpest)
    fine = replace(grid, oversample=FINE)
    better = fine_camera(camera, grid.pixel_scale / samples, fine.fine_scale)
    worst = []
    for k in range(n):
        light = compose_light(fine, [one.of(k, k + 1) for one in layers], 1, len(camera.bands))
        psf = better.kernels(view, slice(k, k + 1), fine.fine_scale)
        truth = observe_bands([light], psf, fine)[0][0]
        worst.append(((seen[k] - truth).abs() / noise[k]).amax(dim=(1, 2)).numpy())
    return np.array(worst)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--survey", default="lsst-y10")
    parser.add_argument("--n", type=int, default=60, help="deflectors compared")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        found = errors(options.survey, options.n)
    figures = np.quantile(found, (0.5, 0.95, 1.0))
    print(
        f"{options.survey}, commit {commit()}, {options.n} deflectors in {found.shape[1]} bands: "
        "largest error of an image over its noise, median {:.2f}, 95 % {:.2f}, worst {:.2f}".format(
            *figures
        )
    )


if __name__ == "__main__":
    main()
