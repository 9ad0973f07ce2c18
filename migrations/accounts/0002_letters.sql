-- Counts the letters about an account. One that was made before there were letters has none for its first version.
ALTER TABLE account ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);
