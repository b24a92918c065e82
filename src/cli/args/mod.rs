//! What can be typed. Every flag has its sentence here, for the help text is the manual.

mod change;
mod import;
mod look;
mod package;
mod run;
mod source;
mod state;
mod values;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub use change::{AdoptArgs, ApplyArgs, DestroyArgs, PlanArgs, PlanningArgs, VerbArgs};
pub use import::{ImportArgs, ImportCommand, ImportComposeArgs, ImportOutput, ImportProcfileArgs, ImportSystemdArgs};
pub use look::{
    CompletionsArgs, DoctorArgs, ExecArgs, GraphArgs, HistoryArgs, InitArgs, LogsArgs, SchemaArgs, SchemaKind,
    ShowArgs, StatusArgs, UnlockArgs, ValidateArgs,
};
pub use package::{PackageArgs, PackageBuildArgs, PackageCommand, PackageInspectArgs, PackageVerifyArgs};
pub use run::{RunArgs, UrlArgs};
pub use source::{LongFileArgs, Source, SourceArgs, ValueArgs};
pub use state::{StateArgs, StateCommand};
pub use values::{Since, TargetArg, VarArg};

use crate::report::{ColorChoice, Verbosity};

const EXAMPLES: &str = "\
Examples:
  orch init                          Write a commented orch.yaml to start from
  orch plan                          Show what would change, and why
  orch plan --out change.plan        Save the plan for review
  orch apply change.plan             Do what was reviewed, and nothing else
  orch status                        Show what runs
  orch logs api --follow             Follow the log of a service
  orch run -- pytest                 Run a command with services that live as long as it

Environment:
  ORCH_FILE          The file or folder to read where no --file is given
  ORCH_PROFILES      The active profiles, with commas, where no --profile is given
  ORCH_DEPLOYMENT    The deployment, where no --deployment is given
  ORCH_VAR_<NAME>    The value of variable NAME where no --var or --var-file gives one
  NO_COLOR           Turns colours off; CLICOLOR_FORCE turns them on in a pipe

Exit codes:
  0 done or no changes   1 error   2 changes found (plan --detailed-exitcode)
  3 saved plan refused   4 locked  5 apply failed   6 interrupted   64 usage";

/// Plan and apply for services: one file, one reviewed plan, one health-gated apply.
///
/// A team writes the services it wants in one YAML file. `orch plan` shows exactly what would change and
/// why; `orch apply` does that and nothing else, in dependency order, and every step must pass its health
/// gate before what depends on it starts.
#[derive(Debug, Parser)]
#[command(name = "orch", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every verb takes, before or after it.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What is read, where it is given before the verb.
    #[command(flatten)]
    pub source: SourceArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes, before or after it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Work as if started in this folder.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub chdir: Option<PathBuf>,
    /// When to colour output.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, hide_possible_values = true)]
    #[arg(help = "When to colour output: auto, always or never")]
    pub color: ColorChoice,
    /// Say more, such as every health probe.
    #[arg(short, long, global = true, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say only what failed and how it ended.
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub quiet: bool,
}

impl GlobalArgs {
    /// How much to say of a run.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a commented orch.yaml that validates and applies as it is.
    Init(InitArgs),
    /// Report every error of every file at once, and change nothing.
    Validate(ValidateArgs),
    /// Show what would change, in which order, and why.
    Plan(PlanArgs),
    /// Make what runs as the file says, step by step behind health gates.
    Apply(ApplyArgs),
    /// Take everything down, dependents first.
    Destroy(DestroyArgs),
    /// Take over containers that run already, as they are, without a restart.
    Adopt(AdoptArgs),
    /// Show what runs, since when, and how healthy it is.
    Status(StatusArgs),
    /// Check every host that the file names, and say what to do about what is found.
    Doctor(DoctorArgs),
    /// Bring services up, run a command with their addresses, and take them down.
    Run(RunArgs),
    /// Print where a service is reached.
    Url(UrlArgs),
    /// Print the log of a service.
    Logs(LogsArgs),
    /// Run a command in the container of a service.
    Exec(ExecArgs),
    /// Show a saved plan, or what is recorded.
    Show(ShowArgs),
    /// Show which service needs which.
    Graph(GraphArgs),
    /// Look at and repair what is recorded.
    State(StateArgs),
    /// Show the runs there were: when, who, what, how they ended.
    History(HistoryArgs),
    /// Remove a lock whose holder is gone for good.
    Unlock(UnlockArgs),
    /// Write an orch.yaml from what another tool has, and name what it cannot hold.
    Import(ImportArgs),
    /// Make packages for hosts, and look into them.
    Package(PackageArgs),
    /// Print the JSON Schema of a format.
    Schema(SchemaArgs),
    /// Print the completion script for a shell.
    Completions(CompletionsArgs),
    /// Restart services, in dependency order, each behind its health gate.
    Restart(VerbArgs),
    /// Stop services and keep them, dependents first.
    Stop(VerbArgs),
    /// Start services that were stopped, what they need first.
    Start(VerbArgs),
}

impl Cli {
    /// What to read: what stands before the verb, then what stands after it, then the environment, which
    /// counts only where the command line says nothing.
    pub fn source(&self, env: impl Fn(&str) -> Option<String>) -> Source {
        let before = (self.source.file.files.as_slice(), &self.source.values);
        Source::merge([Some(before), self.verb.source()].into_iter().flatten(), env)
    }
}

impl Verb {
    /// What the verb itself says is to be read; `None` for a verb that reads nothing.
    fn source(&self) -> Option<(&[PathBuf], &ValueArgs)> {
        let source = match self {
            Self::Validate(args) => &args.source,
            Self::Plan(args) => &args.source,
            Self::Apply(args) => &args.source,
            Self::Destroy(args) => &args.source,
            Self::Adopt(args) => &args.source,
            Self::Status(args) => &args.source,
            Self::Doctor(args) => &args.source,
            Self::Run(args) => &args.source,
            Self::Url(args) => &args.source,
            Self::Exec(args) => &args.source,
            Self::Show(args) => &args.source,
            Self::Graph(args) => &args.source,
            Self::State(args) => args.command.source(),
            Self::History(args) => &args.source,
            Self::Unlock(args) => &args.source,
            Self::Restart(args) | Self::Stop(args) | Self::Start(args) => &args.source,
            Self::Logs(args) => return Some((&args.file.files, &args.values)),
            Self::Init(_) | Self::Import(_) | Self::Package(_) | Self::Schema(_) | Self::Completions(_) => return None,
        };
        Some((&source.file.files, &source.values))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())
    }

    fn source(line: &str, env: &[(&str, &str)]) -> Source {
        let get = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        parse(line).expect("a command line").source(get)
    }

    #[test]
    fn the_definition_of_the_command_line_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_every_verb_has_its_sentence() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{} {} has no help", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn the_help_is_the_manual() {
        insta::assert_snapshot!(Cli::command().term_width(100).render_help(), @r#"
        Plan and apply for services: one file, one reviewed plan, one health-gated apply

        Usage: orch [OPTIONS] <COMMAND>

        Commands:
          init         Write a commented orch.yaml that validates and applies as it is
          validate     Report every error of every file at once, and change nothing
          plan         Show what would change, in which order, and why
          apply        Make what runs as the file says, step by step behind health gates
          destroy      Take everything down, dependents first
          adopt        Take over containers that run already, as they are, without a restart
          status       Show what runs, since when, and how healthy it is
          doctor       Check every host that the file names, and say what to do about what is found
          run          Bring services up, run a command with their addresses, and take them down
          url          Print where a service is reached
          logs         Print the log of a service
          exec         Run a command in the container of a service
          show         Show a saved plan, or what is recorded
          graph        Show which service needs which
          state        Look at and repair what is recorded
          history      Show the runs there were: when, who, what, how they ended
          unlock       Remove a lock whose holder is gone for good
          import       Write an orch.yaml from what another tool has, and name what it cannot hold
          package      Make packages for hosts, and look into them
          schema       Print the JSON Schema of a format
          completions  Print the completion script for a shell
          restart      Restart services, in dependency order, each behind its health gate
          stop         Stop services and keep them, dependents first
          start        Start services that were stopped, what they need first
          help         Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help (see more with '--help')
          -V, --version  Print version

        Global options:
          -C, --chdir <DIR>   Work as if started in this folder
              --color <WHEN>  When to colour output: auto, always or never [default: auto]
          -v, --verbose       Say more, such as every health probe
          -q, --quiet         Say only what failed and how it ended

        Definition:
          -f, --file <PATH>        Read this file or folder; give it again to merge several [default:
                                   orch.yaml] [env: ORCH_FILE]
              --profile <NAME>     Activate a profile; give it again or use commas for several [env:
                                   ORCH_PROFILES]
              --deployment <NAME>  Run services that have several backends on those of this deployment [env:
                                   ORCH_DEPLOYMENT]
              --var <NAME=VALUE>   Set a variable of the file; it wins over --var-file
              --var-file <PATH>    Read variables from a YAML or TOML file; later files win
              --state-dir <DIR>    Keep state, journal and lock in this folder instead of the one that the
                                   file names

        Examples:
          orch init                          Write a commented orch.yaml to start from
          orch plan                          Show what would change, and why
          orch plan --out change.plan        Save the plan for review
          orch apply change.plan             Do what was reviewed, and nothing else
          orch status                        Show what runs
          orch logs api --follow             Follow the log of a service
          orch run -- pytest                 Run a command with services that live as long as it

        Environment:
          ORCH_FILE          The file or folder to read where no --file is given
          ORCH_PROFILES      The active profiles, with commas, where no --profile is given
          ORCH_DEPLOYMENT    The deployment, where no --deployment is given
          ORCH_VAR_<NAME>    The value of variable NAME where no --var or --var-file gives one
          NO_COLOR           Turns colours off; CLICOLOR_FORCE turns them on in a pipe

        Exit codes:
          0 done or no changes   1 error   2 changes found (plan --detailed-exitcode)
          3 saved plan refused   4 locked  5 apply failed   6 interrupted   64 usage
        "#);
    }

    #[test]
    fn what_is_read_may_stand_on_both_sides_of_the_verb() {
        let both =
            source("orch -f a.yaml --var x=1 plan -f b.yaml --var y=2=3 --profile p,q", &[("ORCH_FILE", "env.yaml")]);
        assert_eq!(both.files, [PathBuf::from("a.yaml"), PathBuf::from("b.yaml")]);
        assert_eq!(both.profiles, ["p", "q"]);
        let vars: Vec<_> = both.vars.iter().map(|var| (var.name.as_str(), var.value.as_str())).collect();
        assert_eq!(vars, [("x", "1"), ("y", "2=3")]);
        let env = source("orch plan", &[("ORCH_FILE", "env.yaml"), ("ORCH_PROFILES", "a, b,")]);
        assert_eq!((env.files, env.profiles), (vec![PathBuf::from("env.yaml")], vec!["a".to_owned(), "b".to_owned()]));
        let nested = source("orch --state-dir x state list -f c.yaml --state-dir y", &[]);
        assert_eq!((nested.files, nested.state_dir), (vec![PathBuf::from("c.yaml")], Some(PathBuf::from("y"))));
    }

    #[test]
    fn logs_takes_f_as_follow_and_the_file_by_its_long_name() {
        let cli = parse("orch -f a.yaml logs web -f --file b.yaml -n 5 --since 10m").expect("a command line");
        assert_eq!(cli.source(|_| None).files, [PathBuf::from("a.yaml"), PathBuf::from("b.yaml")]);
        let Verb::Logs(logs) = cli.verb else { panic!("not logs") };
        assert!(logs.follow && logs.lines == Some(5));
        assert_eq!(logs.since, Some(Since::Ago(std::time::Duration::from_secs(600))));
    }

    #[test]
    fn global_flags_may_follow_the_verb() {
        let cli = parse("orch plan -q --color never -C sub").expect("a command line");
        assert_eq!(cli.global.verbosity(), Verbosity::Quiet);
        assert_eq!((cli.global.color, cli.global.chdir), (ColorChoice::Never, Some(PathBuf::from("sub"))));
        assert!(parse("orch plan -q -v").is_err());
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "orch apply change.plan --target web",
            "orch apply change.plan --destroy",
            "orch apply --resume",
            "orch plan --destroy --refresh-only",
            "orch plan --json --markdown",
            "orch plan --target ../x",
            "orch apply --max-parallel 0",
            "orch apply --on-failure maybe",
            "orch apply --lock-timeout -5s",
            "orch graph --dot --mermaid",
            "orch logs",
            "orch restart",
            "orch exec web",
            "orch exec -t -T web ls",
            "orch plan --var novalue",
        ] {
            assert!(parse(line).is_err(), "{line} was taken");
        }
        for line in [
            "orch plan --refresh=false --detailed-exitcode",
            "orch plan --refresh",
            "orch plan --refresh-only",
            "orch apply --destroy --auto-approve",
            "orch apply change.plan --resume --auto-approve",
            "orch apply --on-failure halt --lock-timeout 1m30s --max-parallel 8",
            "orch state rm web api[1]",
            "orch restart web api",
            "orch exec web ls -l",
            "orch exec web[1] -u root -e A=b -iT -- ls -l",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }
}
