//! Two customers × every operation: what is the one's is not there for the other.

use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
};
use serde_json::Value;
use testkit::{SOON, eventually};

use crate::{
    interface::{Interface, Operation},
    request::{Names, Request, Who},
};

/// A word that stands in everything that the owner wrote.
const MARK: &str = "zebra-crossing";

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_tells_a_customer_anything_of_another_or_changes_it() {
    let platform = Platform::start().await;
    let interface = Interface::of(&platform).await;
    let (owner, stranger) = (marked(&platform).await, Customer::register(&platform).await);
    let operator = Customer::operator(&platform).await;
    let order = owner.order_a_mug().await.expect(201).order_id();
    let names =
        |id: &str| Names::from([("id", id.to_owned()), ("sku", "mug".to_owned()), ("code", "invalid".to_owned())]);
    let told = async || owner.get("/v1/messages").await.expect(200).json()["items"][0]["order_id"] == order;
    eventually(SOON, "the owner has a message", told).await;
    let private = [order.clone(), owner.account_id(), MARK.to_owned()];
    let before = owner.read_order(&order).await;

    let mut asked = 0;
    // who has himself erased is nobody's stranger any more
    let asking = |operation: &&Operation| operation.roles().contains(&"customer") && operation.id != "eraseAccount";
    for operation in interface.operations.iter().filter(asking) {
        let ask = async |id: &str| {
            let mut request = Request::right(operation, &names(id));
            request.who = Who::Customer;
            request.send(&stranger, &operator).await
        };
        let answer = ask(&order).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        if names_something(operation) {
            assert_eq!(answer.status.as_u16(), 404, "{}: {text}", operation.id);
            // what is another's and what does not exist cannot be told apart
            let unknown = new_key();
            let nowhere = ask(&unknown).await;
            assert_eq!(without(&order, answer.json()), without(&unknown, nowhere.json()), "{}", operation.id);
        } else {
            let leaks: Vec<&String> = private.iter().filter(|word| text.contains(word.as_str())).collect();
            assert!(leaks.is_empty(), "{} tells {leaks:?}: {text}", operation.id);
        }
        asked += 1;
    }
    assert!(asked >= 9, "only {asked} operations for customers");
    let after = owner.read_order(&order).await;
    assert_eq!((&after["status"], &after["payment"]), (&before["status"], &before["payment"]));
}

/// Somebody whose name and address hold the mark.
async fn marked(platform: &Platform) -> Customer {
    let owner = Customer::register(platform).await;
    let address = serde_json::json!({"line1": MARK, "city": MARK, "postal_code": "1", "country": "DE"});
    owner.send(reqwest::Method::PUT, "/v1/accounts/me/address", None, Some(address)).await.expect(200);
    owner
}

/// Whether its path names a thing that somebody owns.
fn names_something(operation: &Operation) -> bool {
    operation.path.contains("{id}")
}

/// The problem but for its trace, and for the id that was asked for.
fn without(id: &str, mut problem: Value) -> String {
    problem["trace_id"] = Value::Null;
    problem.to_string().replace(id, "")
}
