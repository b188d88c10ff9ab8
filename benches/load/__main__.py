"""Drives the same work at Rowhouse and at the servers it is compared with, and reports what it costs each.

Usage: python3 benches/load [options]; --help lists them, --list the rows. Needs wrk, and any of nginx, lighttpd,
h2o, apache2 and caddy; strace counts system calls. docs/performance.md says how to read what comes out.
"""

import argparse
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import cells
import load
import peers
import plot
import proc
import report
from rows import QUICK, QUICK_SERVERS, chosen
from servers import Failed, Floor, Nginx
from sites import write_files

PROJECT = Path(__file__).resolve().parents[2]
CELL_SECONDS = 2  # beside measuring it: starting, warming up
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # for uploads and logs, so that no disk is measured
COMPILERS = {
    ".c": ["cc", "-O2", "-Wall"],
    ".rs": ["rustc", "-O", "-C", "target-feature=+crt-static", "-C", "panic=abort"],
}
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))


def options():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python3 benches/load", description=__doc__.partition("\n\n")[0],
        epilog="--from puts the results of several runs together; of a row measured twice the later file counts.")
    names = {"type": lambda text: text.split(","), "default": [], "metavar": "NAMES"}
    parser.add_argument("--list", action="store_true", help="list the rows and curves")
    parser.add_argument("--rows", help="rows to measure; tables or curves: all of these (default: all)", **names)
    parser.add_argument("--servers", help="servers to measure (default: all that are installed)", **names)
    parser.add_argument("--cores", help="own, same (default: both)", **{**names, "default": ["own", "same"]})
    parser.add_argument("--seconds", type=int, default=3, help="how long each cell is measured (3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each cell is measured (3)")
    parser.add_argument("--goals", action="store_true", help="only what the goals compare")
    parser.add_argument("--quick", action="store_true", help="a few rows and servers for a second each: a check")
    parser.add_argument("--ours", action="append", default=[], metavar="[NAME=]PATH",
                        help="a build of ours; may be given again (default: cargo build --release)")
    parser.add_argument("--nginx", default=os.environ.get("NGINX", "nginx"), help="nginx's program (or $NGINX)")
    parser.add_argument("--output", type=Path, default=TARGET / "load", help="folder for results (target/load)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures (default: results.json in --output)")
    parser.add_argument("--from", dest="files", nargs="+", metavar="FILE", help="measure nothing, report these results")
    parser.add_argument("--into", metavar="FILE", help="put the tables into this document, between its marks")
    given = parser.parse_args()
    if unknown := set(given.cores) - set(report.CORES):
        parser.error(f"unknown cores: {', '.join(sorted(unknown))}")
    if given.quick:
        given.rows, given.servers = given.rows or QUICK, given.servers or QUICK_SERVERS
        given.seconds, given.rounds, given.cores = 1, 1, ["own"]
    return given


def ours(given):
    """The builds to measure, by name."""
    if not given.ours:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=PROJECT, check=True)
        return Nginx.in_each_setting("ours", TARGET / "release" / "rowhouse")
    pairs = [text.rpartition("=") for text in given.ours]
    return [server for name, _, path in pairs for server in Nginx.in_each_setting(name or "ours", Path(path).resolve())]


def servers(given):
    """Those that are named, or all; says which are not installed."""
    nginx, floor = Nginx.in_each_setting("nginx", given.nginx), Floor(given.output.resolve() / "floor")
    known = [*ours(given), *nginx, floor, *(peer() for peer in peers.PEERS)]
    if unknown := set(given.servers) - {server.name for server in known}:
        raise SystemExit(f"unknown servers: {', '.join(sorted(unknown))}")
    wanted = [server for server in known if not given.servers or server.name in given.servers]
    if floor in wanted:
        build("floor.c", floor.program)
    for server in wanted:
        if not server.path():
            note(f"{server.program} is not installed: left out")
    return [server for server in wanted if server.path()]


def note(text):
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def takes_part(server, row, cores):
    """Settings matter where a goal says so; curves and the shared core are about few servers."""
    if not server.can(row.site) or server.setting and not any(goal.setting for goal in row.goals):
        return False
    if row.curve:
        return isinstance(server, Nginx) and cores == "own"
    if cores == "same":
        return isinstance(server, (Nginx, Floor)) and any(goal.cores == "same" for goal in row.goals)
    return True


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def temporary(parent=None):
    """A folder that any user may enter, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="load-", dir=parent) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def plan(given, compared):
    """All cells, in rounds, so that whatever changes on the machine meanwhile meets every server."""
    for row, cores in itertools.product(chosen(given.rows), given.cores):
        part = [server for server in compared if takes_part(server, row, cores)]
        if given.goals:
            part = [server for server in part if row.compares(server, cores)]
        for turn in range(given.rounds if placement(cores, row.spread) else 0):
            shift = turn % max(1, len(part))
            for server in part[shift:] + part[:shift]:
                yield row, cores, turn, server


def measure(given, planned, root, folder):
    """The figures of the cells, as they come in."""
    port, traced = free_port(), shutil.which("strace")
    write_files(root, 200, 50, [row.x for row, *_ in planned if row.curve == "by-size"])
    if any(row.site.cgi for row, *_ in planned):
        build("hello.rs", root / "cgi" / "hello")
    for row, cores, turn, server in planned:
        server_cores, client_cores = placement(cores, row.spread)
        count = bool(traced) and turn == 0
        cell = cells.Cell(row, server, port, folder, root, server_cores, given.seconds, count)
        with proc.on_cores(client_cores):
            yield {"row": row.name, "server": server.name, "cores": cores, "round": turn, **one(cell)}


def placement(cores, spread):
    """The cores of the server and of the client; None if there are too few."""
    available = sorted(os.sched_getaffinity(0))
    if spread:
        return set(available), set(available)
    if cores == "same":
        return {available[0]}, {available[0]}
    return ({available[0]}, {available[-1]}) if len(available) > 1 else None


def one(cell):
    """One cell's figures, or why there are none."""
    try:
        return cell.row.measure(cell)
    except (Failed, OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
        return {"error": str(error) or type(error).__name__}


def build(source, program):
    """Compiles a program of the bench; without a compiler only what needs it fails."""
    command = COMPILERS[Path(source).suffix]
    program = Path(program)
    program.parent.mkdir(parents=True, exist_ok=True)
    if shutil.which(command[0]):
        subprocess.run([*command, "-o", program, Path(__file__).parent / source], check=False)
    else:
        note(f"{command[0]} is not installed: {source} is left out")


def told(cell):
    """A cell's figures in a line."""
    known = "  ".join(f"{name} {report.number(cell[name])}" for name in report.FIGURES if name in cell)
    where = f"{cell['row']:<20} {cell['server']:<12} {cell['cores']:<5}{cell['round']}"
    return f"{where}  {cell.get('error', known)}"


def run(given):
    """Measures what is asked for and writes the results file as it goes on."""
    for complaint in load.missing():
        note(f"not installed: {complaint}")
    if len(os.sched_getaffinity(0)) < 2:
        note("only one core: nothing is measured with cores of their own")
    compared = servers(given)
    load.raise_limits()
    proc.prefer()
    results = {
        "machine": {**proc.machine(), "seconds": given.seconds, "rounds": given.rounds},
        "servers": {server.name: server.version() for server in compared},
        "ours": [server.name for server in compared if server.is_ours],
        "cells": [],
    }
    file, planned = given.json or given.output / "results.json", list(plan(given, compared))
    note(f"{len(planned)} cells, about {len(planned) * (given.seconds + CELL_SECONDS) / 60:.0f} minutes")
    with temporary() as root, temporary(MEMORY) as folder:
        for cell in measure(given, planned, root, folder / "server"):
            results["cells"].append(cell)
            note(told(cell))
            file.write_text(json.dumps(results, indent=1))
    return file


def main():
    """One command: measure, report, plot."""
    given = options()
    if given.list:
        for row in chosen(given.rows):
            print(f"{row.name:<18} {row.work}")
        return 0
    given.output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whatever was started is stopped
    results = report.read(given.files or [run(given)])
    text, picture = report.markdown(results), plot.svg(results)
    (given.output / "report.md").write_text(text)
    (given.output / "load.svg").write_text(picture)
    if given.into:
        report.write_into(given.into, text, picture)
    print(text)
    return 1 if results.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
