"""Everything that can go wrong in the bot, in one tree.

    BotError
    ├── SettingsError          a setting is missing or wrong; names the variable
    ├── DeliveryError          the platform did not take a message
    │   ├── DeliveryRefused    it never will (channel gone, token revoked): retrying is useless
    │   └── DeliveryUnavailable  it may later (429, 5xx, time-out)
    ├── StoreUnavailable       the database cannot be reached
    ├── TenantUnknown          no tenant of that name was added
    ├── ExperimentError        an experiment cannot be started so
    └── PromotionError         an adapter cannot be compared or promoted so

Foreign exceptions are translated where they enter (`raise … from exc`). Every message says what to do.
"""

from __future__ import annotations


class BotError(Exception):
    """Base of this package's errors. `str(error)` is written for the operator."""


class SettingsError(BotError):
    """A setting is missing or wrong; the message names the variable and what to do."""


class DeliveryError(BotError):
    """The platform did not take a message."""


class DeliveryRefused(DeliveryError):
    """The platform will never take it: the channel is gone, the token revoked."""


class DeliveryUnavailable(DeliveryError):
    """The platform may take it later: rate limit, server error, time-out."""

    def __init__(self, message: str, *, retry_after: float | None = None, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the platform asked us to wait, where it did."""
        self.maybe_done = maybe_done
        """True if the platform may have taken it although it did not say so."""


class StoreUnavailable(BotError):
    """The database cannot be reached."""


class TenantUnknown(BotError):
    """No tenant of that name was added."""


class ExperimentError(BotError):
    """A live experiment cannot be started so."""


class PromotionError(BotError):
    """An adapter cannot be compared with what is in service, or promoted, so; nothing was changed."""
