"""Asks a catalog what IBM's client for facts about models can ask of it; prints what came of each question, as JSON."""

import json
import logging
import sys
from collections.abc import Callable

from ibm_aigov_facts_client import AIGovFactsClient, CloudPakforDataConfig
from ibm_aigov_facts_client.utils.client_errors import ClientError

logging.disable(logging.CRITICAL)
url, username, api_key, kind, container, asset = sys.argv[1:]


def outcome(ask: Callable[[], object]) -> str:
    """`answered`, or what the client says."""
    try:
        ask()
    except ClientError as error:
        return " ".join(str(error).split())[:200]
    return "answered"


signing = CloudPakforDataConfig(service_url=url, username=username, api_key=api_key)
client = AIGovFactsClient(
    cloud_pak_for_data_configs=signing, disable_tracing=True, external_model=True, enable_autolog=False
)
told = {
    "model": outcome(lambda: client.assets.get_model(asset, kind, container)),
    "facts definitions": outcome(lambda: client.assets.get_facts_definitions("modelfacts_user", kind, container)),
    "prompt": outcome(lambda: client.assets.get_prompt(asset, kind, container)),
}
print(json.dumps(told))
