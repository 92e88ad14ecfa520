"""Trees of images with defects, laid out as MVTec AD, made from photographs.

python -m tests.defects PHOTOGRAPHS TREE

The normal images are crops of the most even photographs of a folder, each of which is
one texture: those to train on come from its left, those to test on from its right.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

SIZE = 64
DEFECTS = ("patch", "scratch", "stain")


def even(photographs, count):
    """Return the photographs whose crops are most alike, in brightness and contrast."""

    def spread(photograph):
        grey = photograph.mean(axis=-1)
        rows, columns = (side // SIZE for side in grey.shape)
        cells = grey[: rows * SIZE, : columns * SIZE].reshape(rows, SIZE, columns, SIZE)
        means, contrasts = cells.mean(axis=(1, 3)), cells.std(axis=(1, 3))
        # Skies are even too, and no texture.
        return np.inf if contrasts.min() < 8 else np.ptp(means) + np.ptp(contrasts)

    return sorted(photographs, key=spread)[:count]


def crops(photographs, count, draw, right, size=SIZE):
    """Return crops of the left two thirds of photographs, or of their right third."""
    made = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width, _ = photograph.shape
        edge = 2 * width // 3
        left, most = (edge, width - size) if right else (0, edge - size)
        top = draw.integers(0, height - size + 1)
        column = draw.integers(left, most + 1)
        made.append(photograph[top : top + size, column : column + size])
    return made


def _blob(draw, size):
    """Return an uneven spot, a 25th of the image or so."""
    noise = ndimage.gaussian_filter(draw.standard_normal((size, size)), size / 12)
    rows, columns = np.mgrid[:size, :size]
    top, left = draw.uniform(0.3 * size, 0.7 * size, 2)
    near = np.exp(-((rows - top) ** 2 + (columns - left) ** 2) / (0.02 * size**2))
    value = near * (1 + noise / (2.5 * noise.std()))
    return value > np.quantile(value, 0.95)


def _line(draw, size):
    rows, columns = np.mgrid[:size, :size]
    angle = draw.uniform(0, np.pi)
    top, left = draw.uniform(0.35 * size, 0.65 * size, 2)
    across = (rows - top) * np.cos(angle) - (columns - left) * np.sin(angle)
    along = (rows - top) * np.sin(angle) + (columns - left) * np.cos(angle)
    return (abs(across) < size / 40) & (abs(along) < size / 3)


def defective(kind, image, other, draw):
    """Return an image with a defect, and its mask: white where it was changed."""
    size = len(image)
    where = _line(draw, size) if kind == "scratch" else _blob(draw, size)
    values = image.astype(float)
    if kind == "patch":  # of another photograph
        values[where] = other[where]
    elif kind == "scratch":
        values[where] = (values[where] + (255 if image.mean() < 128 else 0)) / 2
    else:
        values[where] = 0.4 * values[where] + 0.6 * np.array([90, 40, 20])
    return values.astype(np.uint8), np.where(where, np.uint8(255), np.uint8(0))


def write_tree(root, photographs, train, test, size=SIZE, seed=0, mode="RGB"):
    """Write `train/good`, `test/good`, a folder of each defect, and `ground_truth`.

    Args:
        root: Folder of the tree.
        photographs: The photographs, of which the last one is not among the normal
            images: defects are cut out of it.
        train: Number of images to train on.
        test: Number of images of each class to test on.
        size: Height and width of the images.
        seed: Seed of places and shapes.
        mode: Pillow's mode of the images.
    """
    draw = np.random.default_rng(seed)
    *normal, other = photographs

    def write(place, image, mode=mode):
        path = Path(root, place)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert(mode).save(path)

    for number, image in enumerate(crops(normal, train, draw, False, size)):
        write(f"train/good/{number:03d}.png", image)
    for number, image in enumerate(crops(normal, test, draw, True, size)):
        write(f"test/good/{number:03d}.png", image)
    for kind in DEFECTS:
        foreign = crops([other], test, draw, False, size)
        whole = crops(normal, test, draw, True, size)
        for number, pair in enumerate(zip(whole, foreign, strict=True)):
            image, mask = defective(kind, *pair, draw)
            write(f"test/{kind}/{number:03d}.png", image)
            write(f"ground_truth/{kind}/{number:03d}_mask.png", mask, "L")


def main():
    """Make a tree of normal and defective images from photographs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="photographs (*.jpg)")
    parser.add_argument("tree", help="folder of the new tree")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.jpg"))
    photographs = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    *textures, other = even(photographs, 4)
    write_tree(arguments.tree, [*textures, other], train=240, test=30)


if __name__ == "__main__":
    main()
