-- Why the last attempt to carry the order on came to nothing, for operators. Forgotten when the order changes.
ALTER TABLE orders ADD COLUMN last_error TEXT;
