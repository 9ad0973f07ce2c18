//! Shipments, the first follower.
