//! Problem codes travel inside a gRPC status as `google.rpc.ErrorInfo` (AIP-193), so that the gateway tells the outside
//! the very word that the service chose.

use contracts::problem::ProblemCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every error of the platform.
const DOMAIN: &str = "postbox";

/// A status that carries `code`. `detail` is for the person who reads it: no SQL, no stack.
pub fn status(code: ProblemCode, detail: impl Into<String>) -> Status {
    coded(code.grpc_code(), code, detail)
}

/// As [`status`], where gRPC has a code of its own for what happened.
pub(crate) fn coded(grpc: Code, code: ProblemCode, detail: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(code.word(), DOMAIN, []);
    Status::with_error_details(grpc, detail.into(), details)
}

/// The problem that a status carries. A status that is not one of ours is judged by its gRPC code.
pub fn problem_of(status: &Status) -> ProblemCode {
    if let Some(code) = status.get_details_error_info().and_then(|info| ProblemCode::from_word(&info.reason)) {
        return code;
    }
    match status.code() {
        Code::Unavailable | Code::Aborted => ProblemCode::Unavailable,
        // a server of tonic's as it comes tells a deadline that has passed as CANCELLED; ours do not
        Code::DeadlineExceeded | Code::Cancelled => ProblemCode::DeadlineExceeded,
        Code::InvalidArgument | Code::OutOfRange => ProblemCode::Invalid,
        Code::NotFound => ProblemCode::NotFound,
        Code::ResourceExhausted => ProblemCode::TooLarge,
        Code::Unauthenticated => ProblemCode::Unauthenticated,
        Code::PermissionDenied => ProblemCode::Forbidden,
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => ProblemCode::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_survives_the_telephone() {
        for &code in ProblemCode::ALL {
            assert_eq!(problem_of(&status(code, "why")), code);
        }
    }

    #[test]
    fn a_deadline_that_tonic_reports_as_cancelled_is_a_deadline() {
        assert_eq!(problem_of(&Status::cancelled("Timeout expired")), ProblemCode::DeadlineExceeded);
    }
}
