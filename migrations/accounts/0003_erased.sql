-- An account may be erased: all that tells who the person was goes, and the row stays, a tombstone. Its id is in orders and letters
-- and names nobody then; its version has counted their letters. Of erased emails the unique index sees nulls, which are all
-- different, so the email is free again.
ALTER TABLE account
    ALTER COLUMN email DROP NOT NULL,
    ALTER COLUMN password_hash DROP NOT NULL,
    ALTER COLUMN name DROP NOT NULL,
    ADD COLUMN erased_at timestamptz,
    -- a row is a whole person, or nothing is left of one
    ADD CONSTRAINT account_is_whole_or_erased CHECK (
        CASE WHEN erased_at IS NULL THEN num_nulls(email, password_hash, name) = 0
        ELSE num_nonnulls(email, password_hash, name) = 0 END);

-- What ANALYZE samples for the planner would outlive the person, so it samples nothing personal. No plan misses it: people are
-- found by their id, or by their email in a unique index. Giving a column its type, even the one that it has, forgets what was
-- sampled before.
ALTER TABLE account
    ALTER COLUMN email TYPE text,
    ALTER COLUMN password_hash TYPE text,
    ALTER COLUMN name TYPE text;
ALTER TABLE address
    ALTER COLUMN line1 TYPE text,
    ALTER COLUMN line2 TYPE text,
    ALTER COLUMN city TYPE text,
    ALTER COLUMN postal_code TYPE text,
    ALTER COLUMN country TYPE text;
ALTER TABLE account
    ALTER COLUMN email SET STATISTICS 0,
    ALTER COLUMN password_hash SET STATISTICS 0,
    ALTER COLUMN name SET STATISTICS 0;
ALTER TABLE address
    ALTER COLUMN line1 SET STATISTICS 0,
    ALTER COLUMN line2 SET STATISTICS 0,
    ALTER COLUMN city SET STATISTICS 0,
    ALTER COLUMN postal_code SET STATISTICS 0,
    ALTER COLUMN country SET STATISTICS 0;
-- lower(email), of which there is a sample as well
ALTER INDEX account_email_key ALTER COLUMN 1 SET STATISTICS 0;
