"""``python -m livekit`` is the ``livekit`` command."""

from livekit.cli import main

if __name__ == "__main__":
    main()
