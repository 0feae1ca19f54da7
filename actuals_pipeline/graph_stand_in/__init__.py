"""A small Graph API on a real port, over an invented world, for the demo and the tests.

    delivery.py     one ad's life: daily delivery, purchases, and when Meta gets to know of them
    world.py        accounts, ads, the clock, the truth, and the product's videos and predictions
    insights.py     an insights request -> rows, as Meta would put them
    nodes.py        accounts, ads, creatives and videos as Graph nodes
    graph_errors.py what the Graph API says when it refuses
    faults.py       rules that spoil chosen answers
    graph.py        the Graph protocol: authentication, routes, pages, report runs, batches
    server.py       the same on a port of this computer, with its control under `/_stand_in/`

Nothing here is real data, and each answer says so in the header `X-Graph-Stand-In`.
"""
