"""The servers that are compared: what each is, how it is started, reloaded and stopped."""

import http.client
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import fields

import proc
from sites import SETTINGS, Site, named, nginx_conf

START_SECONDS = 30
STOP_SECONDS = 5


class Failed(Exception):
    """A server did not do what a row asks for; the text says why."""


class Server:
    """A program that can serve a `Site`. Peers with a language of their own are in peers.py."""

    name = program = ""
    file = "server.conf"
    lacks = frozenset()  # fields of `Site` that it cannot express
    version_flag = "-v"
    setting = ""
    is_ours = False

    def configuration(self, site, port, folder, root):
        """The text of its configuration file."""
        raise NotImplementedError

    def arguments(self, file):
        """What starts it in the foreground with that file."""
        raise NotImplementedError

    def environment(self, _site, _folder):
        """Variables that it needs."""
        return {}

    def path(self):
        """Where its program is, or None."""
        return shutil.which(self.program) or shutil.which(f"/usr/sbin/{self.program}")

    def version(self):
        """What it tells of itself, without its label and its slogan."""
        told = subprocess.run([self.path(), self.version_flag], capture_output=True, text=True)
        first = (told.stdout + told.stderr).strip().partition("\n")[0]
        return first.rpartition(": ")[2].partition(" - ")[0]

    def can(self, site):
        """Whether it has words for all of the site."""
        return not any(getattr(site, field) for field in self.lacks)

    @contextmanager
    def running(self, site, port, folder, root, cores):
        """Starts it on the given cores, waits until it answers, and stops it in the end."""
        file = folder / self.file
        file.write_text(self.configuration(site, port, folder, root))
        run = Running(self, site, file, port, cores)
        try:
            run.answered = run.wait()
            yield run
        finally:
            run.stop()


class Nginx(Server):
    """nginx in one of its settings, or a program that reads the same file: ours."""

    def __init__(self, name, program, setting=""):
        self.name, self.program, self.setting = named(name, setting), program, setting
        self.is_ours = name != "nginx"
        if not self.is_ours:
            self.lacks = {"cgi"}

    @classmethod
    def in_each_setting(cls, name, program):
        """The same program in all settings."""
        return [cls(name, program, setting) for setting in SETTINGS]

    def configuration(self, site, port, folder, root):
        return nginx_conf(site, port, folder, root, self.setting)

    def arguments(self, file):
        return ["-p", file.parent, "-c", file, "-g", "daemon off;"]


class Floor(Server):
    """floor.c: what the system calls alone cost."""

    name = "floor"
    lacks = frozenset(field.name for field in fields(Site)) - {"connections", "pipelined", "redirect", "workers"}

    def __init__(self, program):
        self.program = str(program)

    def version(self):
        return "benches/load/floor.c"

    def configuration(self, site, port, folder, root):
        return f"{port} {root}"

    def arguments(self, file):
        return file.read_text().split()


class Running:
    """A server's processes, from start to stop.

    `answered` is how many seconds it took from its start to its first answer.
    """

    answered = 0.0

    def __init__(self, server, site, file, port, cores):
        self.server, self.port, self.folder = server, port, file.parent
        command = [server.path(), *server.arguments(file)]
        environment = {**os.environ, **server.environment(site, self.folder)}
        with open(self.folder / "output", "wb") as output, proc.on_cores(cores):
            self.started = time.monotonic()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                process_group=0,  # lighttpd signals its whole group when it stops
            )

    def pids(self):
        """All its processes."""
        return proc.tree(self.process.pid)

    def get(self, path, headers=None, host="localhost"):
        """One request on a connection of its own: the response and its body."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            client.request("GET", path, headers={"Host": host, "Connection": "close", **(headers or {})})
            response = client.getresponse()
            return response, response.read()
        finally:
            client.close()

    def wait(self, path="/1k.html", answer=None):
        """Waits until a request succeeds (with the given body, if any); returns the seconds since `started`."""
        while time.monotonic() - self.started < START_SECONDS:
            if self.process.poll() is not None:
                raise Failed(f"it ended: {self.complaint()}")
            try:
                response, body = self.get(path)
                if response.status == 200 and answer in (None, body):
                    return time.monotonic() - self.started
            except (OSError, http.client.HTTPException):
                time.sleep(0.0002)
        raise Failed(f"no answer within {START_SECONDS} s: {self.complaint()}")

    def complaint(self):
        """The last lines of what it wrote when it failed."""
        texts = [(self.folder / name) for name in ("output", "error.log")]
        lines = "".join(text.read_text(errors="replace") for text in texts if text.exists())
        return re.sub(r"\s+", " ", lines)[-400:]

    def stop(self):
        """Ends every process of it, gently first, and waits until they are gone."""
        pids = self.pids()
        self.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(proc.alive, pids)) and time.monotonic() < deadline:
            self.process.poll()
            time.sleep(0.01)
        for pid in filter(proc.alive, pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
