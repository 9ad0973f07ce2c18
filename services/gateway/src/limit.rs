//! One limit: so many requests a minute for each key. They may come all at once and are then given back one by one (GCRA, by the
//! crate governor). How a client stands with it is told in the fields of draft-ietf-httpapi-ratelimit-headers.

mod counts;

use std::{fmt::Debug, hash::Hash, num::NonZeroU32, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};
use contracts::problem::ProblemCode;
use governor::{Quota, RateLimiter, clock::Clock, middleware::StateInformationMiddleware};
use metrics::counter;
use tokio::time::Instant;

use self::counts::Counts;
use crate::problem::Problem;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// So many requests a minute for each key.
#[derive(Debug)]
pub struct Limit<K: Hash + Eq + Clone> {
    name: &'static str,
    per_minute: u32,
    /// What is told of it in every answer.
    policy: HeaderValue,
    /// How long it takes until one request is given back.
    interval: Duration,
    counted: RateLimiter<K, Counts<K>, Uptime, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// A limit of this name. `per_minute` is at most 1,000,000; 0: none.
    pub fn new(name: &'static str, per_minute: u32) -> Option<Self> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
        let policy = format!("\"{name}\";q={per_minute};w=60");
        Some(Self {
            name,
            per_minute,
            policy: policy.try_into().expect("a name and numbers are a header's value"),
            interval: quota.replenish_interval(),
            counted: RateLimiter::new(quota, Counts::default(), Uptime(Instant::now())),
        })
    }

    /// Counts one request for `key`.
    pub fn count(&self, key: &K) -> Standing {
        let (remaining, wait, is_refused) = match self.counted.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = if remaining == 0 { 1 } else { self.per_minute - remaining };
                (remaining, self.interval * missing, false)
            }
            Err(until) => {
                counter!("rate_limit_refusals_total", "limit" => self.name).increment(1);
                (0, until.wait_time_from(self.counted.clock().now()), true)
            }
        };
        let (name, policy) = (self.name, self.policy.clone());
        Standing { name, policy, remaining, seconds: whole_seconds(wait), is_refused }
    }

    /// Forgets the keys for which nothing counts any more.
    pub fn forget(&self) {
        self.counted.retain_recent();
    }

    #[cfg(test)]
    fn counted_keys(&self) -> usize {
        self.counted.len()
    }
}

/// How a client stands with a limit once a request was counted.
#[derive(Debug)]
pub struct Standing {
    name: &'static str,
    policy: HeaderValue,
    /// So many requests more are taken now.
    remaining: u32,
    /// Until all requests of the minute are given back; when none remains, until one is.
    seconds: u64,
    is_refused: bool,
}

impl Standing {
    /// What the client is answered with when it is over the limit.
    pub fn problem(&self) -> Option<Problem> {
        let Self { name, seconds, .. } = self;
        self.is_refused.then(|| {
            let detail = format!("this is over the limit \"{name}\", see RateLimit-Policy; come again in {seconds} s");
            Problem::new(ProblemCode::RateLimited, detail)
        })
    }

    /// Tells it in an answer; also when to come again, when that answer is the problem.
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
        headers.insert(RATE_LIMIT, self.to_header());
        if self.is_refused {
            headers.insert(RETRY_AFTER, self.seconds.into());
        }
    }

    fn to_header(&self) -> HeaderValue {
        let Self { name, remaining, seconds, .. } = self;
        format!("\"{name}\";r={remaining};t={seconds}").try_into().expect("a name and numbers are a header's value")
    }
}

/// Never 0: who comes again at once is not told to come again at once.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The time since a limit was made, by the clock of the runtime.
#[derive(Debug)]
struct Uptime(Instant);

impl Clock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn told(standing: &Standing) -> [Option<String>; 3] {
        let mut headers = HeaderMap::new();
        standing.tell(&mut headers);
        ["ratelimit-policy", "ratelimit", "retry-after"]
            .map(|name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()))
    }

    fn is_refused(standing: &Standing) -> bool {
        standing.problem().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn what_remains_counts_down_and_the_reset_is_when_all_is_given_back_or_one_when_none_remains() {
        let limit = Limit::new("customer", 5).unwrap();
        for (remaining, seconds) in [(4, 12), (3, 24), (2, 36), (1, 48), (0, 12)] {
            let standing = limit.count(&"ada");
            let [policy, current, retry_after] = told(&standing);
            assert_eq!(policy.unwrap(), "\"customer\";q=5;w=60");
            assert_eq!(current.unwrap(), format!("\"customer\";r={remaining};t={seconds}"));
            assert!(!is_refused(&standing) && retry_after.is_none(), "{remaining}");
        }
        let [policy, current, retry_after] = told(&limit.count(&"ada")).map(Option::unwrap);
        assert_eq!([policy.as_str(), &current, &retry_after], ["\"customer\";q=5;w=60", "\"customer\";r=0;t=12", "12"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_refused_is_taken_after_as_many_seconds_as_he_was_told_and_not_before() {
        let limit = Limit::new("customer", 7).unwrap();
        while !is_refused(&limit.count(&"ada")) {}
        for _ in 0..20 {
            let refused = limit.count(&"ada");
            let [_, current, retry_after] = told(&refused);
            let seconds: u64 = retry_after.unwrap().parse().unwrap();
            assert_eq!(current.unwrap(), format!("\"customer\";r=0;t={seconds}"));
            advance(Duration::from_secs(seconds - 1)).await;
            assert!(is_refused(&limit.count(&"ada")), "taken before {seconds} s");
            advance(Duration::from_secs(1)).await;
            assert!(!is_refused(&limit.count(&"ada")), "refused after {seconds} s");
            // what was left of the second is no second more
            while !is_refused(&limit.count(&"ada")) {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_minute_all_is_given_back() {
        let limit = Limit::new("customer", 100).unwrap();
        for _ in 0..3 {
            let taken = std::iter::repeat_with(|| limit.count(&"ada")).take_while(|standing| !is_refused(standing));
            assert_eq!(taken.count(), 100);
            assert!(!is_refused(&limit.count(&"grace")), "one key is none of the other's business");
            advance(Duration::from_mins(1)).await;
        }
    }

    #[test]
    fn no_requests_a_minute_are_no_limit() {
        assert!(Limit::<u8>::new("customer", 0).is_none());
    }

    #[test]
    fn a_part_of_a_second_is_waited_for_as_a_whole_one() {
        let waits = [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (12_000, 12)];
        for (milliseconds, seconds) in waits {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds, "{milliseconds} ms");
        }
    }
}
