"""Telling others, outside of this installation, that something is to be done.

    rules            what is watched, from which limit on somebody is told, and what to do then
    channels         one message to whatever an address of ALERT_URLS names, or to the log
    delivery         messages that wait, handed to their channels with patience
    heartbeat        one ping that says that we live, for a dead scheduler cannot report itself
    webhook          one signed JSON message to an address, repeated until it is taken

Knows no database.  No secret is told in an error or a log.
"""
