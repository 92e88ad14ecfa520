"""The memory of a detector's training and tests, estimated beforehand."""

from collections.abc import Mapping

from ml_collections import ConfigDict

from gan_jax.apps.detect.data import Anomalies
from gan_jax.apps.inpaint.memory import search_demands
from gan_jax.apps.train.setup import Run
from gan_jax.runs.memory import Demand, network_sizes

_SNAPSHOTS = 4  # copies of a history: as read, joined, on the device, and their mean


def detection_demands(
    config: ConfigDict, run: Run, kinds: Mapping[str, Anomalies]
) -> list[Demand]:
    """Return the memory of a history, a detector and its baselines.

    Args:
        config: A config of the program.
        run: Data and method of the GAN.
        kinds: Anomalies by name.
    """
    gan, channels = run.config, run.dataset.train.shape[-1]
    networks = network_sizes(gan, run.task, run.method, channels)
    snapshots = gan.steps // gan.history.every if gan.history.every else 0
    demands = [
        Demand(
            _SNAPSHOTS * snapshots * networks.variables,
            "the snapshots of the history",
            ["history.every"],
            on_device=True,
            remedy="raise",
        )
    ]
    if config.baselines.searched:
        tested = len(run.parts["test"]["real"])
        most = tested + max(len(kind.images) for kind in kinds.values())
        searched = min(config.baselines.searched, most)
        demands += search_demands(config, gan.latent.size, networks, searched)
    return demands
