"""Titles as sellers write them, labelled by hand with the flags that they deserve.

`TUNING` may be looked at while the tables of `app.listings.flags` are worked on. `HELD_OUT` was labelled before there
were any and only measures them: who finds a mistake there adds others like it to `TUNING` and works with those.
"""

from typing import Final

_TUNING_GOODS: Final = """
iPhone 13 128G 国行 午夜色 电池效率92 送壳膜
自用小米13 12+256 带充电器 配件齐全 无拆修
95新华为Mate40 Pro 原装充电器 箱说全
索尼A7M3 单机身 快门2万 送电池 送存储卡 相机包
Switch OLED 日版 白色 带两张卡带 手柄完好
戴森V8 吸尘器 全套配件 电池新换
苹果12 64G 绿色 电池健康89 屏幕无划痕 一直戴壳贴膜
出自用 iPad Air5 64G wifi 有包装盒充电头数据线 贴了类纸膜
红米K50 8+128 没拆修过 边框轻微磕碰 裸机无配件
出租屋自用小冰箱 便宜出 自提
退租急出 美的空调挂机1.5匹 遥控器还在
租房神器 折叠桌 九成新
搬家出 小米电视55寸 带遥控器 支架
捷安特 ATX660 自行车 送车锁 头盔 尾灯
雅马哈 民谣吉他 F310 送琴包 变调夹 拨片
珠江钢琴 118 立式 琴凳在 刚调过音
apple watch series 8 45mm gps 午夜色铝金属 运动型表带
Apple Watch S7 不锈钢 蜂窝版 两条表带 充电线都在
MacBook Air M1 8+256 循环120次 电池健康 95% 充电器原装
联想拯救者 R7000 i5 16G 512G 固态 原装电源适配器在
RTX 3060Ti 显卡 七彩虹 无维修 在保
佳能 EF 50mm f1.8 STM 镜头 送UV镜 遮光罩
富士 XT30 套机 15-45 快门数少 三块电池 保护壳
大疆 mini3 pro 带屏遥控器 畅飞套装 电池循环20次
PS5 光驱版 国行 双手柄 三张光盘
诗凡黎 连衣裙 全新吊牌 M码
SK2 神仙水 230ml 全新未拆
面膜 全新未拆 10片装 兰蔻
乐高 42115 兰博基尼 盒子说明书都在 无缺件
iPhone 11 128G 卡贴机 有锁 功能正常
iPhone 12 Pro 256G 石墨色 换过电池 面容正常
OPPO Find X5 原装屏幕 没维修过 充电头线都在
一加9 8+128 已解锁BL 可刷机 无暗病
华为 nova9 因换新手机出 无盒 单机 正常使用
求带走 闲置小米手环7 只戴过两次
求好人收留 九成新电饭煲
九阳豆浆机 说明书 配件都在 没用过几次
收纳柜 宜家 白色 三层
德生收音机 PL330 成色新
小米收银机扫码枪
收藏多年的邮票一版
vivo X80 12+256 碎屏险还有半年 全原装
iPhone 13 Pro 256 远峰蓝 无碎屏无进水 无维修
日本代购带回 资生堂红腰子 50ml
朋友代购买的 LV 零钱包 有发票 防尘袋
贩子回收勿扰 出个人 ThinkPad X1 Carbon
不租不换 大疆 Pocket3 全能套装
小米13 磁吸 原装壳 数据线 充电头齐全 8+256 在保
""".strip().splitlines()

_TUNING_FLAGGED: Final[dict[str, str]] = {
    "accessory": """
苹果13手机壳 全新
iPhone13钢化膜 2片装
原装苹果20W充电头 全新未拆
iPhone 12 主板 128G 拆机 无锁
小米13屏幕总成 带框 原装
iPhone 14 Pro Max 空盒 带串码
包装盒 苹果13 国行 完整
Apple Watch 表带 45mm 运动型 白色
Switch卡带 塞尔达 王国之泪
索尼A7M3 电池 NP-FZ100 原装
佳能相机包 单肩
微单肩带 手工 真皮
戴森V8 吸尘器 滤芯 两个
适用华为mate40pro 液态硅胶壳 防摔
iPad 保护套 带笔槽 三折
ThinkPad 65W Type-C 电源适配器 原装
A7M4 兔笼 斯莫格
PS5 手柄 星光黑 99新
switch 底座 原装拆机
苹果数据线 原装 1米
华为66W 超级快充充电器 原装正品
小米电视遥控器 原装
iPhone X 后盖玻璃 黑色
仅盒子 iPhone 15 Pro 原色钛
only配件 MacBook 包装 全套纸盒
民谣吉他 琴弦 达达里奥
镜头盖 67mm 佳能
iphone13promax 磁吸壳 透明
""",
    "rental": """
佳能R6相机出租 免押金 可邮寄
大疆pocket3租赁 日租 北京自取
出租 索尼A7M4 24-70gm 一天150
iPhone 15 pro max 租机 演唱会神器 免押
租相机 富士xt5 杭州
switch 短租 月租 80
无人机出租 日租100 押金可免
出租单间 朝阳区 精装修 押一付一
ipad pro 长租短租都可以
""",
    "auction": """
拍卖 清代青花瓷盘
一元起拍 翡翠手镯 天然A货
竞拍 老酒 茅台1995
0元起拍 iPhone 13 128G
""",
    "wanted": """
求购 iPhone 13 128G 国行
高价回收 苹果手机 全新二手
收一台 switch oled 预算1300
收购二手相机 佳能尼康
长期收 坏手机 废旧手机
求一个 A7C 二手 成色好的
求收小米13 12+256
上门回收 笔记本 台式机
蹲一个 戴森吹风机
收苹果12 13 14 有的来
""",
    "service": """
苹果手机维修 换屏换电池 同城上门
iphone 解锁 id锁 黑解
安卓刷机 救砖 远程
日本代购 免税店 接单
代拍 演唱会门票
手机数据恢复 微信记录恢复
空调清洗 上门服务
switch 破解 服务 远程指导
笔记本清灰换硅脂 上门
王者荣耀代练 上分
""",
    "broken": """
iPhone 13 尸体 当配件卖
小米12 不开机 便宜出
华为P40 碎屏 能开机
iPhone 12 pro ID锁 有id 只能拆件
红米note 进水机 报废
macbook pro 2019 主板坏 不开机 屏幕好的
佳能5D2 故障机 快门坏
""",
}

_HELD_OUT_GOODS: Final = """
出闲置iphone13，128g，国行，电池健康86，送手机壳和钢化膜，包邮
个人自用华为P50 8+256 可可茶金 配件齐全 充电器没拆封
iPhone 14 Pro 暗紫 256 在保到明年3月 无磕碰 带原装盒子
小米12S Ultra 12+256 冷杉绿 原装充电头丢了 数据线在
转卖三星 S22U 512G 国行 双卡 屏幕完美 送两个壳
荣耀70 8+256 用了一年 贴膜使用 成色很新
苹果XR 64G 白色 电池换过德赛 面容好的 无锁
ipad 2021 64g wifi版 带一代笔 保护套 九成新
iPad mini6 紫色 仅拆封激活 未贴膜
MacBook Pro 14 M1 Pro 16+512 电池循环88 充电器包装盒都在
ThinkPad T14 锐龙 16G 1T 无拆无修 原装充电器
华硕天选3 i7 12700H 3060 送鼠标 支架 散热底座
戴尔 27寸 显示器 U2720Q 4K 带原装支架
尼康 D7500 单机 快门1.2万 两块原装电池 充电器
松下 S5 全幅微单 电池三块 兔笼 肩带一起出
佳能 24-70 2.8 二代 镜头 前后盖 遮光罩齐全
理光GR3 快门3000 成色好 送皮套
任天堂 switch 续航版 国行 带塞尔达卡带 128g内存卡
ps4 slim 1t 两个手柄 游戏光盘五张
Xbox Series S 几乎没玩 手柄有轻微使用痕迹
戴森 v10 吸尘器 吸头齐全 续航正常 支架也给
科沃斯 T10 扫地机器人 送滚刷滤网尘袋
小米电视 65寸 2022款 遥控器 底座都有
格力空调 大1.5匹 拆机费自理 包安装
海尔洗衣机 10公斤 滚筒 因租房到期转让
海信冰箱 双开门 房东不要了 低价出
宜家沙发 三人位 可拆洗 自提
美利达 公爵600 山地车 换过新坐垫 送打气筒
雅迪电动车 60V20AH 新换的电池 能跑60公里
卡西欧 电钢琴 PX160 带琴架 三踏板
优衣库 羽绒服 男 L 只穿过一次
nike air force1 42码 鞋盒还在
Coach 托特包 有防尘袋 小票
雅诗兰黛 小棕瓶 50ml 正品 保质期到2027
乐高 哈利波特 城堡 71043 已拼 零件齐
airpods pro 2代 type-c 充电盒完好 左右耳正常
索尼 WH-1000XM4 头戴耳机 收纳包 线都在
小米 充电宝 20000毫安 全新
罗技 G502 鼠标 原盒
三星 980pro 1t 固态硬盘 健康100
美版 iPhone 12 mini 有锁 配卡贴 稳定使用
一加 11 16+256 自用机 官换屏幕 其他原装
realme GT neo5 电池100 刚换的后盖 像新的一样
黑鲨4 128 送散热背夹 换机出
oppo reno8 维修过一次尾插 其他没问题
红米 k60 没进过水 没碎过屏 放心拍
求秒 搬家低价 小熊电炖锅
求生之路2 实体光盘珍藏
日本带回 虎牌保温杯 非代购
朋友送的 飞利浦电动牙刷 刷头四个
收到就没用过 美的破壁机
公司年会中奖 vivo x90 全新未拆
大疆 Air 2S 畅飞套装 三电 桨叶全新 无炸机
gopro 11 三块电池 自拍杆 防水壳
kindle paperwhite 5 保护套一起 8G
""".strip().splitlines()

_HELD_OUT_FLAGGED: Final[dict[str, str]] = {
    "accessory": """
全新iphone13 14通用透明防摔手机壳
小米13Pro 素皮保护壳 官方正品
华为mate60 水凝膜 防窥 三片
iPad Air5 键盘保护套 罗技
苹果原装充电器 五福一安 闲置
小米67W充电头加线 拆机全新
三星 S22 原装数据线 type-c
iPhone 11 电池 德赛 全新大容量
苹果12pro 原装拆机屏 显示触摸正常
iphone xs max 中框 带小件 金色
华为P30 主板 8+128 测试好
苹果14 包装盒 说明书 无手机
空盒 macbook air m2 午夜色
apple watch 米兰尼斯表带 44mm
华为watch gt3 氟橡胶表带 46mm 全新
尼康 EN-EL15b 原装电池
索尼相机 NP-FW50 充电器 座充
佳能 RF 转接环 EF-EOS R
富士 xs10 皮套 半套
switch joycon 收纳包 硬壳
ps5 充电底座 手柄双充
switch 游戏卡 马里奥赛车8
戴森 v10 电池 国产 3000毫安
戴森吹风机 防飞风嘴 配件
科沃斯 地宝 尘袋 滤网 边刷 套装
格力空调遥控器 全新
小米电视 挂架 55寸通用
吉他背带 牛皮
联想 小新 充电器 65w 圆口
LV 购物袋 包装袋 丝带
iphone se2 后摄像头 拆机
戴尔笔记本 电池 G5 全新
""",
    "rental": """
索尼A7C2出租 全国可邮 信用免押
ccd相机出租 佳能ixus 一天30起
大疆御3 租赁 日租200 可开发票
iphone15promax 演唱会 望远镜手机 日租 武汉
gopro 租借 潜水 三亚 免押租
Switch出租 按天 按周 学生优惠
投影仪租赁 露营用 同城可送
富士x100v 短租 周末 上海面交
租ps5 月付 可续租
整租两室一厅 近地铁 月租3500
""",
    "auction": """
和田玉籽料手串 竞拍中 100起
紫砂壶 名家 拍卖 无底价
老蜜蜡 1元起拍 加价10元
""",
    "wanted": """
求购一台 macbook pro m1 16g
收个 iphone 12 mini 自用 别太贵
高价收 全新未拆 switch oled
诚收 a7m3 单机 快门少
现金回收 戴森吹风机 吸尘器
求出 iPad pro 2021 11寸 带笔
预算两千收一台二手笔记本
想收一个佳能5d4
全国回收 二手手机 平板 电脑
大量收 废旧显卡 3060 3070
求购小米13 12+256 成色好 价格合适秒
""",
    "service": """
上门维修 iPhone 换屏 换电池 北京
笔记本维修 主板维修 不开机 进水
香港代购 接单 代买苹果手机
安卓手机解锁bl 刷面具 远程服务
代抢 茅台 小米首发
ps4 破解 刷系统 同城
代练 原神 日常 深渊
手机贴膜 上门服务
相机清洁 cmos 清理 同城可约
空调维修 加氟 移机
远程 重装系统 win11
""",
    "broken": """
iPhone 11 不开机 当零件卖
三星 s21 花屏 内屏坏
小米10 外屏碎 触摸失灵 其他好
iphone 13pro 有id锁 尸体机
ipad 2018 进水 开不了机
大疆 mini2 炸机 云台坏
thinkpad x230 配件机 屏坏
""",
}


def _rows(goods: list[str], flagged: dict[str, str]) -> tuple[tuple[str, str | None], ...]:
    return (
        *((title, None) for title in goods),
        *((title, flag) for flag, titles in flagged.items() for title in titles.strip().splitlines()),
    )


TUNING: Final = _rows(_TUNING_GOODS, _TUNING_FLAGGED)
"""`(title, flag)`; None for a thing that is for sale as it is."""

HELD_OUT: Final = _rows(_HELD_OUT_GOODS, _HELD_OUT_FLAGGED)
"""As `TUNING`."""
