//! Times cross a boundary as protobuf timestamps.

use jiff::Timestamp;

/// The protobuf form of a time.
pub fn timestamp_to_proto(time: Timestamp) -> prost_types::Timestamp {
    // protobuf counts nanoseconds forward from the second, also before 1970
    let nanosecond = time.as_nanosecond();
    let second = nanosecond.div_euclid(1_000_000_000);
    prost_types::Timestamp {
        seconds: i64::try_from(second).expect("a jiff timestamp's seconds fit i64"),
        nanos: i32::try_from(nanosecond.rem_euclid(1_000_000_000)).expect("below one billion"),
    }
}

/// The time of a protobuf timestamp; `None` when it lies outside the years −9999 to 9999.
pub fn timestamp_from_proto(proto: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(proto.seconds, proto.nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_the_way_there_and_back() {
        for text in ["2026-11-21T09:00:00.123456789Z", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(timestamp_from_proto(&timestamp_to_proto(time)), Some(time));
        }
    }
}
