"""The command `gan-jax`, and `python -m gan_jax`: `gan_jax.main` without its imports.

They take a moment, in which Ctrl-C is answered too.
"""

import sys

from gan_jax.runs.startup import begin


def main() -> int:
    """Run the program that a config names; return the exit code."""
    begin()
    from gan_jax import main as command_line

    return command_line.main()


if __name__ == "__main__":
    sys.exit(main())
