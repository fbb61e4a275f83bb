"""The pipeline's settings, read once from the environment (and `.env`). Nothing else in this package reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.drafting import DRAFT_WAIT
from pipeline.llm import BASE
from pipeline.speculation import Drafting
from pipeline.types import Mode

ADAPTER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class PipelineSettings(BaseSettings):
    """Each field's description is its line in `docs/settings.md`; a test keeps the two equal."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True, populate_by_name=True
    )

    data_dir: Path = Field(
        Path("data"),
        alias="PROMPTAI_DATA_DIR",
        description="Folder for everything kept on disk: SQLite, embedded Chroma, keyword index, socket. One process owns it.",
    )
    database_url: SecretStr | None = Field(
        None,
        alias="DATABASE_URL",
        description="`postgresql://user:password@host/name`; unset: SQLite in the data folder.",
    )
    chroma_url: str | None = Field(
        None, alias="CHROMA_URL", description="A Chroma server; unset: embedded in the data folder."
    )
    model_url: str | None = Field(
        None,
        alias="MODEL_URL",
        description="Base URL of a TGI server (or any that speaks its Messages API), without `/v1`; unset: the embedded model.",
    )
    model_api_key: SecretStr | None = Field(
        None, alias="MODEL_API_KEY", description="Sent to the model server as a bearer token."
    )
    answer_model: str | None = Field(
        None,
        alias="ANSWER_MODEL",
        description="Adapter that writes answers; `tgi`: the server's base model; unset: the promoted one, else the base.",
    )
    draft_model: str | None = Field(
        None,
        alias="DRAFT_MODEL",
        description="Adapter that writes drafts; `tgi`: the server's base model; unset: the promoted one, else the base.",
    )
    adapters: str = Field(
        "",
        alias="PROMPTAI_ADAPTERS",
        description="Where adapters lie: `name=folder`, separated by commas; a folder of `promptai finetune`, or a `.gguf` file. The embedded model serves them; for a model server `promptai adapter check` reads them.",
    )
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        alias="EMBEDDING_MODEL",
        description="sentence-transformers model, by name or path, while none is promoted (`promptai embedder`). Another one needs a new `promptai sync`.",
    )
    knowledge: Path | None = Field(
        None,
        alias="PROMPTAI_KNOWLEDGE",
        description="The file that declares your sources of documents; unset: `knowledge.toml`, if there is one. See knowledge.md.",
    )
    mode: Mode = Field(Mode.COMBINED, alias="PROMPTAI_MODE", description="`combined`, `rag` or `finetuned`.")
    passages: Annotated[int, Field(ge=1, le=20)] = Field(
        5, alias="PROMPTAI_PASSAGES", description="Passages shown to the model, 1 to 20."
    )
    most_passages: Annotated[int, Field(ge=0, le=60)] = Field(
        0,
        alias="PROMPTAI_MOST_PASSAGES",
        description="Where passages are short: show up to so many in the room that PROMPTAI_PASSAGES long ones take (200 tokens each). Finds more; for a model that reads more. 0: no more than PROMPTAI_PASSAGES.",
    )
    reranker: str | None = Field(
        None,
        alias="PROMPTAI_RERANKER",
        description="A sentence-transformers cross-encoder, by name or path, that orders the best passages anew; unset: none.",
    )
    rerank_depth: Annotated[int, Field(ge=2, le=100)] = Field(
        20, alias="PROMPTAI_RERANK_DEPTH", description="How many passages the reranker reads a question, 2 to 100."
    )
    language: str = Field(
        "",
        alias="PROMPTAI_LANGUAGE",
        description="Leave out documents in another language, for example `en`; unset: any.",
    )
    release: str = Field(
        "", alias="PROMPTAI_RELEASE", description="Leave out documents of another product version; unset: any."
    )
    min_similarity: Annotated[float, Field(ge=-1, le=1)] = Field(
        0.25,
        alias="PROMPTAI_MIN_SIMILARITY",
        description="Abstain when no passage is at least this similar to the question, or to a draft that is believed (cosine, -1 to 1). Unset, a fine-tuned embedder brings its own.",
    )
    draft_tokens: Annotated[int, Field(ge=8, le=1024)] = Field(
        96, alias="PROMPTAI_DRAFT_TOKENS", description="Longest draft, in tokens."
    )
    drafting: Drafting = Field(
        Drafting.ALWAYS,
        alias="PROMPTAI_DRAFTING",
        description="Combined mode waits for the whole draft (`always`); only until it names a page or turns out unlikely (`gated`); or begins the answer meanwhile, and again if the draft finds other passages (`speculative`: for a drafter on hardware of its own). `gated` wants a calibrated adapter.",
    )
    draft_words: Annotated[int, Field(ge=1, le=400)] = Field(
        12,
        alias="PROMPTAI_DRAFT_WORDS",
        description="Words of the draft that `speculative` and `gated` wait for at most. A drafter that was not trained needs some 48 to say anything of use.",
    )
    draft_wait: Annotated[float, Field(gt=0)] = Field(
        DRAFT_WAIT,
        alias="PROMPTAI_DRAFT_WAIT",
        description="Seconds from the question, the rewriting of a follow-up included, until its draft is given up: then the answer goes on with the question alone.",
    )
    answer_tokens: Annotated[int, Field(ge=16, le=4096)] = Field(
        400, alias="PROMPTAI_ANSWER_TOKENS", description="Longest answer, in tokens."
    )
    context_tokens: Annotated[int, Field(ge=512)] = Field(
        4096,
        alias="PROMPTAI_CONTEXT_TOKENS",
        description="The model's window, prompt and answer together, in tokens. Embedded: at most 8192.",
    )
    first_token_timeout: Annotated[float, Field(gt=0)] = Field(
        60.0, alias="MODEL_FIRST_TOKEN_TIMEOUT", description="Seconds to wait for a model's first token."
    )
    stall_timeout: Annotated[float, Field(gt=0)] = Field(
        20.0, alias="MODEL_STALL_TIMEOUT", description="Seconds to wait between two tokens."
    )

    @property
    def adapter_folders(self) -> dict[str, Path]:
        """`adapters` by name, in their order."""
        pairs = (part.partition("=") for part in self.adapters.split(",") if part.strip())
        return {name.strip(): Path(folder.strip()) for name, _, folder in pairs}

    @field_validator("adapters")
    @classmethod
    def _named(cls, value: str) -> str:
        names = []
        for part in filter(str.strip, value.split(",")):
            name, _, folder = (text.strip() for text in part.partition("="))
            if not folder or not re.fullmatch(ADAPTER_PATTERN, name):
                raise ValueError("must be name=folder,name=folder; a name has letters, digits, '.', '_' and '-'")
            names.append(name)
        if BASE in names or len(set(names)) < len(names):
            raise ValueError(f"each adapter needs a name of its own, and {BASE} is the base model's")
        return value

    @field_validator("model_url", "chroma_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a URL such as http://127.0.0.1:8000")
        return value.rstrip("/").removesuffix("/v1")
