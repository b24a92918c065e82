//! Health checks, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Delay, Period};
use crate::config::field::{Entries, Field, OneOrList, OneOrMany, RawText, Short};

/// A field list with the keys that all checks have. Serde's `flatten` would lose the places, so the
/// keys are written into each type.
macro_rules! check_types {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name {
                $($(#[$field_doc])* pub(crate) $field: $type,)*
                /// The time between probes once the service runs; while a gate waits, probes come
                /// more often: seconds or a duration. Default: 10 seconds.
                #[serde(default)]
                pub(crate) interval: Option<Field<Period>>,
                /// Another spelling of `interval`.
                #[serde(default)]
                pub(crate) interval_secs: Option<Field<Period>>,
                /// How long one probe may take: seconds or a duration. Default: 5 seconds.
                #[serde(default)]
                pub(crate) timeout: Option<Field<Period>>,
                /// Another spelling of `timeout`.
                #[serde(default)]
                pub(crate) timeout_secs: Option<Field<Period>>,
                /// How many intervals in a row may fail before the service counts as unhealthy. Default: 3.
                #[serde(default)]
                pub(crate) retries: Option<Field<u32>>,
                /// How long after the start failures do not count: seconds or a duration. Default: 0.
                #[serde(default)]
                pub(crate) start_period: Option<Field<Delay>>,
                /// Another spelling of `start_period`.
                #[serde(default)]
                pub(crate) start_period_secs: Option<Field<Delay>>,
                /// How many probes in a row must pass. Default: 1.
                #[serde(default)]
                pub(crate) success_threshold: Option<Field<u32>>,
                /// How long a gate waits at most: seconds or a duration. Default: the service's timeout.
                #[serde(default)]
                pub(crate) deadline: Option<Field<Period>>,
                /// Another spelling of `deadline`.
                #[serde(default)]
                pub(crate) deadline_secs: Option<Field<Period>>,
            }

            impl $name {
                /// The keys that all checks have.
                pub(crate) fn common(&self) -> CheckFields<'_> {
                    CheckFields {
                        interval: [self.interval.as_ref(), self.interval_secs.as_ref()],
                        timeout: [self.timeout.as_ref(), self.timeout_secs.as_ref()],
                        start_period: [self.start_period.as_ref(), self.start_period_secs.as_ref()],
                        deadline: [self.deadline.as_ref(), self.deadline_secs.as_ref()],
                        retries: self.retries.as_ref(),
                        success_threshold: self.success_threshold.as_ref(),
                    }
                }
            }
        )*
    };
}

/// The keys that all checks have; where there are two spellings, both.
pub(crate) struct CheckFields<'c> {
    pub(crate) interval: [Option<&'c Field<Period>>; 2],
    pub(crate) timeout: [Option<&'c Field<Period>>; 2],
    pub(crate) start_period: [Option<&'c Field<Delay>>; 2],
    pub(crate) deadline: [Option<&'c Field<Period>>; 2],
    pub(crate) retries: Option<&'c Field<u32>>,
    pub(crate) success_threshold: Option<&'c Field<u32>>,
}

/// One check of a service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub(crate) enum RawCheck {
    /// An HTTP or HTTPS GET; redirects are not followed.
    Http(Box<RawHttp>),
    /// A TCP connection that is accepted.
    Tcp(Box<RawTcp>),
    /// A command that exits as expected.
    Command(Box<RawCommand>),
    /// A script file that exits 0.
    Script(Box<RawScript>),
    /// The backend's own notion of health.
    Backend(Box<RawBackendCheck>),
}

impl RawCheck {
    /// The keys that all checks have.
    pub(crate) fn common(&self) -> CheckFields<'_> {
        match self {
            Self::Http(check) => check.common(),
            Self::Tcp(check) => check.common(),
            Self::Command(check) => check.common(),
            Self::Script(check) => check.common(),
            Self::Backend(check) => check.common(),
        }
    }
}

check_types! {
    /// An HTTP or HTTPS GET.
    RawHttp {
        /// The address: `http://localhost:8080/health`; `localhost` is the machine that the service runs on.
        url: Field<RawText>,
        /// The status, or a list of statuses, that is healthy. Default: any of 200 to 299.
        #[serde(default)]
        expected_status: Option<Field<OneOrMany<u16>>>,
        /// What the body must hold: a text that it contains, or a map with `contains` or `equals`.
        #[serde(default)]
        body: Option<Field<Short<String, RawBody>>>,
        /// Headers to send. A value whose name looks secret is never shown or recorded.
        #[serde(default)]
        headers: Option<Field<Entries<RawText>>>,
    }
    /// A TCP connection.
    RawTcp {
        /// The host name or address; `localhost` is the machine that the service runs on. Default: localhost.
        #[serde(default)]
        host: Option<Field<RawText>>,
        /// The port.
        port: Field<u16>,
    }
    /// A command.
    RawCommand {
        /// The program: a path (relative to the file when it holds a `/`), or a bare name. Of a container
        /// it is the container's, and runs inside it; of a service on a host it is the host's, and runs there.
        command: Field<RawText>,
        /// Its arguments; no shell is involved.
        #[serde(default)]
        args: Option<Field<Vec<Field<RawText>>>>,
        /// The exit code that is healthy. Default: 0.
        #[serde(default)]
        expected_exit_code: Option<Field<u8>>,
    }
    /// A script file.
    RawScript {
        /// The file, relative to this one. Of a service on a host it runs there.
        path: Field<String>,
    }
    /// The backend's own notion of health.
    RawBackendCheck {
        /// For a container, the check that the engine runs inside it: a text for the container's shell, or
        /// a list of `CMD` and the words of a command, `CMD-SHELL` and a text, or `NONE` to turn the
        /// image's check off. Default: the image's own check.
        #[serde(default)]
        test: Option<Field<OneOrList<RawText, RawText>>>,
    }
}

/// What the body of an answer must be: one of the two.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawBody {
    /// The body holds this text.
    pub(crate) contains: Option<Field<String>>,
    /// The body, without white space around it, is this text.
    pub(crate) equals: Option<Field<String>>,
}
