//! What every service process shares: configuration, telemetry, ops endpoints, database pool, graceful drain.
