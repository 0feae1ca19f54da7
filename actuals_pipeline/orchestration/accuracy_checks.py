"""What must hold before an accuracy may be quoted: checks as data.

Source of the limits: the reference's list of checks; each is a constant of its query.
"""

import dagster as dg

from actuals_pipeline.orchestration.row_checks import RowCheck

ERROR = dg.AssetCheckSeverity.ERROR

ACCURACY_CHECKS = (
    RowCheck(
        "prediction_accuracy",
        "no_late_prediction_counts",
        "Each prediction that counts was received before its ad's first day with impressions "
        "began: one made later may have seen the results.",
        """
        SELECT as_of_date, ad_id, model_name, model_version, protocol, predicted_at,
               first_delivery_on
        FROM actuals.prediction_accuracy AS pair
        LEFT JOIN (
            SELECT account_id, max(time_zone) AS time_zone
            FROM actuals.meta_account_totals
            GROUP BY account_id
        ) AS account USING (account_id)
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s AND status = 'eligible'
          AND predicted_at >= first_delivery_on::timestamp AT TIME ZONE time_zone
        ORDER BY as_of_date DESC, ad_id
        """,
        severity=ERROR,
        is_blocking=True,
    ),
    RowCheck(
        "prediction_accuracy",
        "predicted_ctr_is_in_the_unit_of_the_actual",
        "The median of predicted over actual CTR of each model version lies within 1/30 to 30: a "
        "hundred means percent mixed with fractions.",
        """
        SELECT as_of_date, model_name, model_version, count(*) AS pairs,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY predicted_ctr / actual_ctr) AS median
        FROM actuals.prediction_accuracy
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND protocol = 'launch_to_date' AND actual_ctr > 0
          -- What is above 1 is no fraction at all, and has a status of its own.
          AND predicted_ctr > 0 AND predicted_ctr <= 1
        GROUP BY as_of_date, model_name, model_version
        -- Of a few ads chance alone may make a median like that.
        HAVING count(*) >= 10
           AND percentile_cont(0.5) WITHIN GROUP (ORDER BY predicted_ctr / actual_ctr)
               NOT BETWEEN 1 / 30.0 AND 30
        ORDER BY as_of_date DESC, model_name, model_version
        """,
        severity=ERROR,
        is_blocking=True,
    ),
    RowCheck(
        "ad_actuals",
        "an_account_counts_one_type_of_purchase",
        "All figures of an account's days were counted with one purchase action type, those of "
        "one day above all; after a change of ACTUALS_PURCHASE_ACTION_TYPE the older days want a "
        "backfill.",
        """
        WITH days AS (
            SELECT account_id, report_date, array_agg(DISTINCT purchase_action_type) AS types
            FROM actuals.ad_actuals
            WHERE report_date >= %(since)s AND report_date <= %(until)s
            GROUP BY account_id, report_date
        )
        SELECT account_id, string_agg(DISTINCT type, ', ' ORDER BY type) AS counted,
               count(DISTINCT report_date) AS days,
               count(DISTINCT report_date) FILTER (WHERE cardinality(types) > 1)
                   AS days_with_several
        FROM days, unnest(types) AS type
        GROUP BY account_id
        HAVING count(DISTINCT type) > 1
        ORDER BY account_id
        """,
        severity=ERROR,
    ),
    RowCheck(
        "revenue_development",
        "it_is_known_on_which_day_purchases_stand",
        "Of each account that was followed for 60 days and sold 100 times in the 90 before, it is "
        "known whether its purchases stand on the day of the impression or on their own. A ROAS "
        "since launch minds neither; do not compare those of single days until it is known.",
        """
        SELECT DISTINCT as_of_date, account_id, dating
        FROM actuals.revenue_development AS curve
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s AND dating = 'unknown'
          AND 60 <= (
              SELECT count(*)
              FROM actuals.known_days AS known
              WHERE known.account_id = curve.account_id
                AND known.report_date < curve.as_of_date AND known_since <= report_date + 1
          )
          AND 100 <= (
              SELECT sum(conversions)
              FROM actuals.ad_actuals AS sold
              WHERE sold.account_id = curve.account_id
                AND sold.report_date < curve.as_of_date
                AND sold.report_date >= curve.as_of_date - 90
          )
        ORDER BY as_of_date DESC, account_id
        """,
    ),
    RowCheck(
        "model_accuracy",
        "no_model_is_better_than_chance_allows",
        "No accuracy lies more than three standard errors above what a perfect model would score "
        "on the same volumes: that would be leakage, or copied actuals.",
        """
        SELECT as_of_date, model_name, model_version, protocol, n_pairs, prediction_accuracy,
               noise_ceiling
        FROM actuals.model_accuracy
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s AND n_pairs >= 10
          -- Without an interval the scatter of a pair is at most that of a fair coin.
          AND prediction_accuracy > noise_ceiling + 3 * coalesce(
              (prediction_accuracy_high - prediction_accuracy_low) / 3.92, 50 / sqrt(n_pairs))
        ORDER BY as_of_date DESC, model_name, model_version
        """,
    ),
    RowCheck(
        "model_accuracy",
        "a_headline_covers_most_of_the_spend",
        "Each model version's headline covers at least four fifths of the spend of the ads whose "
        "comparison is final.",
        """
        SELECT as_of_date, model_name, model_version, protocol, coverage_ads, coverage_spend
        FROM actuals.model_accuracy
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND protocol = 'headline' AND n_pairs > 0 AND coverage_spend < 0.8
        ORDER BY as_of_date DESC, model_name, model_version
        """,
    ),
    RowCheck(
        "model_accuracy",
        "a_headline_tells_more_than_chance",
        "Of each headline of 30 pairs or more at least a fifth of the verdicts is not unresolved: "
        "else its ads are too small to say which predictions were wrong.",
        """
        SELECT as_of_date, model_name, model_version, protocol, n_pairs, unresolved_share
        FROM actuals.model_accuracy
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND protocol = 'headline' AND n_pairs >= 30 AND unresolved_share > 0.8
        ORDER BY as_of_date DESC, model_name, model_version
        """,
    ),
    RowCheck(
        "model_accuracy",
        "most_of_a_headline_has_a_final_roas",
        "At least half of the spend of each headline of 30 pairs or more has a final ROAS: else "
        "it is an accuracy of CTR alone, by ads that are still young or of which days are missing.",
        """
        SELECT as_of_date, model_name, model_version, protocol, n_pairs, n_roas,
               settled_spend_share
        FROM actuals.model_accuracy
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND protocol = 'headline' AND n_pairs >= 30 AND settled_spend_share < 0.5
        ORDER BY as_of_date DESC, model_name, model_version
        """,
    ),
    RowCheck(
        "model_accuracy",
        "a_headline_rests_on_what_was_known",
        "No headline rests on figures that were learnt only after its windows were final.",
        """
        SELECT as_of_date, model_name, model_version, protocol, n_pairs, n_reconstructed
        FROM actuals.model_accuracy
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND protocol = 'headline' AND n_reconstructed > 0
        ORDER BY as_of_date DESC, model_name, model_version
        """,
    ),
    RowCheck(
        "model_statistics",
        "predictions_are_kept_on_the_whole",
        "Predicted over observed clicks and revenue of each headline are one, within a tenth or "
        "within their 95-percent interval.",
        """
        SELECT as_of_date, model_name, model_version, statistic, value, low, high, n_pairs
        FROM actuals.model_statistics
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND protocol = 'headline' AND segment = ''
          AND statistic IN ('ctr_calibration', 'roas_calibration')
          AND abs(ln(nullif(value, 0))) > ln(1.1) AND NOT (low <= 1 AND high >= 1)
        ORDER BY as_of_date DESC, model_name, model_version, statistic
        """,
    ),
    RowCheck(
        "model_drift",
        "models_predict_for_ads_like_those_before",
        "The predictions of each model version's last weeks are spread like those of its weeks "
        "before. Others are no error: look whether other ads were made, or the model is fed "
        "otherwise, before its scores are compared.",
        """
        SELECT as_of_date, model_name, model_version, metric, week, n_pairs, predicted_shift,
               predicted_shift_chance
        FROM actuals.model_drift
        WHERE as_of_date = %(until)s AND week >= as_of_date - 14
          -- Of many pairs a trifle is beyond chance, of few chance alone makes a large index.
          AND predicted_shift > 0.1 AND predicted_shift_chance < 0.001
        ORDER BY model_name, model_version, metric, week
        """,
    ),
)
"""The checks of the accuracy tables, blocking where a number would mislead."""
