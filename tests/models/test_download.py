"""Downloads from a real server that behaves badly."""

import hashlib
import multiprocessing
import resource
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ibn_seg.errors import EnvError, UserError
from ibn_seg.models import download as module
from ibn_seg.models.download import download

CONTENT = bytes(range(256)) * 20_000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Sends CONTENT; what goes wrong is set by the test.

    Attributes:
        cuts: After how many bytes the next answers end, one item per answer.
        ranges: Whether parts of the file can be asked for.
        status: Another answer than the file.
        stall_s: Seconds to wait before anything is sent.
        asked: The Range header of every request, None where there was none.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cuts, self.ranges, self.status, self.asked = [], True, None, []
        self.release = threading.Event()
        self.stalls = False
        self.url = f"http://127.0.0.1:{self.server_address[1]}/weights-{SHA[:8]}.pth"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.stalls:
            server.release.wait()
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(CONTENT):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(CONTENT)
        self.wfile.write(CONTENT[start:end])
        if end < len(CONTENT):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def test_a_whole_file(server, tmp_path):
    path = tmp_path / "deep" / "weights.pth"
    download(server.url, path, SHA[:8])
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["weights.pth"]
    download(server.url, path, SHA[:8])
    assert len(server.asked) == 1


def test_a_cut_connection_goes_on_where_it_was(server, tmp_path):
    server.cuts = [1_000_000, 2_000_000]
    download(server.url, tmp_path / "a", SHA[:8])
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=3000000-"]


def test_a_connection_that_keeps_breaking_goes_on_in_the_next_call(server, tmp_path):
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(EnvError, match="ended after 3000 of 5120000 bytes: try again") as caught:
        download(server.url, tmp_path / "a", SHA[:8])
    assert "\n" not in caught.value.line
    assert [p.name for p in tmp_path.iterdir()] == ["a.part"]
    download(server.url, tmp_path / "a", SHA[:8])
    assert server.asked[-1] == "bytes=3000-"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_server_without_ranges_begins_again(server, tmp_path):
    server.cuts, server.ranges = [1000], False
    download(server.url, tmp_path / "a", SHA[:8])
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_without_a_hash_nothing_is_kept_between_calls(server, tmp_path):
    server.cuts = [1000, 1000, 1000]
    with pytest.raises(EnvError):
        download(server.url, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    download(server.url, tmp_path / "a")
    assert server.asked[-1] is None
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_partial_file_of_something_else_is_found_out(server, tmp_path):
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match=f"begins with .*, expected {SHA[:8]}"):
        download(server.url, tmp_path / "a", SHA[:8])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.part").write_bytes(b"x" * (len(CONTENT) + 1))
    download(server.url, tmp_path / "a", SHA[:8])
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "error"), [(404, UserError), (403, UserError), (503, EnvError)])
def test_answers_that_are_not_the_file(server, tmp_path, status, error):
    server.status = status
    with pytest.raises(error, match=f"the server says {status}") as caught:
        download(server.url, tmp_path / "a", SHA[:8])
    assert caught.value.exit_code == (3 if error is EnvError else 2)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_says_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    server.stalls = True
    with pytest.raises(EnvError, match="timed out"):
        download(server.url, tmp_path / "a", SHA[:8])
    assert list(tmp_path.iterdir()) == []


def _download_in_a_process(url, path):
    download(url, path, SHA[:8])


def test_processes_that_want_the_same_file_fetch_it_once(server, tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_download_in_a_process, args=(server.url, tmp_path / "a"))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(server.asked) == 1
    assert (tmp_path / "a").read_bytes() == CONTENT


def _download_to_a_full_disk(url, path, found):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        download(url, path, SHA[:8])
    except EnvError as error:
        found.put(str(error))


def test_a_full_disk(server, tmp_path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    worker = context.Process(
        target=_download_to_a_full_disk, args=(server.url, tmp_path / "a", found)
    )
    worker.start()
    assert "a: cannot be written (File too large)" in found.get(timeout=60)
    worker.join()
    assert not (tmp_path / "a").exists()
