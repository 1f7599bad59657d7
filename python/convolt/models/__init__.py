"""Networks that are ready to train, and the blocks that larger ones are built of.

Each network is a `convolt.layers.Sequential` with a constructor: calling it gives the scores
(N, classes), and `convolt.training.fit` trains it. All take `dtype`, `seed` and `backend`;
`input_shape` says which images (C, H, W) a network is made for.

Max pooling and ReLU may change places: the largest value behind a ReLU is the ReLU of the largest
value, and in either order the gradient goes to the first of the largest entries if that is
positive, else nowhere. With the pooling first the ReLU has a quarter of the entries, or fewer.

Examples
--------
>>> import numpy as np
>>> model = LeNet5(seed=0)
>>> model(np.zeros((3, *model.input_shape), np.float32)).shape
(3, 10)
"""

from convolt.models.alexnet import AlexNet
from convolt.models.blocks import googlenet_stem, vgg_block
from convolt.models.fashion_net import FashionNet
from convolt.models.inception import MnistInception, inception_module
from convolt.models.lenet5 import LeNet5
from convolt.models.mnist_cnn import MnistCNN
from convolt.models.multiplications import Multiplications, count_multiplications
from convolt.models.simple_convnet import CONV_PARAM, SimpleConvNet

__all__ = [
    "CONV_PARAM",
    "AlexNet",
    "FashionNet",
    "LeNet5",
    "MnistCNN",
    "MnistInception",
    "Multiplications",
    "SimpleConvNet",
    "count_multiplications",
    "googlenet_stem",
    "inception_module",
    "vgg_block",
]
