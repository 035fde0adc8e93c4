"""The spiders: `xianyu_search` asks the site, `xianyu_file` reads what an operator saved, `xianyu_detail` one item."""
