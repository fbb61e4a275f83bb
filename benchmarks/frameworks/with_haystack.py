"""Haystack as its documentation's indexing and query pipelines show it: clean, split by words, embed, Chroma, top k."""

from __future__ import annotations

from importlib.metadata import version

from common import HITS, Result, Stopwatch, ask_all, job, write
from haystack import Document, Pipeline
from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter
from haystack.components.writers import DocumentWriter
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.retrievers.chroma import ChromaEmbeddingRetriever
from haystack_integrations.document_stores.chroma import ChromaDocumentStore

WORDS = 120
OVERLAP = 12


def main() -> None:
    task = job()
    store = ChromaDocumentStore("pages", persist_path=str(task.scratch), distance_function="cosine")
    embedder = SentenceTransformersDocumentEmbedder(
        model=task.model, meta_fields_to_embed=["title"], progress_bar=False
    )
    embedder.warm_up()
    embedder.run([Document(content="warm", meta={"title": "warm"})])
    indexing = Pipeline()
    indexing.add_component("clean", DocumentCleaner())
    indexing.add_component("split", DocumentSplitter(split_by="word", split_length=WORDS, split_overlap=OVERLAP))
    indexing.add_component("embed", embedder)
    indexing.add_component("write", DocumentWriter(store))
    indexing.connect("clean", "split")
    indexing.connect("split", "embed")
    indexing.connect("embed", "write")
    watch = Stopwatch()
    indexing.run(
        {
            "clean": {
                "documents": [
                    Document(content=page["text"], meta={"title": page["title"], "page": page["page"]})
                    for page in task.pages
                ]
            }
        }
    )
    seconds, processor = watch.read()
    asking = Pipeline()
    asking.add_component("embed", SentenceTransformersTextEmbedder(model=task.model, progress_bar=False))
    asking.add_component("retrieve", ChromaEmbeddingRetriever(store, top_k=HITS))
    asking.connect("embed.embedding", "retrieve.query_embedding")

    def retrieve(text: str) -> list[str]:
        found = asking.run({"embed": {"text": text}})["retrieve"]["documents"]
        return [document.meta["page"] for document in found]

    asked = ask_all(task.questions, retrieve)
    settings = f"DocumentCleaner, DocumentSplitter of {WORDS} words, overlap {OVERLAP}, title embedded; dense"
    write(
        Result("Haystack", version("haystack-ai"), settings, store.count_documents(), seconds, processor, **asked),
        task.out,
    )


if __name__ == "__main__":
    main()
