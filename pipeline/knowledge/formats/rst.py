"""reStructuredText through docutils, also with the directives and roles of Sphinx, which docutils does not know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.encoding import decode
from pipeline.knowledge.formats.html import html_to_markdown

if TYPE_CHECKING:
    from docutils.nodes import Node

_DIRECTIVE = re.compile(r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([A-Za-z][\w:.+-]*)::", re.MULTILINE)
_ROLE = re.compile(r":([A-Za-z][\w:.+-]*):`")
_TARGET = re.compile(r"^(?P<text>.*?)\s*<[^<>]+>$", re.DOTALL)
_CODE = frozenset({"code", "code-block", "sourcecode"})
_SILENT = frozenset(
    {"toctree", "index", "automodule", "autosummary", "currentmodule", "tabularcolumns", "literalinclude", "highlight"}
)
"""Lists of pages, and what names a file that is not there."""
_SETTINGS = {
    "file_insertion_enabled": False,  # `.. include:: /etc/passwd`
    "raw_enabled": False,
    "halt_level": 5,
    "report_level": 5,
    "syntax_highlight": "none",
    "embed_stylesheet": False,
    "doctitle_xform": True,
    "initial_header_level": 2,
    "input_encoding": "unicode",
    "_disable_config": True,
    "line_length_limit": 1_000_000,
}


def read_rst(data: bytes) -> Converted:
    """HTML by docutils, and Markdown from that. Nothing is included or executed that the page names."""
    from docutils.core import publish_parts  # noqa: PLC0415  # only where there is reStructuredText
    from docutils.utils import SystemMessage  # noqa: PLC0415

    text = decode(data)
    _learn(text)
    try:
        parts = publish_parts(text, writer="html5", settings_overrides=_SETTINGS)
    except (SystemMessage, RecursionError, ValueError, AttributeError) as exc:
        raise DocumentUnreadable(f"the reStructuredText cannot be read ({type(exc).__name__})") from exc
    return html_to_markdown(parts["html_body"])


def _learn(text: str) -> None:
    """Register the page's unknown directives and roles: their content is kept, and docutils' error messages are not."""
    from docutils.parsers.rst import directives, languages, roles, states  # noqa: PLC0415
    from docutils.utils import new_document  # noqa: PLC0415

    english: Any = languages.get_language("en")
    document = new_document("")
    for name in {found[1] for found in _DIRECTIVE.finditer(text)}:
        if name in _CODE:
            directives.register_directive(name, _code_directive())
        elif directives.directive(name, english, document)[0] is None:
            directives.register_directive(name, _unknown_directive(keep=name not in _SILENT))
    inliner = states.Inliner()
    for name in {found[1] for found in _ROLE.finditer(text)}:
        inliner.reporter = document.reporter
        if roles.role(name, english, 0, document.reporter)[0] is None:
            roles.register_local_role(name, _unknown_role)


def _unknown_directive(*, keep: bool) -> type:
    """A directive that shows its argument and its content, or nothing."""
    from docutils import nodes  # noqa: PLC0415
    from docutils.parsers.rst import Directive  # noqa: PLC0415

    class Unknown(Directive):
        has_content = True
        optional_arguments = 1
        final_argument_whitespace = True
        option_spec: ClassVar[Any] = _AnyOption()

        def run(self) -> list[Node]:
            if not keep:
                return []
            shown: list[Node] = []
            if self.arguments:
                shown.append(nodes.paragraph("", "", nodes.literal("", " ".join(self.arguments[0].split()))))
            container = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, container)
            return [*shown, *container.children]

    return Unknown


def _code_directive() -> type:
    """Code with any option: docutils' own drops a listing for Sphinx' `:linenos:`."""
    from docutils import nodes  # noqa: PLC0415
    from docutils.parsers.rst import Directive  # noqa: PLC0415

    class Code(Directive):
        has_content = True
        optional_arguments = 1
        option_spec: ClassVar[Any] = _AnyOption()

        def run(self) -> list[Node]:
            code = "\n".join(self.content)
            language = self.arguments[0] if self.arguments else ""
            return [nodes.literal_block(code, code, classes=[f"highlight-{language}"] if language else [])]

    return Code


class _AnyOption(dict[str, Any]):
    """Allows every option."""

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, _name: str) -> Any:
        return lambda value: value


def _unknown_role(
    _role: str, rawtext: str, text: str, _line: int, _inliner: Any, _options: Any = None, _content: Any = None
) -> tuple[list[Any], list[Any]]:
    """`:ref:`the page <target>`` shows `the page`; a bare target is shown as code."""
    from docutils import nodes  # noqa: PLC0415

    text = text.replace("\x00", "")
    named = _TARGET.match(text)
    if named and named["text"]:
        return [nodes.inline(rawtext, named["text"])], []
    return [nodes.literal(rawtext, text.lstrip("~!").split(".")[-1] if text.startswith("~") else text.lstrip("!"))], []
