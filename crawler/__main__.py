"""`python -m crawler …` from the folder above: the same as `python -m xianyu …` from inside this one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from xianyu.runner import main

if __name__ == "__main__":
    sys.exit(main())
