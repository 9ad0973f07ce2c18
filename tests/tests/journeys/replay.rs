//! An operator mends what was damaged, with `postbox replay`, while the platform goes on.

use journeys::{command_line::CommandLine, customer::Customer, platform::Platform};
use testkit::{SOON, eventually};

#[tokio::test]
async fn damaged_figures_and_lost_parcels_are_mended_while_the_platform_goes_on() {
    let platform = Platform::start().await;
    let (customer, postbox) = (Customer::register(&platform).await, CommandLine::of(&platform));
    for _ in 0..3 {
        customer.order_a_mug().await.expect(201);
    }
    eventually(SOON, "all is heard", async || {
        number(&platform, "shipping", "SELECT count(*) FROM shipment").await == 3
            && number(&platform, "analytics", "SELECT coalesce(sum(quantity), 0)::bigint FROM product_minute").await
                == 3
    })
    .await;

    let damage = "DELETE FROM timeline; UPDATE product_minute SET quantity = 77; DELETE FROM sales_minute";
    sqlx::raw_sql(damage).execute(platform.database("analytics")).await.expect("the owner may do that");
    let mending = postbox.start(&["replay", "analytics.count", "--from", "beginning", "--json"]);
    customer.order_a_mug().await.expect(201);
    let said = mending.succeeds().await;
    assert!(said.lines().last().is_some_and(|line| line.starts_with(r#"{"step":"done""#)), "{said}");
    eventually(SOON, "the figures are the truth, the new order among them", async || {
        number(&platform, "analytics", "SELECT coalesce(sum(quantity), 0)::bigint FROM product_minute").await == 4
            && number(&platform, "analytics", "SELECT coalesce(sum(orders), 0)::bigint FROM sales_minute").await == 4
    })
    .await;

    // as after a backup that is older than the parcels: neither they nor their letters are there
    eventually(SOON, "the fourth parcel", async || {
        number(&platform, "shipping", "SELECT count(*) FROM shipment").await == 4
    })
    .await;
    let loss = "DELETE FROM shipment; DELETE FROM outbox";
    sqlx::raw_sql(loss).execute(platform.database("shipping")).await.expect("the owner may do that");
    let said = postbox.start(&["replay", "shipping.prepare-parcels", "--from", "beginning"]).succeeds().await;
    assert!(said.contains("replaying shipping.prepare-parcels (effect)") && said.contains("done: "), "{said}");
    eventually(SOON, "the parcels are made again", async || {
        number(&platform, "shipping", "SELECT count(*) FROM shipment").await == 4
    })
    .await;

    let unknown = postbox.start(&["replay", "nobody.knows", "--from", "beginning"]).fails_with(64).await;
    assert!(unknown.contains("there is no consumer group `nobody.knows`"), "{unknown}");
    let unknown = postbox.start(&["replay", "shipping.knows", "--from", "beginning"]).fails_with(64).await;
    assert!(unknown.contains("it has: shipping.prepare-parcels"), "{unknown}");
}

async fn number(platform: &Platform, database: &str, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(platform.database(database)).await.expect("the tables are there")
}
