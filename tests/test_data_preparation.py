"""Splits, normalization, one-hot labels and batches, against their definitions."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convolt.data import (
    FASHION_MNIST_CLASSES,
    Dataset,
    batches,
    load_digits,
    mean_and_std,
    normalize,
    one_hot,
)
from refusals import NO_FLAGS


def numbered(train: int, test: int) -> Dataset:
    """Images of one pixel that say which they are, with ten times that as the label."""
    numbers = np.arange(train + test)
    images = numbers.astype(np.float32).reshape(-1, 1, 1, 1)
    return Dataset(images[:train], numbers[:train] * 10, images[train:], numbers[train:] * 10)


@pytest.mark.parametrize("validation", [3, 0.3, np.int64(3), np.float32(0.3)])
def test_split_holds_out_the_last_images(validation):
    dataset = numbered(10, 4).split(validation)
    assert isinstance(dataset, Dataset)
    assert dataset.train_images.ravel().tolist() == list(range(7))
    assert dataset.train_labels.tolist() == list(range(0, 70, 10))
    assert dataset.test_images.ravel().tolist() == [7, 8, 9]
    assert dataset.test_labels.tolist() == [70, 80, 90]


def test_split_draws_images_with_their_labels():
    whole = numbered(100, 5)
    dataset = whole.split(20, rng=3)
    assert len(dataset.test_images) == 20
    numbers = np.concatenate([dataset.train_images, dataset.test_images]).ravel()
    assert sorted(numbers) == list(range(100))
    assert numbers[-20:].tolist() != list(range(80, 100))
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    np.testing.assert_array_equal(labels, numbers * 10)
    again = whole.split(20, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(again.test_images, dataset.test_images)
    assert whole.split(20, rng=4).test_labels.tolist() != dataset.test_labels.tolist()


@pytest.mark.parametrize("validation", [0, 10, -1, 0.0, 0.04, 1.0, 11])
def test_split_leaves_neither_part_empty(validation):
    message = rf"split: validation must hold out from 1 to 9 of 10 images, got {validation}$"
    with pytest.raises(ValueError, match=message):
        numbered(10, 4).split(validation)


@pytest.mark.parametrize("count", [1, 7, 1000, 1001, 2503])
def test_mean_and_std_are_those_of_each_channel(count):
    rng = np.random.default_rng(count)
    images = rng.normal(3, 2, (count, 3, 2, 5)).astype(np.float32)
    images[:, 1] *= 10
    mean, std = mean_and_std(images)
    exact = images.astype(np.longdouble)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)).astype(float), rtol=1e-13)
    np.testing.assert_allclose(std, exact.std(axis=(0, 2, 3)).astype(float), rtol=1e-13)
    assert mean.dtype == std.dtype == np.float64


def test_std_does_not_suffer_from_a_large_mean():
    images = np.array([0, 1, 2, 3]).reshape(4, 1, 1, 1) + 1e9
    assert mean_and_std(images)[1] == np.std(range(4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalize_is_channel_by_channel(dtype):
    images = np.arange(12).reshape(2, 3, 1, 2).astype(dtype)
    before = images.copy()
    result = normalize(images, [1, 2, 4], [1, 2, 4])
    assert result.dtype == dtype
    expected = [[[-1, 0], [0, 0.5], [0, 0.25]], [[5, 6], [3, 3.5], [1.5, 1.75]]]
    np.testing.assert_array_equal(result[:, :, 0], np.array(expected))
    np.testing.assert_array_equal(normalize(images, 2, 4), (before - 2) / 4)
    np.testing.assert_array_equal(images, before)


def test_normalized_takes_the_statistics_of_the_training_part():
    digits = load_digits()
    normalized = digits.normalized()
    images = normalized.train_images.astype(np.float64)
    assert abs(images.mean()) < 1e-6
    assert abs(images.std() - 1) < 1e-6
    assert normalized.train_images.dtype == normalized.test_images.dtype == np.float32
    mean, std = digits.train_images.mean(dtype=float), digits.train_images.std(dtype=float)
    expected = (digits.test_images.astype(float) - mean) / std
    np.testing.assert_allclose(normalized.test_images, expected, atol=1e-6)
    assert abs(normalized.test_images.mean(dtype=float)) > 1e-4
    assert normalized.train_labels is digits.train_labels
    assert normalized.test_labels is digits.test_labels
    assert digits.train_images.min() == 0


IMAGES = np.ones((2, 3, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: normalize(IMAGES.astype(np.uint8), 0, 1),
            TypeError,
            "normalize: images must be float32 or float64, got uint8",
        ),
        (
            lambda: normalize(IMAGES[0], 0, 1),
            ValueError,
            r"normalize: images must be \(N, C, H, W\), got shape \(3, 4, 4\)",
        ),
        (
            lambda: normalize(IMAGES, [0, 1], 1),
            ValueError,
            r"normalize: mean must be a number or \(3,\), got shape \(2,\)",
        ),
        (
            lambda: normalize(IMAGES, 0, np.ones((1, 3, 1, 1))),
            ValueError,
            r"normalize: std must be a number or \(3,\), got shape \(1, 3, 1, 1\)",
        ),
        (
            lambda: normalize(IMAGES, 0, [1, 0, 1]),
            ValueError,
            r"normalize: std must be positive, got \[1, 0, 1\]",
        ),
        (
            lambda: Dataset(IMAGES, np.zeros(2, int), IMAGES, np.zeros(2, int)).normalized(),
            ValueError,
            "normalize: std must be positive",
        ),
        (
            lambda: mean_and_std(IMAGES[:0]),
            ValueError,
            r"mean_and_std: images must be .* at least one, got shape \(0, 3, 4, 4\)",
        ),
        (
            lambda: mean_and_std(IMAGES[0]),
            ValueError,
            r"mean_and_std: images must be \(N, C, H, W\) .* got shape \(3, 4, 4\)",
        ),
        (
            lambda: one_hot([0, 3], 3),
            ValueError,
            "one_hot: labels must be from 0 to 2, got 0 to 3",
        ),
        (
            lambda: one_hot([-1], 3),
            ValueError,
            "one_hot: labels must be from 0 to 2, got -1 to -1",
        ),
        (
            lambda: one_hot([[1]], 3),
            ValueError,
            r"one_hot: labels must have shape \(N,\), got \(1, 1\)",
        ),
        (
            lambda: one_hot([1.0], 3),
            TypeError,
            "one_hot: labels must be integers, got float64",
        ),
        (
            lambda: batches(IMAGES, np.arange(2), 0),
            ValueError,
            "batches: batch_size must be at least 1, got 0",
        ),
        (
            lambda: batches(IMAGES, np.arange(3), 1),
            ValueError,
            "batches: labels must be as many as the 2 images, got 3",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


@pytest.mark.parametrize("labels", [[2, 0, 3], np.array([2, 0, 3], np.uint8)])
def test_one_hot(labels):
    rows = one_hot(labels, 4)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert one_hot(labels, 4, np.float64).dtype == np.float64


def test_one_hot_of_nothing():
    assert one_hot(np.zeros(0, int), 4).shape == (0, 4)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("rng", [None, 5])
@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4, 2]), (8, [4, 4]), (3, [3]), (0, [])])
def test_batches_hold_each_image_once(count, sizes, rng, drop_last):
    images = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1)
    seen = list(batches(images, np.arange(count) * 10, 4, rng, drop_last))
    if drop_last:
        sizes = [size for size in sizes if size == 4]
    assert [len(x) for x, _ in seen] == sizes
    for x, t in seen:
        np.testing.assert_array_equal(x.ravel() * 10, t)
    numbers = [int(number) for x, _ in seen for number in x.ravel()]
    assert len(set(numbers)) == sum(sizes)
    if rng is None:
        assert numbers == list(range(sum(sizes)))
        assert all(x.base is not None for x, _ in seen)


@pytest.mark.parametrize("value", NO_FLAGS)
def test_drop_last_is_a_flag(value):
    expected = re.escape(f"batches: drop_last must be True or False, got {value!r}")
    with pytest.raises(TypeError, match=f"^{expected}$"):
        batches(np.arange(5), np.arange(5), 2, drop_last=value)


def test_batches_are_drawn_with_the_generator():
    def order(rng):
        return [int(n) for x, _ in batches(np.arange(50), np.arange(50), 7, rng) for n in x]

    assert order(1) == order(np.random.default_rng(1)) != order(2)
    generator = np.random.default_rng(1)
    first, second = order(generator), order(generator)
    assert first == order(1)
    assert second != first
    assert sorted(second) == list(range(50))


def test_a_dataset_can_be_unpacked():
    train_images, train_labels, test_images, test_labels = numbered(2, 1)
    assert len(train_images) == len(train_labels) == 2
    assert len(test_images) == len(test_labels) == 1


def test_the_classes_of_fashion_mnist():
    assert len(FASHION_MNIST_CLASSES) == 10
    assert FASHION_MNIST_CLASSES[1] == "Trouser"
    assert FASHION_MNIST_CLASSES[9] == "Ankle boot"
