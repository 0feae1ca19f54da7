"""What we know about Meta's Graph API.

    client       the questions one may ask about an account or an ad
    accounts     a window of several accounts at once, each with its own outcome
    agreement    the ads' rows and the account's totals, read so that they are of one moment
    missing_ads  ads that the listing lacks although the totals include them

    fields       what we ask for, and the words Meta uses for it
    queries      one question to the insights, apart from its days
    splitting    a request that is too large, made smaller lever by lever
    reports      asynchronous report runs: submitted, polled, read, resumed
    pages        every page of an answer, each row admitted once
    spool        the rows of one fetch, on disk, as the texts they came in
    decoding     an answer's JSON, and the text of each of its rows
    graph        one call: the SDK's session, the shape of the answer, repeating, secrets
    limits       who may call now; shared by the accounts of a run
    throttle     usage headers -> percent used up, seconds to wait
    failures     an error of Meta -> an error class of ours and a reaction
    memory       what one fetch leaves for later ones
    parse        the only place where Meta's text becomes numbers

    health       whether Meta can be asked, and for how long yet
    probes       what a real account says about what we could only assume

No SQL, no Dagster.  An account id is bare digits everywhere; `act_` is put before it in Graph
paths and in sentences for people only.
"""
