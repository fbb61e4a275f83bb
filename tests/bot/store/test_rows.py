"""Answers as they are stored, and back."""

from __future__ import annotations

import json

from bot.store.rows import TRACE
from bot.web.payloads import answer_json
from pipeline.types import Answer, Mode, Speculation


def test_what_a_newer_version_stored_is_read() -> None:
    """In a rolling upgrade, and after a roll-back: an outcome that is not known here is kept as it is called, a field that is
    not known is left out."""
    stored = json.loads(TRACE.dump_json(Answer("Ten seconds.", False, Mode.COMBINED, speculation=Speculation("late"))))
    stored["speculation"]["outcome"] = "postponed"
    stored["speculation"]["until"] = 7
    stored["reviewed"] = True
    read = TRACE.validate_json(json.dumps(stored))
    assert read == Answer("Ten seconds.", False, Mode.COMBINED, speculation=Speculation("postponed"))
    assert answer_json(read)["draft_outcome"] == "postponed"
