"""What the service shows over HTTP: probes, metrics, the API of lineage, the admin API.

Comes in: requests, judged before they are believed. Goes out: answers; what is posted goes through the pipeline. It may
not import the process around it or the commands.
"""
