//! The `orch` binary: parse, run, exit code; nothing else.

use std::process::ExitCode;

use orch::cli::{self, Started};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    // A supervisor is this same binary under a hidden verb; it must start in no time and stay small.
    if let Some(code) = orch::backend::process::supervise(args.iter().cloned()) {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    cli::main(Started::now(args)).into()
}
