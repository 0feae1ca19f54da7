"""How good the predictions were: each one paired with what its ad did, then scored.

    contract         the frames, column by column, with units and row rules
    launch_to_date   what each ad did from its launch up to the end of a day
    pair             the prediction that counts, joined to those figures, and its status
    score            errors and accuracies of a pair, and the figures of a model version

Pure statistics: frames in, frames out; no clock, no database.
"""
