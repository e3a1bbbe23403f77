"""How a target signs in: with a token that settings give, or as we do with the catalog, whose backend it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from service.catalog.auth import TokenSource
from service.catalog.transport import Transport
from service.errors import DataError, SettingInvalid, TargetUnavailable
from service.files import Watched
from service.settings import CatalogSettings, TargetSettings


class SignIn(Protocol):
    """Gives what is sent as a bearer token."""

    async def token(self) -> str | None:
        """The token of this moment; None: nothing is sent."""

    async def renewed(self, refused: str | None) -> str | None:
        """The token after this one was refused; the same where there is no other."""

    async def close(self) -> None:
        """Close what signing in needs."""


class Given:
    """A token of the settings, or of a file that may change."""

    def __init__(self, read: Callable[[], str | None]) -> None:
        self._read = read

    async def token(self) -> str | None:
        """As it stands now."""
        return self._read()

    async def renewed(self, refused: str | None) -> str | None:
        """As it stands now: the file may have changed."""
        return self._read()

    async def close(self) -> None:
        """Nothing to close."""


class AsCatalog:
    """The token that the catalog's own sign-in gives."""

    def __init__(self, name: str, settings: CatalogSettings) -> None:
        self._name = name
        self._transport = Transport(settings)
        self._tokens = TokenSource(settings, self._transport.exchange)
        self._is_open = False

    async def token(self) -> str | None:
        """A token that is good for some time yet.

        Raises:
            TransientError: the catalog does not sign us in now.
        """
        if not self._is_open:
            self._transport.open()
            self._is_open = True
        return await self._or_later(self._tokens.token())

    async def renewed(self, refused: str | None) -> str | None:
        """Sign in anew; raises as `token` does."""
        return await self._or_later(self._tokens.renewed(refused or ""))

    async def _or_later(self, signing_in: Awaitable[str]) -> str:
        """What is wrong with the sign-in is not the fault of what is to be delivered."""
        try:
            return await signing_in
        except DataError as error:
            raise TargetUnavailable(target=self._name, problem=str(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        self._is_open = False
        await self._transport.close()


def given(name: str, chosen: TargetSettings) -> Given:
    """The token that settings give.

    Raises:
        SettingInvalid: its file cannot be read.
    """
    if chosen.token_file is None:
        secret = chosen.token.get_secret_value() if chosen.token else None
        return Given(lambda: secret)
    try:
        watched = Watched(chosen.token_file, str.strip)
    except (OSError, ValueError) as error:
        setting = f"CATALOG_MIRROR_TARGETS__{name.upper()}__TOKEN_FILE"
        raise SettingInvalid(setting=setting, problem=str(error)) from None
    return Given(lambda: watched.value)
