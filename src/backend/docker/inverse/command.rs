//! What runs in a container: its command, its environment, how it is asked to stop, its health check.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::HealthConfig;

use super::{Inverse, text, texts};
use crate::backend::docker::container;
use crate::model::{EngineCheck, Text};

/// What an engine gives a health check that does not say.
const INTERVAL: i64 = 30_000_000_000;
const RETRIES: i64 = 3;
/// How long an engine waits for a container to stop that does not say, in seconds.
const STOP_TIMEOUT: i64 = 10;

/// Labels that tools give to what they make: of where it came from, not of what it is.
const OF_TOOLS: [&str; 3] = ["com.docker.compose.", "desktop.docker.io/", "orch."];

impl Inverse<'_> {
    /// The entry point and the command in the place of the image's.
    pub(super) fn argv(&self) -> (Option<Vec<Text>>, Option<Vec<Text>>) {
        let entry = self.config.entrypoint.as_deref().unwrap_or_default();
        let command = self.config.cmd.as_deref().unwrap_or_default();
        let revealed = |list: Option<&Vec<Text>>| list.map(|list| list.iter().map(|t| t.reveal().to_owned()).collect());
        let wanted_entry: Option<Vec<String>> = revealed(self.wanted.entrypoint.as_ref());
        let wanted_command: Option<Vec<String>> = revealed(self.wanted.command.as_ref());
        let (entrypoint, effective) = if self.makes(wanted_entry.as_deref(), None).0 == entry {
            (self.wanted.entrypoint.clone(), wanted_entry)
        } else if self.makes(None, None).0 == entry {
            (None, None)
        } else {
            (Some(texts(self.wanted.entrypoint.as_deref(), entry)), Some(entry.to_vec()))
        };
        let command = if self.makes(effective.as_deref(), wanted_command.as_deref()).1 == command {
            self.wanted.command.clone()
        } else if self.makes(effective.as_deref(), None).1 == command {
            None
        } else {
            Some(texts(self.wanted.command.as_deref(), command))
        };
        (entrypoint, command)
    }

    /// What an engine makes of an entry point and a command: one's own entry point takes the image's
    /// command away, an empty one does not.
    fn makes(&self, entry: Option<&[String]>, command: Option<&[String]>) -> (Vec<String>, Vec<String>) {
        let image_entry = || self.image.entrypoint.clone().unwrap_or_default();
        let command = command.unwrap_or_default();
        match entry {
            Some(entry) if !entry.is_empty() => (entry.to_vec(), command.to_vec()),
            _ => {
                let command = match command.is_empty() {
                    true => self.image.cmd.clone().unwrap_or_default(),
                    false => command.to_vec(),
                };
                (entry.map_or_else(image_entry, <[String]>::to_vec), command)
            }
        }
    }

    pub(super) fn env(&self) -> BTreeMap<String, Text> {
        let of_image: BTreeMap<&str, &str> =
            self.image.env.iter().flatten().filter_map(|entry| entry.split_once('=')).collect();
        let own = self.config.env.iter().flatten().filter_map(|entry| entry.split_once('='));
        own.filter(|(name, value)| self.wanted.env.contains_key(*name) || of_image.get(name) != Some(value))
            .map(|(name, value)| (name.to_owned(), text(self.wanted.env.get(name), value)))
            .collect()
    }

    pub(super) fn labels(&self) -> BTreeMap<String, Text> {
        let of_image = self.image.labels.as_ref();
        let is_own = |name: &str, value: &String| {
            let of_tool = OF_TOOLS.iter().any(|start| name.starts_with(start));
            !of_tool && of_image.and_then(|labels| labels.get(name)) != Some(value)
        };
        let all = self.config.labels.iter().flatten();
        all.filter(|(name, value)| self.wanted.labels.contains_key(*name) || is_own(name, value))
            .map(|(name, value)| (name.clone(), text(self.wanted.labels.get(name), value)))
            .collect()
    }

    pub(super) fn user(&self) -> Option<String> {
        self.beside_image(self.wanted.user.as_ref(), self.config.user.as_deref(), self.image.user.as_deref())
    }

    pub(super) fn working_dir(&self) -> Option<String> {
        let (config, image) = (&self.config.working_dir, &self.image.working_dir);
        self.beside_image(self.wanted.working_dir.as_ref(), config.as_deref(), image.as_deref())
    }

    /// A text in the place of the image's, `/` at its end or not.
    fn beside_image(&self, wanted: Option<&String>, found: Option<&str>, image: Option<&str>) -> Option<String> {
        let plain = |text: &str| match text.trim_end_matches('/') {
            "" => text.to_owned(),
            trimmed => trimmed.to_owned(),
        };
        let (found, image) = (found.unwrap_or_default(), image.unwrap_or_default());
        match wanted {
            Some(wanted) if plain(wanted) == plain(found) => Some(wanted.clone()),
            _ if plain(found) == plain(image) => None,
            _ => Some(found.to_owned()),
        }
    }

    /// An engine gives a container without a host name the start of its id.
    pub(super) fn hostname(&self) -> Option<String> {
        let found = self.config.hostname.clone().filter(|name| !name.is_empty())?;
        let is_given = self.short_id() != Some(found.as_str());
        (self.wanted.hostname.as_ref() == Some(&found) || is_given).then_some(found)
    }

    pub(super) fn stop_signal(&self) -> Option<String> {
        let usual = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(signal);
        let image = usual(self.image.stop_signal.as_deref()).unwrap_or_else(|| "TERM".to_owned());
        let found = self.config.stop_signal.as_deref();
        let is = usual(found).unwrap_or_else(|| image.clone());
        match &self.wanted.stop_signal {
            Some(wanted) if signal(wanted) == is => Some(wanted.clone()),
            _ if is == image => None,
            _ => found.map(str::to_owned),
        }
    }

    /// An engine stops what does not say after ten seconds.
    pub(super) fn stop_timeout(&self) -> Duration {
        let found = self.config.stop_timeout.unwrap_or(STOP_TIMEOUT);
        let wanted = self.wanted.stop_timeout;
        if container::seconds(wanted) == found {
            wanted
        } else {
            Duration::from_secs(u64::try_from(found).unwrap_or(0))
        }
    }

    pub(super) fn check(&self) -> Option<EngineCheck> {
        let found = plain(&self.config.healthcheck.clone().unwrap_or_default());
        let wanted = self.wanted.check.as_ref();
        if self.checked(wanted) == found {
            return wanted.cloned();
        }
        if self.checked(None) == found {
            return None;
        }
        let [interval, timeout, start_period] = [found.interval, found.timeout, found.start_period]
            .map(|nanos| Duration::from_nanos(u64::try_from(nanos.unwrap_or(0)).unwrap_or(0)));
        Some(EngineCheck {
            test: texts(wanted.map(|check| check.test.as_slice()), found.test.as_deref().unwrap_or_default()),
            interval,
            timeout,
            retries: u32::try_from(found.retries.unwrap_or(0)).unwrap_or(u32::MAX),
            start_period,
        })
    }

    /// What an engine makes of a check: what it leaves open is the image's.
    fn checked(&self, wanted: Option<&EngineCheck>) -> HealthConfig {
        let image = self.image.healthcheck.clone().unwrap_or_default();
        let Some(wanted) = wanted.map(container::health) else { return plain(&image) };
        let some = |own: Option<i64>, image: Option<i64>| own.filter(|value| *value != 0).or(image);
        plain(&HealthConfig {
            test: wanted.test.filter(|test| !test.is_empty()).or(image.test),
            interval: some(wanted.interval, image.interval),
            timeout: some(wanted.timeout, image.timeout),
            retries: some(wanted.retries, image.retries),
            start_period: some(wanted.start_period, image.start_period),
            start_interval: None,
        })
    }
}

/// A check with the engine's defaults in it; one without a test is none at all.
fn plain(check: &HealthConfig) -> HealthConfig {
    let or = |value: Option<i64>, default: i64| Some(value.filter(|value| *value != 0).unwrap_or(default));
    let Some(test) = check.test.clone().filter(|test| !test.is_empty()) else { return HealthConfig::default() };
    HealthConfig {
        test: Some(test),
        interval: or(check.interval, INTERVAL),
        timeout: or(check.timeout, INTERVAL),
        retries: or(check.retries, RETRIES),
        start_period: or(check.start_period, 0),
        start_interval: None,
    }
}

/// A signal by its name without `SIG`, of those that an image or a file is likely to name.
fn signal(text: &str) -> String {
    let upper = text.to_uppercase();
    let name = match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "1" => "HUP",
        "2" => "INT",
        "3" => "QUIT",
        "9" => "KILL",
        "10" => "USR1",
        "12" => "USR2",
        "15" => "TERM",
        "28" => "WINCH",
        name => name,
    };
    name.to_owned()
}
