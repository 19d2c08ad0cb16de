"""``python -m livekit`` is the ``livekit`` command."""

import sys

from livekit.cli import main

if __name__ == "__main__":
    sys.exit(main())
