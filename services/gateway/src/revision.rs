//! Answers that a client may have already: ETag and If-None-Match (RFC 9110).

use aide::transform::TransformOperation;
use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::openapi;

/// What is said of an operation whose 200 a client may have already.
pub fn described(mut operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let about = "The `ETag` of what you have: unless it has changed, it is not told again.";
    openapi::takes_header(operation.inner_mut(), &IF_NONE_MATCH, false, about, &json!({"type": "string"}));
    openapi::with_header(operation.inner_mut(), 200, &ETAG, "Names this revision.");
    operation.response_with::<304, (), _>(|response| response.description("You have it already."))
}

/// 200 with the object, or 304 when the client has this version of it.
pub fn of_version(request: &HeaderMap, version: i64, object: &impl Serialize) -> Response {
    answer(request, &format!("\"{version}\""), object)
}

/// 200 with the object, or 304 when the client has the same content.
pub fn of_content(request: &HeaderMap, object: &impl Serialize) -> Response {
    let digest = Sha256::digest(json(object));
    // half of the digest is more than enough to tell two revisions of one object apart
    let half = digest.first_chunk().expect("SHA-256 has 32 bytes");
    answer(request, &format!("\"{:032x}\"", u128::from_be_bytes(*half)), object)
}

fn answer(request: &HeaderMap, tag: &str, object: &impl Serialize) -> Response {
    let (mut response, tag) = match held(request, tag) {
        // under the name by which the client has it: a cache that has it packed, so under a weak tag, may not take a strong one
        // for it (RFC 9111, section 4.3.4)
        Some(named) => (StatusCode::NOT_MODIFIED.into_response(), named),
        None => (([(CONTENT_TYPE, "application/json")], json(object)).into_response(), tag),
    };
    response.headers_mut().insert(ETAG, HeaderValue::from_str(tag).expect("digits and quotes"));
    response
}

fn json(object: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(object).expect("our objects have text keys, and nothing else can fail")
}

/// The tag as If-None-Match names it, by the weak comparison that RFC 9110 asks for; as it is where that names any.
fn held<'a>(request: &'a HeaderMap, tag: &'a str) -> Option<&'a str> {
    let values = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    let named = tags.find(|held| *held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)?;
    Some(if named == "*" { tag } else { named })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(if_none_match: &'static str) -> (StatusCode, String) {
        let request = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(if_none_match))]);
        let response = of_version(&request, 3, &"object");
        (response.status(), response.headers()[ETAG].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_client_that_has_the_version_is_not_sent_it_again_and_told_its_tag_as_it_knows_it() {
        let (strong, weak) = ("\"3\"".to_owned(), "W/\"3\"".to_owned());
        for held in ["\"3\"", "\"1\", \"3\"", "W/\"1\",\"3\"", "*"] {
            assert_eq!(answered(held), (StatusCode::NOT_MODIFIED, strong.clone()), "{held}");
        }
        for held in ["W/\"3\"", "\"1\", W/\"3\""] {
            assert_eq!(answered(held), (StatusCode::NOT_MODIFIED, weak.clone()), "{held}");
        }
        for other in ["\"2\"", "W/\"2\"", "3", "", "\"33\""] {
            assert_eq!(answered(other), (StatusCode::OK, strong.clone()), "{other}");
        }
    }

    #[test]
    fn other_content_has_another_tag() {
        let tag = |object: &str| of_content(&HeaderMap::new(), &object).headers()[ETAG].clone();
        assert_eq!(tag("one"), tag("one"));
        assert_ne!(tag("one"), tag("two"));
    }

    mod fuzz {
        use super::*;

        #[test]
        fn a_tag_is_held_wherever_it_stands_and_no_part_of_it_is() {
            fuzzing::target!("etags", &["\"3\"", "W/\"1\", \"33\"\n*", "\"a, \"3\"", "W/W/\"3\",,*/*"], |bytes| {
                let held = |lines: &[&[u8]]| {
                    let mut request = HeaderMap::new();
                    for line in lines {
                        request.append(IF_NONE_MATCH, HeaderValue::from_bytes(line).ok()?);
                    }
                    Some(super::held(&request, "\"3\"").is_some())
                };
                let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
                let Some(is_held) = held(&lines) else { return };
                let backwards: Vec<&[u8]> = lines.iter().rev().copied().collect();
                assert_eq!(held(&backwards), Some(is_held));
                assert_eq!(held(&[lines.as_slice(), &[b"\"4\", 3".as_slice()]].concat()), Some(is_held));
                for own in [b"\"3\"".as_slice(), b"\"1\" ,W/\"3\"", b"*"] {
                    assert_eq!(held(&[lines.as_slice(), &[own]].concat()), Some(true));
                }
                let names = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
                assert!(!is_held || names(b"\"3\"") || names(b"*"));
            });
        }
    }
}
