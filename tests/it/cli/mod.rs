//! Every verb, as a user at a command line sees it.

mod apply;
mod conditions;
mod definition;
mod destroy;
mod drift;
mod endpoints;
mod files;
mod gates;
pub(crate) mod helpers;
mod init;
mod interrupt;
mod jobs;
mod lifecycle;
mod lock;
mod logs;
mod look;
mod plan;
mod run_command;
mod run_verbs;
mod saved;
mod state;
mod user_config;
mod validate;
