"""The benchmark of the book's script: both sides compute the same, and nothing else is timed."""

from __future__ import annotations

import numpy as np
import pytest

import book
from book_contestants import OURS, RIVALS
from book_problem import TASKS, BookProblem, expectation
from results import read_json


@pytest.mark.parametrize("name", [*OURS, *RIVALS])
@pytest.mark.parametrize("task", TASKS)
def test_contestants_compute_the_same_again_and_again(task, name):
    problem = BookProblem(task, 3)
    expected = expectation(problem)
    mine = (OURS | RIVALS)[name](1)
    result = mine.as_array(mine.prepare(problem)())
    assert result.dtype == problem.dtype
    expected.check([result[sample] for sample in expected.samples], name)
    assert sum(len(value) for value in expected.values) == len(result)


def test_a_result_that_is_off_by_a_billionth_is_refused():
    expected = expectation(BookProblem("gradient", 2))
    assert len(expected.values) == 6
    for number in range(6):
        wrong = [value.copy() for value in expected.values]
        wrong[number] *= 1 + 1e-9
        with pytest.raises(ArithmeticError, match="mine: wrong result"):
            expected.check(wrong, "mine")


def test_the_small_network_is_that_of_the_books_gradient_check():
    (loss,) = expectation(BookProblem("loss, small", 1)).values
    np.testing.assert_allclose(loss, np.log(10), rtol=0.01)


def test_book_prints_the_table_and_writes_the_numbers(tmp_path, capsys):
    path = tmp_path / "book.json"
    book.main(["--task", "conv, pool", "--batch", "2", "--rounds", "1", "--json", str(path)])
    assert "simple-convnet conv, pool" in capsys.readouterr().out
    (result,) = read_json(path)["results"]
    assert (result.task, result.batch) == ("conv, pool", 2)
    assert set(result.ratios) == {"book"}
