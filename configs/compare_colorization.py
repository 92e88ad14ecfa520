"""Compare every objective of colorization, and ChromaGAN's ablation, on the same data.

Papers:   Fabbri 2017 compares the first six. Its sections of results are empty; its
          claims are those of the report in its author's repository. Vitoria, Raad &
          Ballester 2020, arXiv 1907.09837, table 2.
Prior:    none.
Data:     as colorize.py. ChromaGAN's teacher needs labels (cifar10, svhn, or
          --config.shared.data.path with labels) or
          --config.shared.teacher.path=RUN/teacher.msgpack. Without either, the three
          arms with a teacher are left out.
Variants: the data sets; narrow (short runs for a CPU); smoke. --config.only=lsgan,gan
          takes some of the arms.
Cost:     cifar10,narrow with two seeds: about an hour on two CPU cores.
Expected: cifar10,narrow: FID 6.3 (gan) to 16.7 (regression); see docs/results.md.

python -m gan_jax.main --config=configs/compare_colorization.py:cifar10,narrow
"""

from gan_jax.config import defaults

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
        name: defaults.sibling(__file__, "colorize", f"{variant},{name}".strip(","))
        for name in _ARMS
    }
    return defaults.study("compare_colorization", arms, _SHARED)


_SHARED = (
    "teacher.path",
    "teacher.classifier.width",
    "teacher.classifier.epochs",
)
