//! 14: overload sheds, then recovers. A reader cannot overload anybody; what it sees is whether everybody has recovered: each
//! service says that it is ready, and the gateway answers, each within a second.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Finding;
use crate::audit::sources::Sources;
use crate::failure::Failure;

/// How long an answer may take on a platform that is not overloaded.
const PROMPT: Duration = Duration::from_secs(1);

/// Everybody answers promptly.
pub async fn everybody_answers(sources: &Sources, finding: &mut Finding) -> Result<(), Failure> {
    let gateway = sources.url("gateway")?;
    let ready = sources.services.iter().map(|service| (service.name.clone(), format!("{}/readyz", service.ops_url)));
    let probes = ready.chain([("an answer of the gateway".to_owned(), format!("{gateway}/v1/products?limit=1"))]);
    for (subject, url) in probes {
        finding.checked += 1;
        let began = Instant::now();
        let differs = match timeout(PROMPT, sources.http.get(&url).send()).await {
            Ok(Ok(answer)) if answer.status().is_success() => continue,
            Ok(Ok(answer)) => format!("is {} after {} ms", answer.status(), began.elapsed().as_millis()),
            Ok(Err(error)) => format!("is none: {error}"),
            Err(_) => format!("is not there after {} ms", PROMPT.as_millis()),
        };
        finding.suspect(None, subject, differs);
    }
    finding.note = Some("readiness and prompt answers only; the fault rows press on the platform".to_owned());
    Ok(())
}
