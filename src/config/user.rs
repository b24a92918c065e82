//! The user's own defaults, in `config.toml`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Diagnostics, Report, shorten, suggest};
use super::raw::Delay;
use super::source::{Sources, Span};
use super::toml_file::{self, Entry};

/// The keys of the file.
const KEYS: [&str; 4] = ["color", "lock_timeout", "log_lines", "max_parallel"];

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The user's own defaults; what is not given there is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserConfig {
    /// How many steps run at once, where the project does not say; 1 to 1000.
    pub max_parallel: Option<usize>,
    /// When output is coloured.
    pub color: Option<ColorChoice>,
    /// How long to wait for a lock that someone else holds.
    pub lock_timeout: Option<Duration>,
    /// How many lines `orch logs` shows.
    pub log_lines: Option<usize>,
}

/// Reads `$XDG_CONFIG_HOME/orch/config.toml`; a file that does not exist gives no defaults.
///
/// # Errors
/// When it cannot be read, is not TOML, or has keys or values that mean nothing.
pub fn load_user_config(path: &Path) -> Result<UserConfig, Diagnostics> {
    let report = Report::default();
    let mut sources = Sources::default();
    let mut config = UserConfig::default();
    if path.exists() {
        match sources.read(path.display().to_string(), path.to_owned()) {
            Ok(file) => config = read(file, &sources, &report),
            Err(problem) => report.push(problem),
        }
    }
    let problems = report.into_diagnostics(Arc::new(sources));
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn read(file: u32, sources: &Sources, report: &Report) -> UserConfig {
    let mut config = UserConfig::default();
    for entry in toml_file::read(file, sources, report).unwrap_or_default() {
        let Entry { name, key, span, value } = &entry;
        match name.as_str() {
            "max_parallel" => config.max_parallel = number(value, *span, 1..=1000, report),
            "log_lines" => config.log_lines = number(value, *span, 0..=1_000_000, report),
            "color" => {
                config.color = match value.as_str() {
                    Some("auto") => Some(ColorChoice::Auto),
                    Some("always") => Some(ColorChoice::Always),
                    Some("never") => Some(ColorChoice::Never),
                    _ => wrong("expected `auto`, `always` or `never`".into(), *span, report),
                };
            }
            "lock_timeout" => {
                let text = value.as_str().unwrap_or_else(|| sources.slice(*span));
                config.lock_timeout = match text.parse::<Delay>() {
                    Ok(delay) => Some(delay.0),
                    Err(message) => wrong(message, *span, report),
                };
            }
            _ => {
                let message = format!("unknown key `{}`", shorten(name));
                let help = suggest(name, KEYS);
                report.push(Diagnostic { help, ..Diagnostic::error("config::unknown_key", message).at(*key) });
            }
        }
    }
    config
}

fn wrong<T>(message: String, span: Span, report: &Report) -> Option<T> {
    report.push(Diagnostic::error("config::invalid_value", message).at(span));
    None
}

fn number(value: &toml::Value, span: Span, range: std::ops::RangeInclusive<usize>, report: &Report) -> Option<usize> {
    let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
    number
        .filter(|number| range.contains(number))
        .or_else(|| wrong(format!("expected a whole number from {} to {}", range.start(), range.end()), span, report))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<UserConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        crate::sys::write_atomic(&path, text.as_bytes(), crate::sys::Durability::Atomic).unwrap();
        load_user_config(&path).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_keys_are_read() {
        let config = load("max_parallel = 8\ncolor = \"never\"\nlock_timeout = \"5m\"\nlog_lines = 50\n").unwrap();
        assert_eq!(config.max_parallel, Some(8));
        assert_eq!(config.color, Some(ColorChoice::Never));
        assert_eq!(config.lock_timeout, Some(Duration::from_secs(300)));
        assert_eq!(config.log_lines, Some(50));
        assert_eq!(load_user_config(Path::new("/nowhere/config.toml")).unwrap(), UserConfig::default());
    }

    #[test]
    fn what_is_wrong_is_said_all_at_once() {
        let problems = load("max_paralel = 8\ncolor = 3\nlog_lines = -1\n").unwrap_err();
        assert_eq!(problems.lines().count(), 3, "{problems}");
        assert!(problems.contains("config.toml:1:1: error: unknown key `max_paralel`"), "{problems}");
        assert!(load("max_parallel = ").unwrap_err().contains("config.toml:1:"));
    }
}
