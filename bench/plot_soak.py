"""Draws what a soak left in memory, from scripts/ratios --soak: resident memory over what was done, from zero on.

usage: plot_soak.py SOAK.json PICTURE.svg
"""

import sys

from plot import FAINT, INK, MET, MISSED, caption, line, picture, read_results, text

PANEL, GAP, LEFT, TOP, HEIGHT = 340, 100, 70, 60, 220
MEBIBYTE = 1024 * 1024
SERIES = [("family_pss_bytes", "all its processes (PSS)", MISSED), ("rss_bytes", "the program (RSS)", MET)]
TITLES = {"pools": "pools made and ended", "tasks": "tasks, with workers that are replaced"}


def round_up(value):
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if value / s <= 5)
    return step, step * -(-value // step)


def panel(course, left):
    steps = course["steps"]
    step, most = round_up(max(max(course[name]) for name, _, _ in SERIES) / MEBIBYTE)

    def place(x, y):
        return left + PANEL * x / steps[-1], TOP + HEIGHT * (1 - y / most)

    parts = [text(left, TOP - 30, f"{steps[-1]:,.0f} {TITLES[course['unit']]}")]
    value = 0
    while value <= most:
        _, y = place(0, value)
        parts.append(line(left, y, left + PANEL, y, INK if value == 0 else FAINT))
        parts.append(text(left - 8, y + 4, f"{value:g} MiB", "end", 11))
        value += step
    for name, label, color in SERIES:
        places = (place(x, y / MEBIBYTE) for x, y in zip(steps, course[name]))
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        _, y = place(0, course[name][-1] / MEBIBYTE)
        parts.append(text(left + PANEL, y - 6, label, "end", 11, color))
    return parts


def draw(results):
    parts = []
    for index, course in enumerate(results["soak"]):
        parts += panel(course, LEFT + index * (PANEL + GAP))
    parts.append(text(LEFT, TOP + HEIGHT + 30, caption(results["machine"]), size=11))
    return picture(TOP + HEIGHT + 44, parts)


def main():
    results = read_results(2)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(results))


if __name__ == "__main__":
    main()
