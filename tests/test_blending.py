"""Poisson blending against a sparse direct solve, whatever the holes."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from gan_jax.search.blending import laplacian, poisson_blend

SIZE = 24


def solve(generated, known, mask):
    """The same equations, written out pixel by pixel and solved directly."""
    height, width, channels = generated.shape
    inside = np.argwhere(mask[..., 0] == 0)
    if len(inside) in (0, height * width):
        return known if len(inside) == 0 else generated
    number = {tuple(place): index for index, place in enumerate(inside)}
    matrix = scipy.sparse.lil_matrix((len(inside), len(inside)))
    right = np.zeros((len(inside), channels))
    for (row, column), index in number.items():
        for down, along in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            other = row + down, column + along
            if not (0 <= other[0] < height and 0 <= other[1] < width):
                continue
            matrix[index, index] += 1
            right[index] += generated[row, column] - generated[other]
            if other in number:
                matrix[index, number[other]] -= 1
            else:
                right[index] += known[other]
    found = scipy.sparse.linalg.splu(matrix.tocsc()).solve(right)
    blended = known.copy()
    blended[mask[..., 0] == 0] = found
    return blended


def holes(count, seed=0):
    """Masks of all kinds: rectangles, several, at the border, dots, none, all."""
    random = np.random.default_rng(seed)
    masks = np.ones((count, SIZE, SIZE, 1), np.float32)
    masks[1] = 0
    masks[2] = 0
    masks[2, 0, 0] = 1
    for index in range(3, count):
        if index % 4 == 0:
            masks[index] = random.random((SIZE, SIZE, 1)) < random.choice([0.1, 0.5])
            continue
        for _ in range(random.integers(1, 4)):
            top, left = random.integers(0, SIZE, 2)
            high, wide = random.integers(1, SIZE, 2)
            masks[index, top : top + high, left : left + wide] = 0
    return masks


def test_it_is_the_direct_solution_on_a_hundred_masks():
    random = np.random.default_rng(1)
    masks = holes(100)
    shape = (100, SIZE, SIZE, 3)
    generated, known = (random.uniform(-1, 1, shape).astype(np.float32) for _ in "ab")
    blended = np.asarray(poisson_blend(*map(jnp.asarray, (generated, known, masks))))
    for index, mask in enumerate(masks):
        one = [array[index].astype(np.float64) for array in (generated, known)]
        wanted = solve(*one, mask)
        np.testing.assert_allclose(blended[index], wanted, atol=1e-5)
        where = np.broadcast_to(mask > 0, shape[1:])
        np.testing.assert_array_equal(blended[index][where], known[index][where])


def test_a_step_in_brightness_disappears():
    random = np.random.default_rng(2)
    image = random.uniform(-0.5, 0.5, (SIZE, SIZE, 1)).astype(np.float32)
    mask = np.ones_like(image)
    mask[6:18, 6:18] = 0
    blended = poisson_blend(*map(jnp.asarray, (image + 0.3, image, mask)))
    np.testing.assert_allclose(blended, image, atol=1e-5)


def test_it_takes_one_image_and_any_leading_axes():
    image = jnp.zeros((2, 3, 8, 8, 1))
    mask = jnp.ones((2, 3, 8, 8, 1)).at[..., 2:5, 2:5, :].set(0)
    blended = poisson_blend(image + 0.5, image, mask)
    assert blended.shape == image.shape
    np.testing.assert_allclose(
        blended[1, 2],
        poisson_blend(image[1, 2] + 0.5, image[1, 2], mask[1, 2]),
        atol=1e-6,
    )


@pytest.mark.parametrize("shape", [(5, 7, 1), (1, 4, 3)])
def test_the_laplacian_by_its_neighbours(shape):
    image = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    wanted = np.zeros(shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            for down, along in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                other = row + down, column + along
                if 0 <= other[0] < shape[0] and 0 <= other[1] < shape[1]:
                    wanted[row, column] += image[row, column] - image[other]
    np.testing.assert_allclose(laplacian(jnp.asarray(image)), wanted, atol=1e-5)


def test_padding_changes_nothing():
    """Whatever lies in it, and where holes touch the border."""
    random = np.random.default_rng(5)
    masks = holes(20, seed=5)
    generated, known = random.normal(size=(2, 20, SIZE, SIZE, 1)).astype(np.float32)

    def padded(arrays, value):
        margins = ((0, 0), (0, 9), (0, 3), (0, 0))
        return jnp.asarray(np.pad(arrays, margins, constant_values=value))

    found = poisson_blend(
        padded(generated, 7.0),
        padded(known, -5.0),
        padded(masks, 0.0),
        inside=padded(np.ones_like(masks), 0.0),
    )
    wanted = poisson_blend(*map(jnp.asarray, (generated, known, masks)))
    np.testing.assert_allclose(found[:, :SIZE, :SIZE], wanted, atol=1e-4)
