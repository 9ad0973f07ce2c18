-- People and what they prove themselves with. Personal data lives in this database only.
CREATE TABLE account (
    account_id    uuid        PRIMARY KEY,
    -- as the person wrote it; the index below compares it
    email         text        NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
    -- argon2id, in PHC form: it names its own parameters, so that they can be raised later
    password_hash text        NOT NULL,
    name          text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    role          text        NOT NULL CHECK (role IN ('customer', 'operator')),
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- one account per email, whatever its case; also finds the account of a login
CREATE UNIQUE INDEX account_email_key ON account (lower(email));

-- where parcels go; an account has none or one
CREATE TABLE address (
    account_id  uuid        PRIMARY KEY CONSTRAINT address_account_fkey REFERENCES account,
    line1       text        NOT NULL CHECK (char_length(line1) BETWEEN 1 AND 200),
    line2       text        NOT NULL CHECK (char_length(line2) <= 200),
    city        text        NOT NULL CHECK (char_length(city) BETWEEN 1 AND 200),
    postal_code text        NOT NULL CHECK (char_length(postal_code) BETWEEN 1 AND 20),
    country     text        NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
