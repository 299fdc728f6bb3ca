"""The work of the task TrainPosterior: streamed simulations to a network of posteriors.

The loop is `training.fit`; images come from `mock_batches`.
"""

import torch
from torch import Tensor, nn

from stronglens.core.device import torch_device
from stronglens.core.rundir import RunDirectory
from stronglens.core.seeds import derived_seed
from stronglens.core.weights import WEIGHTS
from stronglens.finders import n_parameters
from stronglens.measurement.encoder import EncoderShape
from stronglens.measurement.flows import LatentPosterior, PosteriorShape
from stronglens.measurement.mock_batches import Batch, HeldBatches, PoolBatches, Pools
from stronglens.measurement.posterior_network import PosteriorNetwork, load_posterior
from stronglens.measurement.posterior_task import TrainPosterior, TrainPosteriorResult
from stronglens.training.fit import Hooks, Plan, Problem, fit
from stronglens.training.journal import Limits
from stronglens.training.optim import LearningRate
from stronglens.training.progress import figures_line

GAUSSIAN_WEIGHT = 0.1
"""Share of the Gaussian estimate in the loss."""
_SCENES_ON_GPU = 512
AVERAGE = 0.999
"""Decay of the running mean of the weights, which is what is kept."""


def train_posterior(task: TrainPosterior, run: RunDirectory) -> TrainPosteriorResult:
    """Train a network as the settings say; an interrupted training of the run goes on.

    Args:
        task: The settings, resolved.
        run: Where everything goes.

    Returns:
        What came out.
    """
    device = torch_device(task.device)
    validation = _held(task, device)
    network = build_posterior(task, validation.batches[0]["conditions"]).to(device)
    pools = _pools(task, device)
    training = PoolBatches(
        pools,
        max(1, task.images_per_epoch // pools.size),
        task.batch_size,
        device,
        task.workers,
    )
    run.log(f"{n_parameters(network):,} parameters, {len(training)} batches an epoch, on {device}")

    def report(row: dict[str, int | float]) -> None:
        run.log(f"epoch {row['epoch']:.0f}: {figures_line(row)}")
        run.progress(epoch=row["epoch"], **{k: v for k, v in row.items() if k != "epoch"})

    def keep_best(epoch: int) -> None:
        record = {**task.to_dict(), "epoch": epoch}
        PosteriorNetwork(network, shape_of(task), training=record).save(run.path / WEIGHTS)

    problem = Problem(network, posterior_figures, training, validation)
    memory = fit(problem, _plan(task, device), run.path, Hooks(keep_best, report))
    best = memory.rows[memory.best_epoch - 1]
    load_posterior(run.path / WEIGHTS)
    return TrainPosteriorResult(
        path=run.path,
        n_parameters=n_parameters(network),
        images_seen=round(memory.rows[-1]["updates"]) * task.batch_size,
        epochs=len(memory.rows),
        best_epoch=memory.best_epoch,
        gain=best["val_gain"],
        seconds=memory.seconds,
    )


def posterior_figures(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Loss of a batch and the information that the posterior gains over the prior [nat]."""
    features = network(batch["planes"], batch["conditions"])
    flow, gaussian = network.losses(features, batch["u"])  # type: ignore[operator]
    return {"loss": (flow + GAUSSIAN_WEIGHT * gaussian).mean(), "gain": -flow.mean()}


def shape_of(task: TrainPosterior) -> PosteriorShape:
    """Return the sizes that the settings ask for."""
    encoder = EncoderShape(task.width, task.depth, task.n_features)
    return PosteriorShape(encoder, task.transforms, task.hidden, task.bins)


def build_posterior(task: TrainPosterior, conditions: Tensor) -> LatentPosterior:
    """Build a network with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(task.seed, "initial-weights"))
        network = LatentPosterior(shape_of(task))
    network.encoder.standardise(conditions.cpu())
    return network


def _held(task: TrainPosterior, device: torch.device) -> HeldBatches:
    pools = Pools(derived_seed(task.seed, "validation"), exposures=1)
    count = max(1, task.n_validation // pools.size)
    batches = PoolBatches(pools, count, pools.size, device)
    return HeldBatches(tuple(batches.epoch(0)))


def _pools(task: TrainPosterior, device: torch.device) -> Pools:
    """Simulate where the training is, unless worker processes of the CPU do."""
    seed = derived_seed(task.seed, "training")
    if task.workers or device.type == "cpu":
        return Pools(seed)
    # a GPU is idle with few scenes
    return Pools(seed, scenes=_SCENES_ON_GPU, device=str(device))


def _plan(task: TrainPosterior, device: torch.device) -> Plan:
    minutes = task.max_minutes
    return Plan(
        seed=task.seed,
        optimiser="adamw",
        learning_rate=LearningRate(task.learning_rate, schedule="one-cycle"),
        weight_decay=task.weight_decay,
        precision=task.precision,
        limits=Limits(task.epochs, None if minutes is None else 60 * minutes),
        device=device,
        average=AVERAGE,
        # rare images must not throw the network off
        clip=1.0,
    )
