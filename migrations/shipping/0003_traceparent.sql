-- the trace in which the shipment was made: what time does to it later belongs to it
ALTER TABLE shipment ADD COLUMN traceparent TEXT;
