"""JSON lines as a source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import SourceNotFound
from pipeline.knowledge.sources.jsonl import JsonlSource
from tests.pipeline.knowledge.support import open_world

RECORDS = [
    {"id": "1", "page": "https://x.test/a.html", "title": "Alerts", "section": "Alerts", "text": "# A comment\nFire."},
    {"id": "2", "page": "https://x.test/b.html", "title": "Api", "section": "api.Thing", "text": "A thing."},
    {"id": "3", "page": "https://x.test/a.html", "title": "Alerts", "section": "Default windows", "text": "Five."},
    {"id": "4", "page": "https://x.test/c.html", "title": "Empty", "section": "Empty", "text": " "},
]


def write(path: Path, records: list[dict[str, str]]) -> JsonlSource:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return JsonlSource(path, name="corpus")


async def test_the_records_of_a_page_are_one_document_whose_passages_are_linked_to_their_section(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        report = await world.syncer().sync(write(tmp_path / "c.jsonl", RECORDS), tenant="shared")
        assert (report.added, report.failed) == (2, (("https://x.test/c.html", "no text in it"),))
        found = {(passage.location, passage.heading_path, passage.text) for passage in await world.passages()}
        assert found == {
            ("https://x.test/a.html", ("Alerts",), "# A comment\nFire."),
            ("https://x.test/a.html#default-windows", ("Alerts", "Default windows"), "Five."),
            ("https://x.test/b.html#api.Thing", ("Api", "api.Thing"), "A thing."),
        }
        changed = [*RECORDS[:2], {**RECORDS[2], "text": "Six."}]
        report = await world.syncer().sync(write(tmp_path / "c.jsonl", changed), tenant="shared")
        assert (report.changed, report.unchanged, report.embedded) == (1, 1, 1)


@pytest.mark.parametrize("line", ["no json", "[1]", '{"text": "x"}'])
async def test_a_line_that_is_no_record_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    (tmp_path / "c.jsonl").write_text(json.dumps(RECORDS[0]) + "\n" + line + "\n")
    with pytest.raises(SourceNotFound, match="line 2"):
        [_ async for _ in JsonlSource(tmp_path / "c.jsonl", name="x").files()]
