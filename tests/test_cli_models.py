"""Saved models on the command line: evaluate, summary, visualize."""

from __future__ import annotations

import re

import numpy as np
import pytest

import convolt
from convolt import __main__ as cli
from convolt import viz
from convolt._cli.model_file import load_model
from convolt.data import FASHION_MNIST_CLASSES, load_digits
from convolt.layers import save
from convolt.models import SimpleConvNet
from convolt.training import evaluate
from idx_files import write_mnist


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of the digits, in both formats."""
    folder = tmp_path_factory.mktemp("models")
    arguments = f"train --epochs 2 --seed 3 --save {folder / 'model.npz'}"
    assert cli.main(arguments.split()) == 0
    return folder


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    """A model of images of noise, and its data set."""
    folder = tmp_path_factory.mktemp("fashion-mnist")
    write_mnist(folder)
    train = "train --dataset fashion-mnist --model lenet5 --epochs 1"
    assert cli.main(f"{train} --data-dir {folder} --save {folder / 'model.npz'}".split()) == 0
    return folder


def test_a_file_says_which_model_it_is(folder):
    model, description = load_model(folder / "model.npz")
    assert isinstance(model, SimpleConvNet)
    assert not model.training
    assert description.dataset == "digits"
    assert (description.model, description.input_shape) == ("simple-convnet", (1, 8, 8))
    untrained = SimpleConvNet(
        (1, 8, 8), {"filter_size": 3, "pad": 1}, weight_init_std="he", seed=3
    ).state_dict()
    for name, array in description.untrained().state_dict().items():
        np.testing.assert_array_equal(array, untrained[name])
        assert not np.array_equal(model.state_dict()[name], array)


def test_evaluate_needs_the_file_alone(folder, capsys):
    assert cli.main(["evaluate", str(folder / "model.npz")]) == 0
    digits = load_digits()
    model, description = load_model(folder / "model.npz")
    loss, accuracy = evaluate(model, digits.test_images, digits.test_labels)
    assert accuracy == description.history.test_accuracy[-1] > 0.8
    assert capsys.readouterr().out == (
        f"digits: 360 test images\ntest loss: {loss:.4f}\ntest accuracy: {accuracy:.2%}\n"
    )


def test_a_model_in_safetensors(tmp_path, capsys):
    pytest.importorskip("safetensors")
    file = tmp_path / "model.safetensors"
    assert cli.main(f"train --epochs 1 --save {file}".split()) == 0
    accuracy = re.search("test accuracy: .*\n", capsys.readouterr().out)[0]
    assert cli.main(["evaluate", str(file)]) == 0
    assert capsys.readouterr().out.endswith(accuracy)


def test_evaluate_on_another_data_set(fashion, capsys):
    arguments = f"evaluate {fashion / 'model.npz'} --data-dir {fashion}"
    for name, option in (("fashion-mnist", ""), ("mnist", " --dataset mnist")):
        assert cli.main((arguments + option).split()) == 0
        assert capsys.readouterr().out.startswith(f"{name}: 5 test images\ntest loss: ")


@pytest.mark.parametrize("command", ["evaluate", "visualize --what features -o x.png"])
def test_images_that_do_not_fit(folder, fashion, capsys, command):
    if command != "evaluate":
        pytest.importorskip("matplotlib")
    file = folder / "model.npz"
    assert cli.main(f"{command} {file} --dataset mnist --data-dir {fashion}".split()) == 1
    assert re.fullmatch(
        rf"convolt: error: {re.escape(str(file))} does not take the images of mnist, "
        r"\(1, 28, 28\): 4 \(Linear\): input must have shape \(480,\), got .*\n",
        capsys.readouterr().err,
    )


def test_summary_of_a_file(folder, capsys):
    assert cli.main(["summary", str(folder / "model.npz")]) == 0
    model, _ = load_model(folder / "model.npz")
    assert capsys.readouterr().out == f"{convolt.summary(model, (1, 8, 8))}\n"


@pytest.mark.parametrize("command", ["evaluate", "summary"])
def test_a_file_of_somebody_else_is_refused(tmp_path, command, capsys):
    file = tmp_path / "model.npz"
    for metadata in ({}, {"model": "simple-convnet"}, {"model": '"lenet5"', "history": "[1]"}):
        save(SimpleConvNet(), file, metadata)
        assert cli.main([command, str(file)]) == 1
        message = "convolt: error: .*model.npz must be a model that train --save wrote, got .*\n"
        assert re.fullmatch(message, capsys.readouterr().err)


# --- visualize ------------------------------------------------------------------------------------


class Blank:
    """A figure that is quickly drawn."""

    def savefig(self, path) -> None:
        path.write_bytes(b"nothing")


@pytest.fixture
def drawn(monkeypatch):
    """What reaches the functions of `convolt.viz`; nothing is drawn."""
    pytest.importorskip("matplotlib")
    drawn = []

    def recorder(name):
        def record(*arguments, **options):
            drawn.append((name, arguments, options))
            return Blank()

        return record

    for name in ("plot_filters", "plot_feature_maps", "plot_misclassified", "plot_history"):
        monkeypatch.setattr(viz, name, recorder(name))
    return drawn


def visualize(file, what: str, *options: str) -> bytes:
    picture = file.parent / f"{what}.png"
    picture.unlink(missing_ok=True)
    assert cli.main(["visualize", str(file), "--what", what, "-o", str(picture), *options]) == 0
    return picture.read_bytes()


@pytest.mark.parametrize("what", ["filters", "history"])
def test_pictures_are_saved(folder, what, capsys):
    pytest.importorskip("matplotlib")
    assert visualize(folder / "model.npz", what).startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{what}: {folder / what}.png\n"


def test_filters_before_and_after(folder, drawn):
    visualize(folder / "model.npz", "filters")
    model, description = load_model(folder / "model.npz")
    ((name, (after,), options),) = drawn
    assert name == "plot_filters"
    weights = {"after": after, "before": options["before"]}
    for part, expected in (("after", model), ("before", description.untrained())):
        np.testing.assert_array_equal(
            weights[part].parameters()["0.weight"], expected.parameters()["0.weight"]
        )


def test_features_of_the_image_that_is_asked_for(folder, drawn):
    visualize(folder / "model.npz", "features", "--image", "7")
    ((name, (_, image), _),) = drawn
    assert name == "plot_feature_maps"
    np.testing.assert_array_equal(image, load_digits().test_images[7])


def test_features_of_an_image_that_is_not_there(folder, capsys):
    pytest.importorskip("matplotlib")
    picture = folder / "none.png"
    arguments = f"visualize {folder / 'model.npz'} --what features -o {picture} --image 360"
    assert cli.main(arguments.split()) == 1
    message = "convolt: error: visualize: --image must be less than 360, got 360\n"
    assert capsys.readouterr().err == message
    assert not picture.exists()


def test_misclassified_images_have_the_names_of_their_classes(fashion, drawn):
    visualize(fashion / "model.npz", "misclassified", "--data-dir", str(fashion))
    ((name, (_, images, labels), options),) = drawn
    assert name == "plot_misclassified"
    assert (len(images), labels.tolist()) == (5, [0, 1, 2, 3, 4])
    assert options["classes"] == FASHION_MNIST_CLASSES


def test_the_history_is_that_of_the_training(folder, drawn):
    visualize(folder / "model.npz", "history")
    ((name, (history,), _),) = drawn
    assert name == "plot_history"
    _, description = load_model(folder / "model.npz")
    assert history == description.history


def test_train_draws_its_history(tmp_path, drawn):
    write_mnist(tmp_path)
    picture = tmp_path / "history.svg"
    data = f"--dataset mnist --data-dir {tmp_path}"
    assert cli.main(f"train {data} --epochs 2 --plot {picture}".split()) == 0
    ((name, (history,), _),) = drawn
    assert (name, history.epochs) == ("plot_history", 2)
    assert picture.exists()
