"""The check of pictures: `check_picture(data, context=TextContext(category=…))` → `Judgement`,
and `look_at` with the picture's fingerprint beside it.

Functions from content to judgements: they know no database and no HTTP. What looks at pictures is an extra, "vision";
where it is not installed, nobody has looked, and the setting PICTURES_UNSEEN says what becomes of the picture.
"""

from app.moderation.pictures.check import Look, check_picture, load, look_at, rules_version

__all__ = ["Look", "check_picture", "load", "look_at", "rules_version"]
