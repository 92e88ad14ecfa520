"""The benchmarks' peers are our networks: as many parameters, the same outputs."""

import importlib.util

import jax
import numpy as np
import pytest

from gan_jax.build import methods, tasks
from gan_jax.data.masks import known, random_pixels
from launch.benchmark import searches, steps
from tests.weights import first_weights

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed; only the benchmark compares with it",
)


SETTINGS = {
    **{
        name: (steps.row_config(row), row.channels)
        for name, row in steps.ROWS.items()
        if row.config != "colorize"
    },
    **{
        name: (searches.row_config(changes), 1)
        for name, changes in searches.ROWS.items()
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_our_weights_in_the_peers_give_our_outputs(name):
    import torch

    from launch.benchmark import peer_networks

    config, channels = SETTINGS[name]
    size = config.data.size
    ours = methods.method(config, tasks.task(config), channels)
    keys = jax.random.split(jax.random.key(0), 5)
    images = jax.random.uniform(keys[0], (4, size, size, channels), minval=-1.0)
    condition = (
        known(images, random_pixels(keys[1], 4, size, 3))
        if config.task == "pixels"
        else None
    )
    latent = ours.latent(keys[2], 4)
    variables = {
        "generator": first_weights(
            ours.generator, keys[3], latent, condition, train=True
        ),
        "critic": first_weights(ours.critic, keys[4], images, condition, train=True),
    }
    parameters = {name: tree["params"] for name, tree in variables.items()}

    generator, critic = peer_networks.networks(config, channels)
    peer_networks.parameters_from(generator, critic, parameters)
    for network, player in ((generator, "generator"), (critic, "critic")):
        count = sum(leaf.size for leaf in jax.tree.leaves(parameters[player]))
        assert count == sum(weight.numel() for weight in network.parameters())

    def mirrored(array):
        array = np.asarray(array)[:, ::-1, ::-1].transpose(0, 3, 1, 2)
        return torch.from_numpy(array.copy())

    painted, _ = ours.generator.apply(
        variables["generator"], latent, condition, train=True, mutable=["batch_stats"]
    )
    scores, _ = ours.critic.apply(
        variables["critic"], images, condition, train=True, mutable=["batch_stats"]
    )
    with torch.no_grad():
        maps = condition and torch.cat([mirrored(leaf) for leaf in condition], dim=1)
        theirs = generator(torch.from_numpy(np.array(latent)), maps)
        their_scores = critic(mirrored(images))
    np.testing.assert_allclose(theirs, mirrored(painted), atol=1e-4)
    np.testing.assert_allclose(their_scores, scores, atol=1e-4)


def test_a_peer_searches_latents_that_explain_what_is_known():
    from launch.benchmark import peers

    config = searches.row_config(
        {"data.size": 8, "network.depth": 1, "network.width": 8}
    )
    random = np.random.default_rng(0)
    known = random.uniform(-0.2, 0.2, (3, 8, 8, 1)).astype(np.float32)
    mask = (random.uniform(size=known.shape) < 0.5).astype(np.float32)
    first, later = (
        peers.make_search(config, known, mask, mask, 0.05, 0.003, iterations)()
        for iterations in (1, 60)
    )
    assert later[0].shape == (3,) and later[1].shape == (3, 100)
    assert (later[0] < first[0]).all()


def test_a_peer_trains_under_every_objective():
    from launch.benchmark import peers

    small = {
        "data.size": 8,
        "network.depth": 1,
        "network.width": 4,
        "network.critic_width": 4,
        "batch_size": 4,
    }
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8)
    for name in ("pixelcgan_28", "dcgan_28", "wgan_gp_28"):
        config = steps.row_config(steps.ROWS[name])
        config.update_from_flattened_dict(small)
        step = peers.make_step(config, images)
        assert all(np.isfinite(float(step())) for _ in range(3))
    with pytest.raises(ValueError, match="twice"):
        peers.make_step(config, images, compiled=True)
