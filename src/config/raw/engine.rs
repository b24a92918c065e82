//! Scalars of a container, as Docker and Compose write them: sizes, processors, policies, signals.

use std::str::FromStr;
use std::time::Duration;

use schemars::json_schema;

use super::scalar::{from_text, parse_duration};
use crate::config::diagnostic::shorten;
use crate::config::field::schema;
use crate::model::{Gpus, PullPolicy, RestartRule};

/// A number of bytes as Docker reads it, where every unit is a power of two: `512m`, `1g`, `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EngineSize(pub(crate) u64);

/// A number of processors, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpus(pub(crate) i64);

/// `all` graphics processors, or how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GpuCount(pub(crate) Gpus);

/// When the engine starts a container again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EngineRestart(pub(crate) RestartRule);

/// When the registry is asked about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pull(pub(crate) PullPolicy);

/// A signal that the engine can send: a name with `SIG`, or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineSignal(pub(crate) String);

/// One volume in short: `SOURCE:TARGET[:ro]`, or a path alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeText {
    pub(crate) source: Option<String>,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

/// The whole part and the billionths of a decimal number.
fn decimal(text: &str) -> Option<(u64, u64)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole, format!("{part:0<9}").parse().ok()?))
}

impl FromStr for EngineSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected a size such as 512m, 1g or 64MiB, found \"{}\"", shorten(text));
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (whole, billionths) = decimal(&text[..end]).ok_or_else(bad)?;
        let shift = match text[end..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(bad()),
        };
        let bytes = (u128::from(whole) << shift) + (u128::from(billionths) << shift) / 1_000_000_000;
        let size = u64::try_from(bytes).ok().filter(|size| *size <= 1 << 50);
        size.map(Self).ok_or_else(|| format!("the size `{}` is larger than any memory", shorten(text)))
    }
}

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("expected a number of processors such as 2 or 0.5, found \"{}\"", shorten(text));
        let (whole, billionths) = decimal(text.trim()).ok_or_else(bad)?;
        let nano = whole.checked_mul(1_000_000_000).and_then(|nano| nano.checked_add(billionths));
        match nano.and_then(|nano| i64::try_from(nano).ok()) {
            // A hundredth is what the scheduler can give, and no machine has more than 4096.
            Some(nano @ 10_000_000..=4_096_000_000_000) => Ok(Self(nano)),
            _ => Err(format!("`{}` is not from 0.01 to 4096 processors", shorten(text))),
        }
    }
}

impl FromStr for GpuCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "all" => Ok(Self(Gpus::All)),
            text => match text.parse() {
                Ok(count @ 1..=1024) => Ok(Self(Gpus::Count(count))),
                _ => Err(format!("expected `all`, a number from 1 or a list of ids, found \"{}\"", shorten(text))),
            },
        }
    }
}

impl FromStr for EngineRestart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("unknown value `{}`: use no, always, unless-stopped or on-failure[:N]", shorten(text));
        Ok(Self(match text {
            "no" | "never" => RestartRule::No,
            "always" => RestartRule::Always,
            "unless-stopped" => RestartRule::UnlessStopped,
            "on-failure" => RestartRule::OnFailure(0),
            _ => {
                let most = text.strip_prefix("on-failure:").and_then(|most| most.parse().ok()).ok_or_else(bad)?;
                RestartRule::OnFailure(most)
            }
        }))
    }
}

impl FromStr for Pull {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Ok(Self(match text {
            "missing" | "if_not_present" => PullPolicy::Missing,
            "always" => PullPolicy::Always,
            "never" => PullPolicy::Never,
            "daily" => PullPolicy::Every(DAY),
            "weekly" => PullPolicy::Every(7 * DAY),
            "build" => return Err("orch builds no images: build it first, and use `never` or `missing`".into()),
            _ => {
                let age = text.strip_prefix("every_").or_else(|| text.strip_prefix("every ")).ok_or_else(|| {
                    format!("unknown value `{}`: use missing, always, never or every 24h", shorten(text))
                })?;
                let days =
                    |unit, days: u32| age.trim().strip_suffix(unit)?.parse::<u16>().ok().map(|n| days * u32::from(n));
                let age = match days('d', 1).or_else(|| days('w', 7)) {
                    Some(days) => DAY * days,
                    None => parse_duration(age)?,
                };
                if age.is_zero() {
                    return Err("a duration of zero makes no sense here: use `always`".into());
                }
                PullPolicy::Every(age)
            }
        }))
    }
}

/// The signals of Linux by their names, without those that are counted from `RTMIN` and `RTMAX`.
const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

impl FromStr for EngineSignal {
    type Err = String;

    /// Takes `SIGTERM`, `TERM`, `term`, `SIGRTMIN+3` and the numbers 1 to 64.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{}` is not a signal: use one such as SIGTERM, SIGINT or 15", shorten(text));
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: u8 = text.parse().map_err(|_| bad())?;
            return if (1..=64).contains(&number) { Ok(Self(number.to_string())) } else { Err(bad()) };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let counted = |start: &str, most: u8| {
            let count = name.strip_prefix(start).filter(|count| count.bytes().all(|byte| byte.is_ascii_digit()));
            count.and_then(|count| count.parse::<u8>().ok()).is_some_and(|count| (1..=most).contains(&count))
        };
        let known = SIGNALS.contains(&name) || counted("RTMIN+", 15) || counted("RTMAX-", 14);
        if known { Ok(Self(format!("SIG{name}"))) } else { Err(bad()) }
    }
}

impl FromStr for VolumeText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "expected a volume such as \"data:/var/lib/data\", \"./conf:/etc/app:ro\" or \"/cache\", found \"{}\"",
                shorten(text)
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(bad());
        }
        let (source, target, mode) = match parts[..] {
            [target] => (None, target, ""),
            [source, target] => (Some(source), target, ""),
            [source, target, mode] => (Some(source), target, mode),
            _ => return Err(bad()),
        };
        if !target.starts_with('/') {
            return Err(bad());
        }
        let mut read_only = false;
        for word in mode.split(',') {
            match word {
                "ro" => read_only = true,
                // The last three are hints to engines on other systems, and mean nothing on Linux.
                "" | "rw" | "cached" | "delegated" | "consistent" => {}
                _ => return Err(format!("unknown mode `{}` of a volume: use `ro` or `rw`", shorten(word))),
            }
        }
        Ok(Self { source: source.map(str::to_owned), target: target.to_owned(), read_only })
    }
}

from_text!(EngineSize, Cpus, GpuCount, EngineRestart, Pull, EngineSignal, VolumeText);

schema!(EngineSize, |_generator| json_schema!({"type": ["integer", "string"], "minimum": 0}));
schema!(Cpus, |_generator| json_schema!({"type": ["number", "string"], "minimum": 0.01, "maximum": 4096}));
schema!(
    GpuCount,
    |_generator| json_schema!({"type": ["integer", "string"], "minimum": 1, "pattern": r"^(all|[0-9]+)$|\$\{"})
);
schema!(EngineRestart, |_generator| json_schema!({
    "type": "string",
    "pattern": r"^(no|never|always|unless-stopped|on-failure(:[0-9]+)?)$|\$\{",
}));
schema!(Pull, |_generator| json_schema!({
    "type": "string",
    "pattern": r"^(missing|if_not_present|always|never|daily|weekly|every[ _].+)$|\$\{",
}));
schema!(EngineSignal, |_generator| json_schema!({
    "type": ["integer", "string"],
    "minimum": 1,
    "maximum": 64,
    "pattern": r"^[A-Za-z0-9+-]+$|\$\{",
}));
schema!(VolumeText, |_generator| json_schema!({"type": "string", "pattern": r"^[^:]*(:/[^:]*(:[a-z,]*)?)?$|\$\{"}));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_of_docker_is_a_power_of_two() {
        let size = |text: &str| text.parse::<EngineSize>().map(|size| size.0);
        for (text, bytes) in [
            ("512m", 512 << 20),
            ("1g", 1 << 30),
            ("1G", 1 << 30),
            ("64MiB", 64 << 20),
            ("64MB", 64 << 20),
            ("1.5k", 1536),
            ("2 t", 2 << 40),
            ("4096", 4096),
            ("10b", 10),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", ".", "1x", "-1", "1.2.3m", "1e9", "9999999999999g", "0.1234567890m"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn processors_are_counted_in_billionths() {
        let cpus = |text: &str| text.parse::<Cpus>().map(|cpus| cpus.0);
        assert_eq!(cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(cpus("0.01"), Ok(10_000_000));
        assert_eq!(cpus(".5"), Ok(500_000_000));
        assert_eq!(cpus("2"), Ok(2_000_000_000));
        for text in ["0", "0.001", "-1", "all", "", "4097", "99999999999999999999"] {
            assert!(cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn policies_are_read_in_every_spelling() {
        let restart = |text: &str| text.parse::<EngineRestart>().map(|rule| rule.0.to_string());
        for (text, rule) in [("no", "no"), ("never", "no"), ("always", "always"), ("on-failure:3", "on-failure:3")] {
            assert_eq!(restart(text).as_deref(), Ok(rule));
        }
        assert!(restart("on-failure:").is_err() && restart("on-failure:-1").is_err() && restart("false").is_err());
        let pull = |text: &str| text.parse::<Pull>().map(|pull| pull.0.to_string());
        for (text, policy) in [
            ("missing", "missing"),
            ("if_not_present", "missing"),
            ("always", "always"),
            ("never", "never"),
            ("every 24h", "every 86400s"),
            ("every_12h", "every 43200s"),
            ("every_1d", "every 86400s"),
            ("daily", "every 86400s"),
            ("weekly", "every 604800s"),
        ] {
            assert_eq!(pull(text).as_deref(), Ok(policy));
        }
        for text in ["", "every", "every_", "every 0", "sometimes", "every moon", "build"] {
            assert!(pull(text).is_err(), "{text}");
        }
        let gpus = |text: &str| text.parse::<GpuCount>().map(|gpus| gpus.0);
        assert_eq!((gpus("all"), gpus("2")), (Ok(Gpus::All), Ok(Gpus::Count(2))));
        assert!(gpus("0").is_err() && gpus("-1").is_err() && gpus("some").is_err());
    }

    #[test]
    fn signals_have_names_and_numbers() {
        let signal = |text: &str| text.parse::<EngineSignal>().map(|signal| signal.0);
        for (text, name) in
            [("SIGTERM", "SIGTERM"), ("term", "SIGTERM"), ("15", "15"), ("09", "9"), ("SIGRTMIN+3", "SIGRTMIN+3")]
        {
            assert_eq!(signal(text).as_deref(), Ok(name));
        }
        for text in ["", "0", "65", "SIGFOO", "RTMIN+16", "RTMIN+", "RTMAX--1", "-9", "SIG"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn volumes_have_a_source_a_target_and_a_mode() {
        let volume = |text: &str| text.parse::<VolumeText>().map(|v| (v.source, v.target, v.read_only));
        let some = |source: &str, target: &str, ro| Ok((Some(source.to_owned()), target.to_owned(), ro));
        assert_eq!(volume("data:/x"), some("data", "/x", false));
        assert_eq!(volume("./a b:/x:ro"), some("./a b", "/x", true));
        assert_eq!(volume("a:/x:rw,cached"), some("a", "/x", false));
        assert_eq!(volume("/x"), Ok((None, "/x".to_owned(), false)));
        for text in ["", ":", "a:", ":/x", "data", "a:b", "/x:ro", "a:/x:zz", "a:/x:ro:y"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}|[0-9.]{0,12}[a-z]{0,3}|every[_ ][0-9]{0,20}[dwhms]|[a-zA-Z+0-9-]{0,12}") {
            let _ = text.parse::<EngineSize>();
            let _ = text.parse::<Cpus>();
            let _ = text.parse::<GpuCount>();
            let _ = text.parse::<EngineRestart>();
            let _ = text.parse::<Pull>();
            let _ = text.parse::<EngineSignal>();
            let _ = text.parse::<VolumeText>();
        }
    }
}
