"""The demo market's data: people, goods in all nine categories, orders in several states. Prices are fen."""

from typing import Final, NamedTuple

from app.seed.pen import Colour
from statemachine import OrderEvent


class DemoGood(NamedTuple):
    """One good; `owner` is a username. `pictures` are drawn of it: a thing of `app.seed.things`, of that colour."""

    owner: str
    category: int
    thing: str
    colour: Colour
    title: str
    description: str
    price: int
    original_price: int | None = None
    freight: int = 0
    trade_mode: int = 7
    pictures: int = 1


class DemoOrder(NamedTuple):
    """One order: who buys which good, and the steps that follow the purchase."""

    buyer: str
    title: str
    steps: tuple[OrderEvent, ...]


PEOPLE: Final = ("xiaoyu", "laowang", "admin", "阿花", "数码控老李")

ADDRESSES: Final[dict[str, dict[str, str]]] = {
    "xiaoyu": {"name": "林小鱼", "mobile": "13800000001", "province": "浙江省", "city": "杭州市", "district": "西湖区", "detail": "文三路 100 号 2 幢 301"},
    "laowang": {"name": "王建国", "mobile": "13800000002", "province": "上海市", "city": "上海市", "district": "徐汇区", "detail": "漕溪北路 88 号 1502 室"},
    "阿花": {"name": "陈花", "mobile": "13800000003", "province": "四川省", "city": "成都市", "district": "武侯区", "detail": "科华北路 62 号"},
    "数码控老李": {"name": "李明", "mobile": "13800000004", "province": "广东省", "city": "深圳市", "district": "南山区", "detail": "科技园南区 3 栋"},
}

GOODS: Final = (
    DemoGood("xiaoyu", 1, "iphone", (240, 233, 220), "苹果 iPhone 13 128G 星光色", "自用一年半,电池健康 88%,无拆无修,屏幕完好,边框有轻微使用痕迹。配原装数据线。", 258800, 599900, 1200, 8, 3),
    DemoGood("数码控老李", 1, "four_cameras", (38, 38, 42), "小米 14 12+256 黑色 国行在保", "去年双十一入手,贴膜带壳使用,成色 95 新,保修到明年 1 月。", 245000, 399900, 0, 7, 2),
    DemoGood("阿花", 1, "round_camera", (96, 146, 140), "华为 Mate 60 Pro 雅川青", "换了新机闲置,功能全部正常,有发票。支持当面验货。", 399900, 699900, 0, 8, 2),
    DemoGood("数码控老李", 1, "old_phone", (44, 62, 110), "诺基亚 3310 复古老手机 收藏", "还能开机,键盘手感很好,适合收藏或者当备用机。", 18800, None, 800),
    DemoGood("数码控老李", 2, "camera_body", (36, 37, 40), "索尼 A7M3 单机身 快门两万", "成色很好,CMOS 干净,配两块原装电池和充电器。", 735000, 1299900, 0, 8, 3),
    DemoGood("xiaoyu", 2, "tablet", (98, 100, 106), "iPad Air 5 64G WiFi 版 深空灰", "主要用来看网课,屏幕无划痕,附赠保护套和类纸膜。", 268000, 439900, 1200, 7, 2),
    DemoGood("数码控老李", 2, "mouse", (72, 74, 78), "罗技 MX Master 3 无线鼠标", "滚轮和按键都正常,充一次电能用两个月。", 29900, 69900, 600),
    DemoGood("laowang", 2, "reader", (34, 34, 36), "Kindle Paperwhite 4 8G", "吃灰三年,电池依然耐用,送保护套。", 32000, 99800, 800),
    DemoGood("阿花", 3, "flat", (110, 140, 170), "武侯区 近地铁 精装一室一厅 押一付一", "房东直租,家电齐全,拎包入住,步行五分钟到地铁站。可随时看房。", 220000, None, 0, 6, 3),
    DemoGood("xiaoyu", 3, "balcony_room", (214, 160, 90), "西湖区 合租次卧 朝南带阳台", "室友都是上班族,作息规律。包物业和宽带。", 165000, None, 0, 6, 2),
    DemoGood("laowang", 3, "parking", (190, 60, 58), "徐汇区 地下车位 长期出租", "固定车位,离电梯口很近,带充电桩。", 60000, None, 0, 6),
    DemoGood("数码控老李", 3, "studio", (96, 140, 130), "南山科技园 单间公寓 可短租", "独立卫浴,民用水电,月付。", 280000, None, 0, 6, 2),
    DemoGood("阿花", 4, "coat", (192, 146, 96), "优衣库 羊毛大衣 驼色 M 码", "只穿过一季,已干洗,无起球。", 28000, 79900, 1000, 7, 2),
    DemoGood("xiaoyu", 4, "jacket", (34, 36, 40), "始祖鸟 冲锋衣 男款 L 黑色", "专柜购入,防水涂层完好,附吊牌。", 268000, 480000, 0, 7, 2),
    DemoGood("阿花", 4, "dress", (200, 40, 46), "复古 碎花 连衣裙 红色 S 码", "法式方领,收腰显瘦,夏天穿很凉快。", 8800, 25900, 800, 7, 2),
    DemoGood("laowang", 4, "high_top", (40, 40, 44), "匡威 1970s 高帮帆布鞋 42 码", "鞋底磨损轻微,洗得很干净。", 16800, 56900, 1000),
    DemoGood("阿花", 5, "bookcase", (246, 246, 243), "宜家 毕利书架 白色 自提", "搬家出,成色八成新,需要自己拆装搬运。", 12000, 49900, 0, 6),
    DemoGood("xiaoyu", 5, "table_and_chairs", (178, 126, 76), "实木餐桌 一桌四椅", "橡木材质,桌面有一处小划痕,结实耐用。", 78000, 259900, 0, 6, 2),
    DemoGood("laowang", 5, "bean_bag", (82, 84, 90), "无印良品 懒人沙发 深灰", "外套可拆洗,刚洗过,填充饱满。", 36000, 89800, 3000),
    DemoGood("数码控老李", 5, "desk_lamp", (246, 246, 246), "小米 米家台灯 1S", "三档色温,护眼不闪,功能完好。", 7900, 16900, 800),
    DemoGood("阿花", 6, "dropper_bottle", (116, 66, 32), "雅诗兰黛 小棕瓶 50ml 未拆封", "免税店购入,日期新鲜,保质期到 2028 年。", 49900, 98000, 0, 7, 2),
    DemoGood("xiaoyu", 6, "lipstick", (178, 58, 40), "MAC 口红 子弹头 Chili 试色一次", "颜色不适合我,只试过一次,已消毒。", 9900, 19000, 600),
    DemoGood("阿花", 6, "hair_dryer", (190, 40, 120), "戴森 吹风机 HD03 紫红色", "吹力正常,带全部风嘴和收纳架。", 139900, 299000, 1200, 7, 2),
    DemoGood("xiaoyu", 6, "toner", (246, 168, 184), "兰蔻 粉水 400ml 剩余八成", "正品,柜台购入,换了护肤品所以转让。", 15000, 43500, 800),
    DemoGood("laowang", 7, "bicycle", (36, 110, 190), "捷安特 ATX 860 山地车 M 号", "骑行不到五百公里,变速顺滑,仅限当面交易。", 189900, 339800, 0, 6, 3),
    DemoGood("数码控老李", 7, "racket", (206, 60, 50), "李宁 羽毛球拍 风刃 500 单支", "拉线 24 磅,送手胶两条。", 32900, 79900, 1000),
    DemoGood("laowang", 7, "yoga_mat", (122, 104, 178), "Keep 瑜伽垫 加厚防滑 10mm", "用过三次,几乎全新。", 4900, 12900, 1000),
    DemoGood("阿花", 7, "tent", (226, 120, 52), "迪卡侬 帐篷 三人 春秋款", "露营过两次,支架完整,无破损。", 26900, 59900, 1500, 8),
    DemoGood("xiaoyu", 8, "blender", (222, 222, 220), "美的 破壁机 静音款", "九成新,刀头锋利,自动清洗功能正常。", 22000, 59900, 1500),
    DemoGood("laowang", 8, "fridge", (226, 230, 232), "海尔 小冰箱 93 升 双门", "宿舍出租房都合适,制冷很好,同城自提。", 38000, 79900, 0, 6, 2),
    DemoGood("阿花", 8, "soy_milk_maker", (196, 60, 56), "九阳 豆浆机 1.2L", "妈妈用了半年,功能正常。", 9900, 29900, 1200),
    DemoGood("数码控老李", 8, "robot_vacuum", (240, 240, 240), "石头 扫地机器人 T7", "已更换边刷和滤网,建图准确。", 79900, 219900, 2000, 7, 2),
    DemoGood("xiaoyu", 9, "guitar", (222, 168, 100), "雅马哈 F310 民谣吉他", "送琴包、变调夹和一套新弦,适合新手。", 52000, 89900, 3000, 8, 2),
    DemoGood("数码控老李", 9, "brick_set", (40, 116, 200), "乐高 42083 布加迪 全新未拆", "收藏出,盒况完好。", 279900, 349900, 0, 7, 2),
    DemoGood("laowang", 9, "keyboard", (44, 45, 50), "卡西欧 电子琴 61 键", "孩子学了一年,音色正常,带琴架。", 45000, 99900, 4000, 8),
    DemoGood("阿花", 9, "figures", (226, 120, 150), "泡泡玛特 Molly 星座系列 整套", "全部拆袋摆件,无掉漆,带原盒。", 48000, 70800, 1000, 7, 2),
)

_PAID = (OrderEvent.PAY,)
_SHIPPED = (*_PAID, OrderEvent.SHIP)
_RECEIVED = (*_SHIPPED, OrderEvent.RECEIVE)
_REFUND_ASKED = (*_RECEIVED, OrderEvent.REQUEST_REFUND)

ORDERS: Final = (
    DemoOrder("laowang", "兰蔻 粉水 400ml 剩余八成", ()),
    DemoOrder("laowang", "MAC 口红 子弹头 Chili 试色一次", (OrderEvent.CANCEL,)),
    DemoOrder("laowang", "美的 破壁机 静音款", _PAID),
    DemoOrder("laowang", "iPad Air 5 64G WiFi 版 深空灰", _SHIPPED),
    DemoOrder("laowang", "始祖鸟 冲锋衣 男款 L 黑色", _RECEIVED),
    DemoOrder("阿花", "Kindle Paperwhite 4 8G", _REFUND_ASKED),
    DemoOrder("xiaoyu", "匡威 1970s 高帮帆布鞋 42 码", (*_REFUND_ASKED, OrderEvent.SEND_BACK)),
)
