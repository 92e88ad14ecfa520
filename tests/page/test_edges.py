"""Edges of holes at a photograph's own size."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps.inpaint.composites import filled, restored
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.placement import Placement
from gan_jax.apps.serve.models.edges import Edges
from gan_jax.config.limits import Size
from gan_jax.report.grids import to_uint8
from gan_jax.search.blending import poisson_blend


@pytest.fixture(scope="module")
def edges():
    return Edges(1)


def smooth(*shape):
    rows, columns = np.indices(shape)
    waves = np.sin(rows / 9) * np.cos(columns / 13)
    return to_uint8((0.6 * waves)[..., None])


def placed_over(image, *boxes):
    known = np.ones(image.shape[:2], bool)
    for top, left, bottom, right in boxes:
        known[top:bottom, left:right] = False
    masked = MaskedImage("photo", "photo", image, known)
    return Placement("auto", Size(28, 28), 0, frozenset()).lay(masked)


@pytest.mark.parametrize(
    "boxes",
    [
        [(30, 40, 70, 75)],
        [(0, 0, 30, 40), (60, 10, 62, 60)],  # at the border, and a scratch
        [(10, 10, 40, 20), (15, 30, 35, 50)],  # two in one window
    ],
)
def test_holes_are_blended_as_inpaint_does(edges, boxes):
    image = smooth(90, 100)
    placed = placed_over(image, *boxes)
    random = np.random.default_rng(0)
    made, small = [], []
    for each in placed:
        generated = random.normal(0, 0.2, (28, 28, 1)).astype(np.float32) + 0.5
        made.append(to_uint8(generated))
        # Blended at the prior's size first.
        reduced = image[each.window.at]
        step = reduced.shape[0] / 28
        at = (np.arange(28) * step).astype(int)
        known = (reduced[at][:, at] / 127.5 - 1).astype(np.float32)
        mask = each.masked.known[each.window.at][at][:, at][..., None]
        arrays = generated, known, mask.astype(np.float32)
        blended = poisson_blend(*map(jnp.asarray, arrays))
        small.append(to_uint8(np.asarray(blended)))
    plain = restored(placed, made)
    wanted = restored(placed, made, blend=True).astype(int)
    found = filled(placed, small, edges.blended)
    known = placed[0].masked.known
    np.testing.assert_array_equal(found[known], image[known])
    missing = np.abs(found.astype(int) - wanted)[~known]
    assert missing.mean() < 0.2 * np.abs(plain.astype(int) - wanted)[~known].mean()

    def jump(image):
        """The mean step over the edges of holes."""
        steps = np.abs(np.diff(image[..., 0].astype(int), axis=1))
        return steps[known[:, 1:] != known[:, :-1]].mean()

    assert jump(found) < 0.4 * jump(plain)


def test_large_holes_stay_as_they_are(edges):
    placed = placed_over(smooth(300, 300), (20, 20, 200, 60))
    made = [np.full((28, 28, 1), 9, np.uint8)]
    whole = filled(placed, made, lambda *each: edges.blended(*each, largest=128))
    np.testing.assert_array_equal(whole, restored(placed, made))
    whole = filled(placed, made, edges.blended)
    assert (whole != restored(placed, made)).any()


def test_what_is_compiled_serves_all_holes(edges, compilations):
    edges.compile()
    compilations.clear()
    for side in (3, 61, 63, 90):
        placed = placed_over(smooth(200, 240), (50, 60, 50 + side, 60 + side // 2))
        filled(placed, [np.full((28, 28, 1), 9, np.uint8)], edges.blended)
    assert not compilations
