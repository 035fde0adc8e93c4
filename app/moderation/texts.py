"""Chinese texts of the kinds of rules, for owners, users who report, and staff."""

from collections.abc import Mapping
from typing import Final

from app.goods.models import CaseKind
from app.moderation.text.context import TextKind
from app.moderation.verdicts import Category

CATEGORY_TEXT: Final[Mapping[Category, str]] = {
    Category.CONTRABAND: "违禁品",
    Category.WEAPONS: "武器及管制器具",
    Category.GAMBLING: "涉嫌赌博",
    Category.PORNOGRAPHY: "色情低俗",
    Category.FRAUD: "涉嫌诈骗",
    Category.COUNTERFEIT: "涉嫌售假",
    Category.DOCUMENTS: "证件、账号类禁售品",
    Category.ANIMALS: "野生动物及其制品",
    Category.MEDICINE: "药品及医疗器械",
    Category.TOBACCO: "烟草及电子烟",
    Category.SURVEILLANCE: "窃听窃照器材",
    Category.CREDIT: "信贷、发票类禁售服务",
    Category.CONTACT: "含联系方式或站外引流",
    Category.ABUSE: "辱骂攻击",
    Category.PRICE: "价格异常",
    Category.DUPLICATE: "重复发布或盗用他人内容",
    Category.QUALITY: "图片或描述不合规",
    Category.PERSONAL_DATA: "含个人隐私信息",
}

CASE_KIND_TEXT: Final[Mapping[CaseKind, str]] = {
    CaseKind.RELEASE: "新发布",
    CaseKind.EDIT: "修改",
    CaseKind.APPEAL: "申诉",
    CaseKind.TAKEDOWN_APPEAL: "下架申诉",
    CaseKind.RECHECK: "复查",
    CaseKind.REPORT: "举报",
}

TEXT_KIND_TEXT: Final[Mapping[TextKind, str]] = {
    TextKind.TITLE: "标题",
    TextKind.DESCRIPTION: "描述",
    TextKind.USERNAME: "用户名",
    TextKind.NICKNAME: "昵称",
    TextKind.BIO: "简介",
    TextKind.REVIEW: "评价",
    TextKind.MESSAGE: "聊天",
    TextKind.OFFER: "议价",
}
