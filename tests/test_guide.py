"""The guide and the other pages: snippets, commands and links."""

from __future__ import annotations

import doctest
import io
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest

from convolt import __main__ as cli

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "docs" / "guide").glob("*.md"))
PAGES = [*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md")]

SNIPPET = re.compile(r"^```(?:python\n>>> |console\n\$ )", re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
BENCHMARK = re.compile(r"^python benchmarks/(\w+)\.py(.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


def test_the_overview_names_every_chapter():
    links = LINK.findall((ROOT / "docs" / "guide.md").read_text(encoding="utf-8"))
    assert [f"guide/{path.name}" for path in CHAPTERS] == [
        link for link in links if link.startswith("guide/")
    ]
    assert CHAPTERS


@pytest.mark.unsanitized
@pytest.mark.parametrize(
    "page", [ROOT / "docs" / "guide.md", *CHAPTERS], ids=lambda page: page.stem
)
def test_snippets_do_what_the_guide_says(page, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    assert SNIPPET.search(text)
    if "convolt.viz" in text or "--plot" in text:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: no pictures")
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=report.write)
    assert not report.getvalue(), report.getvalue()
    for session in CONSOLE.findall(text):
        for command, expected in COMMAND.findall(session):
            assert_prints(command, expected)


def assert_prints(command, expected):
    """Run a command of the guide in this process; dots stand for anything, as in a doctest."""
    output = io.StringIO()
    interpreter, option, package, *arguments = shlex.split(command)
    assert (interpreter, option, package) == ("python", "-m", "convolt")
    with redirect_stdout(output), redirect_stderr(output):
        status = cli.main(arguments)
    printed = output.getvalue()
    assert doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS), printed
    assert status == ("convolt: error: " in expected)


def test_commands_of_the_networks_page_have_their_options(capsys):
    text = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    commands = [
        (import_module(script).main, arguments) for script, arguments in BENCHMARK.findall(text)
    ]
    commands += [
        (cli.main, arguments) for arguments in re.findall(r"^python -m convolt (.*)$", text, re.M)
    ]
    assert commands
    for main, line in commands:
        arguments = shlex.split(line, comments=True)
        with pytest.raises(SystemExit) as end:  # what comes before --help is checked before
            main([*arguments, "--help"])
        assert end.value.code == 0, line
        known = capsys.readouterr().out
        for option in (argument for argument in arguments if argument.startswith("--")):
            assert re.search(rf"{option}\b", known), f"{line}: {option}"


@pytest.mark.parametrize("page", names(PAGES))
def test_links_between_files_lead_somewhere(page):
    links = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    broken = [
        link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()
    ]
    assert not broken
