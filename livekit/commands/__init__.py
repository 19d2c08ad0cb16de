"""The commands of ``livekit`` beyond the daily round, one module a room.

Each module offers ``add_to(app)``, which hangs its commands onto the command line. Modules load
what they need inside the command, so that ``livekit --help`` answers at once.
"""
