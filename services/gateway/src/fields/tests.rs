//! Bad input as a table: what is sent, the status that it deserves, and where the mistakes are.

use contracts::accounts::v1::{Address, LoginRequest, RegisterRequest};

use super::*;
use crate::{
    analytics::{SalesQuery, TopProductsQuery},
    orders::OrdersQuery,
    page::Page,
    place_order::OrderFields,
    products::{ProductFields, RestockFields},
};

/// The status and the pointers that a body deserves.
fn judged<T: FromFields>(json: &[u8]) -> (u16, Vec<String>) {
    match Tree::parse(json).map(|tree| read::<T>(&tree)) {
        Err(_) => (400, vec![]),
        Ok(Err(errors)) => (422, errors.into_iter().map(|error| error.pointer).collect()),
        Ok(Ok(_)) => (200, vec![]),
    }
}

#[track_caller]
fn assert_judged<T: FromFields>(json: &[u8], status: u16, pointers: &[&str]) {
    let expected: (u16, Vec<String>) = (status, pointers.iter().map(ToString::to_string).collect());
    assert_eq!(judged::<T>(json), expected, "{}", json.escape_ascii());
}

const ORDER: &str =
    r#"{"lines":[{"sku":"mug","quantity":2},{"sku":"tee","quantity":1}],"payment":{"card_token":"tok_visa"}}"#;

/// The right order with `from` replaced by `to`.
fn order(from: &str, to: &str) -> Vec<u8> {
    assert!(ORDER.contains(from), "{from}");
    ORDER.replacen(from, to, 1).into_bytes()
}

#[test]
fn what_does_not_parse_is_400() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep_order = ORDER.replace("\"tok_visa\"", &deep);
    let cases: [&[u8]; 16] = [
        b"",
        b" ",
        b"{",
        b"{\"lines\":[",
        b"{\"lines\":[]",
        b"{\"lines\" []}",
        b"{'lines':[]}",
        b"{\"lines\":[],}",
        b"{} {}",
        b"nonsense",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc3\x28\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":1e309}",
        b"{\"a\":\"line\nbreak\"}",
    ];
    for json in cases.into_iter().chain([deep.as_bytes(), deep_order.as_bytes()]) {
        assert_judged::<OrderFields>(json, 400, &[]);
    }
}

#[test]
fn what_parses_but_is_no_object_is_422_at_the_root() {
    for json in ["null", "true", "1", "\"text\"", "[]", "[{}]", "1e308", "-0"] {
        assert_judged::<OrderFields>(json.as_bytes(), 422, &[""]);
    }
}

#[test]
fn a_right_order_is_right() {
    assert_judged::<OrderFields>(ORDER.as_bytes(), 200, &[]);
    let lines: Vec<String> = (0..100).map(|n| format!(r#"{{"sku":"sku-{n}","quantity":10000}}"#)).collect();
    let longest = format!(r#"{{"lines":[{}],"payment":{{"card_token":"t"}}}}"#, lines.join(","));
    assert_judged::<OrderFields>(longest.as_bytes(), 200, &[]);
}

#[test]
fn each_wrong_part_of_an_order_is_named_by_its_pointer() {
    let quantity = "/lines/0/quantity";
    let cases: &[(&str, &str, &[&str])] = &[
        // quantities
        ("2", "0", &[quantity]),
        ("2", "-1", &[quantity]),
        ("2", "10001", &[quantity]),
        ("2", "9223372036854775807", &[quantity]),
        ("2", "9223372036854775808", &[quantity]),
        ("2", "1e2", &[quantity]),
        ("2", "2.0", &[quantity]),
        ("2", "1.5", &[quantity]),
        ("2", "\"2\"", &[quantity]),
        ("2", "true", &[quantity]),
        ("2", "null", &[quantity]),
        ("2", "[2]", &[quantity]),
        ("\"quantity\":2", "\"quantity\":2,\"quantity\":3", &[quantity]),
        (",\"quantity\":2", "", &[quantity]),
        // SKUs
        ("\"mug\"", "\"\"", &["/lines/0/sku"]),
        ("\"mug\"", "\"Mug\"", &["/lines/0/sku"]),
        ("\"mug\"", "\"m\\u0000g\"", &["/lines/0/sku"]),
        ("\"mug\"", "7", &["/lines/0/sku"]),
        ("\"tee\"", "\"mug\"", &["/lines/1/sku"]),
        // fields that nobody may name
        ("\"quantity\":2", "\"quantity\":2,\"price\":1", &["/lines/0/price"]),
        ("{\"lines\"", "{\"status\":\"COMPLETED\",\"lines\"", &["/status"]),
        ("{\"lines\"", "{\"customer_id\":\"x\",\"lines\"", &["/customer_id"]),
        ("{\"lines\"", "{\"a/b~c\":1,\"lines\"", &["/a~1b~0c"]),
        ("\"card_token\"", "\"cvv\":\"1\",\"card_token\"", &["/payment/cvv"]),
        // payment
        ("\"tok_visa\"", "\"\"", &["/payment/card_token"]),
        ("\"tok_visa\"", "\"tok\\u0000\"", &["/payment/card_token"]),
        ("\"tok_visa\"", "\"tök\"", &["/payment/card_token"]),
        ("\"tok_visa\"", "1", &["/payment/card_token"]),
        ("{\"card_token\":\"tok_visa\"}", "\"tok_visa\"", &["/payment"]),
        ("{\"card_token\":\"tok_visa\"}", "{}", &["/payment/card_token"]),
        (",\"payment\":{\"card_token\":\"tok_visa\"}", "", &["/payment"]),
        // lines
        ("{\"sku\":\"mug\",\"quantity\":2}", "7", &["/lines/0"]),
        ("{\"sku\":\"mug\",\"quantity\":2}", "null", &["/lines/0"]),
        ("[{\"sku\":\"mug\",\"quantity\":2},{\"sku\":\"tee\",\"quantity\":1}]", "[]", &["/lines"]),
        ("[{\"sku\":\"mug\",\"quantity\":2},{\"sku\":\"tee\",\"quantity\":1}]", "{}", &["/lines"]),
        ("{\"lines\"", "{\"lines\":[],\"lines\"", &["/lines"]),
    ];
    for (from, to, pointers) in cases {
        assert_judged::<OrderFields>(&order(from, to), 422, pointers);
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let json = br#"{"lines":[{"sku":"Mug","quantity":0,"price":1},{"quantity":"1"}],"note":"x"}"#;
    let pointers = [
        "/lines/0/sku",
        "/lines/0/quantity",
        "/lines/0/price",
        "/lines/1/sku",
        "/lines/1/quantity",
        "/payment",
        "/note",
    ];
    assert_judged::<OrderFields>(json, 422, &pointers);
}

#[test]
fn ten_thousand_lines_are_one_mistake_and_ten_thousand_unknown_fields_are_not_all_told() {
    let lines = vec![r#"{"sku":"mug","quantity":0}"#; 10_000].join(",");
    let json = format!(r#"{{"lines":[{lines}],"payment":{{"card_token":"t"}}}}"#);
    assert_judged::<OrderFields>(json.as_bytes(), 422, &["/lines"]);

    let fields: Vec<String> = (0..10_000).map(|n| format!(r#""field{n}":0"#)).collect();
    let (status, pointers) = judged::<RestockFields>(format!("{{{}}}", fields.join(",")).as_bytes());
    assert_eq!((status, pointers.len()), (422, ERRORS_MAX));
}

#[test]
fn a_product_has_a_name_and_a_whole_price_in_a_known_currency() {
    let price = r#"{"amount_minor":1250,"currency":"EUR"}"#;
    let cases: &[(&str, &str, u16, &[&str])] = &[
        ("\"Mug\"", price, 200, &[]),
        ("\"Mug\"", r#"{"amount_minor":0,"currency":"JPY"}"#, 200, &[]),
        ("\"\"", price, 422, &["/name"]),
        ("\"a\\u0000\"", price, 422, &["/name"]),
        ("\"Mug\"", "12.50", 422, &["/price"]),
        ("\"Mug\"", r#"{"amount_minor":12.5,"currency":"EUR"}"#, 422, &["/price/amount_minor"]),
        ("\"Mug\"", r#"{"amount_minor":-1,"currency":"EUR"}"#, 422, &["/price/amount_minor"]),
        ("\"Mug\"", r#"{"amount_minor":99999999999999999999,"currency":"EUR"}"#, 422, &["/price/amount_minor"]),
        ("\"Mug\"", r#"{"amount_minor":1,"currency":"eur"}"#, 422, &["/price/currency"]),
        ("\"Mug\"", r#"{"amount_minor":1,"currency":"XX1"}"#, 422, &["/price/currency"]),
        ("\"Mug\"", r#"{"amount_minor":1,"currency":"EURO"}"#, 422, &["/price/currency"]),
        ("\"Mug\"", r#"{"amount_minor":1}"#, 422, &["/price/currency"]),
    ];
    for (name, price, status, pointers) in cases {
        let json = format!(r#"{{"name":{name},"price":{price}}}"#);
        assert_judged::<ProductFields>(json.as_bytes(), *status, pointers);
    }
    let too_long = format!(r#"{{"name":"{}","price":{price}}}"#, "x".repeat(201));
    assert_judged::<ProductFields>(too_long.as_bytes(), 422, &["/name"]);
}

#[test]
fn a_delivery_is_of_1_to_a_billion_pieces() {
    for (quantity, status) in
        [("1", 200), ("1000000000", 200), ("0", 422), ("-5", 422), ("1000000001", 422), ("1.0", 422)]
    {
        let pointers: &[&str] = if status == 200 { &[] } else { &["/quantity"] };
        assert_judged::<RestockFields>(format!(r#"{{"quantity":{quantity}}}"#).as_bytes(), status, pointers);
    }
}

#[test]
fn a_person_is_asked_for_what_accounts_takes() {
    let person = |email: &str, password: &str, rest: &str| {
        format!(r#"{{"email":"{email}","password":"{password}","name":"Ada"{rest}}}"#)
    };
    let address = r#"{"line1":"1 High Street","city":"Oxford","postal_code":"OX1","country":"GB"}"#;
    let cases: &[(String, u16, &[&str])] = &[
        (person("a@b", "12345678", ""), 200, &[]),
        (person("a@b", "12345678", ",\"address\":null"), 200, &[]),
        (person("a@b", "12345678", &format!(",\"address\":{address}")), 200, &[]),
        (person("ab", "12345678", ""), 422, &["/email"]),
        (person("@ab", "1234567", ""), 422, &["/email", "/password"]),
        (person("a b@c", "12345678", ""), 422, &["/email"]),
        (person("a@b", "12345678", ",\"role\":\"operator\""), 422, &["/role"]),
        (
            person("a@b", "12345678", ",\"address\":{}"),
            422,
            &["/address/line1", "/address/city", "/address/postal_code", "/address/country"],
        ),
    ];
    for (json, status, pointers) in cases {
        assert_judged::<RegisterRequest>(json.as_bytes(), *status, pointers);
    }
    assert_judged::<Address>(address.replace("GB", "gb").as_bytes(), 422, &["/country"]);
    assert_judged::<LoginRequest>(br#"{"email":"nobody","password":"x"}"#, 200, &[]);
    assert_judged::<LoginRequest>(br#"{"email":"nobody\u0000","password":""}"#, 422, &["/email", "/password"]);
}

#[test]
fn a_query_is_read_by_the_same_rules() {
    let pointers = |query: &str| match read::<OrdersQuery>(&Tree::of_query(query)) {
        Ok(_) => vec![],
        Err(errors) => errors.into_iter().map(|error| error.pointer).collect(),
    };
    for right in
        ["", "limit=1", "limit=100&cursor=abc&status=PENDING", "customer_id=01936b1e-7c5a-7cc2-a3f1-0242ac120002"]
    {
        assert_eq!(pointers(right), Vec::<String>::new(), "{right}");
    }
    for (wrong, pointer) in [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=1.5", "/limit"),
        ("limit=%2B1", "/limit"),
        ("limit=01", "/limit"),
        ("limit=", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("cursor=", "/cursor"),
        ("cursor=%00", "/cursor"),
        ("status=pending", "/status"),
        ("status=UNSPECIFIED", "/status"),
        ("status=%ff", "/status"),
        ("customer_id=me", "/customer_id"),
        ("page=2", "/page"),
        ("%ff=2", "/\u{fffd}"),
    ] {
        assert_eq!(pointers(wrong), [pointer], "{wrong}");
    }
    assert!(read::<Page>(&Tree::of_query("status=PENDING")).is_err());
    assert!(read::<Nothing>(&Tree::of_query("limit=1")).is_err());
    assert!(read::<Nothing>(&Tree::of_query("")).is_ok());
}

#[test]
fn a_window_is_a_minute_or_an_hour_and_a_time_is_written_as_rfc_3339_has_it() {
    fn pointers<T: FromFields>(query: &str) -> Vec<String> {
        let errors = read::<T>(&Tree::of_query(query)).err().unwrap_or_default();
        errors.into_iter().map(|error| error.pointer).collect()
    }
    let nine = "2026-11-21T09:00:00Z";
    for right in [
        String::new(),
        "window=1m".to_owned(),
        format!("window=1h&from={nine}"),
        format!("to={nine}"),
        format!("from={nine}&to=2026-11-21T09:00:00.5Z"),
        "from=1970-01-01T00:00:00Z&to=2026-11-21T10:00:00%2B01:00".to_owned(),
        "from=1970-01-01t00:00:00z&to=2026-11-21T10:00:00.123456789-01:00".to_owned(),
    ] {
        assert_eq!(pointers::<SalesQuery>(&right), Vec::<String>::new(), "{right}");
    }
    for (wrong, pointer) in [
        ("window=1d", "/window"),
        ("window=1M", "/window"),
        ("window=", "/window"),
        ("window=1m&window=1h", "/window"),
        ("from=yesterday", "/from"),
        ("from=2026-11-21", "/from"),
        ("from=1795251600", "/from"),
        ("from=2026-11-21T09:00:00", "/from"),
        ("from=2026-02-30T09:00:00Z", "/from"),
        ("from=2026-11-21T09Z", "/from"),
        ("from=2026-11-21T09:00Z", "/from"),
        ("from=2026-11-21%2009:00:00Z", "/from"),
        ("from=2026-11-21T09:00:60Z", "/from"),
        ("from=2026-11-21T09:00:00,5Z", "/from"),
        ("from=2026-11-21T09:00:00%2B25:00", "/from"),
        ("from=2026-11-21T09:00:00%2B0100", "/from"),
        ("from=2026-11-21T09:00:00Z[UTC]", "/from"),
        ("from=%2B002026-11-21T09:00:00Z", "/from"),
        ("from=1969-12-31T23:59:59Z", "/from"),
        ("to=2200-01-01T00:00:01Z", "/to"),
        ("to=%00", "/to"),
        ("limit=5", "/limit"),
    ] {
        assert_eq!(pointers::<SalesQuery>(wrong), [pointer], "{wrong}");
    }
    assert_eq!(pointers::<TopProductsQuery>(&format!("limit=100&from={nine}")), Vec::<String>::new());
    for (wrong, pointer) in
        [("limit=0", "/limit"), ("limit=101", "/limit"), ("to=now", "/to"), ("window=1m", "/window")]
    {
        assert_eq!(pointers::<TopProductsQuery>(wrong), [pointer], "{wrong}");
    }
}
