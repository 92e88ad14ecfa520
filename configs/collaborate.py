"""Refine samples or completed images by the gradient of a trained critic.

Papers:   Liu, Kothari & Alahi 2019, arXiv 1902.00633; inpainting: Mortiniera 2020;
          acceptance: Azadi et al. 2018, arXiv 1810.06758, Turner et al. 2018, arXiv
          1811.11357.
Prior:    a trained GAN: --config.prior=WORKDIR of gan.py or similar.
Data:     the prior's. inpainting also takes your own: --config.images=DIR with
          --config.masks=DIR and --config.shaping.masks=center (a hole by name).
Variants: sampling (default); inpainting; published (the code of Liu et al.: all 50
          steps, the best one kept); published64 (Mortiniera's code, for a prior of
          gan.py:fashion64); points (for a prior of Gaussians in the plane); narrow
          (minutes on a CPU); smoke. After inpainting, adam, momentum or exact chooses
          the latent search, as in configs/inpaint.py.
Cost:     digits, narrow: a few minutes on two CPU cores. inpainting,published64: five
          minutes on one H100, or 16 hours on two CPU cores for the searches of the
          2,000 images. The searches of all 54,000 training images cost 27 times as
          much; --config.shaping.images takes fewer. These are estimates from the
          measured rates of searches with 32 filters.
Expected: inpainting,published64 (published, composites of 2,000 test images): SSIM .813
          to .834, PSNR 23.71 to 24.48 dB; 5 of the 20 listed images got worse.

python -m gan_jax.main --config=configs/collaborate.py --config.prior=runs/gan
python -m gan_jax.main --config=configs/collaborate.py:inpainting,narrow --config.prior=runs/gan
python -m gan_jax.main --config=configs/collaborate.py:inpainting,adam,narrow --config.prior=runs/gan
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import SEARCHES, with_named


def get_config(variant: str = ""):
    return with_named(defaults.collaboration("collaborate"), variant, VARIANTS)


# As in the code of Liu et al.: all steps are made and the best one is kept.
_LIU = {
    "refinement.rate": 0.1,
    "refinement.steps": 50,
    "refinement.stopping": "best",
    "shaping.learning_rate": 1e-5,
    "shaping.stopping": "probabilistic",
}

# The settings of Mortiniera's code, for a prior of configs/gan.py:fashion64.
_MORTINIERA = {
    "refinement.layer": 3,
    "refinement.rate": 0.1,
    "refinement.steps": 50,
    "refinement.stopping": "best",
    "shaping.learning_rate": 2e-4,
    "shaping.stopping": "best",
    **SEARCHES["adam"],
}

VARIANTS = {
    **SEARCHES,
    "sampling": {},
    "inpainting": {
        "masks": "center",
        "count": 2000,
        "refinement.rate": 0.05,
        "refinement.steps": 10,
        # The published weight, for searches of 1,000 iterations of Adam. Completions
        # then fit the known pixels with little regard to the critic.
        "losses.yeh.prior": 1e-4,
        "search.iterations": 300,
        "search.restarts": 1,
    },
    "published": _LIU,
    "inpainting,published": _LIU,
    "published64": _MORTINIERA,
    "inpainting,published64": _MORTINIERA,
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
