"""No secret reaches a log."""

from __future__ import annotations

import logging

import pytest
import structlog

from bot.logs import BLANK, Redact, configure_logs


@pytest.mark.parametrize(
    "text",
    [
        "token xoxb-123-abcDEF",
        "token xapp-1-A-9",
        "Authorization: Bearer abcdef123456.xyz",
        "postgresql://me:hunter2pass@db/x",
        "jwt eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl",
        "the signing secret is s3cr3t-value",
    ],
)
def test_tokens_and_known_secrets_are_blanked_out(text: str) -> None:
    cleaned = Redact(["s3cr3t-value"]).clean(text)
    assert BLANK in cleaned
    for secret in ("123-abc", "xapp-1", "abcdef123456", "hunter2pass", "c2lnbmF0dXJl", "s3cr3t-value"):
        assert secret not in cleaned


@pytest.fixture
def restored_logging() -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_secrets_in_values_exceptions_and_other_libraries_lines_are_blanked_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("INFO", ["s3cr3t-value"])
    log = structlog.get_logger("bot.test")
    log.info(
        "posted",
        token="s3cr3t-value",
        settings={"a": ["s3cr3t-value"]},
        pair=("s3cr3t-value",),
        e=ValueError("s3cr3t-value"),
    )
    try:
        raise RuntimeError("s3cr3t-value in an error")
    except RuntimeError:
        log.exception("failed")
    logging.getLogger("some.library").warning("calling with %s", "s3cr3t-value")
    printed = capsys.readouterr().err
    assert printed.count(BLANK) >= 6
    assert "s3cr3t-value" not in printed
    assert "RuntimeError" in printed


@pytest.mark.usefixtures("restored_logging")
def test_libraries_that_log_every_request_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("INFO")
    logging.getLogger("slack_bolt.App").info("whole request")
    assert capsys.readouterr().err == ""
