"""The contestants of ``book.py``: the same script, on the layers of two modules."""

from __future__ import annotations

import numpy as np

from book_problem import BookProblem, Function
from contestants.numpy_blas import NumPy
from contestants.ours import Convolt


class BookInNumPy(NumPy):
    """The book's method in plain NumPy."""

    def prepare(self, problem: BookProblem) -> Function:
        """Return the function to time."""
        import book_layers

        return problem.prepare(book_layers)

    def as_array(self, result: list[np.ndarray]) -> np.ndarray:
        """Put the arrays one after the other."""
        return np.concatenate([np.ravel(array) for array in result])


class BookOnConvolt(BookInNumPy, Convolt):
    """The drop-in; what it leaves to NumPy is NumPy's here too."""

    isa_variables = Convolt.isa_variables + NumPy.isa_variables

    def __init__(self, threads: int) -> None:
        Convolt.__init__(self, threads)

    def prepare(self, problem: BookProblem) -> Function:
        """Return the function to time."""
        from convolt.compat import deep_learning_from_scratch

        return problem.prepare(deep_learning_from_scratch)


OURS: dict[str, type] = {"convolt": BookOnConvolt}
RIVALS: dict[str, type] = {"book": BookInNumPy}
