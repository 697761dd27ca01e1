//! `/api/v1`: what is known, as JSON. `docs/api.md` has an example of each answer.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::desk::Unanswered;
use super::events::events;
use super::profile;
use super::published::Published;
use super::query::Query;
use crate::export::api::{self, View};

/// The highest pid that Linux gives out.
pub(super) const PIDS: u32 = 4_194_304;

pub(super) fn routes() -> Router<Published> {
    Router::new()
        .route("/api/v1/processes", get(processes))
        .route("/api/v1/processes/{pid}", get(process))
        .route("/api/v1/processes/{pid}/descriptors", get(descriptors))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/stacks/{id}", get(stack))
        .route("/api/v1/health", get(health))
        .route("/api/v1/profile", get(profile::profile))
        .route("/api/v1/events", get(events))
}

async fn processes(State(published): State<Published>, RawQuery(query): RawQuery) -> Response {
    let ended = Query::of(query.as_deref()).text("ended") == Some("true");
    answer(&published, move |view| Some(api::processes(view, ended))).await
}

async fn process(State(published): State<Published>, Path(pid): Path<String>) -> Response {
    let Ok(pid) = pid.parse() else { return not_found() };
    answer(&published, move |view| api::process(view, pid)).await
}

async fn descriptors(State(published): State<Published>, Path(pid): Path<String>) -> Response {
    let Ok(pid) = pid.parse() else { return not_found() };
    answer(&published, move |view| api::descriptors(view, pid)).await
}

async fn findings(State(published): State<Published>, RawQuery(query): RawQuery) -> Response {
    match Query::of(query.as_deref()).number("pid", 1..=PIDS) {
        Ok(pid) => answer(&published, move |view| Some(api::findings(view, pid))).await,
        Err(wrong) => bad_request(&wrong),
    }
}

async fn stack(State(published): State<Published>, Path(id): Path<String>) -> Response {
    let plain = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(id) = plain.then(|| u64::from_str_radix(&id, 16).ok()).flatten() else {
        return bad_request("A stack's id has 16 hexadecimal digits.");
    };
    answer(&published, move |view| api::stack(view, id)).await
}

async fn health(State(published): State<Published>) -> Response {
    answer(&published, |view| Some(api::health(view))).await
}

/// Asks, and answers with the value; `None` is "not found".
async fn answer(
    published: &Published,
    question: impl FnOnce(&View<'_>) -> Option<Value> + Send + 'static,
) -> Response {
    match published.desk().ask(question).await {
        Ok(Some(value)) => json_text(&value),
        Ok(None) => not_found(),
        Err(unanswered) => busy(unanswered),
    }
}

pub(super) fn json_text(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

fn error(status: StatusCode, told: &str) -> Response {
    (status, json_text(&json!({ "error": told }))).into_response()
}

pub(super) fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "There is nothing of that name, or not any more.")
}

pub(super) fn bad_request(wrong: &str) -> Response {
    error(StatusCode::BAD_REQUEST, wrong)
}

pub(super) fn busy(unanswered: Unanswered) -> Response {
    let told = error(StatusCode::SERVICE_UNAVAILABLE, &unanswered.to_string());
    ([(RETRY_AFTER, "1")], told).into_response()
}
