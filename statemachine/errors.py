"""The errors of this package."""

from statemachine.texts import Reason


class SpecError(ValueError):
    """A spec contradicts itself. `defects` names every contradiction found, not just the first."""

    def __init__(self, name: str, defects: tuple[str, ...]) -> None:
        super().__init__(f"{name}: " + "; ".join(defects))
        self.defects = defects


class UnknownTerm(ValueError):  # noqa: N818 - named for what happened, like the refusals below
    """A phase, event or role that the machine does not have: a mistake of the caller or a corrupt row, never a
    user's."""


class TransitionRefused(Exception):  # noqa: N818 - "refused" is the whole point: it is an answer, not a fault
    """The machine says no, and the subject's phase has not changed.

    `event`, `phase` and `role` are what was asked, `allowed` the events that the role may fire there instead (guards
    are ignored for that), `reasons` why not, in both languages.
    """

    def __init__(
        self, *, event: str, phase: object, role: str, allowed: tuple[str, ...], reasons: tuple[Reason, ...]
    ) -> None:
        super().__init__("; ".join(reason.en for reason in reasons))
        self.event = event
        self.phase = phase
        self.role = role
        self.allowed = allowed
        self.reasons = reasons


class IllegalTransition(TransitionRefused):
    """Nobody can do this from the present phase."""


class Forbidden(TransitionRefused):
    """It can be done from here, but not by this role."""


class GuardFailed(TransitionRefused):
    """Right phase, right role, but a guard does not hold; there is a reason for each that does not."""
