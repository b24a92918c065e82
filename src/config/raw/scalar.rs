//! Scalars with a meaning of their own: durations, sizes, signals.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::json_schema;
use serde::de::Visitor;

use crate::config::diagnostic::shorten;
use crate::config::field::schema;
use crate::model::StopSignal;

/// The longest duration that makes sense: 366 days.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration that may be zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay(pub(crate) Duration);

/// A duration that may not be zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period(pub(crate) Duration);

/// A number of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByteSize(pub(crate) u64);

/// A signal that asks a process to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signal(pub(crate) StopSignal);

impl FromStr for Delay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text).map(Self)
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = parse_duration(text)?;
        if duration.is_zero() { Err("a duration of zero makes no sense here".into()) } else { Ok(Self(duration)) }
    }
}

/// Reads a bare number as seconds and anything else as `1h 30m`, `5m`, `300ms`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let too_long = || format!("the duration `{}` is longer than a year", shorten(text));
    let negative = || format!("the duration `{}` is negative", shorten(text));
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let seconds: f64 = unsigned.parse().map_err(|_| not_a_duration(text))?;
        if text.starts_with('-') && seconds > 0.0 {
            return Err(negative());
        }
        return Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= LONGEST).ok_or_else(too_long);
    }
    let duration: jiff::SignedDuration = text.parse().map_err(|_| not_a_duration(text))?;
    if duration.is_negative() {
        return Err(negative());
    }
    Some(duration.unsigned_abs()).filter(|duration| *duration <= LONGEST).ok_or_else(too_long)
}

fn not_a_duration(text: &str) -> String {
    format!("expected a duration such as 30 (seconds), 300ms, 5m or 1h30m, found \"{}\"", shorten(text))
}

impl FromStr for ByteSize {
    type Err = String;

    /// Takes a number of bytes, or one with a decimal (`MB`) or binary (`MiB`) unit.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected a size such as 1048576 (bytes), 50MB or 64MiB, found \"{}\"", shorten(text));
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| bad())?;
        let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(bad()),
        };
        let size = number.checked_mul(unit).filter(|size| *size <= 1 << 50);
        size.map(Self).ok_or_else(|| format!("the size `{}` is larger than any disk", shorten(text)))
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The model repeats what it was given; a name of absurd length is cut here.
        shorten(text).parse().map(Self)
    }
}

pub(super) struct FromText<T>(pub(super) std::marker::PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! from_text {
    ($($type:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let visitor = crate::config::raw::scalar::FromText(std::marker::PhantomData);
                deserializer.deserialize_str(visitor).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(super) use from_text;

from_text!(Delay, Period, ByteSize, Signal);

schema!(Delay, |_generator| json_schema!({"type": ["number", "string"], "minimum": 0}));
schema!(Period, |_generator| json_schema!({"type": ["number", "string"], "exclusiveMinimum": 0}));
schema!(ByteSize, |_generator| json_schema!({"type": ["integer", "string"], "minimum": 0}));
schema!(Signal, |_generator| json_schema!({
    "type": "string",
    "pattern": r"^([Ss][Ii][Gg])?([Tt][Ee][Rr][Mm]|[Ii][Nn][Tt]|[Qq][Uu][Ii][Tt]|[Hh][Uu][Pp]|[Uu][Ss][Rr][12]|[Kk][Ii][Ll][Ll])$|\$\{",
}));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_say_their_unit() {
        for (text, millis) in [
            ("300", 300_000),
            ("0.5", 500),
            ("5m", 300_000),
            ("1m30s", 90_000),
            ("300ms", 300),
            ("1h 30m", 5_400_000),
            ("0", 0),
            ("PT5M", 300_000),
            ("2 minutes", 120_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, message) in [
            ("-5", "negative"),
            ("-5m", "negative"),
            ("9999999999", "longer than a year"),
            ("99999h", "longer than a year"),
            ("soon", "expected a duration"),
            ("", "expected a duration"),
            ("5 parsecs", "expected a duration"),
            ("1e400", "expected a duration"),
            ("inf", "expected a duration"),
            (&"9".repeat(400), "longer than a year"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert!("0".parse::<Period>().is_err());
    }

    #[test]
    fn sizes_have_units() {
        let size = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        assert_eq!(size("50MB"), Ok(50_000_000));
        assert_eq!(size("64 MiB"), Ok(64 << 20));
        assert_eq!(size("1024"), Ok(1024));
        assert!(size("-1").is_err() && size("5XB").is_err() && size("99999999999GB").is_err() && size("").is_err());
    }
}
