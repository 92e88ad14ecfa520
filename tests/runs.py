"""Finished runs of every kind, made without training."""

from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.apps.detect.detector import QUANTILES, Detector, save_detector
from gan_jax.apps.detect.total_variation import Scale
from gan_jax.build import methods, tasks
from gan_jax.config.keys import flatten
from gan_jax.config.limits import size_of
from gan_jax.report import files
from gan_jax.runs.prior import Prior, blank_state
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import digest, trained


def smoke(name, variant="smoke", **values):
    """Return a config of `configs/`, the small one if no variant is named.

    Args:
        name: of the file.
        variant: or several, joined by commas.
        values: changes by dotted key.
    """
    config = import_module(f"configs.{name}").get_config(variant)
    config.update_from_flattened_dict(
        {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}
    )
    return config


def drawn(tree, seed=0):
    """Return arrays for shapes: as after some training, when none is 0 or 1 any more.

    Drawn by NumPy, because a network's own start takes seconds to compile.
    """
    draw = np.random.default_rng(seed)

    def leaf(place, like):
        if not jnp.issubdtype(like.dtype, jnp.floating):
            return jnp.zeros(like.shape, like.dtype)
        about = 1.0 if place[-1].key in ("var", "scale") else 0.0
        values = about + draw.uniform(-0.1, 0.1, like.shape)
        return jnp.asarray(values, jnp.float32)

    return jax.tree_util.tree_map_with_path(leaf, tree)


def kept(workdir, config, channels=1, classes=0, seed=0):
    """Leave in a workdir what a run leaves for use."""
    task = tasks.task(config)
    method = methods.method(config, task, channels, classes)
    shapes = jax.eval_shape(
        lambda: trained(blank_state(config, task, method, channels))
    )
    networks = shapes._replace(
        step=jnp.int32(0),
        generator=drawn(shapes.generator, seed),
        critic=drawn(shapes.critic, seed),
        critic_optimizer=jax.tree.map(
            lambda like: jnp.zeros(like.shape, like.dtype), shapes.critic_optimizer
        ),
    )
    with Checkpoints(workdir / "prior", keep=None) as found:
        found.save(0, networks._asdict())
    weights = {"generator": networks.generator, "critic": networks.critic}
    written(workdir, config, channels, classes)
    return Prior(workdir, config, task, method, networks, channels, digest(weights))


def written(workdir, config, channels, classes=0):
    """Write the config and the summary of a run."""
    size = size_of(config.data.size)
    summary = {
        "config_name": config.name,
        "dataset": {"name": "digits", "shape": [*size, channels]},
        "teacher": {"classes": classes},
        "metrics": {},
        "metrics_failed": {},
        "timing": {},
        "environment": None,
        "parameters_sha256": "0" * 64,
    }
    files.write_json(workdir / "config.json", flatten(config))
    files.write_json(workdir / "summary.json", summary)


def kept_detector(workdir, **values):
    """Leave in a workdir what a run of `detect` leaves for use, its GAN included."""
    config = smoke("detect", **values)
    gan = smoke("gan", **{k: v for k, v in flatten(config).items() if k in _GAN})
    prior = kept(workdir / "gan", gan)
    quantiles = np.linspace(-1, 1, QUANTILES, dtype=np.float32)
    detector = Detector(prior.networks.critic, Scale(0.3, -0.7), quantiles)
    workdir.mkdir(exist_ok=True)
    save_detector(detector, prior, workdir)
    written(workdir, config, 1)


_GAN = flatten(smoke("gan")).keys() - {"name", "program"}


KINDS = ("generator", "conditional", "colorizer", "detector")
"""Kinds of runs that are exported."""


def kept_of_each_kind(folder):
    """Return a folder with a run of each kind, called after it.

    Their networks differ from their initial ones.
    """
    kept(folder / "generator", smoke("gan"))
    kept(folder / "conditional", smoke("pixelcgan"))
    kept(folder / "colorizer", smoke("colorize"), channels=3)
    kept_detector(folder / "detector")
    return folder
