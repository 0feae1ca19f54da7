"""How good the predictions were: each one paired with what its ad did, then scored.

    contract         the frames, column by column, with units and row rules
    protocols        which days of an ad are compared, and when that is final
    as_known         what was known of each ad, and when
    launch_to_date   what each ad did from its launch up to the end of a day
    pair             the prediction that counts, joined to those figures, and its status
    launch_windows   the same for the first days of each ad, frozen once they are final
    score            errors and accuracies of a pair
    baseline         what somebody without a model would have predicted
    uncertainty      intervals, verdicts, ceiling and baseline of each scored pair
    models           the headline of a model version, and what it leaves out
    model_statistics everything else that is said of a model version

How much of a day is known, and what it will have come to:

    development      figures that grow with age: factors, shares, ultimates and their errors
    dating           whether purchases stand on the day of the impression or their own
    purchase_delay   how long after the click people buy
    account_curves   the best known curve of each account, and the curves to look up
    curve_watch      whether the newest days mature like those before
    cape_cod         the ROAS of ads whose revenue is still coming in

What may be said of these figures; columns in, columns or figures out:

    columns          numbers checked where they come in
    comparable       the pairs that statistics of a whole model take
    sums             figures made of sums, which can be resampled
  of one pair
    intervals        Wilson, Jeffreys, scaled gamma: how far a true rate may be
    overdispersion   how much more clicks vary than a binomial says
    noise            z against the prediction, chance alone, and how much data it takes
    verdict          over, under, within tolerance, unresolved
    false_discovery  which of many surprises are surprises
  of a model
    calibration      predicted over observed, the line, the bins
    entropy          log loss, normalised entropy, its floor, Brier
    point_errors     MAE, WAPE and their kin, skill against a baseline
    ranking          order within groups: correlation, hit, regret, gain
    break_even       the decision at a bar
    quantiles        models that say ranges
    achievable       the noise ceiling, and errors without the noise
    bootstrap        intervals of all these by campaign, and two models compared
    segments         where the model is off
  of a model as the weeks go by
    drift/           whether it still predicts as it did, and what to ask for when not
  of what happened
    beta_prior       click rates drawn to their campaign's
    shrinkage        other estimates drawn to their mean
    two_rates        the chance that one click rate is above another
    best_of_many     the chance of each of several to be the highest, and what a choice costs
    always_valid     whether one is above another, for those who look every day
  for what comes next, as advice
    winners          the best ad of an ad set, and what is missing to say so
    budget_advice    what to spend on each ad set

Pure statistics: no clock, no database.  Undefined is NaN, never 0.
"""
