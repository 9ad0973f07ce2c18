//! Where metrics go: the recorder of the process, which `/metrics` shows.

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::Error;

/// Upper bounds of the buckets of every duration, in seconds: from a query to the longest wait that anybody has. Without buckets a
/// histogram would be shown as quantiles, which cannot be added up over replicas.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The recorder, installed by whoever asks first. What is counted before that is lost, so [`crate::start()`] asks before any
/// part of the service begins.
pub(crate) fn recorder() -> Result<PrometheusHandle, Error> {
    // held while it is installed: there can be one alone
    let mut installed = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recorder) = &*installed {
        return Ok(recorder.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| Error::other("installing the metrics recorder", error))?;
    Ok(installed.insert(recorder).clone())
}
