"""Comma- and tab-separated values: a Markdown table, whose header every passage repeats."""

from __future__ import annotations

import csv
import io

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.encoding import decode

_DELIMITERS = ",;\t|"
_SAMPLE = 64 * 1024
_LONGEST_CELL = 100_000
"""Characters. Python's limit, which keeps an open quote from swallowing a whole file, is about as much."""


def read_csv(data: bytes) -> Converted:
    """Any of the usual separators; the table itself is markitdown's."""
    from markitdown import StreamInfo  # noqa: PLC0415  # takes a second to import
    from markitdown.converters import CsvConverter  # noqa: PLC0415

    text = decode(data)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:_SAMPLE], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel  # a single column, or no table at all
    plain = io.StringIO()
    csv.field_size_limit(_LONGEST_CELL)
    try:
        csv.writer(plain).writerows(row for row in csv.reader(io.StringIO(text, newline=""), dialect) if any(row))
    except csv.Error as exc:
        raise DocumentUnreadable(f"no table of values ({exc})") from exc
    result = CsvConverter().convert(io.BytesIO(plain.getvalue().encode()), StreamInfo(charset="utf-8"))
    return Converted("", result.markdown)
