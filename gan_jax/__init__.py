"""Adversarial image priors in JAX: train a GAN once, then use it.

Import sub-packages by name, e.g. `from gan_jax.losses import adversarial`. Importing
them starts no JAX backend and imports no TensorFlow.
"""

__version__ = "0.1.0"
