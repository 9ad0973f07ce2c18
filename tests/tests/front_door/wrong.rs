//! Every way in which a request of an operation can be wrong, by what the operation says that it takes. One thing is wrong
//! in each.

use serde_json::{Map, Value, json};

use crate::{
    interface::Operation,
    request::{Names, Request, Who},
};

/// A wrong request, and what it deserves.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is wrong with it.
    pub what: String,
    pub request: Request,
    pub status: u16,
    pub code: &'static str,
    /// Where the mistake is, when it is one in the fields.
    pub pointer: Option<String>,
}

/// One more byte than a body may have.
const BODY_TOO_LONG: usize = 256 * 1024 + 1;

/// All cases of the operation. `token` is a right one of somebody who may call it; it is bent, and never sent as it is.
pub fn cases(operation: &Operation, names: &Names, token: &str) -> Vec<Case> {
    let mut cases = Cases { right: Request::right(operation, names), all: Vec::new() };
    methods(&mut cases, operation);
    negotiation(&mut cases, operation);
    if !operation.roles().is_empty() {
        tokens(&mut cases, token);
        roles(&mut cases, operation);
    }
    paths(&mut cases, operation, names);
    headers(&mut cases, operation);
    query(&mut cases, operation);
    if let Some(body) = operation.body() {
        unreadable_bodies(&mut cases);
        wrong_bodies(&mut cases, body);
    }
    cases.all
}

struct Cases {
    right: Request,
    all: Vec<Case>,
}

impl Cases {
    fn add(&mut self, what: impl Into<String>, status: u16, code: &'static str, change: impl FnOnce(&mut Request)) {
        let mut request = self.right.clone();
        change(&mut request);
        self.all.push(Case { what: what.into(), request, status, code, pointer: None });
    }

    fn add_at(&mut self, pointer: &str, what: impl std::fmt::Display, change: impl FnOnce(&mut Request)) {
        self.add(format!("{pointer}: {what}"), 422, "invalid", change);
        self.all.last_mut().expect("it was added").pointer = Some(pointer.to_owned());
    }
}

fn methods(cases: &mut Cases, operation: &Operation) {
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
        if !operation.methods.iter().any(|known| known == method) {
            let method = method.parse().expect("a method");
            cases.add(format!("method {method}"), 405, "method-not-allowed", |request| request.method = method);
        }
    }
}

fn negotiation(cases: &mut Cases, operation: &Operation) {
    let told_as = operation.told_as().unwrap_or("application/json");
    let refused = format!("{told_as};q=0");
    for accept in ["application/xml", "image/*", "nonsense", &refused] {
        cases.add(format!("Accept: {accept}"), 406, "not-acceptable", |request| request.set("accept", accept));
    }
}

fn tokens(cases: &mut Cases, token: &str) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { panic!("a token has three parts") };
    // `{"alg":"none"}` and `{"alg":"HS256","typ":"JWT"}`
    let (none, shared) = ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
    let stating = [
        ("no token", String::new()),
        ("a token that is none", "Bearer abc".to_owned()),
        ("no scheme", token.to_owned()),
        ("another scheme", format!("Basic {token}")),
        ("alg none", format!("Bearer {none}.{claims}.")),
        ("a shared secret", format!("Bearer {shared}.{claims}.{signature}")),
        ("no signature", format!("Bearer {header}.{claims}.")),
        ("half a signature", format!("Bearer {header}.{claims}.{}", &signature[..signature.len() / 2])),
        ("claims of one's own", format!("Bearer {header}.e30.{signature}")),
        ("a token after the token", format!("Bearer {token} {token}")),
    ];
    for (what, authorization) in stating {
        cases.add(what, 401, "unauthenticated", |request| request.who = Who::Stating(authorization));
    }
    cases.add("a token in a cookie", 401, "unauthenticated", |request| {
        request.who = Who::Nobody;
        request.set("cookie", format!("access_token={token}"));
    });
    cases.add("headers that claim an identity", 401, "unauthenticated", |request| {
        request.who = Who::Nobody;
        request.set("x-user-id", "1");
        request.set("x-user-roles", "operator");
    });
}

fn roles(cases: &mut Cases, operation: &Operation) {
    for (role, who) in [("customer", Who::Customer), ("operator", Who::Operator)] {
        if !operation.roles().contains(&role) {
            cases.add(format!("as a {role}"), 403, "forbidden", |request| request.who = who);
        }
    }
}

fn paths(cases: &mut Cases, operation: &Operation, names: &Names) {
    let long = "x".repeat(65);
    for parameter in operation.parameters("path") {
        let part = parameter["name"].as_str().expect("a name");
        let other = "01936b1e-7c5a-7cc2-a3f1-0242ac12ffff";
        let wrong: &[&str] = match part {
            "id" => &["1", "01936b1e7c5a7cc2a3f10242ac120003", "01936b1e-7c5a-7cc2-a3f1-0242ac12000g", "%00", other],
            // a product that is put is made
            "sku" if operation.method == "PUT" => &["MUG", "-mug", "m%00g", "m%FFg", "..%2Fmug", &long],
            "sku" => &["MUG", "-mug", "m%00g", "m%FFg", "..%2Fmug", &long, "no-such-product"],
            _ => &["No", "no-such-word", "%00"],
        };
        for name in wrong {
            let path = operation.path.replace(&format!("{{{part}}}"), name);
            cases.add(format!("{part} {name}"), 404, "not-found", |request| request.path = path);
        }
        let slash = format!("{}/", operation.path.replace(&format!("{{{part}}}"), &names[part]));
        cases.add("a slash at the end", 404, "not-found", |request| request.path = slash);
    }
}

fn headers(cases: &mut Cases, operation: &Operation) {
    if operation.takes_header("idempotency-key") {
        cases.add("no key", 400, "idempotency-key-missing", |request| request.unset("idempotency-key"));
        let long = "k".repeat(101);
        for (what, key) in [
            ("an empty key", b"".as_slice()),
            ("a short key", b"1234567"),
            ("a long key", long.as_bytes()),
            ("a key with a tab", b"1234\t5678"),
            ("a key that is no ASCII", "schlüssel".as_bytes()),
        ] {
            cases.add(what, 400, "idempotency-key-malformed", |request| request.set("idempotency-key", key));
        }
        cases.add("two keys", 400, "idempotency-key-malformed", |request| {
            request.headers.push(("idempotency-key".to_owned(), b"another-key-of-mine".to_vec()));
        });
    }
    if operation.takes_header("last-event-id") {
        for id in ["", "-1", "+1", "1.0", "one", "9223372036854775808"] {
            cases.add(format!("Last-Event-ID {id:?}"), 400, "malformed", |request| request.set("last-event-id", id));
        }
    }
}

fn query(cases: &mut Cases, operation: &Operation) {
    for parameter in operation.parameters("query") {
        let (name, schema) = (parameter["name"].as_str().expect("a name"), &parameter["schema"]);
        for (what, value) in wrong_values(schema).into_iter().filter_map(|(what, value)| {
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            };
            // every parameter is text: what is wrong as JSON may be right here
            let is_right_text = schema["type"] == "string" && !value.is_string();
            let is_right_number = schema["type"] == "integer" && value.is_string() && text.parse::<i64>().is_ok();
            (!is_right_text && !is_right_number).then_some((what, text))
        }) {
            let query: String = format!("{name}={}", escaped(&value));
            cases.add_at(&format!("/{name}"), what, |request| request.query = query);
        }
        let right = match (&schema["enum"][0], schema["format"].as_str()) {
            (Value::String(word), _) => word.clone(),
            (_, Some("date-time")) => "2026-11-21T09:00:00Z".to_owned(),
            (_, Some("uuid")) => "01936b1e-7c5a-7cc2-a3f1-0242ac120002".to_owned(),
            _ => "1".to_owned(),
        };
        let twice = format!("{name}={right}&{name}={right}");
        cases.add_at(&format!("/{name}"), "twice", |request| request.query = twice);
    }
    // a page for people is shown whatever hangs on its link
    if operation.statuses().contains(&"422") {
        cases.add_at("/no_such_parameter", "unknown", |request| "no_such_parameter=1".clone_into(&mut request.query));
    }
}

fn unreadable_bodies(cases: &mut Cases) {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (what, body) in [
        ("half an object", b"{\"a\":".as_slice()),
        ("no JSON", b"nonsense"),
        ("white space", b" \n"),
        ("two documents", b"{} {}"),
        ("a byte order mark", b"\xef\xbb\xbf{}"),
        ("bad UTF-8", b"{\"a\":\"\xc3\x28\"}"),
        ("half a surrogate pair", b"{\"a\":\"\\ud800\"}"),
        ("1e309", b"{\"a\":1e309}"),
        ("nesting of 200", deep.as_bytes()),
    ] {
        cases.add(format!("a body of {what}"), 400, "malformed", |request| request.body = Some(body.to_vec()));
    }
    cases.add("a body of 256 KiB and a byte", 413, "too-large", |request| {
        request.body = Some(vec![b' '; BODY_TOO_LONG]);
    });
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json-seq", ""] {
        cases.add(format!("Content-Type {media_type:?}"), 415, "unsupported-media-type", |request| {
            request.set("content-type", media_type);
        });
    }
    cases.add("Content-Encoding gzip", 415, "unsupported-media-type", |request| {
        request.set("content-encoding", "gzip");
    });
}

fn wrong_bodies(cases: &mut Cases, body: &Value) {
    let schema = &body["schema"];
    let nothing = json!({});
    let example = body.get("example").unwrap_or(&nothing);
    for root in [json!(null), json!(true), json!(7), json!("text"), json!([]), json!([{}])] {
        cases.add_at("", format!("is {root}"), |request| request.body = Some(root.to_string().into_bytes()));
    }
    for (pointer, what, changed) in wrong_objects(schema, "", example) {
        cases.add_at(&pointer, what, |request| request.body = Some(changed.to_string().into_bytes()));
    }
    for (name, value) in example.as_object().into_iter().flatten() {
        let text = example.to_string();
        let twice = format!("{{{}:{value},{}", Value::from(name.as_str()), &text[1..]);
        cases.add_at(&format!("/{name}"), "twice", |request| request.body = Some(twice.into_bytes()));
    }
}

/// Every object in `whole` that is wrong in one place, below `at`: where, how, and the whole then.
fn wrong_objects(schema: &Value, at: &str, whole: &Value) -> Vec<(String, String, Value)> {
    let mut wrong = Vec::new();
    for extra in ["price", "status", "customer_id", "__proto__"] {
        let pointer = format!("{at}/{extra}");
        wrong.push((pointer.clone(), "unknown".to_owned(), with(whole, &pointer, Some(json!(1)))));
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let pointer = format!("{at}/{name}");
        if required.contains(&json!(name)) {
            wrong.push((pointer.clone(), "missing".to_owned(), with(whole, &pointer, None)));
        }
        for (what, value) in wrong_values(property) {
            wrong.push((pointer.clone(), what, with(whole, &pointer, Some(value))));
        }
        let property = not_null(property);
        if whole.pointer(&pointer).is_none_or(Value::is_null) {
            continue;
        }
        match property["type"].as_str() {
            Some("object") => wrong.extend(wrong_objects(property, &pointer, whole)),
            Some("array") if property["items"]["type"] == "object" => {
                let pointer = format!("{pointer}/0");
                for (what, value) in wrong_values(&property["items"]) {
                    wrong.push((pointer.clone(), what, with(whole, &pointer, Some(value))));
                }
                wrong.extend(wrong_objects(&property["items"], &pointer, whole));
            }
            _ => {}
        }
    }
    wrong
}

/// `whole` with another value at the pointer; without any when there is none.
fn with(whole: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut whole = whole.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("below the root");
    match whole.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer} has no parent")) {
        Value::Object(fields) => match value {
            Some(value) => _ = fields.insert(name.to_owned(), value),
            None => _ = fields.remove(name),
        },
        Value::Array(items) => {
            items[name.parse::<usize>().expect("an index")] = value.expect("items are not taken out");
        }
        other => panic!("{pointer} is in {other}"),
    }
    whole
}

/// The schema of what is there when it is not null.
fn not_null(schema: &Value) -> &Value {
    let is_null = |one: &&Value| one["type"] != "null";
    schema["anyOf"].as_array().and_then(|any| any.iter().find(is_null)).unwrap_or(schema)
}

/// Values that the schema does not take, and what is wrong with each.
fn wrong_values(schema: &Value) -> Vec<(String, Value)> {
    let may_be_null = schema.get("anyOf").is_some();
    let schema = not_null(schema);
    let mut wrong = vec![("true", json!(true)), ("a list", json!([])), ("an object", json!({})), ("1.5", json!(1.5))];
    if !may_be_null {
        wrong.push(("null", Value::Null));
    }
    let number = |name: &str| schema[name].as_i64();
    let length = |name: &str| schema[name].as_u64().and_then(|length| usize::try_from(length).ok());
    match schema["type"].as_str() {
        Some("string") => {
            wrong.push(("a number", json!(7)));
            wrong.push(("a NUL", json!("a\u{0}bcdefgh@example.com")));
            wrong.push(("a control character", json!("abcdefgh\u{7f}")));
            if let Some(shortest) = length("minLength").filter(|shortest| *shortest > 0) {
                wrong.push(("too short", json!("x".repeat(shortest - 1))));
            }
            if let Some(longest) = length("maxLength") {
                wrong.push(("too long", json!("x".repeat(longest + 1))));
                wrong.push(("too long, of two bytes each", json!("ä".repeat(longest + 1))));
            }
            if schema.get("enum").is_some() || schema.get("format").is_some() {
                wrong.push(("another word", json!("no-such-word")));
            }
        }
        Some("integer") => {
            wrong.push(("text", json!("x")));
            wrong.push(("a number in text", json!("2")));
            wrong.push(("more than 64 bits hold", json!(u64::MAX)));
            if let Some(less) = number("minimum").and_then(|least| least.checked_sub(1)) {
                wrong.push(("too small", json!(less)));
            }
            if let Some(more) = number("maximum").and_then(|most| most.checked_add(1)) {
                wrong.push(("too large", json!(more)));
            }
        }
        Some("array") => {
            wrong.retain(|(what, _)| *what != "a list" || length("minItems").is_some_and(|least| least > 0));
            wrong.push(("text", json!("x")));
            let most = length("maxItems").expect("every list has a bound");
            wrong.push(("too many items", json!(vec![json!({}); most + 1])));
        }
        Some("object") => {
            wrong.retain(|(what, _)| *what != "an object");
            wrong.push(("text", json!("x")));
        }
        other => panic!("a schema of {other:?}"),
    }
    wrong.into_iter().map(|(what, value)| (what.to_owned(), value)).collect()
}

/// As a part of a query.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
