//! The modules that the build makes from the protos, and the conversions between them and our own types.

#![expect(missing_docs, clippy::all, clippy::pedantic, reason = "generated; the protos are the documentation")]

/// Every proto file in encoded form, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub mod money {
    pub mod v1 {
        tonic::include_proto!("money.v1");
    }
}

pub mod problem {
    pub mod v1 {
        tonic::include_proto!("problem.v1");
    }
}

pub mod order {
    pub mod v1 {
        tonic::include_proto!("order.v1");
    }
}

pub mod inventory {
    pub mod v1 {
        tonic::include_proto!("inventory.v1");
    }
}

pub mod payment {
    pub mod v1 {
        tonic::include_proto!("payment.v1");
    }
}

pub mod accounts {
    pub mod v1 {
        tonic::include_proto!("accounts.v1");
    }
}

pub mod shipping {
    pub mod v1 {
        tonic::include_proto!("shipping.v1");
    }
}

pub mod notification {
    pub mod v1 {
        tonic::include_proto!("notification.v1");
    }
}

pub mod analytics {
    pub mod v1 {
        tonic::include_proto!("analytics.v1");
    }
}

pub mod events {
    pub mod v1 {
        tonic::include_proto!("events.v1");
    }
}
