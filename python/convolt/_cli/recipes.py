"""The names of models and data sets on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from convolt import functional
from convolt.data import FASHION_MNIST_CLASSES, Dataset, load_digits, load_mnist
from convolt.layers import Sequential
from convolt.models import AlexNet, FashionNet, LeNet5, MnistCNN, MnistInception, SimpleConvNet

Shape = tuple[int, ...]


class Model(NamedTuple):
    """A kind of model.

    Attributes
    ----------
    make : callable
        Takes the shape of an image, the number of classes, a seed and the backend.
    input_shape : tuple of int
        The images that it was designed for.
    """

    make: Callable[[Shape, int, int | None, ModuleType], Sequential]
    input_shape: Shape


def _simple_convnet(
    input_shape: Shape, classes: int, seed: int | None, backend: ModuleType
) -> Sequential:
    channels, height, width = input_shape
    small = min(height, width) < 16  # as the bundled digits, of which 5x5 filters leave little
    return SimpleConvNet(
        (channels, height, width),
        {"filter_size": 3, "pad": 1} if small else {},
        output_size=classes,
        weight_init_std="he",
        seed=seed,
        backend=backend,
    )


def _fixed(kind: Callable[..., Sequential], input_shape: Shape, **options: object) -> Model:
    def make(shape: Shape, classes: int, seed: int | None, backend: ModuleType) -> Sequential:
        return kind(num_classes=classes, seed=seed, backend=backend, **options)

    return Model(make, input_shape)


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "simple-convnet": Model(_simple_convnet, (1, 28, 28)),
        "mnist-cnn": _fixed(MnistCNN, MnistCNN.input_shape),
        "lenet5": _fixed(LeNet5, LeNet5.input_shape),
        "lenet5-1998": _fixed(LeNet5, LeNet5.input_shape, variant="1998"),
        "inception": _fixed(MnistInception, MnistInception.input_shape),
        "fashion-net": _fixed(FashionNet, FashionNet.input_shape),
        "alexnet": _fixed(AlexNet, AlexNet.input_shape),
    }
)


def make_model(
    name: str, input_shape: Shape, classes: int, seed: int | None, backend: ModuleType = functional
) -> Sequential:
    """Make a model for images of a shape.

    Raises
    ------
    ValueError
        If there is no such model, or it does not take such images.
    """
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {name}")
    try:
        model = MODELS[name].make(input_shape, classes, seed, backend)
        model.build(input_shape)
    except ValueError as error:
        raise ValueError(f"{name} does not take images of {input_shape}: {error}") from None
    return model


class DatasetRecipe(NamedTuple):
    """A data set, and how long a model learns it."""

    epochs: int
    classes: tuple[str, ...]


_DIGIT_NAMES = tuple(map(str, range(10)))

DATASETS: Mapping[str, DatasetRecipe] = MappingProxyType(
    {
        "digits": DatasetRecipe(20, _DIGIT_NAMES),
        "mnist": DatasetRecipe(5, _DIGIT_NAMES),
        "fashion-mnist": DatasetRecipe(5, FASHION_MNIST_CLASSES),
    }
)


def load_dataset(name: str, data_dir: str | None, download: bool) -> Dataset:
    """Return the data set of a name.

    Raises
    ------
    ValueError
        If the digits, which are bundled, are to come from elsewhere.
    FileNotFoundError, ImportError, OSError
        As :func:`convolt.data.load_mnist`, in the words of the command line.
    """
    if name != "digits":
        try:
            return load_mnist(data_dir, name=name, download=download)
        except (OSError, ImportError) as error:
            raise type(error)(str(error).replace("download=True", "--download")) from error
    if data_dir is not None or download:
        option = "--download" if data_dir is None else "--data-dir"
        raise ValueError(f"{option} is for mnist and fashion-mnist, got it with digits")
    return load_digits()
