//! `orch url`

use futures_util::future::select_all;

use crate::cli::Exit;
use crate::cli::args::UrlArgs;
use crate::cli::run::{print, print_json, tell};
use crate::cli::session::{Session, block_on};
use crate::cli::signals;
use crate::ops::{OpError, endpoints};

pub(super) fn run(args: &UrlArgs, session: &mut Session) -> Result<Exit, OpError> {
    let project = session.project(None)?;
    let name = args.service.to_string();
    block_on(async {
        let mut signals = signals::listen().map_err(OpError::io("listen for", "signals"))?;
        let reached = tokio::select! {
            reached = endpoints(&project, &name, args.endpoint.as_deref()) => reached?,
            _ = signals.recv() => return Ok(Exit::Interrupted),
        };
        if args.json {
            print_json(session, &reached)?;
        } else if let [only] = &reached[..] {
            print(session, &format!("{}\n", only.url))?;
        } else {
            let lines = reached.iter().map(|reached| format!("{} {}\n", reached.endpoint, reached.url));
            print(session, &lines.collect::<String>())?;
        }
        let mut forwards: Vec<_> = reached.into_iter().filter_map(|reached| reached.forward).collect();
        if forwards.is_empty() {
            return Ok(Exit::Done);
        }
        tell(session, "Forwarding until Ctrl-C ...")?;
        tokio::select! {
            (error, ..) = select_all(forwards.iter_mut().map(|forward| forward.held.ended())) => {
                Err(OpError::Backend { doing: format!("forwarding a port to {name}"), source: error })
            }
            _ = signals.recv() => Ok(Exit::Done),
        }
    })?
}
