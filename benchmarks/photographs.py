"""AlexNet learns eight photographs, each a class of its own.

They come with scikit-image, which has to be installed. Every image is cut to a square in its middle
and brought to 227 by 227 pixels by averages of blocks. What is to be seen: a forward pass and whole
training steps at the paper's size, and a loss that falls.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from numpy.typing import NDArray

import convolt
from contest import positive
from convolt.layers import SoftmaxCrossEntropy
from convolt.models import AlexNet
from convolt.optim import SGD

NAMES = (
    *("astronaut", "chelsea", "coffee", "rocket"),
    *("retina", "hubble_deep_field", "immunohistochemistry", "stereo_motorcycle"),
)
SIZE = 227


def photographs() -> NDArray[np.float32]:
    """Return x (8, 3, 227, 227), each channel with mean 0 and deviation 1."""
    from skimage import data, transform

    images = []
    for name in NAMES:
        image = getattr(data, name)()
        image = image[0] if isinstance(image, tuple) else image  # the left one of two
        side = min(image.shape[:2])
        top, left = ((size - side) // 2 for size in image.shape[:2])
        square = image[top : top + side, left : left + side, :3]
        images.append(transform.resize(square, (SIZE, SIZE), anti_aliasing=True))
    x = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)
    x -= x.mean(axis=(0, 2, 3), keepdims=True)
    x /= x.std(axis=(0, 2, 3), keepdims=True)
    return np.ascontiguousarray(x)


def main(arguments: list[str] | None = None) -> None:
    """Train, and print the losses and the time of a step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=positive, default=20, metavar="N")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of convolt (all)")
    options = parser.parse_args(arguments)
    if options.threads:
        convolt.set_num_threads(options.threads)
    try:
        x = photographs()
    except ImportError as error:
        raise SystemExit(f"photographs.py needs scikit-image: {error}") from error
    labels = np.arange(len(x))
    model, loss = AlexNet(num_classes=len(x), seed=0), SoftmaxCrossEntropy()
    optimizer = SGD(lr=0.002, momentum=0.9)
    seconds = []
    for step in range(options.steps):
        start = time.perf_counter()
        value = loss(model(x), labels)
        model.backward(loss.backward())
        optimizer.update(model.parameters(), model.gradients())
        seconds.append(time.perf_counter() - start)
        print(f"step {step + 1:2}  loss {value:.4f}", flush=True)
    right = int((model.eval()(x).argmax(axis=1) == labels).sum())
    print(f"{right} of {len(x)} recognised; a step takes {median(seconds):.2f} s")


if __name__ == "__main__":
    main()
