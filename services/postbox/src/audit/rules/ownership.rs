//! 13: nobody reads or changes another's order. Two customers who exist for this alone, and an order of the first one, for a
//! product that there is not: so it takes no stock and no money.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::Finding;
use crate::audit::sources::Sources;
use crate::cli::By;
use crate::failure::Failure;
use crate::gateway::{Credentials, Gateway};

/// No product has this SKU.
const NO_SKU: &str = "audit-has-no-such-product";

/// The two customers, and what belongs to the first.
#[derive(Debug)]
pub struct Probe {
    owner: Credentials,
    stranger: Credentials,
    order_id: String,
}

impl Probe {
    /// Registers the two and places the order.
    pub async fn set_up(sources: &Sources) -> Result<Self, Failure> {
        let (owner, stranger) = (Credentials::new(), Credentials::new());
        Gateway::enter(&sources.state, &stranger).await?;
        let gateway = Gateway::enter(&sources.state, &owner).await?;
        let key = format!("audit-{}", uuid::Uuid::now_v7());
        let answer = gateway.place_order(By::Telephone, &key, NO_SKU, 1, "tok_visa").await?;
        let order_id = answer.json()?["order_id"].as_str().map(str::to_owned);
        let order_id = order_id.ok_or_else(|| {
            Failure::try_again(format!("the gateway answered {} to the audit's own order", answer.status))
        })?;
        Ok(Self { owner, stranger, order_id })
    }

    /// Asks for the order on every route that shows or changes one, and for every list that could have it.
    pub async fn ask(&self, sources: &Sources, finding: &mut Finding) -> Result<(), Failure> {
        // tokens do not last as long as a watch
        let owner = Gateway::enter(&sources.state, &self.owner).await?;
        let stranger = Gateway::enter(&sources.state, &self.stranger).await?;
        let order = format!("/v1/orders/{}", self.order_id);
        let routes = [
            (Method::GET, order.clone(), StatusCode::NOT_FOUND),
            (Method::GET, format!("{order}/timeline"), StatusCode::NOT_FOUND),
            (Method::GET, format!("{order}/events"), StatusCode::NOT_FOUND),
            (Method::POST, format!("{order}/cancel"), StatusCode::NOT_FOUND),
            (Method::POST, format!("{order}/dispatch"), StatusCode::FORBIDDEN),
            (Method::GET, "/v1/analytics/sales".to_owned(), StatusCode::FORBIDDEN),
            (Method::GET, "/v1/analytics/top-products".to_owned(), StatusCode::FORBIDDEN),
            (Method::GET, "/v1/analytics/live".to_owned(), StatusCode::FORBIDDEN),
        ];
        for (method, path, expected) in routes {
            finding.checked += 1;
            let status = stranger.probe(method.clone(), &path).await?;
            if status != expected {
                finding.suspect(
                    None,
                    format!("{method} {path}"),
                    format!("a stranger is answered {status}, not {expected}"),
                );
            }
        }
        for path in ["/v1/orders", "/v1/messages"] {
            finding.checked += 1;
            let listed = stranger.list(path).await?;
            if listed.iter().any(|item: &Value| item["order_id"] == self.order_id.as_str()) {
                finding.suspect(None, format!("GET {path}"), format!("a stranger is shown order {}", self.order_id));
            }
        }
        finding.checked += 1;
        if owner.order(&self.order_id).await?["status"] != "REJECTED" {
            finding.suspect(None, format!("order {}", self.order_id), "is not as its owner left it".to_owned());
        }
        finding.note = Some("two customers who exist for the audit, and an order of one of them".to_owned());
        Ok(())
    }
}
