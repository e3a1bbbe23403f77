"""Who used something: a hash with a salt, so that the same user is known again and nobody can tell who it is."""

from __future__ import annotations

import hmac
from secrets import token_hex

from service.mirror import controls
from service.mirror.store import Store
from service.settings.model import UsageSettings
from service.text.forgotten import MARK, NOBODY, Forgotten
from service.text.principals import Principals, principal

#: The control that holds the salt that was made where settings give none.
SALT = "usage_salt"
#: Hexadecimal digits of a hash: 128 bits make an accidental match of two users as good as impossible.
_DIGITS = 32


class People:
    """Names users.

    Args:
        principals: what happens to users' names elsewhere: a name that is hashed there is hashed once more here, so
            that who is read in clear is the same as who was hidden before; one that is dropped is nobody.
        forgotten: people who were forgotten in the mirror.
    """

    def __init__(self, salt: str, principals: Principals, forgotten: Forgotten = NOBODY) -> None:
        self._salt = salt.encode("utf-8", "surrogatepass")
        self._principals = principals
        self._forgotten = forgotten

    def hash(self, name: str | None) -> str | None:
        """The hash of a name; None for nobody, and for who was forgotten."""
        return None if not name or name == MARK or self._forgotten.holds(name) else self.any_hash(name)

    def any_hash(self, name: str) -> str | None:
        """The hash of a name, of who was forgotten, too: by which their uses are found."""
        shown = principal(name, self._principals)
        if not shown:
            return None
        return hmac.new(self._salt, shown.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:_DIGITS]


async def people_of(store: Store, settings: UsageSettings, principals: Principals) -> People:
    """With the salt of the settings, or the store's own, which is made when it is first asked for.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    if settings.salt is not None and settings.salt.get_secret_value():
        return People(settings.salt.get_secret_value(), principals, store.forgotten)
    async with store.translated():
        return People(await _stored_salt(store), principals, store.forgotten)


async def _stored_salt(store: Store) -> str:
    """Of replicas that make one at the same time, one wins."""
    async with store.read() as connection:
        known = await controls.read_controls(connection)
    if SALT not in known:
        async with store.write() as connection:
            await controls.set_once(connection, SALT, token_hex(32))
            known = await controls.read_controls(connection)
    return str(known[SALT][0])
