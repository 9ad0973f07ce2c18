//! Where nothing is wrong.

use crate::shop::Shop;

#[tokio::test]
async fn a_platform_where_all_kinds_of_orders_were_placed_keeps_every_promise() {
    let shop = Shop::open().await;
    let rows = shop.audited().await;
    assert_eq!(rows.all().len(), 16);
    for row in rows.all() {
        assert_eq!(row["violations"], 0, "{row}");
        assert!(row["checked"].as_u64() > Some(0), "{row}");
    }
}

#[tokio::test]
async fn people_are_shown_a_table_and_told_what_was_not_checked() {
    let shop = Shop::open().await;
    let printed = shop.command_line.start(&["audit"]).succeeds().await;
    assert!(printed.contains("one Idempotency-Key, one order"), "{printed}");
    assert!(printed.contains("the payment ledger sums to zero"), "{printed}");
    let acknowledged = printed.lines().find(|line| line.contains("kill -9")).expect("a row for each promise");
    assert!(acknowledged.split_whitespace().rev().take(2).all(|count| count == "0"), "{acknowledged}");
    assert!(printed.contains("no journal to compare with"), "{printed}");
}

#[tokio::test]
async fn a_journal_that_is_none_is_refused_and_a_platform_that_is_away_is_unreachable() {
    let mut shop = Shop::open().await;
    let broken = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(broken.path(), "{}\n").expect("it can be written");
    let path = broken.path().to_str().expect("a plain path");
    let refused = shop.command_line.start(&["audit", "--journal", path]).fails_with(64).await;
    assert!(refused.contains("line 1 is no acknowledgement"), "{refused}");

    shop.platform.stop("psp").await;
    let refused = shop.command_line.start(&["audit"]).fails_with(69).await;
    assert!(refused.contains("the card network's books cannot be read"), "{refused}");
}
