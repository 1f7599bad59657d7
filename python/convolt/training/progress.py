"""What a training shows while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from convolt.training.history import History

Advance = Callable[[float], None]


class Reporter:
    """Writes a line for each epoch, and on a terminal a bar for the batches inside it.

    Parameters
    ----------
    progress : bool or text stream
        As for `fit`.
    epochs : int
        How many there will be.
    """

    def __init__(self, progress: bool | TextIO, epochs: int) -> None:
        self._stream = _stream(progress)
        self._epochs = epochs

    def epoch(self, history: History) -> None:
        """Write the line of the epoch that ended."""
        self.line(
            f"{self._label(history.epochs)}  loss {history.train_loss[-1]:.4f}  "
            f"test loss {history.test_loss[-1]:.4f}  "
            f"test accuracy {history.test_accuracy[-1]:.2%}  {history.seconds[-1]:.2f} s"
        )

    def line(self, text: str) -> None:
        """Write a line."""
        if self._stream is not None:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def bar(self, epoch: int, batches: int) -> Iterator[Advance]:
        """Show the progress inside an epoch; what it yields takes the loss of each batch."""
        stream, label = self._stream, self._label(epoch)
        if stream is None or not stream.isatty():
            yield lambda loss: None
            return
        try:
            from tqdm import tqdm
        except ImportError:
            with _plain_bar(stream, label, batches) as advance:
                yield advance
            return
        with tqdm(total=batches, desc=label, file=stream, leave=False) as bar:

            def advance_bar(loss: float) -> None:
                bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                bar.update()

            yield advance_bar

    def _label(self, epoch: int) -> str:
        return f"epoch {epoch:{len(str(self._epochs))}}/{self._epochs}"


def _stream(progress: bool | TextIO) -> TextIO | None:
    if not isinstance(progress, bool):
        return progress
    wanted = progress and sys.stderr is not None and sys.stderr.isatty()
    return sys.stderr if wanted else None


@contextmanager
def _plain_bar(stream: TextIO, label: str, batches: int) -> Iterator[Advance]:
    done, shown = 0, ""

    def show(text: str) -> None:
        nonlocal shown
        stream.write(f"\r{text:{len(shown)}}")  # over all of what was there
        stream.flush()
        shown = text

    def advance(loss: float) -> None:
        nonlocal done
        done += 1
        # A line for each percent: batches may take less time than writing.
        if done * 100 // batches > (done - 1) * 100 // batches:
            show(f"{label} {done / batches:4.0%}  loss {loss:.4f}")

    show(f"{label}   0%")
    try:
        yield advance
    finally:
        show("")
        stream.write("\r")
