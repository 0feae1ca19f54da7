"""Telling others, outside of this installation, that something is to be done.

    webhook          one signed JSON message to an address, repeated until it is taken

Knows nothing of what it says.  No secret is told in an error or a log.
"""
