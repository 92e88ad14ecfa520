"""Numbers that are too large: refused before anything is allocated or written."""

import re
import time

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from gan_jax.apps.generate.memory import demands
from gan_jax.apps.generate.prior import Source, chunk_of
from gan_jax.apps.programs import program_of
from gan_jax.apps.study.arms import study_arms
from gan_jax.apps.train.memory import training_demands
from gan_jax.build import methods, searches, tasks
from gan_jax.config import schema
from gan_jax.config.checks import check_numbers
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import GIB, WORD, Size
from gan_jax.config.sweeps import losses_of
from gan_jax.data.datasets.dataset import ArraySource, Dataset, LazySource
from gan_jax.data.grids.units import LEVELS
from gan_jax.data.holes import squares
from gan_jax.runs import memory
from gan_jax.runs import workdir as workdirs
from gan_jax.runs.memory import (
    Demand,
    bytes_of,
    check_memory,
    in_words,
    network_sizes,
)
from gan_jax.runs.prior import blank_state
from tests.runs import kept, smoke

SECONDS = 5
EXPERIMENTS = {
    "gan": "train",
    "pixelcgan": "train",
    "colorize": "colorize",
    "compare_objectives": "study",
    "detect": "detect",
    "inpaint": "inpaint",
    "collaborate": "collaborate",
}


def counts(name):
    keys = flatten(smoke(name))
    program = EXPERIMENTS[name]
    return [key for key in keys if schema.find(key, program).limits.most == WORD]


COUNTS = [
    (name, key)
    for name in EXPERIMENTS
    for key in counts(name)
    if name == "gan" or key not in counts("gan")  # all train in the same way
    if not re.match(r"arms\.(?!ebgan)", key)
]
NEVER = {
    "augment.ramp",
    "critic_boost.every",
    "checkpoint_every",
    "evaluation.every",
    "log_every",
    "sample_every",
    "history.every",
    "optimizer.warmup",
    "optimizer.stair",
    "patience",
    "shaping.log_every",
    "shaping.checkpoint_every",
}
"""Something that is due after so many steps, or never."""
TIME = {
    "critic_boost.first",
    "evaluation.classifier.epochs",
    "teacher.classifier.epochs",
    "detector.steps",
    "detector.every",
    "detector.patience",
    "length",
}
"""More of the same."""
BOUND = {"count", "shaping.images", "baselines.searched", "along", "completions"} | {
    "refinement.slots",  # of as many as there are samples
    "data.crop",  # files are read, and none is as large
    "data.layer",  # of a training image, and there is none
    "critic_boost.steps",  # of boosted steps, of which there are none
    "network.hidden",  # of another network
    "network.code",
    "teacher.classifier.width",  # of a teacher, and there is none
    "teacher.classifier.features",
}
"""Bound by what there is: images, restarts, networks of another kind."""


class Passed(Exception):  # noqa: N818 - it ends what is no test's business
    """All checks were passed."""


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    kept(folder, smoke("gan"))
    return str(folder)


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Return a function that checks a config as its program does before it writes."""
    place = tmp_path / "run"

    def stop():
        raise Passed

    def check(config):
        program = program_of(config)
        began = time.process_time()
        monkeypatch.setattr(workdirs, "is_main", stop)
        try:
            check_numbers(config)
            program(config, place)
        finally:
            assert time.process_time() - began < SECONDS
            assert not place.exists()

    return check


@pytest.mark.slow
@pytest.mark.parametrize("name, key", COUNTS)
def test_the_largest_number_is_refused_or_harmless(name, key, prior, check):
    config = smoke(name, **{key: WORD})
    if name in ("inpaint", "collaborate"):
        config.prior = prior
    if name == "collaborate" and key.startswith("search."):
        config.masks = "center"  # samples are not searched
    if key.startswith("critic_boost."):
        config.critic_boost.steps = config.critic_boost.steps or 1
    if key.startswith("simulated_hints."):
        config.simulated_hints.mean = 7.0
    with pytest.raises((InputError, Passed)) as found:
        check(config)
    short = re.sub(r"^(shared|search|arms\.\w+)\.", "", key)
    assert found.type is InputError or short in NEVER | TIME | BOUND


@pytest.mark.parametrize(
    "name, key, value",
    [
        ("gan", "network.width", 10**8),
        ("gan", "network.width", 20_000),
        ("gan", "network.critic_width", WORD),
        ("gan", "network.kernel", 100_000),
        ("gan", "latent.size", 2**30),
        ("gan", "data.size", 100_000),
        ("gan", "evaluation.final_count", 10**9),
        ("gan", "evaluation.classifier.features", 10**9),
        ("compare_objectives", "seeds", 10**9),
        ("compare_objectives", "shared.network.width", 10**6),
    ],
)
def test_a_number_is_refused_by_its_key(name, key, value, check):
    config = smoke(name, **{key: value})
    with pytest.raises(InputError, match=rf"--config\.{key}\b"):
        check(config)


@pytest.mark.parametrize(
    "name, key, value",
    [
        ("inpaint", "search.restarts", 10**9),
        ("inpaint", "search.iterations", WORD),
        ("inpaint", "search.slots", 10**9),
        ("collaborate", "count", WORD),
        ("collaborate", "refinement.steps", WORD),
        ("collaborate", "acceptance.proposals", 10**9),
        ("collaborate", "shaping.batch_size", WORD),
    ],
)
def test_a_number_of_a_search_is_refused_by_its_key(name, key, value, prior, check):
    with pytest.raises(InputError, match=rf"--config\.{key}\b"):
        check(smoke(name, prior=prior, **{key: value}))


@pytest.mark.parametrize("kind", ["batch", "layer", "spectral", "none"])
def test_the_sizes_of_networks_are_those_of_their_arrays(kind):
    config = smoke("gan", **{"network.critic_normalisation": kind})
    task = tasks.task(config)
    method = methods.method(config, task, 1)
    state = jax.eval_shape(lambda: blank_state(config, task, method, 1))
    sizes = network_sizes(config, task, method, 1)
    assert sizes.state == bytes_of((state.generator, state.critic, state.average))
    images = 28 * 28 * 4
    assert min(sizes.generator, sizes.critic) > images


def demanding(*demands, **values):
    config = ConfigDict({"program": "train", "steps": 10, "batch_size": 640, **values})
    check_memory(config, demands)


def test_the_memory_is_named_with_the_key_that_is_farthest_above_its_default():
    batch = Demand(3 * GIB, "a batch", ["steps", "batch_size"])
    demanding(batch, memory=4.0)
    with pytest.raises(InputError) as error:
        demanding(batch, Demand(GIB, "the steps", ["steps"]), memory=4.0)
    assert str(error.value) == (
        "batch_size is 640, and the run needs about 4.75 GiB of memory, 3 GiB of it "
        "for a batch; memory gives it 4 GiB: lower --config.batch_size, or allow more "
        "with --config.memory, in GiB"
    )
    often = Demand(9 * GIB, "snapshots", ["steps", "batch_size"], remedy="raise")
    with pytest.raises(InputError, match=r"raise --config\.steps, or"):
        demanding(often, memory=4.0)


@pytest.mark.parametrize(
    ("size", "batch", "blamed"),
    [("48x96", 6400, "batch_size"), ("480x960", 640, "data.size"), (28, 65, "batch_")],
)
def test_an_oblong_size_is_weighed_as_a_square_of_its_pixels(size, batch, blamed):
    demand = Demand(9 * GIB, "a batch", ["batch_size", "data.size"])
    values = {"batch_size": batch, "data": {"size": size}}
    with pytest.raises(InputError) as error:
        demanding(demand, memory=4.0, **values)
    assert str(error.value).startswith(blamed)
    assert f"lower --config.{blamed}" in str(error.value)
    demanding(demand, memory=10.0, **values)


def test_the_size_of_an_oblong_image_is_said_as_it_was_given():
    demand = Demand(9 * GIB, "the data", ["data.size"])
    with pytest.raises(InputError) as error:
        demanding(demand, memory=4.0, data={"size": "480x960"})
    assert str(error.value) == (
        "data.size is 480x960, and the run needs about 9.75 GiB of memory, 9 GiB of it "
        "for the data; memory gives it 4 GiB: lower --config.data.size, or allow more "
        "with --config.memory, in GiB"
    )


def test_what_is_not_set_is_not_blamed():
    for keys in ([], ["size"], ["batch", "size"]):
        demand = Demand(9 * GIB, "the images of 9x8", keys)
        config = ConfigDict(
            {"program": "generate", "size": "", "batch": 0, "memory": 4.0}
        )
        for otherwise in ("", "make smaller images"):
            with pytest.raises(InputError) as error:
                check_memory(config, [demand._replace(otherwise=otherwise)])
            remedy = f"{otherwise}, or " if otherwise else ""
            assert str(error.value) == (
                "the run needs about 9.75 GiB of memory, 9 GiB of it for the images of "
                f"9x8; memory gives it 4 GiB: {remedy}allow more with "
                "--config.memory, in GiB"
            )


@pytest.mark.parametrize(
    ("values", "blamed", "purpose", "remedy"),
    [
        (
            {},
            "the run needs",
            "the {chunk} images of 6000x8000 that are made at once",
            "make smaller images with --config.size or smaller grids",
        ),
        (
            {"size": "6000x8000"},
            "size is 6000x8000, and the run needs",
            "the {chunk} images of 6000x8000 that are made at once",
            "lower --config.size",
        ),
        (
            {"batch": 900, "size": "6000x8000"},
            "batch is 900, and the run needs",
            "the 900 images of 6000x8000 between two saves",
            "lower --config.batch",
        ),
        (
            {"batch": 900},
            "batch is 900, and the run needs",
            "the 900 images of 6000x8000 between two saves",
            "lower --config.batch",
        ),
    ],
)
def test_realisations_that_do_not_fit(tmp_path, values, blamed, purpose, remedy):
    prior = kept(tmp_path, smoke("geostatistics"))
    source = Source(prior, LEVELS, None, 1)
    config = smoke(
        "generate", memory=1.0, count=1, **{"size": "", "batch": 0, **values}
    )
    size = Size(6000, 8000)
    with pytest.raises(InputError) as error:
        check_memory(config, demands(config, source, size, config.batch or 1))
    line = str(error.value)
    assert line.startswith(f"{blamed} about ")
    said = purpose.format(chunk=chunk_of(size))
    assert f" of it for {said}; memory gives it 1 GiB: {remedy}, or allow" in line


def demands_of(dataset, **values):
    config = smoke("gan", **values)
    task = tasks.task(config)
    return training_demands(config, task, methods.method(config, task, 1), dataset)


def test_every_class_has_a_probability_for_every_image():
    images = np.zeros((2, 28, 28, 1), np.uint8)
    sizes = []
    for count in (10, 30_000):
        names = tuple(map(str, range(count)))
        source = ArraySource("x", images, np.zeros(2, int), names)
        demands = demands_of(Dataset(source, None), **{"evaluation.final_count": 3000})
        sizes += [each.size for each in demands if "probabilities" in each.purpose]
    assert sizes[1] - sizes[0] == 3000 * (30_000 - 10) * 28


def test_data_in_files_may_be_streamed_instead():
    remedy = "--config.data.feed=streamed, or allow more with --config.memory"
    for read in (ArraySource("x", np.zeros((9, 28, 28, 1), np.uint8)), None):
        source = read or LazySource("x", (28, 28, 1), 10**9, lambda indices: [])
        config = smoke("gan", memory=0.1)
        demands = demands_of(Dataset(source, None), **{"data.feed": "resident"})
        (data,) = (each for each in demands if each.purpose == "the data")
        with pytest.raises(InputError) as caught:
            check_memory(config, [data])
        assert (remedy in str(caught.value)) == (read is None)


def test_an_accelerator_has_a_memory_of_its_own(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda config: 2 * GIB)
    there = Demand(6 * GIB, "a batch", ["batch_size"], on_device=True)
    here = Demand(GIB, "images", ["steps"])
    with pytest.raises(InputError, match="this machine has 2 GiB"):
        demanding(here, there)
    monkeypatch.setattr(memory, "device_memory", lambda: 8 * GIB)
    demanding(here, there)
    with pytest.raises(InputError, match="its accelerator has 8 GiB"):
        demanding(here, there, there)
    with pytest.raises(InputError, match="this machine has 2 GiB"):
        demanding(here, here, there)


@pytest.mark.parametrize(
    "size, words",
    [(0, "0 MiB"), (2**19, "0.5 MiB"), (3.2 * 2**50, "3.2 PiB"), (2**90, "1,024 YiB")],
)
def test_sizes_in_words(size, words):
    assert in_words(size) == words


def test_lists_of_names_and_settings_are_bound():
    with pytest.raises(InputError, match="masks has 100000 names: give 100 at most"):
        searches.holes("center," * 100_000)
    with pytest.raises(InputError, match="degradation has 101 names"):
        searches.degradation("grey," * 101)
    config = smoke("inpaint", **{"sweep.loss": "ballester", "sweep.key": "context"})
    over = ",".join(map(str, range(100_000)))
    with (config := config.copy_and_resolve_references()).unlocked():
        config.sweep.over = over
    with pytest.raises(InputError, match=r"sweep\.over has 100000 settings: give 1000"):
        losses_of(config)
    study = smoke("compare_objectives")
    with (study := study.copy_and_resolve_references()).unlocked():
        study.sweep.update({"arm": next(iter(study.arms)), "over": over})
        study.sweep.key = "margin"
    with pytest.raises(InputError, match="100000 settings"):
        study_arms(study)


@pytest.mark.parametrize(
    "name",
    [
        f"squares:{WORD}",
        "squares:785",
        f"squares:4:{WORD}",
        f"left:{WORD}",
        f"center:{WORD}",
        "random:1e300",
        f"squares:{'9' * 5000}",
    ],
)
def test_a_hole_of_any_number_is_answered(name):
    with pytest.raises((InputError, ValueError)):
        (hole,) = searches.holes(name)
        hole(jax.random.key(0), 28, 28)


@pytest.mark.parametrize("name", [f"downsample:{WORD}", "blur:1e9", "noise:1e999"])
def test_a_degradation_of_any_number_is_answered(name):
    with pytest.raises((InputError, ValueError)):
        searches.degradation(name).apply(jax.numpy.zeros((28, 28, 1)))


def test_as_many_squares_as_pixels_take_the_memory_of_one_image():
    """A mask for each square would take 2^40 bytes."""
    mask = squares(2**20)(jax.random.key(0), 2**10, 2**10)
    assert 0.3 < float(mask.mean()) < 1


@pytest.mark.parametrize("count, pixels", [(1, 5), (4, None), (30, 3), (7, 1)])
@pytest.mark.parametrize("height, width", [(16, 16), (9, 21)])
def test_squares_cover_what_lies_in_one_of_them(count, pixels, height, width):
    key = jax.random.key(count)
    side = pixels or max(1, round((height * width * 0.25 / count) ** 0.5))
    keys = jax.random.split(key)
    tops = jax.random.randint(keys[0], (count, 1), 0, max(1, height - side + 1))
    lefts = jax.random.randint(keys[1], (count, 1), 0, max(1, width - side + 1))
    wanted = np.ones((height, width))
    for top, left in zip(tops[:, 0].tolist(), lefts[:, 0].tolist(), strict=True):
        wanted[top : top + side, left : left + side] = 0
    mask = squares(count, pixels=pixels)(key, height, width)
    np.testing.assert_array_equal(mask[..., 0], wanted)
