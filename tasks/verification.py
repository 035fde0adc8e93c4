"""The review of a good, as two jobs: the first checks it and records verdicts, the second decides by the verdicts."""

from app.moderation import service as moderation
from app.vision import is_installed
from tasks.queues import QueueName, enqueue


def add_good_verify_task(good_id: int) -> bool:
    """Queue the review of what the good has in review; returns False if nothing is (any more).

    Where pictures are to be looked at the first job is one for the worker that has the models for it.
    """
    revision = moderation.revision_in_review(good_id)
    if revision is None:
        return False
    looks = is_installed() and moderation.has_pictures_to_judge(good_id=good_id, revision=revision)
    check = enqueue(QueueName.VISION if looks else QueueName.DEFAULT, check_good_job, good_id, revision)
    enqueue(QueueName.DEFAULT, conclude_good_job, good_id, revision, after=check.id)
    return True


def check_good_job(good_id: int, revision: int) -> None:
    """First job: check texts and pictures, record verdicts."""
    moderation.check_good(good_id=good_id, revision=revision)


def conclude_good_job(good_id: int, revision: int) -> None:
    """Second job, after the first: publish the revision, refuse it, or have a person look at it."""
    moderation.conclude_good(good_id=good_id, revision=revision)


def sweep_stale_reviews() -> None:
    """Periodic: request reviews again whose jobs were lost."""
    moderation.request_stale_reviews()
