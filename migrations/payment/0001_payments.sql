-- One row per order that was asked to be charged or voided. It is written before the card network is called, so that a
-- crash at any moment leaves a trace of what may have been captured.
CREATE TABLE payments (
    order_id UUID PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN
        ('ATTEMPTING', 'CAPTURED', 'DECLINED', 'UNKNOWN_CARD', 'VOIDING', 'VOIDED')),
    -- every change is made by compare-and-set on it
    version BIGINT NOT NULL DEFAULT 1,
    -- null when the order was voided before anybody asked to charge it
    amount_minor BIGINT CHECK (amount_minor >= 0),
    currency TEXT,
    -- SHA-256 over order and card token: tells another card from the same one; the token itself is never stored
    card_fingerprint BYTEA,
    -- the card network's time of capture; stays when the capture is voided
    captured_at TIMESTAMPTZ,
    decline_reason TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT payment_terms_are_whole CHECK (
        num_nulls(amount_minor, currency, card_fingerprint) IN (0, 3)),
    CONSTRAINT payment_terms_when_charged CHECK (
        amount_minor IS NOT NULL OR state IN ('VOIDING', 'VOIDED')),
    CONSTRAINT payment_captured_at_when_captured CHECK (
        captured_at IS NOT NULL OR state <> 'CAPTURED'),
    CONSTRAINT payment_reason_when_declined CHECK (
        decline_reason IS NOT NULL OR state <> 'DECLINED')
) WITH (fillfactor = 70); -- each row is updated soon after it was made: on the same page, no index is touched

-- The ledger, insert-only. One row moves one amount from one account to another, so all accounts together are always
-- zero. It is written in the statement that changes the payment.
CREATE TABLE transfers (
    order_id UUID NOT NULL REFERENCES payments (order_id),
    kind TEXT NOT NULL CHECK (kind IN ('CAPTURE', 'VOID')),
    debit_account TEXT NOT NULL,
    credit_account TEXT NOT NULL,
    amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- each movement once
    PRIMARY KEY (order_id, kind),
    CONSTRAINT transfer_between_two_accounts CHECK (debit_account <> credit_account)
);
