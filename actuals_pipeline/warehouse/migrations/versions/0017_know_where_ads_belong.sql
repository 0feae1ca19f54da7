CREATE TABLE actuals.ads (
    ad_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    adset_id TEXT,
    CONSTRAINT ads_pkey PRIMARY KEY (ad_id)
);
COMMENT ON TABLE actuals.ads IS
    'One row is one ad that was ever listed, and where it belongs; append-only.';
COMMENT ON COLUMN actuals.ads.ad_id IS 'Meta ad.';
COMMENT ON COLUMN actuals.ads.campaign_id IS 'Its campaign; Meta moves no ad.';
COMMENT ON COLUMN actuals.ads.adset_id IS 'Its ad set.';

INSERT INTO actuals.ads
SELECT DISTINCT ON (ad_id) ad_id, campaign_id, adset_id
FROM actuals.ad_actuals
WHERE campaign_id IS NOT NULL
ORDER BY ad_id, report_date DESC;
