"""Strict modes for every test: 4 CPU devices, no rank promotion, checked shapes."""

import atexit
import os
import shutil
import tempfile

# What is computed once for all runs is neither taken from the user's caches nor left;
# runs of one test session, and the processes that share it, share what they compile.
if "PYTEST_XDIST_WORKER" in os.environ:
    CACHE = os.environ["GAN_JAX_CACHE"]
else:
    CACHE = os.environ["GAN_JAX_CACHE"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{CACHE}/compiled"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
install_import_hook("gan_jax", "beartype.beartype")


def pytest_collection_modifyitems(items):
    """Programs come first: none of them is left to one worker when the other is done.

    A module whose tests start programs has, or imports, a `run`.
    """
    items.sort(key=lambda item: not hasattr(item.module, "run"))
