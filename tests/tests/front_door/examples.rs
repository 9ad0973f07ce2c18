//! Every operation is called as its own example says, and answers what it says that it answers.

use journeys::{customer::Customer, platform::Platform};
use serde_json::{Value, json};

use crate::{
    interface::{Interface, Operation},
    request::{Answer, Names, Request},
};

/// The operations in an order in which each finds what it needs; those that end something come last.
const LAST: [&str; 3] = ["dispatchOrder", "cancelOrder", "eraseAccount"];

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_taken_and_every_answer_is_as_described() {
    let platform = Platform::start().await;
    let interface = Interface::of(&platform).await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let mut operations: Vec<&Operation> = interface.operations.iter().collect();
    operations.sort_by_key(|operation| LAST.iter().position(|last| operation.id == *last));
    for operation in operations {
        let order = customer.order_a_mug().await.expect(201).order_id();
        customer.shipment_is(&order, "PREPARING").await;
        let names = Names::from([("id", order), ("sku", "mug".to_owned()), ("code", "invalid".to_owned())]);
        let request = Request::right(operation, &names);
        // an event stream does not end: its head is its answer here, and its events have tests of their own
        if operation.told_as() == Some("text/event-stream") {
            assert_eq!(request.open(&customer, &operator).await.status(), 200);
            continue;
        }
        let answer = request.send(&customer, &operator).await;
        assert!(answer.status.is_success(), "{}: {} {}", operation.id, answer.status, answer.json());
        assert_described(&interface, operation, &answer);
        // the same, wrongly: problems are described as well
        let wrong = Request { query: "no_such_parameter=1".to_owned(), ..request };
        assert_described(&interface, operation, &wrong.send(&customer, &operator).await);
    }
}

/// Its status is one that was described, its body is of the schema, and the headers that were named are there.
fn assert_described(interface: &Interface, operation: &Operation, answer: &Answer) {
    let (id, status) = (&operation.id, answer.status.as_u16().to_string());
    let described = &operation.described["responses"][&status];
    assert!(!described.is_null(), "{id} is not described to answer {status}");
    for name in described["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        // told only when it is why
        assert!(
            name == "preference-applied" || answer.headers.contains_key(name.as_str()),
            "{id} {status} has no {name}"
        );
    }
    let Some((media_type, content)) = described["content"].as_object().and_then(|content| content.iter().next()) else {
        assert!(answer.bytes.is_empty(), "{id} {status} is described without a body");
        return;
    };
    assert!(answer.content_type.starts_with(media_type.as_str()), "{id} {status} is {}", answer.content_type);
    if media_type.ends_with("json") {
        // what is described by nothing may be anything
        let mut schema = if content["schema"].is_object() { content["schema"].clone() } else { json!({}) };
        schema["components"] = interface.document["components"].clone();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        let validator = jsonschema::options().should_validate_formats(true).build(&schema);
        let validator = validator.unwrap_or_else(|error| panic!("{id} {status}: {error}"));
        let errors: Vec<String> = validator.iter_errors(&answer.json()).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{id} {status}: {errors:?} in {}", answer.json());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_3_1_and_says_what_each_operation_is_for() {
    let platform = Platform::start().await;
    let interface = Interface::of(&platform).await;
    assert_eq!(interface.document["openapi"], "3.1.0");
    let tags: Vec<&Value> = interface.document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for operation in &interface.operations {
        let id = &operation.id;
        assert!(operation.described["summary"].as_str().is_some_and(|text| !text.is_empty()), "{id} has no summary");
        assert!(tags.contains(&&operation.described["tags"][0]), "{id} has no tag that is described");
        assert!(operation.statuses().iter().any(|status| status.starts_with('2')), "{id} never goes well");
        assert!(operation.body().is_none_or(|body| body["schema"]["type"] == "object"), "{id} takes no object");
    }
    // what is everywhere is not forgotten in one place
    assert_eq!(interface.operation("placeOrder").roles(), ["customer"]);
    assert_eq!(interface.operation("getOrder").roles(), ["customer", "operator"]);
    assert_eq!(interface.operation("restock").roles(), ["operator"]);
    let page = Customer::nobody(&platform).get("/docs").await.expect(200);
    let page = String::from_utf8(page.bytes).unwrap();
    assert!(page.contains("/openapi.json"));
    let elsewhere: Vec<&str> = page.match_indices("src=\"http").map(|(at, _)| &page[at..at + 40]).collect();
    assert!(elsewhere.is_empty(), "the page loads {elsewhere:?}");
}
