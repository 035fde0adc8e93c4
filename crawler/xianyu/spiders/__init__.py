"""The spiders: `xianyu_file` reads saved answers, `xianyu_search` searches the site, `xianyu_detail` fetches items."""
