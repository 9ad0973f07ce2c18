//! Each check fires when what it is for is broken, alone, and not any more when that is mended.

use std::collections::BTreeSet;

use crate::{
    breakage::{assert_found, mend},
    breakages::{doors, effects, letters, money, orders, stock, work},
    orders::Orders,
    shop::Shop,
};

/// A violation is what still differs after 30 s, so every audit that finds one takes as long. Hence all that does not disturb
/// each other is broken at once, each on rows of its own, and each finding must be the one of one breakage.
#[tokio::test]
async fn each_check_fires_when_its_promise_is_broken_and_no_other_does() {
    let shop = Shop::open().await;
    let mut placed = Orders::place(&shop).await;
    let promises = shop.audited().await.numbers();
    let mut fired = BTreeSet::new();

    let mut breakages = orders::keys(&shop, &mut placed).await;
    breakages.extend(money::captures(&shop, &mut placed).await);
    breakages.extend(money::decisions(&shop, &mut placed).await);
    breakages.extend(money::refunds(&shop, &mut placed).await);
    breakages.extend(stock::products(&shop).await);
    breakages.extend(stock::reservations(&shop, &mut placed).await);
    breakages.extend(orders::late(&shop, &mut placed).await);
    breakages.extend(letters::events_and_changes(&shop, &mut placed).await);
    breakages.extend(effects::missing(&shop, &mut placed).await);
    breakages.extend(effects::unfounded(&shop, &mut placed).await);
    breakages.extend(letters::forgotten(&shop).await);
    breakages.extend(work::left_lying(&shop, &mut placed).await);
    breakages.extend(money::ledger(&shop, &mut placed).await);
    let (journal, acknowledgements) = orders::acknowledgements(&shop, &mut placed).await;
    breakages.extend(acknowledgements);
    let path = journal.path().to_str().expect("a plain path");
    fired.extend(assert_found(&shop.broken(&["--journal", path]).await, &breakages));
    mend(&shop, breakages).await;
    shop.audited().await;

    // the operator is shown everybody's orders: they must be whole
    let mut breakages = letters::vanished_poison(&shop).await;
    breakages.extend(doors::ownership(&shop).await);
    breakages.extend(doors::silence(&shop));
    fired.extend(assert_found(&shop.broken(&[]).await, &breakages));
    mend(&shop, breakages).await;
    shop.audited().await;

    let breakages = letters::order_of_events(&shop).await;
    fired.extend(assert_found(&shop.broken(&[]).await, &breakages));
    assert_eq!(fired, promises, "each promise has a breakage");
}
