//! A running inventory with a database of its own.

use std::net::SocketAddr;

use contracts::{
    ids::{AccountId, OrderId},
    inventory::v1::{
        GetProductRequest, Product, PutProductRequest, ReleaseRequest, Reserve, ReserveLine, ReserveRequest,
        RestockRequest, RestockResponse, inventory_service_client::InventoryServiceClient, release_response,
        reserve_response,
    },
    money::v1::Money,
};
use rpc::Channel;
use service_runtime::{Shutdown, config::BatchConfig};
use testkit::{SOON, TestDatabase};
use tonic::Status;

/// Serves until it is dropped.
pub struct Shop {
    pub database: TestDatabase,
    pub client: InventoryServiceClient<Channel>,
    /// Who puts products on sale and receives deliveries.
    pub operator: AccountId,
    shutdown: Shutdown,
}

impl Shop {
    /// A shop that sells nothing yet, and hears no letters.
    pub async fn open() -> Self {
        let database = testkit::database("inventory", &[&operator_log::MIGRATOR, &inventory::MIGRATOR]).await;
        let shutdown = Shutdown::new();
        let [address] = testkit::free_addresses();
        let routes = inventory::routes(database.app.clone(), BatchConfig::default(), &shutdown);
        Self::serve(database, address, routes, shutdown).await
    }

    /// Opens when the calls are answered.
    pub async fn serve(database: TestDatabase, address: SocketAddr, routes: rpc::Served, shutdown: Shutdown) -> Self {
        let serving = shutdown.clone();
        tokio::spawn(async move { rpc::server::serve(address, routes, &serving).await.unwrap() });
        let channel = rpc::channel(&format!("http://{address}")).unwrap();
        let client = InventoryServiceClient::new(channel);
        let shop = Self { database, client, operator: AccountId::new(), shutdown };
        testkit::eventually(SOON, "inventory answers", async || {
            shop.try_product("no-such-product").await.is_err_and(|status| status.code() == tonic::Code::NotFound)
        })
        .await;
        shop
    }

    /// A shop that sells these: SKU, price in cents, pieces.
    pub async fn selling(products: &[(&str, i64, i64)]) -> Self {
        let shop = Self::open().await;
        shop.stock_up(products).await;
        shop
    }

    /// Sells these from now on: SKU, price in cents, pieces.
    pub async fn stock_up(&self, products: &[(&str, i64, i64)]) {
        for &(sku, cents, pieces) in products {
            self.put(sku, cents, "EUR").await.unwrap();
            if pieces > 0 {
                self.restock(&[(&format!("delivery of {sku}"), sku, pieces)]).await.unwrap();
            }
        }
    }

    pub async fn put(&self, sku: &str, price_minor: i64, currency: &str) -> Result<Product, Status> {
        let price = Money { amount_minor: price_minor, currency: currency.to_owned() };
        let request = PutProductRequest {
            sku: sku.to_owned(),
            name: format!("The {sku}"),
            price: Some(price),
            operator_id: self.operator.to_string(),
        };
        let response = self.client.clone().put_product(request).await?.into_inner();
        Ok(response.product.expect("an answer has a product"))
    }

    /// Deliveries: key, SKU, pieces.
    pub async fn restock(&self, deliveries: &[(&str, &str, i64)]) -> Result<RestockResponse, Status> {
        let request = |&(key, sku, quantity): &(&str, &str, i64)| RestockRequest {
            idempotency_key: key.to_owned(),
            sku: sku.to_owned(),
            quantity,
            operator_id: self.operator.to_string(),
        };
        let requests: Vec<_> = deliveries.iter().map(request).collect();
        Ok(self.client.clone().restock(futures::stream::iter(requests)).await?.into_inner())
    }

    async fn try_product(&self, sku: &str) -> Result<Product, Status> {
        let response = self.client.clone().get_product(GetProductRequest { sku: sku.to_owned() }).await?;
        Ok(response.into_inner().product.expect("an answer has a product"))
    }

    pub async fn product(&self, sku: &str) -> Product {
        self.try_product(sku).await.unwrap()
    }

    pub async fn available(&self, sku: &str) -> i64 {
        self.product(sku).await.available
    }

    /// Reserves for one order: SKU, pieces.
    pub async fn reserve(&self, order: OrderId, lines: &[(&str, u32)]) -> reserve_response::Outcome {
        self.try_reserve(order, lines).await.unwrap()
    }

    pub async fn try_reserve(
        &self,
        order: OrderId,
        lines: &[(&str, u32)],
    ) -> Result<reserve_response::Outcome, Status> {
        let line = |&(sku, quantity): &(&str, u32)| ReserveLine { sku: sku.to_owned(), quantity };
        let item = Reserve {
            order_id: order.to_string(),
            lines: lines.iter().map(line).collect(),
            traceparent: String::new(),
        };
        let mut outcomes = self.client.clone().reserve(ReserveRequest { items: vec![item] }).await?.into_inner();
        let response = outcomes.message().await?.expect("one item has one outcome");
        assert_eq!(response.order_id, order.to_string());
        assert!(outcomes.message().await?.is_none(), "one item has one outcome");
        Ok(response.outcome.expect("an outcome is one of those known"))
    }

    pub async fn release(&self, order: OrderId) {
        let outcome = self.try_release(order).await;
        assert!(matches!(outcome, Some(release_response::Outcome::Released(_))), "{outcome:?}");
    }

    pub async fn try_release(&self, order: OrderId) -> Option<release_response::Outcome> {
        let request = ReleaseRequest { order_ids: vec![order.to_string()] };
        let mut outcomes = self.client.clone().release(request).await.unwrap().into_inner();
        outcomes.message().await.unwrap().expect("one item has one outcome").outcome
    }

    /// Where the pieces of a product are: available, reserved, received.
    pub async fn stock(&self, sku: &str) -> (i64, i64, i64) {
        sqlx::query_as("SELECT available, reserved, received FROM stock WHERE sku = $1")
            .bind(sku)
            .fetch_one(&self.database.owner)
            .await
            .unwrap()
    }

    /// Where the pieces of a product are: available, reserved, sold.
    pub async fn pieces(&self, sku: &str) -> (i64, i64, i64) {
        sqlx::query_as("SELECT available, reserved, sold FROM stock WHERE sku = $1")
            .bind(sku)
            .fetch_one(&self.database.owner)
            .await
            .unwrap()
    }

    /// What operators have done, oldest first: who, what, on which object, and what is told of it.
    pub async fn operator_log(&self) -> Vec<(String, String, String, serde_json::Value)> {
        sqlx::query_as("SELECT operator, action, object, detail FROM operator_log ORDER BY id")
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    /// What is reserved of each product is what the orders hold of it, what is sold is what they bought, and nothing got
    /// lost.
    pub async fn assert_stock_adds_up(&self) {
        let wrong: Vec<(String, [i64; 6])> = sqlx::query_as(
            "SELECT sku, ARRAY[available, reserved, sold, received, held, settled]
             FROM (
                 SELECT stock.*,
                     coalesce(sum(line.quantity) FILTER (WHERE state = 'HELD'), 0)::bigint AS held,
                     coalesce(sum(line.quantity) FILTER (WHERE state = 'SETTLED'), 0)::bigint AS settled
                 FROM stock LEFT JOIN (
                     reservation CROSS JOIN jsonb_to_recordset(lines) AS line(sku text, quantity bigint)
                 ) ON line.sku = stock.sku
                 GROUP BY stock.sku
             ) AS counted
             WHERE reserved <> held OR sold <> settled OR available + reserved + sold <> received OR available < 0",
        )
        .fetch_all(&self.database.owner)
        .await
        .unwrap();
        assert!(wrong.is_empty(), "sku, available, reserved, sold, received, held, settled: {wrong:?}");
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}
