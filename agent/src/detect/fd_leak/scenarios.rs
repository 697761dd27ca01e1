//! Programs that leak and programs that do not, played second by second.

mod harmless;

use proptest::prelude::*;

use super::super::script::{ACCEPTED, EPOLL, FILE, INOTIFY, PIPE, SOCKET, Script, Story, frame};
use super::super::{Change, Confidence, Evidence, Kind, Severity};

/// A generator that is the same on every machine (splitmix64), for uneven loads.
struct Dice(u64);

impl Dice {
    /// Uniform in `0.0..1.0`.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with this mean.
    fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.roll()).ln()
    }
}

fn confirmed_at(story: &Story) -> Option<f64> {
    story.confirmed_at(Kind::FdLeak)
}

fn assert_never(story: &Story, what: &str) {
    assert_eq!(confirmed_at(story), None, "{what}: {:#?}", story.of(Kind::FdLeak));
}

fn steady(made_by: (u16, u16), per_minute: f64, seconds: u32) -> Story {
    let (mut script, line) = Script::of_one_line();
    script.leak(line, made_by, 0.0, f64::from(seconds), per_minute);
    script.play(seconds)
}

mod leaks {
    use super::*;

    /// Exercise every kind of descriptor at one a second: told in time, with the right line.
    #[test]
    fn one_a_second_is_confirmed_within_18_s() {
        for (made_by, kind) in [
            (FILE, "file"),
            (SOCKET, "socket"),
            (ACCEPTED, "socket"),
            (EPOLL, "epoll"),
            (INOTIFY, "inotify"),
        ] {
            let story = steady(made_by, 60.0, 30);
            let at = confirmed_at(&story).expect(kind);
            assert!((14.0..=18.0).contains(&at), "{kind} at {at} s");
            let finding = story.of(Kind::FdLeak)[0].clone();
            assert_eq!(finding.site, Some(frame("/srv/app.py", 10)));
            assert_eq!(finding.evidence["descriptor_kind"], Evidence::Text(kind.to_owned()));
        }
    }

    /// Exercise two descriptors a call, both of one line.
    #[test]
    fn both_ends_of_a_pipe() {
        let (mut script, line) = Script::of_one_line();
        for second in 0..40 {
            script.open(f64::from(second) + 0.3, line, PIPE);
            script.open(f64::from(second) + 0.3, line, PIPE);
        }
        let story = script.play(40);
        assert!(confirmed_at(&story).is_some_and(|at| at <= 18.0));
        let finding = story.of(Kind::FdLeak)[0].clone();
        let Evidence::Measure(rate) = finding.evidence["per_minute"] else { panic!("no rate") };
        assert!((110.0..=130.0).contains(&rate), "{rate}");
    }

    /// Exercise slow leaks: six a minute within three minutes, one a minute within a quarter hour.
    #[test]
    fn slow_ones_take_longer() {
        let at = confirmed_at(&steady(FILE, 6.0, 180)).expect("six a minute");
        assert!((60.0..=110.0).contains(&at), "{at}");
        let at = confirmed_at(&steady(FILE, 1.0, 1_200)).expect("one a minute");
        assert!(at <= 900.0, "{at}");
    }

    /// Exercise a leak of thirty an hour over most of a day.
    #[test]
    fn very_slow_ones_are_found_by_the_coarse_levels() {
        let at = confirmed_at(&steady(FILE, 0.5, 4_000)).expect("thirty an hour");
        assert!(at <= 2_000.0, "{at}");
    }

    /// Exercise a leak on the error path: two of three are closed at once.
    #[test]
    fn one_in_three_leaks() {
        let (mut script, line) = Script::of_one_line();
        for n in 0..180 {
            let at = f64::from(n) / 3.0 + 0.1;
            let key = script.open(at, line, FILE);
            if n % 3 != 0 {
                script.close(at + 0.05, key);
            }
        }
        let story = script.play(60);
        let at = confirmed_at(&story).expect("leak");
        assert!(at <= 20.0, "{at}");
        let finding = story.of(Kind::FdLeak)[0].clone();
        let Evidence::Count(closed) = finding.evidence["closed"] else { panic!("no count") };
        assert!(closed >= 100, "{closed}");
    }

    /// Exercise a line that is reached from several places: one leak.
    #[test]
    fn several_stacks_one_line() {
        let mut script = Script::default();
        for caller in 0..4u32 {
            let stack = script.stack(&[
                ("/usr/lib/python3.11/tempfile.py", 300 + caller),
                ("/srv/app.py", 10),
                ("/srv/main.py", caller),
            ]);
            script.leak(stack, FILE, f64::from(caller) * 0.7, 40.0, 15.0);
        }
        let story = script.play(40);
        assert!(confirmed_at(&story).is_some_and(|at| at <= 20.0));
        let leaks = story.of(Kind::FdLeak);
        assert_eq!(leaks.len(), 1);
        assert_eq!(leaks[0].evidence["stacks"], Evidence::Count(4));
        let origin = leaks[0].origin.as_ref().expect("the innermost frame");
        assert_eq!(&*origin.file, "/usr/lib/python3.11/tempfile.py");
    }

    /// Exercise a leak that comes with requests, at random.
    #[test]
    fn uneven_ones() {
        let mut late = 0;
        for seed in 0..40 {
            let mut dice = Dice(seed);
            let (mut script, line) = Script::of_one_line();
            let mut at = dice.wait(1.0);
            while at < 90.0 {
                script.open(at, line, SOCKET);
                at += dice.wait(1.0);
            }
            let at = confirmed_at(&script.play(90)).expect("a leak at random times");
            assert!(at <= 60.0, "seed {seed}: {at}");
            late += u32::from(at > 22.0);
        }
        assert!(late <= 8, "{late} of 40 took longer than 22 s");
    }

    /// Exercise a leak in bursts, and one that is there for 20 s of every minute.
    #[test]
    fn part_time_ones() {
        let (mut script, line) = Script::of_one_line();
        for burst in 0..40 {
            for n in 0..5 {
                script.open(f64::from(burst) * 10.0 + f64::from(n) * 0.01, line, FILE);
            }
        }
        assert!(confirmed_at(&script.play(400)).is_some_and(|at| at <= 120.0));

        let (mut script, line) = Script::of_one_line();
        for minute in 0..5 {
            let from = f64::from(minute) * 60.0;
            script.leak(line, FILE, from, from + 20.0, 60.0);
        }
        assert!(confirmed_at(&script.play(300)).is_some_and(|at| at <= 20.0));
    }

    /// Exercise a leak beside a pool at the same line.
    #[test]
    fn one_beside_a_pool_in_use() {
        let (mut script, line) = Script::of_one_line();
        for n in 0..20 {
            let key = script.open(0.1, line, SOCKET);
            for second in 0..90 {
                script.touch(f64::from(second) + f64::from(n) * 0.05, key);
            }
        }
        script.leak(line, SOCKET, 10.0, 90.0, 60.0);
        assert!(confirmed_at(&script.play(90)).is_some_and(|at| at <= 30.0));
    }

    /// Exercise requests that take a while and leak in the end.
    #[test]
    fn ones_that_are_used_before_they_leak() {
        let (mut script, line) = Script::of_one_line();
        for second in 0..120 {
            let key = script.open(f64::from(second), line, SOCKET);
            for use_at in 0..8 {
                script.touch(f64::from(second) + f64::from(use_at) + 0.5, key);
            }
        }
        assert!(confirmed_at(&script.play(120)).is_some_and(|at| at <= 90.0));
    }

    /// Exercise descriptors that a heartbeat keeps writing to: confirmed when nothing else is left.
    #[test]
    fn ones_that_stay_in_use() {
        let (mut script, line) = Script::of_one_line();
        let seconds = 800u32;
        for n in 0..seconds / 2 {
            let born = f64::from(n) * 2.0;
            let key = script.open(born, line, SOCKET);
            let mut at = born + 5.0;
            while at < f64::from(seconds) {
                script.touch(at, key);
                at += 5.0;
            }
        }
        let story = script.play(seconds);
        let at = confirmed_at(&story).expect("in the end");
        assert!((600.0..=700.0).contains(&at), "{at}");
        assert_eq!(story.changes(Kind::FdLeak)[..1], [Change::New], "suspected long before");
    }

    /// Exercise a leak that stops: it stays on record, dated.
    #[test]
    fn one_that_stops_is_kept() {
        let (mut script, line) = Script::of_one_line();
        script.leak(line, FILE, 0.0, 30.0, 60.0);
        let story = script.play(300);
        let finding = story.of(Kind::FdLeak)[0].clone();
        assert_eq!(finding.confidence, Confidence::Confirmed);
        let held_s = (finding.last_ns - finding.first_ns) / 1_000_000_000;
        assert!((10..=30).contains(&held_s), "{held_s}");
        assert!(!story.changes(Kind::FdLeak).contains(&Change::Withdrawn));
    }

    /// Exercise a program that leaks and closes everything when it ends: it has leaked.
    #[test]
    fn closing_all_at_the_end_refutes_nothing() {
        let (mut script, line) = Script::of_one_line();
        let keys: Vec<_> = (0..60).map(|n| script.open(f64::from(n), line, FILE)).collect();
        for key in keys {
            script.close(60.5, key);
        }
        let story = script.play(120);
        assert_eq!(story.of(Kind::FdLeak)[0].confidence, Confidence::Confirmed);
    }

    /// Exercise an agent that looks twice a second, every two seconds and every three.
    #[test]
    fn other_paces() {
        for step in [0.5, 2.0, 3.0] {
            let (mut script, line) = Script::of_one_line();
            script.leak(line, FILE, 0.0, 40.0, 60.0);
            let at = confirmed_at(&script.play_with(40, step)).expect("leak");
            assert!(at <= 21.0, "a look every {step} s: {at}");
        }
    }

    /// Exercise a leak that has no Python stack at all.
    #[test]
    fn one_without_a_stack() {
        let mut script = Script::default();
        script.leak(0, FILE, 0.0, 40.0, 60.0);
        let story = script.play(40);
        assert!(confirmed_at(&story).is_some_and(|at| at <= 20.0));
        assert_eq!(story.of(Kind::FdLeak)[0].site, None);
    }
}

mod doubt {
    use super::*;

    /// Exercise lost events: suspected while one lies in the window, confirmed after that.
    #[test]
    fn lost_events_hold_a_verdict_back() {
        for kind in ["opened", "closed", "stack", "code"] {
            let (mut script, line) = Script::of_one_line();
            script.leak(line, FILE, 0.0, 60.0, 60.0);
            script.lose(12.0, kind, 3);
            let story = script.play(60);
            assert_eq!(story.changes(Kind::FdLeak)[0], Change::New);
            let at = confirmed_at(&story).expect("a window without a loss");
            assert!((27.0..=31.0).contains(&at), "{kind}: {at}");
        }
    }

    /// Exercise losses that never end: never confirmed, and it says why.
    #[test]
    fn losing_all_the_time_never_confirms() {
        let (mut script, line) = Script::of_one_line();
        script.leak(line, FILE, 0.0, 60.0, 60.0);
        for second in 0..60 {
            script.lose(f64::from(second), "closed", 1);
        }
        let story = script.play(60);
        assert_never(&story, "lossy");
        let finding = story.of(Kind::FdLeak)[0].clone();
        assert!(matches!(finding.evidence["lost_events"], Evidence::Count(lost) if lost > 0));
        assert!(finding.summary.contains("lost"), "{}", finding.summary);
    }

    /// Exercise a loss that no leak can come from.
    #[test]
    fn other_losses_do_not_matter() {
        let (mut script, line) = Script::of_one_line();
        script.leak(line, FILE, 0.0, 30.0, 60.0);
        script.lose(10.0, "descriptor", 1_000);
        assert!(confirmed_at(&script.play(30)).is_some_and(|at| at <= 18.0));
    }

    /// Exercise io_uring, whose closes nobody sees.
    #[test]
    fn io_uring_is_a_doubt() {
        let (mut script, line) = Script::of_one_line();
        script.io_uring = true;
        script.leak(line, FILE, 0.0, 60.0, 60.0);
        let story = script.play(60);
        assert_never(&story, "io_uring");
        assert!(story.of(Kind::FdLeak)[0].summary.contains("io_uring"));
    }

    /// Exercise the bands: by what is left until the limit, and by the rate.
    #[test]
    fn severity_follows_the_time_left() {
        for (limit, per_minute, severity) in [
            (Some(256), 60.0, Severity::Critical),
            (Some(1_024), 60.0, Severity::High),
            (Some(1_024), 6.0, Severity::Medium),
            (Some(1_048_576), 6.0, Severity::Low),
            (Some(1_048_576), 60.0, Severity::Medium),
            (None, 600.0, Severity::High),
        ] {
            let (mut script, line) = Script::of_one_line();
            script.limit = limit;
            script.leak(line, FILE, 0.0, 120.0, per_minute);
            let story = script.play(120);
            let finding = story.of(Kind::FdLeak)[0].clone();
            assert_eq!(finding.severity, severity, "{limit:?} at {per_minute}/min");
        }
    }

    /// Exercise descriptors that were open before: told as their own number, never as a leak.
    #[test]
    fn open_before_the_attach_is_its_own_number() {
        let mut script = Script::default();
        for _ in 0..100 {
            script.found(0o100_644);
        }
        let line = script.line(10);
        script.leak(line, FILE, 0.0, 30.0, 60.0);
        let story = script.play(30);
        let finding = story.of(Kind::FdLeak)[0].clone();
        assert_eq!(finding.evidence["before_attach"], Evidence::Count(100));
        assert!(matches!(finding.evidence["alive"], Evidence::Count(alive) if alive <= 30));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Exercise pools of any size that fill within 12 s, evenly or not, whenever the attach came.
    #[test]
    fn pools_are_never_confirmed(
        size in 1u32..400,
        fill in 0.1f64..12.0,
        shape in 0.4f64..2.5,
        from in 0.0f64..30.0,
    ) {
        let (mut script, line) = Script::of_one_line();
        for n in 0..size {
            let share = f64::from(n) / f64::from(size);
            script.open(from + fill * share.powf(shape), line, SOCKET);
        }
        let story = script.play(90);
        prop_assert_eq!(confirmed_at(&story), None);
        prop_assert!(story.of(Kind::FdLeak).is_empty());
    }

    /// Exercise steady leaks of 60 to 6,000 a minute from any moment on.
    #[test]
    fn steady_leaks_are_always_confirmed(per_minute in 60.0f64..6_000.0, from in 0.0f64..40.0) {
        let (mut script, line) = Script::of_one_line();
        script.leak(line, FILE, from, from + 25.0, per_minute);
        let story = script.play(70);
        let at = confirmed_at(&story);
        prop_assert!(at.is_some_and(|at| at <= from + 18.0), "{:?} after {}", at, from);
    }
}
