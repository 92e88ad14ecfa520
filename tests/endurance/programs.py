"""Every program, at a size at which a restart takes seconds."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.programs import Finished, run
from tests.runs import kept, kept_detector, smoke


class Program(NamedTuple):
    """A program as its user starts it."""

    arguments: tuple[str, ...]
    """The module, and flags with `{workdir}` and the names of `inputs`."""
    moments: tuple[str, ...]
    """Names of the `MOMENTS` at which it is stopped; the later ones come last."""

    def command(self, workdir: Path, inputs: Mapping[str, Path]) -> list[str]:
        """Return the arguments of the program for a workdir."""
        return [text.format(workdir=workdir, **inputs) for text in self.arguments]


def main(config: str, keys: str) -> tuple[str, ...]:
    """Return the arguments of a run of a config with values of keys."""
    flags = (f"--config.{key}" for key in keys.split())
    return "gan_jax.main", f"--config=configs/{config}", "--workdir={workdir}", *flags


_SHORT = "steps=40 checkpoint_every=10 sample_every=20 fused_steps=10"
_MEASURED = (
    f"{_SHORT} evaluation.every=20 evaluation.count=100 evaluation.final_count=100 "
    "evaluation.classifier.epochs=1 evaluation.classifier.width=4"
)
_NARROW = "batch_size=4 network.width=8 network.critic_width=8"
_TRAINING = ("start", "training", "saving", "training", "evaluation", "report")
_SEARCHING = ("start", "claimed", "search", "outputs", "report")
_APPLYING = ("start", "claimed", "outputs", "report")

PROGRAMS: Mapping[str, Program] = {
    "train, conditional": Program(main("pixelcgan.py:smoke", _MEASURED), _TRAINING),
    "train, history": Program(
        main("wgan_gp.py:smoke", f"{_MEASURED} history.every=10"), _TRAINING
    ),
    "train, wells": Program(
        main(
            "geostatistics.py:smoke",
            f"{_MEASURED} data.size=32 network.depth=2 network.critic_depth=2",
        ),
        _TRAINING,
    ),
    "colorize": Program(
        main(
            "colorize.py:smoke",
            f"{_MEASURED} {_NARROW}",
        ),
        _TRAINING,
    ),
    "colorize, teacher": Program(
        main(
            "colorize.py:chromagan,smoke",
            f"{_SHORT} {_NARROW} data.path={{labelled}} evaluation.every=0 "
            "evaluation.classifier.epochs=0 teacher.classifier.width=4 "
            "teacher.classifier.features=8",
        ),
        _TRAINING,
    ),
    "detect": Program(
        main(
            "detect.py:smoke",
            "steps=40 checkpoint_every=10 sample_every=20 detector.steps=40 "
            "detector.every=10 baselines.searched=5",
        ),
        ("start", "training", "saving", "training", "shaping", "report"),
    ),
    "study": Program(
        main(
            "compare_objectives.py:gaussians8,smoke",
            "only=ebgan,hinge seeds=1 shared.steps=40 shared.batch_size=16",
        ),
        _TRAINING,
    ),
    "collaborate": Program(
        main("collaborate.py:smoke", "prior={gan} count=60 shaping.images=100"),
        ("start", "shaping", "saving", "shaping", "report"),
    ),
    "inpaint": Program(
        main("inpaint.py:yeh,ballester,smoke", "prior={gan}"), _SEARCHING
    ),
    "inpaint, images": Program(
        main("inpaint.py:smoke", "prior={gan} images={grey} masks={masks}"),
        _SEARCHING,
    ),
    "generate": Program(
        main("generate.py", "prior={pixels} known={known} count=3000 batch=16"),
        ("start", "claimed", "realisations", "realisations", "report"),
    ),
    "generate, refined": Program(
        main("generate.py:refine,exact", "prior={pixels} known={known} count=40"),
        ("start", "claimed", "realisations", "report"),
    ),
    "collaborate, images": Program(
        main(
            "collaborate.py:inpainting,smoke",
            "prior={gan} images={grey} masks=center shaping.masks=center "
            "shaping.images=60",
        ),
        ("start", "search", "shaping", "outputs", "report"),
    ),
    "detect, images": Program(
        main("detect.py:smoke", "prior={detector} images={grey}"), _APPLYING
    ),
    "colorize, images": Program(
        main("colorize.py:smoke", "prior={colorizer} images={colour}"), _APPLYING
    ),
    "batch": Program(
        (
            *("launch.batch", "--config=configs/inpaint.py:yeh,smoke", "--block=2"),
            *("--images={grey}", "--config.prior={gan}", "--out={workdir}"),
        ),
        ("start", "claimed", "outputs", "outputs", "report"),
    ),
    "export": Program(
        ("gan_jax.export", "--prior={gan}", "--out={workdir}"),
        ("start", "start", "artefact", "artefact"),
    ),
}


_POINTS = (
    "batch_size=16 checkpoint_every=10 evaluation.every=10 evaluation.count=50 "
    "evaluation.final_count=50 history.every=10 sample_every=10 fused_steps=10"
)


def train_points(workdir: Path | str, steps: int) -> Finished:
    """Train a generator of points in this process, or continue; it takes seconds."""
    flags = [f"--config.{key}" for key in (*_POINTS.split(), f"steps={steps}")]
    return run(workdir, *flags, config="--config=configs/wgan_gp.py:gaussians8,smoke")


def refused(ended: Finished) -> bool:
    """Check that a program ended with exit code 2 and one readable line, its last."""
    assert ended.returncode == 2, ended.stderr
    *_, line = ended.stderr.splitlines()
    assert line.startswith("gan_jax: ") and line.isprintable(), ended.stderr
    assert len(re.findall("^gan_jax: ", ended.stderr, re.MULTILINE)) == 1, ended.stderr
    return True


def make_inputs(place: Path) -> dict[str, Path]:
    """Write what the programs of the table are given; return the paths by name."""
    draw = np.random.default_rng(0)
    kept(place / "gan", smoke("gan"))
    kept(place / "pixels", smoke("pixelcgan"))
    (place / "known").mkdir()
    for name in ("one", "two"):
        points = "".join(f"{x},{x},{9 * x}\n" for x in draw.permutation(28)[:4])
        (place / "known" / f"{name}.csv").write_text(f"x,y,value\n{points}")
    kept(place / "colorizer", smoke("colorize"), channels=3)
    kept_detector(place / "detector")
    for name, shape in (("grey", (28, 28)), ("colour", (20, 24, 3))):
        (place / name).mkdir()
        for index in range(8):
            image = draw.integers(0, 256, shape, np.uint8)
            Image.fromarray(image).save(place / name / f"{index}.png")
        (place / name / "broken.png").write_bytes(b"no image")
    (place / "masks").mkdir()
    for index in range(8):
        mask = np.full((28, 28), 255, np.uint8)
        mask[8:16, index : index + 12] = 0
        Image.fromarray(mask).save(place / "masks" / f"{index}.png")
    (place / "labelled").mkdir()
    for part, count in (("train", 200), ("test", 50)):
        label = np.arange(count) % 2
        base = np.where(label[:, None] == 0, [200, 60, 60], [20, 40, 120])
        noise = draw.integers(-20, 20, (count, 32, 32, 1))
        image = (base[:, None, None] + noise).astype(np.uint8)
        np.savez(place / "labelled" / f"{part}.npz", image=image, label=label)
    return {path.name: path for path in place.iterdir()}
