"""Finds the flags of a listing (`ListingFlag`) in its words, by tables of patterns.

Texts are searched in their normal form (`app.language.normal_form.normalise`). A match does not count where the words
before or after it give it another meaning: 出租屋自用 is no rental, 无维修 no repair service, 送手机壳 no phone case.
Faults and accessories are not looked for in the titles of people who rent out, buy or repair such things. Many sellers
write their whole text into the title, so only what begins in its first 60 characters counts as the title. The rest, and
the description, is full of keywords that sellers add for the site's search: there only words count that no seller adds,
and a rental needs two of them.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from app.language.analysis import is_han
from app.language.normal_form import normalise
from app.listings.models import ListingFlag
from app.listings.words import BRANDS

_LONGEST: Final = 2000
"""Characters of a text that are looked at."""

_HEADLINE: Final = 60
"""Characters of a title in which a match must begin."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """Words that mean a flag, unless a pattern matches directly before or after them."""

    words: re.Pattern[str]
    unless_before: re.Pattern[str] | None = None
    unless_after: re.Pattern[str] | None = None

    def places_in(self, text: str, end: int = _LONGEST) -> Iterable[re.Match[str]]:
        """The matches that count and begin before `end`."""
        for found in self.words.finditer(text):
            if found.start() >= end:
                return
            if self.unless_before is not None and self.unless_before.search(text, 0, found.start()):
                continue
            if self.unless_after is not None and self.unless_after.match(text, found.end()):
                continue
            yield found

    def is_in(self, text: str, end: int = _LONGEST) -> bool:
        """Whether it counts anywhere before `end`."""
        return self.words.search(text) is not None and next(iter(self.places_in(text, end)), None) is not None

    def first_in(self, text: str, end: int) -> int | None:
        """Where the first match begins, if it counts and is before `end`. Later ones do not count without the first."""
        first, counting = self.words.search(text), next(iter(self.places_in(text, end)), None)
        return counting.start() if counting and first and counting.start() == first.start() else None


def _sign(words: str, *, before: str = "", after: str = "") -> _Sign:
    return _Sign(
        re.compile(words),
        re.compile(rf"(?:{before})\s?\Z") if before else None,
        re.compile(rf"\s?(?:{after})") if after else None,
    )


_NOT: Final = "不|不是|非|没|没有|无|未|从未|从没|勿|谢绝|拒绝|任何"
_COUNTED: Final = "[台部个张件双套把辆支块条本]"

_TITLE_SIGNS: Final[dict[ListingFlag, tuple[_Sign, ...]]] = {
    ListingFlag.RENTAL: (
        _sign("出租", before=_NOT, after="屋|车|房(?:用|里|内|闲|自用|专用|搬|到期|神器)"),
        _sign("租赁", before=f"{_NOT}|融资"),
        _sign(
            "[日周月年短长整合]租|起租|续租|可租|租借|租期|租金",
            before=_NOT,
            after="公寓|屋|房(?!源)|卡|套餐|室友|勿",
        ),
        _sign("免押", before=_NOT),
        _sign(
            rf"租(?:机|一?{_COUNTED}|相机|手机|单反|微单|无人机|电脑|平板|\s?[a-z])",
            before=f"{_NOT}|退|房|合|月|年",
        ),
        _sign(r"\d元?\s?(?:/|每|一)\s?天|(?:一|每)天\s?\d{2,}", after="片|次|粒|公里|小时|步|个小时|分钟"),
        _sign("按天[ ,、/]?按[周月]|按天租|租 ?一[天周月]", before=f"{_NOT}|退|房"),
    ),
    ListingFlag.AUCTION: (
        _sign("拍卖|竞拍|起拍|竞价", before=f"{_NOT}|法", after="会|行|图录|得|所得|买|价|成交|入手|勿"),
    ),
    ListingFlag.WANTED: (
        _sign("求购|求租", after="者|的?勿"),
        _sign("收购", before=f"{_NOT}|被", after="商|站|价|勿|的"),
        _sign("求收", after="留|养|下|走|藏"),
        _sign(
            "(?:高价|长期|常年|大量|现金|诚心?|诚信|专业|专|全国|同城|上门|有偿|急|想|预算[^ ,;]{1,8})回?收",
            before="求|勿",
            after="纳|音|藏|到|银|割|费|款|拾|勿|商|的勿|起来",
        ),
        _sign(
            r"回收\s?(?=[a-z]|各|二手|旧|闲置|废|苹果|华为|小米|手机|相机|电脑|平板|笔记本|显卡|镜头|家电|黄金|名表|包包)",
            before=f"{_NOT}|支持|接受?|可|平台|官方|以旧换新|置换",
        ),
        _sign(r"(?:^|[\[【(])回收", after="站|商|价|箱|勿|桶"),
        _sign(r"(?:^|[\[【(])收(?![纳音藏到银割费据货缩腰腹口身起边拾线发款心尾束获件官工支]|钱码|款)"),
        _sign(rf"(?:^|[\[【(])求(?=\s?(?:一?{_COUNTED}|出(?!手)|二手|全新|闲置|自用|[a-z0-9]))"),
        _sign(rf"求一{_COUNTED}"),
        _sign("跪求|蹲(?:蹲|一|个|台|[ a-z])", after="推荐|解答"),
        _sign(rf"想[买收]一?{_COUNTED}", before="[你您家]"),
    ),
    ListingFlag.SERVICE: (
        _sign(
            "维修",
            before=f"{_NOT}|免|有|有过|经过|官方|曾|拆|送|需要?|待|自行|可",
            after=r"过|记录|史|[一二两]次|了|工具|台|手册|书|电源|垫|包|痕迹|险|卡|佬|师傅|员|费|好|完|后|正常|[:：]?无|没|机|用",
        ),
        _sign(
            "代购",
            before=f"{_NOT}|找|请|托|让|从|朋友|同事|家人|姐姐|同学|专柜",
            after="购入|买|回|带|入|的|价|来|拿|给|处|那|正品|小票",
        ),
        _sign(
            "代[拍抢买练打充订写办刷领肝抽找]|代下单",
            before=f"{_NOT}|朋友|同事|家人|时|年|[0-9一二三四五]|现|古|当|后",
        ),
        _sign(
            "解锁",
            before=f"{_NOT}|已|已经|可|能|完美|无需|官方|指纹|面部|人脸|屏下|面容|免|支持|密码|bl|一键|声波",
            after="版|了|过|正常|灵敏|快|秒|速度|完美|机|状态|新|更多|全部",
        ),
        _sign("刷机|救砖|刷系统|刷面具|黑解|解id", before=f"{_NOT}|已|可|能|支持|随便|可以", after="过|了|玩|包"),
        _sign(
            "(?:数据|记录|照片|硬盘)恢复|重装系统|系统重装|(?:代|远程|上门) ?装系统"
            "|远程(?:服务|指导|协助|安装|破解|调试)"
        ),
        _sign("上门(?:维修|服务|安装|清洗|贴膜|更换|换|拆装)", before=f"{_NOT}|包|可|送|免费|支持|官方|可以|提供"),
        _sign(
            "(?:空调|洗衣机|油烟机|热水器|相机|镜头|cmos|地毯|沙发|家电)的?(?:清洗|清洁|清理|移机|加氟|拆装)",
            after="剂|器|机|套装|笔|工具|块|布|液|带|泡沫|过|了",
        ),
        _sign(
            "(?:换(?:外屏|内屏|屏幕?|电池|后盖|尾插)|清灰|贴膜|改装|镀膜|组装).{0,8}(?:上门|服务|到店|现场|寄修|快修|当天|立等)"
        ),
        _sign("陪玩|跑腿|寄修|快修|上分", before=_NOT),
    ),
}
"""By flag, what is looked for in titles; a title may have several flags."""

_BROKEN: Final = (
    _sign("尸体|故障机|配件机|零件机|料机|残机|报废|拆件|[当做作]配件|[当做作]零件", before=_NOT, after="险"),
    _sign("(?:不|无法|不能)开机|开不了机|不通电|不上电", before="不会|无|没有|从不|不存在"),
    _sign(
        "碎屏|屏碎|屏坏|坏屏|花屏|黑屏|漏液|屏幕?[^ ,。;无没不]{0,2}[碎裂坏](?![^ ,]{0,2}险)|[触摸]{2}失灵|触屏失灵"
        "|(?:主板|快门|云台|硬盘|排线|尾插|电机)[已都有]?坏|进水|炸机",
        before=f"{_NOT}|防|怕|零|不会|不存在|(?:无|没|未)[^ ,。;]{{1,6}}[、/]",
        after="险|阀|管|口|软管|龙头|过|没|无|宝|保",
    ),
    _sign("id锁|隐藏id|[有带]id|激活锁", before=f"{_NOT}|绝无|不带"),
)

_GIVEN: Final = re.compile(
    "送(?![货礼女男人给老父爸妈一]|朋友|长辈|运费|到家|上门)|赠|附(?!近)|自带|标配|全套|另有|还有|有(?:发?票|小票|盒|包装|说明书)|含(?!税)"
    "|(?<![表肩背腕磁卡胶携皮鞋宽领绑丝像织地安])带(?![去走子回框灯笔])|(?<![适匹搭])配(?![件置色对合比饰方送])"
)
"""Words behind which a title names what comes with the thing."""

_STATED_BEFORE: Final = (
    f"{_NOT}|有|缺|少|丢|戴|贴|贴了|贴着|换|换过|换了|新换|更换|刚换|(?:换|新|做)的|新|官换|修过|仅剩|用"
    "|[0-9一两二三四五六七八九十双几][个块条张副只根套把片盒支]?原装|[0-9一两二三四五六七八九十几][个块条张副只根套把片盒支]|[双三大]"
    "|.[+&、和及与]|也|连|红蓝|同色|外接|(?:笔|接收器)[ ,、]"
)
"""Words before the name of an accessory that is not what is sold, but a part of it or comes with it: 换过电池, 双手柄,
…+充电器."""

_LISTED: Final = (
    "[头线盒壳膜包袋]|盒子|包装盒?|原盒|说明书|发票|数据线|充电[头器线]|电源线?|适配器|配件|遥控器?|底座|支架|耳机|卡针|表带|肩带|背带"
    "|遮光罩|镜头盖|前后盖|滤芯|吸头|手柄|电池|收纳包|保护套|皮套|琴包|踏板|尘袋|滤网|边刷|滚刷|内存卡|存储卡|电源|线材|充电座|挂架|键盘|话筒|鼠标|琴凳|桨叶"
)
_STATED_AFTER: Final = (
    rf"(?:[ 、,/+和及]{{0,2}}(?:{_LISTED})){{0,5}}"
    "(?:[ ,]?(?:[都均也全]|全部|一应|还)?"
    "(?:齐全|俱全|齐|在(?!售)|有(?!货)|完好|正常|没|是|可|稳|送(?=[ ,]|$)|(?<!全)新(?=[ ,]|$)|更换过|已更换|动过|修过"
    "|无[修拆划磕痕]|原封|丢了|不在|给|一[起同并](?![出]售)|轻微|健康|效率|循环|续航|换过|已换|刚换|新换|官换|磕|划|掉漆"
    "|老化|耐用|寿命|很|还|不[送给带]|费|自理|处)"
    "|(?<! )(?:未拆|未用|原装|原厂|[一二三四五六七八九0-9]成新|鼓包|已|刚|被|有点|略|轻|坏|一套"
    "|[0-9一两二三四五六][个块条张副只根套把片支](?![装起]))"
    r"|[ ,]?(?:(?:[5-9]\d|100)\s?%?(?!\s?(?:[0-9vaw毫m新成]|片|只|条))|百分|最大))"
)
"""Words after the name of such an accessory: 电池健康89, 充电器 数据线都在."""

_SAID_OF_IT: Final = r"[*x×]\s?\d|(?<! )(?![全加套头线包盒仓盖架座适大真国高通装正配专硅皮片条])[\u4e00-\u9fff]"
"""Text that follows without a space where a title describes something that comes with the thing: 电池跑40公里."""

_COVERS: Final = _sign(
    "手机[壳套膜]|保护[壳套膜]|(?:磁吸|硅胶|透明|防摔|素皮|超薄|菲林|液态|镜面|卡通|情侣|水晶|电镀|碳纤维?)壳|皮套"
    "|(?<=[a-z0-9]) ?壳(?!牌)|钢化膜|水凝膜|防窥膜|屏幕膜|镜头膜|键盘膜|类纸膜",
    before=_STATED_BEFORE,
    after=_STATED_AFTER,
)
_ACCESSORIES: Final = _sign(
    # straps, power
    "表带|肩带|腕带|挂绳|(?:吉他|相机|贝斯) ?背带|充电[头器线]|数据线|电源线|适配器|座充|电池"
    # boxes and bags
    "|内胆|键盘膜|鼠标垫|密封圈|杯套|琴罩|机垫|竿包|快装板|包装[盒袋]|购物袋|礼品袋|手提袋|防尘袋|收纳包|相机包|摄影包|琴包"
    # for cameras, consoles, appliances, instruments
    "|镜头[盖环]|机身盖|前后盖|热靴盖|遮光罩|转接环|兔笼|uv镜|手柄|底座|卡带|游戏卡带?|光盘|joy-?con"
    "|滤芯|滤网|尘袋|尘盒|边刷|滚刷|刷头|吸头|风嘴|遥控器|挂架|支架|琴弦|变调夹|拨片|笔尖|笔套",
    before=_STATED_BEFORE,
    after=f"{_STATED_AFTER}|{_SAID_OF_IT}",
)
_LEFT_OVER: Final = _sign(
    # boxes without the thing, single earphones: sold to those who lost theirs
    "空盒|(?:仅|只有?|单|光|only) ?[出卖售剩]? ?(?:包装)?盒|盒子? ?only"
    "|only ?配件|配件 ?(?:only|专拍|链接|单出|出售)|^配件|[仅单散]配件"
    "|[单补] ?[左右]耳|[左右]耳 ?[单补]|充电[仓盒] ?[单补]"
    r"|(?<![左右])(?<!左耳 )(?<!右耳 )[左右]耳机?"
    r"(?= ?(?:[出转]? ?$|[5-9]\d新|[五六七八九]成新|全新|自用|原装|包邮|可小刀)(?!.*[左右]耳))",
    before=_STATED_BEFORE,
    after=_STATED_AFTER,
)
_PARTS: Final = _sign(
    "维修用|模型机|机模|主板|总成|排线|尾插|中框|后盖|后玻璃|玻璃盖板|拆机屏|拆机|[前后]置?摄像?头|听筒|卡托|小板|替换外壳",
    before=rf"{_STATED_BEFORE}|前|[abhz]\d{{3}}m?",
    after=rf"{_STATED_AFTER}|[碎裂坏]|原装无|[abhz]\d{{3}}",
)
"""These are accessories even where `_IS_THE_THING` matches: a 主板 is sold by its memory."""

_IS_THE_THING: Final = re.compile(
    r"(?<![\d.])\d{1,2}\s?\+\s?(?:\d{2,4}|1t)(?!\d)|(?<![\d.])(?:16|32|64|128|256|512)\s?gb?(?![a-z])|(?<![\da-z])[12]tb?(?![a-z])"
    r"|健康|效率|拆修|单机|裸机|整机|套机|机身(?![盖贴])|快门(?!线)|激活|全网通|双卡|功能正常|面容正常|gps|蜂窝|表壳|主机"
    "|箱说|光驱版|数字版|光驱|续航版|畅飞|无暗病|自用机|i[3579][ -]|触屏|钥匙|自动机械|机械表|石英表|保卡"
    "|(?:背|单肩|双肩|斜挎|托特|邮差|手提|链条|腋下|水桶|钱)包"
)
"""Words that nobody uses of an accessory."""

_HAN_WORDS: Final = re.compile("[\u4e00-\u9fff]{2,}")
_SAYS_LITTLE: Final = re.compile(
    f"{'|'.join(sorted((name for name in BRANDS if is_han(name)), key=len, reverse=True))}"
    "|原装|原厂|正品|官方|全新|二手|闲置|正版|国行|日版|港版|美版|高清|专用|手机|平板|电脑|笔记本|相机|[出转]"
)
_MOST_BEFORE: Final = 1
"""So many words of Chinese characters may stand before an accessory's name: most often what it is for. Where there are
more, they describe a thing that the accessory comes with: 剃须刀 刀头新换 充电底座."""

_IS_FOR_IT: Final = re.compile("适用|适配|兼容|通用")
_BEGINS_FOR_IT: Final = re.compile(r"[^\w]{0,3}(?:适用|适配|兼容)")
"""Words that nobody uses of the thing itself."""

_DESCRIPTION_SIGNS: Final[dict[ListingFlag, tuple[_Sign, int]]] = {
    ListingFlag.RENTAL: (
        _sign(r"日租|周租|月租|租金|押金|免押|起租|租期|续租|归还|按天|\d元?\s?/\s?天", before=_NOT, after="勿|卡"),
        2,
    ),
    ListingFlag.AUCTION: (_sign("起拍价|加价幅度|竞拍规则|价高者得", before=_NOT), 1),
    ListingFlag.BROKEN: (_sign("尸体机|故障机|[当做]配件[卖出机]|无法开机|开不了机|有id锁", before=_NOT), 1),
}
"""By flag, what is looked for in descriptions, and how many different words of it must be there."""

_TOLD_BY_THE_CRAWLER: Final = {
    flag.value: flag for flag in (ListingFlag.AUCTION, ListingFlag.ADVERTISEMENT, ListingFlag.OFFLINE, ListingFlag.SOLD)
}

_OTHER_DEALS: Final = frozenset({ListingFlag.RENTAL, ListingFlag.WANTED, ListingFlag.SERVICE})


def flags_of(title: str, description: str | None, crawl_flags: Collection[str]) -> frozenset[ListingFlag]:
    """The flags of a listing, by its words and by the crawler's flags, of which unknown ones are ignored.

    A pure function that accepts any text; only its first 2,000 characters are searched.
    """
    found = {_TOLD_BY_THE_CRAWLER[name] for name in crawl_flags if name in _TOLD_BY_THE_CRAWLER}
    headline = normalise(title[:_LONGEST])
    found |= _of_title(headline)
    found |= _of_description(headline[_HEADLINE:] if description is None else normalise(description[:_LONGEST]))
    return frozenset(found if found.isdisjoint(_OTHER_DEALS) else found - {ListingFlag.BROKEN, ListingFlag.ACCESSORY})


def _of_title(text: str) -> set[ListingFlag]:
    found = {flag for flag, signs in _TITLE_SIGNS.items() if any(sign.is_in(text, _HEADLINE) for sign in signs)}
    if any(sign.is_in(text, _HEADLINE) for sign in _BROKEN):
        found.add(ListingFlag.BROKEN)
    elif _is_accessory(text):
        found.add(ListingFlag.ACCESSORY)
    return found


def _is_accessory(text: str) -> bool:
    if _BEGINS_FOR_IT.match(text):
        return True
    is_for_it = _IS_FOR_IT.search(text, 0, _HEADLINE) is not None
    given = None if is_for_it else _GIVEN.search(text, 0, _HEADLINE)
    end = _HEADLINE if given is None else given.start()
    signs = (_PARTS,) if _IS_THE_THING.search(text) and not is_for_it else (_PARTS, _LEFT_OVER, _COVERS, _ACCESSORIES)
    places = (sign.first_in(text, end) for sign in signs)
    return any(place is not None and (is_for_it or not _is_described_before(text, place)) for place in places)


def _is_described_before(text: str, place: int) -> bool:
    """Whether there are more words before `place` than the name of what an accessory is for."""
    groups = (found.group() for found in _HAN_WORDS.finditer(text, 0, place) if found.end() < place)
    return sum(1 for group in groups if _SAYS_LITTLE.sub("", group)) > _MOST_BEFORE


def _of_description(text: str) -> set[ListingFlag]:
    return {
        flag
        for flag, (sign, least) in _DESCRIPTION_SIGNS.items()
        if len({place.group() for place in sign.places_in(text)}) >= least
    }
