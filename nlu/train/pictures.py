"""Confusion matrices and reliability plots as SVG."""

CELL, LEFT, TOP, SIDE, GAP = 50, 70, 46, 200, 60


def write_confusions(path, matrices):
    """Side by side, each with a title, its classes and counts: rows are the truth and sum to 100 %, the darker the more."""
    parts, x, height = [], 0, 0
    for title, classes, counts in matrices:
        parts += confusion(x, title, classes, counts)
        x += LEFT + len(classes) * CELL + 24
        height = max(height, TOP + len(classes) * CELL + 30)
    write(path, x, height, parts)


def confusion(x0, title, classes, counts):
    parts = [f'<text x="{x0 + 8}" y="18" font-size="14">{title}</text>']
    for row, name in enumerate(classes):
        y = TOP + row * CELL
        parts.append(f'<text x="{x0 + LEFT - 6}" y="{y + CELL / 2 + 4}" text-anchor="end">{name}</text>')
        parts.append(f'<text x="{x0 + LEFT + (row + 0.5) * CELL}" y="{TOP - 6}" text-anchor="middle" font-size="10">{name}</text>')
        for column, count in enumerate(counts[row]):
            value = count / max(sum(counts[row]), 1)
            shade, ink = int(255 - 175 * value), "white" if value > 0.6 else "black"
            x = x0 + LEFT + column * CELL
            parts.append(
                f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" fill="rgb({shade},{shade},255)"/>'
                f'<text x="{x + CELL / 2}" y="{y + CELL / 2 + 4}" text-anchor="middle" fill="{ink}">{100 * value:.0f}</text>'
            )
    return parts


def write_reliability(path, plots):
    """Side by side, each with a title and per bin the sum of the probabilities told, how many were right, how many there are."""
    parts = []
    for number, (title, bins) in enumerate(plots):
        x0 = GAP + number * (SIDE + GAP)
        place = lambda told, true: (x0 + told * SIDE, TOP + (1 - true) * SIDE)
        parts.append(f'<text x="{x0}" y="18" font-size="14">{title}</text>')
        parts.append(f'<rect x="{x0}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>')
        parts.append(f'<line x1="{x0}" y1="{TOP + SIDE}" x2="{x0 + SIDE}" y2="{TOP}" stroke="#999" stroke-dasharray="4"/>')
        most = max(count for _, _, count in bins)
        for told, true, count in bins:
            if count:
                x, y = place(told / count, true / count)
                parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + 8 * (count / most) ** 0.5:.1f}" fill="#3355cc" fill-opacity="0.6"/>')
        parts.append(f'<text x="{x0 + SIDE / 2}" y="{TOP + SIDE + 18}" text-anchor="middle">probability told</text>')
        parts.append(f'<text transform="translate({x0 - 8},{TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">share right</text>')
    write(path, GAP + len(plots) * (SIDE + GAP), TOP + SIDE + 30, parts)


def write(path, width, height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    path.write_text("\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n", encoding="utf-8")
