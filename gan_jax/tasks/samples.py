"""Generation from the latent alone: images like those of the data."""

from jaxtyping import PRNGKeyArray

from gan_jax.data.feed import ImagesByRole, to_float
from gan_jax.tasks.task import Task, TaskReport
from gan_jax.training.method import Batch


def present(key: PRNGKeyArray, images: ImagesByRole) -> Batch:
    """Return the real images; there is no condition."""
    return Batch(to_float(images["real"].image))


def task() -> Task:
    """Return the task of generating images like those of the data."""
    caption = "Images generated from random latents, the same ones at every step."
    return Task(present, report=TaskReport(caption=caption))
