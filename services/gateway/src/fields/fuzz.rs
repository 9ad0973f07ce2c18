//! Bodies and queries as strangers may send them, judged by what is read and by what the interface is said to take.

use contracts::{
    accounts::v1::{Address, LoginRequest, RegisterRequest},
    money::Currency,
};
use jiff::Timestamp;
use jsonschema::Validator;
use serde_json::Value as Json;

use super::*;
use crate::{
    analytics::{SalesQuery, TopProductsQuery},
    orders::OrdersQuery,
    page::Page,
    place_order::OrderFields,
    products::{ProductFields, RestockFields},
};

const BODIES: [&str; 9] = [
    r#"{"email":"a@b","password":"12345678","name":"Ada","address":{"line1":"1 High Street","line2":null,"city":"Oxford","postal_code":"OX1","country":"GB"}}"#,
    r#"{"email":"kä@se\u00a0","password":"1234\u00847","name":""}"#,
    r#"{"line1":"1 High Street","line2":"","city":"Oxford","postal_code":"OX1","country":"gb"}"#,
    r#"{"lines":[{"sku":"mug","quantity":2},{"sku":"tee","quantity":1}],"payment":{"card_token":"tok_visa"}}"#,
    r#"{"lines":[{"sku":"mug","quantity":2.0},{"sku":"mug","quantity":10001}],"payment":{"card_token":"tok visa"},"price":1}"#,
    r#"{"name":"Mug","price":{"amount_minor":1250,"currency":"EUR"}}"#,
    r#"{"name":"Mug","name":"Tee","price":{"amount_minor":9223372036854775807,"currency":"EUX"}}"#,
    r#"{"quantity":1000000000}"#,
    r#"{"a/b~c":[1e309,-0,18446744073709551615,true,null]}"#,
];

const QUERIES: [&str; 9] = [
    "limit=20&cursor=abc",
    "limit=100&status=PENDING&customer_id=01936b1e-7c5a-7cc2-a3f1-0242ac120002",
    "limit=%2B7&status=pending&customer_id=01936B1E-7C5A-7CC2-A3F1-0242AC120002",
    "limit=007&cursor=%00",
    "window=1m&from=2026-11-21T09:00:00Z&to=2026-11-21T10:00:00.123456789%2B01:00",
    "window=1h&from=1970-01-01t00:00:00z&to=2200-01-01T00:00:00-00:00",
    "from=2026-11-21%2009:00:60Z&to=2026-11-21T09:00Z[UTC]&limit=5",
    "from=-000001-01-01T00:00:00Z&to=2026-W47-6T09Z",
    "%ff=2&limit=1&limit=1",
];

#[test]
fn a_body_is_taken_if_it_is_as_described_and_each_mistake_is_told_with_its_place() {
    let judges = [
        Judge::of::<RegisterRequest>(),
        Judge::of::<LoginRequest>(),
        Judge::of::<Address>(),
        Judge::of::<OrderFields>(),
        Judge::of::<ProductFields>(),
        Judge::of::<RestockFields>(),
        Judge::of::<Nothing>(),
    ];
    fuzzing::target!("bodies", &BODIES, |bytes| {
        // has a meaning of its own to the reader that we compare with, and none to ours
        if bytes.windows(21).any(|window| window == b"$serde_json::private:") {
            return;
        }
        let (tree, json) = (Tree::parse(bytes), serde_json::from_slice::<Json>(bytes));
        let (Ok(tree), Ok(json)) = (&tree, &json) else {
            return assert!(tree.is_err() && json.is_err(), "{tree:?} and {json:?}");
        };
        for judge in &judges {
            judge.judge(tree, json, |place| json.pointer(place));
        }
    });
}

#[test]
fn a_query_is_taken_if_it_is_as_described_and_each_mistake_is_told_with_its_place() {
    let judges = [
        Judge::of::<Page>(),
        Judge::of::<OrdersQuery>(),
        Judge::of::<SalesQuery>(),
        Judge::of::<TopProductsQuery>(),
        Judge::of::<Nothing>(),
    ];
    fuzzing::target!("queries", &QUERIES, |bytes| {
        let query = String::from_utf8_lossy(bytes);
        let tree = Tree::of_query(&query);
        let Tree::Object(pairs) = &tree else { panic!("a query is an object") };
        for judge in &judges {
            // a parameter is what its text is, or the number that its text says
            let numbers: Vec<&str> = judge.whole_numbers.iter().map(String::as_str).collect();
            let json = Json::Object(
                pairs.iter().map(|(name, text)| (name.clone(), parameter(&numbers, name, text))).collect(),
            );
            judge.judge(&tree, &json, |place| json.pointer(place));
        }
    });
}

/// The value of a parameter, as JSON.
fn parameter(numbers: &[&str], name: &str, text: &Tree) -> Json {
    let Tree::Text(text) = text else { panic!("a parameter is a text") };
    let is_number = numbers.contains(&name) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let number = if is_number { serde_json::from_str(text).ok() } else { None };
    number.unwrap_or_else(|| Json::String(text.clone()))
}

/// How one kind of request is judged.
struct Judge {
    mistakes: fn(&Tree) -> Vec<FieldError>,
    described: Validator,
    /// The parameters that are whole numbers.
    whole_numbers: Vec<String>,
}

impl Judge {
    fn of<T: FromFields>() -> Self {
        let shape = described::<T>();
        let is_number = |field: &&FieldShape| field.schema["type"] == "integer";
        let mut schema = shape.schema();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        Self {
            mistakes: |tree| read::<T>(tree).err().unwrap_or_default(),
            described: jsonschema::options().should_validate_formats(true).build(&schema).expect("a right schema"),
            whole_numbers: shape.fields.iter().filter(is_number).map(|field| field.name.to_owned()).collect(),
        }
    }

    /// Takes what is as described. What is not taken is not as described, or is one of the things that JSON schema has no word for.
    fn judge<'j>(&self, tree: &Tree, json: &'j Json, at: impl Fn(&str) -> Option<&'j Json>) {
        let mistakes = (self.mistakes)(tree);
        assert!(mistakes.len() <= ERRORS_MAX);
        let is_described = self.described.is_valid(json);
        if mistakes.is_empty() {
            let wrong: Vec<String> = self.described.iter_errors(json).map(|error| error.to_string()).collect();
            assert!(is_described, "taken, and not as described: {wrong:?}");
            return;
        }
        for FieldError { pointer, detail } in &mistakes {
            assert!(pointer.is_empty() || pointer.starts_with('/'), "{pointer}");
            assert!(at(pointer).is_some() || detail == "is missing", "{pointer} is nowhere");
        }
        let is_undescribed = |mistake: &FieldError| {
            let said = at(&mistake.pointer);
            mistake.detail == "must be there once"
                || mistake.detail.starts_with("must not be that of /lines/")
                // 2.0 and 1e2 are integers to JSON schema
                || said.is_some_and(Json::is_f64)
                || is_no_currency(said)
                || is_out_of_time(said)
        };
        assert!(!is_described || mistakes.iter().all(is_undescribed), "as described, and not taken: {mistakes:?}");
    }
}

/// Whether it is spelled like a currency that there is not.
fn is_no_currency(said: Option<&Json>) -> bool {
    said.and_then(Json::as_str)
        .is_some_and(|code| crate::spelling::CURRENCY.is_of(code) && Currency::from_code(code).is_none())
}

/// Whether it is a time, but none that can be asked for.
fn is_out_of_time(said: Option<&Json>) -> bool {
    let time = said.and_then(Json::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    time.is_some_and(|time| !(Timestamp::UNIX_EPOCH..=Timestamp::constant(7_258_118_400, 0)).contains(&time))
}
