"""Tables of words: what each means in the title of a second-hand listing, as far as the price is concerned.

All are written as `app.language.normal_form.normalise` gives them: simplified characters, small letters.
"""

from types import MappingProxyType
from typing import Final

from app.language.lexicon import WordClass, WordGroup, built_in_lexicon


def is_one_model(group: WordGroup) -> bool:
    """Whether the group of `models.txt` is one model (air force 1), and no series of which a number makes a model."""
    return any(map(str.isdigit, group.name))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SALES_TALK: Final = (
    # how it is sold
    _words("""
    出售 出手 转让 转卖 急出 低价 便宜 亏本 白菜价 包邮 顺丰 到付 自提 同城 面交 当面 议价 可议 不议价 可小刀
    小刀 可刀 不刀 不讲价 一口价 秒发 现货 秒杀 捡漏 清仓 特价 优惠 热卖 爆款 支持验货 验货 支持 诚心 非诚勿扰
    勿扰 先到先得 价格 预算 私聊 咨询 联系 可换 置换 不换 不退 不退换 送货 包送 欢迎 有意 喜欢 直接拍 直接 慎拍
    刚需 回血 清库存 搬家 毕业 换新 升级 断舍离 吃灰 用不上 用不到
    """)
    # its condition
    | _words("""
    闲置 二手 自用 个人 全新 几乎全新 近全新 准新 准全新 九成新 九五新 九九新 八成新 七成新 成色 成色新 靓机
    美品 极品 充新 大成色 未拆封 未拆 仅拆封 拆封 未激活 激活 未使用 没用过 没怎么用 很少用 使用 用了 用过
    无磕碰 磕碰 无划痕 划痕 无磨损 磨损 轻微 明显 痕迹 无拆修 无拆无修 拆修 无维修 无暗病 无任何 无问题 没毛病
    没问题 功能 功能正常 功能完好 完好 完美 正常 正常使用 正品 保真 专柜 官方 官网 官换 原装 原厂 原封 行货 国行
    港版 美版 日版 韩版机 欧版 国际版 海外版 有锁 无锁 全网通 双卡 单卡 双卡双待 电池健康 健康 效率 续航
    保修 在保 过保 质保 联保 延保 票据 发票 有发票 小票 购于 京东 淘宝 天猫 拼多多 自营 购入 入手 原价 新款 老款
    经典款
    """)
    # what comes along
    | _words("""
    齐全 全套配件 配件齐全 箱说 箱说全 箱说齐全 盒说 有盒 无盒 带盒 原盒 全套 带票 赠送 附赠 附送
    送壳 送膜
    """)
    # colours
    | _words("""
    黑色 白色 红色 蓝色 绿色 粉色 紫色 黄色 灰色 银色 金色 橙色 棕色 米色 咖色 卡其色 深空灰 午夜色 星光色
    远峰蓝 石墨色 暗夜紫 原色 钛金属 曜石黑 雅川青 土豪金 玫瑰金 颜色
    """)
    # for whom, and fillers
    | _words("""
    学生 宿舍 公司 办公 家用 女生 男生 礼物 送礼 推荐 必备 入门 新手 备用 备用机 自己 朋友 本人 标准版 普通版
    基础款 标准款 大陆 智能 数码 好物 宝贝 商品 东西 真的 非常 特别 超级 已经 可以 没有 不是 就是 还有 一直 一起
    现在 需要 如图 看图 实拍
    """)
)
"""Words that do not say what is sold; left out wherever they stand."""

DESCRIPTIVE: Final = _words("""
    实木 简约 北欧 北欧风 现代 复古 法式 日系 韩版 韩系 港风 欧美 小众 设计感 气质 显瘦 修身 收腰 宽松 碎花 格子
    条纹 纯色 印花 纯棉 真丝 羊毛 加厚 加绒 薄款 轻薄 春秋 夏季 冬季 秋冬 春夏 夏天 冬天 通勤 休闲 百搭 时尚
    可爱 大容量 小型 大型 便携 折叠 可折叠 静音 多功能 全自动 自动 家庭 户外 专业 初学 初学者 成人
    桌面 无线 有线 蓝牙 高清 高端 顶配 高配 低配 满血 游戏 电竞 旗舰 套餐 套机 机身 单机身 单机 主机
""")
"""Words that tell kinds of the same thing apart; relaxation (`app.listings.relaxation`) leaves them out first."""

ONE_CHARACTER_NOUNS: Final = _words(
    "壳 膜 盒 套 包 镜 屏 床 灯 鞋 表 琴 书 伞 锅 碗 刀 笔 车 箱 柜 桌 椅 帽 裙 裤 酒 茶"
)
"""Nouns of one character. Any other single character is left out: it is a part of a word that was split wrongly."""

GENERIC_NOUNS: Final = _words("""
    手机 智能手机 电脑 平板 平板电脑 显卡 相机 系列 型号 第
""")
"""They may stand between a brand and its number without separating them: 小米手机 13 is 小米 13."""

QUALIFIERS: Final = _words("""
    pro max plus mini ultra se air lite ti super oled xt xtx fe neo turbo carbon yoga nano fold flip edge slim
    xl gt prime evo digital sport classic absolute fluffy detect
""")
"""Each makes another model of the one that it stands beside. Joined ones are split: promax is pro and max."""

HAN_QUALIFIERS: Final = MappingProxyType(
    {
        "青春版": "青春版",
        "活力版": "青春版",
        "至尊版": "至尊版",
        "至尊纪念版": "至尊版",
        "探索版": "探索版",
        "尊享版": "尊享版",
        "典藏版": "典藏版",
        "竞速版": "竞速版",
        "极速版": "极速版",
        "数字版": "digital",
        "光驱版": "光驱版",
        "套机": "套机",
        "畅飞": "畅飞",
        "折叠屏": "fold",
        "超大杯": "ultra",
        "儿童": "儿童",
        "整机": "整机",
        "台式机": "整机",
        "台式电脑": "整机",
        "电脑主机": "整机",
        "游戏本": "笔记本",
        "笔记本": "笔记本",
        "手提电脑": "笔记本",
        "laptop": "笔记本",
    }
)
"""Chinese qualifiers, each with its name in terms. 整机 and 笔记本 are among them because a computer that names its
graphics card is no graphics card."""

BRANDS: Final = frozenset(group.name for group in built_in_lexicon().of(WordClass.BRAND))
"""Brands, each by its first name in `app/language/data/brands.txt`."""

BRAND_OF_SERIES: Final = MappingProxyType(
    {
        group.name: group.brand
        for group in built_in_lexicon().of(WordClass.MODEL)
        if group.brand and not is_one_model(group) and " " not in group.name
    }
)
"""Names of series that only one brand has, and that brand. A number behind such a name is a model."""

ACCESSORIES: Final = frozenset(group.name for group in built_in_lexicon().of(WordClass.THING) if group.is_accessory)
"""Things that are made for another, each by its first name."""

LETTER_MODELS: Final = MappingProxyType({"iphone": _words("x xr xs")})
"""By series, its models that are named by letters instead of a number."""
