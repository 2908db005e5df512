"""
How the site of these documents is built
========================================
``python -m sphinx -W --keep-going -n -b html Docs build/site`` (after ``pip install .[docs]``, and
with Graphviz for the charts). The pages stay plain Markdown that reads well where it lies: what
only the site needs (which page belongs under which) stands here, and ``_ext/kamaelia_site.py`` does
what neither Sphinx nor MyST does.

Nothing in the site is loaded from elsewhere: no fonts, no scripts, no badges.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "Tools"), str(HERE.parent)]

project = "Kamaelia Grey"
author = "the authors of Kamaelia Grey"
copyright = "the authors, Apache License 2.0"  # noqa: A001 - the name Sphinx looks for
language = "en"

extensions = ["myst_parser", "kamaelia_site"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_ext", "_static", "_build"]
myst_heading_anchors = 6  # as far down as the reference has headings
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["deflist"]  # the manual pages list options so
nitpicky = True
smartquotes = False  # "" in a text about programs is two quotes

# The table of contents: for a page its sections, (caption, pages); an empty caption makes none.
# Every other README has the pages of its folder, and the READMEs of the folders in it.
site_contents = {
    "index": [
        ("Where to begin", ["for-operators", "for-remixers", "for-learners"]),
        ("Learn", ["tutorial/README", "axon/README", "kamaelia/README"]),
        ("Run the proxy", ["operating/*", "protocols/*", "man/*"]),
        ("Understand", ["architecture", "performance", "interop"]),
        (
            "Look up",
            [
                "operating/reference/README",
                "kamaelia/reference/README",
                "axon/reference/README",
            ],
        ),
    ],
    "architecture": [("", ["decisions/*"])],
    "axon/README": [("", ["axon/*"])],
    "kamaelia/README": [("", ["kamaelia/*"])],
}

html_theme = "furo"
html_title = "Kamaelia Grey"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": True,
    "footer_icons": [],
}
html_favicon = "_static/icon.svg"
html_use_index = False
html_domain_indices = False

# `-b man` makes the manual pages of the two that are written as such.
man_pages = [
    ("man/kamaelia-grey.8", "kamaelia-grey", "greylisting SMTP proxy", [], 8),
    ("man/greylist.conf.5", "greylist.conf", "what kamaelia-grey does", [], 5),
]
man_show_urls = False
