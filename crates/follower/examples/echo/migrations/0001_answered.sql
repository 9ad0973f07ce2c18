-- One row for each letter that was answered; that there is only one makes a letter that comes again change nothing.
CREATE TABLE answered (event_id UUID PRIMARY KEY);
