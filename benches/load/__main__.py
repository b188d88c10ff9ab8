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
from rows import QUICK, chosen
from servers import Failed, Nginx
from sites import write_files

PROJECT = Path(__file__).resolve().parents[2]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # for uploads and logs, so that no disk is measured
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))


def options():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python3 benches/load", description=__doc__.partition("\n\n")[0],
        epilog="Results of several runs are put together with --from, later ones first.")
    names = {"type": lambda text: text.split(","), "default": [], "metavar": "NAMES"}
    parser.add_argument("--list", action="store_true", help="list the rows and servers")
    parser.add_argument("--rows", help="rows and curves to measure (default: all)", **names)
    parser.add_argument("--servers", help="servers to measure (default: all that are installed)", **names)
    parser.add_argument("--cores", help="own, same (default: both)", **{**names, "default": ["own", "same"]})
    parser.add_argument("--seconds", type=int, default=3, help="how long each cell is measured (3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each cell is measured (3)")
    parser.add_argument("--quick", action="store_true", help="a few rows for a second each, ours and nginx: a check")
    parser.add_argument("--ours", action="append", default=[], metavar="[NAME=]PATH",
                        help="a build of ours; may be given again (default: cargo build --release)")
    parser.add_argument("--nginx", default=os.environ.get("NGINX", "nginx"), help="nginx's program (or $NGINX)")
    parser.add_argument("--output", type=Path, default=TARGET / "load", help="folder for results (target/load)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures (default: results.json in --output)")
    parser.add_argument("--from", dest="files", nargs="+", metavar="FILE", help="measure nothing, report these results")
    parser.add_argument("--into", metavar="FILE", help="put the tables into this document, between its marks")
    given = parser.parse_args()
    if given.quick:
        given.rows, given.servers = given.rows or QUICK, given.servers or ["ours", "nginx"]
        given.seconds, given.rounds, given.cores = 1, 1, ["own"]
    return given


def ours(given):
    """The builds to measure, by name."""
    if not given.ours:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=PROJECT, check=True)
        return [Nginx("ours", TARGET / "release" / "rowhouse")]
    pairs = [text.rpartition("=") for text in given.ours]
    return [Nginx(name or "ours", Path(path).resolve()) for name, _, path in pairs]


def servers(given):
    """Those that are named, or all; says which are not installed."""
    nginx = [Nginx(name, given.nginx, name.partition(":")[2]) for name in ("nginx", "nginx:cache", "nginx:best")]
    known = [*ours(given), *nginx, *(peer() for peer in peers.PEERS)]
    wanted = [server for server in known if not given.servers or server.name in given.servers]
    for server in wanted:
        if not server.path():
            note(f"{server.program} is not installed: left out")
    return [server for server in wanted if server.path()]


def note(text):
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def takes_part(server, row, cores):
    """Curves and the shared core are about ours and nginx; a curve needs no other settings of nginx."""
    if not server.can(row.site):
        return False
    if row.curve:
        return isinstance(server, Nginx) and not server.setting and cores == "own"
    if cores == "same":
        return isinstance(server, Nginx) and any(goal.cores == "same" for goal in row.goals)
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


def measure(given, compared, root, folder):
    """All cells, in rounds, so that whatever changes on the machine meanwhile meets every server."""
    port, traced = free_port(), shutil.which("strace")
    rows = chosen(given.rows)
    write_files(root, 200, 50, [row.x for row in rows if row.curve == "by-size"])
    build_hello(root)
    for row, cores in itertools.product(rows, given.cores):
        part = [server for server in compared if takes_part(server, row, cores)]
        on = placement(cores, row.spread)
        for turn in range(given.rounds if on else 0):
            shift = turn % max(1, len(part))
            for server in part[shift:] + part[:shift]:
                count = bool(traced) and turn == 0 and not row.site.cgi  # scripts come and go too quickly for strace
                cell = cells.Cell(row, server, port, folder, root, on[0], given.seconds, count)
                with proc.on_cores(on[1]):
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


def build_hello(root):
    """The CGI program, linked statically; without a compiler its row fails, the others do not."""
    program = root / "cgi" / "hello"
    program.parent.mkdir(exist_ok=True)
    source = Path(__file__).parent / "hello.rs"
    flags = ["-O", "-C", "target-feature=+crt-static", "-C", "panic=abort", "-o", program]
    subprocess.run(["rustc", *flags, source], check=False)


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
    file = given.json or given.output / "results.json"
    with temporary() as root, temporary(MEMORY) as folder:
        for cell in measure(given, compared, root, folder / "server"):
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
