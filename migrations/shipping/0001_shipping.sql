-- One parcel for each completed order. That there is only one is the primary key: a letter that comes again finds it.
CREATE TABLE shipment (
    order_id UUID PRIMARY KEY,
    shipment_id UUID NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('PREPARING', 'DISPATCHED', 'DELIVERED')),
    -- counts this shipment's letters; each change of the row is one letter and is made by compare-and-set on it
    version BIGINT NOT NULL DEFAULT 1 CHECK (version > 0),
    -- when it moves on by itself, by this database's clock; null when it has arrived
    due_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT shipment_moves_on_until_delivered CHECK ((status = 'DELIVERED') = (due_at IS NULL))
);

-- what is due is asked for all the time; what has arrived is not in it
CREATE INDEX shipment_due ON shipment (due_at) WHERE due_at IS NOT NULL;
