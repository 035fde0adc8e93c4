"""What Alipay's error codes mean for us, as a table: one row for each documented code, with its source.

A verdict (`Verdict`) says what follows from a code. Only what Alipay documents as the payee's own fault is final; a
code that is not in the tables decides nothing. The texts are Alipay's, shortened; read on 2026-11-29.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .base import Verdict

_FINAL, _RETRY, _ASK, _PERSON, _STOP = Verdict.FINAL, Verdict.RETRY, Verdict.ASK, Verdict.PERSON, Verdict.STOP

SOURCES: Final[Mapping[str, str]] = {
    "common": "https://opendocs.alipay.com/common/02km9f (公共错误码)",
    "alipay.fund.trans.uni.transfer": "https://opendocs.alipay.com/open/62987723_alipay.fund.trans.uni.transfer",
    "alipay.fund.trans.common.query": "https://opendocs.alipay.com/open/58a29899_alipay.fund.trans.common.query",
    "alipay.trade.refund": "https://opendocs.alipay.com/open/f60979b3_alipay.trade.refund",
    "alipay.trade.fastpay.refund.query": "https://opendocs.alipay.com/open/8c776df6_alipay.trade.fastpay.refund.query",
    "alipay.trade.close": "https://opendocs.alipay.com/open/8dc9ebb3_alipay.trade.close",
    "alipay.trade.query": "https://opendocs.alipay.com/open/82ea786a_alipay.trade.query",
    "alipay.data.dataservice.bill.downloadurl.query": (
        "https://opendocs.alipay.com/open/3c9f1bcf_alipay.data.dataservice.bill.downloadurl.query"
    ),
}
"""The page of Alipay's documentation that each table was taken from."""

# code: (verdict, what Alipay says). They stand for what went wrong before the business was reached.
_COMMON: Final[Mapping[str, tuple[Verdict, str]]] = {
    "20000": (_ASK, "服务不可用: 稍后重试; 业务处理结果是未知的"),
    "20001": (_PERSON, "授权权限不足: 重新授权"),
    "40001": (_PERSON, "缺少必选参数"),
    "40002": (_PERSON, "非法的参数: 验签出错, 无效的AppID, 证书过期等"),
    "40003": (_PERSON, "条件异常: 用户或商户状态异常"),
    "40005": (_RETRY, "调用频次超限: 降低调用频率后重试"),
    "40006": (_PERSON, "权限不足: 检查产品签约和应用状态"),
}

# Codes that every method of trades or transfers may answer.
_SYSTEM: Final[Mapping[str, tuple[Verdict, str]]] = {
    "SYSTEM_ERROR": (_ASK, "系统繁忙: 无法判定结果, 用相同的 out_biz_no 重发或查询"),
    "ACQ.SYSTEM_ERROR": (_ASK, "系统错误: 可能成功也可能失败, 使用相同的参数再次调用或查询"),
    "AQC.SYSTEM_ERROR": (_ASK, "系统错误: 使用相同的参数再次调用"),
    "aop.ACQ.SYSTEM_ERROR": (_ASK, "系统异常: 业务处理结果是未知的"),
    "aop.SYSTEM_ERROR": (_ASK, "系统异常: 业务处理结果是未知的"),
}

_TRANSFER: Final[Mapping[str, tuple[Verdict, str]]] = {
    # The payee's own: he has to give another account or name, or to see to his account.
    "PAYEE_NOT_EXIST": (_FINAL, "收款方不存在或姓名有误: 核对收款方账号和姓名"),
    "PAYEE_ACCOUNT_NOT_EXSIT": (_FINAL, "收款账号不存在"),
    "PAYEE_ACCOUNT_STATUS_ERROR": (_FINAL, "收款方账号异常: 换收款方账号再重试"),
    "PAYEE_USERINFO_STATUS_ERROR": (_FINAL, "收款方用户状态不正常, 无法用于收款"),
    "PAYEE_USER_INFO_ERROR": (_FINAL, "支付宝账号和姓名不匹配"),
    "PAYEE_ACC_OCUPIED": (_FINAL, "收款方登录号有多个支付宝账号, 无法确认唯一收款账号"),
    "PAYEE_CERT_INFO_ERROR": (_FINAL, "收款方证件类型或证件号不一致"),
    "PAYEE_NOT_RELNAME_CERTIFY": (_FINAL, "收款方未实名认证"),
    "PAYEE_USER_TYPE_ERROR": (_FINAL, "不支持的收款用户类型: 更换支付宝账户后收款"),
    "PAYEE_TRUSTEESHIP_ACC_OVER_LIMIT": (_FINAL, "收款方托管子户累计收款金额超限"),
    "TRUSTEESHIP_RECIEVE_QUOTA_LIMIT": (_FINAL, "收款方收款额度超限, 请绑定支付宝账户"),
    "NO_ACCOUNT_RECEIVE_PERMISSION": (_FINAL, "没有该账户的收款权限: 更改收款账号"),
    "NO_ACCOUNT_USER_FORBBIDEN_RECIEVE": (_FINAL, "没有余额账户的用户禁止收款"),
    "BLOCK_USER_FORBBIDEN_RECIEVE": (_FINAL, "收款账户异常被冻结, 无法收款"),
    "RELEASE_USER_FORBBIDEN_RECIEVE": (_FINAL, "收款账号存在异常, 禁止收款: 更换支付宝账号后收款"),
    "CHECK_RECEIVER_CERT_NOT_ALLOW": (_FINAL, "收款方证件不符合要求"),
    "PERMIT_NON_BANK_LIMIT_PAYEE": (_FINAL, "收款方未完善身份信息或未开立余额账户, 无法收款"),
    "PERMIT_LIMIT_PAYEE": (_FINAL, "收款方账户被限制收款: 请收款方联系客服"),
    "PERMIT_CHECK_RECEIVE_LIMIT": (_FINAL, "账户限制收款"),
    "PERMIT_CHECK_PERM_AML_CERT_EXPIRED": (_FINAL, "收款人登记的身份证件已过期导致收款受限"),
    "PERM_AML_NOT_REALNAME_REV": (_FINAL, "需要收款用户补充身份信息才能继续操作"),
    "EXCEED_LIMIT_UNRN_DM_AMOUNT": (_FINAL, "收款账户未实名, 超出其单日收款限额"),
    "EXCEED_LIMIT_DC_RECEIVED": (_FINAL, "收款方单日收款笔数超限: 第二天再收"),
    "IDENTITY_FUND_RELATION_NOT_FOUND": (_FINAL, "收款方尚未绑定或已解绑支付宝账号"),
    "PAYER_PAYEE_CANNOT_SAME": (_FINAL, "收付款方不能是同一个人: 修改收款方信息"),
    # It passes by itself: the same request again, with the same number.
    "PAYER_BALANCE_NOT_ENOUGH": (_RETRY, "付款方余额不足: 充值后再原请求重试"),
    "BALANCE_IS_NOT_ENOUGH": (_RETRY, "付款方余额不足: 充值后再重试"),
    "PAYMENT_MONEY_NOT_ENOUGH": (_RETRY, "可用金额为0或不足"),
    "EXCEED_LIMIT_DM_AMOUNT": (_RETRY, "日累计额度超限: 检查本日请求总金额"),
    "EXCEED_LIMIT_DM_MAX_AMOUNT": (_RETRY, "超出单日转账限额"),
    "PERM_PAY_CUSTOMER_DAILY_QUOTA_ORG_BALANCE_LIMIT": (_RETRY, "同一主体下今日余额付款额度已上限"),
    "PERM_PAY_USER_DAILY_QUOTA_ORG_BALANCE_LIMIT": (_RETRY, "该账户今日余额付款额度已达上限"),
    # Whether the transfer will be made is open.
    "REQUEST_PROCESSING": (_ASK, "系统处理中, 请稍后再试"),
    "RESOURCE_LIMIT_EXCEED": (_ASK, "请求超过资源限制: 降低请求并发"),
    "PAYMENT_FAIL": (_ASK, "支付失败"),
    "PROCESS_FAIL": (_ASK, "资金操作失败: 需要支付宝技术介入排查"),
    "MRCHPROD_QUERY_ERROR": (_ASK, "系统异常: 联系支付宝工程师处理"),
    # Of the payer, which is us, and of our request or contract: somebody has to see to it.
    "INST_PAY_UNABLE": (_PERSON, "资金流出能力不具备: 可能由于银行渠道在维护, 与支付宝客服确认"),
    "PAYER_STATUS_ERROR": (_PERSON, "付款账号状态异常: 检查付款方是否进行了自助挂失"),
    "PAYER_NOT_EXIST": (_PERSON, "付款方不存在"),
    "PAYER_USERINFO_NOT_EXSIT": (_PERSON, "付款方不存在: 检查付款方是否已销户"),
    "PAYER_USER_INFO_ERROR": (_PERSON, "付款用户姓名或其它信息不一致"),
    "PAYER_CERTIFY_CHECK_FAIL": (_PERSON, "付款方人行认证受限: 升级认证等级"),
    "PAYER_PERMLIMIT_CHECK_FAILURE": (_PERSON, "付款方限权校验不通过不允许支付"),
    "PAYER_REQUESTER_RELATION_INVALID": (_PERSON, "付款方和请求方用户不一致"),
    "PAYER_NOT_EQUAL_PAYEE_ERROR": (_PERSON, "托管场景提现收付款方账号不一致"),
    "INVALID_PAYER_ACCOUNT": (_PERSON, "付款方不在设置的付款账户列表中"),
    "NOT_SUPPORT_PAYER_ACCOUNT_TYPE": (_PERSON, "不支持当前付款方类型"),
    "NO_ACCOUNT_PAYMENT_PERMISSION": (_PERSON, "没有该账户的支付权限"),
    "NO_ACCOUNTBOOK_PERMISSION": (_PERSON, "没有该记账本的使用权限"),
    "NO_PERMISSION_ACCOUNT": (_PERSON, "无权限操作当前付款账号"),
    "NO_AVAILABLE_PAYMENT_TOOLS": (_PERSON, "您当前无法支付"),
    "NO_ORDER_PERMISSION": (_PERSON, "original_order_id 错误, 不具有操作权限"),
    "MONEY_PAY_CLOSED": (_PERSON, "付款账号余额关闭"),
    "PAYCARD_UNABLE_PAYMENT": (_PERSON, "付款账户余额支付功能不可用"),
    "BLOCK_USER_FORBBIDEN_SEND": (_PERSON, "该账户被冻结, 暂不可将资金转出"),
    "USER_RISK_FREEZE": (_PERSON, "账户异常被冻结, 无法付款"),
    "PERMIT_PAYER_FORBIDDEN": (_PERSON, "付款方余额支付额度受限"),
    "PERMIT_CHECK_PERM_LIMITED": (_PERSON, "请补全您的身份信息解除限制"),
    "PERMIT_CHECK_PERM_IDENTITY_THEFT": (_PERSON, "您的账户存在身份冒用风险, 请进行身份核实解除限制"),
    "PERM_PAY_CUSTOMER_MONTH_QUOTA_ORG_BALANCE_LIMIT": (_PERSON, "同一主体下当月余额付款额度已上限"),
    "PERM_PAY_USER_MONTH_QUOTA_ORG_BALANCE_LIMIT": (_PERSON, "该账户当月余额付款额度已达上限"),
    "EXCEED_LIMIT_MM_AMOUNT": (_PERSON, "月累计金额超限: 检查本月请求总金额"),
    "EXCEED_LIMIT_MM_MAX_AMOUNT": (_PERSON, "超出单月转账限额"),
    "EXCEED_LIMIT_SM_AMOUNT": (_PERSON, "单笔额度超限"),
    "EXCEED_LIMIT_SM_MIN_AMOUNT": (_PERSON, "请求金额不能低于0.1元"),
    "EXCEED_LIMIT_PERSONAL_SM_AMOUNT": (_PERSON, "超出转账给个人支付宝账户的单笔限额"),
    "EXCEED_LIMIT_ENT_SM_AMOUNT": (_PERSON, "转账给企业用户超过单笔限额"),
    "SECURITY_CHECK_FAILED": (_PERSON, "安全检查失败, 当前操作存在风险"),
    "ILLEGAL_OPERATION": (_PERSON, "请求违反了约定的策略, 已被拦截"),
    "PRODUCT_NOT_SIGN": (_PERSON, "产品未签约"),
    "NOT_IN_WHITE_LIST": (_PERSON, "产品未准入"),
    "ISV_AUTH_ERROR": (_PERSON, "当前场景下不支持isv授权调用"),
    "AUTHOREE_IS_NOT_MATCH": (_PERSON, "授权失败"),
    "USER_AGREEMENT_VERIFY_FAIL": (_PERSON, "用户协议校验失败"),
    "TRANSFER_SCENE_NAME_ILLEGAL": (_PERSON, "转账场景名称不合法"),
    "TRUSTEESHIP_ACCOUNT_NOT_EXIST": (_PERSON, "托管子户查询不存在"),
    "OVERSEA_TRANSFER_CLOSE": (_PERSON, "您无法进行结汇业务"),
    "CURRENCY_NOT_SUPPORT": (_PERSON, "币种不支持"),
    "MEMO_REQUIRED_IN_TRANSFER_ERROR": (_PERSON, "单笔转账金额达到50000元时, 需要填写付款理由"),
    "REMARK_HAS_SENSITIVE_WORD": (_PERSON, "转账备注包含敏感词"),
    "INVALID_PARAMETER": (_PERSON, "参数有误"),
    "PARAM_ILLEGAL": (_PERSON, "参数异常"),
    **dict.fromkeys(
        (
            *("SIGN_INVALID", "SIGN_PARAM_INVALID", "SIGN_NOT_ALLOW_SKIP", "SIGN_AGREEMENT_NO_INCONSISTENT"),
            *("SIGN_INVOKE_PID_INCONSISTENT", "SIGN_QUERY_AGGREMENT_ERROR", "SIGN_QUERY_APP_INFO_ERROR"),
        ),
        (_PERSON, "sign_data 验签不通过"),
    ),
    "ORDER_NOT_EXIST": (_PERSON, "original_order_id 错误, 原单据不存在"),
    "ORDER_STATUS_INVALID": (_PERSON, "原单据状态异常, 不可操作"),
    # Sending the same again gives the same answer.
    "PAYMENT_INFO_INCONSISTENCY": (_STOP, "两次请求商户单号一样, 但是参数不一致"),
    "BIZ_UNIQUE_EXCEPTION": (_STOP, "商户订单号冲突"),
    "PAYMENT_TIME_EXPIRE": (_STOP, "请求已过期: 超过最长可支付时间, 需重新发起一笔"),
}

_REFUND: Final[Mapping[str, tuple[Verdict, str]]] = {
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": (_RETRY, "卖家余额不足: 充值后重新发起退款即可"),
    "ACQ.REFUND_CHARGE_ERROR": (_RETRY, "退收费异常: 过一段时间后再重试"),
    "ACQ.REASON_TRADE_BEEN_FREEZEN": (_PERSON, "请求退款的交易被冻结: 联系支付宝小二"),
    "ACQ.BUYER_ENABLE_STATUS_FORBID": (_PERSON, "买家状态异常: 联系支付宝小二, 或线下退款"),
    "ACQ.BUYER_ERROR": (_PERSON, "买家状态异常: 联系支付宝小二, 或线下退款"),
    "ACQ.CUSTOMER_VALIDATE_ERROR": (_PERSON, "账户已注销或者被冻结: 线下处理, 或联系支付宝小二"),
    "ACQ.ENTERPRISE_PAY_BIZ_ERROR": (_PERSON, "因公付业务异常: 联系支付宝小二"),
    "ACQ.INVALID_PARAMETER": (_PERSON, "参数无效: 检查请求参数, 修改后重新发起请求"),
    "ACQ.OVERDRAFT_AGREEMENT_NOT_MATCH": (_PERSON, "垫资退款接口传入模式和签约配置不一致"),
    "ACQ.OVERDRAFT_ASSIGN_ACCOUNT_INVALID": (_PERSON, "垫资退款出资账号和商户信息不一致"),
    "ACQ.REASON_TRADE_STATUS_INVALID": (_PERSON, "交易状态异常: 查询交易, 联系支付宝小二"),
    "ACQ.REFUNDALLOC_UNAUTH_LIMIT": (_PERSON, "分账接收方未开启分账回退"),
    "ACQ.REFUND_ACCOUNT_NOT_EXIST": (_PERSON, "退款出资账号不存在或账号异常: 账号正常后重试"),
    "ACQ.REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST": (_PERSON, "退分账收入方账户不存在"),
    "ACQ.TRADE_NOT_ALLOW_REFUND": (_PERSON, "当前交易不允许退款: 检查交易状态以及签约的退款属性"),
    "ACQ.TRADE_SETTLE_ERROR": (_PERSON, "交易结算异常: 联系支付宝小二"),
    "ACQ.USER_NOT_MATCH_ERR": (_PERSON, "交易用户不匹配: 联系支付宝小二"),
    "ACQ.ALLOC_AMOUNT_VALIDATE_ERROR": (_STOP, "退分账金额超限"),
    "ACQ.BUYER_NOT_EXIST": (_STOP, "买家已经注销账号: 线下退款"),
    "ACQ.CURRENCY_NOT_SUPPORT": (_STOP, "退款币种不支持"),
    "ACQ.DISCORDANT_REPEAT_REQUEST": (_STOP, "退款请求号对应的退款已经执行成功, 且金额不一致"),
    "ACQ.NOT_ALLOW_PARTIAL_REFUND": (_STOP, "不支持部分退款"),
    "ACQ.ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND": (_STOP, "交易不允许退款: 线下退款"),
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": (_STOP, "累计请求的退款金额不能大于交易总金额"),
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": (_STOP, "退款金额超限"),
    "ACQ.REFUND_FEE_ERROR": (_STOP, "交易退款金额有误"),
    "ACQ.TRADE_HAS_CLOSE": (_STOP, "该交易已关闭: 确认交易是否未支付或者已完成退款"),
    "ACQ.TRADE_HAS_FINISHED": (_STOP, "该交易已超过退款期限, 即使重试也无法成功: 线下退款"),
    "ACQ.TRADE_NOT_EXIST": (_STOP, "交易不存在: 检查交易号"),
    "ACQ.TRADE_STATUS_ERROR": (_STOP, "交易状态非法: 查询交易, 确认交易是否已经付款"),
}

_CLOSE: Final[Mapping[str, tuple[Verdict, str]]] = {
    "ACQ.TRADE_NOT_EXIST": (_FINAL, "交易不存在"),
    # The trade does not wait for its payer: what it is has to be asked.
    "ACQ.TRADE_STATUS_ERROR": (_STOP, "交易状态不合法: 只有等待买家付款状态下才能发起交易关闭"),
    "ACQ.REASON_TRADE_STATUS_INVALID": (_STOP, "交易状态异常: 非待支付状态下不支持关单操作"),
    "ACQ.REASON_ILLEGAL_STATUS": (_STOP, "交易状态异常: 非待支付状态下不支持关单操作"),
    "ACQ.INVALID_PARAMETER": (_PERSON, "参数无效"),
}

_TRADE_QUERY: Final[Mapping[str, tuple[Verdict, str]]] = {
    "ACQ.TRADE_NOT_EXIST": (_FINAL, "查询的交易不存在"),
    "ACQ.INVALID_PARAMETER": (_PERSON, "参数无效"),
}

_REFUND_QUERY: Final[Mapping[str, tuple[Verdict, str]]] = {
    **_TRADE_QUERY,
    "TRADE_NOT_EXIST": (_FINAL, "查询退款的交易不存在"),
}

_TRANSFER_QUERY: Final[Mapping[str, tuple[Verdict, str]]] = {
    # Of a number that was just sent, this may change: it is `app.wallet.service` that waits.
    "ORDER_NOT_EXIST": (_FINAL, "转账订单不存在"),
    "ILLEGAL_ACCESS": (_PERSON, "无权限使用接口"),
    "NO_PERMISSION": (_PERSON, "无权限操作"),
    "INVALID_PARAMETER": (_PERSON, "参数有误"),
}

_BILL: Final[Mapping[str, tuple[Verdict, str]]] = {
    "BILL_NOT_EXIST": (_FINAL, "账单不存在: 当日账单一般于次日9点前生成, 特殊情况可能延迟"),
    "isp.bill_not_exist": (_FINAL, "入参 bill_date 账单不存在"),
    "INVAILID_ARGUMENTS": (_PERSON, "入参不合法"),
    "UNKNOW_ERROR": (_RETRY, "未知错误: 稍后再试"),
}

_METHODS: Final[Mapping[str, tuple[Mapping[str, tuple[Verdict, str]], Verdict]]] = {
    # The second value is the verdict on a code that is documented nowhere.
    "alipay.fund.trans.uni.transfer": (_TRANSFER, _ASK),
    "alipay.fund.trans.common.query": (_TRANSFER_QUERY, _PERSON),
    "alipay.trade.refund": (_REFUND, _ASK),
    "alipay.trade.fastpay.refund.query": (_REFUND_QUERY, _PERSON),
    "alipay.trade.close": (_CLOSE, _PERSON),
    "alipay.trade.query": (_TRADE_QUERY, _PERSON),
    "alipay.data.dataservice.bill.downloadurl.query": (_BILL, _PERSON),
}

CODES: Final[Mapping[str, Mapping[str, tuple[Verdict, str]]]] = MappingProxyType(
    {"common": _COMMON, **{method: {**_SYSTEM, **table} for method, (table, _) in _METHODS.items()}}
)
"""Every documented code by the method that answers it (`common`: all), with the verdict and what Alipay says."""


def verdict_on(method: str, code: str, sub_code: str) -> Verdict:
    """What follows from an answer that is no success: by its `sub_code`, or else by its `code`."""
    known = CODES.get(method, _SYSTEM).get(sub_code) or _COMMON.get(code)
    if known is not None:
        return known[0]
    return _METHODS[method][1] if method in _METHODS else _PERSON
