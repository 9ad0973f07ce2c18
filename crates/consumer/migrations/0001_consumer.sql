-- Where each group is in each partition. The row moves in the transaction of the effects, from the offset that the
-- member believes in: one that was overtaken finds no row and changes nothing. Kafka's own offsets are for lag tools.
-- No index holds what changes and the page has room, so a move stays on its page (HOT) and needs no vacuum.
CREATE TABLE consumer_position (
    "group" text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL CHECK (partition >= 0),
    -- the first offset that has had no effect yet
    next bigint NOT NULL CHECK (next >= 0),
    PRIMARY KEY ("group", topic, partition)
) WITH (fillfactor = 10);

-- Letters that were set aside: those that the handler refused or nobody could read, and the later letters of their keys,
-- which wait behind them. A key is blocked for as long as it has a row. The letters of one key are in the order of
-- their ids: they come from one partition, so each was inserted under the lock of that partition's position.
CREATE TABLE consumer_parked (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "group" text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    -- NULL when the letter has none: it equals no other key, so nothing waits behind it
    key bytea,
    -- a key may be longer than an index takes
    key_hash bytea GENERATED ALWAYS AS (sha256(key)) STORED,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    -- NULL for a tombstone
    payload bytea,
    traceparent text,
    -- why it was refused the last time
    error text NOT NULL,
    -- how often it was tried again
    retry_count integer NOT NULL DEFAULT 0 CHECK (retry_count >= 0),
    -- dead: tried often enough, waits for redrive or discard
    state text NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'dead')),
    -- of a parked letter: not tried before
    next_retry_at timestamptz NOT NULL,
    -- of a dead letter: its copy for the dead-letter topic is not sent before; NULL when there is none to send
    copy_due_at timestamptz,
    parked_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(header_names) = cardinality(header_values))
);

-- Is this key blocked? Which is its first letter? NULL keys are asked for by nobody.
CREATE INDEX consumer_parked_key ON consumer_parked ("group", topic, key_hash, id) WHERE key_hash IS NOT NULL;
-- Whose turn is it to be tried again?
CREATE INDEX consumer_parked_retry ON consumer_parked ("group", next_retry_at) WHERE state = 'parked';
CREATE INDEX consumer_parked_copy ON consumer_parked ("group", copy_due_at) WHERE copy_due_at IS NOT NULL;

-- The letters that had their effect, for effects without a natural key.
CREATE TABLE consumer_inbox (
    "group" text NOT NULL,
    event_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ("group", event_id)
);

-- for the purge
CREATE INDEX consumer_inbox_received_at ON consumer_inbox (received_at);
