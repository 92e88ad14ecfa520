"""Compare every adversarial objective on the same data.

Papers:   those of the compared configs; a public study of such comparisons is Lucic et
          al. 2017, arXiv 1711.10337.
Prior:    none.
Data:     as gan.py, images or points; digits by default.
Variants: the data sets; narrow (short runs for a CPU); smoke. --config.only=lsgan,wgan
          takes some of the arms.
Cost:     two seeds on two CPU cores: digits and fashion_mnist,narrow about an hour
          each, gaussians8 ten minutes.
Expected: fashion_mnist,narrow: FID 87 (wgan_gp) to 183 (wgan), minimax 843; see
          docs/results.md.

python -m gan_jax.main --config=configs/compare_objectives.py:gaussians8
python -m gan_jax.main --config=configs/compare_objectives.py:fashion_mnist,narrow
"""

from gan_jax.config import defaults

_FILES = {
    "minimax": "gan",
    "nonsaturating": "gan",
    "lsgan": "lsgan",
    "ebgan": "ebgan",
    "wgan": "wgan",
    "wgan_gp": "wgan_gp",
    "hinge": "hinge",
    "relativistic": "r3gan",
}


def get_config(variant: str = ""):
    arms = {
        name: defaults.sibling(__file__, file, variant) for name, file in _FILES.items()
    }
    arms["minimax"].objective = "minimax"
    for arm in arms.values():
        # A boost would give this critic many more updates than the others.
        arm.critic_boost = {"steps": 0, "first": 0, "every": 0}
    return defaults.study("compare_objectives", arms, ("network.kernel",))
