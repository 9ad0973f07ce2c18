//! Inventory owns what is sold, how many pieces there are, and what is reserved of them.
//!
//! Start at [`reserve()`]: all lines of an order or none, and the same order gets the same answer for ever. The rule for
//! who gets what is the pure function `decide` in `reservation`.
//!
//! Invariant: inventory never ends a reservation by itself; only the order's owner decides an order.
//! Invariant: locks are taken on stock first, by SKU, and on the reservation last, so that no two calls wait for each
//! other.

mod config;
mod error;
mod grpc;
mod product;
mod release;
mod reservation;
mod reserve;
mod restock;
mod seed;
mod store;

pub use config::Config;
pub use error::InventoryError;
pub use product::{PRICE_MINOR_MAX, Product, ProductDetails};
pub use release::release;
pub use reservation::{Answer, LINES_MAX, Line, PricedLine, Refusal, Reserve};
pub use reserve::reserve;
pub use restock::{Delivery, Restocked, restock};
pub use seed::{Catalogue, seed};

use contracts::inventory::v1::inventory_service_server::InventoryServiceServer;
use service_runtime::{
    Error, Shutdown, database,
    ops::{self, Readiness},
};
use sqlx::{PgPool, migrate::Migrator};
use tonic::service::Routes;

/// The tables of inventory.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/inventory");

/// Serves until the end is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    let pool = database::connect(&config.database).await?;
    ops::serve(&config.ops, Readiness::Database(pool.clone()), &shutdown).await?;
    rpc::server::serve(config.listen_addr, routes(pool, &shutdown), &shutdown).await
}

/// The calls that inventory answers.
pub fn routes(pool: PgPool, shutdown: &Shutdown) -> Routes {
    Routes::new(InventoryServiceServer::new(grpc::Inventory::new(pool, shutdown.clone())))
}
