"""The simulated venue: one broker that speaks Alpaca's HTTP and JSON over historical daily bars.

::

    engine/        the exchange and the account: a deterministic state machine, no file, no HTTP
    api.py         one function from a request to an answer, in Alpaca's shapes
    http.py        a thin face over it on loopback; transport.py carries the same calls in process
    faults.py      what can go wrong, and when; fault_gate.py lets it strike
    rate_limit.py  how many requests a minute are answered, where that is limited
    control.py     the clock, the faults, halts and corporate actions, behind a key of its own
    book.py        the file it remembers itself by; ledger.py reads that file and nothing else
    session.py     the owner: opens a profile's venue for the length of a command
    serve.py       a venue of its own in the foreground, for any client of the same interface

It has no ``trade_updates`` stream: everything is read by request.

Its clock moves only when told. Money it shows is SIMULATED; nothing here reaches a market.
"""
