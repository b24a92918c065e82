//! `orch schema`: the JSON Schema of each format, made from the types that read and write it.

use crate::config;
use crate::event::Event;
use crate::plan::PlanFile;
use crate::state::StateFile;

/// A format with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaOf {
    /// The configuration file.
    Config,
    /// A saved plan.
    Plan,
    /// The state file.
    State,
    /// One line of an event stream.
    Event,
}

/// The schema, as the text of a JSON document that ends with a line break.
#[must_use]
pub fn schema(of: SchemaOf) -> String {
    let schema = match of {
        SchemaOf::Config => config::schema(),
        SchemaOf::Plan => schemars::schema_for!(PlanFile),
        SchemaOf::State => schemars::schema_for!(StateFile),
        SchemaOf::Event => schemars::schema_for!(Event),
    };
    format!("{:#}\n", schema.to_value())
}
