"""What an investment has spent, how fast, and for how long it lasts.

Pure: frames and numbers in, frames and numbers out.  `exchange` converts with the dated rates that
the user supplies, `burn` projects, `investment` puts both together as of a day.
"""
