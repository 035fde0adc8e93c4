"""Texts of the notifications of an order's steps, by the event, who made the step, and who is notified.

`{good}` is the good's title, `{amount}` the order's amount in yuan, `{proceeds}` what of it is the seller's after the
platform's share, `{note}` what the actor wrote. Actors are not notified of their own steps; of steps of the system, the
gateway and staff both sides are notified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from statemachine import ORDER, OrderEvent, Role, TradeMode
from statemachine.spec import check_total


@dataclass(frozen=True, slots=True)
class NotificationText:
    """Title and text of a notification. `face_to_face` is the text for 当面交易 where that differs."""

    title: str
    text: str
    face_to_face: str | None = None

    def text_for(self, trade_mode: int) -> str:
        """The text for an order of this trade mode."""
        if trade_mode == TradeMode.FACE_TO_FACE and self.face_to_face is not None:
            return self.face_to_face
        return self.text


_B, _S, _SYSTEM, _GATEWAY, _STAFF = Role.BUYER, Role.SELLER, Role.SYSTEM, Role.GATEWAY, Role.STAFF
_ON = OrderEvent

NOTIFICATION_TEXTS: Final[Mapping[tuple[str, Role, Role], NotificationText]] = {
    (ORDER.creation.name, _B, _S): NotificationText("商品已被拍下", "买家拍下了「{good}」,等待付款"),
    # Payment
    (_ON.PAY, _GATEWAY, _S): NotificationText(
        "买家已付款", "买家已付款:「{good}」,请尽快发货", face_to_face="买家已付款:「{good}」,请与买家约定当面交货"
    ),
    (_ON.PAY, _GATEWAY, _B): NotificationText(
        "付款成功",
        "「{good}」付款成功,{amount} 元由平台担保,等待卖家发货",
        face_to_face="「{good}」付款成功,{amount} 元由平台担保,请与卖家约定当面交货",
    ),
    (_ON.CANCEL, _B, _S): NotificationText("订单已取消", "买家取消了订单:「{good}」,商品已重新上架"),
    (_ON.CANCEL, _S, _B): NotificationText("订单已取消", "卖家取消了订单:「{good}」"),
    (_ON.EXPIRE, _SYSTEM, _B): NotificationText("订单已关闭", "「{good}」超时未付款,订单已关闭"),
    (_ON.EXPIRE, _SYSTEM, _S): NotificationText("订单已关闭", "买家超时未付款:「{good}」,订单已关闭,商品已重新上架"),
    # Delivery
    (_ON.SHIP, _S, _B): NotificationText("卖家已发货", "卖家已发货:「{good}」,收到后请确认收货"),
    (_ON.REFUND_UNSHIPPED, _SYSTEM, _B): NotificationText(
        "超时未发货,退款处理中",
        "卖家超时未发货:「{good}」,{amount} 元将原路退回",
        face_to_face="超时未当面交货:「{good}」,{amount} 元将原路退回",
    ),
    (_ON.REFUND_UNSHIPPED, _SYSTEM, _S): NotificationText(
        "超时未发货,退款处理中",
        "「{good}」超时未发货,订单已关闭,货款正在退给买家",
        face_to_face="「{good}」超时未当面交货,订单已关闭,货款正在退给买家",
    ),
    (_ON.EXTEND_RECEIPT, _B, _S): NotificationText("买家延长了收货时间", "买家延长了收货时间:「{good}」"),
    (_ON.RECEIVE, _B, _S): NotificationText(
        "买家已确认收货", "买家已确认收货:「{good}」,货款 {proceeds} 元将在售后期结束后到账"
    ),
    (_ON.RECEIVE, _S, _B): NotificationText("已当面交货", "卖家凭交货码确认了当面交货:「{good}」"),
    (_ON.RECEIVE, _SYSTEM, _B): NotificationText("已自动确认收货", "「{good}」超时未确认,已自动确认收货"),
    (_ON.RECEIVE, _SYSTEM, _S): NotificationText(
        "已自动确认收货", "买家超时未确认,已自动确认收货:「{good}」,货款 {proceeds} 元将在售后期结束后到账"
    ),
    (_ON.SETTLE, _SYSTEM, _B): NotificationText("交易完成", "「{good}」售后期已结束,交易完成"),
    (_ON.SETTLE, _SYSTEM, _S): NotificationText("货款已到账", "「{good}」交易完成,货款 {proceeds} 元已转入可用余额"),
    # Asking for a refund
    (_ON.REQUEST_REFUND, _B, _S): NotificationText("买家申请退款", "买家申请退款:「{good}」,请尽快处理"),
    (_ON.WITHDRAW_REFUND, _B, _S): NotificationText("买家撤回了退款申请", "买家撤回了退款申请:「{good}」,订单继续"),
    (_ON.REJECT_REFUND, _S, _B): NotificationText("卖家拒绝退款", "卖家拒绝了退款申请:「{good}」。理由:{note}"),
    (_ON.APPROVE_REFUND, _S, _B): NotificationText("卖家同意退款", "卖家同意退款:「{good}」,{amount} 元将原路退回"),
    (_ON.APPROVE_REFUND, _SYSTEM, _B): NotificationText(
        "退款申请已自动同意", "卖家超时未处理退款申请:「{good}」,{amount} 元将原路退回"
    ),
    (_ON.APPROVE_REFUND, _SYSTEM, _S): NotificationText(
        "退款申请已自动同意", "「{good}」的退款申请超时未处理,已自动同意,货款正在退给买家"
    ),
    # Returning the goods
    (_ON.SEND_BACK, _B, _S): NotificationText("买家已寄回退货", "买家已寄回退货:「{good}」,收到后请确认"),
    (_ON.LAPSE, _SYSTEM, _B): NotificationText("退款申请已关闭", "「{good}」超时未寄回退货,退款申请已关闭"),
    (_ON.LAPSE, _SYSTEM, _S): NotificationText("退款申请已关闭", "买家超时未寄回退货:「{good}」,退款申请已关闭"),
    (_ON.ACCEPT_RETURN, _S, _B): NotificationText("卖家已收到退货", "卖家已收到退货:「{good}」,{amount} 元将原路退回"),
    (_ON.ACCEPT_RETURN, _SYSTEM, _B): NotificationText(
        "退货已自动确认", "卖家超时未确认收到退货:「{good}」,已自动确认,{amount} 元将原路退回"
    ),
    (_ON.ACCEPT_RETURN, _SYSTEM, _S): NotificationText(
        "退货已自动确认", "「{good}」的退货超时未确认,已自动确认收到,货款正在退给买家"
    ),
    (_ON.CONTEST_RETURN, _S, _B): NotificationText("卖家对退货有异议", "卖家对退货有异议:「{good}」,可提交陈述和凭证"),
    # Staff
    (_ON.DISPUTE, _B, _S): NotificationText("买家申请平台介入", "买家申请平台客服介入:「{good}」,可提交陈述和凭证"),
    (_ON.DISPUTE, _S, _B): NotificationText("卖家申请平台介入", "卖家申请平台客服介入:「{good}」,可提交陈述和凭证"),
    (_ON.RESOLVE_FOR_BUYER, _STAFF, _B): NotificationText(
        "平台裁决:退款给买家", "平台客服裁决退款:「{good}」,{amount} 元将原路退回"
    ),
    (_ON.RESOLVE_FOR_BUYER, _STAFF, _S): NotificationText(
        "平台裁决:退款给买家", "平台客服裁决退款给买家:「{good}」,订单已关闭"
    ),
    (_ON.RESOLVE_FOR_SELLER, _STAFF, _B): NotificationText(
        "平台裁决:支持卖家", "平台客服裁决支持卖家:「{good}」,退款申请未通过"
    ),
    (_ON.RESOLVE_FOR_SELLER, _STAFF, _S): NotificationText(
        "平台裁决:支持卖家", "平台客服裁决支持卖家:「{good}」,退款申请未通过"
    ),
    (_ON.CONFIRM_EXTERNAL_REFUND, _STAFF, _B): NotificationText(
        "平台确认:货款已退回",
        "平台确认:「{good}」的货款 {amount} 元已由支付平台退回你的付款账户,订单已关闭,无需再申请退款",
    ),
    (_ON.CONFIRM_EXTERNAL_REFUND, _STAFF, _S): NotificationText(
        "平台确认:货款已退回买家", "平台确认:「{good}」的货款 {amount} 元已由支付平台退回买家,订单已关闭"
    ),
}

REFUND_CONFIRMED: Final = "refund_confirmed"
"""The event of a notification that the gateway has confirmed a refund."""

REFUND_CONFIRMED_TEXTS: Final[Mapping[Role, NotificationText]] = {
    Role.BUYER: NotificationText("退款成功", "「{good}」的退款 {amount} 元已原路退回"),
    Role.SELLER: NotificationText("退款已完成", "「{good}」的货款 {amount} 元已退给买家"),
}
"""What is told once the gateway has confirmed a refund. Until then texts say that it is on its way."""

PAID_LATE_REFUND_TEXT: Final = NotificationText("退款成功", "「{good}」重复或超时支付的 {amount} 元已原路退回")
"""The same to a payer whose payment came too late, or twice; the seller never heard of that payment."""

REFUND_PAID_OTHERWISE_TEXTS: Final[Mapping[Role, NotificationText]] = {
    Role.BUYER: NotificationText("退款已完成", "「{good}」的退款 {amount} 元已由平台另行退给你,如未收到请联系客服"),
    Role.SELLER: REFUND_CONFIRMED_TEXTS[Role.SELLER],
}
"""The same where staff have paid the refund otherwise, because the gateway refused it."""

REFUND_PARTLY_OTHERWISE_TEXTS: Final[Mapping[Role, NotificationText]] = {
    Role.BUYER: NotificationText(
        "退款已完成", "「{good}」的退款 {amount} 元已完成,其中一部分由平台另行退给你,如未收到请联系客服"
    ),
    Role.SELLER: REFUND_CONFIRMED_TEXTS[Role.SELLER],
}
"""The same where staff have paid a part otherwise that the gateway has not given."""

PAID_LATE_REFUND_PARTLY_OTHERWISE_TEXT: Final = NotificationText(
    "退款已完成",
    "「{good}」重复或超时支付的 {amount} 元已退回,其中一部分由平台另行退给你,如未收到请联系客服",
)

PAID_LATE_REFUND_OTHERWISE_TEXT: Final = NotificationText(
    "退款已完成", "「{good}」重复或超时支付的 {amount} 元已由平台另行退给你,如未收到请联系客服"
)

ORDER_HELD: Final = "order_held"
ORDER_RELEASED: Final = "order_released"
"""The events of notifications that an order is held, and that it goes on."""

ORDER_HELD_TEXTS: Final[Mapping[Role, NotificationText]] = {
    Role.BUYER: NotificationText(
        "订单暂停,平台核实中",
        "支付平台显示「{good}」的货款已退回你的付款账户 {refunded} 元(订单 {amount} 元)。平台核实前订单暂停:"
        "双方不能操作,期限不计时,结果会通知你",
    ),
    Role.SELLER: NotificationText(
        "订单暂停,平台核实中",
        "支付平台显示「{good}」的货款已退回买家 {refunded} 元(订单 {amount} 元)。平台核实前订单暂停:"
        "请勿发货或交货,期限不计时,结果会通知你",
    ),
}
ORDER_RELEASED_TEXTS: Final[Mapping[Role, NotificationText]] = {
    Role.BUYER: NotificationText(
        "订单恢复进行",
        "平台已核实「{good}」在支付平台的款项变动({refunded} 元),订单恢复进行,期限顺延了暂停的时间",
    ),
    Role.SELLER: NotificationText(
        "订单恢复进行",
        "平台已核实「{good}」在支付平台的款项变动({refunded} 元),订单恢复进行,期限顺延了暂停的时间,可以继续交易",
    ),
}
"""What is told where money went back at the gateway without us: while the order is held, and once it goes on."""

SAVED_SEARCH: Final = "saved_search"
"""The event of a notification that there are new goods for a saved search."""

SAVED_SEARCH_GOOD_TEXT: Final = NotificationText("你保存的搜索有新商品", "「{q}」有新商品:{goods}")
SAVED_SEARCH_GOODS_TEXT: Final = NotificationText("你保存的搜索有新商品", "「{q}」有 {number} 件新商品:{goods}")
"""What is told of one, and of several: `{q}` is the query, `{goods}` the titles of the newest."""

_SIDES: Final = (Role.BUYER, Role.SELLER)


def notified_sides(role: Role) -> tuple[Role, ...]:
    """The sides that are notified of a step made by `role`: those who did not make it."""
    return tuple(side for side in _SIDES if side is not role)


_STEPS: Final = (
    (ORDER.creation.name, ORDER.creation.by),
    *((rule.event, role) for rule in ORDER.rules for role in rule.by),
)
check_total(
    "NOTIFICATION_TEXTS in app/notifications/texts.py",
    NOTIFICATION_TEXTS.keys(),
    {(event, role, side) for event, role in _STEPS for side in notified_sides(Role(role))},
)
