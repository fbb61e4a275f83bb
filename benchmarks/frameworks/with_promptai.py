"""promptai: a sync of the same pages as Markdown files, then its retriever on the question alone."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import structlog
from common import HITS, Job, Result, Stopwatch, ask_all, job, write

from benchmarks.corpus import open_database
from pipeline.knowledge import Catalog, DirectorySource, Syncer
from pipeline.retrieval import ChromaVectors, Retriever, SentenceTransformerEmbedder, TantivyKeywords
from pipeline.types import SHARED


async def measure(task: Job) -> Result:
    folder = task.scratch / "pages"
    folder.mkdir()
    for number, page in enumerate(task.pages):
        (folder / f"{number}.md").write_text(f"# {page['title']}\n\n{page['text']}\n", encoding="utf-8")
    embedder = SentenceTransformerEmbedder(task.model)
    await embedder.embed(["warm"])
    engine = await open_database(task.scratch)
    vectors = ChromaVectors(task.scratch / "chroma", embedder.fingerprint)
    keywords = TantivyKeywords(task.scratch / "keywords")
    await vectors.check()
    watch = Stopwatch()
    report = await Syncer(Catalog(engine), embedder, vectors, keywords).sync(DirectorySource(folder), tenant=SHARED)
    seconds, processor = watch.read()
    retriever = Retriever(embedder, vectors, keywords, Catalog(engine))
    loop = asyncio.get_running_loop()

    def retrieve(text: str) -> list[str]:
        found = asyncio.run_coroutine_threadsafe(
            retriever.retrieve(text, draft=None, tenant=SHARED, k=HITS), loop
        ).result()
        return [task.pages[int(hit.passage.location.partition(".md")[0])]["page"] for hit in found]

    asked = await asyncio.to_thread(ask_all, task.questions, retrieve)
    for each in (embedder, vectors, keywords):
        await each.close()
    await engine.dispose()
    settings = "as `promptai sync`: 200 tokens where a section is too long, heading path embedded; hybrid, no draft"
    return Result("promptai", version("promptai"), settings, report.passages, seconds, processor, **asked)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    task = job()
    write(asyncio.run(measure(task)), task.out)


if __name__ == "__main__":
    main()
