"""Small problems that a latent search is given."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax.networks import dcgan
from gan_jax.search.latent import Search
from tests.weights import first_weights

SIZE = 3


def bowl(latent, problem):
    """A loss with its minimum at the target, as steep as the problem says."""
    target, slope = problem
    error = latent - target
    return slope * jnp.square(error).sum(), jnp.abs(error).mean()


def problems(count, seed=0):
    random = np.random.default_rng(seed)
    targets = random.uniform(-0.9, 0.9, (count, SIZE)).astype(np.float32)
    slopes = random.uniform(0.2, 3, count).astype(np.float32)
    return jnp.asarray(targets), jnp.asarray(slopes)


def starts(restarts, count, seed=1):
    return jax.random.uniform(
        jax.random.key(seed), (restarts, count, SIZE), minval=-1.0
    )


def counting(turns):
    """Return what compiles a function whose calls are counted in a list."""

    def compiled(function):
        inner = jax.jit(function)

        def counted(*arguments):
            turns.append(1)
            return inner(*arguments)

        return counted

    return compiled


def network_search(patience=0):
    """A search through real networks, with fixed statistics."""
    generator = dcgan.generator(8, 1, 8, 1, 4)
    variables = first_weights(generator, jax.random.key(0), jnp.ones((2, 5)))

    def loss(latent, problem):
        image = generator.apply(variables, latent[None])[0]
        error = jnp.abs(image - problem).sum()
        return error, error / image.size

    return Search(loss, optax.adam(0.05), iterations=40, patience=patience)
