"""The faces room: what a person sees of a run.

==============  ==================================================================================
`series`        prices, indicators and curves brought on the basis that a chart shows
`charts`        charts from values, in plotly's terms; `book_charts` those of the executed book
`book_view`     what they show, read from a desk; so are `position_views` and `changes`
`tables`        a table as HTML and as plain text, untrusted text always as text
`day_tables`    the tables of a day, `plan_tables` those of a plan, `distances` of one position
`show`          shows tables and charts in a notebook
`day`           what a notebook cell calls; `daily` performs its phases, `entry` begins them
`review`        the plan that a person decides on, with its `widgets`
`verdict`       the comparison of the books, its charts, tables and lines
`backtesting`   backtest, sweep and walk-forward, and what is shown of them
`runs`          notebooks run by papermill in kernels of our own, checked, judged, recorded
`archive`       notebook and page put away for good; `archiving` makes, checks and keeps the pages
`watching`      what failed, is missing or too quiet, told through `notify`; status and timers
`simulation`    seeded random days of all this against the simulated venue
`audit`         whether the venue's file and ours tell one story; `demo` a whole quarter of it
`terminal`      what the terminal shows; `operator` what a person does there; `lab` JupyterLab
==============  ==================================================================================

Nothing here decides anything about trading. Values come in, text and files go out, and every text
that came from outside the program (company names, reasons, broker messages) is escaped on the way.
"""

import sys

# jsonschema, which nbformat imports, compiles a grammar of internationalised addresses as soon as
# this module exists. No schema of ours has such an address, and compiling takes over a second.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
