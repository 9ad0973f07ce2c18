//! The header Prefer (RFC 7240). A preference is a wish: what is not known or cannot be read is passed over.

use std::{convert::Infallible, sync::Arc};

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};

use serde_json::json;

use crate::{Gateway, openapi};

const PREFER: HeaderName = HeaderName::from_static("prefer");

const RESPOND_ASYNC: &str = "respond-async";

/// Tells which preferences were honoured.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Says in an answer that the preference was honoured.
pub const APPLIED_RESPOND_ASYNC: (HeaderName, &str) = (PREFERENCE_APPLIED, RESPOND_ASYNC);

/// Whether the client would rather have an answer at once than a final one: `Prefer: respond-async`.
#[derive(Debug, Clone, Copy)]
pub struct RespondAsync(pub bool);

impl FromRequestParts<Arc<Gateway>> for RespondAsync {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Infallible> {
        Ok(Self(prefers_async(&parts.headers)))
    }
}

impl OperationInput for RespondAsync {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let about =
            "`respond-async`: an answer at once rather than a final one (RFC 7240). Anything else is passed over.";
        openapi::takes_header(
            operation,
            &PREFER,
            false,
            about,
            &json!({"type": "string", "examples": [RESPOND_ASYNC]}),
        );
    }
}

fn prefers_async(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.filter_map(preferences).flatten();
    // of a preference that is named twice, the first counts; it has no value, and an empty one is none
    let first = preferences.find(|(name, _)| name.eq_ignore_ascii_case(RESPOND_ASYNC));
    first.is_some_and(|(_, value)| value.is_none_or(|value| matches!(value, "" | "\"\"")))
}

/// The preferences of one header line, each with its value as it was written. `None` when the line is malformed.
fn preferences(line: &str) -> Option<Vec<(&str, Option<&str>)>> {
    let elements = split(line, ',')?;
    elements.into_iter().filter(|element| !element.is_empty()).map(preference).collect()
}

fn preference(element: &str) -> Option<(&str, Option<&str>)> {
    let mut parts = split(element, ';')?.into_iter();
    let preference = named(parts.next()?)?;
    // parameters are nothing to us, but what is no parameter makes the line malformed
    let mut parameters = parts.filter(|part| !part.is_empty());
    parameters.all(|part| named(part).is_some()).then_some(preference)
}

/// `token [ "=" ( token / quoted-string ) ]`, with white space around `=`.
fn named(part: &str) -> Option<(&str, Option<&str>)> {
    let (name, value) = match part.split_once('=') {
        Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
        None => (part, None),
    };
    let is_right = is_token(name) && value.is_none_or(|value| value.is_empty() || is_token(value) || is_quoted(value));
    is_right.then_some((name, value))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether one quoted string is all there is. [`split`] has seen to it that quotes come in pairs.
fn is_quoted(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('"') && closing_quote(&text[1..]) == Some(text.len() - 2)
}

/// Where the quoted string ends whose text begins here.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|character| {
        let closes = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        closes
    })
}

/// The text between the separators that are in no quoted string, trimmed. `None` when a quoted string does not end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(found) = text[at..].find(['"', separator]).map(|found| at + found) {
        at = found + 1;
        if text[found..].starts_with(separator) {
            pieces.push(text[start..found].trim());
            start = at;
        } else {
            at += closing_quote(&text[at..])? + 1;
        }
    }
    pieces.push(text[start..].trim());
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn prefers(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        prefers_async(&headers)
    }

    #[test]
    fn respond_async_is_found_wherever_it_stands() {
        let right: [&[&str]; 13] = [
            &["respond-async"],
            &["Respond-ASYNC"],
            &["  respond-async\t"],
            &["respond-async, wait=10"],
            &["return=minimal;foo=\"some value\",respond-async"],
            &["respond-async; wait=10; x"],
            &["respond-async;"],
            &["respond-async="],
            &["respond-async = \"\""],
            &[",, respond-async ,"],
            &["handling=lenient", "respond-async"],
            &["note=\"a \\\" quote, and more\", respond-async"],
            &["\"malformed", "respond-async"],
        ];
        for lines in right {
            assert!(prefers(lines), "{lines:?}");
        }
    }

    #[test]
    fn what_is_something_else_or_malformed_is_passed_over() {
        let wrong: [&[&str]; 16] = [
            &[],
            &[""],
            &[","],
            &["return=representation"],
            &["respond-asynchronously"],
            &["respond async"],
            &["\"respond-async\""],
            &["note=\"respond-async\""],
            &["note=\"a, respond-async, b\""],
            &["note; respond-async"],
            &["respond-async=maybe"],
            &["respond-async=no, respond-async"],
            &["respond-async, note=\"no end"],
            &["respond-async, note=\"two\"\"strings\""],
            &["respond-async;;=x"],
            &["respond-async, käse"],
        ];
        for lines in wrong {
            assert!(!prefers(lines), "{lines:?}");
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn a_preference_is_the_same_when_it_is_written_again_and_lines_are_one_list() {
            let examples = [
                "respond-async, wait=10",
                "return=minimal;foo=\"some value\",respond-async",
                "Respond-ASYNC = \"\" ; x=\"a \\\" quote, and more\"",
                "handling=lenient\nrespond-async=no\n\"malformed",
                "respond-async;;=x,=",
            ];
            fuzzing::target!("prefer", &examples, |bytes| {
                let Ok(text) = str::from_utf8(bytes) else { return };
                let lines: Vec<&str> = text.split('\n').collect();
                if lines.iter().any(|line| HeaderValue::from_bytes(line.as_bytes()).is_err()) {
                    return;
                }
                let is_read = |line: &&&str| line.is_ascii() && preferences(line).is_some();
                for line in lines.iter().filter(is_read) {
                    let read = preferences(line).expect("it is read");
                    let written: Vec<String> = read
                        .iter()
                        .map(|(name, value)| {
                            value.map_or_else(|| (*name).to_owned(), |value| format!("{name}={value}"))
                        })
                        .collect();
                    let written = written.join(", ");
                    assert_eq!(preferences(&written).as_ref(), Some(&read), "{written:?}");
                    assert_eq!(prefers(&[&written]), prefers(&[line]));
                    assert_eq!(prefers(&[&line.to_ascii_uppercase()]), prefers(&[line]));
                    let is_named = read.iter().any(|(name, _)| name.eq_ignore_ascii_case(RESPOND_ASYNC));
                    assert!(is_named || prefers(&[line, "respond-async"]));
                    assert!(is_named || !prefers(&[line, "respond-async=never, respond-async"]));
                }
                // what cannot be read is passed over
                let read: Vec<&str> = lines.iter().filter(is_read).copied().collect();
                assert_eq!(prefers(&read), prefers(&lines));
                assert_eq!(prefers(&[&read.join(",")]), prefers(&lines));
            });
        }
    }
}
