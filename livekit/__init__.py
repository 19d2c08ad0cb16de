"""An earnings-gap strategy, executed on a paper account and audited every trading day.

Floors, each importing only from those above it: words (`errors`, `model`); givens (`config`,
`sessions`, `clock`); decisions (`strategy`, `invariants`); simulations (`backtest`,
`comparison`); the world (`reports`, `prices`, `broker`, `state`); acts (`trading`); faces
(`workbench`); entry (`cli`, `signal_generator`, `executor`).
"""
