"""Training a model, evaluating it, and timing a step of its training.

Examples
--------
>>> from convolt.data import load_digits
>>> from convolt.models import SimpleConvNet
>>> from convolt.optim import Adam, cosine
>>> model = SimpleConvNet(
...     (1, 8, 8), {"filter_size": 3, "pad": 1}, weight_init_std="he", seed=0
... )
>>> digits = load_digits()
>>> history = fit(model, digits, Adam(), epochs=2, schedule=cosine(lr=0.005, epochs=2))
>>> len(history.train_loss), history.test_accuracy[-1] > 0.8
(2, True)
>>> evaluate(model, digits.test_images, digits.test_labels).accuracy == history.test_accuracy[-1]
True
"""

from convolt.training.evaluation import Evaluation, evaluate
from convolt.training.history import EarlyStopping, History
from convolt.training.loop import fit
from convolt.training.step_times import StepTimes, benchmark_step

__all__ = [
    "EarlyStopping",
    "Evaluation",
    "History",
    "StepTimes",
    "benchmark_step",
    "evaluate",
    "fit",
]
