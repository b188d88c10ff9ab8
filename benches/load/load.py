"""What drives the servers: wrk, the clients of clients.py, and strace to count system calls."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from servers import Failed

HERE = Path(__file__).parent
GRACE_SECONDS = 60  # for a client that should have ended
SETTLE_SECONDS = 5  # for scripts that should have, and for strace


def missing():
    """The tools that are not installed, and what is left out without them."""
    uses = {"wrk": "every row that counts requests", "strace": "system calls a request"}
    return [f"{tool} ({use})" for tool, use in uses.items() if not shutil.which(tool)]


def raise_limits():
    """As many open files as the system lets this process and its children have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Client:
    """A load generator, and what it tells in JSON."""

    def __init__(self, *command):
        pipe = subprocess.PIPE
        command = list(map(str, command))
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def line(self):
        """The next line of JSON, while it runs."""
        return json.loads(self.process.stdout.readline() or "null")

    def finish(self, seconds=GRACE_SECONDS):
        """What it says in the end: the last line, as JSON, with the processor time that it took."""
        spent = _children_seconds()
        try:
            told, complaint = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            told, complaint = "", f"not done after {seconds} s"
        if self.process.wait() != 0:
            raise Failed(f"its client failed: {complaint.strip()[-300:]}")
        result = json.loads(told.strip().rpartition("\n")[2])
        return {**result, "client": _children_seconds() - spent}


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def wrk(row, port, seconds, folder):
    """wrk with what the row asks for; its figures, where `failed` also counts unwanted statuses."""
    threads = len(os.sched_getaffinity(0))
    command = ["wrk", "-t", threads, "-c", row.connections, "-d", f"{seconds}s"]
    command += ["--timeout", "30s", "-s", HERE / "wrk.lua"]
    for field in row.headers:
        command += ["-H", field]
    drawn = "-"
    if row.drawn:
        drawn = folder / "requests"
        drawn.write_text("".join(f"{host} {path}\n" for host, path in row.drawn(row.site)))
    client = Client(*command, f"http://127.0.0.1:{port}{row.path}", "--", row.depth, drawn)
    result = client.finish(seconds + GRACE_SECONDS)
    if row.depth > 1:  # wrk times a batch, takes it for a late answer, and adds what it believes was held up
        del result["p50"], result["p99"]
    if row.status < 400:
        result["failed"] += result["statuses"]
    else:
        result["failed"] += result["requests"] - result["statuses"]
    return result


def python(*arguments):
    """One of the clients in clients.py."""
    return Client(sys.executable, HERE / "clients.py", *arguments)


class SystemCalls:
    """Counts what a server and the processes it starts ask of the kernel while the block runs."""

    def __init__(self, run, folder):
        self.run, self.pids = run, run.pids()
        self.file = folder / "strace"
        self.count = 0

    def __enter__(self):
        command = ["strace", "-c", "-f", "-o", self.file]
        for pid in self.pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in self.pids:  # "Process N attached"
            self.process.stderr.readline()
        return self

    def _wait_for_scripts(self):
        """Until only those run that did before: strace hangs if it is to leave a process that is just starting."""
        end = time.monotonic() + SETTLE_SECONDS
        while set(self.run.pids()) - set(self.pids) and time.monotonic() < end:
            pause(0.05)

    def __exit__(self, *_):
        self._wait_for_scripts()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        for words in map(str.split, lines):
            if len(words) > 4 and words[3].isdigit() and words[-1] != "total":
                self.count += int(words[3])


def pause(seconds):
    """Lets what was just started or finished settle."""
    time.sleep(seconds)
