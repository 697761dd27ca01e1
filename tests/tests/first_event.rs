//! How long a user waits for the first event with a whole stack, from starting the program on.

use std::time::{Duration, Instant};

use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter;
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;

use anyhow::Result;

/// Far more than it takes: the figure is what counts.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn the_first_stacked_event_comes_soon() -> Result<()> {
    if !met("first_event")? {
        return Ok(());
    }
    interpreter::on_every(1, |python| {
        let mut target = Target::start_plain(python, "open_close.py")?;
        target.tell("go")?;
        let start = Instant::now();
        let mut agent = Agent::start(&["trace", &target.pid().to_string(), "--json"])?;
        agent.line_where("an event with a whole stack", LIMIT, |line| {
            parse_line(line).is_ok_and(|event| event["stack_status"] == "complete")
        })?;
        tell(&format!("{}: first stacked event after {:.0?}", python.label, start.elapsed()));
        Ok(())
    })
}
