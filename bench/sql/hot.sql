-- One piece of one product, in a commit of its own.
UPDATE stock SET available = available - 1, reserved = reserved + 1 WHERE sku = 0 AND available >= 1;
