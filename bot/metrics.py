"""Prometheus metrics, served on the console's listener at `/metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)


class Metrics:
    """All metrics of one bot; each has its own registry, so that tests do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.questions = Counter(
            "promptai_questions", "Questions accepted, by platform.", ["platform"], registry=self.registry
        )
        self.replies = Counter(
            "promptai_replies",
            "Questions that ended, by platform and outcome (answered, abstained, help, apologised, undeliverable).",
            ["platform", "outcome"],
            registry=self.registry,
        )
        self.errors = Counter(
            "promptai_errors", "Failures while answering, by error.", ["error"], registry=self.registry
        )
        self.ratings = Counter("promptai_ratings", "Gestures on answers, by vote.", ["vote"], registry=self.registry)
        self.recovered = Counter(
            "promptai_recovered",
            "Questions taken up again after a crash. A Teams reply opened in that instant may appear twice.",
            ["platform"],
            registry=self.registry,
        )
        self.in_flight = Gauge("promptai_in_flight", "Questions being answered now.", registry=self.registry)
        self.first_token = Histogram(
            "promptai_first_token_seconds",
            "From the start of the pipeline to the answer's first text.",
            ["mode"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.late_drafts = Counter(
            "promptai_late_drafts",
            "Answers that went on without their draft, since it took longer than PROMPTAI_DRAFT_WAIT.",
            registry=self.registry,
        )
        self.total = Histogram(
            "promptai_answer_seconds",
            "From the start of the pipeline to the finished answer.",
            ["mode"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.syncs = Counter(
            "promptai_syncs",
            "Scheduled syncs, by source and outcome (done, failed).",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.isolation_checks = Counter(
            "promptai_isolation_checks", "Finished checks that tenants are kept apart.", registry=self.registry
        )
        self.leaks = Counter(
            "promptai_tenant_leaks",
            "A check found that `reader` can reach the documents of `owner`. Any is an emergency.",
            ["reader", "owner", "place"],
            registry=self.registry,
        )
        self.adapter_served = Gauge(
            "promptai_adapter_served",
            "1 where the model server really serves an adapter in service, 0 where it answers like its base or another.",
            ["adapter"],
            registry=self.registry,
        )
        self.refused_tenants = Gauge(
            "promptai_refused_tenants", "Tenants whose questions are refused since they leak.", registry=self.registry
        )
