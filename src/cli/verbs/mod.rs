//! One file for each verb.

mod adopt;
mod apply;
mod completions;
mod doctor;
mod exec;
mod graph;
mod history;
mod import;
mod init;
mod logs;
mod package;
mod plan;
mod run;
mod schema;
mod show;
mod state;
mod status;
mod unlock;
mod url;
mod validate;

use super::Exit;
use super::args::Verb as Args;
use super::session::Session;
use crate::ops::OpError;
use crate::plan::Verb;

/// Does what a verb says.
pub(super) fn dispatch(verb: Args, session: &mut Session) -> Result<Exit, OpError> {
    match verb {
        Args::Init(args) => init::run(&args, session),
        Args::Validate(args) => validate::run(&args, session),
        Args::Plan(args) => plan::run(&args, session),
        Args::Apply(args) => apply::apply(&args, session),
        Args::Destroy(args) => apply::destroy(&args, session),
        Args::Restart(args) => apply::verb(&args, Verb::Restart, session),
        Args::Stop(args) => apply::verb(&args, Verb::Stop, session),
        Args::Start(args) => apply::verb(&args, Verb::Start, session),
        Args::Adopt(args) => adopt::run(&args, session),
        Args::Status(args) => status::run(&args, session),
        Args::Doctor(args) => doctor::run(&args, session),
        Args::Run(args) => run::run(&args, session),
        Args::Url(args) => url::run(&args, session),
        Args::Logs(args) => logs::run(&args, session),
        Args::Exec(args) => exec::run(&args, session),
        Args::Show(args) => show::run(&args, session),
        Args::Graph(args) => graph::run(&args, session),
        Args::State(args) => state::run(&args, session),
        Args::Import(args) => import::run(&args, session),
        Args::Package(args) => package::run(&args, session),
        Args::History(args) => history::run(&args, session),
        Args::Unlock(args) => unlock::run(&args, session),
        Args::Schema(args) => schema::run(&args, session),
        Args::Completions(args) => completions::run(&args, session),
    }
}
