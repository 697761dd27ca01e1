//! Finds the processes to follow, once a second.

use std::time::Instant;

use super::config::Config;
use super::host::{self, Users};
use super::roster::{Counts, Outcome, Roster, Sighting};
use crate::event::ProcessId;
use crate::program::ProgramError;
use crate::program::service::ServiceNames;
use crate::program::watch::Watch;
use crate::python::{self, AnalyseError, Programs};

/// The search, and what it has found.
#[derive(Default)]
pub(super) struct Discovery {
    roster: Roster,
    programs: Programs,
    users: Users,
    services: ServiceNames,
    told: Option<String>,
}

impl Discovery {
    pub(super) fn new(config: &Config) -> Self {
        Self { users: Users::read(), services: config.services(), ..Self::default() }
    }

    /// The rules changed.
    pub(super) fn reconsider(&mut self, config: &Config) {
        self.users = Users::read();
        self.services = config.services();
        self.roster.reconsider(Instant::now());
    }

    /// What there is, and what became of it.
    pub(super) fn counts(&self) -> Counts {
        self.roster.counts()
    }

    /// Looks through the host: what is new is followed, what is gone is let go.
    pub(super) fn pass(&mut self, watch: &mut Watch, config: &Config) -> Result<(), ProgramError> {
        for (process, pid) in watch.session.lost() {
            watch.remove(process);
            self.roster.settle(pid, Outcome::NotPython, Instant::now());
        }
        let seen = match host::processes() {
            Ok(seen) => seen,
            Err(cause) => {
                self.tell(format!(
                    "could not look through the host, and goes on as it is: {cause}"
                ));
                return Ok(());
            }
        };
        let pass = self.roster.pass(&seen, Instant::now());
        for process in pass.gone {
            watch.remove(process);
        }
        for (sighting, followed) in pass.due {
            if self.roster.is_left_out(sighting.pid) && !has_room(watch, config) {
                continue;
            }
            let outcome = match followed {
                Some(process) => self.look_again(watch, config, sighting, process),
                None => self.look(watch, config, sighting)?,
            };
            self.roster.settle(sighting.pid, outcome, Instant::now());
        }
        Ok(())
    }

    /// A process that is followed executed another program, or the rules changed.
    fn look_again(
        &self,
        watch: &mut Watch,
        config: &Config,
        sighting: Sighting,
        process: ProcessId,
    ) -> Outcome {
        let candidate = host::candidate(sighting.pid, &self.users, &self.services);
        if config.selection.takes(&candidate) {
            return Outcome::Followed(process);
        }
        watch.remove(process);
        Outcome::Deselected
    }

    fn look(
        &mut self,
        watch: &mut Watch,
        config: &Config,
        sighting: Sighting,
    ) -> Result<Outcome, ProgramError> {
        let Ok(pid) = i32::try_from(sighting.pid) else { return Ok(Outcome::NotPython) };
        if !self.programs.may_run_python(pid).unwrap_or(false) {
            return Ok(Outcome::NotPython);
        }
        let candidate = host::candidate(sighting.pid, &self.users, &self.services);
        if !config.selection.takes(&candidate) {
            return Ok(Outcome::Deselected);
        }
        if !has_room(watch, config) {
            return Ok(Outcome::LeftOut);
        }
        let added = match python::analyse(pid) {
            Ok(interpreter) => watch.add(sighting.pid, interpreter),
            Err(error) => Err(error.into()),
        };
        watch.take_in()?;
        match added {
            Ok(process) => Ok(Outcome::Followed(process)),
            Err(ProgramError::AlreadyWatched { .. }) => Ok(Outcome::Locked),
            Err(ProgramError::Analyse(
                AnalyseError::UnsupportedVersion { .. } | AnalyseError::UnsupportedBuild { .. },
            )) => Ok(Outcome::Unsupported),
            // It ended, is not up yet, or changes while it is read: another look tells.
            Err(ProgramError::Analyse(_)) => Ok(Outcome::NotPython),
            // One process must not end the watch of all.
            Err(error) => {
                self.tell(format!("cannot follow process {pid}: {error}"));
                Ok(Outcome::Failed)
            }
        }
    }

    /// Says what is wrong, and not again while it stays so.
    fn tell(&mut self, what: String) {
        if self.told.as_ref() != Some(&what) {
            eprintln!("pitviper: {what}");
            self.told = Some(what);
        }
    }
}

fn has_room(watch: &Watch, config: &Config) -> bool {
    watch.session.members.len() < config.max_processes as usize
}
