"""Shift, Flip and Compose, against what is done to one image alone."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from convolt.data import Compose, Flip, Shift

AUGMENTATIONS = [Shift(2), Shift(1, fill=-3), Flip(0.5), Compose([Shift(1), Flip(0.5)])]
# No pixel is the fill, and no two of an image are the same.
IMAGES = np.arange(1, 40 * 2 * 5 * 6 + 1).reshape(40, 2, 5, 6).astype(np.float32)


def shifted(image: np.ndarray, down: int, right: int, fill: float) -> np.ndarray:
    """Move an image (C, H, W) pixel by pixel."""
    result = np.full_like(image, fill)
    _, height, width = image.shape
    for h in range(height):
        for w in range(width):
            if 0 <= h - down < height and 0 <= w - right < width:
                result[:, h, w] = image[:, h - down, w - right]
    return result


@pytest.mark.parametrize(("pixels", "fill"), [(1, 0), (2, -3), (3, 0)])
def test_shift_moves_each_image_by_its_own_number_of_pixels(pixels, fill):
    images = np.tile(IMAGES, (5, 1, 1, 1))
    result = Shift(pixels, fill)(images, np.random.default_rng(0))
    seen = set()
    for before, after in zip(images, result, strict=True):
        offsets = [
            (down, right)
            for down in range(-pixels, pixels + 1)
            for right in range(-pixels, pixels + 1)
            if np.array_equal(after, shifted(before, down, right, fill))
        ]
        assert len(offsets) == 1
        seen.update(offsets)
    assert len(seen) == (2 * pixels + 1) ** 2, "some shifts were never drawn"


def test_a_shift_beyond_the_image_leaves_the_background():
    result = Shift(100)(IMAGES[:8], 0)
    assert result.shape == IMAGES[:8].shape
    assert not result.any()


def test_shift_by_nothing_is_a_copy():
    result = Shift(0)(IMAGES, 0)
    np.testing.assert_array_equal(result, IMAGES)
    assert not np.shares_memory(result, IMAGES)


@pytest.mark.parametrize("p", [0, 0.25, 0.5, 1])
def test_flip_mirrors_left_and_right_with_its_probability(p):
    images = np.tile(IMAGES, (25, 1, 1, 1))
    result = Flip(p)(images, np.random.default_rng(0))
    flipped = 0
    for before, after in zip(images, result, strict=True):
        if not np.array_equal(after, before):
            np.testing.assert_array_equal(after, before[:, :, ::-1])
            flipped += 1
    deviation = np.sqrt(len(images) * p * (1 - p))
    assert abs(flipped - p * len(images)) <= 4 * deviation


def test_flip_is_at_even_odds_by_default():
    assert Flip().p == 0.5


def test_compose_applies_in_order_with_one_generator():
    rng = np.random.default_rng(7)
    expected = Flip(0.5)(Shift(1)(IMAGES, rng), rng)
    np.testing.assert_array_equal(Compose([Shift(1), Flip(0.5)])(IMAGES, 7), expected)
    rng = np.random.default_rng(7)
    expected = Shift(1)(Flip(0.5)(IMAGES, rng), rng)
    np.testing.assert_array_equal(Compose([Flip(0.5), Shift(1)])(IMAGES, 7), expected)


def test_compose_takes_any_callable():
    brighter = Compose([lambda images, rng: images + 1, lambda images, rng: images * 2])
    np.testing.assert_array_equal(brighter(IMAGES, 0), (IMAGES + 1) * 2)


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int16])
def test_dtype_and_input_are_kept(augment, dtype):
    images = np.arange(40 * 2 * 5 * 6).reshape(40, 2, 5, 6).astype(dtype) % 200
    if dtype == np.uint8 and augment == Shift(1, fill=-3):
        augment = Shift(1, fill=3)
    before = images.copy()
    images.flags.writeable = False
    result = augment(images, np.random.default_rng(0))
    assert result.dtype == dtype
    assert result.shape == images.shape
    assert result.flags.writeable
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)
    result[:] = 0


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=repr)
def test_the_generator_decides(augment):
    first = augment(IMAGES, 1)
    np.testing.assert_array_equal(augment(IMAGES, 1), first)
    np.testing.assert_array_equal(augment(IMAGES, np.random.default_rng(1)), first)
    generator = np.random.default_rng(1)
    np.testing.assert_array_equal(augment(IMAGES, generator), first)
    assert (augment(IMAGES, generator) != first).any()
    assert (augment(IMAGES, 2) != first).any()


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=repr)
def test_any_layout_and_no_images(augment):
    strided = np.asfortranarray(np.repeat(IMAGES, 2, axis=3))[..., ::2]
    np.testing.assert_array_equal(augment(strided, 1), augment(IMAGES, 1))
    assert augment(strided, 1).flags.c_contiguous
    assert augment(IMAGES[:0], 1).shape == (0, 2, 5, 6)


@pytest.mark.parametrize("augment", AUGMENTATIONS, ids=repr)
def test_copies_do_the_same(augment):
    for other in (copy.deepcopy(augment), pickle.loads(pickle.dumps(augment))):
        assert repr(other) == repr(augment)
        np.testing.assert_array_equal(other(IMAGES, 1), augment(IMAGES, 1))


def test_repr_can_be_read():
    shown = "Compose([Shift(pixels=1, fill=0.0), Flip(p=0.5)])"
    assert repr(Compose([Shift(1), Flip(0.5)])) == shown


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(-1), "Shift: pixels must be at least 0, got -1"),
        (lambda: Flip(1.5), "Flip: p must be between 0 and 1, got 1.5"),
        (lambda: Flip(-0.1), "Flip: p must be between 0 and 1, got -0.1"),
        (lambda: Flip(float("nan")), "Flip: p must be between 0 and 1, got nan"),
        (
            lambda: Shift(1)(IMAGES[0], 0),
            r"Shift: images must be \(N, C, H, W\), got shape \(2, 5, 6\)",
        ),
        (
            lambda: Flip()(IMAGES[0], 0),
            r"Flip: images must be \(N, C, H, W\), got shape \(2, 5, 6\)",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
