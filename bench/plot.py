#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Draws the result of bench/mount.py --json as an SVG picture.

    bench/plot.py mount.json mount.svg

Each row of the result is a band with one bar a filesystem, from the native time (1) to the left
where it was faster and to the right where it was slower, on a logarithmic axis. A black mark is
what was asked of that filesystem there.
"""

import argparse
import json
import math
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH = 960
LABELS = 250  # the column of the rows' titles
FIGURES = 50  # room for the figure beside a bar that ends at the edge
TOP = 24
LANE = 9  # one filesystem in one row
GAP = 8  # between rows
HEADING = 26  # above the rows of a group
# Told apart by the colour-blind too; those that are not ours are grey.
OURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"]
OTHERS = ["#5a5a5a", "#8a8a8a", "#b8b8b8"]
TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]


class Picture:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, size=12, anchor="start", weight="normal", colour="#222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>')

    def box(self, x, y, width, height, colour, hint=""):
        title = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                          f'fill="{colour}">{title}</rect>')

    def line(self, x, top, bottom, colour, width=1.0):
        self.parts.append(f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"/>')

    def svg(self, height, title):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                f'width="{WIDTH}" height="{height:.0f}" font-family="sans-serif" role="img">')
        return "\n".join([head, "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->",
                          f"<title>{escape(title)}</title>",
                          f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>',
                          *self.parts, "</svg>", ""])


class Axis:
    """Where a ratio is on the picture."""

    def __init__(self, ratios):
        self.low = max([tick for tick in TICKS if tick <= min(ratios)], default=TICKS[0])
        self.high = min([tick for tick in TICKS if tick >= max(ratios)], default=TICKS[-1])

    def x(self, ratio):
        inside = min(max(ratio, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return LABELS + FIGURES + share * (WIDTH - LABELS - 2 * FIGURES)

    def ticks(self):
        return [tick for tick in TICKS if self.low <= tick <= self.high]


def colours(servers):
    """A colour for each filesystem, ours first as they come."""
    left = {True: list(OURS), False: list(OTHERS)}
    return {server["name"]: left[server["ours"]].pop(0) if left[server["ours"]] else "#000"
            for server in servers}


def draw_row(picture, axis, y, row, servers, colour_of):
    height = LANE * len(servers)
    picture.text(LABELS - 10, y + height / 2 + 4, row["title"], anchor="end")
    for lane, server in enumerate(servers):
        name = server["name"]
        if name not in row["results"]:
            continue
        result, top = row["results"][name], y + lane * LANE
        ratio = result["ratio"]
        left, right = sorted((axis.x(1), axis.x(ratio)))
        picture.box(left, top, max(right - left, 1.5), LANE - 2, colour_of[name],
                    f"{row['title']}, {name}: {ratio:.2f}")
        if ratio < 1:
            picture.text(left - 3, top + LANE - 2.5, f"{ratio:.2f}", 8, "end", colour="#555")
        else:
            picture.text(right + 3, top + LANE - 2.5, f"{ratio:.2f}", 8, colour="#555")
        if result["asked"] is not None:
            picture.line(axis.x(result["asked"]), top - 1, top + LANE - 1, "#000", 2)
    return y + height + GAP


def draw_legend(picture, y, servers, colour_of):
    x = 10
    for server in servers:
        words = ("castore " if server["ours"] else "") + server["name"]
        width = 26 + 7 * len(words)
        if x + width > WIDTH:
            x, y = 10, y + 18
        picture.box(x, y - 9, 12, 10, colour_of[server["name"]])
        picture.text(x + 17, y, words)
        x += width
    return y


def drawn(result):
    servers = [server for server in result["servers"] if server["name"] != result["native"]]
    rows = [row for row in result["rows"] if not row["absolute"] and row["results"]]
    ratios = [each["ratio"] for row in rows for each in row["results"].values()]
    axis = Axis([0.5, 2, *ratios])
    colour_of = colours(servers)
    picture = Picture()

    title = f"Time relative to {result['native']}: left of 1 is faster"
    picture.text(10, TOP, title, 15, weight="bold")
    y = draw_legend(picture, TOP + 24, servers, colour_of)
    start = y + 10
    y, group, bands = start, None, len(picture.parts)
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            y += HEADING
            picture.text(10, y - 8, group, 13, weight="bold")
        y = draw_row(picture, axis, y, row, servers, colour_of)

    lines = Picture()  # beneath the bars
    for tick in axis.ticks():
        lines.line(axis.x(tick), start + 8, y, "#444" if tick == 1 else "#ddd")
        picture.text(axis.x(tick), y + 14, f"{tick:g}", 11, "middle")
    picture.parts[bands:bands] = lines.parts
    y += 30
    for row in result["rows"]:
        if row["absolute"] and row["results"]:
            figures = ", ".join(f"{name} {each['median'] * 1000:.0f} ms"
                                for name, each in row["results"].items())
            picture.text(10, y + 8, f"{row['group']}, {row['title']}: {figures}")
            y += 18
    picture.text(10, y + 8, f"{result['rounds']} rounds; Linux {result['kernel']}, "
                 f"{result['processors']} processors; a black mark is what was asked", 11, colour="#555")
    return picture.svg(y + 20, title)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="what bench/mount.py wrote with --json")
    parser.add_argument("picture", type=Path, help="the SVG file to write")
    options = parser.parse_args()
    options.picture.write_text(drawn(json.loads(options.result.read_text())))


if __name__ == "__main__":
    main()
