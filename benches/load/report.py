"""The tables, in Markdown: what was aimed at, each figure of each server, and the curves."""

import itertools
import json
import statistics
from pathlib import Path

from rows import CURVES, ROWS

FIGURES = {
    "cpu": ("Processor time a request", "µs"),
    "machine": ("Processor time of the whole machine a request", "µs"),
    "rate": ("Requests a second", ""),
    "p50": ("Latency, median", "µs"),
    "p99": ("Latency, 99th percentile", "µs"),
    "calls": ("System calls a request", ""),
    "pss": ("Memory after the work (PSS)", "KiB"),
    "connection": ("Memory of an idle connection", "bytes"),
    "start": ("Start to first answer", "ms"),
    "own": ("Memory of its own, the largest process just started", "MiB"),
    "reload": ("Reload to first answer of the new configuration", "ms"),
    "alone": ("A fast client's 99th percentile, alone", "µs"),
    "beside": ("A fast client's 99th percentile, beside slow clients", "µs"),
    "change": ("What slow clients add to it", "µs"),
}
ALWAYS = {"rate", "p50", "p99", "calls", "pss"}  # the others are shown of the rows that are about them
SHARED = ("cpu", "rate")  # what is shown when server and client share a core
CORES = {"own": "server and client each on its own core", "same": "both on one core"}
MARKS = ("<!-- The bench writes from here -->", "<!-- to here. -->")


class Results:
    """The cells of one run, or of several that complete each other.

    A row that was measured again replaces the earlier one with all its servers, so that ratios are of one run.
    """

    def __init__(self, runs):
        self.machine = runs[-1]["machine"]
        self.lengths = list(dict.fromkeys((run["machine"]["rounds"], run["machine"]["seconds"]) for run in runs))
        self.servers, self.ours, self.cells = {}, [], {}
        for run in runs:
            self.servers |= run["servers"]
            self.ours += [name for name in run["ours"] if name not in self.ours]
            again = {(cell["row"], cell["cores"]) for cell in run["cells"]}
            self.cells = {key: cells for key, cells in self.cells.items() if (key[0], key[2]) not in again}
            for cell in run["cells"]:
                self.cells.setdefault((cell["row"], cell["server"], cell["cores"]), []).append(cell)
        measured = {server for _, server, _ in self.cells}
        self.servers = {name: version for name, version in self.servers.items() if name in measured}

    def value(self, row, server, figure, cores="own"):
        """The median over the rounds, or None."""
        measured = self.cells.get((row.name, server, cores), [])
        values = [cell[figure] for cell in measured if figure in cell]
        return statistics.median(values) if values else None

    def ratio(self, row, server, figure, cores="own", base=None):
        """The same as a multiple of another server's: the one that the row is compared with, if not named."""
        value, other = self.value(row, server, figure, cores), self.value(row, base or row.base, figure, cores)
        return value / other if value is not None and other else None

    def broken(self):
        """Whether ours failed at something."""
        return any("error" in cell for key, cells in self.cells.items() for cell in cells if key[1] in self.ours)

    def goals(self):
        """Every goal that was measured: row, goal, who was compared, what was reached."""
        builds = [name for name in self.ours if ":" not in name]
        for row, build in itertools.product(ROWS, builds):
            for goal in row.goals:
                ours, base = goal.pair(build)
                if base:
                    reached = self.ratio(row, ours, goal.figure, goal.cores, base)
                else:
                    reached = self.value(row, ours, goal.figure, goal.cores)
                if reached is not None:
                    yield row, goal, f"{ours} ÷ {base}" if base else ours, reached


def number(value):
    """Three significant digits, as people write them."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def amount(count):
    """A count, or a size if it looks like one."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count and count % factor == 0:
            return f"{count // factor:,} {unit}"
    return f"{count:,}"


def table(head, rows):
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def goals(results):
    """What was aimed at, and whether it was reached."""
    rows = [
        [row.work, FIGURES[goal.figure][0], goal.cores, of,
         f"{reached:.2f}", f"≤ {goal.limit:.2f}", "yes" if reached <= goal.limit else "**no**"]
        for row, goal, of, reached in results.goals()
    ]
    head = ["work", "figure", "cores", "of", "measured", "goal", "reached"]
    return ["### Goals", table(head, rows)] if rows else []


def figures(results, figure, cores):
    """One figure of every row and server, with its ratio to what the row is compared with."""
    servers = [name for name in results.servers if any(key[1:] == (name, cores) for key in results.cells)]
    lines = []
    for row in ROWS:
        if figure not in {row.figure, *ALWAYS, *(goal.figure for goal in row.goals)}:
            continue
        values = [results.value(row, server, figure, cores) for server in servers]
        if any(value is not None for value in values):
            ratios = [results.ratio(row, server, figure, cores) for server in servers]
            cells = [number(v) + (f" ({r:.2f})" if r else "") for v, r in zip(values, ratios)]
            lines.append([row.work, *cells])
    if not lines:
        return []
    title, unit = FIGURES[figure]
    heading = f"### {title}{f', {unit}' if unit else ''}; {CORES[cores]}"
    return [heading, table(["work", *servers], lines)]


def floor(results, cores):
    """How far above the floor each server is."""
    servers = [name for name in results.servers if name != "floor"]
    lines = []
    for row in ROWS:
        ratios = [results.ratio(row, server, "cpu", cores, "floor") for server in servers]
        if any(ratios):
            lines.append([row.work, *map(number, ratios)])
    if not lines:
        return []
    heading = f"### Processor time a request, as a multiple of the floor's; {CORES[cores]}"
    return [heading, table(["work", *servers], lines)]


def curves(results):
    """How the cost of a request grows, a table for each curve."""
    parts = []
    for name in dict.fromkeys(row.curve for row in CURVES):
        points = [row for row in CURVES if row.curve == name]
        lines = []
        for server in results.servers:
            for figure in ("cpu", "rate"):
                values = [results.value(row, server, figure) for row in points]
                if any(value is not None for value in values):
                    lines.append([f"{server}, {FIGURES[figure][0].lower()}", *map(number, values)])
        if lines:
            parts += [f"#### {points[0].work}", table(["", *(amount(row.x) for row in points)], lines)]
    return ["### How cost grows", *parts] if parts else []


def failures(results):
    """What could not be measured, and why; each reason once."""
    reasons = {}
    for (row, server, _), cells in results.cells.items():
        for cell in cells:
            if "error" in cell:
                reasons.setdefault(f"- {server}, {row}: {cell['error']}")
            elif cell.get("failed"):
                reasons.setdefault(f"- {server}, {row}: {cell['failed']} requests failed")
    return ["### Not measured, or with failures", "\n".join(reasons)] if reasons else []


def heading(results):
    """The machine, the servers, and how quiet it was."""
    machine = results.machine
    cells = [cell for group in results.cells.values() for cell in group]
    others = [cell["others"] for cell in cells if "others" in cell]
    noise = f"others used {statistics.median(others):.1%} of it (median; at most {max(others):.1%})" if others else ""
    lengths = " or ".join(f"{rounds} × {seconds} s" for rounds, seconds in results.lengths)
    where = f"{machine['when']}, {machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}"
    versions = {name.partition(":")[0]: version for name, version in results.servers.items()}
    servers = "\n".join(f"- {name}: {version}" for name, version in versions.items())
    return [f"{where}; {lengths} a cell; {noise}.", servers]


def markdown(results):
    """The whole report."""
    parts = [*heading(results), *goals(results)]
    for cores in CORES:
        parts += floor(results, cores)
        for figure in FIGURES if cores == "own" else SHARED:
            parts += figures(results, figure, cores)
    return "\n\n".join([*parts, *curves(results), *failures(results)]) + "\n"


def write_into(file, text, picture):
    """Replaces what is between the marks in a document, and the picture beside it."""
    file = Path(file)
    file.with_suffix(".svg").write_text(picture)
    text = f"![Each row as a multiple of nginx, and the curves]({file.stem}.svg)\n\n{text}"
    before, _, rest = file.read_text().partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise SystemExit(f"{file} has no lines {MARKS[0]} and {MARKS[1]}")
    file.write_text(f"{before}{MARKS[0]}\n\n{text}\n{mark}{after}")


def read(files):
    """Results from the files that earlier runs wrote."""
    return Results([json.loads(Path(file).read_text()) for file in files])
