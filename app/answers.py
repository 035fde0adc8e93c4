"""Every number and text that an envelope can carry, declared once; and the one error that services raise.

The names of refusals are public: clients read them as `data.error` (`docs/errors.md`). They are not renamed.

`status` is the number of the API spec (`api-notes.txt`): 100 nothing came of it, 101 abnormal data, 200 right with
data, 201 right without. `http` is the ordinary HTTP status that goes beside it. The API spec's texts stand here byte
for byte.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict


class Answer(Enum):
    """One kind of answer: `(status, http, msg)`."""

    # 200 and 201: it worked
    OK = (200, 200, "请求成功")
    DONE = (201, 200, "操作成功")
    LOGGED_IN = (200, 200, "登录成功")
    REGISTERED = (200, 200, "注册成功")
    PICTURE_UPLOADED = (200, 200, "图片上传成功")
    GOOD_RELEASED = (200, 200, "商品发布成功")
    GOOD_FOUND = (200, 200, "商品查询成功")
    CATEGORIES_FOUND = (200, 200, "商品分类查询成功")
    GOOD_EDITED = (200, 200, "商品修改成功")
    GOOD_DELETED = (200, 200, "商品删除成功")
    ORDER_FOUND = (200, 200, "订单查询成功")
    ORDERS_COUNTED = (200, 200, "订单数量查询成功")
    USER_FOUND = (200, 200, "用户查询成功")
    LOGGED_OUT = (201, 200, "退出登录成功")
    TOKEN_REFRESHED = (200, 200, "令牌刷新成功")
    CAPTCHA_MADE = (200, 200, "验证码获取成功")
    PROFILE_EDITED = (200, 200, "用户信息修改成功")
    AVATAR_UPLOADED = (200, 200, "头像上传成功,审核通过后展示")
    AVATAR_FOUND = (200, 200, "头像查询成功")
    AVATAR_DELETED = (201, 200, "头像已删除")
    PASSWORD_CHANGED = (201, 200, "密码修改成功")
    ACCOUNT_EXPORTED = (200, 200, "账号数据导出成功")
    ACCOUNT_DELETED = (201, 200, "账号已注销")
    RECOVERY_FOUND = (200, 200, "找回方式查询成功")
    RECOVERY_VERIFIED = (200, 200, "找回方式绑定成功")
    RECOVERY_REMOVED = (200, 200, "找回方式已解除")
    CODE_SENT = (201, 200, "验证码已发送")
    RESET_REQUESTED = (201, 200, "如账号存在且已绑定找回方式,验证码将会发出")
    PASSWORD_RESET = (201, 200, "密码重置成功")
    RESET_CODE_ISSUED = (200, 200, "重置码已生成")
    ADDRESS_ADDED = (200, 200, "收货地址添加成功")
    ADDRESS_FOUND = (200, 200, "收货地址查询成功")
    ADDRESS_EDITED = (200, 200, "收货地址修改成功")
    ADDRESS_DELETED = (201, 200, "收货地址删除成功")
    REGIONS_FOUND = (200, 200, "地区查询成功")
    ORDER_CREATED = (200, 200, "下单成功")
    ORDER_CANCELLED = (200, 200, "订单取消成功")
    ORDER_SHIPPED = (200, 200, "发货成功")
    ORDER_RECEIVED = (200, 200, "确认收货成功")
    REFUND_REQUESTED = (200, 200, "退款申请成功")
    REFUND_WITHDRAWN = (200, 200, "退款申请已撤回")
    REFUND_REJECTED = (200, 200, "已拒绝退款申请")
    REFUND_APPROVED = (200, 200, "已同意退款,退款处理中")
    RECEIPT_EXTENDED = (200, 200, "收货时间已延长")
    STATEMENT_ADDED = (200, 200, "陈述已提交")
    DISPUTE_RAISED = (200, 200, "已申请平台介入")
    RETURN_CONTESTED = (200, 200, "已提出异议,等待平台处理")
    GOODS_HANDED_OVER = (200, 200, "交货成功")
    HANDOVER_CODE_MADE = (200, 200, "交货码已更新")
    DISPUTE_DECIDED = (200, 200, "裁决成功")
    DISPUTES_FOUND = (200, 200, "争议查询成功")
    PAYMENTS_FOUND = (200, 200, "支付记录查询成功")
    LEDGER_FOUND = (200, 200, "账本查询成功")
    STAFF_ACTIONS_FOUND = (200, 200, "客服操作记录查询成功")
    REFUNDS_FOUND = (200, 200, "退款查询成功")
    STAFF_READS_FOUND = (200, 200, "客服查阅记录查询成功")
    STAFF_FOUND = (200, 200, "客服查询成功")
    SECOND_FACTOR_RESET = (201, 200, "两步验证已重置")
    MESSAGES_FOUND = (200, 200, "消息查询成功")
    MESSAGES_REPLAYED = (200, 200, "消息已重放")
    TEXT_CHECKED = (200, 200, "检查完成")
    WORDS_FOUND = (200, 200, "词表查询成功")
    OPERATIONS_FOUND = (200, 200, "运行状态查询成功")
    FIGURES_FOUND = (200, 200, "数据查询成功")
    GOOD_TAKEN_DOWN = (200, 200, "商品已下架")
    GOOD_RESTORED = (200, 200, "商品已恢复")
    APPEALED = (200, 200, "申诉已提交,请等待处理")
    GOOD_REPORTED = (201, 200, "举报已提交,感谢反馈")
    REVIEWS_FOUND = (200, 200, "待审核商品查询成功")
    REVIEW_DECIDED = (200, 200, "审核结果已生效")
    REVIEW_SKIPPED = (201, 200, "已跳过该商品")
    PICTURE_BANNED = (200, 200, "图片已禁用")
    BANS_FOUND = (200, 200, "禁用图片查询成功")
    BAN_LIFTED = (201, 200, "图片已解除禁用")
    USER_SUSPENDED = (200, 200, "账号已停用,登录已全部失效")
    SUSPENSION_LIFTED = (200, 200, "账号已恢复")
    PROFILE_CLEARED = (201, 200, "资料已清除")
    MONEY_CASES_FOUND = (200, 200, "款项待办查询成功")
    MONEY_CASE_DECIDED = (200, 200, "款项待办处理成功")
    REASONS_FOUND = (200, 200, "退款原因查询成功")
    RETURN_SENT = (200, 200, "退货发货成功")
    RETURN_ACCEPTED = (200, 200, "退货确认成功,退款处理中")
    ORDER_HIDDEN = (201, 200, "订单删除成功")
    STATES_FOUND = (200, 200, "订单状态查询成功")
    NOTIFICATION_FOUND = (200, 200, "通知查询成功")
    NOTIFICATION_READ = (200, 200, "通知已读")
    VERDICT_FOUND = (200, 200, "审核结果查询成功")
    TICKET_MADE = (200, 200, "付款链接获取成功")
    WALLET_FOUND = (200, 200, "钱包查询成功")
    WITHDRAWAL_REQUESTED = (200, 200, "提现申请成功")
    WITHDRAWALS_FOUND = (200, 200, "提现记录查询成功")
    PRICES_FOUND = (200, 200, "参考价查询成功")
    SUGGESTIONS_FOUND = (200, 200, "搜索建议查询成功")
    CLICK_COUNTED = (201, 200, "已记录")
    QUERIES_FOUND = (200, 200, "搜索词查询成功")
    QUERY_BANNED = (200, 200, "搜索词已禁用")
    QUERY_ALLOWED = (200, 200, "搜索词已允许")
    SEARCH_SAVED = (200, 200, "搜索已保存")
    SAVED_SEARCHES_FOUND = (200, 200, "已保存的搜索查询成功")
    SAVED_SEARCH_EDITED = (200, 200, "已保存的搜索修改成功")
    SAVED_SEARCH_DELETED = (201, 200, "已保存的搜索删除成功")

    # 100: well-formed, nothing came of it
    LOGIN_FAILED = (100, 429, "登录失败")
    REGISTRATION_FAILED = (100, 409, "注册失败")
    WRONG_CREDENTIALS = (100, 401, "用户名或密码错误")
    RELEASE_FAILED = (100, 409, "商品发布失败")
    NO_GOODS = (100, 200, "商品查询失败")
    EDIT_FAILED = (100, 409, "商品修改失败")
    DELETE_FAILED = (100, 409, "商品删除失败")
    NO_ORDERS = (100, 200, "暂无订单")
    NO_NOTIFICATIONS = (100, 200, "暂无通知")
    NO_DISPUTES = (100, 200, "暂无争议")
    NO_PAYMENTS = (100, 200, "暂无支付记录")
    NO_REFUNDS = (100, 200, "暂无退款")
    NO_STAFF_READS = (100, 200, "暂无客服查阅记录")
    NO_MESSAGES = (100, 200, "暂无消息")
    NO_STAFF_ACTIONS = (100, 200, "暂无客服操作记录")
    NO_USERS = (100, 200, "暂无用户")
    NO_MONEY_CASES = (100, 200, "暂无款项待办")
    NO_ADDRESSES = (100, 200, "暂无收货地址")
    ACCOUNT_SUSPENDED = (100, 403, "账号已被停用,无法登录")
    TAKE_DOWN_FAILED = (100, 409, "商品下架失败")
    RESTORE_FAILED = (100, 409, "商品恢复失败")
    APPEAL_REFUSED = (100, 409, "申诉提交失败")
    REPORT_REFUSED = (100, 409, "举报提交失败")
    REVIEW_TAKEN = (100, 409, "该商品正由其他审核员处理")
    REVIEW_OUTDATED = (100, 409, "商品已变化,请处理下一件")
    NO_REVIEWS = (100, 200, "暂无待审核商品")
    NO_WORDS = (100, 200, "没有符合条件的词")
    NO_BANS = (100, 200, "暂无禁用图片")
    TOO_MANY_SAVED_SEARCHES = (100, 409, "已保存的搜索数量已达上限")
    TOO_MANY_ADDRESSES = (100, 409, "收货地址数量已达上限")
    FORM_EXPIRED = (100, 403, "页面已过期,请刷新后重试")
    SECOND_FACTOR_WRONG = (100, 403, "动态验证码有误或已使用")
    OLD_PASSWORD_WRONG = (100, 403, "原密码错误")
    PICTURE_QUOTA_FULL = (100, 409, "图片存储空间不足,请删除不需要的商品后再试")
    ACCOUNT_IN_USE = (100, 409, "账号尚有未完结事项,不能注销")
    CODE_WRONG = (100, 409, "验证码有误或已失效")
    TOO_MANY_CODES = (100, 429, "验证码发送过于频繁,请稍后再试")
    CHANNEL_UNAVAILABLE = (100, 409, "本平台暂不支持该找回方式,请换一种")
    GOOD_NOT_FOR_SALE = (100, 409, "商品已被买走或已下架")
    GOOD_CHANGED = (100, 409, "商品信息已变更,请确认后再购买")
    OWN_GOOD = (100, 409, "不能购买自己的商品")
    TRADE_MODE_REFUSED = (100, 409, "商品不支持该交易方式")
    WRONG_STATE = (100, 409, "订单当前状态不允许此操作")
    PAYMENT_LATE = (100, 409, "订单支付已超时")
    NO_WITHDRAWALS = (100, 200, "暂无提现记录")
    TOO_FEW_PRICES = (100, 200, "参考数据不足")
    NO_SUGGESTIONS = (100, 200, "暂无搜索建议")
    NO_QUERIES = (100, 200, "暂无搜索词")
    NO_SAVED_SEARCHES = (100, 200, "暂无已保存的搜索")
    INSUFFICIENT_FUNDS = (100, 409, "可用余额不足")
    TOO_MANY_WITHDRAWALS = (100, 429, "今日提现次数已达上限")
    MONEY_CASE_REFUSED = (100, 409, "款项待办现在不能这样处理")
    LOGIN_REQUIRED = (100, 401, "请先登录")
    METHOD_NOT_ALLOWED = (100, 405, "请求方法不被允许")
    TOO_LARGE = (101, 413, "请求内容过大")
    REQUEST_TIMEOUT = (100, 408, "请求内容接收超时,请重试")
    TOO_MANY_REQUESTS = (100, 429, "请求过于频繁,请稍后再试")
    TOO_MANY_PICTURES = (100, 429, "图片处理过于频繁,请稍后再试")
    REQUEST_RUNNING = (100, 409, "相同请求正在处理中,请稍后再试")
    BUSY = (100, 503, "系统繁忙,请稍后再试")
    FAULT = (100, 500, "服务器内部错误")
    NOT_READY = (100, 503, "服务未就绪")
    GATEWAY_UNAVAILABLE = (100, 503, "支付网关暂不可用,请稍后再试")
    TOO_MANY_UNPAID = (100, 409, "待付款订单过多,请先付款或取消")
    TOO_MANY_EXPIRED = (100, 429, "超时未付款次数过多,请稍后再试")
    TOO_MANY_CANCELLED = (100, 429, "取消订单次数过多,请稍后再试")
    TOO_MANY_STATEMENTS = (100, 409, "陈述次数已达上限")
    HANDOVER_CODE_WRONG = (100, 409, "交货码有误")
    HANDOVER_LOCKED = (100, 429, "交货码错误次数过多,请买家重新生成")

    # 101: abnormal data, suspected attack
    CAPTCHA_WRONG = (101, 422, "注册验证码有误")
    REGISTRATION_MALFORMED = (101, 422, "注册失败,信息格式不正确")
    LOGIN_MALFORMED = (101, 422, "登录失败,信息格式不正确")
    NO_SUCH_GOOD = (101, 404, "商品信息不存在")
    NO_SUCH_ORDER = (101, 404, "订单信息不存在")
    NO_SUCH_USER = (101, 404, "用户信息不存在")
    NO_SUCH_ADDRESS = (101, 404, "收货地址不存在")
    NO_SUCH_REGION = (101, 404, "地区不存在")
    NO_SUCH_NOTIFICATION = (101, 404, "通知不存在")
    NO_SUCH_PICTURE = (101, 404, "图片不存在")
    NO_SUCH_WITHDRAWAL = (101, 404, "提现记录不存在")
    NO_SUCH_REVIEW = (101, 404, "待审核事项不存在或已处理")
    NO_SUCH_BAN = (101, 404, "禁用图片不存在或已解除")
    NO_SUCH_MONEY_CASE = (101, 404, "款项待办不存在")
    NO_SUCH_SAVED_SEARCH = (101, 404, "已保存的搜索不存在")
    RELEASE_MALFORMED = (101, 422, "商品发布失败,信息格式不正确")
    EDIT_MALFORMED = (101, 422, "商品修改失败,信息格式不正确")
    MALFORMED = (101, 422, "信息格式不正确")
    KEY_REUSED = (101, 422, "幂等键已用于其他请求")
    BAD_REQUEST = (101, 400, "请求格式不正确")
    UNSUPPORTED_TYPE = (101, 415, "不支持的内容类型")
    NO_SUCH_URL = (101, 404, "请求的地址不存在")
    FORBIDDEN = (101, 403, "无权进行此操作")
    TOKEN_EXPIRED = (101, 401, "登录已过期")
    TOKEN_INVALID = (101, 401, "登录凭证无效")
    TOKEN_REVOKED = (101, 401, "登录凭证已失效")

    def __init__(self, status: int, http: int, msg: str) -> None:
        self.status = status
        self.http = http
        self.msg = msg

    @property
    def is_refusal(self) -> bool:
        """Whether the request ended without its effect.

        A list without a single row, or a figure without enough behind it, is none, although its number is 100: it was
        read, and `data` is what was read.
        """
        return self.http >= HTTPStatus.BAD_REQUEST


class Refused(Exception):  # noqa: N818 - it says what happened, as `raise Refused(Answer.NO_SUCH_GOOD)` reads
    """A request that ends without its effect. Services raise it; `app.web.errors` alone turns it into a response.

    `data` is what the envelope carries beside the answer's name, of the shape that `app.refusals` says; `retry_after`
    is seconds for the header of that name.
    """

    def __init__(
        self, answer: Answer, *, data: Mapping[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        self.answer = answer
        self.data = data
        self.retry_after = retry_after
        super().__init__(answer.msg)


class FieldErrors(TypedDict):
    """What is wrong, by field."""

    errors: dict[str, Annotated[list[str], Field(min_length=1)]]


def field_errors(**reasons: str | Sequence[str]) -> FieldErrors:
    """The `data` of an envelope that names wrong fields: `{"errors": {"field": ["reason"]}}`."""
    return {"errors": {name: [reason] if isinstance(reason, str) else list(reason) for name, reason in reasons.items()}}
