-- The letters of this database, in the order in which they are to be published. Rows are only ever inserted; whole
-- days are dropped when they are old and published. So there are no dead rows for the relay to read past, and until
-- it is dropped the table is the service's own event history.

-- No CACHE: ids must be handed out in the order of the inserts, whichever connection makes them.
CREATE SEQUENCE outbox_id_seq AS bigint CACHE 1;

CREATE TABLE outbox (
    -- drawn while the row is inserted, hence after the aggregate's row lock was taken: of two letters with one key
    -- the later has the greater id, and the earlier is visible to everybody who sees the later
    id bigint NOT NULL DEFAULT nextval('outbox_id_seq'),
    -- the moment of the insert, not of the transaction's start: `now()` may lie 10 s before `id` was drawn
    inserted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id uuid NOT NULL,
    topic text NOT NULL,
    key text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_type text NOT NULL,
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    traceparent text,
    payload bytea NOT NULL
) PARTITION BY RANGE (inserted_at);

ALTER SEQUENCE outbox_id_seq OWNED BY outbox.id;

-- A unique index over a partitioned table must contain the partition key, which would make it guard nothing. So each
-- partition has its own: an id, and a place in an aggregate's history, are given once a day at most. That the next
-- day does not give it again follows from the version of the aggregate, which the service changes by compare-and-set.
CREATE FUNCTION outbox_index_partition(partition text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- the relay reads by id
    EXECUTE format('CREATE UNIQUE INDEX %I ON public.%I (id)', partition || '_id', partition);
    -- the history of an aggregate is read by its key
    EXECUTE format('CREATE UNIQUE INDEX %I ON public.%I (topic, key, sequence)', partition || '_history', partition);
END $$;

-- The safety net: a letter finds its place here when nobody has made its day's partition.
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
SELECT outbox_index_partition('outbox_default');

-- Makes the partition of one day (UTC), unless it is there. A day that already has rows in the safety net stays there.
CREATE FUNCTION outbox_add_partition(day date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition text := 'outbox_' || to_char(day, 'YYYYMMDD');
    day_start timestamptz := day::timestamp AT TIME ZONE 'UTC';
    day_end timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('public.' || partition) IS NOT NULL
        OR EXISTS (SELECT FROM public.outbox_default WHERE inserted_at >= day_start AND inserted_at < day_end)
    THEN
        RETURN false;
    END IF;
    -- attached rather than created in place, which would lock every writer out
    EXECUTE format('CREATE TABLE public.%I (LIKE public.outbox INCLUDING CONSTRAINTS)', partition);
    PERFORM public.outbox_index_partition(partition);
    EXECUTE format(
        'ALTER TABLE public.outbox ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
        partition, day_start, day_end);
    RETURN true;
END $$;

-- Makes the partitions of today and of the next days, and drops the oldest if it is older than the retention and wholly
-- published; one at a time, since this is called often and a transaction has a timeout. The login that serves may not
-- change tables, so it runs with the rights of the owner.
CREATE FUNCTION outbox_maintain_partitions(days_ahead integer, retention_days integer,
    OUT created integer, OUT dropped integer)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- a reader that holds on to the table makes this give up and try later; writers queue behind it no longer than this
SET lock_timeout = '200ms' AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    -- never less than a day, whatever the caller says: people are watching today's history
    oldest_kept date := today - greatest(retention_days, 1);
    floor_id bigint := (SELECT floor FROM public.outbox_progress);
    partition text;
    newest_id bigint;
BEGIN
    created := 0;
    dropped := 0;
    FOR ahead IN 0 .. least(days_ahead, 31) LOOP
        IF public.outbox_add_partition(today + ahead) THEN
            created := created + 1;
        END IF;
    END LOOP;

    SELECT c.relname INTO partition
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.outbox'::regclass
        AND c.relname ~ '^outbox_[0-9]{8}$'
        AND to_date(right(c.relname, 8), 'YYYYMMDD') < oldest_kept
    ORDER BY c.relname
    LIMIT 1;
    IF FOUND THEN
        EXECUTE format('SELECT coalesce(max(id), 0) FROM public.%I', partition) INTO newest_id;
        IF newest_id <= floor_id THEN
            EXECUTE format('DROP TABLE public.%I', partition);
            dropped := 1;
        END IF;
    END IF;
    DELETE FROM public.outbox_default
    WHERE id <= floor_id AND inserted_at < oldest_kept::timestamp AT TIME ZONE 'UTC';
END $$;

-- How far the relay has come. Every id up to `floor` is done with; of those above it, the ids in `published` are.
-- The row is rewritten often and no index holds what changes, so with room on its page the new version stays beside
-- the old one (HOT): nothing is added to the index, and the next write clears the old versions away without a vacuum.
CREATE TABLE outbox_progress (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    floor bigint NOT NULL,
    published int8multirange NOT NULL,
    -- raised by each new leader: what an older leader still writes finds no row
    epoch bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO outbox_progress (floor, published, epoch) VALUES (0, '{}', 0);

-- Functions may be called by everybody unless one says otherwise.
REVOKE EXECUTE ON FUNCTION outbox_index_partition, outbox_add_partition, outbox_maintain_partitions FROM PUBLIC;

SELECT outbox_maintain_partitions(3, 30);
