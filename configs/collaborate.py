"""Collaborative sampling: a generator and its critic refine samples together.

Papers:   Liu, Kothari & Alahi 2019, arXiv 1902.00633; inpainting: Mortiniera 2020;
          acceptance: Azadi et al. 2018, arXiv 1810.06758, Turner et al. 2018,
          arXiv 1811.11357.
Prior:    --config.prior=<workdir of a training run>, e.g. of configs/gan.py.
Images:   inpainting: unseen test images of the prior's data, or your own:
          --config.images=DIR --config.masks=DIR --config.shaping.masks=center.
          Holes by name as for configs/inpaint.py: center, center:16, squares:4:16, ...
Variants: sampling (default), inpainting, published (the authors' steps and rates),
          points (for a prior of Gaussians in the plane), narrow (minutes on a CPU),
          smoke; joined by commas.

python -m gan_jax.main --config=configs/collaborate.py --config.prior=runs/gan
python -m gan_jax.main --config=configs/collaborate.py:inpainting,narrow --config.prior=runs/gan
"""  # noqa: E501

from gan_jax import config as configs
from gan_jax.variants import with_named


def get_config(variant: str = ""):
    return with_named(configs.collaboration("collaborate"), variant, VARIANTS)


VARIANTS = {
    "sampling": {},
    "inpainting": {
        "masks": "center",
        "count": 2000,
        "refinement.rate": 0.05,
        "refinement.steps": 10,
        # As published, where latents make 1,000 iterations of Adam: completions that
        # fit what is known, whatever the critic says of them.
        "losses.yeh.prior": 1e-4,
        "search.iterations": 300,
        "search.restarts": 1,
    },
    # The authors' step sizes.
    "published": {
        "refinement.rate": 0.1,
        "refinement.steps": 50,
        "shaping.learning_rate": 1e-5,
        "shaping.stopping": "probabilistic",
    },
    "points": {
        "refinement.layer": 4,
        "refinement.rate": 0.02,
        "shaping.batch_size": 256,
        "shaping.learning_rate": 1e-4,
        "acceptance.epochs": 24.0,
        "acceptance.learning_rate": 1e-3,
    },
    "narrow": {
        "shaping.images": 5000,
        "shaping.epochs": 20.0,
        "shaping.snapshots": "1,5,10",
    },
    "smoke": {
        "count": 300,
        "refinement.steps": 5,
        "shaping.images": 200,
        "shaping.epochs": 1.0,
        "shaping.snapshots": "0,0.5,1",
        "shaping.batch_size": 16,
        "shaping.checkpoint_every": 5,
        "acceptance.count": 20,
        "acceptance.proposals": 5,
        "search.iterations": 20,
        "search.restarts": 2,
    },
}
