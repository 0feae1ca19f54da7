"""What an investment has spent, how fast, and for how long it lasts.

Pure: frames and numbers in, frames and numbers out.  `ledger` has the figures of each day as of any
other, `exchange` converts with the dated rates that the user supplies, `burn` projects, and
`investment` puts all three together.
"""
