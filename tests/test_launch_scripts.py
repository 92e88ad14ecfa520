"""Scripts that start runs: on one machine, under SLURM, on Kubernetes."""

import importlib
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from absl import flags
from jsonschema import Draft202012Validator

import gan_jax.main  # noqa: F401 - for its flags
from tests.programs import ROOT, summary

SCRIPTS = sorted((ROOT / "launch").glob("*.sh"))
PROCESSES = {"coordinator", "processes", "process", "distributed"}
"""Flags of a run of many processes."""


def executable(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def start(script, *arguments, **environment):
    return subprocess.run(
        [script, *arguments],
        env={**os.environ, **{name: str(v) for name, v in environment.items()}},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script):
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", script], check=True)
    beside = Path(sys.executable).with_name("shellcheck")
    checker = beside if beside.exists() else shutil.which("shellcheck")
    assert checker, "pip install -e '.[test]'"
    found = subprocess.run([checker, script], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_say_how_they_are_used(script):
    finished = start(script)
    assert finished.returncode == 2
    assert f"launch/{script.name} " in finished.stdout
    assert "#" not in finished.stdout.splitlines()[0]
    assert "set -" not in finished.stdout


def local(tmp_path, python, *arguments):
    return start(
        ROOT / "launch" / "local.sh",
        *arguments,
        PYTHON=python,
        RUNS=tmp_path / "runs",
        EXPORTED=tmp_path / "exported",
        PAUSE=0,
        ATTEMPTS=3,
    )


def recorder(tmp_path, *codes):
    """Write an interpreter that notes its arguments and ends with these exit codes."""
    notes = tmp_path / "notes"
    notes.touch()
    cases = "; ".join(f"{place}) exit {code};" for place, code in enumerate(codes, 1))
    text = f'echo "$@" >> {notes}\ncase $(wc -l < {notes}) in {cases}; esac'
    python = executable(tmp_path / "python", text)
    return python, lambda: notes.read_text().splitlines()


def test_a_run_that_was_stopped_goes_on_and_is_used(tmp_path):
    python, notes = recorder(tmp_path, 143, 143, 0)
    (tmp_path / "photos").mkdir()
    photos = tmp_path / "photos"
    finished = local(tmp_path, python, "detect:narrow", photos, "--config.steps=9")
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("continues in") == 2
    *trained, exported, used = notes()
    run = tmp_path / "runs" / "detect-narrow"
    assert trained == 3 * [
        f"-m gan_jax.main --config=configs/detect.py:narrow --workdir={run} "
        "--config.steps=9"
    ]
    out = tmp_path / "exported" / "detect-narrow"
    assert exported == f"-m gan_jax.export --prior={run} --out={out}"
    assert used == (
        f"-m gan_jax.main --config=configs/detect.py --config.prior={run} "
        f"--config.images={photos} --workdir={run}-used"
    )


@pytest.mark.parametrize(
    ("codes", "code", "count"),
    [((2,), 2, 1), ((130,), 130, 1), ((143, 1), 1, 2), ((143,) * 5, 143, 3)],
)
def test_a_run_that_fails_ends_it(tmp_path, codes, code, count):
    python, notes = recorder(tmp_path, *codes)
    assert local(tmp_path, python, "gan").returncode == code
    assert len(notes()) == count


@pytest.mark.slow
def test_a_machine_trains_and_exports(tmp_path):
    finished = local(
        tmp_path,
        sys.executable,
        "gan:smoke",
        "--config.steps=3",
        "--config.evaluation.every=0",
        "--config.evaluation.final_count=100",
        "--config.evaluation.classifier.epochs=0",
    )
    assert finished.returncode == 0, finished.stderr
    assert summary(tmp_path / "runs" / "gan-smoke")["steps"] == 3
    names = {path.name for path in (tmp_path / "exported" / "gan-smoke").iterdir()}
    assert names == {"program.jax", "weights.npz", "metadata.json"}


@pytest.mark.parametrize(("code", "queued"), [(0, False), (143, True), (1, False)])
def test_a_job_that_was_stopped_is_queued_again(tmp_path, code, queued):
    notes = tmp_path / "notes"
    executable(tmp_path / "srun", f'echo "srun $@" >> {notes}; exit {code}')
    executable(tmp_path / "scontrol", f'echo "scontrol $@" >> {notes}')
    finished = start(
        ROOT / "launch" / "slurm.sh",
        "--config=configs/gan.py",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        PYTHON="python",
        SLURM_JOB_ID=7,
    )
    assert finished.returncode == code
    first, *rest = notes.read_text().splitlines()
    wanted = "python -m gan_jax.main --distributed --config=configs/gan.py"
    assert first.endswith(wanted)
    assert rest == (["scontrol requeue 7"] if queued else [])


def test_slurm_lets_a_job_save_and_queues_it_again():
    lines = (ROOT / "launch" / "slurm.sh").read_text().splitlines()
    asked = dict(
        re.fullmatch(r"#SBATCH --([\w-]+)(?:=(.*))?", line).groups()
        for line in lines
        if line.startswith("#SBATCH")
    )
    assert asked["signal"] == "TERM@120" and "requeue" in asked
    assert asked["open-mode"] == "append"  # a job that goes on does not lose its log
    # SLURM reads its directives before the first command only.
    commands = [place for place, line in enumerate(lines) if line[:1] not in ("", "#")]
    assert (
        max(n for n, line in enumerate(lines) if line.startswith("#SBATCH"))
        < commands[0]
    )


def closed(required, **properties):
    """Return the schema of an object that has no other keys: they would be mistyped."""
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


def several(items):
    return {"type": "array", "items": items, "minItems": 1}


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
SOME = {"type": "integer", "minimum": 1}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
CLAIM = closed("claimName", claimName=NAME, readOnly={"type": "boolean"})
VARIABLE = closed(
    "name",
    name={"type": "string", "pattern": "^[A-Z_][A-Z0-9_]*$"},
    value={"type": "string"},
    valueFrom=closed("fieldRef", fieldRef=closed("fieldPath", fieldPath=TEXT)),
)
CONTAINER = closed(
    "name image command args resources volumeMounts",
    name=NAME,
    image=TEXT,
    workingDir=TEXT,
    command=several(TEXT),
    args=several(TEXT),
    env=several(VARIABLE),
    ports=several(closed("containerPort", containerPort=SOME)),
    resources=closed(
        "limits",
        limits={
            "type": "object",
            "additionalProperties": {"type": ["integer", "string"]},
        },
    ),
    volumeMounts=several(
        closed(
            "name mountPath", name=NAME, mountPath=TEXT, readOnly={"type": "boolean"}
        )
    ),
)
POD = closed(
    "restartPolicy containers terminationGracePeriodSeconds volumes",
    restartPolicy={"enum": ["Never", "OnFailure"]},
    terminationGracePeriodSeconds=SOME,
    containers=several(CONTAINER),
    volumes=several(
        closed("name persistentVolumeClaim", name=NAME, persistentVolumeClaim=CLAIM)
    ),
)
JOB = closed(
    "parallelism completions completionMode backoffLimit template",
    parallelism=SOME,
    completions=SOME,
    completionMode={"enum": ["Indexed", "NonIndexed"]},
    backoffLimit=COUNT,
    template=closed("spec", spec=POD),
)
JOBSET = closed(
    "apiVersion kind metadata spec",
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=closed("name", name=NAME),
    spec=closed(
        "replicatedJobs network failurePolicy",
        network=closed("", enableDNSHostnames={"type": "boolean"}, subdomain=NAME),
        failurePolicy=closed("maxRestarts", maxRestarts=SOME),
        successPolicy=closed("operator", operator={"enum": ["All", "Any"]}),
        replicatedJobs=several(
            closed(
                "name template",
                name=NAME,
                replicas=SOME,
                template=closed("spec", spec=JOB),
            )
        ),
    ),
)
"""The part of JobSet, Job and Pod that a training run has to do with."""


@pytest.fixture(scope="module")
def jobset():
    return yaml.safe_load((ROOT / "launch" / "kubernetes.yaml").read_text())


def test_the_jobset_is_one(jobset):
    Draft202012Validator.check_schema(JOBSET)
    errors = Draft202012Validator(JOBSET).iter_errors(jobset)
    assert not [f"{error.json_path}: {error.message}" for error in errors]


def test_the_jobset_is_one_mesh_that_continues(jobset):
    spec = jobset["spec"]
    (workers,) = spec["replicatedJobs"]
    job = workers["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    arguments = given(container["args"])
    assert workers["replicas"] == 1
    assert job["completionMode"] == "Indexed"
    count = int(arguments["processes"])
    assert job["parallelism"] == job["completions"] == count > 1
    # One that has failed is missed by all the others: they start together.
    assert job["backoffLimit"] == 0 and pod["restartPolicy"] == "Never"
    assert 1 <= spec["failurePolicy"]["maxRestarts"] <= 100
    assert pod["terminationGracePeriodSeconds"] >= 60
    # The first pod of the first job, by its name in the headless service.
    name, domain = jobset["metadata"]["name"], spec["network"]["subdomain"]
    host, _, port = arguments["coordinator"].partition(":")
    assert host == f"{name}-{workers['name']}-0-0.{domain}"
    assert spec["network"]["enableDNSHostnames"] is True
    assert int(port) == container["ports"][0]["containerPort"]
    assert arguments["process"] == "$(JOB_COMPLETION_INDEX)"
    assert "JOB_COMPLETION_INDEX" in {each["name"] for each in container["env"]}
    # All of them read and write one workdir, which outlives them.
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    claimed = {each["name"] for each in pod["volumes"]}
    assert {each["name"] for each in mounts.values()} == claimed
    shared = next(path for path in mounts if arguments["workdir"].startswith(path))
    assert not mounts[shared].get("readOnly")


def given(arguments):
    return dict(argument.lstrip("-").split("=", 1) for argument in arguments)


def test_flags_and_configs_of_the_scripts_exist(jobset):
    """Those of many processes too, once the command line has them."""
    (workers,) = jobset["spec"]["replicatedJobs"]
    (container,) = workers["template"]["spec"]["template"]["spec"]["containers"]
    module = container["command"][-1]
    assert container["command"] == ["python", "-m", "gan_jax.main"]
    assert importlib.util.find_spec(module)
    used = given(container["args"])
    scripts = "\n".join(path.read_text() for path in SCRIPTS)
    names = {name.partition(".")[0] for name in used} | {"distributed"}
    known = set(flags.FLAGS)
    assert names <= known | PROCESSES
    if known & PROCESSES:
        assert names & PROCESSES <= known
    configs = {
        *re.findall(r"configs/(\w+)\.py", f"{scripts}\n{container['args']}"),
        *re.findall(r"launch/local\.sh (\w+)", scripts),
    }
    assert configs >= {"pixelcgan", "detect", "colorize", "gan", "inpaint"}
    for name in configs:
        assert (ROOT / "configs" / f"{name}.py").exists()
