//! A customer has his account erased: nobody knows any more who he was, his orders are counted as before, and what he had paid for
//! and could not be sent is paid back.

use std::path::Path;

use contracts::{
    event::Payload,
    events::v1::AccountErased,
    topics::{ACCOUNTS, ORDERS},
};
use journeys::{
    command_line::CommandLine,
    customer::{Customer, new_key},
    letters, network,
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{SOON, eventually, places_with};

/// What somebody tells of himself, in words that stand for nothing else.
const EMAIL: &str = "Quillfeather@Lighthouse.example";
const PASSWORD: &str = "marmalade-skies-1887";
const WORDS: [&str; 11] = [
    "Quillfeather",
    "Lighthouse",
    "Adelheid",
    "marmalade",
    "Wickerwood",
    "Umbersand",
    "UMB 4471",
    "Gooseberry",
    "Orrery",
    "Thistledown",
    "THI 9920",
];

fn person() -> Value {
    let home = json!({"line1": "7 Wickerwood Close", "city": "Umbersand", "postal_code": "UMB 4471", "country": "GB"});
    json!({"email": EMAIL, "password": PASSWORD, "name": "Adelheid Quillfeather", "address": home})
}

fn next_home() -> Value {
    json!({
        "line1": "12 Gooseberry Mews", "line2": "Behind the Orrery",
        "city": "Thistledown", "postal_code": "THI 9920", "country": "GB",
    })
}

#[tokio::test]
async fn nothing_tells_who_an_erased_customer_was_and_his_orders_are_counted_as_before() {
    // no parcel leaves while somebody looks
    let platform = Platform::start_with(testkit::kafka(), &[("shipping", "DISPATCH_AFTER", "86400")]).await;
    let operator = Customer::operator(&platform).await;
    let customer = Customer::register_as(&platform, person()).await;
    let account = customer.account_id();

    let prepared = customer.order_a_mug().await.expect(201).order_id();
    customer.send(Method::PUT, "/v1/accounts/me/address", None, Some(next_home())).await.expect(200);
    let by_letter = customer.order_by_letter(&new_key(), "tee", 1, "tok_visa").await.expect(202).order_id();
    customer.order(&new_key(), "mug", 1, "tok_declined").await.expect(402);
    let cancelled = customer.order_a_mug().await.expect(201).order_id();
    customer.cancel(&new_key(), &cancelled).await.expect(200);
    let is_shipped = async |id: &str, status: &str| customer.read_order(id).await["shipment"]["status"] == status;
    for id in [&prepared, &by_letter] {
        eventually(SOON, "its parcel is prepared", async || is_shipped(id, "PREPARING").await).await;
    }
    operator.send(Method::POST, &format!("/v1/orders/{by_letter}/dispatch"), None, None).await.expect(200);
    eventually(SOON, "it is on its way", async || is_shipped(&by_letter, "DISPATCHED").await).await;
    eventually(SOON, "everybody has heard, and the customer of all of it", async || {
        let (counted, due) = (sales(&operator).await, messages(&platform, "DUE").await);
        (counted.0, counted.2, due) == (3, 1, 0) && messages(&platform, "SENT").await >= 6
    })
    .await;
    let before = sales(&operator).await;
    let listed = async |who: &Customer, query: &str| -> Vec<Value> {
        let page = who.get(&format!("/v1/orders{query}")).await.expect(200).json();
        page["items"].as_array().expect("a list").clone()
    };
    let orders = listed(&customer, "").await;

    // what is looked for is there, in one place: accounts
    let found = places(&platform).await;
    assert!(found.iter().any(|place| place.ends_with(": Quillfeather")), "{found:?}");
    assert!(found.iter().all(|place| place.starts_with("accounts ")), "{found:?}");

    customer.erase().await;
    customer.erase().await; // nothing is left to erase

    let left = places(&platform).await;
    assert!(left.is_empty(), "{left:?}");
    eventually(SOON, "it is told", async || {
        letters::of(&platform.kafka, ACCOUNTS, &account).await.iter().any(|it| it.event_type == AccountErased::TYPE)
    })
    .await;
    for (topic, message) in letters::raw(&platform.kafka).await {
        assert_none(&format!("a message on {topic}"), &message);
    }
    assert!(!letters::on(&platform.kafka, ORDERS).await.is_empty(), "there are letters to look at");
    files(platform.folder(), &mut |path: &Path, bytes: &[u8]| assert_none(&path.display().to_string(), bytes));

    // the token proves nobody any more, as far as anybody asks
    for (method, path, body) in
        [(Method::GET, "/v1/accounts/me", None), (Method::PUT, "/v1/accounts/me/address", Some(next_home()))]
    {
        let refused = customer.send(method, path, None, body).await.expect(401);
        assert_eq!(refused.json()["code"], "unauthenticated");
    }
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    let nobody = Customer::nobody(&platform);
    let unknown = json!({"email": "nobody@lighthouse.example", "password": PASSWORD});
    let refused = nobody.send(Method::POST, "/v1/tokens", None, Some(credentials)).await.expect(401).json();
    let not_known = nobody.send(Method::POST, "/v1/tokens", None, Some(unknown)).await.expect(401).json();
    assert_eq!((&refused["code"], &refused["detail"]), (&not_known["code"], &not_known["detail"]));

    // orders are what they were, for whoever counts them
    assert_eq!(listed(&operator, &format!("?customer_id={account}")).await, orders);
    assert_eq!(sales(&operator).await, before);
    assert!(is_shipped(&prepared, "PREPARING").await && is_shipped(&by_letter, "DISPATCHED").await);

    // and the email is anybody's
    let next = Customer::register_as(&platform, person()).await;
    assert_ne!(next.account_id(), account);
    assert!(listed(&next, "").await.is_empty());
    assert!(next.get("/v1/messages").await.expect(200).json()["items"].as_array().is_some_and(Vec::is_empty));
}

#[tokio::test]
async fn what_could_not_be_sent_yet_is_paid_back_and_no_order_waits_for_nobody() {
    let mut platform = Platform::start().await;
    let operator = Customer::operator(&platform).await;
    let customer = Customer::register_without_address(&platform).await;
    let available = customer.available("mug").await;
    let waiting = customer.order_a_mug().await.expect(201).order_id();
    eventually(SOON, "it waits for an address", async || {
        customer.read_order(&waiting).await["shipment"]["status"] == "AWAITING_ADDRESS"
    })
    .await;

    // shipping hears of it later
    platform.kill("shipping").await;
    customer.erase().await;
    // the token is still good for an order, through both doors
    let telephone = customer.order_a_mug().await.expect(201).order_id();
    let letter = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
    platform.start_again("shipping").await;

    for id in [&waiting, &telephone, &letter] {
        let order = operator.order_with_status(id, "CANCELLED").await;
        assert_eq!((&order["reason"], &order["payment"]["status"]), (&json!("CUSTOMER_REQUEST"), &json!("REFUNDED")));
        assert_eq!(order["shipment"]["status"], "CANCELLED");
        let account = network::account(&platform, id).await;
        assert_eq!((account.captures, account.kept_minor), (1, 0));
        assert_eq!(network::kept_by_ledger(&platform, id).await, 0);
        let whole = ["order.completed", "order.cancelling", "order.cancelled"];
        eventually(SOON, "it is told as every cancel is", async || {
            let told = letters::of(&platform.kafka, ORDERS, id).await.into_iter().map(|letter| letter.event_type);
            told.filter(|told| whole.contains(&told.as_str())).eq(whole)
        })
        .await;
    }
    eventually(SOON, "the mugs are back, and it is counted", async || {
        let counted = sales(&operator).await;
        (counted.0, counted.2) == (3, 3) && operator.available("mug").await == available
    })
    .await;
    eventually(SOON, "nobody waits, for an address or to be written to", async || {
        let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM address_question")
            .fetch_one(platform.database("shipping"))
            .await
            .expect("shipping has its table");
        asked + messages(&platform, "DUE").await == 0 && messages(&platform, "FAILED").await >= 3
    })
    .await;
    let why: Vec<String> = sqlx::query_scalar("SELECT DISTINCT failure FROM message WHERE state = 'FAILED'")
        .fetch_all(platform.database("notifications"))
        .await
        .expect("notification has its table");
    assert_eq!(why, ["the account was erased"]);
    CommandLine::of(&platform).start(&["audit"]).succeeds().await;
}

#[tokio::test]
async fn an_operator_is_not_erased_by_a_token() {
    let platform = Platform::start().await;
    let operator = Customer::operator(&platform).await;
    let refused = operator.send(Method::DELETE, "/v1/accounts/me", None, None).await.expect(403);
    assert_eq!(refused.json()["code"], "forbidden");
    Customer::operator(&platform).await;
    Customer::nobody(&platform).send(Method::DELETE, "/v1/accounts/me", None, None).await.expect(401);
}

/// Completed orders, what they were sold for, cancelled ones, and what was given back for them.
async fn sales(operator: &Customer) -> (i64, i64, i64, i64) {
    let sales = operator.get("/v1/analytics/sales?window=1h").await.expect(200).json();
    let windows = sales["items"].as_array().expect("a list").clone();
    let sum = |pointer: &str| windows.iter().filter_map(|window| window.pointer(pointer)?.as_i64()).sum::<i64>();
    (sum("/orders"), sum("/revenue/amount_minor"), sum("/cancelled_orders"), sum("/refunded/amount_minor"))
}

/// How many messages stand so.
async fn messages(platform: &Platform, state: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM message WHERE state = $1")
        .bind(state)
        .fetch_one(platform.database("notifications"))
        .await
        .expect("notification has its table")
}

/// Every place of every database that holds one of the words, and what the planner remembers of them.
async fn places(platform: &Platform) -> Vec<String> {
    let mut places = Vec::new();
    for name in platform.database_urls().keys() {
        let database = platform.database(name);
        sqlx::query("ANALYZE").execute(database).await.expect("the owner may");
        places.extend(places_with(database, &WORDS).await.into_iter().map(|place| format!("{name} {place}")));
    }
    places
}

/// Every file in a folder and those in it.
fn files(folder: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in folder.read_dir().expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            files(&path, look);
        } else {
            look(&path, &std::fs::read(&path).expect("it can be read"));
        }
    }
}

fn assert_none(place: &str, bytes: &[u8]) {
    for word in WORDS {
        let is_there = bytes.windows(word.len()).any(|bytes| bytes.eq_ignore_ascii_case(word.as_bytes()));
        assert!(!is_there, "{word} is in {place}");
    }
}
