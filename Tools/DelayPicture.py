#!/usr/bin/env python3
"""
What a delay costs
==================
Plays the retries of ten large senders against the greylister's own decision, for one delay after
the other, and draws when their mail arrives::

    python Tools/DelayPicture.py              writes Docs/pictures/delays.svg
    python Tools/DelayPicture.py --check      says whether that is up to date

Where the numbers are from: Pagani et al., "Measuring the Role of Greylisting and Nolisting in
Fighting Spam" (DSN 2016) measured when these senders come back. What is at hand is a table that was
computed from it: for nine delays, the first retry that is not too early. So RETRIES has, of each
sender, the moments that occur in its row, and only these: retries in between, which no delay of the
table waits for, are not known, and a delay that is not in the table may show a longer time than
the sender would need. It is taken that the key survives when a sender changes its address.
"""

from __future__ import annotations

import argparse
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from Kamaelia.Apps.Grey.Core.Decide import decide  # noqa: E402
from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy, Record, Verdict  # noqa: E402

PICTURE = ROOT / "Docs" / "pictures" / "delays.svg"
DELAYS = (60, 180, 240, 300, 600, 900, 1500, 1800, 3600)
RETRIES = {  # seconds after the first try
    "gmail": (362, 1742, 3396, 5924),
    "yahoo": (127, 339, 778, 1636, 3313, 6575),
    "hotmail": (61, 184, 306, 728, 970, 1690, 1930, 3610),
    "qq": (305, 745, 1229, 3151, 5075),
    "mail.ru": (78, 1155, 2954, 4789),
    "yandex": (65, 413, 895, 1828, 3661),
    "mail.com": (302, 757, 1439, 2463, 3998),
    "gmx": (301, 753, 1430, 2446, 3969),
    "aol": (332, 692, 1292, 1892),  # and then it gives up
    "india.com": (381, 981, 2181, 4581),
}
_LEFT, _TOP, _WIDTH, _HEIGHT = 96, 74, 70, 30  # of the first cell, and of each
_LEGEND = 44
# Under so many minutes: (on a light ground, on a dark one).
_SHADES = (
    (7, "#eaf4ea", "#1d3324"),
    (16, "#f6f2d8", "#3a3620"),
    (31, "#f8e2c4", "#4a3620"),
    (10**6, "#f2c9bd", "#56291f"),
)
_LOST = ("#c4574a", "#8e3329")


def arrives(retries: tuple[int, ...], delay: int) -> int | None:
    """Seconds after the first try at which the mail is in; None: it never is."""
    policy = Policy(delay_seconds=delay, allowed_domains=frozenset({"example.org"}))
    attempt = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "1", "b", "example.org")
    record: Record | None = None
    for seconds in (0, *retries):
        decision = decide(attempt, record, policy, 1_000_000 + seconds)
        if decision.verdict is Verdict.PASS:
            return seconds
        record = decision.record
    return None


def clock(seconds: int | None) -> str:
    return "lost" if seconds is None else f"{seconds // 60}:{seconds % 60:02d}"


def picture() -> str:
    rows = [
        (name, [arrives(retries, delay) for delay in DELAYS]) for name, retries in RETRIES.items()
    ]
    width = _LEFT + _WIDTH * len(DELAYS) + 12
    height = _TOP + _HEIGHT * len(rows) + _LEGEND
    cells = [_text(_LEFT - 10, _TOP - 12, "delay", "end quiet")]
    cells += [
        _text(_LEFT + _WIDTH * place + _WIDTH // 2, _TOP - 12, f"{delay} s", "middle strong")
        for place, delay in enumerate(DELAYS)
    ]
    for line, (name, times) in enumerate(rows):
        top = _TOP + _HEIGHT * line
        cells.append(_text(_LEFT - 10, top + 20, name, "end"))
        for place, seconds in enumerate(times):
            cells += _cell(_LEFT + _WIDTH * place, top, seconds)
    what = "Minutes and seconds until the mail of ten large senders is in, by greylist_delay"
    delays = ", ".join(map(str, DELAYS))
    told = ". ".join(f"{n}: {', '.join(clock(s) for s in times)}" for n, times in rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="delays" role="img" width="{width}"'
            f' height="{height}" viewBox="0 0 {width} {height}" aria-labelledby="dt dd">',
            f'<title id="dt">{escape(what)}</title>',
            f'<desc id="dd">Delays of {delays} seconds. {escape(told)}.</desc>',
            f"<style>{_style()}</style>",
            f'<rect class="ground" width="{width}" height="{height}"/>',
            _text(12, 26, what, "strong"),
            *cells,
            *_legend(_TOP + _HEIGHT * len(rows) + 14),
            "</svg>\n",
        ]
    )


def _cell(left: int, top: int, seconds: int | None) -> list[str]:
    return [
        f'<rect class="{_shade(seconds)}" x="{left + 1}" y="{top + 1}"'
        f' width="{_WIDTH - 2}" height="{_HEIGHT - 2}" rx="3"/>',
        _text(left + _WIDTH // 2, top + 20, clock(seconds), "middle"),
    ]


def _shade(seconds: int | None) -> str:
    if seconds is None:
        return "lost"
    return next(f"s{at}" for at, shade in enumerate(_SHADES) if seconds < shade[0] * 60)


def _legend(top: int) -> list[str]:
    names = [f"under {minutes} min" for minutes, *_ in _SHADES[:-1]] + ["longer", "lost"]
    shades = [f"s{at}" for at in range(len(_SHADES))] + ["lost"]
    made = []
    for place, (name, shade) in enumerate(zip(names, shades, strict=True)):
        left = _LEFT + 128 * place
        made.append(f'<rect class="{shade}" x="{left}" y="{top}" width="16" height="16" rx="3"/>')
        made.append(_text(left + 22, top + 13, name, "quiet"))
    return made


def _text(left: int, top: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{left}" y="{top}">{escape(text)}</text>'


def _style() -> str:
    light = ["--ground:#ffffff", "--ink:#1b2733", "--quiet:#5a6673", f"--lost:{_LOST[0]}"]
    dark = ["--ground:#14181d", "--ink:#e6ebf0", "--quiet:#9aa6b2", f"--lost:{_LOST[1]}"]
    for at, (_, on_light, on_dark) in enumerate(_SHADES):
        light.append(f"--s{at}:{on_light}")
        dark.append(f"--s{at}:{on_dark}")
    fills = "".join(f".delays .s{at}{{fill:var(--s{at})}}" for at in range(len(_SHADES)))
    return (
        f".delays{{{';'.join(light)};font-family:'DejaVu Sans',Verdana,Arial,sans-serif}}"
        f"@media (prefers-color-scheme:dark){{.delays{{{';'.join(dark)}}}}}"
        ".delays text{font-size:13px;fill:var(--ink)}.delays .quiet{fill:var(--quiet)}"
        ".delays .strong{font-weight:bold}.delays .middle{text-anchor:middle}"
        f".delays .end{{text-anchor:end}}.delays .ground{{fill:var(--ground)}}{fills}"
        ".delays .lost{fill:var(--lost)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Draws what a delay costs ten large senders.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    drawn = picture()
    if not parser.parse_args().check:
        PICTURE.write_text(drawn)
        return 0
    if PICTURE.is_file() and PICTURE.read_text() == drawn:
        return 0
    print("run: python Tools/DelayPicture.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
