"""Fingerprints of texts, by which exact and near duplicates are found among other goods.

The SimHash (Charikar, 2002) of a text is 64 bits of which similar texts share most: the library computes it from the
text's three-character pieces, as the rules read it (`folding.py`), so that neither punctuation nor disguise counts.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from simhash import Simhash

from app.moderation.text.folding import fold

_BITS: Final = 64
_PIECE: Final = 3
_SHORTEST: Final = 40
"""Shorter texts are alike by chance: 九成新,自用,包邮 says everybody."""


NEAR: Final = 10
"""Bits in which the fingerprints of two texts that are much alike may differ: a word of twenty is another."""


@dataclass(frozen=True, slots=True)
class TextFingerprint:
    """What a text is (`exact`, a SHA-256 in hexadecimal digits) and is like (`near`, a signed 64-bit number)."""

    exact: str
    near: int

    @property
    def bands(self) -> list[int]:
        """The eight bytes of `near`, each with its place: two fingerprints that are alike mostly have one in common."""
        return [place << 8 | (self.near >> (8 * place)) & 0xFF for place in range(_BITS // 8)]


def fingerprint_of(text: str) -> TextFingerprint | None:
    """The fingerprint of a text; None where it is too short to be anybody's own."""
    squeezed = fold([text]).squeezed
    if len(squeezed) < _SHORTEST:
        return None
    pieces = [squeezed[start : start + _PIECE] for start in range(len(squeezed) - _PIECE + 1)]
    value: int = Simhash(pieces, f=_BITS, hashfunc=_hash).value
    signed = value - (1 << _BITS) if value >> (_BITS - 1) else value
    return TextFingerprint(hashlib.sha256(squeezed.encode()).hexdigest(), signed)


def _hash(piece: bytes) -> bytes:
    # The library's own choice is MD5, which some systems forbid.
    return hashlib.blake2b(piece, digest_size=_BITS // 8).digest()
