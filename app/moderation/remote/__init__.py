"""A second opinion on texts and pictures by somebody else's service, where the setting MODERATION_PROVIDER names one.

It is asked where our own check has not refused already, and may only add hits. Where it does not answer, our own check
counts alone, under a rules version that does not name it: so it is asked again when the same is judged anew.
"""

from app.moderation.remote.opinion import opinion_version, with_opinion_on_picture, with_opinion_on_text

__all__ = ["opinion_version", "with_opinion_on_picture", "with_opinion_on_text"]
