//! Calls that ended before anything of them left the process.

use std::{error::Error as _, fmt, sync::Arc};

use tonic::Status;

/// Why a call was not sent. Travels as the source of its status, so it says what this process knows itself: no service can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// No connection to anybody was there or came.
    Unreachable,
    /// Whoever could be asked has answered nobody for a while: see [`crate::circuit`].
    Silent,
    /// It would have been one repeat too many: see [`crate::retries`].
    Spared,
    /// Too many wait already.
    Crowded,
}

impl NotSent {
    /// Of `status`, if it is of such a call.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        status.source()?.downcast_ref().copied()
    }

    /// `status` as that of such a call.
    pub(crate) fn tell(self, mut status: Status) -> Status {
        status.set_source(Arc::new(self));
        status
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unreachable => "nobody could be reached",
            Self::Silent => "nobody there answers",
            Self::Spared => "too many calls are being repeated",
            Self::Crowded => "too many calls wait to be sent",
        })
    }
}

impl std::error::Error for NotSent {}

/// Whether the other side has certainly not heard of the call that ended so, nor of any try of it. False says nothing.
pub fn was_not_sent(status: &Status) -> bool {
    NotSent::of(status).is_some()
}
