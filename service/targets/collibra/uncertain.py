"""Which job took a batch that is in doubt: told only where there is one answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from service.targets.collibra.batches import Job
from service.targets.collibra.jobs import Listed

#: Seconds by which Collibra's clock may be behind the store's.
SKEW_S = 300


def taken_by(
    jobless: Sequence[Any], listed: Collection[Listed], makers: Collection[str], known: Collection[str]
) -> list[tuple[Any, Job]]:
    """The batches whose job can be told for sure.

    A job fits a batch if it was made as us, after the batch began to be sent, and is in the ledger for no other. It is
    the batch's if no other job fits that batch and the job fits no other batch.

    Args:
        jobless: every batch whose job is not known: also those on their way, to which a new job may belong.
        makers: as whom our jobs are made; nobody, where that is not known: then nothing can be told.
        known: jobs that the ledger has.
    """
    ours = [one for one in listed if one.job.created_by in makers and one.job.job_id not in known]
    fits = {
        batch.batch_id: [one.job for one in ours if one.created_on and one.created_on >= _began(batch)]
        for batch in jobless
    }
    return [
        (batch, job)
        for batch in jobless
        for job in fits[batch.batch_id]
        if len(fits[batch.batch_id]) == 1 and sum(job in jobs for jobs in fits.values()) == 1
    ]


def _began(batch: Any) -> Any:
    return batch.sent_at - timedelta(seconds=SKEW_S)
