//! Files as people write them, and passwords.

use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// bcrypt's lowest cost, so that the tests take no seconds.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("web.yml");
        // Another inode each time: so it is told apart however fast the writes come.
        std::fs::write(path.with_extension("new"), text).expect("written");
        std::fs::rename(path.with_extension("new"), &path).expect("renamed");
        path
    }
}

fn headers(user: &str, password: &str) -> HeaderMap {
    let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).expect("a header"))])
}

fn check(access: &Access, headers: &HeaderMap) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(access.admits(&access.current(), headers))
}

/// Exercise what the file may not say; each refusal tells what it is about.
#[test]
fn what_cannot_be_done_is_refused() {
    let folder = Folder::new();
    for (text, told) in [
        ("tls_server_config: {cert_file: a.pem}\n", "a.pem"),
        ("tls_server_config: {key: x, client_auth_type: NoClientCert}\n", "cert_file is missing"),
        ("tls_server_config: {cert: x}\n", "key_file is missing"),
        ("tls_server_config: {cert: x, cert_file: y}\n", "both"),
        ("tls_server_config: {cert: x, key: y}\n", "certificate"),
        ("tls_server_config: {client_auth_typ: x}\n", "client_auth_typ"),
        ("http_server_config: {headers: {X-Other: y}}\n", "X-Frame-Options"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}\n", "deny or sameorigin"),
        ("http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}\n", "X-XSS-Protection"),
        ("basic_auth_users: {ann: secret}\n", "htpasswd"),
        (
            "basic_auth_users: {ann: $2y$31$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n",
            "cost 31",
        ),
        ("rate_limit: {interval: soon, burst: 3}\n", "rate_limit"),
        ("rate_limit: {interval: 1s}\n", "burst"),
        ("basic_auth_user: {}\n", "basic_auth_user"),
        ("nonsense", "web.yml"),
    ] {
        let error = Access::read(&folder.write(text)).expect_err(text).to_string();
        assert!(error.contains(told) && error.lines().count() == 1, "{text}: {error}");
    }
    let error = Access::read(Path::new("/dev/null")).expect_err("a device").to_string();
    assert!(error.contains("no regular file"), "{error}");
    for text in ["", "# nothing\n", "tls_server_config: {}\n", "basic_auth_users: {}\n"] {
        let access = Access::read(&folder.write(text)).expect(text);
        assert!(!access.is_tls(), "{text}");
        assert_eq!(check(&access, &HeaderMap::new()), Verdict::Admitted, "{text}");
    }
}

/// Exercise right and wrong passwords, twice: the second time those that passed are remembered.
#[test]
fn passwords_let_in_who_has_them() {
    let folder = Folder::new();
    let text = format!("basic_auth_users:\n  ann: {}\n  bob: {}\n", hash("a:n"), hash("b"));
    let access = Access::read(&folder.write(&text)).expect("a file");
    for _ in 0..2 {
        for (user, password, expected) in [
            ("ann", "a:n", Verdict::Admitted),
            ("bob", "b", Verdict::Admitted),
            ("ann", "b", Verdict::Refused),
            ("bob", "a:n", Verdict::Refused),
            ("eve", "b", Verdict::Refused),
            ("ann", "", Verdict::Refused),
            ("", "", Verdict::Refused),
        ] {
            assert_eq!(check(&access, &headers(user, password)), expected, "{user} {password}");
        }
    }
    for value in ["Basic", "Basic !", "Bearer abc", "Basic YW5u", ""] {
        let value = HeaderValue::from_static(value);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        assert_eq!(check(&access, &headers), Verdict::Refused);
    }
    assert_eq!(check(&access, &HeaderMap::new()), Verdict::Refused);
}

/// Exercise the limit of requests: it comes before the passwords.
#[test]
fn requests_are_limited() {
    let folder = Folder::new();
    let text = format!(
        "rate_limit: {{interval: 1h, burst: 2}}\nbasic_auth_users: {{ann: {}}}\n",
        hash("secret")
    );
    let access = Access::read(&folder.write(&text)).expect("a file");
    let right = headers("ann", "secret");
    let verdicts = [&right, &HeaderMap::new(), &right].map(|headers| check(&access, headers));
    assert_eq!(verdicts, [Verdict::Admitted, Verdict::Refused, Verdict::TooMany]);
}

/// Exercise a flood of wrong passwords: those that are too many are told so at once, and who was let
/// in before is let in meanwhile.
#[test]
fn a_flood_of_passwords_keeps_nobody_out() {
    let folder = Folder::new();
    let text = format!("basic_auth_users: {{ann: {}}}\n", hash("secret"));
    let access = Arc::new(Access::read(&folder.write(&text)).expect("a file"));
    assert_eq!(check(&access, &headers("ann", "secret")), Verdict::Admitted);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let flood = async {
        let policy = access.current();
        let attempts = (0..100).map(|n| {
            let (access, policy) = (Arc::clone(&access), Arc::clone(&policy));
            let wrong = headers("ann", &n.to_string());
            tokio::spawn(async move { access.admits(&policy, &wrong).await })
        });
        let attempts: Vec<_> = attempts.collect();
        tokio::task::yield_now().await;
        let right = access.admits(&policy, &headers("ann", "secret")).await;
        assert_eq!(right, Verdict::Admitted);
        assert!(attempts.iter().any(|attempt| !attempt.is_finished()), "the flood is over");
        let mut busy = 0;
        for attempt in attempts {
            match attempt.await.expect("an answer") {
                Verdict::Admitted => panic!("a wrong password"),
                Verdict::Refused => {}
                Verdict::Busy => busy += 1,
                Verdict::TooMany => panic!("there is no limit of requests"),
            }
        }
        busy
    };
    let busy = runtime.block_on(flood);
    assert!((1..100).contains(&busy), "{busy}");
}

/// Exercise a file that changes, becomes bad, and good again; and who was remembered by then.
#[test]
fn the_file_is_read_again() {
    let folder = Folder::new();
    let of = |password: &str| format!("basic_auth_users: {{ann: {}}}\n", hash(password));
    let access = Access::read(&folder.write(&of("old"))).expect("a file");
    assert_eq!(check(&access, &headers("ann", "old")), Verdict::Admitted);
    folder.write(&of("new"));
    assert_eq!(check(&access, &headers("ann", "old")), Verdict::Refused);
    assert_eq!(check(&access, &headers("ann", "new")), Verdict::Admitted);
    folder.write("basic_auth_users: [");
    assert_eq!(check(&access, &headers("ann", "new")), Verdict::Admitted);
    std::fs::remove_file(folder.0.path().join("web.yml")).expect("removed");
    assert_eq!(check(&access, &HeaderMap::new()), Verdict::Refused);
    folder.write("http_server_config: {headers: {X-Frame-Options: deny}}\n");
    assert_eq!(check(&access, &HeaderMap::new()), Verdict::Admitted);
    let mut marked = HeaderMap::new();
    access.current().mark(&mut marked);
    assert_eq!(marked.get("x-frame-options").map(HeaderValue::as_bytes), Some(&b"deny"[..]));
}
