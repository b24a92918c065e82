//! `orch graph`

use crate::cli::Exit;
use crate::cli::args::GraphArgs;
use crate::cli::run::print;
use crate::cli::session::{Session, block_on};
use crate::ops::{self, OpError};
use crate::report::{graph_dot, graph_mermaid, graph_text};

pub(super) fn run(args: &GraphArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let nodes = block_on(ops::graph(&project, args.plan))??;
    let text = match (args.dot, args.mermaid) {
        (true, _) => graph_dot(&nodes),
        (_, true) => graph_mermaid(&nodes),
        _ => graph_text(&nodes, session.output.look),
    };
    print(session, &text)?;
    Ok(Exit::Done)
}
