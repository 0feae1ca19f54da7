CREATE FUNCTION actuals.remember_ads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO actuals.ads (ad_id, campaign_id, adset_id)
    SELECT DISTINCT ON (ad_id) ad_id, campaign_id, adset_id
    FROM stored
    WHERE campaign_id IS NOT NULL
    ORDER BY ad_id
    ON CONFLICT (ad_id) DO NOTHING;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION actuals.remember_ads() IS
    'Keeps where each ad belongs from its first row on, also when Meta lists it no more.';
CREATE TRIGGER remember_ads AFTER INSERT ON actuals.ad_actuals
    REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION actuals.remember_ads();
