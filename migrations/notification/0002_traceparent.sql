-- the trace of the letter, so that sending its message is a part of it
ALTER TABLE message ADD COLUMN traceparent TEXT;
