"""`flask moderation`: what the checks say of texts and pictures that somebody names."""

import json
from pathlib import Path

import click
from flask.cli import AppGroup

from app.moderation.pictures import check_picture
from app.moderation.verdicts import Hit, Judgement
from app.settings import settings

moderation_commands = AppGroup("moderation", help="The checks of texts and pictures.")


@moderation_commands.command("check-picture")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--json", "as_json", is_flag=True, help="JSON Lines: file, decision, hits with category, code, box, reason"
)
def check_pictures(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Say what the check finds in each of FILES, a line for each, in their order.

    Nothing is stored, and no database is asked: whether a picture looks like a banned one is not said here.
    """
    for path in files:
        with path.open("rb") as file:
            judgement = check_picture(file.read(settings().picture_bytes_limit + 1))
        click.echo(_as_json(path, judgement) if as_json else _as_text(path, judgement))


def _as_json(path: Path, judgement: Judgement) -> str:
    found = {
        "file": str(path),
        "decision": judgement.decision.value,
        "hits": [_hit(hit) for hit in judgement.hits],
        "rules_version": judgement.rules_version,
    }
    return json.dumps(found, ensure_ascii=False)


def _hit(hit: Hit) -> dict[str, object]:
    box = hit.box
    return {
        "category": hit.category.value,
        "code": hit.code,
        "policy": hit.policy.value,
        "start": None,  # as in the lines about texts: a picture has boxes instead
        "end": None,
        "box": box and {"left": box.left, "top": box.top, "width": box.width, "height": box.height},
        "confidence": hit.confidence,
        "reason": hit.reason,
    }


def _as_text(path: Path, judgement: Judgement) -> str:
    reasons = ";".join(dict.fromkeys(hit.reason for hit in judgement.hits))
    return f"{path}: {judgement.decision.value}" + (f" {reasons}" if reasons else "")
