//! Values with a form of their own: variables, durations, moments, policies.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::{Address, Digest, OnFailure};

/// Longer than anybody waits, short enough that adding it to a time cannot overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A variable from the command line. Its value may be secret and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct VarArg {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for VarArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=..", self.name)
    }
}

impl FromStr for VarArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err("a variable reads NAME=VALUE"),
        }
    }
}

/// What is to be taken over: `web`, `web[1]`, or `web=CONTAINER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetArg {
    /// A service, or one copy of it.
    pub address: Address,
    /// The container that is to be it.
    pub object: Option<String>,
}

impl FromStr for TargetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, object) = match text.split_once('=') {
            Some((_, "")) => return Err("after `=` comes the name or the id of a container".to_owned()),
            Some((address, object)) => (address, Some(object.to_owned())),
            None => (text, None),
        };
        let address = address.parse::<Address>().map_err(|error| error.to_string())?;
        Ok(Self { address, object })
    }
}

/// The moment from which something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long before now.
    Ago(Duration),
    /// At this moment.
    At(Timestamp),
}

impl Since {
    /// The moment itself.
    #[must_use]
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = duration(text) {
            return Ok(Self::Ago(ago));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        // Without an offset it is meant as the clock on the wall shows it.
        let local = text.parse::<jiff::civil::DateTime>().and_then(|local| local.to_zoned(TimeZone::system()));
        local.map(|zoned| Self::At(zoned.timestamp())).map_err(|_| {
            "expected how long ago (`10m`, `2h`) or a moment (`2026-11-21T05:32:10Z`, `2026-11-21 06:00`)".to_owned()
        })
    }
}

/// A duration: `30` (seconds), `30s`, `5m`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration: write `30s`, `5m`, `1h30m` or a number of seconds");
    let parsed = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // jiff also takes ISO 8601 (`PT5M`) and a sign; only what is not negative is a time to wait.
        Err(_) => Duration::try_from(text.parse::<SignedDuration>().map_err(|_| bad())?).map_err(|_| bad())?,
    };
    if parsed > LONGEST { Err(format!("`{text}` is longer than ten years")) } else { Ok(parsed) }
}

/// A SHA-256 digest, with or without `sha256:` before it.
pub(super) fn sha256(text: &str) -> Result<Digest, String> {
    text.trim().strip_prefix("sha256:").unwrap_or(text.trim()).parse()
}

/// A failure policy by its name in the file.
pub(super) fn on_failure() -> impl TypedValueParser<Value = OnFailure> {
    PossibleValuesParser::new(["rollback", "halt", "continue"]).map(|name| match name.as_str() {
        "halt" => OnFailure::Halt,
        "continue" => OnFailure::Continue,
        _ => OnFailure::Rollback,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_file_writes_them() {
        let seconds = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(seconds("30"), Ok(30_000));
        assert_eq!(seconds("1h30m"), Ok(5_400_000));
        assert_eq!(seconds("250ms"), Ok(250));
        for text in ["", "-5s", "5 parsecs", "99999999999999999999", "9999999999"] {
            assert!(duration(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn since_is_a_duration_or_a_moment() {
        let at: Timestamp = "2026-11-21T05:32:10Z".parse().expect("a moment");
        assert_eq!("2026-11-21T05:32:10Z".parse(), Ok(Since::At(at)));
        assert_eq!("10m".parse::<Since>().map(|since| since.moment(at).to_string()), Ok("2026-11-21T05:22:10Z".into()));
        assert!("2026-11-21 06:00".parse::<Since>().is_ok());
        assert!("yesterday".parse::<Since>().is_err());
    }

    #[test]
    fn the_value_of_a_variable_is_not_in_its_debug_form() {
        let var: VarArg = "TOKEN=hunter2".parse().expect("a variable");
        assert_eq!(format!("{var:?}"), "TOKEN=..");
        assert!("=x".parse::<VarArg>().is_err());
    }
}
