"""Our convolutions against flax's and lax's: values, gradients, second derivatives."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.networks import compilation
from gan_jax.networks.compilation import compiled
from gan_jax.networks.layers import convolutions
from tests.weights import first_weights

LAYOUT = ("NHWC", "HWIO", "NHWC")
MANY = 17  # channels, of which those of a transposed convolution go phase by phase
# Inputs, outputs: all taps become outputs, or rows of them, or patches are multiplied.
FEW = [(32, 1), (24, 4), (2, 5)]


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def strided(stride):
    return (
        lambda image, kernel: convolutions.convolve(image, kernel, stride),
        lambda image, kernel: lax.conv_general_dilated(
            image, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
        ),
    )


def transposed(stride):
    return (
        lambda image, kernel: convolutions.convolve_transposed(image, kernel, stride),
        lambda image, kernel: lax.conv_transpose(
            image, kernel, (stride, stride), "SAME"
        ),
    )


def penalty(convolution):
    """A gradient penalty: its gradients are second derivatives of a convolution."""

    def value(image, kernel):
        slope = jax.grad(lambda point: jnp.sin(convolution(point, kernel)).sum())(image)
        return jnp.square(slope).sum()

    return value


def assert_close(ours, theirs):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert one.shape == other.shape
        scale = max(float(jnp.abs(other).max()), 1e-30)
        assert float(jnp.abs(one - other).max()) <= 1e-4 * scale


@pytest.mark.parametrize("pair", [strided, transposed])
@pytest.mark.parametrize("stride", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("taps", [1, 3, 4, 5])
def test_values_equal_those_of_lax(pair, taps, stride):
    ours, theirs = pair(stride)
    sizes = [(7, 3, 4), (8, 3, 4), (7, 3, MANY), *((7, *few) for few in FEW)]
    for size, inputs, outputs in sizes:
        image = normal(0, 2, size, size + 1, inputs)
        kernel = normal(1, taps, taps, inputs, outputs)
        assert_close(ours(image, kernel), theirs(image, kernel))


@pytest.mark.parametrize("pair", [strided, transposed])
@pytest.mark.parametrize(
    ("size", "inputs", "outputs"),
    [(7, 2, 3), (8, 2, 3), (8, MANY + 1, MANY), *((8, *few) for few in FEW)],
)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("taps", [3, 4, 5])
def test_first_and_second_derivatives_equal_those_of_lax(
    pair, taps, stride, size, inputs, outputs
):
    image = normal(0, 2, size, size, inputs)
    kernel = normal(1, taps, taps, inputs, outputs)
    results = []
    for convolution in pair(stride):
        first = jax.grad(lambda i, k, f=convolution: jnp.sin(f(i, k)).sum(), (0, 1))
        second = jax.grad(penalty(convolution), (0, 1))
        results.append(jax.jit(lambda i, k, a=first, b=second: (a(i, k), b(i, k))))
    ours, theirs = (result(image, kernel) for result in results)
    assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(convolutions.Conv, nn.Conv), (convolutions.ConvTranspose, nn.ConvTranspose)],
)
@pytest.mark.parametrize("bias", [True, False])
def test_modules_take_flax_parameters(ours, theirs, bias):
    image = normal(0, 2, 8, 8, 3)
    module = theirs(6, (4, 4), (2, 2), use_bias=bias)
    variables = first_weights(module, jax.random.key(1), image)
    mine = ours(6, 4, 2, use_bias=bias)
    shapes = jax.tree.map(jnp.shape, first_weights(mine, jax.random.key(2), image))
    assert shapes == jax.tree.map(jnp.shape, variables)
    if bias:
        variables["params"]["bias"] += 0.5
    assert_close(mine.apply(variables, image), module.apply(variables, image))


@pytest.mark.parametrize("pair", [strided, transposed])
def test_maps_over_images_and_over_kernels(pair):
    ours, theirs = pair(2)
    images, kernels = normal(0, 3, 2, 8, 8, 2), normal(1, 3, 5, 5, 2, 4)
    for axes in ((0, None), (None, 0), (0, 0)):
        inputs = [
            array if axis == 0 else array[0]
            for array, axis in zip((images, kernels), axes, strict=True)
        ]
        assert_close(jax.vmap(ours, axes)(*inputs), jax.vmap(theirs, axes)(*inputs))


def test_a_loop_computes_what_single_calls_do():
    image, kernel = normal(0, 2, 8, 8, 2), normal(1, 4, 4, 2, 2)
    slope = jax.grad(lambda k: jnp.square(convolutions.convolve(image, k, 2)).mean())

    def update(_, kernel):
        return kernel - 0.1 * slope(kernel)

    looped = jax.jit(lambda k: lax.fori_loop(0, 3, update, k))(kernel)
    for _ in range(3):
        kernel = update(0, kernel)
    np.testing.assert_allclose(looped, kernel, rtol=1e-5, atol=1e-6)


def test_a_kernel_larger_than_the_image():
    ours, theirs = strided(2)
    image, kernel = normal(0, 2, 3, 3, 2), normal(1, 5, 5, 2, 2)
    assert_close(ours(image, kernel), theirs(image, kernel))
    slopes = [
        jax.grad(lambda k, f=f: jnp.sin(f(image, k)).sum())(kernel)
        for f in (ours, theirs)
    ]
    assert_close(*slopes)


@pytest.mark.parametrize("pair", [strided, transposed])
def test_the_form_for_accelerators_computes_the_same(pair, monkeypatch):
    ours, _ = pair(2)
    image, kernel = normal(0, 2, 8, 8, 2), normal(1, 5, 5, 2, 3)
    by_phases = ours(image, kernel)
    monkeypatch.setattr(convolutions, "use_cpu_forms", lambda: False)
    assert_close(by_phases, ours(image, kernel))


def test_joined_images_are_convolved_as_their_concatenation():
    images = [
        normal(seed, 2, 8, 8, channels) for seed, channels in enumerate((3, 1, 2))
    ]
    layer = convolutions.Conv(5, 3, 2)
    variables = first_weights(
        layer, jax.random.key(1), jnp.concatenate(images, axis=-1)
    )
    same = first_weights(layer, jax.random.key(1), *images)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, same)
    assert_close(
        layer.apply(variables, *images),
        layer.apply(variables, jnp.concatenate(images, axis=-1)),
    )


@pytest.mark.parametrize("batch", [3, 130])
def test_kernel_gradients_for_small_and_large_batches(batch):
    # They differ in how the batch moves to the end.
    image, kernel = normal(0, batch, 6, 5, 2), normal(1, 3, 3, 2, 3)
    ours, theirs = (
        jax.grad(lambda k, f=f: jnp.sin(f(image, k)).sum())(kernel) for f in strided(2)
    )
    assert_close(ours, theirs)


def test_options_of_the_compiler_change_no_value():
    image, kernel = normal(0, 4, 9, 9, 8), normal(1, 3, 3, 8, 16)

    def slope(image, kernel):
        return jax.grad(lambda k: jnp.square(convolutions.convolve(image, k)).mean())(
            kernel
        )

    assert_close(compiled(slope)(image, kernel), jax.jit(slope)(image, kernel))


def test_a_release_without_the_option_of_the_compiler(monkeypatch):
    monkeypatch.setattr(compilation, "CPU_OPTIONS", {"xla_cpu_no_such_option": "1"})
    compilation._options.cache_clear()
    try:
        assert float(compiled(lambda value: 2 * value)(1.5)) == 3.0
    finally:
        compilation._options.cache_clear()
