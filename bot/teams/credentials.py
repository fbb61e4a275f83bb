"""Who the bot is to Microsoft: its app id, and the token that goes with what it sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botbuilder.integration.aiohttp import ConfigurationServiceClientCredentialFactory
from botframework.connector.auth import AuthenticationConstants, ServiceClientCredentialsFactory

from bot.errors import DeliveryUnavailable, SettingsError
from bot.settings import BotSettings

TOKEN_REUSE_S = 240.0
"""Microsoft's library hands out tokens that last five more minutes at least."""


class BotToken:
    """The bot's own Microsoft token: fetched in a thread (the library blocks), one at a time, and reused."""

    def __init__(
        self,
        credentials: ServiceClientCredentialsFactory,
        app_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._factory = credentials
        self._app_id = app_id
        self._clock = clock
        self._credentials: Any = None
        self._token = ""
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def get(self) -> str:
        """A token for the connector. Raises `DeliveryUnavailable`."""
        async with self._fetching:
            if self._clock() - self._fetched_at > TOKEN_REUSE_S:
                try:
                    self._token = await asyncio.to_thread(await self._token_source())
                except Exception as exc:  # msal and requests raise a dozen kinds
                    raise DeliveryUnavailable(
                        f"Microsoft gave the bot no token ({type(exc).__name__}): check MICROSOFT_APP_PASSWORD, "
                        "MICROSOFT_APP_TENANT_ID and that login.microsoftonline.com can be reached."
                    ) from exc
                self._fetched_at = self._clock()
            return self._token

    async def _token_source(self) -> Callable[[], str]:
        if self._credentials is None:
            self._credentials = await self._factory.create_credentials(
                self._app_id,
                AuthenticationConstants.TO_CHANNEL_FROM_BOT_OAUTH_SCOPE,
                AuthenticationConstants.TO_CHANNEL_FROM_BOT_LOGIN_URL_PREFIX,
                True,
            )
        source: Callable[[], str] = self._credentials.get_access_token
        return source


def app_id_of(settings: BotSettings) -> str:
    if not settings.microsoft_app_id:
        raise SettingsError("Teams needs MICROSOFT_APP_ID.")
    return settings.microsoft_app_id


def credentials_of(settings: BotSettings) -> ServiceClientCredentialsFactory:
    password = settings.microsoft_app_password
    return ConfigurationServiceClientCredentialFactory(
        SimpleNamespace(
            APP_ID=settings.microsoft_app_id,
            APP_PASSWORD=password.get_secret_value() if password else None,
            APP_TENANTID=settings.microsoft_app_tenant_id,
            APP_TYPE=settings.microsoft_app_type,
        )
    )
