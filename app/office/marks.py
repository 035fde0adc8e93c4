"""What the machine found, shown where it stands: hits marked in a text, boxes drawn on a picture."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise

from markupsafe import Markup

from app.goods.schemas import HitOut


def marked(text: str, hits: Sequence[HitOut]) -> Markup:
    """The text with its hits marked. Where hits overlap, each stretch names all of them; what lies outside is left."""
    spans = [
        (max(hit["start"], 0), min(hit["end"], len(text)), hit)
        for hit in hits
        if hit["start"] is not None and hit["end"] is not None and hit["start"] < min(hit["end"], len(text))
    ]
    borders = sorted({0, len(text), *(start for start, _, _ in spans), *(end for _, end, _ in spans)})
    parts = []
    for start, end in pairwise(borders):
        over = [hit for begin, finish, hit in spans if begin <= start and end <= finish]
        piece = escape(text[start:end])
        if over:
            kind = "reject" if any(hit["policy"] == "reject" for hit in over) else over[0]["policy"]
            reasons = ";".join(dict.fromkeys(hit["reason"] for hit in over))
            piece = f'<mark class="{escape(kind)}" title="{escape(reasons)}">{piece}</mark>'
        parts.append(piece)
    return Markup("".join(parts))  # noqa: S704 - every text in it is escaped above


def boxes(*, width: int, height: int, hits: Iterable[HitOut]) -> Markup:
    """An SVG as large as the picture with the boxes of its hits, to be laid over it; empty where there are none."""
    drawn = []
    for hit in hits:
        box = hit["box"]
        if box is not None:
            drawn.append(
                f'<rect class="{escape(hit["policy"])}" x="{box["left"]}" y="{box["top"]}" width="{box["width"]}" '
                f'height="{box["height"]}"><title>{escape(hit["reason"])}</title></rect>'
            )
    if not drawn:
        return Markup("")
    words = f'<svg class="boxes" viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
    return Markup(f"{words}{''.join(drawn)}</svg>")  # noqa: S704 - numbers, and texts that are escaped above
