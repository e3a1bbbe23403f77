"""Asks an instance what Collibra's generated client asks of it; prints the status of each answer, as JSON."""

import json
import sys
from collections.abc import Callable

import collibra_core
from collibra_core.rest import ApiException

url, username, password = sys.argv[1:]


def status(ask: Callable[[], object]) -> int:
    """Of the answer; 200 if the client was content."""
    try:
        ask()
    except ApiException as error:
        return int(error.status)
    return 200


settings = collibra_core.Configuration()
settings.host, settings.username, settings.password = f"{url}/rest/2.0", username, password
client = collibra_core.ApiClient(settings)
told = {
    "assets": status(lambda: collibra_core.AssetsApi(client).find_assets(sort_field="NAME")),
    "jobs": status(lambda: collibra_core.JobsApi(client).find_jobs()),
}
print(json.dumps(told))
