//! One letter about an order, as its owner sees it.

use contracts::{analytics::v1::TimelineEntry, timestamp_from_proto};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// What was told, by whom, and when.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TimelineEntry")]
pub struct TimelineJson {
    id: String,
    r#type: String,
    source: String,
    time: Option<Timestamp>,
    sequence: i64,
    /// As analytics has written it: reading it into something of ours could only change it.
    #[schemars(with = "serde_json::Value")]
    data: Box<RawValue>,
}

impl TryFrom<TimelineEntry> for TimelineJson {
    type Error = serde_json::Error;

    fn try_from(entry: TimelineEntry) -> Result<Self, serde_json::Error> {
        let TimelineEntry { event_id, event_type, source, time, sequence, data_json } = entry;
        Ok(Self {
            id: event_id,
            r#type: event_type,
            source,
            time: time.as_ref().and_then(timestamp_from_proto),
            sequence,
            data: RawValue::from_string(data_json)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use contracts::timestamp_to_proto;
    use serde_json::json;

    use super::*;

    fn entry(data_json: &str) -> TimelineEntry {
        let at: Timestamp = "2026-11-21T09:00:00.25Z".parse().unwrap();
        TimelineEntry {
            event_id: "01936b1e-7c5a-7cc2-a3f1-0242ac120002".to_owned(),
            event_type: "order.created".to_owned(),
            source: "/order".to_owned(),
            time: Some(timestamp_to_proto(at)),
            sequence: 1,
            data_json: data_json.to_owned(),
        }
    }

    #[test]
    fn an_entry_looks_as_promised() {
        let told = TimelineJson::try_from(entry(r#"{"status":"PENDING","lines":[]}"#)).unwrap();
        let expected = json!({
            "id": "01936b1e-7c5a-7cc2-a3f1-0242ac120002",
            "type": "order.created",
            "source": "/order",
            "time": "2026-11-21T09:00:00.25Z",
            "sequence": 1,
            "data": {"status": "PENDING", "lines": []},
        });
        assert_eq!(serde_json::to_value(told).unwrap(), expected);
    }

    #[test]
    fn data_that_is_no_json_is_not_passed_off_as_some() {
        assert!(TimelineJson::try_from(entry("{")).is_err());
        assert!(TimelineJson::try_from(entry("")).is_err());
    }
}
