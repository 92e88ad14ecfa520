"""The old name of `launch.batch`, which its command lines may still use."""

import sys

from launch.batch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
