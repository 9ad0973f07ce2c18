//! What publishing is seen as, where spans are exported: a span for each topic of a round, linked to the traces in which its letters were
//! written.

use std::collections::BTreeMap;

use service_runtime::telemetry;
use tracing::{Span, info_span};

use crate::letter::LetterRow;

/// The spans of a round, which end with it; none where nobody hears of them.
pub(crate) fn of_round(letters: &[LetterRow]) -> Vec<Span> {
    if !telemetry::is_exported() {
        return Vec::new();
    }
    let mut topics = BTreeMap::<&str, Vec<&LetterRow>>::new();
    for letter in letters {
        topics.entry(&letter.topic).or_default().push(letter);
    }
    topics.into_iter().map(|(topic, letters)| of_topic(topic, &letters)).collect()
}

fn of_topic(topic: &str, letters: &[&LetterRow]) -> Span {
    let span = info_span!(
        target: telemetry::EXPORTED_ONLY,
        parent: None,
        "publish",
        otel.name = format_args!("publish {topic}"),
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.operation.type = "send",
        messaging.destination.name = topic,
        messaging.batch.message_count = i64::try_from(letters.len()).unwrap_or(i64::MAX)
    );
    telemetry::link(&span, letters.iter().filter_map(|letter| letter.traceparent.as_deref()));
    span
}
