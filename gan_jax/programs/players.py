"""Trained networks as plain functions of images, in pieces of one size."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.networks.compilation import compiled
from gan_jax.networks.stages import image_of
from gan_jax.programs.chunks import in_chunks, taken
from gan_jax.tasks.task import Players, Samples, Task
from gan_jax.training.method import Recipe
from gan_jax.training.processes import own
from gan_jax.training.state import Trained, Variables

_CHUNK = 100  # images generated at once


def make_players(recipe: Recipe, task: Task) -> Callable[[Trained], Players]:
    """Give what turns a run's networks into players, compiled once for all of them.

    What they generate is rendered as the task's data are.
    """

    def generate_chunk(
        variables: Variables, key: PRNGKeyArray, condition: PyTree[Array]
    ) -> Float[Array, "batch height width channels"]:
        latent = recipe.latent(key, _CHUNK)
        generated: Any = recipe.generator.apply(variables, latent, condition)
        return task.render(image_of(generated), condition)

    run = compiled(generate_chunk)
    judge = compiled(recipe.critic.apply)

    def of_networks(networks: Trained) -> Players:
        generator, critic = own((networks.generator, networks.critic))

        def generate(
            key: PRNGKeyArray, conditions: PyTree[Array], count: int
        ) -> Samples:
            def piece(at: Int[np.ndarray, " size"]) -> Array:
                fresh = jax.random.fold_in(key, at[0])
                return run(generator, fresh, taken(conditions, at))

            images: Samples = in_chunks(piece, count, _CHUNK)
            return images

        def score(
            images: Samples, conditions: PyTree[Array]
        ) -> Float[np.ndarray, "count ..."]:
            scores: Samples = in_chunks(
                lambda at: judge(critic, images[at], taken(conditions, at)),
                len(images),
                _CHUNK,
            )
            return scores

        return Players(generate, score)

    return of_networks
