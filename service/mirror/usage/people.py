"""Who used something: a hash with a salt, so that the same user is known again and nobody can tell who it is."""

from __future__ import annotations

import hmac
from secrets import token_hex

from service.mirror import controls
from service.mirror.store import Store
from service.settings.model import UsageSettings
from service.text.redaction import Principals, principal

#: The control that holds the salt that was made where settings give none.
SALT = "usage_salt"
#: Hexadecimal digits of a hash: 128 bits make an accidental match of two users as good as impossible.
_DIGITS = 32


class People:
    """Names users.

    Args:
        principals: what happens to users' names elsewhere: a name that is hashed there is hashed once more here, so
            that who is read in clear is the same as who was hidden before; one that is dropped is nobody.
    """

    def __init__(self, salt: str, principals: Principals) -> None:
        self._salt = salt.encode("utf-8", "surrogatepass")
        self._principals = principals

    def hash(self, name: str | None) -> str | None:
        """The hash of a name; None for nobody."""
        shown = principal(name, self._principals) if name else None
        if not shown:
            return None
        return hmac.new(self._salt, shown.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:_DIGITS]


async def people_of(store: Store, settings: UsageSettings, principals: Principals) -> People:
    """With the salt of the settings, or the store's own, which is made when it is first asked for.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    if settings.salt is not None and settings.salt.get_secret_value():
        return People(settings.salt.get_secret_value(), principals)
    async with store.translated():
        return People(await _stored_salt(store), principals)


async def _stored_salt(store: Store) -> str:
    """Of replicas that make one at the same time, one wins."""
    async with store.read() as connection:
        known = await controls.read_controls(connection)
    if SALT not in known:
        async with store.write() as connection:
            await controls.set_once(connection, SALT, token_hex(32))
            known = await controls.read_controls(connection)
    return str(known[SALT][0])
