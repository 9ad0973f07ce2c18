//! Windows of time, and the spans of them that a question may be about. No I/O.

use jiff::{SignedDuration, Timestamp};

use crate::AnalyticsError;

/// The span of a question that names no start.
const USUAL: SignedDuration = SignedDuration::from_hours(1);

/// How finely time is divided. Each division begins at 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// What everything is counted by.
    Minute,
    /// Sixty minutes, from the full hour in UTC.
    Hour,
}

impl Window {
    /// The length, in seconds.
    pub const fn seconds(self) -> i32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// The start of the window that a time lies in.
    pub fn start_of(self, time: Timestamp) -> Timestamp {
        let length = self.nanoseconds();
        let start = time.as_nanosecond().div_euclid(length) * length;
        // the window that all of time begins with is not a whole one
        Timestamp::from_nanosecond(start).unwrap_or(Timestamp::MIN)
    }

    /// The end of the window that starts at `start`: the first moment that is not in it.
    pub fn end_from(self, start: Timestamp) -> Timestamp {
        // and neither is the one that it ends with
        Timestamp::from_nanosecond(start.as_nanosecond() + self.nanoseconds()).unwrap_or(Timestamp::MAX)
    }

    fn nanoseconds(self) -> i128 {
        i128::from(self.seconds()) * 1_000_000_000
    }
}

/// Some windows, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The start of the first.
    pub from: Timestamp,
    /// The end of the last: the first moment that is in none.
    pub to: Timestamp,
}

impl Span {
    /// The windows that begin before `to`, from the one that `from` lies in; whole windows, so that each says the same
    /// whatever it was asked with. Without `to` it is now, without `from` an hour earlier.
    ///
    /// `from` must be before `to`, both after 1969, and there may be at most `windows_max` windows.
    pub fn new(
        window: Window,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
        windows_max: u32,
    ) -> Result<Self, AnalyticsError> {
        let to = not_too_early("to", to.unwrap_or(now))?;
        let from = match from {
            Some(from) => not_too_early("from", from)?,
            None => to.checked_sub(USUAL).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH),
        };
        if from >= to {
            return Err(AnalyticsError::invalid("from", format!("must be before `to`, which is {to}")));
        }
        let from = window.start_of(from);
        let last = window.start_of(to - SignedDuration::from_nanos(1));
        let windows = (last.as_nanosecond() - from.as_nanosecond()) / window.nanoseconds() + 1;
        if windows > i128::from(windows_max) {
            let detail =
                format!("there are {windows} windows from here to {to}; at most {windows_max} can be asked for");
            return Err(AnalyticsError::invalid("from", detail));
        }
        Ok(Self { from, to: window.end_from(last) })
    }
}

/// Before 1970 there is nothing to tell, and far before it no time that the database knows.
fn not_too_early(field: &'static str, time: Timestamp) -> Result<Timestamp, AnalyticsError> {
    if time < Timestamp::UNIX_EPOCH {
        return Err(AnalyticsError::invalid(field, "must not be before 1970"));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = 1_500;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn span(window: Window, from: &str, to: &str) -> Result<Span, AnalyticsError> {
        Span::new(window, Some(time(from)), Some(time(to)), Timestamp::MIN, MAX)
    }

    fn refused_field(refused: Result<Span, AnalyticsError>) -> &'static str {
        match refused {
            Err(AnalyticsError::Invalid { field, .. }) => field,
            other => panic!("not refused for a field: {other:?}"),
        }
    }

    #[test]
    fn a_span_is_made_of_whole_windows_that_begin_before_its_end() {
        let told = |window, from, to| span(window, from, to).unwrap();
        let of = |from, to| Span { from: time(from), to: time(to) };
        let (early, late) = ("2026-11-21T09:10:20.5Z", "2026-11-21T10:30:00Z");
        assert_eq!(told(Window::Minute, early, late), of("2026-11-21T09:10:00Z", late));
        assert_eq!(told(Window::Hour, early, late), of("2026-11-21T09:00:00Z", "2026-11-21T11:00:00Z"));
        let later = "2026-11-21T10:30:00.000000001Z";
        assert_eq!(told(Window::Minute, early, later), of("2026-11-21T09:10:00Z", "2026-11-21T10:31:00Z"));
    }

    #[test]
    fn what_is_not_said_is_the_last_hour() {
        let now = time("2026-11-21T10:30:30Z");
        let usual = Span::new(Window::Minute, None, None, now, MAX).unwrap();
        assert_eq!(usual, span(Window::Minute, "2026-11-21T09:30:30Z", "2026-11-21T10:30:30Z").unwrap());
        let until = Span::new(Window::Minute, None, Some(time("2026-11-21T09:00:00Z")), now, MAX).unwrap();
        assert_eq!(until, span(Window::Minute, "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z").unwrap());
        let since = Span::new(Window::Minute, Some(time("2026-11-21T10:00:00Z")), None, now, MAX).unwrap();
        assert_eq!(since, span(Window::Minute, "2026-11-21T10:00:00Z", "2026-11-21T10:30:30Z").unwrap());
    }

    #[test]
    fn a_span_has_at_most_its_number_of_windows() {
        assert!(span(Window::Minute, "2026-11-20T00:00:59Z", "2026-11-21T01:00:00Z").is_ok());
        assert_eq!(refused_field(span(Window::Minute, "2026-11-20T00:00:59Z", "2026-11-21T01:00:01Z")), "from");
        assert!(span(Window::Hour, "2026-01-01T00:00:00Z", "2026-03-04T12:00:00Z").is_ok());
        assert_eq!(refused_field(span(Window::Hour, "2026-01-01T00:00:00Z", "2026-03-04T12:00:01Z")), "from");
    }

    #[test]
    fn a_span_that_ends_before_it_begins_or_begins_before_1970_is_refused_by_its_field() {
        assert_eq!(refused_field(span(Window::Minute, "2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z")), "from");
        assert_eq!(refused_field(span(Window::Minute, "1969-12-31T23:59:59Z", "1970-01-01T00:01:00Z")), "from");
        assert_eq!(refused_field(span(Window::Minute, "1969-12-31T23:58:00Z", "1969-12-31T23:59:00Z")), "to");
        assert_eq!(refused_field(Span::new(Window::Hour, None, Some(Timestamp::MIN), Timestamp::MIN, MAX)), "to");
    }

    #[test]
    fn windows_at_the_ends_of_time_are_cut_off() {
        assert_eq!(Window::Hour.start_of(Timestamp::MIN), Timestamp::MIN);
        assert_eq!(Window::Hour.end_from(Timestamp::MAX), Timestamp::MAX);
        assert!(Span::new(Window::Hour, None, Some(Timestamp::MAX), Timestamp::MIN, MAX).is_ok());
        assert_eq!(Window::Minute.start_of(time("1969-12-31T23:59:59.5Z")), time("1969-12-31T23:59:00Z"));
    }
}
