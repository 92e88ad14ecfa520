"""The command line that sets every key of a config."""

import shlex
from collections.abc import Mapping
from typing import Any


def full_command(name: str, values: Mapping[str, Any]) -> str:
    """Return a command that gives every key its value; it names no variant.

    A shell takes every value for text, whatever is in it.

    Args:
        name: Name of the config's file.
        values: Values by dotted key.
    """
    flags = [
        f"  --config.{key}={_quoted(value)}"
        for key, value in values.items()
        if key != "name"
    ]
    experiment = shlex.quote(f"--config=configs/{name}.py")
    first = f"python -m gan_jax.main {experiment}"
    return " \\\n".join([first, *flags])


def _quoted(value: Any) -> str:
    """Return a value for a shell; texts are always quoted."""
    if not isinstance(value, str):
        return shlex.quote(repr(value))
    quoted = shlex.quote(value)
    return quoted if quoted.startswith("'") else f"'{quoted}'"


FIRST_COMMANDS: Mapping[str, str] = {
    "inpaint": (
        "Train one, then complete images with it: python -m gan_jax.main "
        "--config=configs/wgan_gp.py --workdir=runs/wgan_gp; python -m gan_jax.main "
        "--config=configs/inpaint.py --config.prior=runs/wgan_gp"
    ),
    "generate": (
        "Train one, then generate under your own known values: python -m gan_jax.main "
        "--config=configs/pixelcgan.py --workdir=runs/pixelcgan; python -m "
        "gan_jax.main --config=configs/generate.py --config.prior=runs/pixelcgan "
        "--config.known=known.csv"
    ),
    "collaborate": (
        "Train one, then refine with it: python -m gan_jax.main "
        "--config=configs/gan.py --workdir=runs/gan; python -m gan_jax.main "
        "--config=configs/collaborate.py --config.prior=runs/gan"
    ),
    "detect": (
        "Train one, then score images with it: python -m gan_jax.main "
        "--config=configs/detect.py --workdir=runs/detect; python -m gan_jax.main "
        "--config=configs/detect.py --config.prior=runs/detect --config.images=DIR "
        "--workdir=runs/scored"
    ),
    "colorize": (
        "Train one: python -m gan_jax.main --config=configs/colorize.py "
        "--workdir=runs/colorize; then colorize: python -m gan_jax.main "
        "--config=configs/colorize.py --config.prior=runs/colorize --config.images=DIR "
        "--workdir=runs/colorized"
    ),
    "export": (
        "Train one, then export it: python -m gan_jax.main "
        "--config=configs/pixelcgan.py --workdir=runs/pixelcgan; python -m "
        "gan_jax.export --prior=runs/pixelcgan --out=exported/pixelcgan"
    ),
}
"""The commands that train a prior and use it, by program, for errors where no prior is
named."""
