"""What the page says to do about files: none of the commands' options."""

import numpy as np
import pytest

from gan_jax.apps.serve.remedies import for_page
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.known import read_known
from gan_jax.data.grids.points import placed
from gan_jax.data.grids.units import LEVELS
from gan_jax.data.memory import UnreadableFileError
from gan_jax.report.files import encode_png


def read(content):
    """Return known values of a file on a grid, as the page reads them."""
    known = read_known(content, None, what="a.csv")
    snap = defaults.realisation("generate").snap
    return placed(known, Geometry(8, 8), 1, LEVELS, snap, True)


IMAGE = encode_png(np.full((8, 8, 1), 9, np.uint8))


@pytest.mark.parametrize(
    ("refused", "remedy"),
    [
        (lambda: read(b"x,y,value\n1,1,3\n1,1,4\n"), "has 3: keep one of them"),
        (lambda: read(b"x,y,value\n9,1,3\n"), ": leave it out"),
        (lambda: read(IMAGE), ": choose or drop its mask together with it"),
        (lambda: read(b"a\n4\nx\ny\np\nq\n1 1 3 4\n"), "keep one column of values"),
    ],
)
def test_remedies_are_those_of_the_page(refused, remedy):
    with pytest.raises((InputError, UnreadableFileError)) as caught:
        refused()
    line = for_page(str(caught.value))
    assert remedy in line
    assert "--config" not in line and "image.png,mask.png" not in line


@pytest.mark.parametrize("line", ["photo.png: it is broken", "no remedy at all"])
def test_other_messages_stay(line):
    assert for_page(line) == line


def test_a_remedy_of_an_unknown_option_is_left_out():
    line = "a.csv: it needs much memory: give --config.other=3"
    assert for_page(line) == "a.csv: it needs much memory"
