"""What we know about Meta's Graph API.

    fields      what we ask for, and the words Meta uses for it
    graph       one call: the SDK's session, the shape of the answer, waiting, repeating, secrets
    client      insights requests: paging, asynchronous reports, rows checked at the door
    throttle    usage headers -> seconds to wait before the next call
    failures    an error of Meta -> one of our error classes
    health      whether Meta can be asked, and for how long yet
    probes      what a real account says about what we could only assume
    parse       the only place where Meta's text becomes numbers

No SQL, no Dagster.  An account id is bare digits everywhere; `act_` is put before it in Graph
paths and in sentences for people only.
"""
