//! How many calls may be made again. Whoever is asked again because he does not answer mostly has too much to do, and three calls
//! for one are what keeps him there. So repeats are a share of the calls and no more; what goes beyond is told at once what is
//! known. (Finagle's retry budget, gRPC's retry throttling.)

use std::time::Duration;

use metrics::{counter, describe_counter};
use tonic::{Status, codegen::http::HeaderMap};
use tower::retry::budget::{Budget, TpsBudget};

use crate::not_sent::NotSent;

/// How long a call counts.
const COUNTS_FOR: Duration = Duration::from_secs(10);

/// So many of the calls may be repeats, and
const SHARE: f32 = 0.1;

/// so many a second, however few calls there are: enough for one that meets a restart among few others.
const FLOOR_PER_SECOND: u32 = 3;

/// In how many tries before this one a call was made, as gRPC's other libraries tell it (gRFC A6). Not there in a first try.
pub(crate) const TRIES_BEFORE: &str = "grpc-previous-rpc-attempts";

/// The repeats of the calls to one service.
#[derive(Debug)]
pub(crate) struct Retries(TpsBudget);

impl Retries {
    /// As many as the floor.
    pub(crate) fn new() -> Self {
        describe_counter!("rpc_retries_total", "Calls, and items of lists, that were made again");
        describe_counter!("rpc_retries_refused_total", "Those that were not, because too many others were");
        Self(TpsBudget::new(COUNTS_FOR, FLOOR_PER_SECOND, SHARE))
    }

    /// Counts a call by its headers, and refuses it if it is one repeat too many.
    pub(crate) fn admit(&self, path: &str, headers: &HeaderMap) -> Result<(), Status> {
        if headers.contains_key(TRIES_BEFORE) {
            return self.again(path.trim_start_matches('/'));
        }
        self.first();
        Ok(())
    }

    /// Counts a call that is made for the first time.
    pub(crate) fn first(&self) {
        self.0.deposit();
    }

    /// Counts one that is made again, or refuses it.
    pub(crate) fn again(&self, rpc: &str) -> Result<(), Status> {
        if self.0.withdraw() {
            counter!("rpc_retries_total", "rpc" => rpc.to_owned()).increment(1);
            return Ok(());
        }
        counter!("rpc_retries_refused_total", "rpc" => rpc.to_owned()).increment(1);
        Err(NotSent::Spared.tell(Status::unavailable(NotSent::Spared.to_string())))
    }
}
