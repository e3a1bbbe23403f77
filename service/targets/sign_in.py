"""How a target signs in: with a token that settings give, or as we do with the catalog, whose backend it is."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from service.catalog.auth import TokenSource
from service.catalog.transport import Transport
from service.errors import DataError, SettingInvalid, TargetUnavailable
from service.settings.files import Watched
from service.settings.model import CatalogSettings, TargetSettings
from service.targets.options import setting_of

_BEARER = "Bearer "


def _bearer(token: str) -> str:
    return _BEARER + token


class SignIn(Protocol):
    """Gives the value of the `Authorization` header."""

    async def authorization(self) -> str | None:
        """The header of this moment; None: none is sent."""

    async def renewed(self, refused: str | None) -> str | None:
        """The header after this one was refused; the same where there is no other."""

    async def close(self) -> None:
        """Close what signing in needs."""


class Given:
    """A token of the settings, or of a file that may change."""

    def __init__(self, read: Callable[[], str | None]) -> None:
        self._read = read

    async def authorization(self) -> str | None:
        """As it stands now."""
        token = self._read()
        return _bearer(token) if token else None

    async def renewed(self, refused: str | None) -> str | None:
        """As it stands now: the file may have changed."""
        return await self.authorization()

    async def close(self) -> None:
        """Nothing to close."""


class Basic:
    """A user and a password, which may come from a file that changes."""

    def __init__(self, username: str, read: Callable[[], str | None]) -> None:
        self._username = username
        self._read = read

    async def authorization(self) -> str | None:
        """As it stands now (RFC 7617, in UTF-8)."""
        pair = f"{self._username}:{self._read() or ''}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    async def renewed(self, refused: str | None) -> str | None:
        """As it stands now: the file may have changed."""
        return await self.authorization()

    async def close(self) -> None:
        """Nothing to close."""


class AsCatalog:
    """The token that the catalog's own sign-in gives."""

    def __init__(self, name: str, settings: CatalogSettings) -> None:
        self._name = name
        self._transport = Transport(settings)
        self._tokens = TokenSource(settings, self._transport.exchange)
        self._is_open = False

    async def authorization(self) -> str | None:
        """With a token that is good for some time yet.

        Raises:
            TransientError: the catalog does not sign us in now.
        """
        if not self._is_open:
            self._transport.open()
            self._is_open = True
        return _bearer(await self._or_later(self._tokens.token()))

    async def renewed(self, refused: str | None) -> str | None:
        """Sign in anew; raises as `authorization` does."""
        return _bearer(await self._or_later(self._tokens.renewed((refused or "").removeprefix(_BEARER))))

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


def user_or_token(name: str, chosen: TargetSettings) -> SignIn:
    """User and password, or else the token, that settings give.

    Raises:
        SettingInvalid: they give neither, or what they give cannot be used.
    """
    if chosen.username:
        return basic(name, chosen)
    if chosen.token is None and chosen.token_file is None:
        problem = "neither a user with a password nor a TOKEN is set to sign in with"
        raise SettingInvalid(setting=setting_of(name, "USERNAME"), problem=problem)
    return given(name, chosen)


def given(name: str, chosen: TargetSettings) -> Given:
    """The token that settings give.

    Raises:
        SettingInvalid: its file cannot be read.
    """
    return Given(_secret(name, "TOKEN", chosen.token, chosen.token_file))


def basic(name: str, chosen: TargetSettings) -> Basic:
    """User and password that settings give.

    Raises:
        SettingInvalid: there is no password, its file cannot be read, or the user's name has a colon.
    """
    if chosen.password is None and chosen.password_file is None:
        raise SettingInvalid(
            setting=setting_of(name, "PASSWORD"), problem="there is none for the user that USERNAME names"
        )
    if ":" in (chosen.username or ""):
        raise SettingInvalid(setting=setting_of(name, "USERNAME"), problem="a colon would end the name")
    return Basic(chosen.username or "", password_of(name, chosen))


def password_of(name: str, chosen: TargetSettings) -> Callable[[], str | None]:
    """Reads the password that settings give; a file is read again when it changes.

    Raises:
        SettingInvalid: its file cannot be read.
    """
    return _secret(name, "PASSWORD", chosen.password, chosen.password_file)


def _secret(name: str, member: str, value: SecretStr | None, file: Path | None) -> Callable[[], str | None]:
    if file is None:
        secret = value.get_secret_value() if value else None
        return lambda: secret
    try:
        watched = Watched.text(file, str.strip)
    except (OSError, ValueError) as error:
        setting = setting_of(name, f"{member}_FILE")
        raise SettingInvalid(setting=setting, problem=str(error)) from None
    kept = ""

    def read() -> str:
        nonlocal kept
        kept = watched.value or kept  # a file that is just being written holds nothing
        return kept

    return read
