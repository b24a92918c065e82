//! `orch schema`

use crate::cli::Exit;
use crate::cli::args::{SchemaArgs, SchemaKind};
use crate::cli::run::print;
use crate::cli::session::Session;
use crate::ops::{self, OpError, SchemaOf};

pub(super) fn run(args: &SchemaArgs, session: &mut Session) -> Result<Exit, OpError> {
    let of = match args.format {
        SchemaKind::Config => SchemaOf::Config,
        SchemaKind::Plan => SchemaOf::Plan,
        SchemaKind::State => SchemaOf::State,
        SchemaKind::Event => SchemaOf::Event,
    };
    print(session, &ops::schema(of))?;
    Ok(Exit::Done)
}
