"""
What the site needs beyond Sphinx and MyST
==========================================
* A block of Mermaid becomes a picture when the site is built (MermaidText, DotText and Svg of
  Tools): the reader's browser need not fetch or run anything for it. A chart that is not understood
  is a warning with its line, and so ends a build with ``-W``.
* Pictures of ours (SVG) stand in the page itself, so that they follow its light or dark switch, and
  scroll in a box of their own when they are wider than a phone.
* Tables of contents come from ``site_contents`` in conf.py: on the pages they would be noise
  wherever these are read as plain Markdown. At the side only a page's own branch is open.
* A link to a file of the project that is no page of the site is a download; one to a folder becomes
  its text.
* ``conf`` blocks (greylist.conf) are coloured.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import Svg
from docutils import nodes
from docutils.parsers.rst import Directive
from DotText import of_chart
from MermaidText import ChartError, read
from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Operator, Punctuation, String, Text
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

log = logging.getLogger(__name__)


# ---- pictures


class picture_node(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes like this
    """A picture of ours: `svg` is its text."""


class Mermaid(Directive):
    """A chart in Mermaid's language, drawn."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = "\n".join(self.content)
        try:
            drawing = of_chart(read(text))
            return [picture_node("", svg=Svg.picture(drawing), says=drawing.description)]
        except (ChartError, Svg.GraphvizError) as error:
            place = (self.state.document.settings.env.docname, self.lineno)
            log.warning("this chart is not drawn: %s", error, location=place)
            return [nodes.literal_block(text, text)]


class InlinePictures(SphinxPostTransform):
    """Images that are pictures of ours become part of the page."""

    default_priority = 5  # before images are collected into one folder
    formats = ("html",)

    def run(self, **_options: object) -> None:
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.env.srcdir, image["uri"])
            if path.suffix != ".svg" or not path.is_file():
                continue
            svg = path.read_text(encoding="utf-8")
            if Svg.key_of(svg) is not None:
                image.replace_self(picture_node("", svg=svg, says=image.get("alt", "")))


def visit_picture(translator: Any, node: nodes.Element) -> None:  # noqa: ANN401 - any writer
    number = translator.site_pictures = getattr(translator, "site_pictures", 0) + 1
    svg = Svg.inline(node["svg"], number)
    inside_text = isinstance(node.parent, nodes.paragraph)
    tag = "span" if inside_text else "div"
    # Reached by the keyboard, as it scrolls; what it shows is told by the title inside.
    box = f'{tag} class="picture-box" role="group" aria-label="picture" tabindex="0"'
    translator.body.append(f"<{box}>{svg}</{tag}>")
    raise nodes.SkipNode


def visit_picture_as_text(translator: Any, node: nodes.Element) -> None:  # noqa: ANN401
    translator.body.append(f"[{node['says']}]\n")
    raise nodes.SkipNode


# ---- links


class OutsideLinks(SphinxTransform):
    """Links to what is no page: a Markdown file of the project beside Docs is a download, as other
    files are by MyST; of a folder the text is left."""

    default_priority = 2

    def apply(self, **_options: object) -> None:
        here = Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(addnodes.pending_xref)):
            target = link["reftarget"]
            if link.get("refdomain") == "doc" and Path(target).is_absolute():
                file = os.path.relpath(f"{target}.md", here)
                text = nodes.inline("", "", *link.children)
                made = addnodes.download_reference(
                    "", "", text, reftarget=file, refdoc=link["refdoc"]
                )
                link.replace_self(made)
            elif link.get("reftype") == "myst" and (here / target).is_dir():
                link.replace_self(link.children)


# ---- contents


class Contents(SphinxTransform):
    """The table of contents that conf.py gives a page, hidden: it is seen at the side."""

    default_priority = 1

    def apply(self, **_options: object) -> None:
        for caption, patterns in self._sections():
            found = [name for pattern in patterns for name in self._matching(pattern)]
            if not caption:
                found.sort()  # folders among the pages, as they are numbered
            page = next(self.document.findall(nodes.section), None)
            if found and page is not None:  # inside of it: what it lists is below it
                page.append(self._tree(caption, found))

    def _sections(self) -> Sequence[tuple[str, list[str]]]:
        name: str = self.env.docname
        folder, _, last = name.rpartition("/")
        usual = [("", [f"{folder}/*", f"{folder}/*/README"])] if folder and last == "README" else ()
        sections: Sequence[tuple[str, list[str]]] = self.config.site_contents.get(name, usual)
        return sections

    def _matching(self, pattern: str) -> list[str]:
        """The pages of that name or pattern; `*` stays in one folder."""
        return sorted(
            name
            for name in self.env.found_docs
            if fnmatch.fnmatchcase(name, pattern)
            and name.count("/") == pattern.count("/")
            and name != self.env.docname
        )

    def _tree(self, caption: str, names: list[str]) -> nodes.Node:
        tree = addnodes.toctree()
        tree.update_all_atts(
            {
                "parent": self.env.docname,
                "entries": [(None, name) for name in names],
                "includefiles": names,
                "caption": caption or None,
                "maxdepth": -1,
                "glob": False,
                "hidden": True,
                "includehidden": False,
                "numbered": 0,
                "titlesonly": True,
            }
        )
        if caption:
            tree["rawcaption"] = caption
        tree.source, tree.line = str(self.env.doc2path(self.env.docname)), 1
        return nodes.compound("", tree, classes=["toctree-wrapper"])


# In a table of contents, the line of the page that it is on.
CURRENT = r'(<li class="toctree-l\d+) current"><a class="current reference internal" href="#"'


def narrow_navigation(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: nodes.document | None
) -> None:
    """At the side, only the branch of the page itself is open. With all of them on every page the
    site would grow, and take longer to build, with the square of the number of modules.

    Pages of one folder that have none below them differ in one line of it: it is made for the first
    of them, and mark_page() puts that line right."""
    whole = context.get("toctree")
    if not callable(whole):
        return
    folder, _, name = page.rpartition("/")
    includes = app.env.toctree_includes
    if page in includes or page not in includes.get(f"{folder}/README", ()):
        context["toctree"] = lambda **wishes: whole(**{**wishes, "collapse": True})
        return
    made: dict[str, str] = app.__dict__.setdefault("kamaelia_branches", {})

    def branch(**wishes: object) -> str:
        if folder not in made:
            html = str(whole(**{**wishes, "collapse": True}))
            made[folder] = re.sub(
                CURRENT, rf'\1"><a class="reference internal" href="{name}.html"', html
            )
        return made[folder]

    context["toctree"] = branch
    context["kamaelia_page"] = name


def mark_page(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _tree: nodes.document | None
) -> None:
    """In what the theme made of a branch that pages share, this page is the current one."""
    if "kamaelia_page" in context:
        link = re.escape(f'"><a class="reference internal" href="{context["kamaelia_page"]}.html"')
        context["furo_navigation_tree"] = re.sub(
            rf'(<li class="toctree-l\d+){link}',
            r'\1 current current-page"><a class="current reference internal" href="#"',
            context["furo_navigation_tree"].replace(" current-page", "", 1),
            count=1,
        )


# ---- blocks of greylist.conf


class ConfLexer(RegexLexer):
    """greylist.conf: settings, lists, comments."""

    name = "greylist.conf"
    aliases: ClassVar[list[str]] = ["conf"]
    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"#[^\n]*", Comment),
            (r'"[^"\n]*"', String),
            (r"^(\s*)([\w-]+)(\s*)(=)", bygroups(Text, Name.Attribute, Text, Operator)),
            (r"^(\s*)([\w-]+)(\s*)(:)", bygroups(Text, Keyword, Text, Punctuation)),
            (r"\s+", Text),
            (r"[^\s#\"]+|\"", Text),
        ]
    }


# ---- all of it


def write_style(app: Sphinx, _error: Exception | None) -> None:
    """The colours of the pictures, from where the pictures are made."""
    folder = Path(app.outdir, "_static")
    if app.builder.format == "html" and folder.is_dir():
        style = Svg.style_sheet(page=True)
        (folder / "pictures.css").write_text(style + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("site_contents", {}, "env")
    app.add_node(
        picture_node,
        html=(visit_picture, None),
        man=(visit_picture_as_text, None),
        text=(visit_picture_as_text, None),
        latex=(visit_picture_as_text, None),
    )
    app.add_directive("mermaid", Mermaid)
    app.add_transform(Contents)
    app.add_transform(OutsideLinks)
    app.add_post_transform(InlinePictures)
    app.add_lexer("conf", ConfLexer)
    app.add_css_file("pictures.css")
    app.connect("html-page-context", narrow_navigation, priority=400)  # before the theme's
    app.connect("html-page-context", mark_page, priority=600)  # after it
    app.connect("build-finished", write_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
