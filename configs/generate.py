"""Generate images under your own known pixels or wells, with a trained GAN.

Prior:    a GAN under known pixels: --config.prior=WORKDIR of pixelcgan.py,
          geostatistics.py or similar, or the name of a packaged one; empty = the
          packaged digits, 28x28. Without known values also a plain GAN.
Data:     --config.known=FILE or a folder of files, one set of known values each: CSV
          (x,y,value or row,column,value; x = column, y = row from the upper left, and
          perhaps error, a standard deviation), GSLIB point sets (in the coordinates of
          the grid, y up; --config.variable names their column), image.png,mask.png (white = known), or .npz with values and
          mask. Values are in the units of the prior's data: levels 0 to 255, codes of
          facies, or the property of a training image.
Variants: exact (known values are put into the images); refine (latents are searched
          until known values are honoured); smoke. --config.rounded=False leaves levels
          and codes of facies as the network makes them.
Results:  under realisations/NAME: realisations.npz, statistics.npz, mean, spread, P10,
          P50 and P90, the first 16 as pictures, and for GSLIB points the first 100 as
          realisations.gslib.
Cost:     64 digits under 5 pixels: seconds on two CPU cores; 100,000: 35 seconds, in
          0.5 GB of memory.
Expected: prior pixelcgan.py:smoke, five known pixels: 55% honoured as generated, all
          of them with refine (ten times as long) or exact.

python -m gan_jax.main --config=configs/generate.py --config.known=known.csv --workdir=runs/known_digits
python -m gan_jax.main --config=configs/generate.py --config.prior=runs/pixelcgan --config.known=known.csv
python -m gan_jax.main --config=configs/generate.py:refine --config.prior=runs/geostatistics --config.known=wells.gslib --config.count=1000
"""  # noqa: E501

from gan_jax.config import defaults
from gan_jax.config.variants import with_named


def get_config(variant: str = ""):
    return with_named(defaults.realisation("generate"), variant, VARIANTS)


VARIANTS = {
    "exact": {"exact": True},
    "refine": {"refine": True},
    "smoke": {"count": 20},
}
