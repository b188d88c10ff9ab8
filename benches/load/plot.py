"""The results as one picture (SVG): every row as a multiple of nginx, then a panel for each curve."""

from html import escape
from itertools import cycle
from math import ceil, floor, log, log10

from report import CORES, amount, number
from rows import CURVES, ROWS

WIDTH, LABELS, VALUES, LINE = 960, 330, 60, 22
PANEL_WIDTH, PANEL_HEIGHT, PANEL_TITLE, PANEL_NAMES = 460, 240, 30, 60
LEGEND_COLUMNS, NAME_LINE = 5, 13
LOWEST, HIGHEST = 0.05, 10
MARKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
LOGARITHMIC = 10  # a curve whose values differ by more than this factor
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#b2a100"]
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-weight: 600; font-size: 13px }
  path { fill: none } .grid { stroke: #ddd } .one { stroke: #888; stroke-width: 1.5 } rect { fill: #fff }
  .floor { stroke: #333; stroke-width: 2 } polyline { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } rect { fill: #161616 } .grid { stroke: #333 } .one { stroke: #aaa } .floor { stroke: #ddd } }
"""


def svg(results):
    """The whole picture. Of the settings it shows the first and the best."""
    shown = [name for name in results.servers if not name.endswith(":cache")]
    own_colour = dict(zip((name for name in shown if ":" not in name and name != "floor"), cycle(COLOURS)))
    colours = {name: own_colour.get(name.partition(":")[0], "") for name in shown}
    height, parts = 20, []
    for part in (legend(colours), *(ratios(results, colours, cores) for cores in CORES), curves(results, colours)):
        drawn, needed = part
        parts.append(f'<g transform="translate(0 {height})">{drawn}</g>')
        height += needed
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">'
    ground = f'<rect width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", ground, *parts, "</svg>\n"])


def text(x, y, content, kind="", anchor="start"):
    """A piece of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def dot(x, y, name, colour, told="", radius=4):
    """What stands for a server: a dot, a ring if it has a setting, a stroke for the floor; `told` under the mouse."""
    title = f"<title>{escape(told or name)}</title>"
    if name == "floor":
        return f'<path d="M{x:.1f} {y - 8:.1f}v16" class="floor">{title}</path>'
    fill = f'fill="none" stroke="{colour}" stroke-width="2"' if ":" in name else f'fill="{colour}"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {fill}>{title}</circle>'


def line(x1, y1, x2, y2, kind):
    """A line of the grid."""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{kind}"/>'


def legend(colours):
    """Which mark is whose."""
    step, parts = (WIDTH - 40) / LEGEND_COLUMNS, []
    for position, (name, colour) in enumerate(colours.items()):
        x, y = 20 + position % LEGEND_COLUMNS * step, 8 + position // LEGEND_COLUMNS * LINE
        parts += [dot(x, y, name, colour, radius=5), text(x + 12, y + 4, name)]
    return "".join(parts), 24 + LINE * ceil(len(colours) / LEGEND_COLUMNS)


def scale(low, high, start, end):
    """A logarithmic scale from values to places."""
    return lambda value: start + (end - start) * log(min(max(value, low), high) / low) / log(high / low)


def ratios(results, colours, cores):
    """A line for each row, a mark for each server: its cost as a multiple of nginx's, and that of ours as a number."""
    lines = []
    for row in ROWS:
        points = {name: results.ratio(row, name, row.figure, cores) for name in colours}
        if any(points.values()):
            lines.append((row.work, {name: value for name, value in points.items() if value}))
    if not lines:
        return "", 0
    end, bottom = WIDTH - VALUES, 30 + LINE * len(lines)
    place = scale(LOWEST, HIGHEST, LABELS, end)
    parts = [text(20, 12, f"Cost as a multiple of nginx's; {CORES[cores]}", "title")]
    told = results.ours[0] if results.ours else ""
    parts.append(text(WIDTH - 20, 12, told, anchor="end"))
    for mark in MARKS:
        parts.append(line(place(mark), 26, place(mark), bottom, "one" if mark == 1 else "grid"))
        parts.append(text(place(mark), bottom + 14, f"{mark:g}", anchor="middle"))
    for position, (work, points) in enumerate(lines):
        y = 38 + LINE * position
        parts += [text(LABELS - 12, y + 4, work, anchor="end"), line(LABELS, y, end, y, "grid")]
        for name, value in reversed(points.items()):
            radius = 6 if name in results.ours else 4
            parts.append(dot(place(value), y, name, colours[name], f"{name}: {value:.2f}", radius))
        if told in points:
            parts.append(text(WIDTH - 20, y + 4, f"{points[told]:.2f}", anchor="end"))
    return "".join(parts), bottom + 40


def curves(results, colours):
    """Panels, two in a line: processor time a request over the number that grows."""
    panels = [panel(results, colours, name) for name in dict.fromkeys(row.curve for row in CURVES)]
    panels = [drawn for drawn in panels if drawn]
    parts = []
    for position, drawn in enumerate(panels):
        x, y = position % 2 * (PANEL_WIDTH + 20) + 10, position // 2 * (PANEL_HEIGHT + PANEL_TITLE + 30)
        parts.append(f'<g transform="translate({x} {y})">{drawn}</g>')
    return "".join(parts), (len(panels) + 1) // 2 * (PANEL_HEIGHT + PANEL_TITLE + 30)


def axis(values, bottom, top):
    """A scale and its round marks: from 0 on, or logarithmic where the values differ much."""
    low, high = min(values), max(values)
    if high > LOGARITHMIC * low:
        marks = [10**power for power in range(floor(log10(low)), ceil(log10(high)) + 1)]
        return scale(marks[0], marks[-1], bottom, top), marks
    steps = (digit * 10**power for power in range(-3, 9) for digit in (1, 2, 5))
    step = next(step for step in steps if 5 * step >= high)
    marks = [step * count for count in range(ceil(high / step) + 1)]
    return lambda value: bottom + (top - bottom) * value / marks[-1], marks


def panel(results, colours, name):
    """One curve; its points are evenly spaced, since the numbers grow by factors."""
    points = [row for row in CURVES if row.curve == name]
    series = {server: [results.value(row, server, "cpu") for row in points] for server in colours}
    values = [value for line in series.values() for value in line if value]
    if not values:
        return ""
    left, right, bottom = 60, PANEL_WIDTH - PANEL_NAMES, PANEL_TITLE + PANEL_HEIGHT - 30
    place, marks = axis(values, bottom, PANEL_TITLE)
    across = [left + (right - left) * position / max(1, len(points) - 1) for position in range(len(points))]
    parts = [text(10, 14, f"µs a request: {points[0].work}", "title")]
    for mark in marks:
        parts.append(line(left, place(mark), right, place(mark), "grid"))
        parts.append(text(left - 8, place(mark) + 4, f"{mark:,g}", anchor="end"))
    for x, row in zip(across, points):
        parts.append(text(x, bottom + 18, amount(row.x), anchor="middle"))
    ends = {}
    for server, line_values in series.items():
        dots = [(x, place(value), value) for x, value in zip(across, line_values) if value]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        parts.append(f'<polyline points="{path}" stroke="{colours[server]}"/>')
        parts += [dot(x, y, server, colours[server], f"{server}: {number(value)}") for x, y, value in dots]
        ends |= {server: dots[-1][1]} if dots else {}
    return "".join([*parts, *names(ends, right + 10)])


def names(ends, x):
    """Each line's name at its end, none on top of another."""
    lowest = 0
    for name, y in sorted(ends.items(), key=lambda end: end[1]):
        lowest = max(y, lowest + NAME_LINE)
        yield text(x, lowest + 4, name)
