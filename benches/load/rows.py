"""The work that is measured, and what must come out: one `Row` for each line of the tables."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Callable, Optional

import cells
from sites import KIB, MIB, MODIFIED_DATE, Site, host, named


@dataclass(frozen=True)
class Goal:
    """What a figure of ours, divided by another server's, must not exceed."""

    figure: str
    limit: float
    cores: str = "own"
    base: Optional[str] = "nginx"  # None: an absolute limit
    setting: str = ""  # of both

    def pair(self, ours):
        """Which of ours is compared, and with which server, if any."""
        return named(ours, self.setting), self.base and named(self.base, self.setting)


@dataclass(frozen=True)
class Row:
    """One kind of work, the same for every server."""

    name: str
    work: str
    measure: Callable = cells.requests
    site: Site = Site()
    path: str = "/1k.html"
    status: int = 200
    connections: int = 64
    spread: bool = False  # server and client on all cores, not each on one
    depth: int = 1  # requests that go out at a time on each connection
    headers: tuple = ()
    drawn: Optional[Callable] = None  # the site's (host, path) pairs to be drawn from at random
    goals: tuple = ()
    figure: str = "cpu"  # the one that the row is about
    base: str = "nginx"  # the server that the others are compared with
    curve: str = ""  # the curve that it is a point of
    x: int = 0

    def compares(self, server, cores):
        """Whether a goal needs the server."""
        goals = [goal for goal in self.goals if goal.cores == cores]
        if server.is_ours:
            return any(goal.setting == server.setting for goal in goals)
        return any(goal.pair("")[1] == server.name for goal in goals)


def cpu(own, same=None, best=None):
    """Goals for processor time a request: cores of their own, one core for both, either against nginx at its best."""
    limits = {"own": own, "same": same}
    goals = [Goal("cpu", limit, cores) for cores, limit in limits.items() if limit]
    return (*goals, *(Goal("cpu", best, goal.cores, setting="best") for goal in goals if best))


def any_host(site):
    """Every name of every site."""
    return [(name, "/1k.html") for n in range(site.hosts) for name in (host(n), f"www.{host(n)}")]


def any_location(site):
    """A path for every location."""
    paths = [f"/p{n}/1k.html" for n in range(site.prefixes or site.aliases)]
    paths += [f"/r/f.x{n}" for n in range(site.patterns)]
    return [("localhost", path) for path in paths]


MANY = Site(connections=16384)
LOCATIONS = Site(prefixes=200, patterns=50)
BEST = 0.8  # of nginx at its best, where its settings for files matter

ROWS = [
    Row("1k", "1 KiB, keep-alive, 64 connections", goals=(*cpu(0.58, 0.45, BEST), Goal("p99", 1.0))),
    Row("log", "same, combined access log, buffered", site=Site(log=True), goals=cpu(0.58, 0.45, BEST)),
    Row("100k", "100 KiB", path="/100k.html", goals=cpu(0.48, 0.70, BEST)),
    Row("10m", "10 MiB, 16 connections", path=f"/{10 * MIB}.bin", connections=16, goals=cpu(0.60, 1.0, BEST)),
    Row("new", "new connection each", headers=("Connection: close",), goals=cpu(0.75, 0.65, BEST)),
    Row("pipelined", "pipelined, 16 deep", site=Site(pipelined=True), depth=16, goals=cpu(0.08, 0.12, BEST)),
    Row("404", "404 page", path="/none.html", status=404, goals=cpu(0.78, 0.60)),
    Row("304", "304", headers=(f"If-Modified-Since: {MODIFIED_DATE}",), status=304, goals=cpu(0.60, 0.60, BEST)),
    Row("redirect", "redirect", site=Site(redirect=True), path="/old", status=301, goals=cpu(0.78, 0.60)),
    Row("hosts", "1,000 virtual hosts, random Host", site=Site(hosts=1000), drawn=any_host, goals=cpu(0.62, best=BEST)),
    Row("locations", "200 prefix + 50 regex locations", site=LOCATIONS, drawn=any_location, goals=cpu(0.62, best=BEST)),
    Row(
        "variables",
        "the same, 10 maps, 10 sets, 1,000 server blocks",
        site=replace(LOCATIONS, hosts=1000, variables=10),
        drawn=any_location,
        goals=cpu(1.0, best=BEST),
    ),
    Row(
        "gzip",
        "gzip level 1, 100 KiB text",
        site=Site(gzip=True),
        path="/text.html",
        headers=("Accept-Encoding: gzip",),
        goals=cpu(0.6),
    ),
    Row("upload", "upload 50 MiB, Content-Length", partial(cells.upload, framing="length"), Site(upload=True),
        goals=cpu(1.0)),
    Row("chunked", "upload 50 MiB, chunked", partial(cells.upload, framing="chunked"), Site(upload=True),
        goals=cpu(1.0)),
    Row(
        "cgi",
        "CGI hello, a static binary (ratios: to lighttpd)",
        site=Site(cgi=True),
        path="/cgi/hello",
        connections=8,
        figure="machine",
        base="lighttpd",
        goals=(Goal("machine", 0.95, base="lighttpd"),),
    ),
    Row(
        "idle",
        "memory a connection, 9,900 idle keep-alive",
        cells.idle,
        MANY,
        connections=9900,
        figure="connection",
        goals=(Goal("connection", 0.35),),
    ),
    Row(
        "start",
        "start to first answer; memory just started",
        cells.start,
        figure="start",
        goals=(Goal("start", 0.5), Goal("own", 2.0, base=None)),
    ),
    Row(
        "sites",
        "start, reload and memory with 1,000 sites",
        cells.reload,
        Site(hosts=1000, version=1),
        figure="reload",
        goals=(Goal("start", 1.0), Goal("reload", 1.0), Goal("pss", 1.0)),
    ),
    Row(
        "mix",
        "a fast client's p99 beside 1,000 that read 10 KiB/s",
        cells.mixed,
        MANY,
        connections=8,
        figure="change",
        goals=(Goal("change", 1.0),),
    ),
]


def curve(name, what, points):
    """Rows that differ in one number; `points` maps that number to what a row has for it."""
    return [Row(f"{name}={x}", what, curve=name, x=x, **fields) for x, fields in points.items()]


def size(count):
    """A file of so many bytes, and as many clients at a time as that lets through."""
    return {"path": f"/{count}.bin", "connections": 64 if count < MIB else 16 if count < 100 * MIB else 4}


CURVES = [
    *curve("by-connections", "1 KiB, by connections",
           {n: {"site": MANY, "connections": n} for n in (10, 100, 1000, 4000, 10000)}),
    *curve("by-sites", "random Host, by sites",
           {n: {"site": Site(hosts=n), "drawn": any_host} for n in (1, 10, 100, 1000, 10000)}),
    *curve("by-locations", "random path, by prefix locations",
           {n: {"site": Site(aliases=n), "drawn": any_location} for n in (1, 10, 100, 1000)}),
    *curve("by-workers", "1 KiB, by workers; all cores for both",
           {n: {"site": Site(workers=n), "spread": True} for n in (1, 2)}),
    *curve("by-size", "one file, by its size",
           {n: size(n) for n in (0, KIB, 10 * KIB, 100 * KIB, MIB, 10 * MIB, 100 * MIB)}),
]

QUICK = ["1k", "new", "404", "chunked", "cgi", "start"]
QUICK_SERVERS = ["ours", "ours:best", "nginx", "nginx:best", "floor"]
GROUPS = {"tables": {row.name for row in ROWS}, "curves": {row.name for row in CURVES}}
GROUPS |= {curve: {row.name for row in CURVES if row.curve == curve} for curve in {row.curve for row in CURVES}}


def chosen(names):
    """The rows that the names and groups mean, in the tables' order; every one if there are none."""
    known = [*ROWS, *CURVES]
    wanted = set().union(*(GROUPS.get(name, {name}) for name in names))
    unknown = wanted - {row.name for row in known}
    if unknown:
        raise SystemExit(f"unknown rows: {', '.join(sorted(unknown))}")
    return [row for row in known if not names or row.name in wanted]
