"""What a generator uses: calls, tokens, money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Usage:
    """What a run has used so far."""

    calls: int = 0
    """Calls that were made."""
    kept: int = 0
    """Calls that the journal saved."""
    left: int = 0
    """Calls that --limit-calls left out."""
    tokens_in: int = 0
    """Estimated, of this run's calls."""
    tokens_out: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    """`empty`, `looped`, `rejected`, `broken`, `unreadable`: how many completions."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What calls will use."""

    calls: int = 0
    tokens_in: int = 0
    """Estimated."""
    tokens_out: int = 0
    """At most."""

    def __add__(self, other: Forecast) -> Forecast:
        return Forecast(self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)


@dataclass(frozen=True, slots=True)
class Prices:
    """What the model's tokens cost."""

    tokens_in: float = 0.0
    """Of a million tokens, in any currency."""
    tokens_out: float = 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """In the prices' currency."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1_000_000
