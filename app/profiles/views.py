"""The URLs of profiles and avatars."""

import functools

from flask import Response
from werkzeug.datastructures import FileStorage

from app.accounts.queries import own_profile
from app.accounts.schemas import OwnProfileOut, avatar_url, own_profile_out
from app.answers import Answer
from app.goods.picture_links import PictureQuery, seconds_granted
from app.goods.pictures import read_rendition, rendition_of
from app.goods.storage import picture_storage
from app.profiles import queries, service
from app.profiles.models import ProfilePart
from app.profiles.schemas import ClearProfileIn, OwnAvatarsOut, ProfileIn, PublicProfileOut, public_profile_out
from app.staff_roles import Permission
from app.web.api import Api
from app.web.auth import Actor, Auth
from app.web.pictures import hidden_cache, picture_response

api = Api("profiles", __name__, tag="个人资料", about="nickname, avatar and bio, and how others see them")

# The bytes under an avatar's URL never change, but the avatar may be deleted.
_PUBLIC_CACHE = "public, max-age=86400"


@api.patch(
    "/api/user/",
    auth=Auth.USER,
    body=ProfileIn,
    out=OwnProfileOut,
    answer=Answer.PROFILE_EDITED,
    refuses=(Answer.NO_SUCH_USER,),
)
def edit_profile(*, actor: Actor, body: ProfileIn) -> OwnProfileOut:
    """Edit the caller's own profile. The username stays what the caller logs in with."""
    service.edit_profile(user_id=actor.id, changes=body.changes())
    return own_profile_out(own_profile(actor.id))


@api.get("/api/user/<id:user_id>/", out=PublicProfileOut, answer=Answer.USER_FOUND, refuses=(Answer.NO_SUCH_USER,))
def public_profile(*, user_id: int) -> PublicProfileOut:
    """What everybody may see of a user."""
    return public_profile_out(queries.public_profile(user_id))


@api.get("/api/user/avatar/", auth=Auth.USER, out=OwnAvatarsOut, answer=Answer.AVATAR_FOUND)
def own_avatars(*, actor: Actor) -> OwnAvatarsOut:
    """The caller's avatar, and the one that waits for its review or did not pass it."""
    return queries.own_avatars(actor.id)


@api.post(
    "/api/user/avatar/",
    auth=Auth.USER,
    files="picture",
    one_file=True,
    file_aliases=("file", "pictures", "avatar"),
    out=OwnAvatarsOut,
    answer=Answer.AVATAR_UPLOADED,
    refuses=(Answer.NO_SUCH_USER, Answer.ACCOUNT_SUSPENDED),
    limit="rate_limit_release",
)
def upload_avatar(*, actor: Actor, files: list[FileStorage]) -> OwnAvatarsOut:
    """Upload an avatar: one picture, of which the middle becomes a square.

    Others see it once it has passed its review, and until then the earlier one.
    """
    service.upload_avatar(user_id=actor.id, upload=files[0].stream)
    return queries.own_avatars(actor.id)


@api.delete("/api/user/avatar/", auth=Auth.USER, answer=Answer.AVATAR_DELETED, refuses=(Answer.NO_SUCH_USER,))
def delete_avatar(*, actor: Actor) -> None:
    """Take the caller's avatar away, and the one that waits for its review."""
    service.delete_avatar(user_id=actor.id)


@api.post(
    "/api/staff/clear_profile/<id:user_id>/",
    auth=Auth.STAFF,
    permission=Permission.SUSPEND,
    body=ClearProfileIn,
    answer=Answer.PROFILE_CLEARED,
    refuses=(Answer.NO_SUCH_USER,),
)
def clear_profile(*, actor: Actor, user_id: int, body: ClearProfileIn) -> None:
    """Take away a user's nickname, bio or avatar that breaks the rules; the user is told why."""
    service.clear_profile(
        actor_id=actor.id, user_id=user_id, parts=[ProfilePart(each) for each in body.parts], reason=body.reason
    )


@api.get(
    "/api/avatar/<id:avatar_id>/",
    auth=Auth.OPTIONAL,
    query=PictureQuery,
    refuses=(Answer.NO_SUCH_PICTURE,),
    media=("image/jpeg", "image/webp"),
    conditional=True,
)
def avatar(*, actor: Actor | None, avatar_id: int, query: PictureQuery) -> Response:
    """The bytes of an avatar, a square; smaller where a width is asked for. What is not shown, its owner alone sees.

    The links that its owner gets with it show it without a login, in an `<img>`, until they end.
    """
    granted = seconds_granted(avatar_url(avatar_id) or "", query)
    found = queries.visible_avatar(
        avatar_id=avatar_id, reader_id=actor.id if actor else None, granted=granted is not None
    )
    rendition = rendition_of(
        sha256=found.sha256, content_type=found.content_type, width=found.side, height=found.side, wanted=query.w
    )
    return picture_response(
        functools.partial(read_rendition, picture_storage(), rendition),
        content_type=rendition.content_type,
        key=rendition.key,
        cache=_PUBLIC_CACHE if found.public else hidden_cache(granted),
        created_at=found.created_at,
    )
