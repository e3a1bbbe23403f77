"""What the catalog may answer in the place of what was asked for: the part is not there for us, or out of order."""

from __future__ import annotations

from service.errors import (
    CatalogAnswerInvalid,
    CatalogAnswerTooLarge,
    CatalogFailed,
    CatalogForbidden,
    CatalogGone,
    CatalogLeadsElsewhere,
    CatalogNotFound,
    CatalogRejected,
)

#: What a part of the catalog answers where it does not exist, or not for us.
ABSENT = (CatalogForbidden, CatalogNotFound, CatalogGone, CatalogRejected, CatalogAnswerTooLarge)
#: What one parent may answer when asked for what is below it, which says nothing about the others.
#: That nothing is there below it is no empty list: the parent may have gone meanwhile, or the service be away.
ALONE = (
    CatalogForbidden, CatalogRejected, CatalogAnswerInvalid, CatalogAnswerTooLarge, CatalogNotFound, CatalogGone,
)  # fmt: skip
#: Things in a row that are closed to us, after which their whole kind counts as closed: each costs a call.
CLOSED_IN_A_ROW = 200
#: What a part of the catalog answers that is out of order, though the catalog as such may be well.
BROKEN = (CatalogFailed, CatalogAnswerInvalid, CatalogLeadsElsewhere)
