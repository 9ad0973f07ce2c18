//! What is answered where no service gets to answer: in the codes that gRPC has for it, with the words of a problem of ours.
//!
//! tonic (0.14.9) tells a caller whose time is over CANCELLED, calls a message that is too long OUT_OF_RANGE, and one that cannot be
//! decoded INTERNAL, as if it were a fault of the service. What is left as it is: a call whose bytes are no gRPC at all (a flag of compression that there is not, fewer bytes
//! than were announced, no message) is INTERNAL, as gRPC has it, and a method that there is not UNIMPLEMENTED.

use std::{future::Future, time::Duration};

use contracts::problem::ProblemCode;
use tokio::time::timeout;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{HeaderMap, HeaderValue, Response},
};

use crate::{server::MESSAGE_BYTES_MAX, status, status::coded};

/// The deadline of a call that brings none, or a later one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// By so much our clock is ahead of the one that tonic sets by the same header. It is also the shortest time that can be waited.
const TICK: Duration = Duration::from_millis(1);

const TIMEOUT: &str = "grpc-timeout";

/// How long the answer to a call may take. None: its time was over when it came.
pub(crate) fn time_for(headers: &HeaderMap) -> Option<Duration> {
    // as tonic has it: a deadline that cannot be read is none
    let asked = headers.get(TIMEOUT).and_then(duration).unwrap_or(DEFAULT_DEADLINE);
    asked.min(DEFAULT_DEADLINE).checked_sub(TICK).filter(|time| !time.is_zero())
}

/// As the protocol writes it: at most eight digits and a unit.
fn duration(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0, |amount, digit| amount * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 60 * 60),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The answer, if it begins in time. `answering` is cut then; of a call that came too late there is none.
pub(crate) async fn in_time<E>(
    answering: Option<(Duration, impl Future<Output = Result<Response<Body>, E>>)>,
) -> Result<Response<Body>, E> {
    let Some((time, answering)) = answering else {
        return Ok(too_late("the deadline of the call had passed when it came"));
    };
    match timeout(time, answering).await {
        Ok(answered) => answered.map(reworded),
        Err(_) => Ok(too_late("the answer was not there in time")),
    }
}

fn too_late(detail: &str) -> Response<Body> {
    status(ProblemCode::DeadlineExceeded, detail).into_http()
}

/// An answer of tonic's own in better words; any other as it is.
fn reworded(response: Response<Body>) -> Response<Body> {
    let code = response.headers().get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()));
    if !matches!(code, Some(Code::OutOfRange | Code::Internal)) {
        return response;
    }
    match Status::from_header_map(response.headers()) {
        Some(told) if is_oversize(&told) => oversize(ProblemCode::TooLarge, "a message").into_http(),
        Some(told) if is_undecodable(&told) => status(ProblemCode::Malformed, told.message()).into_http(),
        _ => response,
    }
}

/// Whether tonic has not read a message because it is too long.
pub(crate) fn is_oversize(status: &Status) -> bool {
    status.code() == Code::OutOfRange
        && status.details().is_empty()
        && status.message().starts_with("Error, decoded message length too large")
}

/// Tells that `what` is too long; whose fault it is says `code`.
pub(crate) fn oversize(code: ProblemCode, what: &str) -> Status {
    coded(Code::ResourceExhausted, code, format!("{what} has at most {MESSAGE_BYTES_MAX} bytes, this one has more"))
}

/// Whether tonic has read a message, and it is not what the method takes.
fn is_undecodable(status: &Status) -> bool {
    status.code() == Code::Internal
        && status.details().is_empty()
        && status.message().starts_with("failed to decode Protobuf message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(header: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, header.parse().expect("a header's value"));
        time_for(&headers).map(|time| time + TICK)
    }

    #[test]
    fn a_deadline_is_read_in_all_its_units_and_no_longer_than_ours() {
        for (header, milliseconds) in [
            ("2S", 2_000),
            ("1500m", 1_500),
            ("2000000u", 2_000),
            ("99000000n", 99),
            ("1H", 10_000),
            ("99999999M", 10_000),
        ] {
            assert_eq!(time(header), Some(Duration::from_millis(milliseconds)), "{header}");
        }
    }

    #[test]
    fn a_deadline_that_cannot_be_read_is_ours() {
        for header in ["", "S", "5", "5s", "-5S", "123456789S", "5 S", "S5"] {
            assert_eq!(time(header), Some(DEFAULT_DEADLINE), "{header}");
        }
        assert_eq!(time_for(&HeaderMap::new()).map(|time| time + TICK), Some(DEFAULT_DEADLINE));
    }

    #[test]
    fn a_deadline_that_has_passed_leaves_no_time() {
        for header in ["0S", "0n", "1n", "999u", "1m"] {
            assert_eq!(time(header), None, "{header}");
        }
    }
}
