//! 13, 14: who is let in, and who answers.

use crate::{breakage::Breakage, operator_for_all, shop::Shop};

/// Nobody reads or changes another's order: whoever asks is taken for the operator.
pub async fn ownership(shop: &Shop) -> Vec<Breakage> {
    let door = operator_for_all::open(&shop.platform).await;
    let open = Breakage::misled(shop, &door);
    let finds = [
        ["GET /v1/orders/", "/timeline: a stranger is answered 200"],
        ["GET /v1/orders/", "/events: a stranger is answered 200"],
        // after the two that begin like it
        ["GET /v1/orders/", "a stranger is answered 200"],
        ["POST /v1/orders/", "/cancel: a stranger is answered 409"],
        ["POST /v1/orders/", "/dispatch: a stranger is answered 409"],
        ["GET /v1/analytics/sales", "a stranger is answered 200"],
        ["GET /v1/analytics/top-products", "a stranger is answered 200"],
        ["GET /v1/analytics/live", "a stranger is answered 200"],
        ["GET /v1/orders: ", "a stranger is shown order"],
    ];
    vec![finds.iter().fold(open, |open, words| open.fires(13, words))]
}

/// Everybody answers. Payment is silent, which has no letters to read meanwhile.
pub fn silence(shop: &Shop) -> Vec<Breakage> {
    vec![Breakage::silent(shop, "payment").fires(14, &["payment", "is not there after 1000 ms"])]
}
