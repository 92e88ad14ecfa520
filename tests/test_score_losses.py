"""What completions and refinements minimise, by the names in the configs."""

import json
import runpy
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.build import datasets, methods, searches
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.data.feed import read, to_float
from gan_jax.losses import inpainting
from gan_jax.runs.prior import open_prior
from gan_jax.search.collaboration import standard
from gan_jax.search.completion import completion_loss
from gan_jax.search.observation import Observation
from tests.programs import run, summary

LOSSES = runpy.run_path("configs/inpaint.py")["LOSSES"]
SHAPE = (12, 12, 3)
NONE = np.nan  # what real images score is read by paired objectives alone


def prior(objective, critic="dcgan"):
    config = defaults.generation("prior")
    config.objective, config.network.critic = objective, critic
    return config


def problem(seed=0):
    """Return a random image, a random hole of about 80%, and the image's known part."""
    keys = jax.random.split(jax.random.key(seed), 3)
    image, truth = (jax.random.uniform(key, SHAPE, minval=-1.0) for key in keys[:2])
    mask = (jax.random.uniform(keys[2], (*SHAPE[:2], 1)) < 0.2).astype(jnp.float32)
    return image, truth, mask


def critic(image):
    """Return a score in which every value counts differently."""
    weights = jnp.sin(jnp.arange(image.size, dtype=jnp.float32)).reshape(image.shape)
    return jnp.tanh(weights * image + 0.3 * image**2).sum()


def loss_by_name(name, config, image, truth, mask):
    settings = ConfigDict(dict(LOSSES[name]))
    terms = searches.terms(config, settings, f"losses.{name}", NONE)
    loss = completion_loss(
        lambda latent: latent.reshape(SHAPE), critic, lambda image: image, terms
    )
    weights = inpainting.WEIGHTS[settings.weights](mask)
    return loss(image.reshape(-1), Observation(truth, mask, weights))[0]


def test_coopers_loss_is_the_critic_of_the_composite_alone():
    """L(z) = -f(M x + (1 - M) G(z)): document 001, section 2.3."""
    image, truth, mask = problem()
    found = loss_by_name("cooper", prior("wgan"), image, truth, mask)
    wanted = -critic(mask * truth + (1 - mask) * image)
    assert float(found) == pytest.approx(float(wanted), abs=1e-6)


def test_coopers_loss_does_not_see_known_pixels_of_the_generated_image():
    image, truth, mask = problem()
    other = jnp.where(mask > 0, image + 7, image)
    values = [
        loss_by_name("cooper", prior("wgan"), one, truth, mask)
        for one in (image, other)
    ]
    assert values[0] == values[1]
    elsewhere = loss_by_name("cooper", prior("wgan"), image + 0.1, truth, mask)
    assert elsewhere != values[0]


def test_coopers_other_arm_is_yehs_loss_with_the_critic():
    """sum of M |G - y|, minus f(G); lambda and W are 1 (equations 3, 5 and 6)."""
    image, truth, mask = problem(1)
    found = loss_by_name("cooper_yeh", prior("wgan"), image, truth, mask)
    wanted = (mask * jnp.abs(image - truth)).sum() - critic(image)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def test_yehs_and_ballesters_losses():
    image, truth, mask = problem(2)
    near = inpainting.near_weights(mask)
    context = (near * jnp.abs(image - truth)).sum()
    gradient = inpainting.gradient_loss(image, truth, mask, near)
    score = critic(image)
    for objective, price in (
        ("nonsaturating", jax.nn.softplus(-score)),
        ("minimax", -jax.nn.softplus(score)),
        ("wgan", -score),
    ):
        yeh = loss_by_name("yeh", prior(objective), image, truth, mask)
        assert float(yeh) == pytest.approx(float(context + 0.003 * price), rel=1e-6)
        ballester = loss_by_name("ballester", prior(objective), image, truth, mask)
        wanted = 0.1 * context + 0.9 * gradient + 0.5 * price
        assert float(ballester) == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_wants_likely_images_under_every_critic(name):
    """An unlikely image costs more: a low score, or a high energy."""
    settings = ConfigDict(dict(LOSSES[name]))
    likely, unlikely = jnp.array([1.0]), jnp.array([0.1])
    for objective in methods.OBJECTIVES:
        energies = objective == "ebgan"
        config = prior(objective, "autoencoder" if energies else "dcgan")
        loss = searches.terms(config, settings, name, 1.0).score_loss
        costs = [loss(score, jnp.ones(1)) for score in (likely, unlikely)]
        assert (costs[0] < costs[1]) != energies, (objective, costs)


@pytest.mark.parametrize("name", ["saturating", "nonsaturating", "score"])
@pytest.mark.parametrize("key", ["losses.yeh.unlikely", "refinement.unlikely"])
def test_energies_take_no_form_of_scores(name, key):
    config = prior("ebgan", "autoencoder")
    with pytest.raises(InputError, match=f"{key}={name} does not fit .* energies"):
        searches.score_loss(config, key, name)
    energies = jnp.array([0.1, 1.0])
    for fits in ("trained", "energy"):
        found = searches.score_loss(config, key, fits)(energies, energies)
        np.testing.assert_array_equal(found, energies)


def test_a_loss_of_nothing_is_refused():
    settings = ConfigDict({**LOSSES["cooper"], "prior": 0.0})
    with pytest.raises(InputError, match=r"losses\.cooper has no addend left"):
        searches.terms(prior("wgan"), settings, "losses.cooper", NONE)


def test_a_search_is_checked_before_anything_is_trained():
    config = defaults.detection("detect")
    config.objective, config.network.critic = "ebgan", "autoencoder"
    for key, value in (("unlikely", "saturating"), ("weights", "so")):
        settings = ConfigDict({**defaults.COMPLETION, key: value})
        with pytest.raises(InputError, match=f"reconstruction.{key}"):
            searches.check(config.search, settings, config, "reconstruction")
    searches.check(config.search, config.reconstruction, config, "reconstruction")


def test_scores_are_no_energies():
    with pytest.raises(InputError, match="gives scores"):
        searches.score_loss(prior("wgan"), "losses.yeh.unlikely", "energy")


def test_a_paired_critic_is_compared_with_real_images():
    """softplus(-(D(G) - D_real)), whatever constant the critic has."""
    score, real = jnp.array([1.5]), jnp.array([4.0])
    wanted = np.log1p(np.exp(2.5))
    for name in ("trained", "nonsaturating"):
        loss = searches.score_loss(prior("relativistic"), "key", name)
        assert float(loss(score, real)[0]) == pytest.approx(wanted)
        assert float(loss(score + 9, real + 9)[0]) == pytest.approx(wanted)
        # Whoever forgets the real score is told so by the result.
        assert np.isnan(inpainting.score_cost(loss, score, np.nan))
    found = standard(loss, jnp.array([3.0, 4.0, 9.0]))
    assert float(found.score) == 4 and float(found.cost) == pytest.approx(np.log(2))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """Return a run that has kept its real score: a trained one."""
    workdir = tmp_path_factory.mktemp("paired")
    flags = (
        "--config.steps=3",
        "--config.evaluation.every=0",
        "--config.evaluation.final_count=100",
        "--config.evaluation.classifier.epochs=0",
    )
    finished = run(workdir, *flags, config="--config=configs/r3gan.py:smoke")
    assert finished.returncode == 0, finished.stderr
    return workdir


def test_the_real_score_is_kept_with_a_run_or_measured_when_it_is_opened(paired):
    opened = open_prior(str(paired), "")
    images = datasets.parts(opened.config)["validation"]["real"]
    real = to_float(read(images, np.arange(len(images))).image)
    scores = opened.method.critic.apply(opened.networks.critic, real)
    median = float(np.median(scores))
    assert opened.real_score == pytest.approx(median, rel=1e-5, abs=1e-6)
    path = paired / "summary.json"
    written = json.loads(path.read_text())
    assert written.pop("real_score") == opened.real_score
    path.write_text(json.dumps(written))
    assert open_prior(str(paired), "").real_score == opened.real_score


def test_a_paired_prior_without_its_data_is_opened_and_not_searched(paired, tmp_path):
    """Who exports it needs no median; who searches is told what is missing."""
    moved = tmp_path / "moved"
    shutil.copytree(paired, moved)
    for name, change in (
        ("config.json", lambda one: one | {"data.path": "gone", "data.name": "folder"}),
        ("summary.json", lambda one: one | {"real_score": None}),
    ):
        path = moved / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
    opened = open_prior(str(moved), "")
    assert np.isnan(opened.real_score)
    config = defaults.inpainting("inpaint")
    settings = ConfigDict(dict(LOSSES["yeh"]))
    with pytest.raises(InputError, match="has not kept the median score"):
        LatentSearch(config, opened, settings, "losses.yeh")


@pytest.mark.slow
def test_a_paired_prior_completes_images(paired, tmp_path):
    config = "--config=configs/inpaint.py:yeh,cooper,cooper_yeh,smoke"
    finished = run(tmp_path, f"--config.prior={paired}", config=config)
    assert finished.returncode == 0, finished.stderr
    metrics = summary(tmp_path)["metrics"]
    for loss in ("yeh", "cooper", "cooper_yeh"):
        assert np.isfinite(metrics[f"center/{loss}/psnr_hole"])
