"""The memory of refined samples, estimated beforehand."""

from ml_collections import ConfigDict

from gan_jax.apps.collaborate.report import FOLLOWED, STEP_SIDE
from gan_jax.apps.collaborate.shaping import epochs_of
from gan_jax.apps.inpaint.memory import networks_of
from gan_jax.config.limits import size_of
from gan_jax.runs.memory import FLOAT, PASSES, Demand
from gan_jax.runs.prior import Prior

_STAGE = 2  # sets of images that a stage keeps: with known pixels, and without
_POOL = 3  # copies of samples of which some are accepted
_VISITS = 3  # copies of the images of every step


def collaboration_demands(config: ConfigDict, prior: Prior, count: int) -> list[Demand]:
    """Return the memory of shaping a critic and of refining `count` samples with it.

    Args:
        config: A config of the program.
        prior: The prior whose samples are refined.
        count: Number of samples, or of completed images.
    """
    networks = networks_of(prior)
    settings, acceptance = config.refinement, config.acceptance
    size = size_of(prior.config.data.size)
    image = FLOAT * size.pixels * prior.channels
    stages = 2 + len(epochs_of(config.shaping.snapshots, config.shaping.epochs))
    shown = FLOAT * max(STEP_SIDE, *size) ** 2 * 3
    layers = PASSES * (networks.generator + 2 * networks.critic)
    pool = 0 if config.masks else acceptance.count * acceptance.proposals
    return [
        Demand(
            count * (stages * _STAGE * image + prior.config.latent.size * FLOAT),
            "the samples at every stage",
            ["count"],
        ),
        Demand(
            pool * _POOL * image,
            "the samples of which some are accepted",
            ["acceptance.count", "acceptance.proposals"],
        ),
        Demand(
            FOLLOWED * (settings.steps + 1) * _VISITS * shown,
            "the images of every step",
            ["refinement.steps"],
        ),
        Demand(
            min(settings.slots, count) * layers,
            "the samples that are refined at once",
            ["refinement.slots"],
            on_device=True,
        ),
        Demand(
            config.shaping.batch_size * layers,
            "the activations of a batch",
            ["shaping.batch_size"],
            on_device=True,
        ),
    ]
