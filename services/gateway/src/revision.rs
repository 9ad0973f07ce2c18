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
    let mut response = if is_held(request, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, "application/json")], json(object)).into_response()
    };
    response.headers_mut().insert(ETAG, HeaderValue::from_str(tag).expect("digits and quotes"));
    response
}

fn json(object: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(object).expect("our objects have text keys, and nothing else can fail")
}

/// Whether If-None-Match names this tag, by the weak comparison that RFC 9110 asks for.
fn is_held(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(if_none_match: &'static str) -> StatusCode {
        let request = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(if_none_match))]);
        let response = of_version(&request, 3, &"object");
        assert_eq!(response.headers()[ETAG], "\"3\"");
        response.status()
    }

    #[test]
    fn a_client_that_has_the_version_is_not_sent_it_again() {
        for held in ["\"3\"", "W/\"3\"", "\"1\", \"3\"", "*"] {
            assert_eq!(status(held), StatusCode::NOT_MODIFIED, "{held}");
        }
        for other in ["\"2\"", "3", "", "\"33\""] {
            assert_eq!(status(other), StatusCode::OK, "{other}");
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
                    Some(is_held(&request, "\"3\""))
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
