-- Somebody whom another issuer of tokens vouches for has no password here, and is known by the account's id alone: what is their email
-- may be the email of others.
ALTER TABLE account ALTER COLUMN password_hash DROP NOT NULL;

-- one account with a password per email, whatever its case; also finds the account of a login. Under the same name, by which
-- whoever registers in the version before knows that an email is taken
DROP INDEX account_email_key;
CREATE UNIQUE INDEX account_email_key ON account (lower(email)) WHERE password_hash IS NOT NULL;
