"""Published sizes by name: networks, optimisers and schedules as METHODS has them.

Nothing is computed: shapes alone are traced.
"""

import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.build import methods, tasks
from gan_jax.config.checks import check_numbers
from gan_jax.config.keys import flatten
from gan_jax.data.datasets.arrays import read_arrays
from gan_jax.data.feed import LabelledImages
from tests.weights import first_weights

CLASSES = 1000  # of ImageNet, which ChromaGAN's teacher tells apart


class Made:
    """A config, its recipe, and the shapes of its networks and of what they make."""

    def __init__(self, name, variant, channels):
        self.config = importlib.import_module(f"configs.{name}").get_config(variant)
        check_numbers(self.config)
        task = tasks.task(self.config)
        classes = CLASSES if self.config.get("class_weight", 0) else 0
        self.method = methods.method(self.config, task, channels, classes)
        size = self.config.data.size
        pixels = jax.ShapeDtypeStruct((2, size, size, channels), jnp.uint8)
        labels = jax.ShapeDtypeStruct((2,), jnp.int32)
        key = jax.random.key(0)
        self.latent = jax.eval_shape(lambda: self.method.latent(key, 2))
        self.example = jax.eval_shape(
            lambda image, label: self.method.present(
                key, dict.fromkeys(task.roles, LabelledImages(image, label))
            ),
            pixels,
            labels,
        )
        self.generator = self._shapes(
            self.method.generator, self.latent, self.example.condition
        )
        self.critic = self._shapes(
            self.method.critic, self.example.real, self.example.real_condition
        )

    def _shapes(self, network, *inputs):
        init = partial(network.init, jax.random.key(1), train=True)
        return jax.eval_shape(init, *inputs)

    def stages(self):
        """Shapes, without the batch, of what each stage of the generator gives."""
        return [
            jax.tree.map(
                lambda leaf: leaf.shape[1:],
                jax.eval_shape(
                    partial(self.method.generator.apply, stop=stop),
                    self.generator,
                    self.latent,
                    self.example.condition,
                ),
            )
            for stop in range(1, len(self.method.generator.stages) + 1)
        ]

    def scores(self):
        """Shape of what the critic says of two images."""
        return jax.eval_shape(
            self.method.critic.apply,
            self.critic,
            self.example.real,
            self.example.real_condition,
        ).shape

    def flat(self):
        """The config by dotted key."""
        return flatten(self.config)


def kernels(variables):
    """Shapes of the weights, by their modules' names."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"])
        if leaf.ndim > 1
    }


def normalisations(variables):
    """Names of the modules that normalise."""
    return {
        name.key
        for path, _ in jax.tree_util.tree_leaves_with_path(variables["params"])
        for name in path
        if "Norm" in name.key
    }


def square(*sizes_and_channels):
    return [(size, size, channels) for size, channels in sizes_and_channels]


def holds(made, **wanted):
    """Assert values of a config by key, dots as double underscores."""
    found = made.flat()
    wanted = {key.replace("__", "."): value for key, value in wanted.items()}
    assert {key: found[key] for key in wanted} == wanted


def critic_updates(made, *steps):
    return [int(made.method.critic_steps(step)) for step in steps]


def draws(made):
    return np.asarray(made.method.latent(jax.random.key(3), 2000))


@pytest.fixture(scope="module")
def cooper():
    return Made("wgan", "celeba", 3)


def test_coopers_wgan_has_his_networks(cooper):
    assert cooper.latent.shape == (2, 100)
    assert cooper.stages() == square((4, 512), (8, 256), (16, 128), (32, 64), (64, 3))
    assert kernels(cooper.generator) == {
        "stages_0/Dense_0/kernel": (100, 4 * 4 * 512),
        "stages_1/ConvTranspose_0/kernel": (5, 5, 512, 256),
        "stages_2/ConvTranspose_0/kernel": (5, 5, 256, 128),
        "stages_3/ConvTranspose_0/kernel": (5, 5, 128, 64),
        "stages_4/ConvTranspose_0/kernel": (5, 5, 64, 3),
    }
    assert kernels(cooper.critic) == {
        "Conv_0/kernel": (5, 5, 3, 64),
        "Conv_1/kernel": (5, 5, 64, 128),
        "Conv_2/kernel": (5, 5, 128, 256),
        "Conv_3/kernel": (5, 5, 256, 512),
        "Dense_0/kernel": (4 * 4 * 512, 1),
    }
    assert cooper.scores() == (2,)
    # Of every layer but the generator's last and the critic's first and last.
    scales = [leaf["mean"].shape for leaf in cooper.critic["batch_stats"].values()]
    assert sorted(scales) == [(128,), (256,), (512,)]
    assert [*cooper.generator["batch_stats"]] == [f"stages_{at}" for at in range(4)]


def test_coopers_wgan_has_his_weights_latents_and_schedule(cooper):
    holds(
        cooper,
        data__name="celeb_a",
        data__crop=108,
        batch_size=64,
        steps=75_000,
        generator_steps=1,
        objective="wgan",
    )
    assert critic_updates(cooper, 0, 24, 25, 499, 500, 501) == [100, 100, 5, 5, 100, 5]
    latents = draws(cooper)
    assert np.abs(latents).max() <= 1
    assert latents.std() == pytest.approx(3**-0.5, rel=0.01)


def test_coopers_weights_begin_normal_with_a_deviation_of_002():
    """Of the same networks, narrower: their initialisers know no width."""
    config = importlib.import_module("configs.wgan").get_config("celeba").unlock()
    config.network.width = config.network.critic_width = 16
    made = methods.method(config, tasks.task(config), channels=3)
    for network, given in (
        (made.generator, jnp.zeros((1, 100))),
        (made.critic, jnp.zeros((1, 64, 64, 3))),
    ):
        weights = first_weights(network, jax.random.key(0), given)["params"]
        for leaf in jax.tree.leaves(weights):
            if leaf.ndim > 1:
                bound = 5 * 0.02 * leaf.size**-0.5
                assert abs(float(leaf.mean())) < bound
                assert abs(float(leaf.std()) - 0.02) < bound


def test_coopers_critic_is_clipped_whole_and_trained_by_rmsprop(cooper):
    spread = jax.tree.map(
        lambda leaf: jnp.linspace(-1.0, 1.0, 12), cooper.critic["params"]
    )
    for leaf in jax.tree.leaves(cooper.method.critic_projection(spread)):
        np.testing.assert_allclose(np.abs(leaf), 0.01)
    for optimizer in (
        cooper.method.critic_optimizer,
        cooper.method.generator_optimizer,
    ):
        slope = {"x": jnp.array([3.0])}
        state = optimizer.init(slope)
        mean = 0.0
        for factor in (1.0, 2.0):
            given = jax.tree.map(lambda leaf, by=factor: by * leaf, slope)
            update, state = optimizer.update(given, state, slope)
            mean = 0.99 * mean + 0.01 * (3.0 * factor) ** 2
            wanted = -5e-5 * 3.0 * factor / mean**0.5
            assert float(update["x"][0]) == pytest.approx(wanted, rel=1e-4)


def test_ballesters_wgan_gp_is_residual():
    made = Made("wgan_gp", "svhn64", 3)
    assert made.latent.shape == (2, 128)
    assert draws(made).std() == pytest.approx(1, rel=0.01)
    assert made.stages() == square(
        (4, 512), (8, 512), (16, 256), (32, 128), (64, 64), (64, 3)
    )
    generator, critic = kernels(made.generator), kernels(made.critic)
    assert generator["stages_0/Dense_0/kernel"] == (128, 4 * 4 * 512)
    assert generator["stages_5/Conv_0/kernel"] == (3, 3, 64, 3)
    for stage, (inputs, features) in enumerate(
        [(512, 512), (512, 256), (256, 128), (128, 64)], start=1
    ):
        block = [
            shape for name, shape in generator.items() if f"stages_{stage}/" in name
        ]
        through = [(3, 3, inputs, features), (3, 3, features, features)]
        around = [(1, 1, inputs, features)] if inputs != features else []
        assert sorted(block) == sorted(through + around)
    assert critic["Conv_0/kernel"] == (3, 3, 3, 64)
    assert critic["Dense_0/kernel"] == (4 * 4 * 512, 1)
    for place, (inputs, features) in enumerate(
        [(64, 128), (128, 256), (256, 512), (512, 512)]
    ):
        block = [shape for name, shape in critic.items() if f"Reduce_{place}/" in name]
        through = [(3, 3, inputs, inputs), (3, 3, inputs, features)]
        around = [(1, 1, inputs, features)] if inputs != features else []
        assert sorted(block) == sorted(through + around)
    assert {name.split("_")[0] for name in normalisations(made.generator)} == {
        "BatchNorm"
    }
    assert {name.split("_")[0] for name in normalisations(made.critic)} == {"LayerNorm"}
    assert "batch_stats" not in made.critic
    assert made.method.critic_terms["gradient_penalty"].weight == 10
    assert critic_updates(made, 0, 500) == [5, 5]
    holds(
        made,
        data__name="svhn_cropped",
        data__size=64,
        batch_size=64,
        optimizer__name="adam",
        optimizer__learning_rate=1e-4,
        optimizer__beta1=0.0,
        optimizer__beta2=0.9,
        optimizer__warmup=0,
    )


def test_mortinieras_dcgan_is_wide_and_its_generator_moves_twice():
    made = Made("gan", "fashion64", 1)
    shapes = square((4, 1024), (8, 512), (16, 256), (32, 128), (64, 1))
    assert made.stages() == shapes
    # What stage 3 takes, after the second transposed convolution, is refined.
    assert shapes[3 - 1] == (16, 16, 256)
    assert set(kernels(made.critic).values()) == {
        (5, 5, 1, 64),
        (5, 5, 64, 128),
        (5, 5, 128, 256),
        (5, 5, 256, 512),
        (4 * 4 * 512, 1),
    }
    assert made.method.generator_steps == 2
    assert critic_updates(made, 0, 500) == [1, 1]
    holds(
        made,
        data__name="fashion_mnist",
        data__size=64,
        objective="nonsaturating",
        batch_size=64,
        steps=24_000,
        optimizer__name="adam",
        optimizer__learning_rate=2e-4,
        optimizer__beta1=0.5,
        optimizer__beta2=0.999,
        optimizer__warmup=0,
    )


def test_images_of_28_pixels_are_resized_to_64_and_not_padded(tmp_path):
    """A bright border stays at the border, half of an image stays half."""
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 0], images[1, :, 14:] = 255, 255
    np.savez(tmp_path / "train.npz", image=images)
    config = importlib.import_module("configs.gan").get_config("fashion64")
    found = read_arrays(str(tmp_path), config.data.size, config.data.crop).train.images
    assert found.shape == (2, 64, 64, 1)
    assert found[0, 0].min() > 200 and found[0, 4:].max() < 40
    assert found[1, :, :30].max() < 40 and found[1, :, 34:].min() > 215


def test_fabbris_colorizer_is_a_unet_of_256_pixels_and_a_critic_of_patches():
    made = Made("colorize", "published", 3)
    assert made.latent is None
    *stages, image = made.stages()
    assert image == (256, 256, 2)
    encoder = square(
        (128, 64), (64, 128), (32, 256), (16, 512), (8, 512), (4, 512), (2, 512)
    )
    assert stages[:7] == [tuple(encoder[: depth + 1]) for depth in range(7)]
    decoder = square((4, 1024), (8, 1024), (16, 1024), (32, 512), (64, 256), (128, 128))
    assert [images[-1] for images in stages[7:]] == decoder
    for name, shape in kernels(made.generator).items():
        assert shape[:2] == (4, 4), name
    assert [stage.first for stage in made.method.generator.stages[7:-1]] == [
        True,
        *[False] * 5,
    ]
    assert [*kernels(made.critic).values()] == [
        (4, 4, 3, 64),
        (4, 4, 64, 128),
        (4, 4, 128, 256),
        (4, 4, 256, 512),
        (4, 4, 512, 1),
    ]
    assert made.scores() == (2, 32, 32)
    holds(
        made,
        objective="lsgan",
        data__size=256,
        batch_size=32,
        critic_steps=1,
        optimizer__name="adam",
        optimizer__learning_rate=2e-5,
        optimizer__beta1=0.5,
        optimizer__warmup=0,
        reconstruction__name="l1",
        reconstruction__weight=100.0,
    )


CHROMA = (
    "chromagan",
    "chromagan_sum",
    "chromagan_no_class",
    "chromagan_no_adversarial",
)


@pytest.mark.parametrize("name", CHROMA)
@pytest.mark.parametrize("order", ["{},published", "published,{}"])
def test_chromagan_has_its_own_published_size_whatever_the_order(name, order):
    config = importlib.import_module("configs.colorize").get_config(order.format(name))
    assert (config.data.size, config.batch_size) == (224, 10)
    assert config.network.critic_normalisation == "none"
    assert config.network.width == config.network.critic_width == 64
    assert config.optimizer.learning_rate == 2e-5
    assert config.steps == 640_000


def test_chromagan_has_the_published_networks():
    made = Made("colorize", "chromagan,published", 3)
    trunk, seen, coloured = made.stages()
    assert trunk == (28, 28, 512)  # an eighth
    assert seen.features == (28, 28, 256 + 256)  # places, and the image as a whole
    assert seen.logits == coloured.logits == (CLASSES,)
    assert coloured.image == (224, 224, 2)
    found = kernels(made.generator)
    assert {name: shape for name, shape in found.items() if "Dense" in name} == {
        "stages_1/Dense_0/kernel": (7 * 7 * 512, 1024),
        "stages_1/Dense_1/kernel": (1024, 512),
        "stages_1/Dense_2/kernel": (512, 256),
        "stages_1/Dense_3/kernel": (7 * 7 * 512, 4096),
        "stages_1/Dense_4/kernel": (4096, 4096),
        "stages_1/Dense_5/kernel": (4096, CLASSES),
    }
    ends = {
        stage: [
            shape[2:]
            for name, shape in found.items()
            if name.startswith(f"stages_{stage}/") and "Conv" in name
        ]
        for stage in range(3)
    }
    assert ends[0][-1] == (512, 512)
    assert sorted(ends[1]) == sorted([(512, 512)] * 5 + [(512, 256)])
    assert sorted(ends[2]) == sorted(
        [(512, 256), (256, 128), (128, 64), (64, 64), (64, 32), (32, 2)]
    )
    assert [*kernels(made.critic).values()] == [
        (4, 4, 3, 64),
        (4, 4, 64, 128),
        (4, 4, 128, 256),
        (4, 4, 256, 512),
        (4, 4, 512, 1),
    ]
    assert not normalisations(made.critic) and [*made.critic] == ["params"]
    assert made.scores() == (2, 28, 28)  # 784 values
    assert made.method.critic_terms["gradient_penalty"].weight == 10
    assert made.method.adversarial_weight == pytest.approx(0.1 * 255 / 110)
    assert critic_updates(made, 0, 500) == [1, 1]
    assert made.method.generator_steps == 1
    holds(
        made,
        data__size=224,
        batch_size=10,
        optimizer__name="adam",
        optimizer__learning_rate=2e-5,
        optimizer__beta1=0.5,
        optimizer__beta2=0.999,
        optimizer__warmup=0,
        reconstruction__name="l2",
        network__map="sum",
    )


@pytest.mark.parametrize("order", ["inpainting,{}", "{},inpainting"])
def test_collaboration_has_the_settings_of_both_codes_whatever_the_order(order):
    get_config = importlib.import_module("configs.collaborate").get_config
    every = {
        "refinement.rate": 0.1,
        "refinement.steps": 50,
        "refinement.stopping": "best",
        "refinement.momentum": 0.9,
        "refinement.unlikely": "nonsaturating",
        "losses.yeh.prior": 1e-4,
        "search.restarts": 1,
        "masks": "center",
    }
    liu = {"shaping.learning_rate": 1e-5, "shaping.stopping": "probabilistic"}
    mortiniera = {
        "refinement.layer": 3,
        "shaping.learning_rate": 2e-4,
        "shaping.stopping": "best",
        "search.iterations": 1000,
        "search.optimizer.name": "adam",
        "search.optimizer.learning_rate": 0.01,
        "count": 2000,
    }
    for name, own in (("published", liu), ("published64", mortiniera)):
        found = flatten(get_config(order.format(name)))
        wanted = every | own
        assert {key: found[key] for key in wanted} == wanted
