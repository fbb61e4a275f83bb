"""What names or reaches a person or opens a door is taken out; what a product is made of stays."""

from __future__ import annotations

import random
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.training import scrubbing
from pipeline.training.scrubbing import Scrubber, contacts, keys, names, scrub
from tests.fakes.counted_regex import CountedRegex

EXAMPLE = Path(__file__).parents[3] / "examples" / "streaming-qoe"
# Put together here, so that no scanner takes this file for a leak.
SLACK = "xox" + "b-2222222222-3333333333-" + "AbCdEfGhIjKlMnOpQrStUvWx"
GITHUB = "gh" + "p_" + "16C7e42F292c6912E7710c838347Ae178B4a"
AWS = "AK" + "IAIOSFODNN7EXAMPLE"
JWT = "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEowIBAAKCAQEA\nx1y2\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Mail ada.lovelace+beta@mail.example.co.uk, please.", "Mail [email], please."),
        ("<mailto:ada@corp.example|ada@corp.example>", "<mailto:[email]|[email]>"),
        ("jürgen@bücher.example schrieb", "[email] schrieb"),
        ("ada (at) corp (dot) example", "[email]"),
        ("ada[at]corp.example or ada at corp dot com", "[email] or [email]"),
        ("ada＠corp．example and a\u200bda@corp.exa\u00admple", "[email] and [email]"),
        ("“ada@corp.example”", "“[email]”"),
    ],
)
def test_e_mail_addresses_are_replaced(text: str, scrubbed: str) -> None:
    """Also spelt out, in wide characters, and with characters in them that nobody sees."""
    assert scrub(text).text == scrubbed


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Call +49 30 1234567-89 now", "Call [phone] now"),
        ("+1 (415) 555-0123.", "[phone]."),
        ("(415) 555-0123 or 415-555-0123", "[phone] or [phone]"),
        ("0049 171 2345678", "[phone]"),
        ("Tel.: 030 / 123 45 67", "Tel.: [phone]"),
        ("my mobile number: 0171 2345678", "my mobile number: [phone]"),
        ("＋４９ ３０ １２３４５６７８", "[phone]"),
        ("+٤٩ ٣٠ ١٢٣٤٥٦٧٨", "[phone]"),
        ("Card 4111 1111 1111 1111, exp 12/29", "Card [card], exp 12/29"),
        ("378282246310005", "[card]"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [account]"),
        ("SSN 078-05-1120", "SSN [account]"),
    ],
)
def test_numbers_that_reach_or_charge_a_person_are_replaced(text: str, scrubbed: str) -> None:
    """Phone numbers in the usual forms; cards and accounts whose check digits are right."""
    assert scrub(text).text == scrubbed


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("from 10.1.2.3:8080 to 10.1.2.0/24", "from [ip]:8080 to [ip]/24"),
        ("host 2001:4860:4860::8888 answers", "host [ip] answers"),
        ("[fe80:0:0:1::5]", "[[ip]]"),
        ("00:1B:44:11:3A:B7", "[mac]"),
        ("session 123e4567-e89b-12d3-a456-426614174000", "session [id]"),
        ("device 0x" + "9f8e7d6c" * 4, "device [id]"),
    ],
)
def test_addresses_of_machines_are_replaced(text: str, scrubbed: str) -> None:
    """Addresses, hardware addresses, and ids long enough to be somebody's."""
    assert scrub(text).text == scrubbed


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"The token is {SLACK}.", "The token is [key]."),
        (f"git clone with {GITHUB}", "git clone with [key]"),
        (f"`{AWS}`", "`[key]`"),
        ("sk-" + "proj-a1B2c3D4e5F6g7H8i9J0", "[key]"),
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer [key]"),
        (f"cookie={JWT};", "cookie=[key];"),
        ("curl -H 'Authorization: Basic YWRhOmh1bnRlcjI='", "curl -H 'Authorization: Basic [key]'"),
        (f"before\n{PEM}\nafter", "before\n[key]\nafter"),
        (PEM[:60], "[key]"),
        ("https://ada:hunter2@db.corp.example/x", "https://[credentials]@db.corp.example/x"),
        ("postgresql://bot:p%40ss@10.0.0.5/db", "postgresql://[credentials]@[ip]/db"),
        ("password = hunter2!", "password = [key]"),
        ('{"client_secret": "a8s7d6f5"}', '{"client_secret": "[key]"}'),
        ("password: pa$$w0rd", "password: [key]"),
        ("my password is CorrectHorse", "my password is [key]"),
        ("Passwort: 12345678", "Passwort: [key]"),
        ("PROMPTAI_API_KEY=abc123def", "PROMPTAI_API_KEY=[key]"),
        ("https://x.example/v?sig=Zm9vYmFy1&user=5", "https://x.example/v?sig=[key]&user=5"),
        ("https://hooks.slack.com/services/T000/B000/XXXX", "[key]"),
        ("AWS wJalrXUtnFEMI/K7MDENG/bPxRfiCYq9X4zLeK3Y", "AWS [key]"),
        ("salt q3Zx8Kp2Lm9Rt5Vw1Yb7Nc4D", "salt [key]"),
    ],
)
def test_secrets_are_replaced(text: str, scrubbed: str) -> None:
    """By how they begin, by what stands before them, or because no words are in them."""
    assert scrub(text).text == scrubbed


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("<@U0123ABCD> and <@W0123ABCD|ada> in <#C0123ABCD|live>", "[person] and [person] in [channel]"),
        ("<!subteam^S0123|@experts> <at id='0'>Ada Lovelace</at>", "[person] [person]"),
        ("see https://acme.slack.com/archives/C012/p1700000000 there", "see [link] there"),
        ("Hi Ada, what is a stall?", "Hi [name], what is a stall?"),
        ("Hello Ada and Grace Hopper! It fails.", "Hello [name] and [name]! It fails."),
        ("Guten Morgen Jürgen,\nwas ist das?", "Guten Morgen [name],\nwas ist das?"),
        ("It fails again. Thanks, Ada", "It fails again. Thanks, [name]"),
        ("It fails.\nBest regards,\nAda Lovelace\n", "It fails.\nBest regards,\n[name]\n"),
        ("Viele Grüße\nÉloïse Darcy", "Viele Grüße\n[name]"),
        ("My name is Ada Lovelace and it fails", "My name is [name] and it fails"),
        ("This is Ada from Northwind.", "This is [name] from Northwind."),
        ("Mrs. Lovelace asks", "Mrs. [name] asks"),
        ("田中さん、再生できません", "[name]さん、再生できません"),
    ],
)
def test_people_are_replaced_where_they_are_called_greeted_or_sign(text: str, scrubbed: str) -> None:
    """Without knowing any name: mentions, links into conversations, greetings, sign-offs, introductions."""
    assert scrub(text).text == scrubbed


def test_known_names_are_replaced_wherever_they_stand() -> None:
    """Full names and account names everywhere, a first name only where somebody is called: it may be a word."""
    scrubber = Scrubber(["Ada Lovelace", "grace.hopper", "Max", "Jean-Luc Picard", "", "…"])
    text = "ask ada lovelace, LOVELACE, Ada, grace.hopper, or jean-luc Picard; @max; the max value; hi max, ok"
    assert scrubber.scrub(text).text == ("ask [name], [name], [name], or [name]; @[name]; the max value; hi [name], ok")
    assert scrubber.scrub("Ada's page, graceful hopper, Adaptive Lovelace").found == {}


@pytest.mark.parametrize(
    "text",
    [
        "PG-5002, E1001, CVE-2024-12345, ERR_SSL_VERSION_OR_CIPHER_MISMATCH, 0x80070005, ORA-00942, HTTP 503",
        "Version 1.2.3, v10.4.0-rc.1, version 1.2.3.4, release 7.0.0.1, pip install x==1.2.3.4, Chrome 120.0.6099.109",
        'http_requests_total{code="500"}, startup_delay_seconds_bucket, stall_ratio_p50_p90_p95_p99_p999_by_cdn',
        "StartupDelayThresholdExceededException in com.example.player.StartupDelayMonitorFactoryImpl",
        "meta-llama/Llama-2-70b-chat-hf, all-MiniLM-L6-v2, text-embedding-3-small, sk-learn-contrib-extensions",
        "from 2026-11-25T03:14:15.926+01:00 to 12:30:45, 1700000000.123456, 25.11.2026, 11/25/2026",
        "127.0.0.1, ::1, 0.0.0.0:8080, 255.255.255.0, 192.0.2.7, 2001:db8::1 are in the guide",
        "std::vector, img[::2, ::3], a::b, abc::def, @app.route, @ray.remote, types/node@18.1, lodash@4.17.21",
        "git@github.com:org/repo.git, image@sha256, C++, x86_64-unknown-linux-gnu, us-east-1, api-7d9f8b6c5d-x2v4q",
        "token: required, apiKey: X-Api-Key, secret: my-secret-name, max_tokens=4096, password: $DB_PASSWORD, api_key: <your key>",
        "The password is required. The token is valid for 24h. A secret is rotated every 90 days. Bearer authentication",
        "Buffers of 300 500 1000 ms, +5 minutes, UTC+01:00, 1,234,567 plays, 1 000 000 000 beacons, ratio 0.90%",
        "Order 4111111111111112 has no check digit; 2000000000000 ms is a time",
        "Hi all, hello team! Hey there. Thanks in advance. Best Practices\nThanks\nDear customer,\nhello World!",
        "It takes 800 ms. License Time is 530 ms. What works best? Stall Ratio",
        "日本語の文書です。再生の遅延はどのくらいですか？ 👩‍💻 می‌خواهم",
        "Set `session_id` and `user_agent`; see docs/metrics/startup-delay.md#definition, https://docs.example/a/b?page=2",
        "",
    ],
)
def test_what_a_product_is_made_of_stays(text: str) -> None:
    """Error codes, versions, metrics, classes, models, times, quantities, code, and documents' own examples."""
    assert scrub(text).text == text


def test_the_example_corpus_passes_unchanged() -> None:
    """The 338,000 characters of documentation hold nothing of a person."""
    pages = sorted((EXAMPLE).rglob("*.md"))
    assert len(pages) > 50
    assert [page.name for page in pages if scrub(page.read_text()).found] == []


def test_what_was_found_is_counted_by_kind_and_scrubbing_again_changes_nothing() -> None:
    """Placeholders are left alone by every rule."""
    once = scrub(f"Hi Ada, token={SLACK} ada@corp.example 10.1.2.3 grace@corp.example\nThanks, Bob")
    assert once.found == {"email": 2, "ip": 1, "key": 1, "name": 2}
    again = scrub(once.text)
    assert (again.text, again.found) == (once.text, {})


def test_most_random_strings_are_found() -> None:
    """Of keys drawn by lot, in the alphabets that keys have, most are found by their looks alone."""
    drawn = random.Random(7)
    base62 = string.ascii_letters + string.digits
    for alphabet, least in ((base62, 0.97), (base62 + "-_", 0.85), (base62 + "+/", 0.95), ("0123456789abcdef", 0.97)):
        keys = ["".join(drawn.choices(alphabet, k=40)) for _ in range(200)]
        assert sum(scrub(f"see {key} there").found != {} for key in keys) >= least * 200, alphabet


HARD = (
    "a", "a.", "a@", "@", "a-", "1", "1.", "1 ", "+1", "+1 ", "+1-", "a:", "://a:", "https://", "0:", "::", " ", " \n", "hi ",
    "hi A ", "Thanks ", "Thanks A\n", "Best\n", "password=", "token_", "xoxb-", "eyJa.", "Bearer ", "<@", "<at ", "<at>",
    "-----BEGIN PRIVATE KEY-----", "DE89 ", "4111 ", "at (dot) ", "a at b dot ", "Ada Lovelace ", "a_", "\u200b", "田", "Mr. ",
    "tel 1 ", "sk-", "a@a.",
)  # fmt: skip
"""What rules begin with, to be repeated without the end that they wait for."""


LENGTH = 600
"""Characters of a hard text: more than any bounded repetition takes."""
MOST = 1000
"""Steps that one beginning may take, however long the text is."""


@pytest.fixture
def deep() -> Iterator[None]:
    """The counting matcher goes some calls deeper with each repetition of a group."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    yield
    sys.setrecursionlimit(before)


def patterns() -> Iterator[re.Pattern[str]]:
    """All that the rules are made of."""
    for module in (scrubbing, contacts, keys, names):
        yield from (value for value in vars(module).values() if isinstance(value, re.Pattern))
    yield from (pattern for pattern, _ in contacts._MENTIONS)


def is_linear(pattern: re.Pattern[str], unit: str) -> bool:
    """Whether a text of `unit`, repeated, costs steps that grow no faster than it.

    A beginning without a match must cost as much in a text of twice the length; a match, some more for each character that
    it takes. The beginnings in one unit stand for all.
    """
    counted, text = CountedRegex(pattern), unit * (2 * LENGTH // len(unit))
    for at in range(len(unit), 2 * len(unit)):
        half = counted.match(text[:LENGTH], at) or at
        steps = counted.steps
        end = counted.match(text, at)
        found = pattern.match(text, at)
        assert end == (found.end() if found else None), unit  # it counts what `re` does
        if counted.steps - steps > 4 * ((end or at) - half) or counted.steps > MOST + 4 * ((end or at) - at):
            return False
    return True


@pytest.mark.usefixtures("deep")
@pytest.mark.parametrize("pattern", [*patterns()], ids=lambda pattern: pattern.pattern[:40])
def test_no_text_takes_more_than_linear_work(pattern: re.Pattern[str]) -> None:
    """Work is counted, not timed: it is the same on a busy machine."""
    assert [unit for unit in HARD if not is_linear(pattern, unit)] == []


@pytest.mark.parametrize("pattern", ["a+b", "a*(?:a{0,9}c)", r"\s+x", ".*@", "(?:aa|a){0,14}b"])
def test_a_pattern_that_looks_on_from_each_beginning_would_be_seen(pattern: str) -> None:
    """The control: these look at all that follows from everywhere, or try too many ways, and find nothing."""
    assert not all(is_linear(re.compile(pattern), unit) for unit in ("a", " "))
