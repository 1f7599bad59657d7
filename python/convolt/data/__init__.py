"""Real images to learn from, and what is done to them before a network sees them.

`load_digits` has images at once, `load_mnist` reads or downloads MNIST and Fashion-MNIST. Images
are (N, C, H, W) float32, as the layers take them.

Examples
--------
>>> import numpy as np
>>> from convolt.data import Compose, Flip, Shift, batches, load_digits, one_hot
>>> digits = load_digits().normalized()
>>> x, t = next(batches(digits.train_images, digits.train_labels, 32, rng=0))
>>> x.shape, t.shape, one_hot(t, 10).shape
((32, 1, 8, 8), (32,), (32, 10))
>>> augment = Compose([Shift(1), Flip(0.5)])
>>> augment(x, np.random.default_rng(0)).shape
(32, 1, 8, 8)
"""

from convolt.data.augmentation import Augmentation, Compose, Flip, Shift
from convolt.data.dataset import Dataset, batches, mean_and_std, normalize, one_hot
from convolt.data.idx import read_idx
from convolt.data.loading import FASHION_MNIST_CLASSES, load_digits, load_mnist

__all__ = [
    "FASHION_MNIST_CLASSES",
    "Augmentation",
    "Compose",
    "Dataset",
    "Flip",
    "Shift",
    "batches",
    "load_digits",
    "load_mnist",
    "mean_and_std",
    "normalize",
    "one_hot",
    "read_idx",
]
