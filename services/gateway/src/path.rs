//! What a path names.

use std::sync::Arc;

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use contracts::{
    ids::{OrderId, Sku},
    problem::ProblemCode,
};

use crate::{Gateway, openapi, problem::Problem, spelling::Spelled};

/// What a path can name.
pub trait InPath: Spelled {
    /// What the variable part is called in the paths of [`crate::routes`].
    const PART: &'static str;

    /// What it is.
    const ABOUT: &'static str;
}

impl InPath for OrderId {
    const PART: &'static str = "id";
    const ABOUT: &'static str = "The order's id.";
}

impl InPath for Sku {
    const PART: &'static str = "sku";
    const ABOUT: &'static str = "What the product is ordered by.";
}

/// The one variable part of a path. What cannot be the name of anything names nothing: 404.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<T: InPath> FromRequestParts<Arc<Gateway>> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let named = Path::<String>::from_request_parts(parts, gateway).await;
        named.ok().and_then(|Path(text)| text.parse().ok()).map(Self).ok_or_else(Problem::not_found)
    }
}

impl<T: InPath> OperationInput for Named<T> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::takes_in_path(operation, T::PART, T::ABOUT, &T::schema());
        openapi::may_end_in(operation, &[ProblemCode::NotFound]);
    }
}
