"""The keys of augmentation: names, what does not fit, and runs of older versions."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps.train.run import _groups
from gan_jax.apps.train.setup import prepare
from gan_jax.build import methods, tasks
from gan_jax.build.augmentation import AUTOMATIC, automatic, kinds
from gan_jax.config import defaults
from gan_jax.config.checks import difference, read_config
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data.feed import LabelledImages
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import TrainState, stored
from gan_jax.training.step import initial_state


def config(make=defaults.generation, **values):
    made = make("gan")
    made.update_from_flattened_dict(
        {"data.size": 8, "network.depth": 1, "network.width": 2} | values
    )
    return made


def method(config, channels=1):
    return methods.method(config, tasks.task(config), channels)


@pytest.mark.parametrize(
    "kind, wanted",
    [
        ("none", ()),
        ("color", ("color",)),
        ("color,translation,cutout", ("color", "translation", "cutout")),
        ("cutout, color", ("cutout", "color")),
    ],
)
def test_kinds_are_names_joined_by_commas(kind, wanted):
    assert kinds(config(**{"augment.kind": kind})) == wanted


@pytest.mark.parametrize(
    "kind", ["colour", "", "color,", "none,color", "auto,color", "Cutout"]
)
def test_what_is_no_kind_is_refused_with_those_that_are(kind):
    with pytest.raises(InputError, match=r"augment\.kind.*cutout"):
        kinds(config(**{"augment.kind": kind}))


def test_nothing_is_augmented_or_flipped_before_data_are_known():
    plain = config()
    assert (plain.augment.kind, plain.data.flip) == ("auto", "none")
    made = method(plain)
    assert made.augmentation is None and not made.is_adaptive


@pytest.fixture
def folder(tmp_path):
    """The path of an array file of 60 images."""
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "train.npz", image=images)
    return str(tmp_path)


@pytest.mark.parametrize(
    "make, values, count, wanted",
    [
        (defaults.generation, {}, 60, AUTOMATIC),
        (defaults.generation, {}, 4999, AUTOMATIC),
        (defaults.generation, {}, 5000, "none"),
        (defaults.generation, {"data.path": ""}, 60, "none"),
        (defaults.colorization, {}, 60, "none"),
    ],
)
def test_auto_changes_few_images_of_a_user(folder, make, values, count, wanted):
    made = config(make, **{"data.path": folder} | values)
    assert automatic(made, count) == wanted


def test_detectors_and_colorizers_are_trained_on_images_as_they_are():
    assert defaults.detection("").augment.kind == "none"
    assert defaults.colorization("").augment.kind == "none"


def test_a_run_states_what_auto_stands_for_and_keeps_it(folder, tmp_path, capsys):
    wanted, workdir = (
        config(**{"data.path": folder, "batch_size": 16}),
        tmp_path / "run",
    )
    begun = prepare(wanted, workdir)
    assert begun.config.augment.kind == AUTOMATIC
    assert begun.method.augmentation is not None
    told = capsys.readouterr().out
    assert f"augment.kind=auto: {AUTOMATIC}, because" in told and "60 images" in told
    workdir.mkdir()
    older = {
        key: value
        for key, value in flatten(begun.config).items()
        if key != "augment.kind"
    }
    for kind, named in [(AUTOMATIC, {"augment.kind": AUTOMATIC}), ("none", {})]:
        written = older | named
        (workdir / "config.json").write_text(json.dumps(written))
        assert difference(written, flatten(wanted)) == []
        assert prepare(wanted, workdir).config.augment.kind == kind
    assert "because" not in capsys.readouterr().out


def test_the_colours_that_are_to_be_learnt_are_not_changed():
    colors = config(
        defaults.colorization,
        **{
            "network.generator": "unet",
            "augment.kind": "color",
        },
    )
    with pytest.raises(InputError, match="translation,cutout"):
        method(colors, 3)
    moved = colors.copy_and_resolve_references()
    moved.augment.kind = "translation,cutout"
    assert method(moved, 3).augmentation is not None


def test_an_unknown_flip_is_refused():
    with pytest.raises(InputError, match=r"data\.flip.*horizontal"):
        method(config(**{"data.flip": "vertical"}))


def test_flips_mirror_real_images_and_leave_the_rest_of_the_batch():
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), np.uint8)
    feed = {"real": LabelledImages(jnp.asarray(images), jnp.zeros(200, jnp.int32))}
    shown = method(config(**{"data.flip": "horizontal"})).present(
        jax.random.key(0), feed
    )
    real = np.asarray(shown.real)
    plain = images / np.float32(127.5) - 1
    same = np.isclose(real, plain, atol=1e-6).all(axis=(1, 2, 3))
    mirrored = np.isclose(real, plain[:, :, ::-1], atol=1e-6).all(axis=(1, 2, 3))
    assert (same | mirrored).all() and 0.3 < mirrored.mean() < 0.7


KEYS = ("augment.kind", "augment.target", "augment.ramp", "data.flip")


def test_a_run_of_an_older_version_has_no_augmentation_and_can_be_continued():
    wanted = flatten(config())
    written = {key: value for key, value in wanted.items() if key not in KEYS}
    assert difference(written, wanted) == []
    old = read_config(written, "train")
    assert [old.augment.kind, old.data.flip] == ["none", "none"]
    changed = flatten(config(**{"augment.kind": "cutout", "data.flip": "horizontal"}))
    assert [line.split(":")[0] for line in difference(written, changed)] == [
        "augment.kind",
        "data.flip",
    ]


def blank(made):
    image = jnp.zeros((2, 8, 8, 1), jnp.uint8)
    images = {"real": LabelledImages(image, jnp.zeros(2, jnp.int32))}
    return jax.jit(lambda: initial_state(made, jax.random.key(0), images))()


def test_checkpoints_from_before_the_probability_are_read_and_new_ones_hold_it(
    tmp_path,
):
    before = blank(method(config()))
    assert "augmentation" not in stored(before)
    adaptive = method(config(**{"augment.kind": "cutout", "augment.target": 0.6}))
    after = blank(adaptive)
    half = after.augmentation._replace(probability=jnp.float32(0.5))
    after = after._replace(augmentation=half)
    with Checkpoints(tmp_path / "old") as checkpoints:
        # As older versions saved it: a tuple with these fields alone.
        fields = before._fields[:-1]
        assert fields == tuple(stored(before))
        checkpoints.save(1, stored(before))
    with Checkpoints(tmp_path / "new") as checkpoints:
        checkpoints.save(1, stored(after))
    with Checkpoints(tmp_path / "old") as checkpoints:
        restored = TrainState(**checkpoints.restore(stored(before)))
    assert restored.augmentation is None
    with Checkpoints(tmp_path / "new") as checkpoints:
        restored = TrainState(**checkpoints.restore(stored(blank(adaptive))))
    assert restored.augmentation.probability == 0.5


def test_runs_with_validation_images_of_their_own_are_trained_one_by_one():
    """One program has one set of frozen arrays."""
    state = blank(method(config()))
    dense = {"dense": jnp.zeros((2, 2))}
    player = state.critic._replace(parameters=dense)
    states = [state._replace(generator=player, critic=player)] * 2
    assert _groups(states) == [[0, 1]]
    assert _groups(states, alone=True) == [[0], [1]]
