"""How one cell is measured: one row's work at one server, once. Each function returns the cell's figures."""

import gzip
import os
import shutil
import signal
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import load
import proc
from servers import Failed, Server

WARM_UP_SECONDS = 1
STRACE_SECONDS = 1
SCRIPTS_STRACE_SECONDS = 4  # so few run then that those under way at the end would count
STARTS = 7
RELOADS = 3
UPLOAD_MIB = 50
SLOW_CLIENTS, SLOW_RATE = 1000, 10 << 10


@dataclass(frozen=True)
class Cell:
    """Where and how long a row is measured."""

    row: object  # Row
    server: Server
    port: int
    folder: Path  # for the server's own files
    root: Path  # the document root
    server_cores: frozenset
    seconds: float
    count_calls: bool

    @contextmanager
    def running(self, site=None):
        """The server, started afresh in an empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.folder, self.folder / "up", self.folder / "temp"):
            folder.mkdir()
            folder.chmod(0o777)
        site = site or self.row.site
        with self.server.running(site, self.port, self.folder, self.root, self.server_cores) as run:
            yield run

    def wrk(self, seconds, row=None):
        """One run of wrk."""
        return load.wrk(row or self.row, self.port, seconds, self.folder)


def accounted(run, drive):
    """What `drive` reports, with what the server spent on it meanwhile."""
    pids = run.pids()
    spent, busy, start = proc.cpu_seconds(pids), proc.busy_seconds(), time.monotonic()
    result = drive()
    elapsed = time.monotonic() - start
    busy, pids = proc.busy_seconds() - busy, run.pids()
    spent = proc.cpu_seconds(pids) - spent
    requests = result["requests"]
    if not requests:
        raise Failed("it answered no request")
    return {
        "cpu": spent / requests * 1e6,
        "machine": (busy - result["client"]) / requests * 1e6,
        "rate": requests / result["seconds"],
        **{name: result[name] for name in ("p50", "p99") if result.get(name)},
        "failed": result["failed"],
        "server_busy": spent / elapsed,
        "client_busy": result["client"] / elapsed,
        "others": max(0, busy - spent - result["client"]) / elapsed / os.cpu_count(),
        **proc.memory(pids),
    }


def check(row, run, root):
    """One request, so that nobody is praised for a wrong answer."""
    headers = dict(field.split(": ", 1) for field in row.headers)
    response, body = run.get(row.path, headers)
    if response.status != row.status:
        raise Failed(f"{row.path} gave {response.status} instead of {row.status}")
    if row.site.gzip:
        if response.headers["Content-Encoding"] != "gzip":
            raise Failed("the response is not compressed")
        body = gzip.decompress(body)
    file = root / row.path.lstrip("/")
    expected = file.read_bytes() if row.status == 200 and not row.site.cgi else body
    if body != expected:
        raise Failed(f"{row.path} gave another body than the file")


def requests(cell):
    """Requests as fast as they are answered."""
    with cell.running() as run:
        check(cell.row, run, cell.root)
        cell.wrk(WARM_UP_SECONDS)
        figures = accounted(run, lambda: cell.wrk(cell.seconds))
        if cell.count_calls:
            figures |= system_calls(cell, run)
        return figures


def system_calls(cell, run):
    """What the server and its scripts ask of the kernel for a request."""
    with load.SystemCalls(run, cell.folder) as calls:
        answered = cell.wrk(SCRIPTS_STRACE_SECONDS if cell.row.site.cgi else STRACE_SECONDS)["requests"]
    return {"calls": calls.count / answered} if answered and calls.count else {}


def upload(cell, framing):
    """Files that clients send, one after another on two connections."""

    def send(seconds):
        return load.python("upload", cell.port, UPLOAD_MIB, seconds, framing).finish()

    with cell.running() as run:
        send(0)
        figures = accounted(run, lambda: send(cell.seconds))
    received = sorted((cell.folder / "up").glob("file*"))
    if [file.stat().st_size for file in received] != [UPLOAD_MIB << 20] * 2:
        raise Failed("the files it received are not those that were sent")
    return figures


def idle(cell):
    """What an idle keep-alive connection costs: memory with many of them less memory with a few."""
    counts = (100, cell.row.connections)
    with cell.running() as run:
        cell.wrk(WARM_UP_SECONDS, replace(cell.row, connections=64))
        held = [_held(cell, run, count) for count in counts]
    return {"connection": (held[1] - held[0]) * 1024 / (counts[1] - counts[0])}


def _held(cell, run, count):
    """The server's PSS in KiB while `count` connections are idle."""
    client = load.python("idle", cell.port, count)
    if not client.line():
        client.finish()
    load.pause(1)
    held = proc.memory(run.pids())["pss"]
    if client.finish()["open"] < count:
        raise Failed("it closed connections that were idle")
    return held


def start(cell):
    """From exec to the first answer, and the memory that a process has then."""
    times, own = [], []
    for _ in range(STARTS):
        with cell.running() as run:
            times.append(run.answered)
            load.pause(0.1)
            own.append(max(proc.memory([pid])["private"] for pid in run.pids()))
    return {"start": statistics.median(times) * 1e3, "own": statistics.median(own) / 1024}


def reload(cell):
    """Start, reload and memory of a server with many sites."""
    figures = start(cell)
    times = []
    with cell.running() as run:
        load.pause(0.2)
        figures |= proc.memory(run.pids())
        for version in range(2, 2 + RELOADS):
            site = replace(cell.row.site, version=version)
            text = cell.server.configuration(site, cell.port, cell.folder, cell.root)
            (cell.folder / cell.server.file).write_text(text)
            run.started = time.monotonic()
            run.process.send_signal(signal.SIGHUP)
            times.append(run.wait("/version", str(version).encode()))
            load.pause(0.3)
    return {**figures, "reload": statistics.median(times) * 1e3}


def mixed(cell):
    """Latency of fast clients alone, then beside many that read slowly."""
    with cell.running() as run:
        check(cell.row, run, cell.root)
        cell.wrk(WARM_UP_SECONDS)
        alone = cell.wrk(cell.seconds)["p99"]
        slow = load.python("slow", cell.port, SLOW_CLIENTS, f"/{10 << 20}.bin", SLOW_RATE)
        slow.line()  # From here on the server fills their buffers, which is when they are felt.
        crowded = cell.wrk(cell.seconds)
        beside = crowded["p99"] if crowded["requests"] else cell.seconds * 1e6
        if slow.finish()["open"] < SLOW_CLIENTS:
            raise Failed("it closed connections whose clients read slowly")
    return {"alone": alone, "beside": beside, "change": max(0, beside - alone)}
