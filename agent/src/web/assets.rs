//! The page and what belongs to it, out of the program itself: nothing is fetched from elsewhere.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("assets/index.html");

/// No script or style but the page's own files, and nothing from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_str!(concat!("assets/", $name)))
    };
}

const ASSETS: [(&str, &str, &str); 11] = [
    asset!("style.css", STYLE),
    asset!("app.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("text.js", SCRIPT),
    asset!("findings.js", SCRIPT),
    asset!("flame.js", SCRIPT),
    asset!("graphs.js", SCRIPT),
    asset!("health.js", SCRIPT),
    asset!("process.js", SCRIPT),
    asset!("processes.js", SCRIPT),
];

pub(super) async fn page() -> Response {
    let page = PAGE.replace("{version}", env!("CARGO_PKG_VERSION"));
    ([(CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response()
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => ([(CONTENT_TYPE, *kind)], *text).into_response(),
        None => (StatusCode::NOT_FOUND, "There is no such file.\n").into_response(),
    }
}
