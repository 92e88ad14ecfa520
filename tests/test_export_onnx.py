"""ONNX models of trained networks, compared with the package's numbers."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.errors import InputError
from gan_jax.export import __main__ as export
from gan_jax.export import artefact, onnx_model
from gan_jax.export.arrays import ArraySpec
from gan_jax.export.functions import NetworkFunction, open_function
from tests.programs import start, strict
from tests.runs import KINDS, kept, kept_detector, kept_of_each_kind, smoke
from tests.test_export import expected

HINT = "is missing: pip install 'gan-jax[onnx]', as .ci/run does in an environment"
onnx = pytest.importorskip("onnx", reason=f"onnx {HINT}")
onnxruntime = pytest.importorskip("onnxruntime", reason=f"onnxruntime {HINT}")
pytest.importorskip("jax2onnx", reason=f"jax2onnx {HINT}")

BATCHES = (1, 3, 7)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return kept_of_each_kind(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def models(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        artefact.export(runs / kind, folder / kind, form="onnx")
    return folder


def run(folder, *inputs):
    """Return what onnxruntime makes of arrays, given in their order."""
    path, providers = str(folder / "network.onnx"), ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, providers=providers)
    names = [each.name for each in session.get_inputs()]
    given = dict(zip(names, map(np.asarray, inputs), strict=True))
    (found,) = session.run(None, given)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_gives_the_packages_numbers_for_any_number_of_images(
    kind, runs, models
):
    for count in BATCHES:
        inputs, wanted = expected(kind, runs / kind, count)
        assert wanted.std() > 1e-3 or count == 1  # it says something
        found = run(models / kind, *inputs)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


ALONE = """
import json, os, sys
for name in ("gan_jax", "jax", "flax", "jax2onnx", "onnx"):
    sys.modules[name] = None  # it cannot be imported
for folder in sys.argv[1:]:
    os.chdir(folder)
    found = json.load(open("metadata.json"))
    exec("\\n".join(found["use"]))
    made = globals()[found["output"]["name"]]
    assert len(made) == 4 and np.isfinite(made).all()
    assert made.ndim == len(found["output"]["shape"])
"""


def test_models_run_as_their_metadata_say_without_jax(models):
    folders = [str(models / kind) for kind in KINDS]
    # -I: neither the working directory nor PYTHONPATH is looked at.
    finished = start([sys.executable, "-I", "-c", ALONE, *folders])
    assert finished.returncode == 0, finished.stderr


def test_a_colorizer_takes_images_of_any_size(runs, models):
    function = open_function(str(runs / "colorizer"))
    draw = np.random.default_rng(0)
    for height, width in ((41, 23), (20, 70)):
        images = draw.uniform(-1, 1, (2, height, width, 3)).astype(np.float32)
        wanted = jax.jit(function.function)(function.variables, images)
        found = run(models / "colorizer", images)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_says_what_it_is(kind, models):
    path = models / kind / "network.onnx"
    found = strict((models / kind / "metadata.json").read_text())
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    assert found["opset"] == 18 and model.producer_name == "gan_jax"
    assert found["checked"]["batches"] == [*BATCHES]
    assert 0 <= found["checked"]["largest_difference"] <= 1e-4
    for values, arrays in (
        (model.graph.input, found["inputs"]),
        (model.graph.output, [found["output"]]),
    ):
        assert [value.name for value in values] == [each["name"] for each in arrays]
        for value, array in zip(values, arrays, strict=True):
            sizes = value.type.tensor_type.shape.dim
            assert [size.dim_param or size.dim_value for size in sizes] == array[
                "shape"
            ]
    held = {each.key: each.value for each in model.metadata_props}
    assert held["kind"] == found["kind"]
    for name in ("inputs", "output", "data", "run"):
        assert json.loads(held[name]) == found[name]
    assert json.loads(held["data"])["name"] == "digits"


def test_a_model_of_the_ground_carries_codes_and_cells(tmp_path):
    found = artefact.export("channels", tmp_path / "out", form="onnx")
    model = onnx.load(tmp_path / "out" / "network.onnx")
    held = {each.key: each.value for each in model.metadata_props}
    data, output = json.loads(held["data"]), json.loads(held["output"])
    assert data["name"] == "channels" and data["cell"] == [1, 1]
    assert output["units"] == {"scale": "codes", "knots": [0, 1], "whole": True}
    draw = np.random.default_rng(0)
    native = draw.integers(0, 2, (3, 64, 64, 1))
    mask = (draw.random(native.shape) < 0.02).astype(np.float32)
    names = {"np": np, "native": native}
    scaled = eval(json.loads(held["inputs"])[1]["from_native"], names)
    values = mask * scaled.astype(np.float32)
    latent = draw.standard_normal((3, *found["inputs"][0]["shape"][1:]), np.float32)
    images = run(tmp_path / "out", latent, values, mask)
    facies = eval(output["to_native"], {"np": np, "images": images})
    assert {*np.unique(facies)} == {0, 1}
    assert (facies == native)[mask == 1].mean() > 0.8  # it was trained to agree


NETWORKS = {
    "residual": lambda: smoke("gan", **{"network.generator": "residual"}),
    "points": lambda: smoke("gan", "gaussians8,smoke"),
    "uniform": lambda: smoke("gan", **{"latent.prior": "uniform"}),
    "wells": lambda: smoke("geostatistics"),
    "wells, one vector": lambda: smoke("geostatistics", **{"latent.form": "vector"}),
    "no latent": lambda: smoke(
        "pixelcgan", **{"network.generator": "unet", "latent.prior": "none"}
    ),
    "colours": lambda: smoke("colorize", program="train"),
    "classes": lambda: smoke("colorize", "chromagan,smoke", **{"network.width": 4}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_generator_has_a_model(name, tmp_path):
    config = NETWORKS[name]()
    channels = {"points": 2, "colours": 3, "classes": 3}.get(name, 1)
    kept(tmp_path / "run", config, channels, 2 if name == "classes" else 0)
    found = artefact.export(tmp_path / "run", tmp_path / "out", form="onnx")
    assert found["checked"]["largest_difference"] <= 1e-4
    assert (found["output"]["interval"] is None) == (name == "points")


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
def test_every_critic_has_a_model(values, tmp_path):
    kept_detector(tmp_path / "run", **values)
    artefact.export(tmp_path / "run", tmp_path / "out", form="onnx")
    inputs, scores = expected("detector", tmp_path / "run", 5)
    np.testing.assert_allclose(run(tmp_path / "out", *inputs), scores, atol=1e-4)


def function_of(operation):
    """Return a network of one operation on a batch of two numbers."""
    pair = ("batch", 2)
    return NetworkFunction(
        "generator",
        lambda variables, latent: operation(latent),
        {},
        [ArraySpec("latent", pair, (0.5, 1.0), "numbers", "np.ones((4, 2))")],
        ArraySpec("images", pair, None, "numbers"),
        {"dataset": {"name": "numbers"}},
        {},
    )


def test_an_operator_that_onnx_lacks_is_named():
    lacking = function_of(
        lambda x: jax.lax.platform_dependent(x, cpu=jnp.sin, default=jnp.cos)
    )
    with pytest.raises(InputError, match=r"because of.*'platform_index'") as error:
        onnx_model.model_file(lacking)
    assert "\n" not in str(error.value) and "--format=jax" in str(error.value)


def test_other_numbers_are_refused():
    offsets = iter((0, *range(1, 9)))
    differing = function_of(lambda x: x + 2e-4 * next(offsets))
    with pytest.raises(InputError, match=r"differ by 0.000\d+, and 0.0001 is allowed"):
        onnx_model.model_file(differing)
    same = function_of(lambda x: 2 * x)
    assert onnx_model.model_file(same)[1]["checked"]["largest_difference"] == 0


def test_numbers_that_are_none_are_refused():
    nothing = function_of(lambda x: jnp.log(-x))
    with pytest.raises(InputError, match="differ by nan"):
        onnx_model.model_file(nothing)


def test_networks_in_half_precision_are_refused_in_one_line(tmp_path):
    kept(tmp_path / "run", smoke("gan", precision="bfloat16"))
    with pytest.raises(InputError, match="--format=jax") as error:
        artefact.export(tmp_path / "run", tmp_path / "out", form="onnx")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_one_format_replaces_the_other(runs, tmp_path):
    out = tmp_path / "out"
    names = {
        "jax": {"program.jax", "weights.npz", "metadata.json"},
        "onnx": {"network.onnx", "metadata.json"},
    }
    for form in ("jax", "onnx", "jax"):
        artefact.export(runs / "detector", out, ["cpu"], form)
        assert {path.name for path in out.iterdir()} == names[form]


def test_the_command_line(runs, tmp_path, capsys):
    flags = [f"--prior={runs / 'generator'}", f"--out={tmp_path}", "--format=onnx"]
    assert export.main(flags) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"generator: {tmp_path}, for onnxruntime"
    )
    assert export.main([*flags, "--platforms=cpu"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gan_jax: --platforms is for --format=jax")
