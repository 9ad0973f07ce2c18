-- Somebody whom another issuer of tokens vouches for has no password here, and is known by the account's id alone: what is their email
-- may be the email of others. A row is still a person who can be written to, or nothing is left of one.
ALTER TABLE account
    DROP CONSTRAINT account_is_whole_or_erased,
    ADD CONSTRAINT account_is_whole_or_erased CHECK (
        CASE WHEN erased_at IS NULL THEN num_nulls(email, name) = 0
        ELSE num_nonnulls(email, password_hash, name) = 0 END);

-- one account with a password per email, whatever its case; also finds the account of a login. Under the same name, by which
-- whoever registers in the version before knows that an email is taken. Still, nothing of it is sampled: it would outlive the person
DROP INDEX account_email_key;
CREATE UNIQUE INDEX account_email_key ON account (lower(email)) WHERE password_hash IS NOT NULL;
ALTER INDEX account_email_key ALTER COLUMN 1 SET STATISTICS 0;
