//! Programs that do not leak: pools, caches, servers, bursts.

use super::*;

/// Exercise the pool that fills over 10 s and is never touched again: not even suspected.
#[test]
fn a_pool_that_fills_and_stays() {
    let (mut script, line) = Script::of_one_line();
    script.leak(line, SOCKET, 0.0, 10.0, 300.0);
    let story = script.play(120);
    assert_never(&story, "pool");
    assert!(story.of(Kind::FdLeak).is_empty());
}

/// Exercise a pool that takes its time, while its connections are used in turn.
#[test]
fn a_slow_pool_in_use() {
    let (mut script, line) = Script::of_one_line();
    let mut dice = Dice(7);
    let mut pool = Vec::new();
    for n in 0..50 {
        let at = f64::from(n);
        pool.push((at, script.open(at, line, SOCKET)));
    }
    let mut at = 0.0;
    while at < 120.0 {
        at += dice.wait(0.2);
        let open = pool.iter().filter(|(born, _)| *born < at).count();
        if let Some((_, key)) = pool.get((dice.roll() * open as f64) as usize) {
            script.touch(at, *key);
        }
    }
    let story = script.play(120);
    assert_never(&story, "pool in use");
    assert!(story.of(Kind::FdLeak).is_empty(), "withdrawn when it stopped growing");
}

/// Exercise caches of open files that evict: quick to fill, and slow while they are used.
#[test]
fn caches_that_evict() {
    for (fill, capacity) in [(5.0, 50), (11.0, 64)] {
        let (mut script, line) = Script::of_one_line();
        let gap = fill / f64::from(capacity);
        let mut cached = std::collections::VecDeque::new();
        let mut at = 0.0;
        while at < 180.0 {
            cached.push_back(script.open(at, line, FILE));
            if cached.len() > capacity as usize {
                let oldest = cached.pop_front().expect("not empty");
                script.close(at + 0.001, oldest);
            }
            at += gap;
        }
        assert_never(&script.play(180), "cache that evicts");
    }
}

/// Exercise a cache that fills over a minute, its files read at random, and then evicts the
/// least recently used.
#[test]
fn a_slow_cache_in_use() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let (mut script, line) = Script::of_one_line();
        let mut cached: Vec<(usize, u32)> = Vec::new();
        let mut at = 0.0;
        while at < 240.0 {
            let name = (dice.roll() * dice.roll() * 200.0) as u32;
            match cached.iter().position(|(_, known)| *known == name) {
                Some(place) => {
                    let entry = cached.remove(place);
                    script.touch(at, entry.0);
                    cached.push(entry);
                }
                None => {
                    cached.push((script.open(at, line, FILE), name));
                    if cached.len() > 60 {
                        script.close(at, cached.remove(0).0);
                    }
                }
            }
            at += dice.wait(0.25);
        }
        assert_never(&script.play(240), "cache in use");
    }
}

/// Exercise 200 log files at start, within a second and within ten.
#[test]
fn log_files_at_start() {
    for over in [0.5, 10.0] {
        let (mut script, line) = Script::of_one_line();
        script.leak(line, FILE, 1.0, 1.0 + over, 200.0 * 60.0 / over);
        let story = script.play(90);
        assert_never(&story, "log files");
        assert!(story.of(Kind::FdLeak).is_empty());
    }
}

/// A server: connections arrive at random, are used every `pause`, and last as `life` says.
fn server(
    seed: u64,
    per_second: impl Fn(f64) -> f64,
    life: impl Fn(&mut Dice) -> f64,
    pause: f64,
    seconds: u32,
) -> Story {
    let mut dice = Dice(seed);
    let (mut script, line) = Script::of_one_line();
    let mut at = 0.0;
    while at < f64::from(seconds) {
        let key = script.open(at, line, ACCEPTED);
        let end = at + life(&mut dice);
        let mut used = at + 0.01;
        while used < end.min(f64::from(seconds)) {
            script.touch(used, key);
            used += dice.wait(pause);
        }
        script.close(end, key);
        at += dice.wait(1.0 / per_second(at));
    }
    script.play(seconds)
}

/// Exercise keep-alive connections that come and go at several lengths of life.
#[test]
fn keep_alive_connections_under_load() {
    for seed in 0..8 {
        for mean in [1.0, 8.0, 30.0] {
            let story = server(seed, |_| 15.0, |dice| dice.wait(mean), 1.0, 150);
            assert_never(&story, &format!("lives of {mean} s, seed {seed}"));
        }
    }
}

/// Exercise a load that rises for a minute, whether connections live for 3 s or for 40.
#[test]
fn load_that_rises() {
    for seed in 0..4 {
        for life in [3.0, 40.0] {
            let rate = |at: f64| 1.0 + at.min(60.0) / 6.0;
            let story = server(seed, rate, |dice| life * (0.5 + dice.roll()), 2.0, 150);
            assert_never(&story, &format!("lives of {life} s, seed {seed}"));
        }
    }
}

/// Exercise an attach in the middle of a steady load: the new replace those that were there.
#[test]
fn an_attach_to_a_server_at_work() {
    let (mut script, line) = Script::of_one_line();
    // 120 idle connections, each of which ends and is replaced within two minutes.
    for n in 0..120 {
        let old = script.found(0o140_777);
        let at = f64::from(n) + 0.4;
        script.close(at, old);
        let new = script.open(at + 0.1, line, ACCEPTED);
        script.close(at + 120.0, new);
    }
    let story = script.play(120);
    assert_never(&story, "server at work");
    assert!(story.of(Kind::FdLeak).is_empty());
}

/// Exercise bursts of work that end.
#[test]
fn bursts() {
    let (mut script, line) = Script::of_one_line();
    for burst in 0..8 {
        for n in 0..100 {
            let at = f64::from(burst) * 20.0 + f64::from(n) * 0.05;
            let key = script.open(at, line, FILE);
            script.close(f64::from(burst) * 20.0 + 12.0, key);
        }
    }
    assert_never(&script.play(160), "bursts");
}

/// Exercise a program that opens and closes at once, thousands of times.
#[test]
fn open_and_close() {
    let (mut script, line) = Script::of_one_line();
    for n in 0..6_000 {
        let at = f64::from(n) * 0.01;
        let key = script.open(at, line, FILE);
        script.close(at + 0.012, key);
    }
    let story = script.play(60);
    assert!(story.findings.is_empty());
    assert!(story.ledger.accounts().count() <= 1);
}

/// Exercise a process that does nothing.
#[test]
fn idle() {
    assert!(Script::default().play(60).findings.is_empty());
}

/// Exercise what the collector closes in one sweep, again and again: taken back, and not told
/// again every time.
#[test]
fn what_a_sweep_closes_is_taken_back() {
    let (mut script, line) = Script::of_one_line();
    for n in 0..600 {
        let at = f64::from(n) * 0.5;
        let key = script.open(at, line, FILE);
        script.close((at / 30.0).floor() * 30.0 + 30.0, key);
    }
    let story = script.play(300);
    let changes = story.changes(Kind::FdLeak);
    assert_eq!(changes.iter().filter(|c| **c == Change::Downgraded).count(), 1, "{changes:?}");
    let finding = story.of(Kind::FdLeak)[0].clone();
    assert_eq!(finding.confidence, Confidence::Suspected);
    assert_eq!(finding.evidence["closed_later"], Evidence::Count(1));
}

/// Exercise an account of idle connections that grows like a leak, until they are used and no more
/// come: told, and taken back.
#[test]
fn a_slow_ramp_of_idle_connections_is_taken_back() {
    let (mut script, line) = Script::of_one_line();
    for client in 0..40 {
        let born = f64::from(client) * 1.5;
        let key = script.open(born, line, ACCEPTED);
        for use_at in 0..10 {
            script.touch(born + 30.0 * f64::from(use_at), key);
        }
    }
    let story = script.play(240);
    let finding = story.of(Kind::FdLeak)[0];
    assert_eq!(finding.confidence, Confidence::Suspected, "{}", finding.summary);
    assert_eq!(finding.evidence["used_later"], Evidence::Count(1));
    assert!(story.changes(Kind::FdLeak).contains(&Change::Downgraded));
}

/// One of many servers: clients that ramp up, connect for a while, think in between, and come again;
/// the attach comes before, during or after the ramp.
fn random_server(seed: u64) -> Story {
    let mut dice = Dice(seed * 7_919);
    let pick =
        |dice: &mut Dice, values: &[f64]| values[(dice.roll() * values.len() as f64) as usize];
    let clients = 20 + (dice.roll() * 300.0) as u32;
    let ramp = pick(&mut dice, &[0.0, 5.0, 15.0, 30.0, 60.0, 120.0]);
    let life = pick(&mut dice, &[2.0, 5.0, 10.0, 30.0, 60.0, 120.0]);
    let think = pick(&mut dice, &[0.2, 1.0, 3.0, 10.0]);
    let before = pick(&mut dice, &[0.0, 0.0, 20.0, 50.0, 100.0]);
    let (mut script, line) = Script::of_one_line();
    let end = 120.0;
    for client in 0..clients {
        let mut at = ramp * f64::from(client) / f64::from(clients) - before;
        while at < end {
            let close = at + dice.wait(life);
            if close > 0.0 {
                let seen = at >= 0.0;
                let key =
                    if seen { script.open(at, line, ACCEPTED) } else { script.found(0o140_777) };
                let mut used = at.max(0.0) + 0.01;
                while used < close.min(end) {
                    script.touch(used, key);
                    used += dice.wait(think);
                }
                script.close(close, key);
            }
            at = close + dice.wait(0.2);
        }
    }
    script.play(120)
}

/// Exercise servers of many sizes, ramps, lives and paces.
#[test]
fn servers_of_many_shapes() {
    for seed in 0..80 {
        assert_never(&random_server(seed), &format!("seed {seed}"));
    }
}
