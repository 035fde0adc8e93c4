"""Scrapy's settings for all spiders. What an operator may choose are the XIANYU_ ones: see `xianyu.options`.

`xianyu.politeness.Politeness` derives Scrapy's own (timeout, user agent) from them.
"""

import os

from .options import Options

# Scrapy's cookies ask tldextract, which would fetch the list of public suffixes with the first cookie. Its own
# snapshot does; both variables are read when Scrapy's module is loaded, which is after this.
os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""
os.environ["TLDEXTRACT_CACHE"] = ""

BOT_NAME = "SaltfishCrawler"
SPIDER_MODULES = ["xianyu.spiders"]
NEWSPIDER_MODULE = "xianyu.spiders"
ADDONS = {"xianyu.politeness.Politeness": 0}

# Those of the runner come before these, which let `scrapy list` and `scrapy check` do without it.
globals().update(Options().settings())

# One request at a time, the pauses between them by PaceMiddleware.
CONCURRENT_REQUESTS = 1
CONCURRENT_REQUESTS_PER_DOMAIN = 1
DOWNLOAD_DELAY = 0
AUTOTHROTTLE_ENABLED = False
DOWNLOAD_MAXSIZE = 8 * 1024 * 1024
DOWNLOAD_WARNSIZE = 2 * 1024 * 1024
DOWNLOAD_VERIFY_CERTIFICATES = True
RETRY_TIMES = 2
RETRY_HTTP_CODES = [408, 500, 502, 503, 504, 522, 524]  # 429 asks us to stop, not to try again
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
    "xianyu.middlewares.AnswerMiddleware": 560,  # sees each answer before the retries (550), after it was unpacked
    "xianyu.politeness.PaceMiddleware": 690,  # before the cookies (700): a token may come while a request waits
    "xianyu.middlewares.BudgetMiddleware": 990,  # innermost: counts what leaves now
}
SPIDER_CONTRACTS = {
    "xianyu.contracts.SavedContract": 10,
    "xianyu.contracts.ListingsContract": 20,
    "xianyu.contracts.RejectsContract": 20,
    "xianyu.contracts.FieldsContract": 20,
}
SPIDER_MIDDLEWARES = {"xianyu.sieve.Sieve": 950}  # beside the spider
REDIRECT_ENABLED = True  # for robots.txt; where else a redirect leads is not asked
REDIRECT_MAX_TIMES = 5
METAREFRESH_ENABLED = False
REFERRER_POLICY = "no-referrer"
HTTPPROXY_ENABLED = False
COOKIES_ENABLED = True  # in memory, for one run: the token is a cookie
HTTPCACHE_ENABLED = False  # a stored TOKEN_EMPTY would be replayed for ever
DEFAULT_REQUEST_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Language": "zh-CN,zh;q=0.9",
}

# No doors into the running process.
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
MEMUSAGE_ENABLED = False

# Scrapy would read and parse the source of `self.parse` again at every answer, to warn of a `return` with a value in a
# generator: its cache forgets bound methods at once. That cost a tenth of a page's CPU time, and mypy finds the same.
WARN_ON_GENERATOR_RETURN_VALUE = False

LOG_LEVEL = "INFO"  # DEBUG prints each item
LOG_VERSIONS: list[str] = []
STATS_DUMP = False  # stats.json has them
