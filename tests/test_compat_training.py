"""One script of the book's kind on plain NumPy layers and on the drop-in: the same training."""
# ruff: noqa: NPY002 - the generator that the book's users seed

from __future__ import annotations

import os

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import book_layers
import convolt
from book_script import SimpleConvNet, Trainer
from convolt.compat import deep_learning_from_scratch as compat
from convolt.data import load_digits, load_mnist

MODULES = pytest.mark.parametrize("layers", [book_layers, compat], ids=["book", "convolt"])


def trained(layers, x, t, epochs, batch, optimizer="SGD", lr=0.1, **network) -> Trainer:
    """Return the trainer behind a training of the book's network with seed 0."""
    np.random.seed(0)
    net = SimpleConvNet(layers, x.shape[1:], **network)
    trainer = Trainer(net, x, t, epochs, batch, optimizer, {"lr": lr})
    trainer.train()
    return trainer


def weights(trainer: Trainer) -> list[bytes]:
    """Return the bits of the trained parameters."""
    return [parameter.tobytes() for parameter in trainer.network.params.values()]


@pytest.mark.parametrize(("optimizer", "lr"), [("SGD", 0.3), ("Adam", 0.01)])
@pytest.mark.parametrize(("size", "stride", "pad"), [(3, 1, 0), (5, 2, 2), (3, 1, 1)])
def test_the_losses_of_a_training_are_the_same(optimizer, lr, size, stride, pad):
    digits = load_digits()
    x, t = digits.train_images[:600], digits.train_labels[:600]
    conv_param = {"filter_num": 8, "filter_size": size, "pad": pad, "stride": stride}
    settings = {"conv_param": conv_param, "hidden_size": 20, "weight_init_std": 0.2}
    mine, theirs = (
        trained(layers, x, t, 3, 20, optimizer, lr, **settings) for layers in (compat, book_layers)
    )
    assert len(mine.train_loss_list) == 90
    np.testing.assert_allclose(mine.train_loss_list, theirs.train_loss_list, rtol=0, atol=1e-10)
    x, t = digits.test_images, digits.test_labels
    assert mine.network.accuracy(x, t) == theirs.network.accuracy(x, t) > 0.4


@pytest.mark.unsanitized
def test_the_losses_of_a_training_on_mnist_are_the_same():
    if "CONVOLT_DATA" not in os.environ:
        pytest.skip("CONVOLT_DATA does not name a folder with MNIST")
    mnist = load_mnist()
    x, t = mnist.train_images[:500], mnist.train_labels[:500]
    mine, theirs = (
        trained(layers, x, t, 1, 100, "Adam", 0.001) for layers in (compat, book_layers)
    )
    assert len(mine.train_loss_list) == 5
    np.testing.assert_allclose(mine.train_loss_list, theirs.train_loss_list, rtol=0, atol=1e-10)
    assert mine.train_loss_list[-1] < mine.train_loss_list[0]


@MODULES
def test_the_gradients_of_the_network_are_its_numerical_gradients(layers):
    rng = np.random.default_rng(3)
    np.random.seed(0)
    conv_param = {"filter_num": 3, "filter_size": 3, "pad": 0, "stride": 1}
    net = SimpleConvNet(layers, (2, 6, 6), conv_param, 5, 4, weight_init_std=0.2)
    x, t = rng.standard_normal((2, 2, 6, 6)), np.array([1, 3])
    numerical, gradients = net.numerical_gradient(x, t), net.gradient(x, t)
    assert numerical.keys() == gradients.keys() == net.params.keys()
    # The 1e-7 in the loss is not in the gradient: it is off by 1e-7 over the probability.
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, numerical[name], rtol=2e-6, atol=1e-7, err_msg=name)
        assert np.abs(gradient).max() > 1e-3, name


def test_one_seed_gives_the_same_bits_for_any_number_of_threads():
    """NumPy's BLAS, whose bits change with its threads, may have a part in no layer."""
    rng = np.random.default_rng(0)
    x, t = rng.random((100, 1, 28, 28)), rng.integers(10, size=100)
    results = []
    for threads in (1, 1, 2):
        with convolt.num_threads(threads), threadpool_limits(threads):
            results.append(weights(trained(compat, x, t, 2, 100)))
    assert results[0] == results[1] == results[2]
