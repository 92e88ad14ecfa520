"""Strict modes for every test: 4 CPU devices, no rank promotion, checked shapes."""

import atexit
import os
import shutil
import tempfile

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
install_import_hook("gan_jax", "beartype.beartype")

# What is computed once for all runs is neither taken from the user's cache nor left.
os.environ["GAN_JAX_CACHE"] = tempfile.mkdtemp()
atexit.register(shutil.rmtree, os.environ["GAN_JAX_CACHE"], ignore_errors=True)
