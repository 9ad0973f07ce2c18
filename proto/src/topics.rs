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

/// What inventory answered to orders that were placed by letter, keyed by the order's id.
pub const RESERVATIONS: Topic = Topic { name: "inventory.reservation.v1", source: "/inventory" };

/// What payment answered to orders that were placed by letter, keyed by the order's id.
pub const PAYMENTS: Topic = Topic { name: "payments.payment.v1", source: "/payment" };

/// That an account changed, keyed by the account's id; not what changed.
pub const ACCOUNTS: Topic = Topic { name: "accounts.account.v1", source: "/accounts" };

/// Every change of a shipment, keyed by the order's id.
pub const SHIPMENTS: Topic = Topic { name: "shipping.shipment.v1", source: "/shipping" };

/// Completed orders whose total is high, keyed by the order's id. Written in Kafka transactions: read it with
/// `isolation.level=read_committed`.
pub const HIGH_VALUE_ORDERS: Topic = Topic { name: "analytics.high-value-order.v1", source: "/analytics" };

/// Every topic of the platform.
pub const ALL: [Topic; 6] = [ORDERS, RESERVATIONS, PAYMENTS, ACCOUNTS, SHIPMENTS, HIGH_VALUE_ORDERS];

/// Partitions of each topic. They never grow: keys would move, and with them their order. A bigger topic is a `v2`.
pub const PARTITIONS: i32 = 6;
