"""Strict modes for every test: 4 CPU devices, no rank promotion, checked shapes."""

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
install_import_hook("gan_jax", "beartype.beartype")
