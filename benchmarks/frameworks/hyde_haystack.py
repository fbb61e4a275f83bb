"""Haystack: the pipeline of its page on HyDE (n documents, embedded, averaged), then its RAG tutorial's prompt, streamed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from haystack import Document, Pipeline, component
from haystack.components.builders import ChatPromptBuilder
from haystack.components.converters import OutputAdapter
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.utils import Secret
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.retrievers.chroma import ChromaEmbeddingRetriever
from haystack_integrations.document_stores.chroma import ChromaDocumentStore
from hyde_common import DRAFT_TOKENS, HITS, PASSAGES, Job, Results, job

HYDE = """Given a question, generate a paragraph of text that answers the question.    Question: {{question}}    Paragraph:"""
"""As on docs.haystack.deepset.ai/docs/hypothetical-document-embeddings-hyde."""
DOCUMENTED = {"n": 5, "temperature": 0.75, "max_tokens": 400}
"""From the same page."""
BATCH = 5000
"""Documents that Chroma takes at once."""
SHORT = {"n": 1, "temperature": 0.75, "max_tokens": DRAFT_TOKENS}
RAG = f"""
Given the following information, answer the question.

Context:
{{% for document in documents[:{PASSAGES}] %}}
    {{{{ document.content }}}}
{{% endfor %}}

Question: {{{{question}}}}
Answer:
"""
"""As in its first tutorial on retrieval augmentation, but for the number of documents."""


@component
class HypotheticalDocumentEmbedder:
    """The mean of the documents' embeddings; the one component that its page on HyDE has people write."""

    @component.output_types(hypothetical_embedding=list[float])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        return {"hypothetical_embedding": np.mean([each.embedding for each in documents], axis=0).tolist()}


def build(task: Job) -> ChromaDocumentStore:
    store = ChromaDocumentStore("pages", persist_path=str(task.scratch), distance_function="cosine")
    documents = [
        Document(id=each["id"], content=each["text"], meta={"page": each["page"]}, embedding=vector.tolist())
        for each, vector in zip(task.passages, task.vectors, strict=True)
    ]
    writer = DocumentWriter(store)
    for begin in range(0, len(documents), BATCH):
        writer.run(documents[begin : begin + BATCH])
    return store


def generator(task: Job, name: str, **more: Any) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(api_key=Secret.from_token("none"), model=name, api_base_url=f"{task.url}/v1", **more)


def answering(task: Job, store: ChromaDocumentStore, name: str, text: Callable[[StreamingChunk], None]) -> Pipeline:
    """Retrieval by an embedding, prompt, streamed answer."""
    pipeline = Pipeline()
    pipeline.add_component("retrieve", ChromaEmbeddingRetriever(store, top_k=HITS))
    pipeline.add_component("prompt", ChatPromptBuilder([ChatMessage.from_user(RAG)], required_variables="*"))
    pipeline.add_component("answer", generator(task, name, streaming_callback=text))
    pipeline.connect("retrieve.documents", "prompt.documents")
    pipeline.connect("prompt", "answer.messages")
    return pipeline


def with_question(pipeline: Pipeline, task: Job) -> Pipeline:
    """In front of `answering`: the question is embedded."""
    pipeline.add_component("embed", SentenceTransformersTextEmbedder(model=task.model, progress_bar=False))
    pipeline.connect("embed.embedding", "retrieve.query_embedding")
    return pipeline


def with_hyde(pipeline: Pipeline, task: Job, name: str, options: dict[str, Any]) -> Pipeline:
    """In front of `answering`: hypothetical documents are written and embedded."""
    pipeline.add_component("ask", ChatPromptBuilder([ChatMessage.from_user(HYDE)], required_variables="*"))
    pipeline.add_component("write", generator(task, name, generation_kwargs=options))
    pipeline.add_component(
        "adapt",
        OutputAdapter(
            "{{answers | build_doc}}",
            output_type=list[Document],
            custom_filters={"build_doc": lambda data: [Document(content=each.text) for each in data]},
            unsafe=True,  # without it this version gives the text of the list
        ),
    )
    pipeline.add_component("embed", SentenceTransformersDocumentEmbedder(model=task.model, progress_bar=False))
    pipeline.add_component("mean", HypotheticalDocumentEmbedder())
    pipeline.connect("ask", "write.messages")
    pipeline.connect("write.replies", "adapt.answers")
    pipeline.connect("adapt.output", "embed.documents")
    pipeline.connect("embed.documents", "mean.documents")
    pipeline.connect("mean.hypothetical_embedding", "retrieve.query_embedding")
    return pipeline


def main() -> None:
    logging.getLogger("haystack").setLevel(logging.ERROR)  # it warns of each document that reached its limit
    task = job()
    store = build(task)
    results = Results(task)
    release = version("haystack-ai")
    for variant, options in (("no draft", None), ("HyDE", DOCUMENTED), ("HyDE, short", SHORT)):
        name = f"Haystack {release}, {variant}"
        heard: list[Callable[[], None]] = []

        def hear(chunk: StreamingChunk, heard: list[Callable[[], None]] = heard) -> None:
            if chunk.content:
                heard[-1]()

        pipeline = answering(task, store, name, hear)
        pipeline = with_hyde(pipeline, task, name, options) if options else with_question(pipeline, task)

        def ask(
            question: str,
            text: Callable[[], None],
            pipeline: Pipeline = pipeline,
            first: str = "ask" if options else "embed",
            heard: list[Callable[[], None]] = heard,
        ) -> list[str]:
            heard.append(text)
            given = {first: {"question" if first == "ask" else "text": question}, "prompt": {"question": question}}
            found = pipeline.run(given, include_outputs_from={"retrieve"})["retrieve"]["documents"]
            return [document.meta["page"] for document in found]

        settings = "dense retrieval with the question alone"
        if options:
            settings = (
                f"{options['n']} documents of at most {options['max_tokens']} tokens, the mean of their embeddings"
            )
        results.ask_all(name, settings, ask)


if __name__ == "__main__":
    main()
