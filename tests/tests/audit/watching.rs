//! `postbox audit --watch`.

use testkit::{SOON, eventually};

use crate::shop::Shop;

#[tokio::test]
async fn a_watch_tells_when_a_promise_is_broken_and_when_it_is_mended() {
    let shop = Shop::open().await;
    let address = format!("127.0.0.1:{}", local_servers::ports::free_run(1).expect("a port is free"));
    let watch =
        shop.command_line.start(&["audit", "--watch", "--every", "1s", "--listen", &address, "--grace-ms", "30000"]);
    let shows = async |line: &str| {
        let Ok(answer) = reqwest::get(format!("http://{address}/metrics")).await else { return false };
        answer.text().await.is_ok_and(|text| text.lines().any(|shown| shown == line))
    };
    eventually(SOON * 3, "the first audit is done", async || {
        shows("postbox_violations{promise=\"5\"} 0").await && shows("postbox_audit_checked{promise=\"5\"} 6").await
    })
    .await;
    drop(watch);

    let watch =
        shop.command_line.start(&["audit", "--watch", "--every", "1s", "--listen", &address, "--grace-ms", "500"]);
    shop.sql("inventory", "UPDATE stock SET available = available - 1, reserved = reserved + 1 WHERE sku = 'tee'")
        .await;
    eventually(SOON * 2, "it is told", async || shows("postbox_violations{promise=\"5\"} 1").await).await;
    eventually(SOON, "it is printed", async || watch.said().contains("VIOLATION product tee")).await;
    shop.sql("inventory", "UPDATE stock SET available = available + 1, reserved = reserved - 1 WHERE sku = 'tee'")
        .await;
    eventually(SOON * 2, "it is told", async || shows("postbox_violations{promise=\"5\"} 0").await).await;
}
