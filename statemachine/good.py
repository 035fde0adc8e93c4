"""The good's machine: reviewed, published, held by an order, sold; edited by its owner, deleted at last.

What was public once stays public as it was approved while an edit of it is reviewed beside it (`app.goods.revisions`):
the good keeps its status, and the edit takes effect by an event of its own.

Staff take a good down wherever it stands, and restore it: off the market it keeps its status, and an order that holds
it goes on.

Numbers and Chinese texts are those of the API spec (`api-notes.txt`), byte for byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from statemachine.engine import Flow
from statemachine.spec import Creation, Guard, Rule, Spec, State
from statemachine.texts import Text


class GoodStatus(IntEnum):
    """The good's status on the wire."""

    IN_REVIEW = 1
    PUBLISHED = 2
    IN_TRADE = 3
    SOLD = 4
    REJECTED = 5


class TradeMode(IntEnum):
    """How a good changes hands. The API spec goes on counting where the statuses end."""

    FACE_TO_FACE = 6
    COURIER = 7
    ANY = 8


class GoodEvent(StrEnum):
    """What can happen to a good."""

    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    RELEASE = "release"
    FINISH = "finish"
    EDIT = "edit"
    PUBLISH_EDIT = "publish_edit"
    DELETE = "delete"
    TAKE_DOWN = "take_down"
    RESTORE = "restore"


class GoodRole(StrEnum):
    """Who acts on a good. `system` is moderation and the order that holds it."""

    OWNER = "owner"
    SYSTEM = "system"
    STAFF = "staff"


class GoodPhase(NamedTuple):
    """Where a good stands: its `GoodStatus`, and whether it was deleted by its owner, or taken down by staff."""

    status: int
    deleted: bool = False
    taken_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodFacts:
    """What the good's guards look at. `has_open_order`: there is an order of this good that is not closed yet."""

    has_open_order: bool


GOOD_TEXT: Final[Mapping[int, str]] = {
    GoodStatus.IN_REVIEW: "待审核",
    GoodStatus.PUBLISHED: "已发布",
    GoodStatus.IN_TRADE: "交易中",
    GoodStatus.SOLD: "交易完成",
    GoodStatus.REJECTED: "审核失败",
}
GOOD_TEXT_EN: Final[Mapping[int, str]] = {
    GoodStatus.IN_REVIEW: "in review",
    GoodStatus.PUBLISHED: "published",
    GoodStatus.IN_TRADE: "in trade",
    GoodStatus.SOLD: "sold",
    GoodStatus.REJECTED: "rejected",
}
TRADE_TEXT: Final[Mapping[int, str]] = {
    TradeMode.FACE_TO_FACE: "当面交易",
    TradeMode.COURIER: "快递",
    TradeMode.ANY: "不限交易方式",
}
TRADE_TEXT_EN: Final[Mapping[int, str]] = {
    TradeMode.FACE_TO_FACE: "face to face",
    TradeMode.COURIER: "courier",
    TradeMode.ANY: "any way of trading",
}

GoodRule = Rule[GoodPhase, GoodEvent, GoodFacts]

NO_OPEN_ORDER: Final = Guard[GoodFacts](
    code="open_order",
    condition=Text("没有未结束的订单", "no open order"),
    refusal=Text("商品还有未结束的订单", "the good still has an order that is not closed"),
    test=lambda facts: not facts.has_open_order,
)

_DELETABLE: Final = (GoodStatus.IN_REVIEW, GoodStatus.PUBLISHED, GoodStatus.SOLD, GoodStatus.REJECTED)


def _state(status: GoodStatus, *, deleted: bool = False, taken_down: bool = False) -> State[GoodPhase]:
    zh, en = GOOD_TEXT[status], GOOD_TEXT_EN[status]
    label = Text(f"{status} {zh}", f"{status} {en}")
    away = Text("已删除", "deleted") if deleted else Text("已下架", "taken down") if taken_down else None
    return State(
        phase=GoodPhase(int(status), deleted, taken_down),
        key=f"{status}{',deleted' * deleted}{',taken_down' * taken_down}",
        lines=(label,) if away is None else (label, away),
        meaning=away or Text(zh, en),
        closed=deleted,
        # A good may wait for ever for moderation, a buyer or its owner; while it waits for its order, the order has the
        # deadlines.
        timeless=not deleted,
    )


def _rule(event: GoodEvent, by: tuple[GoodRole, ...], source: GoodStatus, target: GoodStatus) -> GoodRule:
    guards = (NO_OPEN_ORDER,) if event is GoodEvent.EDIT else ()
    return Rule(event, by, GoodPhase(int(source)), GoodPhase(int(target)), guards=guards)


def _delete(status: GoodStatus) -> GoodRule:
    phase = GoodPhase(int(status))
    return Rule(GoodEvent.DELETE, _OWNER, phase, phase._replace(deleted=True), guards=(NO_OPEN_ORDER,))


def _take_down(status: GoodStatus) -> GoodRule:
    phase = GoodPhase(int(status))
    return Rule(GoodEvent.TAKE_DOWN, (GoodRole.STAFF,), phase, phase._replace(taken_down=True))


def _restore(status: GoodStatus) -> GoodRule:
    phase = GoodPhase(int(status), taken_down=True)
    # The system, when the time of its owner's suspension is over.
    return Rule(GoodEvent.RESTORE, (GoodRole.STAFF, GoodRole.SYSTEM), phase, phase._replace(taken_down=False))


def _taken_down(rule: GoodRule) -> GoodRule:
    """The same while the good is taken down."""
    source, target = (phase._replace(taken_down=True) for phase in (rule.source, rule.target))
    return replace(rule, source=source, target=target._replace(taken_down=not target.deleted))


_SYSTEM: Final = (GoodRole.SYSTEM,)
_OWNER: Final = (GoodRole.OWNER,)
_REVIEWERS: Final = (GoodRole.SYSTEM, GoodRole.STAFF)
_HELD: Final = (
    _rule(GoodEvent.RELEASE, _SYSTEM, GoodStatus.IN_TRADE, GoodStatus.PUBLISHED),
    _rule(GoodEvent.FINISH, _SYSTEM, GoodStatus.IN_TRADE, GoodStatus.SOLD),
)
"""What the end of its order makes of a good."""
_DELETE: Final = tuple(_delete(status) for status in _DELETABLE)

GOOD: Final = Spec[GoodPhase, GoodEvent, GoodFacts](
    name="good",
    noun=Text("商品", "good"),
    start=GoodPhase(1),
    creation=Creation("offer", GoodRole.OWNER, Text("发布商品", "put up for sale")),
    states=(
        *(_state(status) for status in GoodStatus),
        *(_state(status, deleted=True) for status in _DELETABLE),
        *(_state(status, taken_down=True) for status in GoodStatus),
    ),
    events={
        GoodEvent.APPROVE: Text("审核通过", "approve"),
        GoodEvent.REJECT: Text("审核不通过", "reject"),
        GoodEvent.HOLD: Text("被拍下", "hold for an order"),
        GoodEvent.RELEASE: Text("重新上架", "put back on sale"),
        GoodEvent.FINISH: Text("交易完成", "finish the trade"),
        GoodEvent.EDIT: Text("编辑", "edit"),
        GoodEvent.PUBLISH_EDIT: Text("修改生效", "publish the edit"),
        GoodEvent.DELETE: Text("删除", "delete"),
        GoodEvent.TAKE_DOWN: Text("下架", "take down"),
        GoodEvent.RESTORE: Text("恢复", "restore"),
    },
    roles={
        GoodRole.OWNER: Text("卖家", "owner"),
        GoodRole.SYSTEM: Text("系统", "system"),
        GoodRole.STAFF: Text("平台客服", "staff"),
    },
    rules=(
        _rule(GoodEvent.APPROVE, _REVIEWERS, GoodStatus.IN_REVIEW, GoodStatus.PUBLISHED),
        _rule(GoodEvent.REJECT, _REVIEWERS, GoodStatus.IN_REVIEW, GoodStatus.REJECTED),
        # Its owner's appeal was granted.
        _rule(GoodEvent.APPROVE, (GoodRole.STAFF,), GoodStatus.REJECTED, GoodStatus.PUBLISHED),
        _rule(GoodEvent.HOLD, _SYSTEM, GoodStatus.PUBLISHED, GoodStatus.IN_TRADE),
        *_HELD,
        # What nobody has seen yet is reviewed anew. What is public stays so, and the edit is reviewed beside it.
        _rule(GoodEvent.EDIT, _OWNER, GoodStatus.IN_REVIEW, GoodStatus.IN_REVIEW),
        _rule(GoodEvent.EDIT, _OWNER, GoodStatus.REJECTED, GoodStatus.IN_REVIEW),
        _rule(GoodEvent.EDIT, _OWNER, GoodStatus.PUBLISHED, GoodStatus.PUBLISHED),
        _rule(GoodEvent.EDIT, _OWNER, GoodStatus.SOLD, GoodStatus.SOLD),
        _rule(GoodEvent.PUBLISH_EDIT, _REVIEWERS, GoodStatus.PUBLISHED, GoodStatus.PUBLISHED),
        # A sold good that its owner edits is for sale again.
        _rule(GoodEvent.PUBLISH_EDIT, _REVIEWERS, GoodStatus.SOLD, GoodStatus.PUBLISHED),
        *_DELETE,
        *(_take_down(status) for status in GoodStatus),
        *(_restore(status) for status in GoodStatus),
        *(_taken_down(rule) for rule in (*_HELD, *_DELETE)),
    ),
    columns=("good_status", "deleted", "taken_down"),
)
"""All that can happen to a good. A sold good may have an order in its after-sale window: until that is closed, the good
is neither edited nor deleted. One that is taken down is neither reviewed, edited nor sold until it is restored."""

good_flow: Final = Flow(GOOD)
"""Fires the good's events."""
