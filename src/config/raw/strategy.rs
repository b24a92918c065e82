//! How a change goes over the copies of a service, as it is written.

use std::str::FromStr;

use schemars::{JsonSchema, json_schema};
use serde::Deserialize;

use super::scalar::{from_text, parse_duration};
use super::{Delay, Period};
use crate::config::diagnostic::shorten;
use crate::config::field::{Field, OneOrMany, schema};
use crate::model::{Amount, Pause, RollFailure};

/// A number of copies, or a part of all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawAmount(pub(crate) Amount);

/// `ask`, or a duration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawPause(pub(crate) Pause);

/// How a change goes over the copies of a service: in batches, each of which has to be well before the
/// next one begins.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawStrategy {
    /// How many copies are changed at once: a number, a part (`"25%"`), or a list of the sizes of the
    /// batches in order, whose last one repeats (`[1, 5, "20%"]`). Default: 1.
    pub(crate) max_parallel: Option<Field<OneOrMany<RawAmount>>>,
    /// How many copies go first, as a batch of their own. Default: 0.
    pub(crate) canary: Option<Field<u32>>,
    /// How long a copy must stay well after its gate: seconds or a duration. Default: 0.
    pub(crate) min_healthy_time: Option<Field<Delay>>,
    /// How many copies may fail before the roll stops: a number, or a part (`"10%"`). Default: 0.
    pub(crate) max_failures: Option<Field<RawAmount>>,
    /// What happens between two batches: `ask` asks a person, a duration waits. Default: nothing.
    pub(crate) pause: Option<Field<RawPause>>,
    /// What happens to the copies that were changed already when the roll stops: `rollback` puts them back,
    /// `halt` leaves them. Default: as `settings.on_failure` says.
    pub(crate) on_failure: Option<Field<RollFailure>>,
    /// How long a host waits, after a change, for a fresh connection that confirms it; without one it goes
    /// back by itself: seconds or a duration. Default: it does not wait.
    pub(crate) confirm: Option<Field<Period>>,
}

impl FromStr for RawAmount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("expected a number of copies such as 2, or a part such as \"25%\", found \"{}\"", shorten(text));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten().ok_or_else(bad)
        };
        let Some(percent) = text.strip_suffix('%') else { return number(text).map(Amount::Count).map(Self) };
        match number(percent)?.try_into() {
            Ok(percent @ 0..=100) => Ok(Self(Amount::Percent(percent))),
            Ok(_) | Err(_) => Err(format!("`{}` is more than all copies", shorten(text))),
        }
    }
}

impl FromStr for RawPause {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "ask" {
            return Ok(Self(Pause::Ask));
        }
        let pause = parse_duration(text).map_err(|problem| format!("{problem}; or write `ask`"))?;
        Ok(Self(Pause::Millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))))
    }
}

from_text!(RawAmount, RawPause);

schema!(RawAmount, |_generator| json_schema!({
    "type": ["integer", "string"],
    "minimum": 0,
    "pattern": r"^[0-9]+%?$|\$\{",
}));
schema!(RawPause, |_generator| json_schema!({"type": ["number", "string"], "minimum": 0}));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_or_parts() {
        let amount = |text: &str| text.parse::<RawAmount>().map(|amount| amount.0);
        assert_eq!(amount("3"), Ok(Amount::Count(3)));
        assert_eq!(amount("25%"), Ok(Amount::Percent(25)));
        assert_eq!(amount("100%"), Ok(Amount::Percent(100)));
        for bad in ["", "%", "-1", "+1", "101%", "999%", "1.5", "99999999999", "all"] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }
}
