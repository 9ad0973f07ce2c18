//! The fields of a log line: all but those that only say how a span is exported, which begin with `otel.`.

use std::{error::Error, fmt, mem};

use tracing::{
    field::{Field, Visit},
    span::Record,
};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput},
    fmt::{
        FormatFields, FormattedFields,
        format::{DefaultVisitor, JsonFields, JsonVisitor, Writer},
    },
};

/// Formats fields as the usual formatters do, and leaves out what is for export alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LogFields {
    Text,
    Json,
}

impl<'writer> FormatFields<'writer> for LogFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        match self {
            Self::Text => {
                let mut text = DefaultVisitor::new(writer, true);
                fields.record(&mut Sieve(&mut text));
                text.finish()
            }
            Self::Json => {
                let mut object = JsonVisitor::new(&mut writer);
                fields.record(&mut Sieve(&mut object));
                object.finish()
            }
        }
    }

    /// What is added once a span is there is never for export alone.
    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        match self {
            Self::Text => {
                if !current.fields.is_empty() {
                    current.fields.push(' ');
                }
                self.format_fields(current.as_writer(), fields)
            }
            // what is there already is one object, and stays one
            Self::Json => {
                let mut object = FormattedFields::new(mem::take(&mut current.fields));
                let added = JsonFields::new().add_fields(&mut object, fields);
                current.fields = object.fields;
                added
            }
        }
    }
}

/// Lets through the fields that a log has.
struct Sieve<'a>(&'a mut dyn Visit);

fn is_logged(field: &Field) -> bool {
    !field.name().starts_with("otel.")
}

macro_rules! pass_on_what_is_logged {
    ($($record:ident($value:ty)),*) => {$(
        fn $record(&mut self, field: &Field, value: $value) {
            if is_logged(field) {
                self.0.$record(field, value);
            }
        }
    )*};
}

impl Visit for Sieve<'_> {
    pass_on_what_is_logged!(
        record_f64(f64),
        record_i64(i64),
        record_u64(u64),
        record_i128(i128),
        record_u128(u128),
        record_bool(bool),
        record_str(&str),
        record_bytes(&[u8]),
        record_error(&(dyn Error + 'static)),
        record_debug(&dyn fmt::Debug)
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::{field::Empty, info, info_span};
    use tracing_subscriber::{fmt, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics here").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("nobody panics here").clone()).expect("it is text")
        }
    }

    fn a_line_in_a_span() {
        let span = info_span!("call", rpc = "a.B/C", otel.name = "a.B/C", otel.kind = "server", trace_id = Empty);
        span.record("trace_id", "0af7");
        span.in_scope(|| info!(pieces = 3, "sold"));
    }

    #[test]
    fn a_line_of_text_has_no_field_that_is_for_export_alone() {
        let log = Log::default();
        let writer = log.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).with_ansi(false).without_time().with_target(false);
        let lines = lines.compact().fmt_fields(LogFields::Text);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), a_line_in_a_span);
        assert_eq!(log.text(), " INFO call: sold pieces=3 rpc=\"a.B/C\" trace_id=\"0af7\"\n");
    }

    #[test]
    fn a_line_for_machines_has_no_field_that_is_for_export_alone_and_stays_json() {
        let log = Log::default();
        let writer = log.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).json().fmt_fields(LogFields::Json);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), a_line_in_a_span);
        let line: serde_json::Value = serde_json::from_str(&log.text()).expect("it is JSON");
        assert_eq!(line["fields"], serde_json::json!({ "message": "sold", "pieces": 3 }));
        assert_eq!(line["span"], serde_json::json!({ "name": "call", "rpc": "a.B/C", "trace_id": "0af7" }));
    }
}
