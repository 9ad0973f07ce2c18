//! The only place where a topic is spelled. The table in this crate's README tells who writes and who reads each.

/// A Kafka topic of the platform. Messages of one key keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic {
    name: &'static str,
    source: &'static str,
}

impl Topic {
    /// The name, `<domain>.<entity>.v<N>`.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The CloudEvents source of every letter on it: the service that owns it.
    pub const fn source(self) -> &'static str {
        self.source
    }
}

/// Every change of an order, keyed by the order's id.
pub const ORDERS: Topic = Topic { name: "orders.order.v1", source: "/order" };

/// Every change of a shipment, keyed by the order's id.
pub const SHIPMENTS: Topic = Topic { name: "shipping.shipment.v1", source: "/shipping" };

/// Every topic of the platform.
pub const ALL: [Topic; 2] = [ORDERS, SHIPMENTS];

/// Partitions of each topic. They never grow: keys would move, and with them their order. A bigger topic is a `v2`.
pub const PARTITIONS: i32 = 6;
