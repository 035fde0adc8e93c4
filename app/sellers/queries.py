"""Reads of how sellers stand."""

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from app.db.transactions import rows
from app.sellers.models import SellerStanding


class Standings:
    """How all sellers stand, from −1 to 1, by their ids."""

    def __init__(self, standings: dict[int, int]) -> None:
        """`standings`: hundredths by user id."""
        self._ids = np.array(sorted(standings), np.int64)
        self._standings = np.array([standings[user_id] for user_id in sorted(standings)], np.float64) / 100

    def of(self, user_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """How these sellers stand; 0 for whoever is not known."""
        if not len(self._ids):
            return np.zeros(len(user_ids))
        places = np.searchsorted(self._ids, user_ids)
        places[places == len(self._ids)] = 0
        return np.where(self._ids[places] == user_ids, self._standings[places], 0.0)


def read_standings() -> Standings:
    """How sellers stand, as it was counted last."""
    found = rows(select(SellerStanding.user_id, SellerStanding.standing).where(SellerStanding.standing != 0))
    return Standings({row.user_id: row.standing for row in found})
