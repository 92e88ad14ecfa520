"""Apply a trained run to a collection of images of any size, as a batch job.

python -m launch.batch --config=configs/inpaint.py:yeh --config.prior=runs/gan --images=DIR --out=runs/filled
python -m launch.batch --config=configs/detect.py --config.prior=runs/detect --images=DIR --out=runs/scored
python -m launch.batch --config=configs/generate.py --config.prior=runs/wells --images=DIR --out=runs/made
python -m launch.batch --engine=ray --workers=2 --config=... --images=DIR --out=...
python -m launch.batch --engine=ray --address=auto --config=... --images=DIR --out=...

For configs/inpaint.py, collaborate.py (which refines completed images), detect.py,
colorize.py and generate.py (whose images are files of known values). Results under
`--out`: images/<name>.png in the sub-folders of the inputs, or realisations/<name>;
results/part-*.parquet with a row per image, and summary.json. The same command resumes after any crash. Images that have
a row are not redone unless they have changed; after `kill -9` those of the last ten
seconds may be.
"""  # noqa: E501

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.flags import run_program

_IMAGES = flags.DEFINE_string("images", None, "Folder of images, or of known values.")
_OUT = flags.DEFINE_string("out", None, "Folder of the results.")
_ENGINE = flags.DEFINE_enum(
    "engine", "local", ["local", "ray"], "Run on this machine, or on a Ray cluster."
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Number of Ray actors; 0 = one per GPU, or per machine without.", 0
)
_ADDRESS = flags.DEFINE_string(
    "address", "", "Address of a Ray cluster; empty starts Ray on this machine."
)
_BLOCK = flags.DEFINE_integer(
    "block", 0, "Files per block of work; 0 chooses it by the application.", 0
)
for _flag in ("config", "verbose"):
    flags.declare_key_flag(_flag)  # so that --help lists it


def results_folder() -> Path:
    """Return the folder of the results that the flags name.

    Raises:
        InputError: If they name none.
    """
    if _OUT.value is None:
        raise InputError("where do the results go? e.g. --out=runs/filled")
    return Path(_OUT.value)


def set_images(config: ConfigDict) -> None:
    """Set `images` of a config, or its `known`, from the flags.

    Raises:
        InputError: If the flags contradict each other or do not fit the config.
    """
    from gan_jax.apps.batch.inputs import inputs_of

    key = inputs_of(config.program).key
    if key not in config:
        raise InputError(
            f"{config.name} has no images to apply it to: name configs/inpaint.py, "
            "generate.py, collaborate.py, detect.py or colorize.py"
        )
    if _ENGINE.value == "local" and (_WORKERS.value or _ADDRESS.value):
        raise InputError("--workers and --address are Ray's: give --engine=ray")
    if _IMAGES.value is not None:
        config[key] = _IMAGES.value


def launch(config: ConfigDict) -> None:
    """Run the batch job of a config and of the flags."""
    from gan_jax.apps.batch import run as batch
    from gan_jax.apps.batch.engine import Engine
    from gan_jax.apps.batch.local import local
    from gan_jax.apps.batch.ray import on_ray
    from gan_jax.report.terminal import say
    from gan_jax.runs.startup import keep_compiled, keep_memory

    out = results_folder()
    set_images(config)
    keep_compiled()
    keep_memory()

    def start_engine(config: ConfigDict, out: Path) -> AbstractContextManager[Engine]:
        if _ENGINE.value == "local":
            return local(config, out)
        return on_ray(config, out, _WORKERS.value, _ADDRESS.value)

    summary = batch.run(config, out, start_engine, _BLOCK.value)
    inputs, timing = summary["inputs"], summary["timing"]
    say(
        f"{inputs['done']} images done, {inputs['failed']} failed; "
        f"{timing['images']} now, {timing['images_per_second']:.1f} a second"
    )
    say(f"results: {out / 'results'}")


def main(arguments: list[str]) -> int:
    """Run the batch job of the command line, and return the exit code."""
    return run_program(arguments, launch)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
