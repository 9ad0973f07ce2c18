//! What the interface is, for programs: OpenAPI 3.1 at `/openapi.json`, and a page to try it at `/docs`.
//!
//! It is made of the routes themselves. Each type that a handler takes says what it asks of a request and which problems it
//! may end in, so that no route can ask for more than it is described with. A handler's `…_docs` beside it adds what
//! its types cannot tell: what it is for, and what it answers.

use aide::{
    generate::in_context,
    openapi::{OpenApi, Operation, Parameter, ReferenceOr, RequestBody, Response, Responses, StatusCode},
    swagger::Swagger,
    transform::{TransformOpenApi, TransformOperation},
};
use axum::{
    Json,
    http::{HeaderName, header},
    response::{IntoResponse, Response as HttpResponse},
};
use contracts::problem::ProblemCode;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    fields::{FromFields, Shape},
    issuer::Role,
};

/// Where the schemas stand that several operations share.
const SCHEMAS: &str = "#/components/schemas/";

/// The name under which a token is asked for.
const TOKEN: &str = "token";

/// What may happen to every request.
const ALWAYS: [ProblemCode; 6] = [
    ProblemCode::Malformed,
    ProblemCode::NotAcceptable,
    ProblemCode::RateLimited,
    ProblemCode::Unavailable,
    ProblemCode::DeadlineExceeded,
    ProblemCode::Internal,
];

const ABOUT: &str = "\
Orders, the catalogue and what follows an order, over HTTP.

* Money is in minor units: `{\"amount_minor\": 1250, \"currency\": \"EUR\"}` is 12.50 EUR. Times are RFC 3339 in UTC. Ids are UUIDs.
* A list is told page by page: its `next_cursor` is the `cursor` of the next page, and null in the last.
* Every 4xx and 5xx is a problem (RFC 9457). Its `type` is a page that says what to do; clients go by its `code`.
* What must not happen twice takes an `Idempotency-Key`. Send the same request with the same key again when no answer came: the answer is
  the same, with `Idempotent-Replayed: true`.
* Every answer carries `x-request-id`: yours, when you sent one. `traceparent` (W3C) is honoured.
* `RateLimit` and `RateLimit-Policy` tell how many requests are left, where they are limited.
* 429, 503 and 504 carry `Retry-After`, in seconds.";

/// To be called before the routes are made: schemas are gathered while they are.
pub fn begin() {
    in_context(|context| {
        // what is described is what is told: a field that is left out when there is nothing to say may be missing, others not
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = SCHEMAS.trim_start_matches('#').into();
        });
        context.schema = SchemaGenerator::new(settings);
    });
}

/// What is said of the interface as a whole, and of each operation by the rules that hold for all.
pub fn complete(api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    let mut api = api.title("Postbox").version(env!("CARGO_PKG_VERSION")).description(ABOUT).security_scheme(
        TOKEN,
        from_json(json!({
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "From `POST /v1/tokens`; valid for 15 minutes.",
        })),
    );
    let problem = in_context(|context| context.schema.subschema_for::<crate::problem::Document<'static>>());
    debug_assert_eq!(problem.get("$ref"), Some(&json!(problem_schema())));
    let whole = api.inner_mut();
    whole.tags = [
        ("accounts", "Who one is, and tokens that prove it"),
        ("catalogue", "What can be ordered, and how much of it there is"),
        ("orders", "Placing, watching and cancelling orders"),
        ("followers", "What becomes of orders that are completed: parcels, messages, figures"),
        ("about", "This interface itself"),
    ]
    .map(|(name, about)| from_json(json!({"name": name, "description": about})))
    .into();
    let items = whole.paths.iter_mut().flat_map(|paths| paths.paths.values_mut());
    for item in items.filter_map(ReferenceOr::as_item_mut) {
        for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
            may_end_in(operation, &ALWAYS);
            operation
                .responses
                .get_or_insert_default()
                .responses
                .sort_by(|a, _, b, _| a.to_string().cmp(&b.to_string()));
        }
    }
    api
}

/// Notes that the operation may end in these problems.
pub fn may_end_in(operation: &mut Operation, codes: &[ProblemCode]) {
    let Responses { responses, .. } = operation.responses.get_or_insert_default();
    for code in codes {
        let response = responses
            .entry(StatusCode::Code(code.http_status()))
            .or_insert_with(|| ReferenceOr::Item(problem_response(code.http_status())));
        let line = format!("`{}`: {}", code.word(), code.title());
        if let ReferenceOr::Item(Response { description, .. }) = response
            && !description.contains(&line)
        {
            *description = if description.is_empty() { line } else { format!("{description}\n\n{line}") };
        }
    }
}

/// Notes that the operation asks for a token with one of these roles.
pub fn needs_role(operation: &mut Operation, roles: &[Role]) {
    // the roles of a bearer token may be told here since OpenAPI 3.1
    operation.security = roles.iter().map(|role| from_json(json!({TOKEN: [role.word()]}))).collect();
    may_end_in(operation, &[ProblemCode::Unauthenticated, ProblemCode::Forbidden]);
}

/// Notes that the operation takes a header.
pub fn takes_header(operation: &mut Operation, name: &HeaderName, is_required: bool, about: &str, schema: &Value) {
    takes(operation, "header", name.as_str(), is_required, about, schema);
}

/// Notes what the variable part of the path is.
pub fn takes_in_path(operation: &mut Operation, name: &str, about: &str, schema: &Value) {
    takes(operation, "path", name, true, about, schema);
}

/// Notes the parameters of the query.
pub fn takes_query(operation: &mut Operation, query: &Shape) {
    for field in &query.fields {
        takes(operation, "query", field.name, field.is_required, "", &field.schema);
    }
}

fn takes(operation: &mut Operation, place: &str, name: &str, is_required: bool, about: &str, schema: &Value) {
    let mut parameter = json!({"in": place, "name": name, "required": is_required, "schema": schema});
    if !about.is_empty() {
        parameter["description"] = json!(about);
    }
    operation.parameters.push(ReferenceOr::Item(from_json::<Parameter>(parameter)));
}

/// Notes the body that the operation takes.
pub fn takes_body<T: FromFields>(operation: &mut Operation, body: &Shape) {
    let mut content = json!({"schema": body.schema()});
    if let Some(example) = T::example() {
        content["example"] = example;
    }
    // one without any fields need not be there
    let is_required = !body.fields.is_empty();
    let body = json!({"required": is_required, "content": {"application/json": content}});
    operation.request_body = Some(ReferenceOr::Item(from_json::<RequestBody>(body)));
}

/// What an operation is called, and what it is for.
pub fn named<'t>(operation: TransformOperation<'t>, id: &str, tag: &str, summary: &str) -> TransformOperation<'t> {
    operation.id(id).tag(tag).summary(summary)
}

/// What an operation answers when all goes well.
pub fn answers<'t, const STATUS: u16, T: JsonSchema>(
    operation: TransformOperation<'t>,
    about: &str,
) -> TransformOperation<'t> {
    operation.response_with::<STATUS, Json<T>, _>(|response| response.description(about))
}

/// Says that what was described as the answer 200 comes again and again, as the `data` of server-sent events. An event may be an `id`
/// alone.
pub fn told_as_events(mut operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let responses = operation.inner_mut().responses.get_or_insert_default();
    if let Some(ReferenceOr::Item(response)) = responses.responses.get_mut(&StatusCode::Code(200)) {
        let (_, mut content) = response.content.pop().expect("it was described before");
        if let Some(told) = &mut content.schema {
            told.json_schema = json_schema!({
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "event": {"type": "string"},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": told.json_schema,
                    },
                },
            });
        }
        response.content.insert("text/event-stream".to_owned(), content);
    }
    operation
}

/// Adds a header to an answer that was described before.
pub fn with_header(operation: &mut Operation, status: u16, name: &HeaderName, about: &str) {
    let responses = operation.responses.get_or_insert_default();
    if let Some(ReferenceOr::Item(response)) = responses.responses.get_mut(&StatusCode::Code(status)) {
        let header = json!({"description": about, "schema": {"type": "string"}});
        response.headers.insert(name.as_str().to_owned(), ReferenceOr::Item(from_json(header)));
    }
}

/// The words of an enum of a message, as clients are told them; the first value, which stands for none, is not one.
pub fn words<E: TryFrom<i32>>(name: impl Fn(&E) -> &'static str, prefix: &str) -> Vec<&'static str> {
    let values = (1..).map_while(|number| E::try_from(number).ok());
    values.map(|value| name(&value)).map(|name| name.strip_prefix(prefix).unwrap_or(name)).collect()
}

fn problem_response(status: u16) -> Response {
    let mut response = json!({
        "description": "",
        "content": {"application/problem+json": {"schema": {"$ref": problem_schema()}}},
    });
    if [429, 503, 504].contains(&status) {
        response["headers"] = json!({"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}});
    }
    from_json(response)
}

fn problem_schema() -> String {
    format!("{SCHEMAS}Problem")
}

/// A part of the document, written as what it is going to be.
fn from_json<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("it is written in this file")
}

/// The document, ready to be told.
pub fn document(api: &OpenApi) -> String {
    serde_json::to_string_pretty(api).expect("it has text keys, and nothing else can fail")
}

/// The page to try it at.
pub fn page() -> String {
    Swagger::new("/openapi.json").with_title("Postbox").html()
}

/// Answers with a document that does not change while we run.
pub fn constant(content_type: &'static str, document: impl Into<axum::body::Bytes>) -> HttpResponse {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, document.into()).into_response()
}
