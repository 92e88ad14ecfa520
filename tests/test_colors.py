"""The task of colorization: what its networks see, its terms, its teacher."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import configs.colorize as configs_of_colorize
from gan_jax.build import methods, tasks
from gan_jax.config.errors import InputError
from gan_jax.data import color
from gan_jax.data.datasets import embedded
from gan_jax.data.feed import LabelledImages
from gan_jax.networks import chroma, classifier, unet
from gan_jax.networks import constant as blind
from gan_jax.networks.compilation import run_once
from gan_jax.networks.stages import image_of
from gan_jax.tasks import colors
from gan_jax.training.method import Batch
from gan_jax.training.state import Player
from gan_jax.training.step import initial_state, make_step
from gan_jax.training.updates import critic_update, generator_update
from tests.weights import first_weights

CLASSES = 3


def made(variant, **values):
    config = configs_of_colorize.get_config(f"smoke,{variant}")
    config.update_from_flattened_dict({"network.width": 4, "batch_size": 4, **values})
    return config


def batch(count=4, size=32):
    images = embedded.photos(size, count).train.images
    return {"real": LabelledImages(images, np.zeros(count, np.int32))}


def fixed(network, variables):
    """Return a trained network as a compiled function."""
    apply = jax.jit(network.apply, static_argnames=("start", "stop"))
    return functools.partial(apply, variables)


def lightness(count=4, size=32, seed=0):
    shape = (count, size, size, 1)
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0)


@pytest.fixture(scope="module")
def translator():
    """Return a U-Net, its variables and what it is given."""
    network = unet.generator(32, 2, width=4, depth=4)
    given = lightness()
    return network, jax.jit(network.init)(jax.random.key(1), None, given), given


def test_a_unet_is_the_same_through_every_door(translator):
    network, variables, given = translator
    run = fixed(network, variables)
    whole = run(None, given)
    assert whole.shape == (4, 32, 32, 2)
    assert float(jnp.abs(whole).max()) < 1
    for door in range(1, 8):
        again = run(run(None, given, stop=door), given, start=door)
        np.testing.assert_allclose(again, whole, atol=1e-6)


def test_a_unets_latent_and_condition_both_reach_the_image():
    network = unet.generator(32, 1, width=4, depth=4)
    one, other = jax.random.normal(jax.random.key(2), (2, 4, 8))
    variables = first_weights(network, jax.random.key(1), one, lightness())
    run = fixed(network, variables)
    image = run(one, lightness())
    assert image.shape == (4, 32, 32, 1)
    assert bool((run(one, lightness()) == image).all())
    for changed in (run(other, lightness()), run(one, lightness(seed=1))):
        assert float(jnp.abs(changed - image).max(axis=(1, 2, 3)).min()) > 1e-3


@pytest.mark.parametrize(("size", "depth"), [(64, 5), (48, 3), (256, 7)])
def test_a_unet_of_any_size(size, depth):
    network = unet.generator(size, 2, width=4, depth=depth)
    made, variables = jax.eval_shape(
        network.init_with_output, jax.random.key(1), None, lightness(1, size)
    )
    assert made.shape == (1, size, size, 2)
    kernels = [
        leaf.shape for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim == 4
    ]
    assert max(max(shape[2:]) for shape in kernels) <= 2 * 8 * 4  # joined with a skip


def test_a_unet_drops_values_while_it_trains_alone(translator):
    network, variables, given = translator
    run = jax.jit(functools.partial(network.apply, train=True, mutable=["batch_stats"]))

    def training(seed):
        return run(variables, None, given, rngs={"dropout": jax.random.key(seed)})[0]

    np.testing.assert_array_equal(training(0), training(0))
    assert float(jnp.abs(training(0) - training(1)).max()) > 0
    calm = fixed(network, variables)
    np.testing.assert_array_equal(calm(None, given), calm(None, given))


def test_a_unet_passes_detail_around_its_narrowest_place(translator):
    """A pixel's own lightness reaches its colour: skips at full use."""
    run = fixed(*translator[:2])
    slope = jax.jit(jax.grad(lambda given: run(None, given)[0, 16, 16].sum()))
    change = slope(translator[2])[0, ..., 0]
    near = float(jnp.abs(change[14:19, 14:19]).mean())
    assert near > 3 * float(jnp.abs(change).mean())


@pytest.fixture(scope="module")
def namer():
    """Return ChromaGAN's generator, its variables and what it is given."""
    network = chroma.generator(32, 2, CLASSES, width=2)
    given = lightness(2)
    return network, jax.jit(network.init)(jax.random.key(1), None, given), given


def test_chromagans_generator_colours_and_names(namer):
    network, variables, given = namer
    run = fixed(network, variables)
    whole = run(None, given)
    assert whole.image.shape == (2, 32, 32, 2)
    assert whole.logits.shape == (2, CLASSES)
    assert image_of(whole) is whole.image
    for door in (1, 2):
        again = run(run(None, given, stop=door), given, start=door)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, atol=1e-6), again, whole
        )


def test_chromagans_generator_need_not_name():
    mute = chroma.generator(64, 2, 0, width=2)
    made, _ = jax.eval_shape(
        mute.init_with_output, jax.random.key(1), None, lightness(2, 64)
    )
    assert made.image.shape == (2, 64, 64, 2) and made.logits.shape == (2, 0)


def test_chromagans_generator_sees_the_whole_image(namer):
    """A far corner changes a colour, through the branch that looks at everything."""
    run = fixed(*namer[:2])
    slope = jax.jit(jax.grad(lambda given: run(None, given).image[0, 0, 0].sum()))
    assert float(jnp.abs(slope(namer[2])[0, -4:, -4:]).max()) > 0


def test_a_size_that_chromagan_cannot_halve_is_refused():
    with pytest.raises(InputError, match="multiple of 32"):
        chroma.generator(48, 2)


def test_a_blind_critic_teaches_nothing():
    critic = blind.Critic()
    images = jax.random.normal(jax.random.key(0), (3, 8, 8, 2))
    variables = first_weights(critic, jax.random.key(1), images)
    assert critic.apply(variables, images).tolist() == [0, 0, 0]


def test_networks_see_lightness_and_the_critic_colours():
    config = made("lsgan")
    this = methods.method(config, tasks.task(config), 3)
    example = this.present(jax.random.key(0), batch())
    assert example.real.shape == (4, 32, 32, 2)
    assert example.condition.shape == (4, 32, 32, 1)
    # Mirrored or not, what comes back is one of the two.
    images = color.merge(example.condition, example.real)
    given = batch()["real"].image / 127.5 - 1
    for image, one in zip(images, given, strict=True):
        errors = [np.abs(image - side).max() for side in (one, one[:, ::-1])]
        assert min(errors) < 1e-3


def test_the_mirror_is_drawn_by_lot():
    images = np.concatenate([batch()["real"].image] * 16)
    many = {"real": LabelledImages(images, np.zeros(64, np.int32))}
    example = colors.present(jax.random.key(0), many)
    same = np.asarray(color.split(images / 127.5 - 1)[0])
    mirrored = np.abs(np.asarray(example.condition) - same).max(axis=(1, 2, 3)) > 1e-3
    assert 15 < mirrored.sum() < 49


METHODS = (
    "gan",
    "lsgan",
    "ebgan",
    "wgan",
    "wgan_gp",
    "regression",
    "chromagan",
    "chromagan_sum",
    "chromagan_no_class",
    "chromagan_no_adversarial",
)


def stepping(variant, **values):
    """Return a step of a method, and what it is called with."""
    config = made(variant, **values)
    classes = CLASSES if config.class_weight else 0
    this = methods.method(config, tasks.task(config), 3, classes)
    state = jax.jit(lambda: initial_state(this, jax.random.key(0), batch()))
    frozen = None
    if classes:
        teacher = classifier.Classifier(classes, 4, 8)
        grey = jnp.zeros((1, 32, 32, 1))
        frozen = {colors.TEACHER: jax.jit(teacher.init)(jax.random.key(5), grey)}
    return make_step(this, lambda arrays, at: arrays), state, frozen


@pytest.mark.parametrize("variant", METHODS)
def test_every_method_has_its_terms(variant):
    step, state, frozen = stepping(variant)
    _, log = jax.eval_shape(step, jax.eval_shape(state), batch(), frozen)
    terms = {name for name in log.values if name.startswith("generator/")}
    wanted = {"generator/adversarial", "generator/loss", "generator/reconstruction"}
    if variant in ("chromagan", "chromagan_sum", "chromagan_no_adversarial"):
        wanted |= {"generator/class_distribution"}
    assert terms == wanted
    assert ("critic/gradient_penalty" in log.values) == (
        variant in ("wgan_gp", "chromagan", "chromagan_sum", "chromagan_no_class")
    )


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["chromagan", "ebgan", "wgan_gp"])
def test_hints_go_with_every_method(variant):
    """Critic and teacher see the lightness alone."""
    step, state, frozen = stepping(f"hints,{variant}")
    _, log = jax.eval_shape(step, jax.eval_shape(state), batch(), frozen)
    plain, plain_state, _ = stepping(variant)
    _, wanted = jax.eval_shape(plain, jax.eval_shape(plain_state), batch(), frozen)
    assert log.values.keys() == wanted.values.keys()
    critics = [jax.eval_shape(each).critic for each in (state, plain_state)]
    shapes = [[leaf.shape for leaf in jax.tree.leaves(each)] for each in critics]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        ({"data.size": 32, "network.critic_depth": 3}, 0.2318 / 16),
        ({"data.size": 32, "network.critic_depth": 2}, 0.2318 / 64),
        ({"data.size": 224, "network.critic_depth": 3}, 0.2318 / 784),
    ],
)
def test_chromagans_weight_follows_the_size_of_the_map(values, weight):
    """The published 0.1 belongs to the sum of the map, and to ab over 255."""
    for variant, wanted in (("chromagan", weight), ("chromagan_sum", 0.2318)):
        config = made(variant, **values)
        this = methods.method(config, tasks.task(config), 3, CLASSES)
        assert this.adversarial_weight == pytest.approx(wanted, rel=1e-3)
        shown = jnp.zeros((1, config.data.size, config.data.size, 2))
        given = shown[..., :1]
        scores, _ = jax.eval_shape(
            this.critic.init_with_output, jax.random.key(0), shown, given
        )
        assert scores.shape[1] ** 2 == round(0.2318 / weight)


def test_only_a_gradient_penalty_makes_two_readings_of_a_weight():
    for variant in ("lsgan", "wgan"):
        config = made(variant, **{"network.map": "sum"})
        this = methods.method(config, tasks.task(config), 3)
        assert this.adversarial_weight == 1


def penalised_play(variant):
    """Return a recipe, a critic of it in training, and random images with fakes."""
    config = made(variant)
    this = methods.method(config, tasks.task(config), 3, CLASSES)
    this = this._replace(critic_optimizer=optax.sgd(0.0))
    keys = jax.random.split(jax.random.key(3), 4)
    real, fake = (
        jax.random.uniform(key, (4, 32, 32, 2), minval=-1.0) for key in keys[:2]
    )
    given = lightness()
    parameters = first_weights(this.critic, keys[2], real, given)["params"]
    player = Player(parameters, {}, this.critic_optimizer.init(parameters))
    return this, player, Batch(real, given, given), fake, keys[3]


def test_chromagans_critic_minimises_the_published_loss():
    """(1/N) [W + 10 N (slope - 1)^2]: W and the slope are those of the map's sum."""
    this, player, example, fake, key = penalised_play("chromagan_sum")
    weights = {
        name: jnp.float32(term.weight) for name, term in this.critic_terms.items()
    }
    update = jax.jit(functools.partial(critic_update, this))
    _, log = update(player, weights, example, fake, key)

    def total(images):
        given = example.real_condition
        scores = this.critic.apply({"params": player.parameters}, images, given)
        return scores.sum(axis=(1, 2))

    @jax.jit
    def published(real, fake):
        count = 8 * 8
        distance = total(fake) - total(real)
        shares = jax.random.uniform(key, (4, 1, 1, 1))
        between = shares * real + (1 - shares) * fake
        change = jax.grad(lambda images: total(images).sum())(between)
        slopes = jnp.sqrt(jnp.square(change).sum((1, 2, 3)))
        return (distance + 10 * count * jnp.square(slopes - 1)).mean() / count

    wanted = float(published(example.real, fake))
    assert float(log.values["critic/loss"]) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.slow
def test_a_critic_and_its_n_fold_lead_the_generator_alike():
    """Under the mean a critic of slope 1 is N times the one of the sum."""
    count, updated = 8 * 8, []
    for variant, fold in (("chromagan_sum", 1.0), ("chromagan", float(count))):
        values = {"class_weight": 0.0, "reconstruction.weight": 0.0}
        config = made(variant, **values, **{"network.generator": "unet"})
        this = methods.method(config, tasks.task(config), 3)
        this = this._replace(generator_optimizer=optax.sgd(1.0))
        start = functools.partial(initial_state, this)
        state = run_once(start, jax.random.key(0), batch())
        # The last layer of a critic is linear: its fold is that of the scores.
        parameters = dict(state.critic.parameters)
        last = max(parameters, key=lambda name: int(name.split("_")[-1]))
        parameters[last] = optax.tree.scale(fold, parameters[last])
        critic = state.critic._replace(parameters=parameters)
        weights = state.weights["generator"]
        example = this.present(jax.random.key(1), batch())
        update = jax.jit(functools.partial(generator_update, this))
        generator, _ = update(
            state.generator, critic, weights, example, jax.random.key(2)
        )
        updated.append((generator.parameters, state.generator.parameters))
    moves = [jax.tree.map(jnp.subtract, *pair) for pair in updated]
    lengths = [float(optax.tree.norm(move)) for move in moves]
    assert min(lengths) > 0
    for one, other in zip(*map(jax.tree.leaves, moves), strict=True):
        np.testing.assert_allclose(
            one / lengths[0], other / lengths[1], rtol=1e-3, atol=1e-6
        )
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-3)


def test_a_teachers_classifier_is_known_by_its_weights():
    module = classifier.Classifier(7, 8, 16)
    variables = jax.eval_shape(
        module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1))
    )
    assert classifier.classifier_for(variables) == module
    classifier.check_image_shape(variables, (32, 32, 1))
    for shape in ((64, 64, 1), (32, 32, 3)):
        with pytest.raises(InputError, match="does not accept"):
            classifier.check_image_shape(variables, shape)
    with pytest.raises(InputError, match="not the weights of a classifier"):
        classifier.classifier_for({"params": {"Dense_0": 3}})


@pytest.mark.parametrize(
    ("variant", "values", "reason"),
    [
        ("lsgan", {"network.generator": "dcgan"}, "start from a condition"),
        ("lsgan", {"latent.prior": "normal"}, "start from a condition"),
        ("lsgan", {"class_weight": 1.0}, "network.generator=chroma"),
        ("lsgan", {"reconstruction.name": "l3"}, "known: l1, l2"),
        ("wgan_gp", {"network.map": "median"}, "known: mean, sum"),
        ("wgan_gp", {"adversarial_map": "median"}, "known: mean, sum"),
        ("wgan_gp", {"network.critic_normalisation": "batch"}, "sees each image alone"),
    ],
)
def test_what_would_mean_nothing_is_refused(variant, values, reason):
    config = made(variant, **values)
    with pytest.raises(InputError, match=reason):
        methods.method(config, tasks.task(config), 3)


def test_grey_data_have_no_colours():
    config = made("lsgan")
    with pytest.raises(InputError, match="learns from colour images"):
        methods.method(config, tasks.task(config), 1)


def test_plain_baselines_have_the_lightness_of_the_truth():
    config = made("lsgan")
    task = tasks.task(config)
    part = {"real": embedded.photos(32, 30).train}
    asked = task.ask(part, jax.random.key(0), 100)
    assert len(asked.truth) == 30  # each once
    truth, _ = color.split(asked.truth)
    for name, make in task.evaluation.baselines.items():
        images = make(asked, part)
        light, ab = color.split(images)
        assert float(jnp.abs(light - truth).max()) < 1e-2
        scores = {
            key: measure(images, asked)
            for key, measure in task.evaluation.measures.items()
        }
        assert scores["psnr"] > 10 and 0 < scores["ssim"] <= 1
        if name == "grey":
            assert scores["colourfulness"] < 0.1
            assert float(jnp.abs(ab).max()) < 1e-3
    exact = {
        key: measure(asked.truth, asked)
        for key, measure in task.evaluation.measures.items()
    }
    assert exact["ssim"] == pytest.approx(1) and exact["ab_error"] == 0
    assert exact["colourfulness"] == exact["colourfulness_real"]
