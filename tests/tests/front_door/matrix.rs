//! Every operation × every way to be wrong: each is refused with the status that it deserves, and nothing is changed.

use futures::{StreamExt, stream};
use journeys::{customer::Customer, platform::Platform};
use serde_json::Value;

use crate::{
    interface::Interface,
    request::Names,
    state::State,
    wrong::{self, Case},
};

/// The fewest cases that are enough for every route there is. Fewer mean that the document lost what they are made of.
const CASES_MIN: usize = 400;

/// Requests that are sent at once.
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_is_refused_by_its_name_and_changes_nothing() {
    let platform = Platform::start().await;
    let interface = Interface::of(&platform).await;
    // without an address no parcel moves on by itself while we look
    let customer = Customer::register_without_address(&platform).await;
    let operator = Customer::operator(&platform).await;
    let order = customer.order_a_mug().await.expect(201).order_id();
    let names = Names::from([("id", order), ("sku", "mug".to_owned()), ("code", "invalid".to_owned())]);
    let before = State::settled(&platform).await;

    let cases: Vec<(String, Case)> = interface
        .operations
        .iter()
        .flat_map(|operation| {
            let token = if operation.roles().contains(&"customer") { customer.token() } else { operator.token() };
            let cases = wrong::cases(operation, &names, token);
            cases.into_iter().map(|case| (format!("{} {}: {}", operation.method, operation.path, case.what), case))
        })
        .collect();
    assert!(cases.len() >= CASES_MIN, "only {} cases", cases.len());
    println!("{} operations, {} cases", interface.operations.len(), cases.len());

    let mistakes: Vec<String> = stream::iter(cases)
        .map(|(what, case)| {
            let (customer, operator) = (&customer, &operator);
            async move {
                let answer = case.request.send(customer, operator).await;
                let mistakes = mistakes(&case, answer.status.as_u16(), &answer.content_type, &answer.json());
                mistakes.map(|mistake| format!("{what}: {mistake}"))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |mistake| mistake)
        .collect()
        .await;
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));

    let after = State::now(&platform).await;
    assert_eq!(after.changed_since(&before), Vec::<&str>::new());
}

/// What is wrong with the answer.
fn mistakes(case: &Case, status: u16, content_type: &str, problem: &Value) -> Option<String> {
    if status != case.status {
        return Some(format!("{status} instead of {}: {problem}", case.status));
    }
    if content_type != "application/problem+json" {
        return Some(format!("told as {content_type:?}"));
    }
    if problem["code"] != case.code || problem["type"] != format!("/problems/{}", case.code) {
        return Some(format!("not {}: {problem}", case.code));
    }
    if problem["status"] != status || problem["trace_id"].as_str().is_none_or(|id| id.len() != 32) {
        return Some(format!("no whole problem: {problem}"));
    }
    let text = problem.to_string();
    if let Some(leak) =
        ["SELECT", "INSERT", "sqlx", "panicked", "src/", ".rs:", "tonic"].iter().find(|leak| text.contains(**leak))
    {
        return Some(format!("it tells {leak}: {text}"));
    }
    let pointer = case.pointer.as_ref()?;
    let errors = problem["errors"].as_array().into_iter().flatten();
    // what is too short may be told at its part as well
    let is_told = errors.filter_map(|error| error["pointer"].as_str()).any(|told| told.starts_with(pointer.as_str()));
    (!is_told).then(|| format!("{pointer:?} is not named: {problem}"))
}
