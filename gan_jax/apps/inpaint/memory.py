"""The memory of latent searches and completed images, estimated beforehand."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax.build import searches
from gan_jax.config.limits import size_of
from gan_jax.runs.memory import (
    FLOAT,
    PASSES,
    Demand,
    Networks,
    network_sizes,
)
from gan_jax.runs.prior import Prior
from gan_jax.training.state import bytes_of

_STARTS, _HISTORIES = 5, 2  # copies of a search's latent, and of its losses
_SLOTS = 2  # copies of the state of what is searched


def networks_of(prior: Prior) -> Networks:
    """Return the sizes of a prior's networks."""
    return network_sizes(prior.config, prior.task, prior.method, prior.channels)


def search_demands(
    config: ConfigDict, latent: int, networks: Networks, images: int
) -> list[Demand]:
    """Return the memory of a search of the latents of so many images.

    Args:
        config: A config with `search`.
        latent: Length of a latent.
        networks: The networks under which latents are searched.
        images: Number of images that are searched in one call.
    """
    search = config.search
    whitening = jax.eval_shape(
        searches.descent(search).init, jax.ShapeDtypeStruct((latent,), jnp.float32)
    )
    state = bytes_of(whitening) + (search.iterations + 3 * latent) * FLOAT
    numbers = _STARTS * latent + _HISTORIES * search.iterations
    layers = PASSES * (networks.generator + networks.critic)
    return [
        Demand(
            search.restarts * images * numbers * FLOAT,
            "the starts and the results of all searches",
            ["search.restarts", "search.iterations", "count"],
        ),
        Demand(
            search.slots * (_SLOTS * state + layers),
            "the searches that run at once",
            ["search.slots", "search.iterations"],
            on_device=True,
        ),
    ]


def completion_demands(
    config: ConfigDict, prior: Prior, images: int, losses: int = 1
) -> list[Demand]:
    """Return the memory of the search and of the completion of images.

    Args:
        config: A config with `search`.
        prior: The prior that completes them.
        images: Number of images.
        losses: Number of losses under which each is completed.
    """
    image = FLOAT * size_of(prior.config.data.size).pixels * prior.channels
    # Under the loss at work each restart has two more images: as made, and with known
    # pixels.
    copies = losses * (config.search.restarts + 4) + 2 * config.search.restarts
    size = prior.config.latent.size
    return [
        *search_demands(config, size, networks_of(prior), images),
        Demand(
            images * copies * image,
            "the completed images",
            ["search.restarts", "count"],
        ),
    ]
