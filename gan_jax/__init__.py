"""Adversarial image priors in JAX: train a GAN once, then use it.

Importing this package starts no JAX backend and imports no TensorFlow; each
sub-package is imported by name, e.g. `from gan_jax.losses import adversarial`.
"""

__version__ = "0.1.0"
