//! Answers of the routes themselves, without a connection.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::*;

fn ask(method: Method, path: &str) -> (StatusCode, HeaderMap, String) {
    let hosts = AllowedHosts::new(([127, 0, 0, 1], 1).into(), "");
    // Nobody answers questions.
    let routes = TowerToHyperService::new(router(Published::default(), hosts));
    let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    let request = request.body(Body::empty()).expect("a request");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (head, body) = routes.call(request).await.expect("infallible").into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a body");
        (head.status, head.headers, String::from_utf8(body.to_vec()).expect("UTF-8"))
    })
}

fn policy(path: &str) -> String {
    let (_, headers, _) = ask(Method::GET, path);
    headers[CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned()
}

/// Exercise what keeps a browser from running anything but the page's own files.
#[test]
fn nothing_foreign_runs() {
    let page = policy("/");
    assert!(page.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{page}");
    assert!(!page.contains("unsafe") && page.contains("frame-ancestors 'none'"), "{page}");
    for path in ["/metrics", "/assets/app.js", "/api/v1/health", "/debug/pprof/", "/nothing"] {
        assert_eq!(policy(path), "default-src 'none'", "{path}");
    }
    let (_, headers, page) = ask(Method::GET, "/");
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    let inline = page.matches("<script").count() - page.matches("src=\"/assets/").count();
    assert!(inline == 0 && !page.contains("<style") && !page.contains(" style="), "{page}");
    assert!(!page.contains("//"), "nothing is fetched from elsewhere: {page}");
}

/// Exercise the page's files: each that the page and its modules name is there.
#[test]
fn every_file_that_is_named_is_there() {
    let (_, _, page) = ask(Method::GET, "/");
    let mut wanted: Vec<String> = page.split("\"/assets/").skip(1).map(name).collect();
    let mut seen = 0;
    while let Some(file) = wanted.get(seen).cloned() {
        let (status, headers, text) = ask(Method::GET, &format!("/assets/{file}"));
        assert_eq!(status, StatusCode::OK, "{file}");
        let kind = if file.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(headers[CONTENT_TYPE].to_str().expect("text").starts_with(kind), "{file}");
        for import in text.split("from \"./").skip(1).map(name) {
            if !wanted.contains(&import) {
                wanted.push(import);
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 11, "{wanted:?}");
    assert_eq!(ask(Method::GET, "/assets/other.js").0, StatusCode::NOT_FOUND);
}

fn name(rest: &str) -> String {
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Exercise an agent that does not answer, and methods that would change something.
#[test]
fn unanswered_questions_and_other_methods_are_told() {
    for path in ["/api/v1/health", "/api/v1/processes/1", "/api/v1/profile", "/debug/pprof/heap"] {
        let (status, headers, body) = ask(Method::GET, path);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(headers[axum::http::header::RETRY_AFTER], "1", "{path}");
        assert!(body.starts_with("{\"error\":"), "{path}: {body}");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(ask(method, path).0, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }
    for wrong in ["pid=0", "seconds=0", "seconds=301", "what=%3Cb%3E", "format=exe"] {
        let (status, _, body) = ask(Method::GET, &format!("/api/v1/profile?{wrong}"));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {body}");
        assert!(!body.contains("%3C"), "what was asked is not repeated: {body}");
    }
}
