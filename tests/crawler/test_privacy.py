"""Which texts are hidden as contacts, and which must stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xianyu.privacy import HIDDEN, hide_contacts


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("电话13800138000", f"电话{HIDDEN}"),
        ("138 0013 8000 联系", f"{HIDDEN} 联系"),
        ("138-0013-8000", HIDDEN),
        ("138.0013.8000", HIDDEN),
        ("138——0013——8000", HIDDEN),
        ("1380013 8000", HIDDEN),
        ("138 00 13 80 00", HIDDEN),
        ("138\u200b0013\u200b8000", HIDDEN),
        ("138\n0013\n8000", HIDDEN),
        ("1 3 8 0 0 1 3 8 0 0 0", HIDDEN),
        ("１３８００１３８０００", HIDDEN),
        ("①③⑧⓪⓪①③⑧⓪⓪⓪", HIDDEN),
        ("❶❸❽⓿⓿❶❸❽⓿⓿⓿", HIDDEN),
        ("𝟏𝟑𝟖𝟎𝟎𝟏𝟑𝟖𝟎𝟎𝟎", HIDDEN),
        ("1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣", HIDDEN),
        ("一三八零零一三八零零零", HIDDEN),
        ("幺三八 〇〇一三 八〇〇〇", HIDDEN),
        ("一三八 0013 八零零零", HIDDEN),
        ("壹叁捌零零壹叁捌零零零", HIDDEN),
        ("+86 138-0013-8000", f"+{HIDDEN}"),
        ("8613800138000", HIDDEN),
        ("008613800138000", HIDDEN),
        ("tel13800138000,", f"tel{HIDDEN},"),
        ("13800138000一口价", f"{HIDDEN}一口价"),
        ("iPhone 13 128G 13800138000", f"iPhone 13 128G {HIDDEN}"),
        ("13800138000/15900159000", f"{HIDDEN}/{HIDDEN}"),
        ("微信：abc_123，电话 138 0013 8000", f"微信：{HIDDEN}，电话 {HIDDEN}"),
        ("微信:zhangsan", f"微信:{HIDDEN}"),
        ("微信号是zhangsan", f"微信号是{HIDDEN}"),
        ("加我微信abc12345", f"加我微信{HIDDEN}"),
        ("微信同号 13800138000", f"微信同号 {HIDDEN}"),
        ("vx:zhangsan", f"vx:{HIDDEN}"),
        ("VX abc12345", f"VX {HIDDEN}"),
        ("ＶＸ：ａｂｃ１２３４５", f"ＶＸ：{HIDDEN}"),
        ("WeChat: zhang-san", f"WeChat: {HIDDEN}"),
        ("V信 abc12345", f"V信 {HIDDEN}"),
        ("薇信 abc12345", f"薇信 {HIDDEN}"),
        ("加v abc12345", f"加v {HIDDEN}"),
        ("➕v：abc12345", f"➕v：{HIDDEN}"),
        ("v: abc12345", f"v: {HIDDEN}"),
        ("wx号 a_12345", f"wx号 {HIDDEN}"),
        ("wxid_1abcd234", f"wxid_{HIDDEN}"),
        ("qq：12345678", f"qq：{HIDDEN}"),
        ("QQ 12345", f"QQ {HIDDEN}"),
        ("QQ 123 456 789", f"QQ {HIDDEN}"),
        ("QQ群12345678", f"QQ群{HIDDEN}"),
        ("扣扣123456", f"扣扣{HIDDEN}"),
        ("🐧123456", f"🐧{HIDDEN}"),
        ("写信 12345＠qq.com", f"写信 {HIDDEN}"),
        ("写信 zhang.san+1@mail.example.com 或 12345＠qq.com", f"写信 {HIDDEN} 或 {HIDDEN}"),
    ],
)
def test_contacts_are_hidden_and_the_rest_stays(text: str, left: str) -> None:
    assert hide_contacts(text) == left
    assert hide_contacts(left) == left


@pytest.mark.parametrize(
    "text",
    [
        "iPhone 13800",
        "iPhone 13 128 256 512 均有",
        "iPhone 13 14 15 16 17 18 膜",
        "RTX 4090 索尼 A7M3 佳能 5D4",
        "EAN 6901234567892",
        "UPC 138001380001",
        "订单 138001380001234567",
        "12800138000",
        "身高 140 150 160 170 180",
        "尺寸 150*200*30000",
        "1999 2999 3999 任选",
        "价格 1500-1600,17000",
        "支持微信支付,RTX4090 24G",
        "不加微信,iPhone13ProMax",
        "不加微信 iPhone13ProMax",
        "微信小程序游戏机 2023款",
        "加微波炉 R-12345abc",
        "松下 DVX100B 摄像机",
        "WX120 钻头",
        "电压 +V 12.5",
        "奇瑞QQ 30000公里 2018款",
        "奇瑞QQ 30000元",
        "QQ三国 25级",
        "企鹅 123 摆件",
        "一二三四五六七八九十",
        "用户@名字",
        "😀👨‍👩‍👧 <b>&amp;</b> \\ \x00",
    ],
)
def test_what_is_no_contact_stays(text: str) -> None:
    assert hide_contacts(text) == text


_FORMS = ("0123456789", "０１２３４５６７８９", "⓪①②③④⑤⑥⑦⑧⑨", "零一二三四五六七八九")


@given(
    number=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    form=st.sampled_from(_FORMS),
    gap=st.sampled_from(["", " ", "-", " - ", "．", "　", "·", "\u200b"]),
    before=st.sampled_from(["", "电话", "tel:", "128G,", "😀", "v", "¥99，"]),
    after=st.sampled_from(["", "。", "联系我", "/", "\n", "abc", "，99元"]),
)
def test_every_mobile_number_is_hidden(number: str, form: str, gap: str, before: str, after: str) -> None:
    written = number.translate(str.maketrans(_FORMS[0], form))
    grouped = gap.join((written[:3], written[3:7], written[7:]))

    assert hide_contacts(before + grouped + after) == before + HIDDEN + after


@given(
    st.text(
        alphabet=st.characters(
            exclude_categories=("Nd", "No", "Nl"),
            exclude_characters="零〇一壹幺二贰两三叁四肆五伍六陆七柒八捌九玖@＠:：号是为_",
        )
    )
)
def test_texts_without_digits_and_signs_stay(text: str) -> None:
    assert hide_contacts(text) == text


@given(st.text(alphabet=st.sampled_from("13８①一 -.@＠微信vxVXqQ:：号ab_é\n+加"), max_size=60))
def test_hiding_twice_hides_no_more(text: str) -> None:
    once = hide_contacts(text)

    assert hide_contacts(once) == once
