//! What a path names.

use std::{str::FromStr, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::{Gateway, problem::Problem};

/// The one variable part of a path. What cannot be the name of anything names nothing: 404.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<T: FromStr> FromRequestParts<Arc<Gateway>> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, gateway).await;
        named.ok().and_then(|Path(text)| text.parse().ok()).map(Self).ok_or_else(Problem::not_found)
    }
}
