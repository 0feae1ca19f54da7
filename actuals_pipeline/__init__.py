"""What Meta ads really did, every cent reconciled, and how good the model's predictions were.

The map, one line a package; nothing here imports Dagster but `orchestration`:

    meta/            what we know about Meta's Graph API: fields, requests, failures, parsing
    actuals/         insights rows -> exact daily figures, and whether they add up to Meta's totals
    accuracy/        predictions against actuals: pairing, scores, what chance explains
    spend/           an investment and budgets: what is spent, how fast, exchange rates
    alerts/          telling others that something is to be done: rules, channels, signed webhooks
    warehouse/       Postgres: tables, migrations, atomic day replacement, embedded server
    orchestration/   the thin Dagster shell: assets, checks, schedule, resources
    serving/         the command line, the HTTP interface, the page, and what they read
    graph_stand_in/  a small Graph API on a real port, for the demo and the tests

One word an idea: *account* (a Meta ad account), *report day* (a calendar day in the account's own
time zone), *window* (half-open range of report days), *actual*, *prediction*, *settled* (Meta no
longer restates the day), *slice* (the account-days that one fetch covers).
"""
