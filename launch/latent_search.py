"""Former name of `launch.batch`, kept for existing command lines."""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import sys

from launch.batch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
