"""First weights for tests, drawn as one program: eagerly each draw is compiled."""

from functools import partial

from gan_jax.networks.compilation import run_once


def first_weights(module, *inputs, **settings):
    """What `module.init` gives; inputs are arrays, settings are not."""
    return run_once(partial(module.init, **settings), *inputs)
