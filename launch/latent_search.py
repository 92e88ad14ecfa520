"""Former name of `launch.batch`, kept for existing command lines."""

import sys

from launch.batch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
