//! The composition root: one file for each operation.
//!
//! Operations take data and give data. They say nothing to a terminal: that is the business of
//! `report`, which `cli` connects with them.

mod adopt;
mod apply;
mod doctor;
mod endpoints;
mod error;
mod exec;
mod find;
mod graph;
mod history;
mod import;
mod init;
mod keep;
mod lan;
mod log_files;
mod logs;
mod managed;
mod observe;
mod package;
mod pins;
mod places;
mod plan;
mod project;
mod records;
mod render;
mod saved;
mod schema;
mod status;
mod takeover;

pub use crate::backend::{ExecRequest, LogLine, LogQuery, Terminal};
pub use adopt::{AdoptTarget, Adopting, prepare_adoption};
pub use apply::{LockOptions, Prepared, prepare, prepare_saved};
pub use doctor::doctor;
pub use endpoints::{CommandEnv, Reached, check_variables, command_env, endpoints};
pub use error::OpError;
pub use exec::Inside;
pub use graph::graph;
pub use history::history;
pub use import::{ImportFrom, import_compose, import_procfile, import_systemd, write_imported};
pub use init::{TEMPLATE, init};
pub use keep::keep_evidence;
pub use logs::Logs;
pub use managed::Managed;
pub use package::{build_package, inspect_package, verify_package};
pub use plan::{PlanOptions, Planned, make_plan, read_plan, save_plan};
pub use project::{Options, Project};
pub use records::{move_record, pull_state, push_state, read_state, remove_records};
pub use schema::{SchemaOf, schema};
pub use status::{Status, status};
