"""What a benchmark prints while it runs."""

from __future__ import annotations

import statistics

from results import Result


def header(names: list[str]) -> str:
    """Return the first line of the table."""
    columns = "".join(f"{name:>{_width(name)}}" for name in names)
    return f"{'layer':34}{'count':>6}{columns}{'of peak':>9}{'ratio':>8}"


def row(names: list[str], result: Result) -> str:
    """Return the line of one layer: for each contestant the median and its spread."""
    columns = ""
    for name in names:
        cell = "-"
        if name in result.seconds:
            cell = f"{result.gflops(name):.1f} ±{result.spread(name):>4.0%}"
        columns += f"{cell:>{_width(name)}}"
    share, ratio = f"{result.share_of_peak:>9.0%}", _ratio(result.ratio)
    layer = f"{result.net}:{result.layer}"
    return f"{layer:34}{result.count:>6}{columns}{share}{ratio}  {result.best_rival or ''}".rstrip()


def footer(names: list[str], results: list[Result]) -> str:
    """Return the last line: the geometric mean of each column, over the rows that have it."""
    columns = ""
    for name in names:
        values = [result.gflops(name) for result in results if name in result.seconds]
        columns += f"{_mean(values, '.1f')}{'':6}".rjust(_width(name))
    share = _mean([result.share_of_peak for result in results], ".0%")
    ratios = [result.ratio for result in results if result.ratio is not None]
    ratio = _ratio(statistics.geometric_mean(ratios) if ratios else None)
    return f"{'geometric mean':40}{columns}{share:>9}{ratio}"


def _width(name: str) -> int:
    return max(len(name), 13) + 2


def _mean(values: list[float], form: str) -> str:
    return format(statistics.geometric_mean(values), form) if values else "-"


def _ratio(ratio: float | None) -> str:
    return f"{'-':>8}" if ratio is None else f"{ratio:>7.2f}x"
