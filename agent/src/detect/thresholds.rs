//! Every number that a rule decides by, with its default and the reason for it.

use super::adjust::{Adjustable, Threshold, thresholds};
use super::{
    BusyPollThresholds, ConnectionChurnThresholds, DirectoryScanStormThresholds,
    EventLoopBlockedThresholds, EventLoopChurnThresholds, IdleMemoryThresholds,
    MemoryGrowthThresholds, MemorySpikeThresholds, MisplacedFileThresholds,
    MissingTimeoutThresholds, ProcessLeakThresholds, RepeatedReadThresholds, RetryStormThresholds,
    SerialServerThresholds, SlowCallThresholds, SubprocessStormThresholds, ThreadSprawlThresholds,
    UnboundedAppendThresholds, WholeFileReadThresholds, WriteStormThresholds,
};
use crate::ledger::SECOND_NS;

/// All thresholds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thresholds {
    /// What makes growth steady.
    pub growth: GrowthThresholds,
    /// Of `fd-leak`.
    pub fd_leak: FdLeakThresholds,
    /// Of `unclosed-resource`.
    pub unclosed_resource: UnclosedResourceThresholds,
    /// Of `fd-headroom`.
    pub fd_headroom: FdHeadroomThresholds,
    /// Of `subprocess-storm`.
    pub subprocess_storm: SubprocessStormThresholds,
    /// Of `process-leak`.
    pub process_leak: ProcessLeakThresholds,
    /// Of `connection-churn`.
    pub connection_churn: ConnectionChurnThresholds,
    /// Of `retry-storm`.
    pub retry_storm: RetryStormThresholds,
    /// Of `event-loop-blocked`.
    pub event_loop_blocked: EventLoopBlockedThresholds,
    /// Of `event-loop-churn`.
    pub event_loop_churn: EventLoopChurnThresholds,
    /// Of `slow-call`.
    pub slow_call: SlowCallThresholds,
    /// Of `serial-server`.
    pub serial_server: SerialServerThresholds,
    /// Of `missing-timeout`.
    pub missing_timeout: MissingTimeoutThresholds,
    /// Of `busy-poll`.
    pub busy_poll: BusyPollThresholds,
    /// Of `repeated-read`.
    pub repeated_read: RepeatedReadThresholds,
    /// Of `whole-file-read`.
    pub whole_file_read: WholeFileReadThresholds,
    /// Of `directory-scan-storm`.
    pub directory_scan_storm: DirectoryScanStormThresholds,
    /// Of `write-storm`.
    pub write_storm: WriteStormThresholds,
    /// Of `unbounded-append`.
    pub unbounded_append: UnboundedAppendThresholds,
    /// Of `memory-growth`.
    pub memory_growth: MemoryGrowthThresholds,
    /// Of `memory-spike`.
    pub memory_spike: MemorySpikeThresholds,
    /// Of `idle-memory`.
    pub idle_memory: IdleMemoryThresholds,
    /// Of `thread-sprawl`.
    pub thread_sprawl: ThreadSprawlThresholds,
    /// Of `misplaced-file`.
    pub misplaced_file: MisplacedFileThresholds,
    /// Of the board on which findings are kept.
    pub board: BoardThresholds,
}

impl Thresholds {
    /// All of them, by what they are of. Those of `misplaced-file` are the user's places.
    pub fn by_rule(&mut self) -> Vec<(&'static str, Vec<Threshold<'_>>)> {
        vec![
            ("growth", self.growth.thresholds()),
            ("fd-leak", self.fd_leak.thresholds()),
            ("unclosed-resource", self.unclosed_resource.thresholds()),
            ("fd-headroom", self.fd_headroom.thresholds()),
            ("subprocess-storm", self.subprocess_storm.thresholds()),
            ("process-leak", self.process_leak.thresholds()),
            ("connection-churn", self.connection_churn.thresholds()),
            ("retry-storm", self.retry_storm.thresholds()),
            ("event-loop-blocked", self.event_loop_blocked.thresholds()),
            ("event-loop-churn", self.event_loop_churn.thresholds()),
            ("slow-call", self.slow_call.thresholds()),
            ("serial-server", self.serial_server.thresholds()),
            ("missing-timeout", self.missing_timeout.thresholds()),
            ("busy-poll", self.busy_poll.thresholds()),
            ("repeated-read", self.repeated_read.thresholds()),
            ("whole-file-read", self.whole_file_read.thresholds()),
            ("directory-scan-storm", self.directory_scan_storm.thresholds()),
            ("write-storm", self.write_storm.thresholds()),
            ("unbounded-append", self.unbounded_append.thresholds()),
            ("memory-growth", self.memory_growth.thresholds()),
            ("memory-spike", self.memory_spike.thresholds()),
            ("idle-memory", self.idle_memory.thresholds()),
            ("thread-sprawl", self.thread_sprawl.thresholds()),
            ("board", self.board.thresholds()),
        ]
    }
}

thresholds! {
    /// What makes growth over a window steady. A window is cut into four equal parts.
    pub struct GrowthThresholds {
        /// Net growth that a window needs: 8. Fewer fit the start-up of any program (standard
        /// streams, a log file, a listening socket, an event loop's three).
        pub minimum: f64 = 8.0,
        /// What each part has to have grown by, as a share of the mean part: 0.25. A leak that
        /// depends on requests is uneven; a step is not in four parts at once.
        pub each_part: f64 = 0.25,
        /// The same for the last part: 0.6. A cache fills ever more slowly as its hits grow; a leak
        /// does not tire.
        pub last_part: f64 = 0.6,
    }
}

thresholds! {
    /// Thresholds of `fd-leak`.
    pub struct FdLeakThresholds {
        /// Time between the oldest and the newest survivor of a suspicion: 10 s. Pools and
        /// start-ups are mostly over by then.
        pub suspected_span_ns: u64 = 10 * SECOND_NS,
        /// The same for a confirmation: 14.5 s. A pool that fills over 12 s is not reached by it,
        /// and a leak of one a second passes it 16 s after the attach.
        pub confirmed_span_ns: u64 = 14_500_000_000,
        /// Silence after the newest survivor that still counts as growing: 3 s, three looks. In
        /// longer windows it is half a part, if that is more.
        pub silence_ns: u64 = 3 * SECOND_NS,
        /// Share of the descriptors that outlived 5 s and are closed all the same, up to which
        /// nothing keeps up: 0.1. A leak that closes what succeeds, and leaks what fails, closes
        /// early.
        pub mature_closes: f64 = 0.1,
        /// The same for connections that were accepted: 0.02. A server holds them for as long as
        /// the other side likes, so that a ramp of load looks like a leak until the first ones go.
        pub mature_closes_accepted: f64 = 0.02,
        /// How many times the usual life of those that were closed late the growth has to last,
        /// when more than `mature_closes` of all were closed late: 3. What has been seen to be
        /// closed after 30 s may be closed after 30 s again.
        pub patience: f64 = 3.0,
        /// Share of the growth that descriptors opened before the attach may make up for by
        /// closing: 0.5. A server at a steady load replaces what it had, and what it had was not
        /// seen to be born.
        pub replaced_share: f64 = 0.5,
        /// Use this late after the birth is a use of its own, not part of opening: 2 s.
        pub late_use_ns: u64 = 2 * SECOND_NS,
        /// A use within this time (or within half of the age, if that is more) is recent: 10 s.
        /// Pools are used round-robin, so each of theirs rests for a while.
        pub recent_use_ns: u64 = 10 * SECOND_NS,
        /// Share of the survivors in use up to which they count as abandoned: 0.02.
        pub abandoned_share: f64 = 0.02,
        /// Share of the survivors in use up to which growth may be a leak beside other work, once
        /// it has lasted for `doubtful_span_ns`: 0.2. Requests that are still running stand at a
        /// leaking line too, and most entries of a cache are cold.
        pub doubtful_share: f64 = 0.2,
        /// How long such growth has to last: a minute, longer than most caches take to fill. Growth
        /// of which more than that is in use is not even suspected before.
        pub doubtful_span_ns: u64 = 60 * SECOND_NS,
        /// How long growth of descriptors in use has to last to be confirmed anyway: 10 minutes. A
        /// leaked connection that a heartbeat still writes to is used, and leaked.
        pub in_use_span_ns: u64 = 600 * SECOND_NS,
        /// Time to the limit below which a leak is critical: 10 minutes, less than it takes to
        /// react.
        pub critical_ns: u64 = 600 * SECOND_NS,
        /// Time to the limit below which a leak is high: an hour.
        pub high_ns: u64 = 3_600 * SECOND_NS,
        /// Time to the limit below which a leak is medium: a day.
        pub medium_ns: u64 = 86_400 * SECOND_NS,
        /// Descriptors a minute from which a leak is high whatever the limit: 550, ten a second
        /// less the jitter of measuring it.
        pub high_per_minute: f64 = 550.0,
        /// Descriptors a minute from which a leak is medium whatever the limit: 55, one a second
        /// less that jitter.
        pub medium_per_minute: f64 = 55.0,
        /// How long closes have to keep up before a finding is taken back: 15 s, the time that it
        /// took to confirm it.
        pub refuted_after_ns: u64 = 15 * SECOND_NS,
        /// How many the line has to open in that time: 8. A program that closes everything once,
        /// because it ends, has leaked until then.
        pub refuted_minimum: u64 = 8,
        /// How long nothing may have been added (and a quarter of the age of the oldest) before use
        /// takes a finding back: 30 s.
        pub settled_ns: u64 = 30 * SECOND_NS,
        /// Share of the open ones in use that takes it back then: 0.5. Nobody comes back to what
        /// leaked.
        pub settled_share: f64 = 0.5,
    }
}

thresholds! {
    /// Thresholds of `unclosed-resource`.
    pub struct UnclosedResourceThresholds {
        /// How often it has to happen, where no line of the user's own is on the stack, to be
        /// confirmed: 5. Installed packages drop a file here and there; the user can do nothing
        /// about one.
        pub foreign_count: u64 = 5,
        /// The window of the rate: the last minute, and at least 10 s, so that the first one after
        /// the attach is not 60 a minute.
        pub window_ns: u64 = 60 * SECOND_NS,
        /// The shortest window that a rate is worked out over: 10 s.
        pub least_window_ns: u64 = 10 * SECOND_NS,
        /// A minute from which it is high: 550, ten a second less the jitter of measuring it. Every
        /// one of them leans on the collector to keep the process alive.
        pub high_per_minute: f64 = 550.0,
        /// A minute from which it is medium: 55, one a second less that jitter.
        pub medium_per_minute: f64 = 55.0,
    }
}

thresholds! {
    /// Thresholds of `fd-headroom`.
    pub struct FdHeadroomThresholds {
        /// Share of the soft limit in use that is high: 0.8, where alerts on any resource are set.
        pub high_share: f64 = 0.8,
        /// Share that is critical: 0.95. With a limit of 1,024 that leaves 51: one burst.
        pub critical_share: f64 = 0.95,
        /// How long the whole process has to grow steadily before its end is foretold: 30 s, twice
        /// what a leaking line needs, because many harmless lines add up in it.
        pub span_ns: u64 = 30 * SECOND_NS,
        /// From how long on such growth is not a start-up any more: 2 minutes. Until then it is
        /// only suspected, unless a leak is confirmed in the same process.
        pub confirmed_span_ns: u64 = 120 * SECOND_NS,
        /// Time left below which it is told: 30 minutes.
        pub told_ns: u64 = 1_800 * SECOND_NS,
        /// Time left below which it is high: 10 minutes.
        pub high_ns: u64 = 600 * SECOND_NS,
        /// Share of the growth that a line has to explain to be named: 0.5.
        pub explained_share: f64 = 0.5,
    }
}

thresholds! {
    /// Thresholds of the board on which findings are kept.
    pub struct BoardThresholds {
        /// How long a suspicion stays after it last held: 30 s, twice what it takes to confirm one.
        pub suspicion_ns: u64 = 30 * SECOND_NS,
        /// Findings kept: 1,024, more than anybody reads.
        pub findings: usize = 1_024,
    }
}
