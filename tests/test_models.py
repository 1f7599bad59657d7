"""The networks of `convolt.models`: shapes, counts, gradients, either backend, learning."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from convolt import functional, reference
from convolt.data import load_digits
from convolt.layers import (
    Conv2d,
    Dropout,
    MaxPool2d,
    Parallel,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
)
from convolt.models import (
    AlexNet,
    FashionNet,
    LeNet5,
    MnistCNN,
    MnistInception,
    SimpleConvNet,
)
from convolt.models.blocks import alexnet_normalization
from convolt.optim import SGD, Adam

SMALL = {
    "mnist-cnn": MnistCNN,
    "lenet5": LeNet5,
    "lenet5-1998": lambda **options: LeNet5("1998", **options),
    "inception": MnistInception,
    "inception-linear": lambda **options: MnistInception(activation=None, **options),
    "fashion-net": FashionNet,
}
PARAMETERS = {
    "mnist-cnn": 8_490,
    "lenet5": 61_706,
    "lenet5-1998": 61_706,
    "inception": 97_298,
    "inception-linear": 97_298,
    "fashion-net": 278_858,
}
EACH = pytest.mark.parametrize("name", SMALL)


def size(model) -> int:
    return sum(array.size for array in model.parameters().values())


def digits(count: int, dtype=np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 28 x 28 pixels, with noise so that nearly no two pixels are equal."""
    data = load_digits()
    images = np.kron(data.train_images[:count], np.ones((1, 1, 3, 3)))
    images = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    images += 0.1 * np.random.default_rng(0).standard_normal(images.shape)
    return images.astype(dtype), data.train_labels[:count]


def loss_and_gradients(model, x, labels) -> tuple[float, dict[str, np.ndarray]]:
    criterion = SoftmaxCrossEntropy()
    loss = criterion(model(x), labels)
    model.backward(criterion.backward())
    return loss, model.gradients()


@EACH
def test_shapes_and_parameters_are_those_of_the_docstring(name):
    model = SMALL[name](seed=0)
    assert model.input_shape == (1, 28, 28)
    assert model.output_shape(model.input_shape) == (10,)
    assert size(model) == PARAMETERS[name]
    x, _ = digits(3)
    y = model(x)
    assert (y.shape, y.dtype) == ((3, 10), np.float32)
    assert SMALL[name](num_classes=4, seed=0)(x).shape == (3, 4)


@pytest.mark.cpu_only  # the backends' gradients agree, test_cuda_layers.py says
@EACH
def test_gradients_are_those_of_central_differences(name):
    """Along random directions, one for each parameter."""
    model, (x, labels) = SMALL[name](seed=0, dtype=np.float64), digits(4, np.float64)
    criterion, rng, step = SoftmaxCrossEntropy(), np.random.default_rng(1), 1e-6
    gradients = loss_and_gradients(model, x, labels)[1]
    for key, parameter in model.parameters().items():
        direction = rng.standard_normal(parameter.shape)
        direction /= np.linalg.norm(direction)
        losses = []
        for sign in (1, -2):
            parameter += sign * step * direction
            losses.append(criterion(model(x), labels))
        parameter += step * direction
        slope = (losses[0] - losses[1]) / (2 * step)
        expected = float(np.sum(gradients[key] * direction))
        assert slope == pytest.approx(expected, rel=1e-5, abs=1e-8), key


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_backends_agree(name, dtype):
    x, labels = digits(2, dtype)
    ours, numpys = (SMALL[name](seed=0, dtype=dtype, backend=b) for b in (functional, reference))
    loss, gradients = loss_and_gradients(ours, x, labels)
    expected_loss, expected = loss_and_gradients(numpys, x, labels)
    tolerance = 1e4 * float(np.finfo(dtype).eps)
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert list(gradients) == list(ours.parameters())
    for key, gradient in gradients.items():
        assert gradient.dtype == dtype
        difference = np.linalg.norm(gradient - expected[key])
        assert difference <= tolerance * np.linalg.norm(expected[key]), key


@pytest.mark.cpu_only  # test_cuda_training.py has steps of training
@EACH
def test_it_learns_a_few_digits(name):
    """Sigmoids need long until something happens."""
    model, (x, labels) = SMALL[name](seed=0), digits(10)
    parameters, adam = model.parameters(), Adam(0.003)
    losses = []
    for _ in range(150 if name == "lenet5-1998" else 20):
        loss, gradients = loss_and_gradients(model, x, labels)
        adam.update(parameters, gradients)
        losses.append(loss)
    assert losses[-1] < 0.5 * losses[0]


@EACH
def test_a_seed_makes_the_same_weights(name):
    same, again, other = (SMALL[name](seed=seed).parameters() for seed in (5, 5, 6))
    for key, array in same.items():
        np.testing.assert_array_equal(array, again[key])
        assert array.ndim == 1 or (array != other[key]).any()


@EACH
def test_copies_and_saved_states_give_the_same_scores(name):
    model, (x, labels) = SMALL[name](seed=0), digits(3)
    loss_and_gradients(model, x, labels)
    expected = model.eval()(x)
    restored = SMALL[name](seed=1).eval()
    restored.load_state_dict(model.state_dict())
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model)), restored
    for other in copies:
        assert type(other) is type(model)
        np.testing.assert_array_equal(other(x), expected)
        for key, array in other.parameters().items():
            assert not np.shares_memory(array, model.parameters()[key])


@EACH
def test_the_first_layer_does_not_compute_dx(name):
    model, (x, _) = SMALL[name](seed=0), digits(2)
    assert model.backward(model(x)) is None


@EACH
def test_images_of_another_size_are_refused_with_the_place(name):
    model = SMALL[name](seed=0)
    refused = [(3, 28, 28), (1, 2, 2)]
    if name == "fashion-net":  # which averages whatever is left
        assert model.output_shape((1, 32, 20)) == (10,)
    else:
        refused.append((1, 32, 32))
    for shape in refused:
        with pytest.raises(ValueError, match=r"^\d+ \(\w+\): "):
            model(np.zeros((2, *shape), np.float32))
        with pytest.raises(ValueError, match=r"^\d+ \(\w+\): "):
            model.output_shape(shape)


def test_images_of_another_dtype_are_refused():
    with pytest.raises(TypeError, match="float64"):
        MnistCNN(seed=0)(np.zeros((1, 1, 28, 28)))


@EACH
def test_every_operator_comes_from_the_backend(name):
    def backends(layer):
        own = [layer.backend] if hasattr(layer, "backend") else []
        return sum(map(backends, layer.children().values()), own)

    found = backends(SMALL[name](seed=0, backend=reference))
    assert len(found) >= 4
    assert all(backend is reference for backend in found)


def test_both_dtypes_begin_with_the_same_weights():
    single, double = (MnistInception(seed=3, dtype=d).parameters() for d in ("f4", "f8"))
    for key, array in double.items():
        np.testing.assert_array_equal(single[key], array.astype(np.float32))


@pytest.mark.parametrize("backend", [functional, reference], ids=["convolt", "reference"])
def test_relu_behind_the_pooling_has_the_bits_of_relu_before_it(backend):
    """Small integers make many ties, among positive numbers and at zero."""
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, (2, 3, 12, 12)).astype(np.float32)
    dy = rng.standard_normal((2, 3, 6, 6), dtype=np.float32)
    before = Sequential(ReLU(), MaxPool2d(2, backend=backend))
    behind = Sequential(MaxPool2d(2, backend=backend), ReLU())
    np.testing.assert_array_equal(before(x), behind(x))
    np.testing.assert_array_equal(before.backward(dy), behind.backward(dy))


def test_the_plain_cnn_gives_logarithms_of_probabilities():
    x, labels = digits(4, np.float64)
    model = MnistCNN(seed=0, dtype=np.float64)
    log_probabilities = model(x)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=1), 1)
    scores = Sequential(*model.layers[:-1])(x)
    assert np.ptp(log_probabilities - scores, axis=1) == pytest.approx(np.zeros(4))
    likelihood = -log_probabilities[np.arange(4), labels].mean()
    assert SoftmaxCrossEntropy()(log_probabilities, labels) == pytest.approx(likelihood)


@pytest.mark.parametrize("activation", ["relu", None])
def test_modules_of_the_inception_net_have_the_activation(activation):
    model, (x, _) = MnistInception(activation=activation, seed=0), digits(2)
    for layer in model.layers:
        x = layer(x)
        if isinstance(layer, Parallel):
            assert bool(x.min() < 0) is (activation is None)


def test_each_convolution_of_fashion_net_is_followed_by_a_relu():
    model, (x, _) = FashionNet(seed=0), digits(4)
    positive = []
    for layer in model.layers[:-3]:
        before, x = x, layer(x)
        if isinstance(layer, Conv2d):
            assert before.shape[1] == 1 or before.min() == 0
            positive.append(x.min() == 0)
    assert positive == [True, False, False, False, False]
    assert x.min() == 0


def test_variants_of_lenet():
    kinds = {
        variant: [type(layer).__name__ for layer in LeNet5(variant).layers]
        for variant in ("modern", "1998")
    }
    linear = ["Flatten", "Linear", "{}", "Linear", "{}", "Linear"]
    for variant, block, activation in (
        ("modern", ["Conv2d", "MaxPool2d", "ReLU"], "ReLU"),
        ("1998", ["Conv2d", "Sigmoid", "AvgPool2d"], "Sigmoid"),
    ):
        assert kinds[variant] == [*block, *block, *(kind.format(activation) for kind in linear)]
        weight = LeNet5(variant, seed=0).parameters()["7.weight"]  # of 400 inputs, 120 outputs
        fans = 400 if variant == "modern" else 400 + 120
        assert np.std(weight) == pytest.approx(np.sqrt(2 / fans), rel=0.02)
    with pytest.raises(ValueError, match='LeNet5: variant must be "modern" or "1998", got 1998'):
        LeNet5(1998)


class Repeating(np.random.Generator):
    """Draws the same numbers again and again, which is quick."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        return np.resize(super().standard_normal(100_003), size)


def of_kind(kind, shapes, layers) -> list[tuple[int, ...]]:
    return [shape for shape, layer in zip(shapes, layers, strict=True) if isinstance(layer, kind)]


@pytest.mark.parametrize(("groups", "parameters"), [(1, 3_747_200), (2, 2_334_080)])
def test_alexnet_has_the_papers_convolutions(groups, parameters, monkeypatch):
    """Without the linear layers, which are large."""
    monkeypatch.setattr("convolt.models.alexnet.Linear", lambda *sizes, **options: ReLU())
    model = AlexNet(groups=groups, seed=0)
    assert size(model) == parameters
    shapes = [model.input_shape]
    for layer in model.layers:
        shapes.append(layer.output_shape(shapes[-1]))
    convolutions = of_kind(Conv2d, shapes[1:], model.layers)
    assert convolutions[:2] == [(96, 55, 55), (256, 27, 27)]
    assert convolutions[2:] == [(384, 13, 13), (384, 13, 13), (256, 13, 13)]
    assert of_kind(Dropout, shapes[1:], model.layers) == [(9216,), (9216,)]
    poolings = of_kind(MaxPool2d, shapes[1:], model.layers)
    assert poolings == [(96, 27, 27), (256, 13, 13), (256, 6, 6)]


def test_the_normalization_of_alexnet_is_that_of_the_paper():
    x = np.random.default_rng(0).standard_normal((1, 9, 2, 2))
    expected = np.empty_like(x)
    for i in range(9):
        near = x[:, max(i - 2, 0) : i + 3]
        expected[:, i] = x[:, i] / (2 + 1e-4 * (near**2).sum(axis=1)) ** 0.75
    np.testing.assert_allclose(alexnet_normalization()(x), expected, rtol=1e-12)


@pytest.mark.cpu_only  # too long for a stand-in of a device
def test_alexnet_learns_and_drops_inputs_in_training_only():
    model = AlexNet(seed=Repeating())
    assert size(model) == 62_378_344
    assert model.output_shape(model.input_shape) == (1000,)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *model.input_shape), dtype=np.float32)
    labels, criterion = np.array([0, 999]), SoftmaxCrossEntropy()
    before = criterion(model.eval()(x), labels)
    gradients = loss_and_gradients(model.train(), x, labels)[1]
    SGD(1e-4).update(model.parameters(), gradients)
    assert (model(x) != model(x)).any()
    scores = model.eval()(x)
    assert (scores == model(x)).all()
    assert criterion(scores, labels) < before


def test_simple_convnet_is_the_book_s_although_relu_comes_behind_the_pooling() -> None:
    net = SimpleConvNet((1, 12, 12), {"filter_num": 5}, hidden_size=7, seed=0, dtype=np.float64)
    rng = np.random.default_rng(1)
    x, t = rng.integers(-3, 4, (6, 1, 12, 12)).astype(np.float64), rng.integers(0, 10, 6)
    convolution, pooling, _, *rest = net.layers
    convolution.weight[...] = rng.integers(-2, 3, convolution.weight.shape)  # ties among outputs
    book, loss = Sequential(convolution, ReLU(), pooling, *rest), SoftmaxCrossEntropy()
    expected = loss(book(x), t)
    book.backward(loss.backward())
    gradients = list(book.gradients().values())
    value, found = net.loss_and_gradient(x, t)
    assert value == expected
    for mine, theirs in zip(found.values(), gradients, strict=True):
        np.testing.assert_array_equal(mine, theirs)
