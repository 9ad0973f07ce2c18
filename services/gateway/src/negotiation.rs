//! What the client wants to be answered with: the header Accept (RFC 9110).

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header::ACCEPT},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contracts::problem::ProblemCode;

use crate::problem::Problem;

/// Refuses a client that takes no JSON.
pub async fn offers_json(request: Request, next: Next) -> Response {
    offers("application/json", request, next).await
}

/// Refuses a client that takes no HTML.
pub async fn offers_html(request: Request, next: Next) -> Response {
    offers("text/html", request, next).await
}

/// Refuses a client that takes no stream of events.
pub async fn offers_events(request: Request, next: Next) -> Response {
    offers("text/event-stream", request, next).await
}

async fn offers(media_type: &str, request: Request, next: Next) -> Response {
    if accepts(request.headers(), media_type) {
        return next.run(request).await;
    }
    Problem::new(ProblemCode::NotAcceptable, format!("this is answered as {media_type}")).into_response()
}

/// Whether a range of Accept holds the media type; the most specific one that does decides, and `q=0` refuses.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    if !headers.contains_key(ACCEPT) {
        return true;
    }
    let of_its_kind = media_type.split('/').next().map(|kind| format!("{kind}/*"));
    let judged = weighted(headers, ACCEPT).filter_map(|(range, weight)| {
        let precision = match range.as_str() {
            "*/*" => 0,
            one if Some(one) == of_its_kind.as_deref() => 1,
            one if one == media_type => 2,
            _ => return None,
        };
        Some((precision, weight > 0.0))
    });
    judged.max_by_key(|(precision, _)| *precision).is_some_and(|(_, wanted)| wanted)
}

/// What a header of negotiation lists, in lower case, and how much each is wanted (RFC 9110, section 12.4.2).
pub fn weighted(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (String, f32)> {
    let items = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    items.map(|item| {
        let item = item.to_ascii_lowercase();
        let mut parts = item.split(';').map(str::trim);
        let listed = parts.next().unwrap_or_default().to_owned();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
        (listed, weight.parse().unwrap_or(1.0))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_most_precise_range_decides() {
        let accepts_json = |accept| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            accepts(&headers, "application/json")
        };
        for right in
            ["*/*", "application/*", "Application/JSON", "text/html, application/json;q=0.1", "text/*, */*;q=0.1"]
        {
            assert!(accepts_json(right), "{right}");
        }
        for wrong in [
            "text/html",
            "application/json;q=0",
            "application/json;Q=0",
            "*/*, application/json;q=0.0",
            "",
            "json",
            "application/xml",
        ] {
            assert!(!accepts_json(wrong), "{wrong}");
        }
        assert!(accepts(&HeaderMap::new(), "application/json"));
    }

    mod fuzz {
        use super::*;

        #[test]
        fn case_and_white_space_mean_nothing_and_what_names_the_type_itself_decides() {
            let examples = [
                "*/*",
                "application/*;q=0.5, text/html",
                "application/json;charset=utf-8;Q=0.0,*/*",
                "a/b;q=nan\n;,;q=0,",
            ];
            fuzzing::target!("accept", &examples, |bytes| {
                let accepts_json = |lines: &[&[u8]]| {
                    let mut headers = HeaderMap::new();
                    for line in lines {
                        headers.append(ACCEPT, HeaderValue::from_bytes(line).ok()?);
                    }
                    Some(accepts(&headers, "application/json"))
                };
                let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
                let Some(accepted) = accepts_json(&lines) else { return };
                assert_eq!(accepts_json(&[bytes.to_ascii_uppercase().as_slice()]), accepts_json(&[bytes]));
                let spaced: Vec<u8> = bytes
                    .iter()
                    .flat_map(|byte| match byte {
                        b',' => b" , ".to_vec(),
                        b';' => b"\t; ".to_vec(),
                        other => vec![*other],
                    })
                    .collect();
                assert_eq!(accepts_json(&[spaced.as_slice()]), accepts_json(&[bytes]));
                let and = |line: &'static [u8]| accepts_json(&[lines.as_slice(), &[line]].concat());
                assert_eq!(and(b"image/png, text/html;q=0"), Some(accepted));
                assert_eq!(and(b"application/json;q=0.001"), Some(true));
                assert_eq!(and(b"Application/JSON; q=0"), Some(false));
            });
        }
    }
}
