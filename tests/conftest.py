"""Strict modes for every test: 4 CPU devices, no rank promotion, checked shapes."""

import atexit
import os
import shutil
import tempfile

# What is computed once for all runs is neither taken from the user's caches nor left;
# runs of one test session share what they compile.
CACHE = tempfile.mkdtemp()
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
os.environ["GAN_JAX_CACHE"] = CACHE
os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{CACHE}/compiled"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

import jax  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
install_import_hook("gan_jax", "beartype.beartype")
