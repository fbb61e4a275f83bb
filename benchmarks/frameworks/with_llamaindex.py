"""LlamaIndex as its documentation's starter for local models shows it: split by sentences, embed, Chroma, top k."""

from __future__ import annotations

from importlib.metadata import version

import chromadb
from common import HITS, Result, Stopwatch, ask_all, job, write
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore
from transformers import AutoTokenizer

TOKENS = 256
OVERLAP = 20


def main() -> None:
    task = job()
    tokenizer = AutoTokenizer.from_pretrained(task.model, model_max_length=1_000_000)
    embedder = HuggingFaceEmbedding(model_name=task.model)
    embedder.get_text_embedding("warm")
    splitter = SentenceSplitter(chunk_size=TOKENS - 2, chunk_overlap=OVERLAP, tokenizer=tokenizer.tokenize)
    client = chromadb.PersistentClient(str(task.scratch))
    collection = client.create_collection("pages", metadata={"hnsw:space": "cosine"}, embedding_function=None)
    watch = Stopwatch()
    documents = [
        Document(
            text=page["text"],
            metadata={"title": page["title"], "page": page["page"]},
            excluded_embed_metadata_keys=["page"],
            excluded_llm_metadata_keys=["page"],  # the larger of the two takes its room from the chunks
        )
        for page in task.pages
    ]
    index = VectorStoreIndex.from_documents(
        documents,
        storage_context=StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection)),
        embed_model=embedder,
        transformations=[splitter],
    )
    seconds, processor = watch.read()
    retriever = index.as_retriever(similarity_top_k=HITS)
    asked = ask_all(task.questions, lambda text: [hit.node.metadata["page"] for hit in retriever.retrieve(text)])
    settings = f"SentenceSplitter, {TOKENS} tokens of the embedder, overlap {OVERLAP}, title embedded; dense"
    write(
        Result("LlamaIndex", version("llama-index-core"), settings, collection.count(), seconds, processor, **asked),
        task.out,
    )


if __name__ == "__main__":
    main()
