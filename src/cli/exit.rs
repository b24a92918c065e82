//! Exit codes: a contract with scripts, so each has a meaning of its own and none is reused.

use std::process::{ExitCode, Termination};

use clap::error::ErrorKind;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// An error; nothing was changed by this command.
    Error,
    /// `plan --detailed-exitcode` found changes.
    Changes,
    /// The saved plan is stale, altered or already applied.
    PlanRefused,
    /// Someone else holds the lock.
    Locked,
    /// The apply failed or a gate was missed; some steps may be done.
    ApplyFailed,
    /// A signal ended the run.
    Interrupted,
    /// The command line is wrong.
    Usage,
    /// The exit code of a command that ran in a service (`orch exec`), whatever it means there.
    OfCommand(u8),
}

impl Exit {
    /// Every exit of orch's own, in the order of the codes.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Error,
        Self::Changes,
        Self::PlanRefused,
        Self::Locked,
        Self::ApplyFailed,
        Self::Interrupted,
        Self::Usage,
    ];

    /// The number that a script sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Changes => 2,
            Self::PlanRefused => 3,
            Self::Locked => 4,
            Self::ApplyFailed => 5,
            Self::Interrupted => 6,
            // EX_USAGE of sysexits(3).
            Self::Usage => 64,
            Self::OfCommand(code) => code,
        }
    }

    /// What clap's refusal to go on means: asked-for help and version are no errors.
    #[must_use]
    pub fn of_clap(error: &clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Self::Done,
            _ => Self::Usage,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn codes_are_those_of_the_contract() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 64]);
    }

    #[test]
    fn usage_errors_exit_64_and_help_exits_0() {
        let exit = |args: &[&str]| Cli::try_parse_from(args).map_err(|error| Exit::of_clap(&error)).err();
        assert_eq!(exit(&["orch", "--help"]), Some(Exit::Done));
        assert_eq!(exit(&["orch", "plan", "--help"]), Some(Exit::Done));
        assert_eq!(exit(&["orch", "--version"]), Some(Exit::Done));
        assert_eq!(exit(&["orch"]), Some(Exit::Usage));
        assert_eq!(exit(&["orch", "plan", "--nonsense"]), Some(Exit::Usage));
    }
}
