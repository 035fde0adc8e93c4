"""Scrapy's settings for all spiders. The operator's settings, named `XIANYU_…`, are described in `xianyu.options`.

`xianyu.politeness.PolitenessAddon` derives Scrapy's timeout and User-Agent from them.
"""

import os

from .options import Options

# Scrapy's cookie middleware uses tldextract, which would download the public suffix list at the first cookie. With
# these variables it uses the snapshot in its package. They are read when Scrapy's module is imported, which is later.
os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""
os.environ["TLDEXTRACT_CACHE"] = ""

BOT_NAME = "SaltfishCrawler"
SPIDER_MODULES = ["xianyu.spiders"]
NEWSPIDER_MODULE = "xianyu.spiders"
ADDONS = {"xianyu.politeness.PolitenessAddon": 0}

# The defaults, for `scrapy list` and `scrapy check`. Under the runner, its settings override them.
globals().update(Options().settings())

# One request at a time; PaceMiddleware makes the pauses between them.
CONCURRENT_REQUESTS = 1
CONCURRENT_REQUESTS_PER_DOMAIN = 1
DOWNLOAD_DELAY = 0
AUTOTHROTTLE_ENABLED = False
DOWNLOAD_MAXSIZE = 8 * 1024 * 1024
DOWNLOAD_WARNSIZE = 2 * 1024 * 1024
DOWNLOAD_VERIFY_CERTIFICATES = True
RETRY_TIMES = 2
RETRY_HTTP_CODES = [408, 500, 502, 503, 504, 522, 524]  # not 429: it asks us to stop
RETRY_PRIORITY_ADJUST = 0
RETRY_GIVE_UP_LOG_LEVEL = "WARNING"

ROBOTSTXT_OBEY = True
ROBOTSTXT_USER_AGENT = BOT_NAME
DOWNLOAD_HANDLERS: dict[str, str | None] = {
    "http": "xianyu.downloading.SigningHandler",
    "https": "xianyu.downloading.SigningHandler",
    "ftp": None,
    "s3": None,
}
DOWNLOADER_MIDDLEWARES: dict[str, int | None] = {
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "xianyu.middlewares.RobotsMiddleware": 100,
    "xianyu.middlewares.AnswerMiddleware": 560,  # sees an answer before the retries (550) do
    "xianyu.politeness.PaceMiddleware": 690,  # before the cookies (700), as a token may arrive while a request waits
    "xianyu.middlewares.BudgetMiddleware": 990,  # last: counts what is really sent
}
SPIDER_CONTRACTS = {
    "xianyu.contracts.SavedContract": 10,
    "xianyu.contracts.ListingsContract": 20,
    "xianyu.contracts.RejectsContract": 20,
    "xianyu.contracts.FieldsContract": 20,
}
SPIDER_MIDDLEWARES = {"xianyu.changed_listings.ChangedListingsFilter": 950}  # next to the spider
REDIRECT_ENABLED = True  # for robots.txt; requests of the API set dont_redirect
REDIRECT_MAX_TIMES = 5
METAREFRESH_ENABLED = False
REFERRER_POLICY = "no-referrer"
HTTPPROXY_ENABLED = False
COOKIES_ENABLED = True  # the token is a cookie; kept in memory, for one run
HTTPCACHE_ENABLED = False  # it would replay a stored TOKEN_EMPTY for ever
DEFAULT_REQUEST_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Language": "zh-CN,zh;q=0.9",
}

# No remote access to the running process.
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
MEMUSAGE_ENABLED = False

# To warn of generators that return a value, Scrapy would parse the source of `self.parse` at every answer, as its cache
# cannot keep bound methods. That took a tenth of a page's CPU time, and mypy finds such generators too.
WARN_ON_GENERATOR_RETURN_VALUE = False

LOG_LEVEL = "INFO"  # DEBUG logs each item
LOG_VERSIONS: list[str] = []
STATS_DUMP = False  # the runner writes them to stats.json
