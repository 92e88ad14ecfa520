"""Colorization under every objective, and ChromaGAN's ablation, on the same data.

Papers:   Fabbri 2017, which compares the first six: its sections of results are empty,
          and its claims are those of the report in its author's repository; Vitoria,
          Raad & Ballester 2020, arXiv 1907.09837, table 2.
Data:     as for configs/colorize.py. ChromaGAN's teacher wants labels (cifar10, svhn,
          or a --config.shared.data.path with labels), or
          --config.shared.teacher.path=<run>/teacher.msgpack; without, the three arms
          that ask a teacher are left out.
Variants: the data sets, narrow (short, for a CPU), smoke; joined by commas.
          --config.only=lsgan,regression for some of the arms.
Cost:     cifar10,narrow with two seeds about an hour on two CPU cores.

python -m gan_jax.main --config=configs/compare_colorization.py:cifar10,narrow
"""

from gan_jax.config import defaults as configs

_ARMS = (
    "regression",
    "gan",
    "lsgan",
    "ebgan",
    "wgan",
    "wgan_gp",
    "chromagan",
    "chromagan_sum",
    "chromagan_no_class",
    "chromagan_no_adversarial",
)


def get_config(variant: str = ""):
    arms = {
        name: configs.sibling(__file__, "colorize", f"{variant},{name}".strip(","))
        for name in _ARMS
    }
    return configs.study("compare_colorization", arms, _SHARED)


_SHARED = (
    "teacher.path",
    "teacher.classifier.width",
    "teacher.classifier.epochs",
)
