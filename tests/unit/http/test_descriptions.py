"""The descriptions of both APIs hold together by themselves."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from service.http import openapi
from service.http.admin import openapi as admin


@pytest.mark.parametrize("document", [openapi.document(), admin.document()], ids=["public", "admin"])
def test_every_reference_leads_to_something(document: dict[str, Any]) -> None:
    named = re.findall(r'"\$ref":"#/components/(\w+)/([^"]+)"', msgspec.json.encode(document).decode())
    assert named
    lost = {f"{kind}/{name}" for kind, name in named if name not in document["components"][kind]}
    assert not lost, "two bodies of one name?"
    assert not [name for name in document["components"]["schemas"] if "." in name], "two answers of one name?"
