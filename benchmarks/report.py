"""What benchmarks print while they run; as a command, what their JSON files have to say."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

from contestants import OURS
from results import FUNCTION, LayerResult, MemoryResult, NetworkResult, Result, read_json
from shapes import CONVOLUTIONS

KINDS = {(net, shape.name): shape.kind for net in CONVOLUTIONS for shape in CONVOLUTIONS[net]}
COUNTS = {(net, shape.name): shape.count for net in CONVOLUTIONS for shape in CONVOLUTIONS[net]}
GROUPS: dict[str, Callable[[LayerResult], str]] = {
    "net": lambda result: result.net,
    "kind": lambda result: KINDS[result.net, result.layer],
}


def header(names: Sequence[str], on_device: bool = False) -> str:
    """Return the first line of the table of layers."""
    columns = "".join(f"{name:>{_width(name)}}" for name in names)
    of_copy = f"{'of copy':>9}" if on_device else ""
    return f"{'layer':34}{columns}{'of peak':>9}{of_copy}{'ratio':>8}"


def row(names: Sequence[str], result: LayerResult) -> str:
    """Return the line of one layer: for each contestant the median and its spread."""
    columns = _cells(names, result, lambda name: f"{result.gflops(name):.1f}")
    share, ratio = f"{result.share_of_peak(result.ours):>9.0%}", f"{_times(result.ratio):>8}"
    if result.copies:
        share += f"{result.share_of_copy:>9.0%}"
    line = f"{f'{result.net}:{result.layer}':34}{columns}{share}{ratio}  {result.best_rival or ''}"
    return line.rstrip()


def footer(names: Sequence[str], results: Sequence[LayerResult]) -> str:
    """Return the last line: the geometric mean of each column, over the rows that have it."""
    columns = ""
    for name in names:
        mean = _mean(result.gflops(name) for result in results if name in result.seconds)
        columns += f"{'-' if mean is None else f'{mean:.1f}'}{'':6}".rjust(_width(name))
    share = _mean(result.share_of_peak(result.ours) for result in results)
    ratio = _mean(result.ratio for result in results if result.best_rival)
    of_copy = _mean(result.share_of_copy for result in results if result.copies)
    of_copy = "" if of_copy is None else f"{of_copy:>9.0%}"
    return f"{'geometric mean':34}{columns}{share:>9.0%}{of_copy}{_times(ratio):>8}"


def network_header(names: Sequence[str]) -> str:
    """Return the first line of the table of networks."""
    return f"{'network':34}{'N':>5}" + "".join(f"{name:>{_width(name)}}" for name in names)


def network_row(names: Sequence[str], result: NetworkResult) -> str:
    """Return the line of one network: milliseconds, and below how many times ours that is."""
    columns = _cells(names, result, lambda name: f"{1e3 * result.median(name):.3f}")
    ratios = "".join(
        f"{_times(result.ratios.get(name)):>{_width(name) - 6}}{'':6}" for name in names
    )
    return f"{f'{result.net} {result.task}':34}{result.batch:>5}{columns}\n{'':39}{ratios}"


def memory_header(names: Sequence[str]) -> str:
    """Return the first line of the table of what memory limits."""
    columns = "".join(f"{name:>{_width(name)}}" for name in names)
    return f"{'layer':34}{columns}{'GB/s':>8}{'of copy':>9}{'ratio':>8}"


def memory_row(names: Sequence[str], result: MemoryResult) -> str:
    """Return the line of one layer: milliseconds, then our GB/s and what it is relative to."""
    columns = _cells(names, result, lambda name: f"{1e3 * result.median(name):.3f}")
    speed, share = f"{result.gigabytes(FUNCTION):>8.1f}", f"{result.share_of_copy:>9.0%}"
    ratio = f"{_times(result.ratio):>8}  {result.best_rival or ''}"
    return f"{f'{result.net}:{result.layer}':34}{columns}{speed}{share}{ratio}".rstrip()


def layer_table(documents: Sequence[dict], group: str) -> Iterator[str]:
    """Yield a table in Markdown: for each document and group the means and the worst layer."""
    yield _markdown(
        *("pass", "dtype", "N", "threads", "ISA", group),
        *("convolt GFLOP/s", "of peak", "ratio to the best rival", "worst"),
    )
    yield _markdown(*["---"] * 10)
    for document in documents:
        settings = document["settings"]
        names = (settings["direction"], settings["dtype"], settings["batch"], settings["threads"])
        for value, results in _grouped(document["results"], GROUPS[group]).items():
            yield _markdown(*names, _isa(document), value, *_summary(results))


def total_table(documents: Sequence[dict]) -> Iterator[str]:
    """Yield a table in Markdown: all convolution layers of a network, each as often as it occurs.

    A contestant that lacks a layer of a network has no time for it.
    """
    yield _markdown("pass", "dtype", "N", "threads", "ISA", "net", "ms an image")
    yield _markdown(*["---"] * 7)
    for document in documents:
        settings = document["settings"]
        names = (settings["direction"], settings["dtype"], settings["batch"], settings["threads"])
        for net, results in _grouped(document["results"], GROUPS["net"]).items():
            totals = {
                name: sum(COUNTS[net, result.layer] * result.median(name) for result in results)
                for name in document["contestants"]
                if all(name in result.seconds for result in results)
            }
            times = (f"{name} {1e3 * t / settings['batch']:.3g}" for name, t in totals.items())
            yield _markdown(*names, _isa(document), net, ", ".join(times))


def network_table(documents: Sequence[dict]) -> Iterator[str]:
    """Yield a table in Markdown: a line for each network and task."""
    yield _markdown("network", "task", "N", "threads", "ISA", "convolt ms", "rivals: ms, ratio")
    yield _markdown(*["---"] * 7)
    for document in documents:
        for result in document["results"]:
            rivals = (
                f"{name} {1e3 * result.median(name):.3g}, {ratio:.2f}"
                for name, ratio in result.ratios.items()
            )
            names = (result.net, result.task, result.batch, document["settings"]["threads"])
            ours = f"{1e3 * result.median(FUNCTION):.3g}"
            yield _markdown(*names, _isa(document), ours, "; ".join(rivals))


def memory_table(documents: Sequence[dict]) -> Iterator[str]:
    """Yield a table in Markdown: for each document, operation and network the means."""
    yield _markdown(
        *("operation", "dtype", "N", "threads", "ISA", "net", "convolt ms", "GB/s", "of a copy"),
        *("ratio to the best rival", "in NCHW", "worst"),
    )
    yield _markdown(*["---"] * 12)
    for document in documents:
        settings = document["settings"]
        names = (settings["dtype"], settings["batch"], settings["threads"], _isa(document))
        for operation, results in _grouped(document["results"], _operation).items():
            for net, layers in _grouped(results, GROUPS["net"]).items():
                yield _markdown(operation, *names, net, *_memory_summary(layers))


def draw(documents: Sequence[dict], path: str) -> None:
    """Draw each contestant's share of peak, in a panel for each document and network."""
    from matplotlib import pyplot

    panels = [
        (document, net, results)
        for document in documents
        for net, results in _grouped(document["results"], GROUPS["net"]).items()
    ]
    tallest = max(len(results) for _, _, results in panels)
    size = (6 * len(panels), 1.5 + 0.2 * tallest)
    figure, axes = pyplot.subplots(
        ncols=len(panels), squeeze=False, figsize=size, layout="constrained"
    )
    for axis, (document, net, results) in zip(axes[0], panels, strict=True):
        _draw_shares(axis, list(document["contestants"]), results)
        settings = document["settings"]
        axis.set_title(
            f"{net}, {settings['direction']}, {settings['dtype']}, N = {settings['batch']}, "
            f"threads {settings['threads']}, {_isa(document)}",
            fontsize=9,
        )
    figure.savefig(path)
    pyplot.close(figure)


def _draw_shares(axis, names: Sequence[str], results: Sequence[LayerResult]) -> None:
    for number, name in enumerate(names):
        layers = [i for i, result in enumerate(results) if name in result.seconds]
        shares = [100 * results[i].share_of_peak(name) for i in layers]
        marker = "D" if name in OURS else "o"
        label = f"{name}, ISA not limited" if name in results[0].not_limited else name
        if layers:
            axis.plot(shares, layers, marker, color=f"C{number}", label=label, alpha=0.8)
    axis.set_yticks(range(len(results)), [result.layer for result in results], fontsize=7)
    axis.invert_yaxis()  # the first layer on top
    axis.set_xlim(left=0)
    axis.set_xlabel("% of the measured FMA peak")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, and draw the picture if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="written by --json")
    parser.add_argument("--table", action="store_true", help="print tables in Markdown")
    parser.add_argument("--totals", action="store_true", help="the layers of each net together")
    parser.add_argument("--by", choices=GROUPS, default="net", help="one line for each (net)")
    parser.add_argument("--picture", metavar="FILE", help="draw the layers: .svg, .png, .pdf")
    options = parser.parse_args(arguments)
    documents = [read_json(path) for path in options.files]
    layers = [document for document in documents if document["benchmark"] == "layers"]
    networks = [document for document in documents if document["benchmark"] == "networks"]
    memory = [document for document in documents if document["benchmark"] == "memory"]
    if options.table:
        tables = [layer_table(layers, options.by)] * bool(layers)
        tables += [network_table(networks)] * bool(networks)
        tables += [memory_table(memory)] * bool(memory)
        print("\n\n".join("\n".join(table) for table in tables))
    if options.totals:
        print("\n".join(total_table(layers)))
    if options.picture:
        if not layers:
            parser.error("--picture needs a file of run.py, got only others")
        draw(layers, options.picture)


def _markdown(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _summary(results: Sequence[LayerResult]) -> tuple[str, ...]:
    gflops = _mean(result.gflops(result.ours) for result in results)
    share = _mean(result.share_of_peak(result.ours) for result in results)
    return f"{gflops:.3g}", f"{share:.0%}", *_compared(results)


def _compared(results: Sequence[Result]) -> tuple[str, str]:
    """Return the mean ratio to the best rival, and the worst one with its layer."""
    compared = [result for result in results if result.best_rival]
    if not compared:
        return "-", "-"
    worst = min(compared, key=lambda result: result.ratio)
    ratio = _mean(result.ratio for result in compared)
    return f"{ratio:.2f}", f"{worst.ratio:.2f} {worst.layer} ({worst.best_rival})"


def _memory_summary(results: Sequence[MemoryResult]) -> tuple[str, ...]:
    milliseconds = 1e3 * sum(result.median(FUNCTION) for result in results)
    speed = _mean(result.gigabytes(FUNCTION) for result in results)
    share = _mean(result.share_of_copy for result in results)
    in_layout = _mean(result.ratio_in_layout for result in results if result.ratio_in_layout)
    ratio, worst = _compared(results)
    plain = "-" if in_layout is None else f"{in_layout:.2f}"
    return f"{milliseconds:.3g}", f"{speed:.3g}", f"{share:.0%}", ratio, plain, worst


def _operation(result: MemoryResult) -> str:
    return result.operation


def _grouped(results: Iterable[Result], key: Callable[..., str]) -> dict[str, list]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _cells(names: Sequence[str], result: Result, figure: Callable[[str], str]) -> str:
    cells = (
        f"{figure(name)} ±{result.spread(name):>4.0%}" if name in result.seconds else "-"
        for name in names
    )
    return "".join(f"{cell:>{_width(name)}}" for name, cell in zip(names, cells, strict=True))


def _isa(document: dict) -> str:
    return document["contestants"]["convolt"]["isa_selected"]


def _width(name: str) -> int:
    return max(len(name), 13) + 2


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return statistics.geometric_mean(values) if values else None


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


if __name__ == "__main__":
    main()
