"""Train a generator of subsurface realisations that honour wells.

Papers:   Ruffino, Herault, Laloy & Gasso 2019, arXiv 1911.00689 and 2002.01281 (a
          U-Net); the classic example is the channels of Strebelle 2002.
Prior:    none.
Data:     a training image: --config.data.path=FILE, a table of GSLIB, SGeMS, MPSlib,
          SGSIM, geone or DeeSse, an array or a grey image; see docs/geostatistics.md.
          Training uses random 64x64 crops. Without a file it trains on the image
          `channels`, which the project makes itself.
Variants: smoke (one minute).
Cost:     some 25 minutes on a CPU core.
Expected: more than 95% of all wells within 0.1 of the value range (`honoured`).

python -m gan_jax.main --config=configs/geostatistics.py --config.data.path=FILE
"""

from gan_jax.config import defaults
from gan_jax.config.variants import with_named


def get_config(variant: str = ""):
    config = defaults.sibling(__file__, "pixelcgan", "")
    config.name = "geostatistics"
    config.update_from_flattened_dict(_CHANNELS)
    return with_named(config, variant, VARIANTS)


_CHANNELS = {
    "task": "wells",
    "data.name": "channels",
    "data.size": 64,
    "mask.fraction": 0.0,
    # From no well at all to 100, few of them as often as many.
    "mask.count": 0,
    "mask.most": 100,
    "mask.numbers": "log",
    # A heavier weight honours wells by lone pixels, whatever lies around them.
    "pixel_weight": 20.0,
    # Fields hold the training image's share of each facies.
    "moments_weight": 100.0,
    "batch_size": 32,
    "steps": 4000,
    "evaluation.every": 500,
    "evaluation.count": 1000,
    "evaluation.final_count": 2000,
    # The classifier tells quarter turns apart, which it learns quickly on channels.
    "evaluation.classifier.width": 16,
    "evaluation.classifier.epochs": 2,
    # A noise vector for every 16x16 pixels: whole fields are made from crops.
    "latent.form": "map",
    "latent.size": 8,
    "network.generator": "latent_unet",
    "network.depth": 4,
    "network.critic_depth": 4,
    # The inside of a field is as the crops that the critic sees.
    "network.margin": 16,
    "network.width": 24,
    "network.critic_width": 24,
}

VARIANTS = {
    "smoke": {
        "steps": 60,
        "batch_size": 16,
        "evaluation.every": 30,
        "evaluation.count": 100,
        "evaluation.final_count": 100,
        "network.width": 8,
        "network.critic_width": 8,
        "fused_steps": 10,
        "checkpoint_every": 30,
        "sample_every": 30,
    },
}
