//! Profiles: `/api/v1/profile` in every format, and `/debug/pprof` as Go's programs have it, which is
//! where Parca, Grafana Alloy and `go tool pprof` look.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::api::{PIDS, bad_request, busy, json_text, not_found};
use super::desk::{Desk, Unanswered};
use super::published::Published;
use super::query::Query;
use crate::export::api::profile::{Profile, cumulative};
use crate::export::graph::Graph;
use crate::export::{flamegraph, folded, pprof, speedscope};

/// The longest window, in seconds.
const LONGEST: u32 = 300;

/// Profiles in the making: each holds the weights of every stack twice.
pub(super) const AT_ONCE: usize = 8;

/// A picture runs nothing and loads nothing, whatever a name in it says.
const PICTURE: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// The graphs by the names that addresses have.
const GRAPHS: [(&str, Graph); 12] = [
    ("descriptors", Graph::Opened),
    ("descriptors-alive", Graph::Alive),
    ("spawns", Graph::Spawns),
    ("connections", Graph::Connections),
    ("blocking", Graph::Blocking { loops: false }),
    ("blocking-loops", Graph::Blocking { loops: true }),
    ("off-cpu", Graph::OffCpu),
    ("on-cpu", Graph::OnCpu),
    ("mapped", Graph::MappedAlive),
    ("mapped-all", Graph::Mapped),
    ("read", Graph::Read),
    ("written", Graph::Written),
];

/// What Go's programs call the like.
const ALIASES: [(&str, &str); 3] =
    [("profile", "on-cpu"), ("heap", "mapped"), ("block", "blocking")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Svg,
    Folded,
    Speedscope,
    Pprof,
}

pub(super) fn routes() -> Router<Published> {
    Router::new()
        .route("/debug/pprof", get(index))
        .route("/debug/pprof/", get(index))
        .route("/debug/pprof/{what}", get(pprof_pull))
}

fn graph(name: &str) -> Option<Graph> {
    GRAPHS.iter().find(|(known, _)| *known == name).map(|(_, graph)| *graph)
}

fn names() -> String {
    GRAPHS.map(|(name, _)| name).join(", ")
}

async fn index() -> String {
    let names = ALIASES.iter().map(|(name, _)| *name).chain(GRAPHS.map(|(name, _)| name));
    let lines = names.map(|name| format!("/debug/pprof/{name}\n"));
    format!(
        "Profiles for `go tool pprof`, of all processes, or of one with ?pid=N; since each is \
         watched, or with ?seconds=N over that time.\n\n{}",
        lines.collect::<String>()
    )
}

pub(super) async fn profile(
    State(published): State<Published>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Query::of(query.as_deref());
    let Some(graph) = graph(query.text("what").unwrap_or("on-cpu")) else {
        return bad_request(&format!("what is one of {}.", names()));
    };
    let format = match query.text("format").unwrap_or("json") {
        "json" => Format::Json,
        "svg" => Format::Svg,
        "folded" => Format::Folded,
        "speedscope" => Format::Speedscope,
        "pprof" => Format::Pprof,
        _ => return bad_request("format is one of json, svg, folded, speedscope, pprof."),
    };
    serve(&published, &query, graph, format).await
}

async fn pprof_pull(
    State(published): State<Published>,
    Path(what): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let named = ALIASES.iter().find(|(alias, _)| *alias == what).map_or(&*what, |(_, name)| *name);
    let Some(graph) = graph(named) else { return not_found() };
    serve(&published, &Query::of(query.as_deref()), graph, Format::Pprof).await
}

async fn serve(published: &Published, query: &Query, graph: Graph, format: Format) -> Response {
    let (pid, seconds) = match (query.number("pid", 1..=PIDS), query.number("seconds", 1..=LONGEST))
    {
        (Ok(pid), Ok(seconds)) => (pid, seconds),
        (Err(wrong), _) | (_, Err(wrong)) => return bad_request(&wrong),
    };
    let window = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    match take(published.desk(), published.profiles(), pid, graph, window).await {
        Ok(Some(profile)) => {
            // A large one takes long to write, and others ask meanwhile.
            let written = spawn_blocking(move || write(&profile, format)).await;
            written.unwrap_or_else(|_| busy(Unanswered))
        }
        Ok(None) => not_found(),
        Err(unanswered) => busy(unanswered),
    }
}

/// The weights since the beginning, or what comes to them within `window`.
async fn take(
    desk: &Desk,
    room: &Arc<Semaphore>,
    pid: Option<u32>,
    graph: Graph,
    window: Option<Duration>,
) -> Result<Option<Profile>, Unanswered> {
    let _place = Arc::clone(room).try_acquire_owned().map_err(|_| Unanswered)?;
    let ask = || desk.ask(move |view| cumulative(view, pid, graph));
    let (Some(window), Some(before)) = (window, ask().await?) else { return ask().await };
    sleep(window).await;
    let after = ask().await?;
    let of_same = |after: &Profile| after.process == before.process;
    Ok(after.filter(of_same).map(|after| after.since(&before)))
}

fn write(profile: &Profile, format: Format) -> Response {
    let Profile { graph, stacks, report, .. } = profile;
    let stem = graph.file_stem();
    let named = |ending: &str| {
        [(CONTENT_DISPOSITION, format!("inline; filename=\"pitviper-{stem}.{ending}\""))]
    };
    let lines = || folded::lines(stacks.iter().map(|w| (w.stack.as_deref(), w.weight)));
    match format {
        Format::Json => json_text(&profile.json()),
        Format::Folded => (named("folded"), folded::text_of(&lines())).into_response(),
        Format::Speedscope => {
            let text = speedscope::json(*graph, stacks, report);
            (named("speedscope.json"), [(CONTENT_TYPE, "application/json")], text).into_response()
        }
        Format::Svg => {
            let lines = lines();
            let nothing = [format!("{} 1", graph.nothing())];
            let lines = if lines.is_empty() { &nothing[..] } else { &lines };
            let Ok(picture) = flamegraph::svg(lines, &profile.titles()) else {
                return busy(Unanswered);
            };
            let head = [(CONTENT_TYPE, "image/svg+xml"), (CONTENT_SECURITY_POLICY, PICTURE)];
            (named("svg"), head, picture).into_response()
        }
        Format::Pprof => {
            let labels = profile.process.is_none();
            let Ok(bytes) = pprof::gzipped_with(*graph, stacks, report, labels) else {
                return busy(Unanswered);
            };
            let head = [(CONTENT_TYPE, "application/octet-stream")];
            (named("pb.gz"), head, bytes).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise the names: each is there once, and each alias leads somewhere.
    #[test]
    fn every_graph_has_one_name() {
        for (name, known) in GRAPHS {
            assert_eq!(graph(name), Some(known));
            assert_eq!(GRAPHS.iter().filter(|(_, other)| *other == known).count(), 1, "{name}");
        }
        for (alias, name) in ALIASES {
            assert!(graph(name).is_some() && graph(alias).is_none(), "{alias}");
        }
    }
}
