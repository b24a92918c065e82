//! Plan and apply for services: one file, one reviewed plan, one health-gated apply.
//!
//! The modules stand in the order of the data path: text becomes a model, the model a graph, the
//! graph and the recorded and observed state a plan, and the plan is executed through backends.
//!
//! - [`model`]: what a service is: addresses, specs, health policy, dependencies. No I/O.
//! - [`config`]: YAML text to model: source spans, interpolation, diagnostics that point at the line.
//! - [`graph`]: dependency graph: cycles, order, waves, critical path.
//! - [`state`]: recorded state: format and versions, store, lock and journal.
//! - [`plan`]: actions, diff, planner, checker and plan file: a pure function and plain data.
//! - [`event`]: the vocabulary of everything that happens during a run.
//! - [`backend`]: the traits that look at and touch what runs, and their implementations.
//! - [`import`]: what other tools have as definitions, as orch's own: text to text, with what was lost.
//! - [`package`]: the archive format in which a service travels to a host: build, read, check.
//! - [`health`]: the health gate and its probes.
//! - [`execute`]: obeys a plan: ready queue, workers and the one select loop.
//! - [`report`]: turns plans, state and events into text and data for people and programs.
//! - [`ops`]: the composition root: one file for each operation.
//! - [`cli`]: the command line: clap types, one file for each verb, exit codes.
//! - [`sys`]: clock, files, child processes and signals: the only place that touches them raw.

pub mod backend;
pub mod cli;
pub mod config;
pub mod event;
pub mod execute;
pub mod graph;
pub mod health;
pub mod import;
pub mod model;
pub mod ops;
pub mod package;
pub mod plan;
pub mod report;
pub mod state;
pub mod sys;
