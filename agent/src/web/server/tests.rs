//! Real connections to a real server on loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::*;
use crate::export::metrics::Exposition;
use crate::web::bind;

struct Running {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    published: Published,
    counts: Arc<Counts>,
}

fn start() -> Running {
    let server = start_unready();
    server.published.publish(Exposition {
        openmetrics: "up_om 1\n# EOF\n".to_owned(),
        classic: "up 1\n".to_owned(),
    });
    server
}

/// Nothing is published.
fn start_unready() -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bound");
    let address = listener.local_addr().expect("an address");
    let published = Published::default();
    let site = Site {
        published: published.clone(),
        access: Arc::new(Access::open()),
        telemetry_path: Some(PathAndQuery::from_static("/scrape")),
        counts: Arc::default(),
    };
    let counts = Arc::clone(&site.counts);
    runtime.spawn(serve(listener, site));
    Running { runtime, address, published, counts }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        stream
    }

    /// Sends the head as it is, and reads until the server closes.
    fn ask(&self, head: &str) -> String {
        String::from_utf8(self.ask_bytes(head)).expect("UTF-8")
    }

    fn ask_bytes(&self, head: &str) -> Vec<u8> {
        let mut stream = self.connect();
        // The server may have answered, and closed, before it has read everything.
        _ = stream.write_all(head.as_bytes());
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        answer
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// Exercise a scrape in both formats, and a new one after it.
#[test]
fn metrics_are_served_as_asked_for() {
    let server = start();
    let classic = server.get("/metrics", "").to_lowercase();
    assert_eq!(status(&classic), "200");
    assert!(classic.contains("content-type: text/plain; version=0.0.4"), "{classic}");
    assert!(classic.ends_with("\r\n\r\nup 1\n"), "{classic}");
    let openmetrics = server.get("/metrics", "Accept: application/openmetrics-text\r\n");
    assert!(openmetrics.contains("application/openmetrics-text; version=1.0.0"), "{openmetrics}");
    assert!(openmetrics.ends_with("# EOF\n"), "{openmetrics}");
    server.published.publish(Exposition { classic: "up 2\n".to_owned(), ..Exposition::default() });
    assert!(server.get("/metrics", "").ends_with("up 2\n"));
}

/// Exercise gzip: what is unpacked is the plain text, and only who asks for it gets it.
#[test]
fn a_scrape_is_gzipped_for_who_asks() {
    let server = start();
    let head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
    for _ in 0..2 {
        let answer = server.ask_bytes(head);
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let told = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        assert!(told.contains("content-encoding: gzip"), "{told}");
        assert!(told.contains("vary: accept, accept-encoding"), "{told}");
        let mut text = String::new();
        let mut unpacked = flate2::read::GzDecoder::new(&answer[end + 4..]);
        unpacked.read_to_string(&mut text).expect("gzip");
        assert_eq!(text, "up 1\n");
    }
    let plain = server.get("/metrics", "Accept-Encoding: gzip;q=0\r\n").to_lowercase();
    assert!(plain.ends_with("up 1\n") && !plain.contains("content-encoding"), "{plain}");
}

/// Exercise a server before and after its first scrape.
#[test]
fn readiness_comes_with_the_first_scrape() {
    let server = start_unready();
    assert_eq!(status(&server.get("/-/healthy", "")), "200");
    for path in ["/-/ready", "/metrics"] {
        assert_eq!(status(&server.get(path, "")), "503", "{path}");
    }
    server.published.publish(Exposition::default());
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        assert_eq!(status(&server.get(path, "")), "200", "{path}");
        let head = server.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(status(&head) == "200" && head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
}

/// Exercise the other answers: the page, what is not there, what is not allowed.
#[test]
fn other_requests_are_answered() {
    let server = start();
    let landing = server.get("/", "");
    assert_eq!(status(&landing), "200");
    assert!(landing.contains(env!("CARGO_PKG_VERSION")) && landing.contains("href=\"/metrics\""));
    assert!(landing.contains("href=\"/-/healthy\"") && landing.contains("href=\"/-/ready\""));
    let guarded = landing.to_lowercase();
    assert!(guarded.contains("content-security-policy: default-src 'none'"), "{guarded}");
    for path in ["/x", "/metrics/", "//metrics", "/../etc/passwd", "/metrics%00"] {
        assert_eq!(status(&server.get(path, "")), "404", "{path}");
    }
    for method in ["POST", "DELETE", "PUT", "OPTIONS", "TRACE", "BREW"] {
        let answer = server.ask(&format!("{method} /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(status(&answer), "405", "{method}: {answer}");
        assert!(answer.to_lowercase().contains("allow: get,head"), "{method}: {answer}");
    }
    let head = server.ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

/// Exercise the names that a page in a browser could come by.
#[test]
fn foreign_names_are_refused() {
    let server = start();
    for (hosts, expected) in [
        ("Host: 127.0.0.1:80\r\n", "200"),
        ("Host: evil.example\r\n", "403"),
        ("Host: localhost.evil.example\r\n", "403"),
        ("", "400"),
        ("Host: localhost\r\nHost: evil.example\r\n", "400"),
        ("Host: \u{fffd}\r\n", "400"),
    ] {
        let answer = server.ask(&format!("GET /metrics HTTP/1.1\r\n{hosts}\r\n"));
        assert_eq!(status(&answer), expected, "{hosts}: {answer}");
        assert_eq!(answer.contains("up 1"), expected == "200", "{hosts}: {answer}");
    }
}

/// Exercise what is no request, or too much of one.
#[test]
fn nonsense_and_excess_are_refused() {
    let server = start();
    for head in ["\0\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let answer = server.ask(head);
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{head:?}: {answer}");
    }
    let answer = server.get("/metrics", &format!("X-Long: {}\r\n", "x".repeat(HEAD_BYTES)));
    assert!(!answer.contains("up 1"), "{answer}");
    let answer = server.get("/metrics", &"X: y\r\n".repeat(2_000));
    assert!(!answer.contains("up 1"), "{answer}");
    assert_eq!(status(&server.get("/metrics", "")), "200", "it goes on");
}

/// Exercise clients that say nothing, or half of something, and take every place and more: a scraper
/// is served at once, and those that are left are sent away.
#[test]
fn slow_clients_do_not_keep_a_scraper_out() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("room for both ends of the connections");
    let server = start();
    let mut idle = Vec::new();
    for n in 0..CONNECTIONS * 3 {
        let mut stream = server.connect();
        // The server may have made room already.
        _ = stream.write_all([&b"GET /metr"[..], b"G", b""][n % 3]);
        idle.push(stream);
        if n % 50 == 0 {
            let began = Instant::now();
            assert_eq!(status(&server.get("/metrics", "")), "200");
            assert!(began.elapsed() < HEAD, "{:?}", began.elapsed());
        }
    }
    for stream in &mut idle {
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        assert!(!answer.windows(4).any(|bytes| bytes == b"up 1"));
    }
    let [_, evicted, _] = server.counts.all();
    assert!(evicted.1 > 0, "{evicted:?}");
}

/// Exercise a second request behind the first, and a body that nobody reads: what was asked first is
/// answered, and the answer is not lost in a reset.
#[test]
fn what_follows_a_request_does_no_harm() {
    let server = start();
    let twice = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    let answer = server.ask(&twice);
    assert_eq!((status(&answer), answer.matches("up 1").count()), ("200", 1), "{answer}");
    let body = "x".repeat(100_000);
    let head = "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    let answer = server.ask(&format!("{head}{body}"));
    assert_eq!(status(&answer), "405", "{answer}");
}

/// Exercise the other path of the metrics.
#[test]
fn the_telemetry_path_is_another_name() {
    let server = start();
    for path in ["/scrape", "/metrics", "/scrape?x=y"] {
        assert!(server.get(path, "").ends_with("up 1\n"), "{path}");
    }
    assert_eq!(status(&server.get("/scrape/", "")), "404");
}

/// Exercise clients that ask and never read: the text is larger than what the kernel buffers.
#[test]
fn clients_that_do_not_read_are_dropped() {
    let server = start();
    let text = "up 1\n".repeat(4_000_000);
    let large = text.len();
    server.published.publish(Exposition { classic: text, ..Exposition::default() });
    let mut stream = server.connect();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    // One task is the server itself.
    let connections = || server.runtime.metrics().num_alive_tasks() - 1;
    wait_until("the request was not taken", || connections() == 1);
    wait_until("the connection is still there", || connections() == 0);
    // What was left in the kernel's buffers is not the whole.
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer);
    assert!(answer.len() < large, "{} bytes", answer.len());
}

fn wait_until(complaint: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + STALL * 3;
    while !condition() {
        assert!(Instant::now() < deadline, "{complaint}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
