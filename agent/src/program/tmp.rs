//! tmp
use super::*;
use crate::source::Source;
use std::time::{Duration, Instant};
pub(super) fn run(o: &super::arguments::RecordOptions) -> Result<Exit, ProgramError> {
    let rt = runtime()?;
    let mut stop = stop::Stop::new(&rt)?;
    let mut s = session::Session::attach(o.pid, &o.sizes.options(false, o.follow_children))?;
    greet(&s);
    stop.after(o.duration);
    while !stop.is_due() && s.is_alive() {
        s.run(
            &stop,
            Instant::now() + Duration::from_secs(1),
            Duration::from_millis(100),
            &mut |_, _| {},
        )?;
        let snap = s.source.snapshot()?;
        eprintln!("{} sites {} descr {:?}", snap.sites.len(), snap.descriptors.len(), snap.tables);
    }
    s.source.stop();
    let snap = s.source.snapshot()?;
    eprintln!("{:#?}", snap.flows);
    eprintln!("{:?}", snap.unclosed);
    eprintln!("{:?}", snap.stacks);
    Ok(Exit::Clean)
}
