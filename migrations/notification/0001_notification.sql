-- One message for each letter that a customer is told about. Its id is the letter's: a letter that comes again finds it. It
-- holds no name and no address; whom to write to is asked when it is sent.
CREATE TABLE message (
    message_id UUID PRIMARY KEY,
    customer_id UUID NOT NULL,
    order_id UUID NOT NULL,
    event_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'DUE' CHECK (state IN ('DUE', 'SENT', 'FAILED')),
    -- when it may be tried (again), by this database's clock; in the future while somebody is at it (the lease) and after
    -- an attempt that failed; null when nothing is left to do
    attempt_at TIMESTAMPTZ DEFAULT now(),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- attempts that ended in a final no; a limit on them ends in FAILED
    refusals INTEGER NOT NULL DEFAULT 0,
    -- why the last attempt failed; null while one is under way
    failure TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    sent_at TIMESTAMPTZ,
    CONSTRAINT message_is_tried_while_due CHECK ((state = 'DUE') = (attempt_at IS NOT NULL)),
    CONSTRAINT message_sent_has_a_time CHECK ((state = 'SENT') = (sent_at IS NOT NULL)),
    CONSTRAINT message_failed_has_a_reason CHECK (state <> 'FAILED' OR failure IS NOT NULL)
);

-- the worker asks for what is due all the time; most messages are sent and are not in it
CREATE INDEX message_due ON message (attempt_at) WHERE attempt_at IS NOT NULL;

-- a customer's messages, newest first, page by page
CREATE INDEX message_of_customer ON message (customer_id, created_at DESC, message_id DESC);
