//! Answers that are sent packed: JSON by gzip, to clients who take that (RFC 9110, sections 8.4 and 12.5.3). Streams of events are
//! never, since a packer keeps back what is to be sent at once. Requests are not unpacked: [`crate::body`].

use axum::{
    extract::Request,
    http::{
        Extensions, HeaderMap, HeaderValue, StatusCode, Version,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY},
    },
    middleware::Next,
    response::Response,
};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{Predicate, SizeAbove},
    },
};

use crate::negotiation::weighted;

/// The shortest body that is packed, in bytes: what is shorter fits into one packet as it is.
const PACKED_FROM_BYTES: u16 = 1_024;

/// Packs an answer for whom [`negotiate`] says takes it. At the fastest level: somebody waits for it.
pub fn layer() -> CompressionLayer<impl Predicate> {
    let worth_it = SizeAbove::new(PACKED_FROM_BYTES.into()).and(is_json_answer);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it)
}

/// Decides whether an answer may be packed, and says in it what that depends on. Wraps [`layer`].
///
/// Whoever takes neither gzip nor an answer as it is gets one as it is: to refuse him is not asked for, and would come after
/// what he wanted was done.
///
/// A tag that an answer has stands for its bytes, and packed it has others. So there the tag becomes a weak one: the same
/// object, not the same bytes (section 8.8.3). If-None-Match compares weakly, so either is recognised.
pub async fn negotiate(mut request: Request, next: Next) -> Response {
    let coding = if takes_gzip(request.headers()) { "gzip" } else { "identity" };
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
    let mut response = next.run(request).await;
    // 304 says what 200 would have said
    let depends = is_json(response.headers()) || response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if headers.contains_key(CONTENT_ENCODING) {
        weaken_tag(headers);
    }
    if depends && !headers.contains_key(VARY) {
        headers.insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    }
    response
}

fn is_json_answer(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    is_json(headers)
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|it| it.starts_with("application/json") || it.starts_with("application/problem+json"))
}

/// Whether Accept-Encoding has gzip, by its name or as anything, and does not rather have the answer as it is.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let weight = |names: &[&str]| {
        let mut codings = weighted(headers, ACCEPT_ENCODING);
        codings.find(|(coding, _)| names.contains(&coding.as_str())).map(|(_, weight)| weight)
    };
    let gzip = weight(&["gzip", "x-gzip"]).or_else(|| weight(&["*"])).unwrap_or(0.0);
    gzip > 0.0 && gzip >= weight(&["identity"]).unwrap_or(0.0)
}

fn weaken_tag(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) else { return };
    let weak = [b"W/", tag.as_bytes()].concat();
    headers.insert(ETAG, HeaderValue::from_bytes(&weak).expect("a tag was a header value before"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_whom_takes_it_and_does_not_want_the_answer_as_it_is_more() {
        let takes = |values: &[&'static str]| {
            let values = values.iter().map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
            takes_gzip(&values.collect())
        };
        for right in [
            ["gzip"].as_slice(),
            &["x-gzip"],
            &["GZip;Q=0.1"],
            &["*"],
            &["br, *;q=0.1"],
            &["gzip, deflate, br, zstd"],
            &["br", "gzip"],
            &["gzip;q=0.5, identity;q=0.5"],
            &["identity;q=0, *"],
        ] {
            assert!(takes(right), "{right:?}");
        }
        for wrong in [
            [].as_slice(),
            &[""],
            &["br, deflate, zstd"],
            &["gzip;q=0"],
            &["gzip; q=0.000"],
            &["*;q=0"],
            &["gzip;q=0, *"],
            &["gzip;q=0.5, identity"],
            &["gzipped"],
        ] {
            assert!(!takes(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_tag_becomes_weak_once() {
        for tag in ["\"7\"", "W/\"7\""] {
            let mut headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static(tag))]);
            weaken_tag(&mut headers);
            assert_eq!(headers[ETAG], "W/\"7\"");
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn an_answer_is_packed_for_nobody_who_has_not_said_that_he_takes_it() {
            let examples = [
                "gzip, deflate, br",
                "*;q=0.1, identity;q=0",
                "x-gzip;Q=0.5\nidentity",
                "gzip;q=nan",
                "gzip;level=1;q=1",
            ];
            fuzzing::target!("accept_encoding", &examples, |bytes| {
                let takes = |lines: &[&[u8]]| {
                    let mut headers = HeaderMap::new();
                    for line in lines {
                        headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(line).ok()?);
                    }
                    Some(takes_gzip(&headers))
                };
                let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
                let Some(is_taken) = takes(&lines) else { return };
                let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
                assert!(!is_taken || text.contains("gzip") || text.contains('*'));
                assert_eq!(takes(&[bytes.to_ascii_uppercase().as_slice()]), takes(&[bytes]));
                // the first mention of a coding counts
                assert_eq!(takes(&[[b"gzip;q=0".as_slice()].as_slice(), &lines].concat()), Some(false));
                assert_eq!(takes(&[[b"gzip, identity;q=0".as_slice()].as_slice(), &lines].concat()), Some(true));
            });
        }
    }
}
