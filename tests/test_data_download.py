"""Downloads, from a server of our own: what arrives, what is refused, and what is left behind."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from convolt.data import load_mnist, read_idx
from convolt.data.download import FILES, SOURCES, Source, cache_folder
from idx_files import idx_bytes, write_mnist
from mirror import Mirror, serve

pytest.importorskip("pooch", reason="pooch is not installed: no downloads")

COMPRESSED = [f"{file}.gz" for file in FILES]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no other folder to look in."""
    monkeypatch.delenv("CONVOLT_DATA", raising=False)
    monkeypatch.setenv("CONVOLT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def mirror(monkeypatch):
    """The only source of MNIST."""
    mirror = Mirror()
    with serve(mirror):
        monkeypatch.setitem(SOURCES, "mnist", Source((mirror.url,), mirror.sha256))
        yield mirror


def closed_url() -> str:
    """An address on this machine where nothing answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_kept_in_the_cache(cache, mirror):
    mnist = load_mnist(download=True)
    assert mirror.requests == COMPRESSED
    assert names(cache) == sorted(COMPRESSED)
    assert mnist.train_images.shape == (12, 1, 28, 28)
    assert mnist.test_images.shape == (5, 1, 28, 28)
    for name, content in mirror.files.items():
        assert (cache / name).read_bytes() == content
    images = read_idx(cache / COMPRESSED[2])
    np.testing.assert_array_equal(mnist.test_images[:, 0] * np.float32(255), images)

    for download in (True, False):
        again = load_mnist(download=download)
        np.testing.assert_array_equal(again.train_images, mnist.train_images)
    assert mirror.requests == COMPRESSED, "what is in the cache was downloaded again"


def test_nothing_is_downloaded_unless_asked_for(cache, mirror):
    with pytest.raises(FileNotFoundError, match="or download=True must bring it, found neither"):
        load_mnist()
    assert mirror.requests == []
    assert not cache.exists()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("corrupt", "a file with another SHA-256 from {}"),
        ("short", "a file with another SHA-256 from {}"),
        ("truncated", "a part of it from {}"),
        ("missing", "status 404 from {}"),
    ],
)
@pytest.mark.parametrize("name", COMPRESSED)
def test_a_damaged_file_is_refused_and_not_kept(cache, mirror, name, damage, fault):
    mirror.damage[name] = damage
    before = COMPRESSED[: COMPRESSED.index(name)]
    fault = re.escape(fault.format(mirror.url))
    with pytest.raises(OSError, match=f"^load_mnist: {name} could not be downloaded, got {fault}$"):
        load_mnist(download=True)
    assert names(cache) == sorted(before), "only whole files may be left"
    with pytest.raises(FileNotFoundError, match=f"nor .*{name}$"):
        load_mnist()

    del mirror.damage[name]
    assert len(load_mnist(download=True).train_images) == 12
    assert mirror.requests == [*before, name, *COMPRESSED[len(before) :]]


def test_the_next_mirror_is_asked(cache, mirror, monkeypatch):
    second = Mirror()
    with serve(second):
        mirrors = (closed_url(), mirror.url, second.url)
        monkeypatch.setitem(SOURCES, "mnist", Source(mirrors, mirror.sha256))
        mirror.damage[COMPRESSED[1]] = "corrupt"
        assert len(load_mnist(download=True).test_images) == 5
    assert mirror.requests == COMPRESSED
    assert second.requests == [COMPRESSED[1]]


def test_all_mirrors_that_failed_are_named(cache, mirror, monkeypatch):
    closed = closed_url()
    monkeypatch.setitem(SOURCES, "mnist", Source((closed, mirror.url), mirror.sha256))
    mirror.damage[COMPRESSED[0]] = "missing"
    message = f"got no connection to {closed}, status 404 from {mirror.url}"
    with pytest.raises(OSError, match=f"{re.escape(message)}$"):
        load_mnist(download=True)


def test_no_network_is_said_in_one_sentence(cache, monkeypatch):
    closed = closed_url()
    monkeypatch.setitem(SOURCES, "mnist", Source((closed,), SOURCES["mnist"].sha256))
    message = f"load_mnist: {COMPRESSED[0]} could not be downloaded, got no connection to {closed}"
    with pytest.raises(OSError, match=f"^{re.escape(message)}$"):
        load_mnist(download=True)
    assert names(cache) == []


def test_a_folder_of_the_users_own_is_completed(tmp_path, cache, mirror):
    own = tmp_path / "own"
    own.mkdir()
    labels = idx_bytes(np.arange(12, dtype=np.uint8))
    (own / FILES[1]).write_bytes(labels)
    mnist = load_mnist(own, download=True)
    assert mnist.train_labels.tolist() == list(range(12))
    assert (own / FILES[1]).read_bytes() == labels
    assert mirror.requests == [COMPRESSED[0], *COMPRESSED[2:]]
    assert not cache.exists()


def test_the_folders_are_searched_in_order(tmp_path, cache, mirror, monkeypatch):
    load_mnist(download=True)
    data, own = tmp_path / "data" / "mnist", tmp_path / "own"
    for folder, count in ((data, 3), (own, 2)):
        folder.mkdir(parents=True)
        write_mnist(folder, train=count)
    monkeypatch.setenv("CONVOLT_DATA", str(data.parent))
    assert len(load_mnist(own, download=True).train_images) == 2
    assert len(load_mnist(download=True).train_images) == 3
    assert len(load_mnist().train_images) == 3
    (data / FILES[3]).unlink()
    assert len(load_mnist().train_images) == 12
    (cache / COMPRESSED[2]).unlink()
    with pytest.raises(FileNotFoundError) as error_info:
        load_mnist()
    sought = [data / FILES[3], data / COMPRESSED[3], cache / FILES[2], cache / COMPRESSED[2]]
    assert str(error_info.value).endswith(f"found neither {' nor '.join(map(str, sought))}")
    assert len(load_mnist(download=True).train_images) == 12
    assert mirror.requests == [*COMPRESSED, COMPRESSED[2]]


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("CONVOLT_CACHE", "named")
    assert cache_folder() == Path("named")
    monkeypatch.delenv("CONVOLT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert cache_folder() == Path("caches", "convolt")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "convolt"


def test_only_what_is_published_can_be_downloaded(cache):
    with pytest.raises(
        ValueError, match="name must be mnist or fashion-mnist to be downloaded, got 'letters'"
    ):
        load_mnist(name="letters", download=True)


def test_a_download_needs_pooch(cache, mirror, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'needs pooch: pip install "convolt\[data\]"$'):
        load_mnist(download=True)
    assert mirror.requests == []


def test_sources_are_complete():
    digests = [digest for source in SOURCES.values() for digest in source.sha256]
    assert set(SOURCES) == {"mnist", "fashion-mnist"}
    assert len(set(digests)) == 8
    for digest in digests:
        assert re.fullmatch("[0-9a-f]{64}", digest)
    for source in SOURCES.values():
        for mirror in source.mirrors:
            assert re.fullmatch(r"https?://\S+/", mirror)
