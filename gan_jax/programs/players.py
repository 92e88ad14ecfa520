"""Trained networks as plain functions of images, in pieces of one size."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from gan_jax.networks.compilation import compiled
from gan_jax.networks.stages import image_of
from gan_jax.programs.chunks import chunks, taken
from gan_jax.tasks.task import Players, Samples, Task
from gan_jax.training.method import Recipe
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
        def generate(
            key: PRNGKeyArray, conditions: PyTree[Array], count: int
        ) -> Samples:
            images = []
            for at in chunks(count, _CHUNK):
                fresh = jax.random.fold_in(key, at[0])
                found = run(networks.generator, fresh, taken(conditions, at))
                images.append(np.asarray(found))
            return np.concatenate(images)[:count]

        def score(
            images: Samples, conditions: PyTree[Array]
        ) -> Float[np.ndarray, "count ..."]:
            scores = [
                np.asarray(judge(networks.critic, images[at], taken(conditions, at)))
                for at in chunks(len(images), _CHUNK)
            ]
            return np.concatenate(scores)[: len(images)]

        return Players(generate, score)

    return of_networks
