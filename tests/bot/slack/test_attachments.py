"""Files that come with a question: read where they can be, named with the reason where not, and fetched from Slack only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from bot.attachments import Attached
from bot.messages import Question
from bot.slack.api import SlackApi, SlackUnavailable, make_client
from bot.slack.attachments import MAX_CHARS, SlackAttachments, described
from bot.slack.incoming import BotIdentity, read_event
from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import Converted, convert
from tests.fakes.samples import question
from tests.fakes.slack_api import BOT_TOKEN, BOT_USER, CHANNEL, FakeSlack, event


class Reader:
    """A workspace with files, and what reads them."""

    def __init__(self, slack: FakeSlack, session: aiohttp.ClientSession) -> None:
        self.slack = slack
        client = make_client(slack.url, BOT_TOKEN)
        client.session = session
        self.api = SlackApi(client)
        self.attachments = SlackAttachments(self._api, self._convert)

    async def _api(self, _address: object) -> SlackApi:
        return self.api

    def _convert(self, data: bytes, name: str) -> Converted:
        if name.endswith(".pdf"):
            if data.startswith(b"%PDF"):
                return Converted("", "From the PDF.")
            raise DocumentUnreadable("no PDF")
        return convert(data, name)

    async def read(self, *files: object) -> Attached:
        return await self.attachments.read(replace(question(), address={"files": described(list(files))}))


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    async with FakeSlack() as slack, aiohttp.ClientSession() as session:
        yield Reader(slack, session)


async def test_text_markdown_and_pdf_are_read_and_named(reader: Reader) -> None:
    files = [
        reader.slack.share("app.log", b"ERROR 42"),
        reader.slack.share("notes.md", "# Größe\nzehn".encode()),
        reader.slack.share("page.pdf", b"%PDF-1.7", mimetype="application/pdf"),
    ]
    found = await reader.read(*files)
    assert found.text == (
        "\n\nAttached file app.log:\nERROR 42\n\nAttached file notes.md:\n# Größe\nzehn"
        "\n\nAttached file page.pdf:\nFrom the PDF."
    )
    assert found.notice == "I read app.log. I read notes.md. I read page.pdf."


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("shot.png", {"mimetype": "image/png"}, "pictures"),
        ("plan.docx", {"mimetype": "application/msword"}, "I read text, Markdown and PDF"),
        ("big.txt", {"size": 5_000_001}, "larger than 5 MB"),
        ("drive.txt", {"mode": "external"}, "not kept in Slack"),
        ("broken.pdf", {"mimetype": "application/pdf"}, "could not be opened"),
        ("elsewhere.txt", {"url_private_download": "https://evil.example/x"}, "could not be opened"),
        ("gone.txt", {"file_access": "check_file_info"}, "could not be opened"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_reason(
    reader: Reader, name: str, changes: dict[str, object], reason: str
) -> None:
    found = await reader.read(reader.slack.share(name, b"secret", **changes))  # type: ignore[arg-type]
    assert found.text == ""
    assert found.notice.startswith(f"I cannot read {name}: ")
    assert reason in found.notice


async def test_a_file_from_the_other_side_of_a_shared_channel_is_looked_up_first(reader: Reader) -> None:
    whole = reader.slack.share("a.txt", b"over there")
    reader.slack.extras.files["F9"] = whole
    found = await reader.read({"id": "F9", "name": "a.txt", "file_access": "check_file_info", "mode": "hosted"})
    assert "over there" in found.text


async def test_long_and_many_files_are_cut_and_it_says_so(reader: Reader) -> None:
    files = [reader.slack.share(f"{n}.txt", b"x" * (MAX_CHARS - 100)) for n in range(4)]
    found = await reader.read(*files)
    assert found.text.count("x") - found.text.count("txt") == MAX_CHARS
    assert "I read 0.txt. I read the first 100 characters of 1.txt." in found.notice
    assert "I left out 3.txt: I read 3 files at most." in found.notice


@pytest.mark.parametrize(
    "url", ["https://files.slack.com.evil.example/x", "http://files.slack.com/x", "https://evil.example/slack.com", ""]
)
async def test_the_token_goes_to_slack_alone(reader: Reader, url: str) -> None:
    with pytest.raises(SlackUnavailable, match="not Slack's"):
        await reader.api.download(url, 100)


async def test_an_answer_that_is_no_http_does_not_put_the_token_into_the_error() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 what ever\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        client = make_client(url, "xoxb-hidden")
        client.session = session
        for call in (SlackApi(client).download(f"{url}file", 100), SlackApi(client).call("auth.test", {})):
            with pytest.raises(SlackUnavailable) as caught:
                await call
            assert "ClientResponseError" in str(caught.value)
            assert "xoxb" not in f"{caught.value!r} {caught.value}"


async def test_a_file_that_is_larger_than_it_said_is_dropped(reader: Reader) -> None:
    shared = reader.slack.share("a.txt", b"x" * 101)
    with pytest.raises(SlackUnavailable, match="larger"):
        await reader.api.download(shared["url_private_download"], 100)


async def test_slack_s_sign_in_page_is_not_taken_for_the_file(reader: Reader) -> None:
    reader.slack.tokens.clear()
    found = await reader.read(reader.slack.share("a.txt", b"x"))
    assert "could not be opened" in found.notice


def test_a_message_with_files_keeps_what_is_needed_to_read_them() -> None:
    inner = {
        "type": "app_mention",
        "user": "U1",
        "channel": CHANNEL,
        "ts": "1700000000.000100",
        "subtype": "file_share",
    }
    files = [{"id": "F1", "name": "a.txt", "size": 3, "thumb_64": "no", "url_private": "https://files.slack.com/a"}]
    body = event({**inner, "text": f"<@{BOT_USER}> what is this?", "files": files})
    asked = read_event(body, me=BotIdentity(BOT_USER, "B0", "T0TEAM"), tenant="acme")
    assert isinstance(asked, Question)
    assert asked.address["files"] == described(files)
    assert "thumb" not in asked.address["files"]
