"""What the ads did: exact daily figures, and whether they add up to Meta's own totals.

    contract    the frames, column by column, with units and row rules
    normalize   insights rows -> `ad_actuals`: the video joined, rates recomputed from counts
    reconcile   sums over ads against Meta's account totals, to the last digit

Everything here is pure: frames in, frames out.
"""
