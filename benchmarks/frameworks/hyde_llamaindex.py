"""LlamaIndex: a streaming query engine over Chroma, and `HyDEQueryTransform` in front of it as its documentation shows."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import chromadb
from hyde_common import DRAFT_TOKENS, HITS, PASSAGES, Job, Results, job
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.indices.query.query_transform import HyDEQueryTransform
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import TransformQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.llms.openai_like import OpenAILike
from llama_index.vector_stores.chroma import ChromaVectorStore


class Best(BaseNodePostprocessor):
    """Notes down the ranking and lets the best passages through."""

    ranking: list[str] = []  # noqa: RUF012  # pydantic copies it

    def _postprocess_nodes(
        self,
        nodes: list[NodeWithScore],
        query_bundle: QueryBundle | None = None,  # noqa: ARG002
    ) -> list[NodeWithScore]:
        self.ranking = [node.node.metadata["page"] for node in nodes]
        return nodes[:PASSAGES]


def build(task: Job) -> VectorStoreIndex:
    client = chromadb.PersistentClient(str(task.scratch))
    collection = client.create_collection("pages", metadata={"hnsw:space": "cosine"}, embedding_function=None)
    nodes = [
        TextNode(
            id_=each["id"],
            text=each["text"],
            embedding=vector.tolist(),
            metadata={"page": each["page"]},
            excluded_embed_metadata_keys=["page"],
            excluded_llm_metadata_keys=["page"],
        )
        for each, vector in zip(task.passages, task.vectors, strict=True)
    ]
    return VectorStoreIndex(
        nodes,
        storage_context=StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection)),
        embed_model=HuggingFaceEmbedding(model_name=task.model),
    )


def main() -> None:
    task = job()
    index = build(task)
    results = Results(task)
    release = version("llama-index-core")
    for name, hyde, limit in (("no draft", False, None), ("HyDE", True, None), ("HyDE, short", True, DRAFT_TOKENS)):
        full = f"LlamaIndex {release}, {name}"

        def model(limit: int | None = None, full: str = full) -> OpenAILike:
            api = f"{task.url}/v1"
            return OpenAILike(model=full, api_base=api, api_key="none", is_chat_model=True, max_tokens=limit)

        best = Best()
        engine: BaseQueryEngine = index.as_query_engine(
            llm=model(), streaming=True, similarity_top_k=HITS, node_postprocessors=[best]
        )
        if hyde:
            engine = TransformQueryEngine(engine, HyDEQueryTransform(llm=model(limit), include_original=True))

        def ask(
            question: str, text: Callable[[], None], engine: BaseQueryEngine = engine, best: Best = best
        ) -> list[str]:
            for piece in engine.query(question).response_gen:
                if piece:
                    text()
            return best.ranking

        settings = "dense retrieval with the question alone"
        if hyde:
            size = f"at most {limit} tokens" if limit else "as long as the model makes it"
            settings = (
                f"HyDEQueryTransform(include_original=True), its default: the mean of question and document, {size}"
            )
        results.ask_all(full, settings, ask)


if __name__ == "__main__":
    main()
