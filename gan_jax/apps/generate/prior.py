"""The trained run that generates, as one function of latents and known values."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array
from ml_collections import ConfigDict

from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, memory_limit, size_of
from gan_jax.config.names import look_up
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.points import KnownGrid
from gan_jax.data.grids.units import Units
from gan_jax.data.masks import Known
from gan_jax.networks.compilation import compiled
from gan_jax.priors import packaged
from gan_jax.runs.inference import draw_latents, field, taken
from gan_jax.runs.prior import Prior, blank_state, read_arrays, with_networks
from gan_jax.search.realisations import Draw, Generate, Realiser, compile_realiser
from gan_jax.training.state import TrainState, stored, trained

DEFAULT = "digits"
"""The packaged prior that is used where none is named."""

_CHUNK, _CELLS = 16, 2**20  # images in a call, at most, and their cells together


class Source(NamedTuple):
    """The run that images come from."""

    prior: Prior
    units: Units
    """The units of values."""
    geometry: Geometry | None
    """Where the cells of its training image lie, if it has one."""
    channels: int
    """Channels of its images."""

    @property
    def proportions(self) -> dict[str, float]:
        """Shares of the facies in the training data, by code, where they are known."""
        shares = (self.prior.summary.get("dataset") or {}).get("proportions", [])
        return dict(zip(map("{:.9g}".format, self.units.codes), shares, strict=False))

    @property
    def variable(self) -> str:
        """Name of the variable of its training image; empty where it has none."""
        return str((self.prior.summary.get("dataset") or {}).get("variable", ""))

    @property
    def trained_size(self) -> Size:
        """Height and width of the images it was trained on."""
        return size_of(self.prior.config.data.size)

    @property
    def makes_any_size(self) -> bool:
        """Whether it makes images of other sizes than those it was trained on."""
        return self.prior.method.cell is not None

    def check_size(self, size: Size) -> None:
        """Refuse a size of images that the run cannot make.

        Raises:
            InputError: Names both sizes.
        """
        key = jax.eval_shape(lambda: jax.random.key(0))
        jax.eval_shape(self.draw(size), key)

    def scaled(self, known: KnownGrid) -> Known:
        """Return known values as the condition of a generator, without a batch axis."""
        mask = known.mask[..., None].astype(np.float32)
        values = self.units.scaled(known.values).astype(np.float32)
        return Known(jnp.asarray(values * mask), jnp.asarray(mask))

    def function(self, size: Size) -> Generate:
        """Return the generator of images of a size, a function of arrays alone."""
        method, task = self.prior.method, self.prior.task

        def generate(variables: Any, latents: Any, known: Known) -> Array:
            condition = known if task.conditional else None
            return field(method, variables, latents, condition, size, task.render)

        return Partial(generate, self.prior.networks.generator)

    def draw(self, size: Size) -> Draw:
        """Return the function that draws the latent of an image of a size."""
        method = self.prior.method
        return lambda key: taken(draw_latents(method, key.reshape(1), size), 0)

    def realiser(self, size: Size) -> Realiser:
        """Return the compiled generator of images of a size."""
        return compile_realiser(
            self.function(size), self.draw(size), chunk_of(size), compiled
        )


def chunk_of(size: Size) -> int:
    """Return how many images of a size a call of the generator makes.

    It depends on nothing else, so that neither the memory nor the batch of a run
    changes its results.
    """
    most = max(1, min(_CHUNK, _CELLS // size.pixels))
    return 1 << (most.bit_length() - 1)


def open_source(config: ConfigDict) -> Source:
    """Open the run that a config names.

    Raises:
        InputError: There is no such run, or it cannot generate under what is known.
    """
    choose = look_up(_EPOCHS, "epoch", config.epoch)
    commands = FIRST_COMMANDS[config.program]
    memory = memory_limit(config)
    path = config.prior or (DEFAULT if DEFAULT in packaged.names() else "")
    prior = choose(packaged.open_any(path, commands, memory=memory), memory)
    names = [array.name for array in prior.task.condition_arrays]
    if prior.task.points or (names and names != ["values", "mask"]):
        raise InputError(
            f"prior {prior.workdir} makes no images under known values: name a run of "
            f"the task pixels or wells. {commands}"
        )
    if not prior.method.has_latent:
        raise InputError(
            f"prior {prior.workdir} starts from no latent, so that every realisation "
            f"would be the same: name another run. {commands}"
        )
    if config.known and not prior.task.conditional:
        raise InputError(
            f"prior {prior.workdir} generates from latents alone, and cannot be given "
            "known values: name a run of the task pixels or wells, or complete images "
            f"with --config=configs/inpaint.py. {commands}"
        )
    channels = prior.task.channels(prior.channels)
    return Source(prior, prior.units, prior.geometry, channels)


def _last_epoch(prior: Prior, memory: int) -> Prior:
    """Return a run with the networks of its last step in place of the best."""
    like = jax.eval_shape(
        lambda: stored(
            blank_state(prior.config, prior.task, prior.method, prior.channels)
        )
    )
    restored = read_arrays(prior.workdir, "checkpoints", like, memory)
    if restored is None:
        raise InputError(
            f"prior {prior.workdir} has not kept its last epoch: give "
            "--config.epoch=best"
        )
    return with_networks(prior, trained(TrainState(**restored)))


_EPOCHS = {"best": lambda prior, memory: prior, "last": _last_epoch}
