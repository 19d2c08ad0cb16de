"""The decisions: pure functions of values, one copy of each rule for every book.

`rules` and `weekly_bars` work on numbers and arrays; `decisions` maps the frozen values of
`livekit.model` to them. Nothing here reads a clock, a file, the network or a database, so the
backtest, the executed book and the shadow book cannot disagree about a rule.
"""
