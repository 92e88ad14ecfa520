"""Artefacts of trained networks, run where this package cannot be imported."""

import hashlib
import json
import re
import shutil
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

from gan_jax.apps.colorize.colorizer import Colorizer
from gan_jax.apps.detect.detector import CriticScorer, open_detector_run
from gan_jax.build import tasks
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.data import color
from gan_jax.data.grids import units
from gan_jax.data.masks import Known
from gan_jax.export import __main__ as export
from gan_jax.export import artefact, onnx_model, stablehlo
from gan_jax.export.arrays import ArraySpec
from gan_jax.export.functions import open_function, stored_units
from gan_jax.networks.stages import image_of
from gan_jax.report import files
from gan_jax.runs.inference import make_model
from gan_jax.runs.prior import open_prior
from tests.programs import start, start_run, strict
from tests.runs import KINDS, kept, kept_detector, kept_of_each_kind, smoke

BATCHES = (3, 7)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return kept_of_each_kind(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def artefacts(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for kind in KINDS:
        export.export(runs / kind, folder / kind)
    return folder


def expected(kind, workdir, count):
    """Draw inputs, and give what the package makes of them: (inputs, output)."""
    draw = np.random.default_rng(count)
    if kind in ("generator", "conditional"):
        prior = open_prior(str(workdir), "")
        task = tasks.task(prior.config)
        # As a model draws it, which makes 100 images at once.
        key = jax.random.key(count)
        latent = prior.method.latent(jax.random.fold_in(key, 0), 100)[:count]
        maps = ()
        if kind == "conditional":
            mask = draw.integers(0, 2, (count, 28, 28, 1)).astype(np.float32)
            values = mask * draw.uniform(-1, 1, mask.shape).astype(np.float32)
            maps = (jnp.asarray(values), jnp.asarray(mask))
        model = make_model(prior.method, task.render)(prior.networks)
        told = Known(*maps) if maps else None
        return (latent, *maps), model.sample(key, told, count)
    if kind == "colorizer":
        prior = open_prior(str(workdir), "", program="colorize")
        task = tasks.task(prior.config)
        images = draw.uniform(-1, 1, (count, 32, 32, 3)).astype(np.float32)
        lightness, _ = color.split(images)
        model = make_model(prior.method, task.render)(prior.networks)
        return (images,), model.sample(jax.random.key(0), lightness, count)
    opened = open_detector_run(str(workdir), "")
    images = draw.uniform(-1, 1, (count, 28, 28, 1)).astype(np.float32)
    score = CriticScorer(opened.method).anomaly_scorer(
        opened.detector.critic, opened.detector.scale
    )
    return (images,), score(images)


ALONE = """
import json, os, sys
sys.modules["gan_jax"] = sys.modules["flax"] = None  # neither can be imported
path, folders, counts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
made = {}
for folder in folders:
    os.chdir(folder)
    lines = json.load(open("metadata.json"))["use"]
    assert len(lines) == 5
    exec("\\n".join(lines))
    asked = np.load(path)
    call = jax.jit(program.call)
    for count in counts:
        start = f"{folder}:{count}:"
        names = sorted(name for name in asked if name.startswith(start))
        made[f"{folder}:{count}"] = call(weights, *(asked[name] for name in names))
    assert len(inputs[0]) == 4
np.savez(path, **made)
"""


def run_alone(inputs, path):
    """Run artefacts as their metadata say, in a process that has no gan_jax.

    Args:
        inputs: by the artefact's folder and the number of examples.
        path: where inputs and outputs are exchanged.
    """
    folders, counts = ([*dict.fromkeys(keys)] for keys in zip(*inputs, strict=True))
    arrays = {
        f"{folder}:{count}:{place}": array
        for (folder, count), given in inputs.items()
        for place, array in enumerate(given)
    }
    np.savez(path, **arrays)
    # -I: neither the working directory nor PYTHONPATH is looked at.
    given = (json.dumps([*map(str, folders)]), json.dumps(counts))
    finished = start([sys.executable, "-I", "-c", ALONE, str(path), *given])
    assert finished.returncode == 0, finished.stderr
    with np.load(path) as found:
        return {key: found[f"{key[0]}:{key[1]}"] for key in inputs}


TOLERANCE = {"colorizer": 1e-4}  # the edge of what sRGB has is found by halving


@pytest.fixture(scope="module")
def alone(runs, artefacts, tmp_path_factory):
    """Return what artefacts give without the package, beside what it gives."""
    keys = [(artefacts / kind, count) for kind in KINDS for count in BATCHES]
    pairs = {key: expected(key[0].name, runs / key[0].name, key[1]) for key in keys}
    inputs = {key: given for key, (given, _) in pairs.items()}
    found = run_alone(inputs, tmp_path_factory.mktemp("alone") / "arrays.npz")
    return {
        (folder.name, count): (output, found[folder, count])
        for (folder, count), (_, output) in pairs.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_artefact_gives_the_same_numbers_without_the_package(alone, kind):
    for count in BATCHES:
        wanted, found = alone[kind, count]
        assert wanted.std() > 1e-3  # it says something
        tolerance = TOLERANCE.get(kind, 1e-5)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_say_what_goes_in_and_comes_out(artefacts, kind):
    found = strict((artefacts / kind / "metadata.json").read_text())
    assert found["kind"] == {"conditional": "generator"}.get(kind, kind)
    program = load(artefacts / kind)
    ports = [*found["inputs"], found["output"]]
    # Weights come first, and there may be any number of them.
    inputs = program.in_avals[-len(found["inputs"]) :]
    shapes = [aval.shape for aval in (*inputs, *program.out_avals)]
    for port, shape in zip(ports, shapes, strict=True):
        assert [str(size) for size in port["shape"]] == [str(size) for size in shape]
        assert port["dtype"] == "float32" and port["meaning"]
    with np.load(artefacts / kind / "weights.npz", allow_pickle=False) as weights:
        assert {name: list(weights[name].shape) for name in weights} == {
            name: each["shape"] for name, each in found["weights"].items()
        }
    for name in ("program.jax", "weights.npz"):
        content = (artefacts / kind / name).read_bytes()
        assert found["sha256"][name] == hashlib.sha256(content).hexdigest()
    assert found["platforms"] == ["cpu", "cuda", "tpu"]
    assert len(found["run"]["parameters_sha256"]) == 64
    assert found["run"]["dataset"]["name"] == "digits"
    assert found["versions"]["jax"] == jax.__version__


def test_metadata_tell_what_a_kind_needs(artefacts):
    by_kind = {
        kind: strict((artefacts / kind / "metadata.json").read_text()) for kind in KINDS
    }
    plain, told = by_kind["generator"], by_kind["conditional"]
    assert plain["latent"] == {"size": 100, "prior": "normal", "form": "vector"}
    assert "known_in_training" not in plain
    assert told["call"] == "images = program.call(weights, latent, values, mask)"
    assert told["known_in_training"]["fraction"] == 0.005
    scores = by_kind["detector"]
    share = np.mean(np.array(scores["quantiles"]) > scores["threshold"])
    assert share == pytest.approx(scores["false_positive_rate"], abs=2e-3)
    assert by_kind["colorizer"]["colours_made_at"] == [32, 32]


UNITS = {
    "levels": units.LEVELS,
    "codes": units.facies([1, 2, 7]),
    "linear": units.Units("linear", (0.25, 3.5)),
    "log": units.Units("log", (1e-3, 50.0)),
    "rank": units.Units("rank", (0.0, 0.1, 4.0, 9.5)),
}


@pytest.mark.parametrize("name", UNITS)
def test_metadata_convert_values_to_the_units_of_the_data_and_back(name):
    held = UNITS[name]
    array = ArraySpec("images", ("batch", 5), (-1, 1), "", units=held).metadata()
    assert units.from_json(array["units"]) == held
    images = np.linspace(-1, 1, 41)
    native = eval(array["to_native"], {"np": np, "images": images})
    np.testing.assert_allclose(native, held.rounded(held.native(images)))
    scaled = eval(array["from_native"], {"np": np, "native": native})
    np.testing.assert_allclose(scaled, held.scaled(native), atol=1e-12)


def read_of(**taken):
    """The entry `read` of a summary, by the range of each kind of files."""
    return {
        "levels": {
            kind.replace("_", " "): {"images": 1, "low": 0, "high": 1, "taken": ends}
            for kind, ends in taken.items()
        }
    }


@pytest.mark.parametrize(
    "dataset, wanted",
    [
        ({}, units.LEVELS),
        ({"read": read_of(**{"8-bit_PNG": [0, 255]})}, units.LEVELS),
        (
            {"read": read_of(**{"16-bit_TIFF": [0, 4095], "16-bit_PNG": [0, 4095]})},
            units.Units("linear", (0, 4095), True),
        ),
        (
            {"read": read_of(**{"float_TIFF": [-2.5, 40]})},
            units.Units("linear", (-2.5, 40)),
        ),
        (
            {"read": read_of(**{"16-bit_TIFF": [0, 4095], "8-bit_PNG": [0, 255]})},
            units.LEVELS,
        ),
        ({"read": {"levels": {"16-bit TIFF": {"taken": ["a", None]}}}}, units.LEVELS),
        (
            {
                "units": units.facies([1, 2]).as_json(),
                "read": read_of(**{"16-bit_TIFF": [0, 4095]}),
            },
            units.facies([1, 2]),
        ),
    ],
)
def test_units_of_images_are_the_levels_that_their_files_store(dataset, wanted):
    assert stored_units(dataset) == wanted


def test_an_export_of_a_stretched_scan_states_its_levels(runs, tmp_path):
    shutil.copytree(runs / "generator", tmp_path / "scans")
    place = tmp_path / "scans" / "summary.json"
    summary = json.loads(place.read_text())
    summary["dataset"]["read"] = read_of(**{"16-bit_TIFF": [0, 4095]})
    place.write_text(json.dumps(summary))
    output = open_function(str(tmp_path / "scans")).output.metadata()
    assert output["units"]["knots"] == [0, 4095] and output["units"]["whole"]
    native = eval(output["to_native"], {"np": np, "images": np.array([-1, 0.5, 1])})
    assert native.tolist() == [0, 3071, 4095]


def test_only_arrays_in_the_units_of_the_data_have_units(artefacts):
    def described(kind):
        return strict((artefacts / kind / "metadata.json").read_text())

    told = described("conditional")
    latent, values, mask = told["inputs"]
    assert "units" not in latent and "units" not in mask
    assert values["units"] == told["output"]["units"] == units.LEVELS.as_json()
    assert told["data"] == {"name": "digits"}
    assert "units" not in described("detector")["output"]


def test_the_metadata_of_the_ground_have_its_grid(tmp_path):
    found = artefact.export("channels", tmp_path / "out", ["cpu"])
    assert found["data"]["name"] == "channels" and found["data"]["cell"] == [1, 1]
    assert found["output"]["units"]["knots"] == [0, 1]


def test_onnx_without_its_libraries_names_the_command(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(InputError, match=r"needs jax2onnx.*pip install 'gan-jax\[onnx"):
        artefact.export(runs / "generator", tmp_path / "out", form="onnx")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("version", ["0.13.1", "0.17.0", "0.9"])
def test_an_old_converter_is_refused(version, runs, tmp_path, monkeypatch):
    for name in ("jax2onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(onnx_model.metadata, "version", lambda name: version)
    with pytest.raises(InputError, match=f"0.17.1 or later, and {version}"):
        artefact.export(runs / "generator", tmp_path / "out", form="onnx")
    assert not (tmp_path / "out").exists()


def load(folder):
    return jax_export.deserialize((folder / "program.jax").read_bytes())


def call(folder):
    program, weights = load(folder), dict(np.load(folder / "weights.npz"))
    return lambda *inputs: jax.jit(program.call)(weights, *inputs)


def test_a_colorizer_takes_images_of_any_size(runs, artefacts):
    prior = open_prior(str(runs / "colorizer"), "", program="colorize")
    colorizer = Colorizer(prior)
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (41, 23, 3), np.uint8)  # larger and smaller
    wanted = colorizer(image)(slice(None)).image
    made = call(artefacts / "colorizer")(image[None].astype(np.float32) / 127.5 - 1)
    levels = (np.asarray(made)[0] + 1) * 127.5
    assert np.abs(levels - wanted).max() < 0.52  # it is rounded there


def test_an_artefact_can_be_differentiated(runs, artefacts):
    prior = open_prior(str(runs / "generator"), "")
    latent = jax.random.normal(jax.random.key(0), (2, 100))
    generate = call(artefacts / "generator")
    slopes = [
        jax.jit(jax.grad(lambda z, make=make: (make(z) ** 2).sum()))(latent)
        for make in (
            generate,
            lambda z: prior.method.generator.apply(prior.networks.generator, z),
        )
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-5)


def test_cpus_alone_get_the_forms_that_are_fast_there(runs, artefacts):
    function = open_function(str(runs / "generator"))
    dilated = "lhs_dilate = [2, 2]"  # of a transposed convolution as it stands
    texts = {
        platforms: stablehlo.trace(function, platforms).mlir_module()
        for platforms in (("cpu",), ("cuda",), ("cpu", "tpu"))
    }
    assert dilated not in texts[("cpu",)]
    assert dilated in texts[("cuda",)] and dilated in texts[("cpu", "tpu")]
    folder = artefacts / "generator"
    program, weights = load(folder), dict(np.load(folder / "weights.npz"))
    latent = jax.ShapeDtypeStruct((2, 100), np.float32)
    compiled = jax.jit(program.call).lower(weights, latent).compile().as_text()
    assert "convolution" in compiled and "lhs_dilate" not in compiled


def test_an_artefact_does_not_tell_where_it_was_made(artefacts):
    for kind in KINDS:
        for path in (artefacts / kind).iterdir():
            assert re.search(rb"/gan_jax/|site-packages", path.read_bytes()) is None


NETWORKS = {
    "residual": lambda: smoke("gan", **{"network.generator": "residual"}),
    "points": lambda: smoke("gan", "gaussians8,smoke"),
    "uniform": lambda: smoke("gan", **{"latent.prior": "uniform"}),
    "wells": lambda: smoke("geostatistics"),
    "wells, one vector": lambda: smoke("geostatistics", **{"latent.form": "vector"}),
    "packed": lambda: smoke("pixelcgan", **{"packing": 2}),
    "bfloat16": lambda: smoke("gan", precision="bfloat16"),
}


def test_a_generator_that_names_classes_is_exported(tmp_path):
    config = smoke("colorize", "chromagan,smoke", **{"network.width": 4})
    kept(tmp_path / "run", config, channels=3, classes=2)
    program = stablehlo.trace(open_function(str(tmp_path / "run")), ["cpu"])
    assert str(program.out_avals[0].shape) == "(batch, height, width, 3)"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_generator_is_exported_for_any_number_of_images(name, tmp_path):
    config = NETWORKS[name]()
    prior = kept(tmp_path / "run", config, channels=2 if name == "points" else 1)
    found = export.export(tmp_path / "run", tmp_path / "out", ["cpu"])
    assert (found["output"]["interval"] is None) == (name == "points")
    draw = np.random.default_rng(0)
    inputs = [
        jnp.asarray(draw.uniform(-1, 1, (5, *port["shape"][1:])), jnp.float32)
        for port in found["inputs"]
    ]
    latent, *maps = inputs
    told = Known(*maps) if maps else None
    apply = jax.jit(prior.method.generator.apply)
    made = apply(prior.networks.generator, latent, told)
    tolerance = 2e-2 if name == "bfloat16" else 1e-5
    generated = call(tmp_path / "out")(*inputs)
    np.testing.assert_allclose(generated, made, atol=tolerance, rtol=1e-5)


CONDITIONAL = {
    "pixels, no latent": lambda: smoke(
        "pixelcgan", **{"network.generator": "unet", "latent.prior": "none"}
    ),
    "wells": lambda: smoke("geostatistics"),
    "wells, one vector": lambda: smoke("geostatistics", **{"latent.form": "vector"}),
    "colours": lambda: smoke("colorize", program="train"),
    "colours, latent": lambda: smoke(
        "colorize",
        program="train",
        **{"network.generator": "latent_unet", "latent.prior": "normal"},
    ),
    "colours, residual": lambda: smoke(
        "colorize",
        program="train",
        **{"network.generator": "residual", "latent.prior": "uniform"},
    ),
    "colours and classes": lambda: smoke(
        "colorize", "chromagan,smoke", program="train", **{"network.width": 4}
    ),
}
"""What `train` may train under a condition, beside the pixel GAN."""
SLOW = ("colours and classes",)  # to compile


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each in SLOW))
        for each in CONDITIONAL
    ],
)
def test_a_generator_under_any_condition_gives_the_packages_images(name, tmp_path):
    config, colours = CONDITIONAL[name](), name.startswith("colours")
    channels = 3 if colours else 1
    prior = kept(tmp_path / "run", config, channels, 2 if name in SLOW else 0)
    found = export.export(tmp_path / "run", tmp_path / "out", ["cpu"])
    latents = [port for port in found["inputs"] if port["name"] == "latent"]
    assert len(latents) == (config.latent.prior != "none")
    ports = found["inputs"][len(latents) :]
    names = ["lightness"] if colours else ["values", "mask"]
    assert [port["name"] for port in ports] == names
    assert all(port["interval"] and port["meaning"] for port in ports)
    assert ("known_in_training" in found) is not colours
    draw = np.random.default_rng(0)
    maps = [
        jnp.asarray(draw.uniform(*port["interval"], (5, *port["shape"][1:])), "float32")
        for port in ports
    ]
    told = maps[0] if colours else Known(*maps)
    key = jax.random.key(5)  # a model draws 100 latents at once
    drawn = prior.method.latent(jax.random.fold_in(key, 0), 100)
    inputs = [*(drawn[:5] for _ in latents), *maps]
    task = tasks.task(config)
    model = make_model(prior.method, task.render)(prior.networks)
    wanted = model.sample(key, told, 5)
    assert wanted.shape[1:] == tuple(found["output"]["shape"][1:])
    assert wanted.std() > 1e-3
    np.testing.assert_allclose(
        call(tmp_path / "out")(*inputs),
        wanted,
        rtol=1e-5,
        atol=1e-4 if colours else 1e-5,
    )


def test_a_colorizer_that_draws_latents_is_refused(tmp_path):
    values = {"network.generator": "latent_unet", "latent.prior": "normal"}
    kept(tmp_path / "run", smoke("colorize", **values), channels=3)
    with pytest.raises(InputError, match=r"starts from a latent.*latent.prior=none"):
        export.export(tmp_path / "run", tmp_path / "out", ["cpu"])


@pytest.mark.slow  # to compile
def test_a_generator_that_names_classes_gives_its_colours(tmp_path):
    config = smoke("colorize", "chromagan,smoke", **{"network.width": 4})
    prior = kept(tmp_path / "run", config, channels=3, classes=2)
    export.export(tmp_path / "run", tmp_path / "out", ["cpu"])
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    lightness, _ = color.split(images)
    made = jax.jit(prior.method.generator.apply)(
        prior.networks.generator, None, lightness
    )
    np.testing.assert_allclose(
        call(tmp_path / "out")(images),
        color.merge(lightness, image_of(made)),
        atol=TOLERANCE["colorizer"],
    )


@pytest.mark.parametrize(
    "values",
    [
        {"objective": "wgan", "network.critic": "patch", "network.critic_depth": 2},
        {
            "objective": "hinge",
            "network.critic": "dcgan",
            "network.critic_depth": 2,
            "network.critic_normalisation": "spectral",
        },
    ],
    ids=["patches", "spectral"],
)
def test_every_critic_is_exported_as_a_detector(values, tmp_path):
    kept_detector(tmp_path / "run", **values)
    export.export(tmp_path / "run", tmp_path / "out", ["cpu"])
    (images,), scores = expected("detector", tmp_path / "run", 5)
    found = call(tmp_path / "out")(images)
    np.testing.assert_allclose(found, scores, rtol=1e-5, atol=1e-5)


def test_what_a_user_may_get_wrong(runs, artefacts, tmp_path):
    unfinished = tmp_path / "unfinished"
    files.write_json(unfinished / "config.json", flatten(smoke("gan")))
    study = tmp_path / "study"
    files.write_json(study / "config.json", {"program": "study"})
    file = tmp_path / "file"
    file.write_text("")
    other = tmp_path / "other"
    files.write_json(other / "metadata.json", {"title": "mine"})
    run = runs / "generator"
    free = tmp_path / "free"
    for prior, out, platforms, reason in (
        (tmp_path / "none", free, ["cpu"], "no run's workdir.*gan_jax.export"),
        (unfinished, free, ["cpu"], "not a complete run of 'train'"),
        (study, free, ["cpu"], "run of 'study', which is not one network: name a run"),
        (run, run, ["cpu"], "holds .*, which is of no artefact"),
        (run, other, ["cpu"], "holds metadata.json, which is of no artefact"),
        (run, file, ["cpu"], "is a file: name a folder"),
        (run, free, ["gpu"], "--platforms 'gpu' is unknown; known: cpu, cuda, tpu"),
        (run, free, [""], "--platforms '' is unknown"),
    ):
        with pytest.raises(InputError, match=reason):
            export.export(prior, out, platforms)
    with pytest.raises(InputError, match="--format 'tf' is unknown; known: jax, onnx"):
        export.export(run, free, form="tf")
    assert not free.exists()
    assert json.loads((other / "metadata.json").read_text()) == {"title": "mine"}


def test_an_artefact_is_written_over_by_another(runs, tmp_path):
    out = tmp_path / "out"
    export.export(runs / "detector", out, ["cpu"])
    (out / ".weights.npz.0123abcd.tmp").write_bytes(b"left by a kill")
    export.export(runs / "generator", out, ["cpu"])
    assert strict((out / "metadata.json").read_text())["kind"] == "generator"
    assert {path.name for path in out.iterdir()} == {
        "program.jax",
        "weights.npz",
        "metadata.json",
    }


def test_files_of_no_artefact_are_left_alone(runs, artefacts, tmp_path):
    mine = tmp_path / "mine" / "weights.npz"
    files.write_bytes(mine, b"a user's")
    linked = shutil.copytree(artefacts / "detector", tmp_path / "linked")
    (linked / "program.jax").unlink()
    (linked / "program.jax").symlink_to(mine)
    for out, name in ((mine.parent, "weights.npz"), (linked, "program.jax")):
        with pytest.raises(InputError, match=f"holds {name}, which is of no artefact"):
            export.export(runs / "detector", out, ["cpu"])
    assert mine.read_bytes() == b"a user's" and (linked / "program.jax").is_symlink()


def test_an_export_that_was_killed_is_done_again(runs, tmp_path, monkeypatch):
    out = tmp_path / "out"

    write = files.write_bytes

    def killed(path, content):
        if path.name == "weights.npz":
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "write_bytes", killed)
        export.export(runs / "detector", out, ["cpu"])
    assert "incomplete" in (out / "metadata.json").read_text()
    assert export.export(runs / "detector", out, ["cpu"])["format"].endswith("/1")


def test_the_command_line(runs, tmp_path, capsys):
    flags = [f"--prior={runs / 'conditional'}", f"--out={tmp_path / 'out'}"]
    assert export.main([*flags, "--platforms=cpu"]) == 0
    said = capsys.readouterr().out
    assert "known pixels" in said and "generator: " in said
    assert export.main([*flags, "--platforms=abacus"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gan_jax: --platforms 'abacus'") and said.count("\n") == 1


TRAINED = {
    "gan": "generator",
    "pixelcgan": "conditional",
    "colorize": "colorizer",
    "detect": "detector",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_trained_runs_are_exported(name, tmp_path):
    workdir, out, kind = tmp_path / name, tmp_path / "out", TRAINED[name]
    trained = start_run(workdir, config=f"--config=configs/{name}.py:smoke")
    assert trained.returncode == 0, trained.stderr
    export.export(workdir, out)
    inputs, output = expected(kind, workdir, 5)
    found = run_alone({(out, 5): inputs}, tmp_path / "arrays.npz")
    tolerance = TOLERANCE.get(kind, 1e-5)
    np.testing.assert_allclose(found[out, 5], output, rtol=1e-5, atol=tolerance)
