"""Scrapy's settings for all spiders. What an operator may choose are the XIANYU_ ones; `python -m xianyu run --help`.

`xianyu.politeness.Politeness` derives Scrapy's own settings (delay, user agent …) from the XIANYU_ ones.
"""

BOT_NAME = "SaltfishCrawler"
SPIDER_MODULES = ["xianyu.spiders"]
NEWSPIDER_MODULE = "xianyu.spiders"
ADDONS = {"xianyu.politeness.Politeness": 0}

# What the runner overrides; these let `scrapy list` and `scrapy check` run without it.
XIANYU_LIVE = ""
XIANYU_BASE_URL = "https://h5api.m.goofish.com"
XIANYU_DELAY = 5.0  # seconds between the starts of two requests
XIANYU_JITTER = 0.5  # each delay is this part longer or shorter, at random
XIANYU_PAGE_LIMIT = 20  # pages per keyword
XIANYU_CONTACT = ""
XIANYU_PICTURES = False

# One request at a time; as slow as asked for, slower where the server is slow or its robots.txt wants it so.
CONCURRENT_REQUESTS = 1
CONCURRENT_REQUESTS_PER_DOMAIN = 1
AUTOTHROTTLE_ENABLED = True
AUTOTHROTTLE_START_DELAY = 0  # the floor is the delay
AUTOTHROTTLE_MAX_DELAY = 120
EXTENSIONS = {
    "scrapy.extensions.throttle.AutoThrottle": None,  # politeness.Pace is it, corrected
    "xianyu.politeness.Pace": 0,
}
DOWNLOAD_TIMEOUT = 20
DOWNLOAD_MAXSIZE = 8 * 1024 * 1024
DOWNLOAD_WARNSIZE = 2 * 1024 * 1024
DOWNLOAD_VERIFY_CERTIFICATES = True
RETRY_TIMES = 2
RETRY_HTTP_CODES = [500, 502, 503, 504, 522, 524, 408]  # 429 asks us to stop, not to try again
RETRY_PRIORITY_ADJUST = 0

# robots.txt, failing closed; every answer judged before a spider sees it; the budget counted before anything leaves.
ROBOTSTXT_OBEY = True
DOWNLOAD_HANDLERS = {
    "http": "xianyu.downloading.SigningHandler",
    "https": "xianyu.downloading.SigningHandler",
    "ftp": None,
    "s3": None,
}
DOWNLOADER_MIDDLEWARES = {
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "xianyu.middlewares.RobotsMiddleware": 100,
    "xianyu.middlewares.AnswerMiddleware": 540,  # outside of the retries: it sees what they gave up
    "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
    "xianyu.middlewares.RetryMiddleware": 550,
    "scrapy.downloadermiddlewares.cookies.CookiesMiddleware": None,
    "xianyu.middlewares.CookiesMiddleware": 700,
    "xianyu.middlewares.BudgetMiddleware": 990,  # innermost: counts each try
}
REDIRECT_ENABLED = False  # a redirect of an API is the way to a login or a punish page
METAREFRESH_ENABLED = False
HTTPPROXY_ENABLED = False
COOKIES_ENABLED = True  # in memory, for one run: the token is a cookie
REFERER_ENABLED = False  # the API wants the site's own; see middlewares
HTTPCACHE_ENABLED = False  # a cached TOKEN_EMPTY would be replayed for ever
DEFAULT_REQUEST_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Language": "zh-CN,zh;q=0.9",
}

# No doors into the running process.
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
MEMUSAGE_ENABLED = False

LOG_LEVEL = "INFO"  # DEBUG prints each item
LOG_VERSIONS: list[str] = []
STATS_DUMP = False  # stats.json has them
