"""The results as one picture (SVG): every row as a multiple of nginx, then a panel for each curve."""

from html import escape
from math import log

from report import CORES, number
from rows import CURVES, ROWS

WIDTH, LABELS, LINE = 960, 330, 22
PANEL_WIDTH, PANEL_HEIGHT, PANEL_TITLE = 460, 240, 30
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a", "#b2a100"]
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-weight: 600; font-size: 14px }
  .grid { stroke: #ccc } .one { stroke: #888; stroke-width: 1.5 } rect { fill: #fff }
  polyline { fill: none; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } rect { fill: #161616 } .grid { stroke: #444 } .one { stroke: #aaa } }
"""


def svg(results):
    """The whole picture."""
    names = list(results.servers)
    colours = {name: COLOURS[position % len(COLOURS)] for position, name in enumerate(names)}
    height, parts = 20, []
    for part in (legend(colours), *(ratios(results, colours, cores) for cores in CORES), curves(results, colours)):
        text, needed = part
        parts.append(f'<g transform="translate(0 {height})">{text}</g>')
        height += needed
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">'
    ground = f'<rect width="{WIDTH}" height="{height}"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", ground, *parts, "</svg>\n"])


def text(x, y, content, kind="", anchor="start"):
    """A piece of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def dot(x, y, colour, radius, title):
    """A point that tells its value under the mouse."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"><title>{escape(title)}</title></circle>'


def line(x1, y1, x2, y2, kind):
    """A line of the grid."""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{kind}"/>'


def legend(colours):
    """Which colour is whose."""
    step = (WIDTH - 40) / max(1, len(colours))
    parts = []
    for position, (name, colour) in enumerate(colours.items()):
        parts += [dot(20 + position * step, 8, colour, 5, name), text(30 + position * step, 12, name)]
    return "".join(parts), 40


def scale(low, high, start, end):
    """A logarithmic scale from values to places."""
    return lambda value: start + (end - start) * log(max(value, low) / low) / log(high / low)


def ratios(results, colours, cores):
    """A line for each row, a point for each server: its cost as a multiple of nginx's."""
    lines = []
    for row in ROWS:
        points = {name: results.ratio(row, name, row.figure, cores) for name in colours}
        if any(points.values()):
            lines.append((row.work, {name: value for name, value in points.items() if value}))
    if not lines:
        return "", 0
    bottom = 30 + LINE * len(lines)
    place = scale(0.05, 10, LABELS, WIDTH - 20)
    parts = [text(20, 12, f"Cost as a multiple of nginx's; {CORES[cores]}", "title")]
    for mark in (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10):
        parts.append(line(place(mark), 26, place(mark), bottom, "one" if mark == 1 else "grid"))
        parts.append(text(place(mark), bottom + 14, f"{mark:g}", anchor="middle"))
    for position, (work, points) in enumerate(lines):
        y = 38 + LINE * position
        parts.append(text(LABELS - 12, y + 4, work, anchor="end"))
        for name, value in reversed(points.items()):
            radius = 6 if name in results.ours else 4
            parts.append(dot(place(min(value, 10)), y, colours[name], radius, f"{name}: {value:.2f}"))
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


def panel(results, colours, name):
    """One curve; its points are evenly spaced, since the numbers grow by factors."""
    points = [row for row in CURVES if row.curve == name]
    series = {server: [results.value(row, server, "cpu") for row in points] for server in colours}
    values = [value for line in series.values() for value in line if value]
    if not values:
        return ""
    left, right, top = 60, PANEL_WIDTH - 20, PANEL_TITLE
    low, high = min(values) / 1.5, max(values) * 1.5
    place = scale(low, high, top + PANEL_HEIGHT - 30, top)
    across = [left + (right - left) * position / max(1, len(points) - 1) for position in range(len(points))]
    parts = [text(10, 14, f"µs a request: {points[0].work}", "title")]
    for step in range(5):
        mark = low * (high / low) ** (step / 4)
        parts.append(line(left, place(mark), right, place(mark), "grid"))
        parts.append(text(left - 8, place(mark) + 4, number(mark), anchor="end"))
    for x, row in zip(across, points):
        parts.append(text(x, top + PANEL_HEIGHT - 12, f"{row.x:,}", anchor="middle"))
    for server, line_values in series.items():
        dots = [(x, place(value), value) for x, value in zip(across, line_values) if value]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
        parts.append(f'<polyline points="{path}" stroke="{colours[server]}"/>')
        parts += [dot(x, y, colours[server], 4, f"{server}: {number(value)}") for x, y, value in dots]
    return "".join(parts)
