"""The faces room: what a person sees of a run.

==============  ==================================================================================
`series`        prices, indicators and curves brought on the basis that a chart shows
`charts`        charts from values, in plotly's terms
`tables`        a table as HTML and as plain text, untrusted text always as text
`day_tables`    the tables of a day, `distances` those of one position
`show`          shows tables and charts in a notebook
`day`           what a notebook cell calls
`run`           one notebook run by papermill (`engine`), its parameters checked before
`kernels`       where notebooks run; `nursery` forks them from a process that has loaded all
`notebook_runs` phases performed as notebooks: their form checked, recorded, judged, archived
`own_runs`      a person's own notebook, sealed and archived likewise (`sealing`)
`page`          an executed notebook as one offline HTML page, with `figures` and `assets`
`sections`      what a page shows beside the cells: `changes` and `book_charts`
`archive`       notebook and page put away for good, with their hashes; `secret_scan` guards it
`archive_upkeep` the archive verified, rendered anew, relieved of old attempts
`index`         the archive's front page, `front_page` makes it from the run log
`watch`         what failed, is missing or too quiet, told by `outbox`, `notify` and `digest`
`status`        how a profile stands and what is due; `schedule` makes the timers
==============  ==================================================================================

Nothing here decides anything about trading. Values come in, text and files go out, and every text
that came from outside the program (company names, reasons, broker messages) is escaped on the way.
"""

import sys

# jsonschema, which nbformat imports, compiles a grammar of internationalised addresses as soon as
# this module exists. No schema of ours has such an address, and compiling takes over a second.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
