"""The answering pipeline with the adapters that are in service: a promotion or a roll-back needs no restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import structlog

from bot.adapters import calibrations_of
from bot.embedding import least_similarity
from bot.errors import BotError
from bot.promotion import Promotions, Serving, serving
from pipeline.answering import AnsweringOptions, AnsweringPipeline, Retriever
from pipeline.errors import ModelUnavailable, TrainingError
from pipeline.llm import BASE, ModelHost
from pipeline.retrieval.thresholds import Thresholds
from pipeline.settings import PipelineSettings
from pipeline.types import AnswerEvent, Mode, Turn

log = structlog.get_logger(__name__)


def answering_options(settings: PipelineSettings, now: Serving, thresholds: Thresholds) -> AnsweringOptions:
    """The pipeline's options from its settings, from who drafts, and from the embedder's `thresholds`."""
    return AnsweringOptions(
        mode=settings.mode,
        passages=settings.passages,
        most_passages=settings.most_passages,
        min_similarity=least_similarity(settings, thresholds),
        draft_tokens=settings.draft_tokens,
        drafting=settings.drafting,
        draft_words=settings.draft_words,
        draft_wait=settings.draft_wait,
        answer_tokens=settings.answer_tokens,
        context_tokens=settings.context_tokens,
        small_model=settings.model_url is None,
        trained_drafter=now.draft != BASE,
    )


class Answering:
    """Answers each question with what is in service when it comes. Close it by `close`."""

    def __init__(
        self,
        settings: PipelineSettings,
        models: ModelHost,
        retriever: Retriever,
        promotions: Promotions,
        options: Callable[[Serving], AnsweringOptions],
    ) -> None:
        """`options`: the pipeline's, by who drafts; read anew when that changes and by `tune`."""
        self._options = options
        self._settings = settings
        self._models = models
        self._retriever = retriever
        self._promotions = promotions
        self._opening = asyncio.Lock()
        self._serving: Serving | None = None
        self._pipeline: AnsweringPipeline | None = None
        self._tell: Callable[[Serving], None] = lambda _now: None

    async def answer(
        self, question: str, *, tenant: str, history: Sequence[Turn] = (), mode: Mode | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """See `AnsweringPipeline.answer`."""
        pipeline = await self.pipeline()
        async with aclosing(pipeline.answer(question, tenant=tenant, history=history, mode=mode)) as events:
            async for event in events:
                yield event

    async def pipeline(self) -> AnsweringPipeline:
        """The pipeline as it is now; the embedded model is started on first use.

        Raises `ModelUnavailable`, `TrainingError` for an adapter, and the first time `StoreUnavailable`.
        """
        async with self._opening:
            if self._pipeline is None:
                await self._models.start()
                self._use(await self._in_service())
            else:
                await self._follow()
            assert self._pipeline is not None
            return self._pipeline

    def tune(self) -> None:
        """Take up other options, from the next step of each question on."""
        if self._pipeline is not None and self._serving is not None:
            self._pipeline.tune(self._options(self._serving))

    def tell(self, listener: Callable[[Serving], None]) -> None:
        """Call `listener` with who is in service: now, if anybody is yet, and whenever that changes."""
        self._tell = listener
        if self._serving is not None:
            listener(self._serving)

    async def close(self) -> None:
        """Closes the models too."""
        await self._models.close()

    async def _in_service(self) -> Serving:
        """Who drafts and answers now. Raises `StoreUnavailable`."""
        return serving(self._settings, await self._promotions.in_service())

    async def _follow(self) -> None:
        """Take up what was promoted or rolled back since; go on as before where that cannot be."""
        try:
            now = await self._in_service()
            if now != self._serving:
                self._use(now)
        except BotError as error:  # the database is down
            log.warning("promotions_not_read", error=str(error))
        except ModelUnavailable as error:
            log.error("promoted_adapter_not_loaded", error=str(error), advice="Restart with it in PROMPTAI_ADAPTERS.")
        except TrainingError as error:  # its calibration cannot be read
            log.error("promoted_adapter_unusable", error=str(error))

    def _use(self, now: Serving) -> None:
        self._pipeline = AnsweringPipeline(
            drafter=self._models.model(now.draft),
            answerer=self._models.model(now.answer),
            rewriter=self._models.model(BASE),  # an adapter may have unlearned what it was not trained for
            retriever=self._retriever,
            options=self._options(now),
            calibrations=calibrations_of(self._settings, now.draft),
        )
        self._serving = now
        log.info("in_service", drafter=now.draft, answerer=now.answer)
        self._tell(now)
