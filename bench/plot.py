"""Draws the ratios as a picture, and writes them as a table into a page.

usage: plot.py RATIOS.json PICTURE.svg PAGE.md

In the picture each row's ratio is shown on a logarithmic scale, as multiples of its target: 1 is the target, to the
right is better. In the page, what is between the two marks is replaced.
"""

import html
import json
import math
import sys

WIDTH, LABELS, FIGURES, RIGHT, TOP, ROW = 900, 250, 190, 24, 56, 30
MET, MISSED, INK, FAINT = "#2f7d4f", "#c0562f", "#333333", "#cccccc"


def escape(text):
    return html.escape(text, quote=False)


def margin(row, ratio):
    """How many times better than its target a ratio is."""
    assert row["bound"] != "none"
    return row["target"] / ratio if row["bound"] == "at most" else ratio / row["target"]


def text(x, y, words, anchor="start", size=13, fill=INK):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'


def line(x1, y1, x2, y2, stroke, width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"/>'


def caption(machine):
    return f"{machine['processor']}, {machine['processors']} processors, {machine['kernel']}, {machine['compiler']}"


def picture(height, parts):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def read_results(count):
    """What the first argument names, if there are so many."""
    if len(sys.argv) != count + 1:
        sys.exit(sys.modules["__main__"].__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        return json.load(file)


def draw(results):
    rows = [row for row in results["rows"] if "ratio" in row and row["bound"] != "none"]
    margins = [margin(row, ratio) for row in rows for ratio in row["ratio_samples"]]
    low = math.floor(math.log10(min(margins + [0.5])) * 2) / 2
    high = math.ceil(math.log10(max(margins + [2])) * 2) / 2
    left, right = LABELS, WIDTH - FIGURES - RIGHT
    bottom = TOP + ROW * len(rows)

    def place(value):
        return left + (right - left) * (math.log10(value) - low) / (high - low)

    parts = [text(left, 20, "times better than the target (median; line: all pairs)", size=13)]
    for exponent in range(math.ceil(low), math.floor(high) + 1):
        x = place(10.0**exponent)
        parts.append(line(x, TOP - 8, x, bottom, FAINT))
        parts.append(text(x, TOP - 14, f"{10.0**exponent:g}", "middle", 12))
    parts.append(line(place(1), TOP - 8, place(1), bottom, INK, 1.5))
    for index, row in enumerate(rows):
        y = TOP + ROW * index + ROW / 2
        color = MET if row["met"] else MISSED
        spread = [margin(row, ratio) for ratio in row["ratio_samples"]]
        middle = place(margin(row, row["ratio"]))
        start = min(place(1), middle)
        parts.append(text(left - 10, y + 4, row["name"], "end"))
        parts.append(
            f'<rect x="{start:.1f}" y="{y - 7:.1f}" width="{abs(middle - place(1)):.1f}" height="14" '
            f'fill="{color}" fill-opacity="0.75"/>'
        )
        parts.append(line(place(min(spread)), y, place(max(spread)), y, INK, 1.2))
        bound = "≤" if row["bound"] == "at most" else "≥"
        parts.append(text(right + 14, y + 4, f"{row['ratio']:.3g} × (target {bound} {row['target']:g} ×)", fill=color))
    parts.append(text(left, bottom + 22, caption(results["machine"]), size=11))
    return picture(bottom + 34, parts)


BEGIN, END = "<!-- ratios: written by scripts/ratios --document -->", "<!-- end of ratios -->"


def table(results):
    lines = ["| what | ours | peer | | ratio | target | |", "|---|---|---|---|---|---|---|"]
    for row in results["rows"]:
        if "ratio" not in row:
            continue
        bound = {"at most": f"≤ {row['target']:g} ×", "at least": f"≥ {row['target']:g} ×", "none": ""}[row["bound"]]
        met = "" if row["bound"] == "none" else "met" if row["met"] else "**not met**"
        figures = [row[side].replace(" us", " µs") for side in ("ours_text", "peer_text")]
        lines.append(
            f"| {escape(row['what'])} | {figures[0]} | {escape(row['peer'])} | {figures[1]} | {row['ratio']:.3g} × "
            f"| {bound} | {met} |"
        )
    lines.append("")
    lines.append(f"{caption(results['machine'])}; load average {results['machine']['load']:.1f} at the end.")
    return "\n".join(lines)


def rewrite(page, results):
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return page[:begin] + "\n\n" + table(results) + "\n\n" + page[end:]


def main():
    results = read_results(3)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(results))
    with open(sys.argv[3], encoding="utf-8") as file:
        page = rewrite(file.read(), results)
    with open(sys.argv[3], "w", encoding="utf-8") as file:
        file.write(page)


if __name__ == "__main__":
    main()
