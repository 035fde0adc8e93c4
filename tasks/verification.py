"""The review of a good, as two jobs: the first checks it and records verdicts, the second decides by the verdicts."""

from app.moderation import service as moderation
from tasks.queues import QueueName, enqueue


def add_good_verify_task(good_id: int) -> bool:
    """Queue the review of the good's present revision; returns False if it is not (or no longer) in review."""
    revision = moderation.revision_in_review(good_id)
    if revision is None:
        return False
    check = enqueue(QueueName.DEFAULT, check_good_job, good_id, revision)
    enqueue(QueueName.DEFAULT, conclude_good_job, good_id, revision, after=check.id)
    return True


def check_good_job(good_id: int, revision: int) -> None:
    """First job: check texts and pictures, record verdicts."""
    moderation.check_good(good_id=good_id, revision=revision)


def conclude_good_job(good_id: int, revision: int) -> None:
    """Second job, after the first: publish the good or fail its review."""
    moderation.conclude_good(good_id=good_id, revision=revision)


def sweep_stale_reviews() -> None:
    """Periodic: request reviews again whose jobs were lost."""
    moderation.request_stale_reviews()
