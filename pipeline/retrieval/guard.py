"""Keeps tenants whose isolation is in doubt away from retrieval; the others go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pipeline.errors import TenantRefused
from pipeline.retrieval.retriever import ANYTHING
from pipeline.types import Filters, Findings, Hit


class Retrieves(Protocol):
    """What is guarded: `pipeline.retrieval.retriever.Retriever`."""

    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,
        k: int,
        filters: Filters = ANYTHING,
        trust: float | None = None,
    ) -> tuple[Hit, ...]: ...

    async def find(self, question: str, *, tenant: str, k: int, filters: Filters = ANYTHING) -> Findings: ...


class GuardedRetriever:
    """A retriever that refuses whom `refuse` names. Errors: `TenantRefused`, and what retrieval raises."""

    def __init__(self, retriever: Retrieves) -> None:
        self._retriever = retriever
        self._refused: frozenset[str] = frozenset()

    def use(self, retriever: Retrieves) -> None:
        """From now on guard this one; what is being retrieved ends as it began."""
        self._retriever = retriever

    @property
    def refused(self) -> frozenset[str]:
        """Who gets no passages now."""
        return self._refused

    def refuse(self, tenants: Iterable[str]) -> None:
        """From now on refuse these, and nobody else."""
        self._refused = frozenset(tenants)

    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,
        k: int,
        filters: Filters = ANYTHING,
        trust: float | None = None,
    ) -> tuple[Hit, ...]:
        """As the guarded retriever does."""
        self._check(tenant)
        return await self._retriever.retrieve(question, draft=draft, tenant=tenant, k=k, filters=filters, trust=trust)

    async def find(self, question: str, *, tenant: str, k: int, filters: Filters = ANYTHING) -> Findings:
        """As the guarded retriever does."""
        self._check(tenant)
        return await self._retriever.find(question, tenant=tenant, k=k, filters=filters)

    def _check(self, tenant: str) -> None:
        if tenant in self._refused:
            raise TenantRefused(
                f"Tenant {tenant!r} can reach another tenant's documents; its questions are refused."
                " Run `promptai tenants check`, remove what it names, then check again."
            )
