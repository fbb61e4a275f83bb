"""A little documentation of a streaming monitor and one answer from it: what console tests show."""

from __future__ import annotations

import hashlib

from pipeline.types import Answer, Citation, Document, Draft, FoundBy, Hit, Mode, Passage, Timings
from tests.fakes.web_store import WebLibrary

TENANT = "default"

LIVE_EVENTS = """# Live events

A live event has no second take. This page says what to watch while one is on air, and what to do first when a number moves.

## Before the event

1. Create the event in **Schedule** with its start and end in UTC.
2. Choose the assets and the regions that belong to it.
3. Open the event's dashboard an hour early: the baseline is taken from the last five events of the same series.

## The five numbers to watch

Keep these five on one screen. Each has a default threshold, and each can be narrowed to a region or a device family.

| Metric | What it says | Warn at |
|---|---|---:|
| `video_start_failures` | attempts that never showed a picture | 2 % |
| `rebuffering_ratio` | waiting time by playing time | 0.8 % |
| `video_startup_time` | seconds from play to first frame, p95 | 4 s |
| `exits_before_start` | viewers who gave up waiting | 5 % |
| `concurrent_plays` | everyone who watches now | 20 % below forecast |

The first four describe quality, the last one says how many people it touches. Read them **together**: failures that rise \
while concurrent plays stay flat point to a single device family.

## When a number moves

Group by CDN first, then by device. A change on every CDN at once is an origin or packaging problem.

> Do not restart the packager before you have looked at `exits_before_start`: a restart costs every viewer a rebuffer.

## After the event

Export the report within seven days. Raw sessions are kept for thirty days, aggregates for thirteen months.
"""

ALERTS = """# Alerts

An alert compares a metric with a threshold over a window and tells a channel when it stays beyond it.

## Default windows

Quality alerts use a window of 5 minutes and need at least 400 attempts. During a live event the window shrinks to \
1 minute, so that a sudden failure is reported while it can still be repaired.

- `warning`: one window beyond the threshold
- `critical`: three windows in a row, or twice the threshold once

## Alerts by API

Create a rule for the length of an event:

```python
import os, requests

rule = {"metric": "rebuffering_ratio", "above": 0.008, "window": "1m", "severity": "critical"}
reply = requests.post(
    "https://api.example.com/v2/alerts",
    json=rule,
    headers={"Authorization": f"Bearer {os.environ['MONITOR_TOKEN']}"},
    timeout=10,
)
reply.raise_for_status()
```

The rule is active within 30 seconds. Delete it after the event, or give it `"until": "2025-06-01T22:00:00Z"`.

## Muting

A muted alert is still evaluated and listed. Mute one region, not the whole rule.
"""

STARTUP = """# Video startup time

Seconds from the tap on *play* to the first frame, without advertisements.

## How it is measured

The player reports `play_requested` and `first_frame`. Pre-roll advertisements are taken out. Sessions that never show \
a frame are counted as start failures instead, not as long startups.

## Good values

Below 2 s at the median and below 4 s at the 95th percentile. On mobile networks add one second.
"""

ANSWER_TEXT = """Watch these **five metrics** on one screen during a live event [1]:

| Metric | What it tells you | Warn at |
|---|---|---:|
| `video_start_failures` | attempts that never showed a picture | 2 % |
| `rebuffering_ratio` | waiting time by playing time | 0.8 % |
| `video_startup_time` | play to first frame, p95 | 4 s |
| `exits_before_start` | viewers who gave up waiting | 5 % |
| `concurrent_plays` | everyone who watches now | 20 % below forecast |

Read them together: the first four describe quality, `concurrent_plays` says how many people it touches [1]. Startup time \
counts only sessions that showed a frame; the others are start failures [3].

### Be told early

During an event the alert window shrinks to **1 minute** [2]. To add a rule for the event by API [2]:

```python
rule = {"metric": "rebuffering_ratio", "above": 0.008,
        "window": "1m", "severity": "critical"}
requests.post(f"{API}/v2/alerts", json=rule, headers=auth, timeout=10)
```"""

QUESTION = "Which five metrics should I watch during a live event?"


def document(name: str, text: str, tenant: str = "shared") -> Document:
    title = text.split("\n", 1)[0].removeprefix("# ")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(f"docs:{name}", tenant, "docs", name, title, text, digest)


def passages_of(doc: Document) -> list[Passage]:
    """One passage a section, the heading included."""
    passages = []
    for position, section in enumerate(doc.text.split("\n## ")):
        heading, _, _ = section.partition("\n")
        text = section.strip() if position == 0 else ("## " + section).strip()
        path = (doc.title,) if position == 0 else (doc.title, heading)
        anchor = "" if position == 0 else "#" + heading.lower().replace(" ", "-")
        passage_id = hashlib.sha256((doc.id + text).encode()).hexdigest()[:32]
        passages.append(Passage(passage_id, doc.id, doc.tenant, doc.location + anchor, doc.title, path, text, position))
    return passages


DOCUMENTS = (
    document("guides/live-events.md", LIVE_EVENTS),
    document("guides/alerts.md", ALERTS),
    document("metrics/video-startup-time.md", STARTUP),
)


def library() -> WebLibrary:
    return WebLibrary(DOCUMENTS, [passage for doc in DOCUMENTS for passage in passages_of(doc)])


def hits() -> tuple[Hit, ...]:
    live, alerts, startup = (passages_of(doc) for doc in DOCUMENTS)
    question, both, words = "dense(question)", "dense(draft)", "keyword(draft)"
    return (
        Hit(live[2], 0.0489, (FoundBy(question, 3, 0.512, 1), FoundBy(both, 1, 0.684, 1), FoundBy(words, 1, 21.7, 1)), 0.512),
        Hit(alerts[1], 0.0461, (FoundBy(question, 1, 0.561, 1), FoundBy(both, 4, 0.497, 1), FoundBy(words, 6, 9.2, 1)), 0.561),
        Hit(startup[1], 0.0318, (FoundBy(both, 2, 0.603, 1), FoundBy(words, 3, 14.1, 1)), 0.344),
        Hit(live[1], 0.0164, (FoundBy(question, 2, 0.533, 1),), 0.533),
        Hit(alerts[3], 0.0149, (FoundBy(words, 7, 6.4, 1),), 0.281),
    )  # fmt: skip


def answer() -> Answer:
    found = hits()
    return Answer(
        text=ANSWER_TEXT,
        abstained=False,
        mode=Mode.COMBINED,
        citations=tuple(
            Citation(number, hit.passage.title, hit.passage.location, hit.passage.id)
            for number, hit in zip((1, 2, 3), found[:3], strict=True)
        ),
        question=QUESTION,
        draft=Draft(
            "Five metrics matter during a live event: video start failures, rebuffering ratio, video startup time, "
            "exits before video start and concurrent plays. Set alerts with a one-minute window.",
            "streaming-qoe-lora",
        ),
        hits=found,
        timings=Timings(draft=870, retrieve=64, first_token=1510, total=4230),
        models=("streaming-qoe-lora", "llama-3.3-70b-instruct"),
    )


def abstention() -> Answer:
    return Answer(
        text="The documentation does not say anything about this. Try other words, or ask about live events, alerts "
        "or startup time.",
        abstained=True,
        mode=Mode.COMBINED,
        draft=Draft("The office canteen opens at 11:30.", "streaming-qoe-lora"),
        hits=hits()[3:],
        timings=Timings(draft=640, retrieve=58, total=702),
        models=("streaming-qoe-lora",),
    )
