"""The peers of bench_throughput.py, each run by the Python of its own environment.

    python throughput_peers.py NAME SCENES.npz CORE    # NAME is a key of PEERS

A peer draws the scenes once without noise and leaves the images beside the scenes, says "ready",
then does one round for every line it reads and answers with the seconds the round took. Nothing of
stronglens is used here.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
import numpy as np

PIXELS, SCALE, OVERSAMPLE, FWHM = 45, 0.18, 4, 0.9
KERNEL_PIXELS = 25
BACKGROUND, GAIN = 0.385, 100.0
"""Noise of the sky and the detector in a pixel, and electrons per unit of flux."""

Scenes = dict[str, np.ndarray]
Draw = Callable[[bool], np.ndarray]


def gaussian_kernel(step: int) -> np.ndarray:
    half = KERNEL_PIXELS // 2 * step + (step // 2 if step > 1 else 0)
    line = np.exp(-0.5 * ((np.arange(-half, half + 1) * SCALE / step) / (FWHM / 2.354820045)) ** 2)
    kernel = np.outer(line, line)
    return kernel / kernel.sum()


def with_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    variance = np.maximum(image, 0.0) / GAIN + BACKGROUND**2
    return image + rng.standard_normal(image.shape) * np.sqrt(variance)


def amplitudes(scenes: Scenes, who: str) -> np.ndarray:
    """Surface brightness at the half-light radius that gives the flux, with lenstronomy's b_n."""
    from scipy.special import gamma

    n, r = scenes[f"{who}_n_sersic"], scenes[f"{who}_r_eff"]
    b = 1.9992 * n - 0.3271
    area = 2 * np.pi * n * scenes[f"{who}_q"] * r**2 * np.exp(b) * b ** (-2 * n) * gamma(2 * n)
    return scenes[f"{who}_flux"] / area


def ellipticity(q: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e = (1 - q) / (1 + q)
    return e * np.cos(2 * phi), e * np.sin(2 * phi)


def lenstronomy_keywords(scenes: Scenes) -> list[tuple]:
    lights = []
    for who in ("source", "deflector"):
        e1, e2 = ellipticity(scenes[f"{who}_q"], scenes[f"{who}_phi"])
        lights.append(
            {
                "amp": amplitudes(scenes, who),
                # its radius is circularised, ours lies along the major axis
                "R_sersic": scenes[f"{who}_r_eff"] * np.sqrt(scenes[f"{who}_q"]),
                "n_sersic": scenes[f"{who}_n_sersic"],
                "e1": e1,
                "e2": e2,
                "center_x": scenes[f"{who}_x_center"],
                "center_y": scenes[f"{who}_y_center"],
            }
        )
    e1, e2 = ellipticity(scenes["lens_q"], scenes["lens_phi"])
    place = {"x": scenes["lens_x_center"], "y": scenes["lens_y_center"]}
    sie = {"theta_E": scenes["lens_theta_e"], "e1": e1, "e2": e2}
    sie |= {"center_x": place["x"], "center_y": place["y"]}
    shear = {"gamma1": scenes["lens_gamma1"], "gamma2": scenes["lens_gamma2"]}
    shear |= {"ra_0": place["x"], "dec_0": place["y"]}

    def row(columns: dict[str, np.ndarray], k: int) -> dict[str, float]:
        return {name: float(values[k]) for name, values in columns.items()}

    return [
        ([row(sie, k), row(shear, k)], [row(lights[0], k)], [row(lights[1], k)])
        for k in range(len(e1))
    ]


def lenstronomy_rounds(scenes: Scenes, *, is_supersampled: bool) -> Draw:
    from lenstronomy.Data.pixel_grid import PixelGrid
    from lenstronomy.Data.psf import PSF
    from lenstronomy.ImSim.image_model import ImageModel
    from lenstronomy.LensModel.lens_model import LensModel
    from lenstronomy.LightModel.light_model import LightModel

    keywords = lenstronomy_keywords(scenes)
    step = OVERSAMPLE if is_supersampled else 1
    numerics: dict[str, object] = {"supersampling_factor": OVERSAMPLE}
    if is_supersampled:
        numerics |= {"supersampling_convolution": True, "supersampling_kernel_size": None}
    middle = -0.5 * (PIXELS - 1) * SCALE
    images = ImageModel(
        PixelGrid(
            nx=PIXELS,
            ny=PIXELS,
            transform_pix2angle=np.eye(2) * SCALE,
            ra_at_xy_0=middle,
            dec_at_xy_0=middle,
        ),
        PSF(
            psf_type="PIXEL",
            kernel_point_source=gaussian_kernel(step),
            point_source_supersampling_factor=step,
        ),
        LensModel(["SIE", "SHEAR"]),
        LightModel(["SERSIC_ELLIPSE"]),
        LightModel(["SERSIC_ELLIPSE"]),
        kwargs_numerics=numerics,
    )
    rng = np.random.default_rng(1)

    def draw(has_noise: bool) -> np.ndarray:
        noiseless = (images.image(*one) for one in keywords)
        return np.stack([with_noise(image, rng) if has_noise else image for image in noiseless])

    return draw


def jaxtronomy_rounds(scenes: Scenes) -> Draw:
    import jax
    import jax.numpy as jnp
    from jaxtronomy.ImSim.image_model import ImageModel
    from jaxtronomy.LensModel.lens_model import LensModel
    from jaxtronomy.LightModel.light_model import LightModel
    from lenstronomy.Data.pixel_grid import PixelGrid
    from lenstronomy.Data.psf import PSF

    keywords = lenstronomy_keywords(scenes)
    middle = -0.5 * (PIXELS - 1) * SCALE
    images = ImageModel(
        PixelGrid(
            nx=PIXELS,
            ny=PIXELS,
            transform_pix2angle=np.eye(2) * SCALE,
            ra_at_xy_0=middle,
            dec_at_xy_0=middle,
        ),
        PSF(psf_type="PIXEL", kernel_point_source=gaussian_kernel(1)),
        LensModel(["SIE", "SHEAR"]),
        LightModel(["SERSIC_ELLIPSE"]),
        LightModel(["SERSIC_ELLIPSE"]),
        kwargs_numerics={"supersampling_factor": OVERSAMPLE},
    )
    stacked = jax.tree.map(lambda *values: jnp.asarray(values, jnp.float32), *keywords)
    n = len(keywords)

    def one(scene: tuple, key: object) -> object:
        image = images.image(*scene)
        variance = jnp.maximum(image, 0.0) / GAIN + BACKGROUND**2
        return image + jax.random.normal(key, image.shape) * jnp.sqrt(variance), image

    batch = 16
    chunk = jax.jit(jax.vmap(one))
    parts = [jax.tree.map(lambda v, k=k: v[k : k + batch], stacked) for k in range(0, n, batch)]
    state = {"key": jax.random.key(1)}

    def draw(has_noise: bool) -> np.ndarray:
        done = []
        for part in parts:
            state["key"], own = jax.random.split(state["key"])
            noisy, noiseless = chunk(part, jax.random.split(own, batch))
            done.append(np.asarray(noisy if has_noise else noiseless))
        return np.concatenate(done)

    return draw


def caustics_columns(scenes: Scenes) -> list[np.ndarray]:
    """Parameters in the order of its graph: SIE, shear, source, deflector."""
    from scipy.special import gamma, gammaincinv

    place = [scenes["lens_x_center"], scenes["lens_y_center"]]
    lens = [*place, scenes["lens_q"], scenes["lens_phi"], scenes["lens_theta_e"]]
    columns = [*lens, *place, scenes["lens_gamma1"], scenes["lens_gamma2"]]
    for who in ("source", "deflector"):
        n, r, q = (scenes[f"{who}_{name}"] for name in ("n_sersic", "r_eff", "q"))
        b = gammaincinv(2 * n, 0.5)
        area = 2 * np.pi * n * q * r**2 * np.exp(b) * b ** (-2 * n) * gamma(2 * n)
        # its sub-pixels are averaged, so that its brightness is per pixel
        brightness = scenes[f"{who}_flux"] / area * SCALE**2
        center = [scenes[f"{who}_x_center"], scenes[f"{who}_y_center"]]
        columns += [*center, q, scenes[f"{who}_phi"], n, r, brightness]
    return columns


def caustics_rounds(scenes: Scenes) -> Draw:
    import caustics
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    cosmology = caustics.FlatLambdaCDM(name="cosmology")
    masses = (
        caustics.SIE(name="sie", cosmology=cosmology),
        caustics.ExternalShear(name="shear", cosmology=cosmology),
    )
    kernel = torch.as_tensor(gaussian_kernel(OVERSAMPLE), dtype=torch.float32)
    simulator = caustics.LensSource(
        lens=caustics.SinglePlane(cosmology, masses, name="plane", z_l=0.5, z_s=1.5),
        source=caustics.Sersic(name="source"),
        lens_light=caustics.Sersic(name="deflector"),
        psf=kernel,
        pixelscale=SCALE,
        pixels_x=PIXELS,
        pixels_y=PIXELS,
        upsample_factor=OVERSAMPLE,
        name="simulator",
    ).to(dtype=torch.float32)
    vectors = torch.as_tensor(np.stack(caustics_columns(scenes), axis=1), dtype=torch.float32)
    chunk = torch.func.vmap(simulator)

    def draw(has_noise: bool) -> np.ndarray:
        images = torch.cat([chunk(part) for part in vectors.split(4)])
        if has_noise:
            variance = images.clamp_min(0.0) / GAIN + BACKGROUND**2
            images = images + torch.randn_like(images) * variance.sqrt()
        return images.numpy()

    return draw


PEERS: dict[str, Callable[[Scenes], Draw]] = {
    "lenstronomy": lambda scenes: lenstronomy_rounds(scenes, is_supersampled=False),
    "lenstronomy-4x": lambda scenes: lenstronomy_rounds(scenes, is_supersampled=True),
    "jaxtronomy": jaxtronomy_rounds,
    "caustics": caustics_rounds,
}


def main() -> None:
    name, path, core = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {core})
    with np.load(path) as stored:
        scenes = {key: stored[key] for key in stored.files}
    draw = PEERS[name](scenes)
    place = path.with_name(f"{name}-{core}.npy")
    np.save(place, draw(False))
    draw(True)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter(), time.process_time()
        draw(True)
        print(time.perf_counter() - start[0], time.process_time() - start[1], flush=True)


if __name__ == "__main__":
    main()
