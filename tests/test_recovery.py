"""Images that a generator made are found again: the search's end-to-end figure."""

import jax
import numpy as np
import pytest
from PIL import Image

from gan_jax.report.grids import to_uint8
from gan_jax.runs.prior import open_prior
from tests.programs import results, start_run, summary


@pytest.mark.endurance
def test_images_in_the_range_of_a_prior_are_recovered(tmp_path):
    """64 images under a half of their pixels: 30 dB over the other half."""
    finished = start_run(
        tmp_path / "prior", config="--config=configs/gan.py", seconds=1500
    )
    assert finished.returncode == 0, finished.stderr
    prior = open_prior(str(tmp_path / "prior"), "")
    latent = prior.method.latent(jax.random.key(5), 64)
    made = prior.method.generator.apply(prior.networks.generator, latent)
    (tmp_path / "made").mkdir()
    for name, image in enumerate(to_uint8(np.asarray(made))):
        Image.fromarray(image[..., 0]).save(tmp_path / "made" / f"{name}.png")
    finished = start_run(
        tmp_path / "found",
        f"--config.prior={tmp_path / 'prior'}",
        f"--config.images={tmp_path / 'made'}",
        "--config.masks=random:0.5",
        "--config.losses.yeh.prior=0",
        config="--config=configs/inpaint.py:yeh,exact",
        seconds=1500,
    )
    assert finished.returncode == 0, finished.stderr
    assert summary(tmp_path / "found")["inputs"] == {"done": 64, "failed": 0}
    decibels = [line["psnr_hole"] for line in results(tmp_path / "found")]
    assert np.mean([value is None or value > 30 for value in decibels]) >= 0.9
