"""The values that travel between the parts of the pipeline.

Frozen dataclasses from the standard library only; each field says its unit and range.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

SHARED = "shared"
"""The tenant whose documents everybody may read."""

CANARY_DOCUMENT = ":canary"
"""The document that a tenant's canary belongs to (`pipeline.knowledge.canaries`): of no source, since each has a name."""


class Role(StrEnum):
    """What an adapter is in service for."""

    DRAFT = "draft"
    ANSWER = "answer"


class Mode(StrEnum):
    """Which half of the system answers; `combined` is the product, the others are its controls."""

    RAG = "rag"
    """Retrieve with the question alone, answer from passages."""
    FINETUNED = "finetuned"
    """Answer from the model's memory: no passages, no citations."""
    COMBINED = "combined"
    """Draft from memory, retrieve with question and draft, answer from passages."""


@dataclass(frozen=True, slots=True)
class Document:
    """One page of a source, already converted to Markdown."""

    id: str
    """Stable within its tenant and source: `source:location`."""
    tenant: str
    """Who may read it; `SHARED` for everybody."""
    source: str
    """The name of the source it came from."""
    location: str
    """What a person opens: a path relative to the source, or a URL."""
    title: str
    """The first heading, or the file name."""
    text: str
    """Markdown, without front matter."""
    content_hash: str
    """SHA-256 (hex) of title and text: equal hashes mean nothing to do."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that fits the embedder's window."""

    id: str
    """Content-addressed: SHA-256 (hex, 32 characters) of tenant, document id, heading path, position and text."""
    document_id: str
    """The document that it was cut from."""
    tenant: str
    """Copied from the document; checked on every hit."""
    location: str
    """The document's location, with `#anchor` of the section where it has one."""
    title: str
    """The document's title."""
    heading_path: tuple[str, ...]
    """Headings from the page's title down to the section, for example `("Alerts", "Default windows")`."""
    text: str
    """Markdown as in the document."""
    position: int
    """0-based order within the document."""
    language: str = ""
    """Of the document: `en`, `pt-br`; empty where nothing says so."""
    release: str = ""
    """The product version that the document is about: `2.3`, `latest`; empty where nothing says so."""
    fold: str = ""
    """Shared by passages of near-duplicate documents (versions, languages, copies); empty for one of a kind."""

    @property
    def is_canary(self) -> bool:
        """Planted to prove isolation; no answer ever holds it."""
        return self.document_id == CANARY_DOCUMENT

    @property
    def embedded_text(self) -> str:
        """What is embedded and indexed: the heading path, then the text."""
        return " > ".join(self.heading_path) + "\n" + self.text


DENSE_DRAFT = "dense(draft)"
"""The list of what is near the draft."""


@dataclass(frozen=True, slots=True)
class FoundBy:
    """Why a passage was found: one ranked list that held it."""

    query: str
    """`dense(question)`, `keyword(question)`, `dense(draft)` or `keyword(draft)`; `reranker` if it ordered them anew."""
    rank: int
    """1-based rank in that list."""
    score: float
    """That list's own score: cosine similarity in [-1, 1], BM25 (>= 0), or whatever the reranker gives."""
    weight: float
    """The list's weight in the fusion, > 0; 0 for the reranker, which comes after it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question."""

    passage: Passage
    score: float
    """Fused score (reciprocal rank fusion, > 0); comparable within one retrieval only."""
    found_by: tuple[FoundBy, ...]
    """Every list that held it."""
    similarity: float
    """Cosine similarity of passage and question in [-1, 1]."""
    neighbours: tuple[str, ...] = ()
    """Ids of passages beside it, of the same section, whose text was joined to its own."""

    @property
    def relevance(self) -> float:
        """What abstention looks at, in [-1, 1]: how near it is to the question, or to the draft as far as that is believed.

        A right draft finds passages that the question is far from: that is what it is for.
        """
        near_draft = (each.score * min(1.0, each.weight) for each in self.found_by if each.query == DENSE_DRAFT)
        return max((self.similarity, *near_draft))


@dataclass(frozen=True, slots=True)
class Findings:
    """What a question finds by itself, and what else it could have found."""

    hits: tuple[Hit, ...]
    """The best passages, best first."""
    titles: tuple[str, ...]
    """Titles of the pages of all candidates, best first, each once; more than those of `hits`."""
    preferring: Callable[[str, bool], Awaitable[tuple[Hit, ...]]]
    """The best passages if the pages of this title come first; or, where False is said, if their best passage comes second.
    Searches nothing anew. Raises as retrieval does."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which passages may be found at all. A passage that does not say its language or release always may."""

    language: str = ""
    """`en` also allows `en-gb`, `pt-br` also allows plain `pt`; empty: any."""
    release: str = ""
    """The product version, exactly as the documents say it; empty: any."""

    def allow(self, passage: Passage) -> bool:
        """True if `passage` may be found."""
        wanted, spoken = self.language.lower(), passage.language.lower()
        base = wanted.partition("-")[0]
        speaks = not wanted or spoken in ("", wanted, base) or (wanted == base and spoken.startswith(f"{base}-"))
        return speaks and (not self.release or passage.release in ("", self.release))


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer in the same thread."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model says from memory. Used to retrieve, never shown to the answering prompt."""

    text: str
    model: str
    """The adapter or model that wrote it."""
    confidence: float | None = None
    """Probability, 0 to 1, that the model gave to its first line, or to the title in it where no more was read or was
    calibrated; None where the server did not say."""
    trust: float | None = None
    """How likely a draft of this confidence is right, 0 to 1; None for a drafter that was not calibrated."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that the answer's text refers to as `[number]`."""

    number: int
    """1-based, in the order of first appearance in the text."""
    title: str
    location: str
    passage_id: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds since the question arrived in the pipeline, or spent in a stage; None where a stage did not run."""

    draft: float | None = None
    """Spent on the draft: until it had ended, or no more of it was read."""
    retrieve: float | None = None
    """Spent on retrieval."""
    first_token: float | None = None
    """From the start to the first text of the answer."""
    retrieved_at: float | None = None
    """From the start until it was known which passages to answer from: no word is shown before."""
    total: float = 0.0
    """From the start to the end."""


@dataclass(frozen=True, slots=True)
class Speculation:
    """What became of an attempt not to wait for the draft (`pipeline.speculation`), or not for longer than it is worth."""

    outcome: str
    """`kept`, `restarted`: what was begun without the draft was kept, or begun again. Or nothing was begun before a verdict:
    no draft was asked for (`skipped`), it began with the title that was found anyway (`agreed`), it was unlikely to be right
    (`doubted`), it began with the title of another page that the question had found too, which was put first (`named`) or only
    added where it is less likely (`added`), or it had to be searched with (`waited`). Or, whatever had been attempted, it took
    too long (`late`), and the question's own passages stand. Text: in a rolling upgrade, and after a roll-back, answers are
    read that a newer version stored, with outcomes of its own."""
    wasted_pieces: int = 0
    """Pieces of text that were generated and that nobody saw; a token each, as a rule."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The finished answer and how it came about."""

    text: str
    """Markdown with `[n]` markers, every one of which is in `citations`."""
    abstained: bool
    """True when the documentation does not say: the text says so and cites nothing."""
    mode: Mode
    citations: tuple[Citation, ...] = ()
    question: str = ""
    """The standalone question that was retrieved for (a follow-up rewritten)."""
    draft: Draft | None = None
    hits: tuple[Hit, ...] = ()
    """The passages shown to the model, best first."""
    timings: Timings = field(default_factory=Timings)
    models: tuple[str, ...] = ()
    """Models asked, in order, without repetition."""
    speculation: Speculation | None = None
    """None where the draft was waited for, or not wanted."""


class Stage(StrEnum):
    """What the pipeline is doing now; platforms show it as a status line."""

    DRAFTING = "drafting"
    RETRIEVING = "retrieving"
    ANSWERING = "answering"


@dataclass(frozen=True, slots=True)
class StageStarted:
    """The pipeline has begun a stage."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class DraftReady:
    """The draft is written."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """Retrieval is done."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text, to be appended to what came before."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerReady:
    """The last event: the whole answer. Its text replaces the streamed text (markers may have been repaired)."""

    answer: Answer


AnswerEvent = StageStarted | DraftReady | PassagesFound | TextDelta | AnswerReady
