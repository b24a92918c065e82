//! Turns plans, state and events into text and data for people and programs.
//!
//! Views are functions from plain data to text; [`Output`] alone knows the terminal. What comes from
//! a file, a log or a probe is escaped on its way out, so that nothing in it can pose as ours.

mod adopt;
mod doctor;
mod fanout;
mod graph;
mod history;
mod human;
mod import;
mod json;
mod narrate;
mod output;
mod plan_change;
mod plan_facts;
mod plan_human;
mod plan_json;
mod plan_markdown;
mod progress;
mod pull;
mod records;
mod status;
mod style;
mod table;
mod text;
mod time;

#[cfg(test)]
mod testing;

pub use adopt::{adoption, adoption_notices};
pub use doctor::{HostCheck, HostReport, Level, doctor};
pub use fanout::{Sink, drive, spawn};
pub use graph::{GraphNode, graph_dot, graph_mermaid, graph_text};
pub use history::history;
pub use human::Human;
pub use import::import_findings;
pub use json::Ndjson;
pub use narrate::Verbosity;
pub use output::{Environment, Output, Stream, terminal_size};
pub use plan_facts::plan_sentence;
pub use plan_human::plan_human;
pub use plan_json::plan_json;
pub use plan_markdown::plan_markdown;
pub use progress::Progress;
pub use pull::size;
pub use records::{record_details, records};
pub use status::{RowState, StatusRow, status};
pub use style::{ColorChoice, Look, Paint};
pub use table::{Cell, Table};
pub use text::escape;
pub use time::{age, duration};
