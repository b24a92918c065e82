//! What `systemctl show` says of units.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// The properties of one unit, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown(BTreeMap<String, String>);

impl Shown {
    /// Takes what `systemctl show` wrote of several units, in the order in which they were named.
    pub(super) fn parse_all(text: &str) -> Vec<Self> {
        let block = |block: &str| {
            let properties = block.lines().filter_map(|line| line.split_once('='));
            Self(properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        };
        text.split("\n\n").filter(|text| !text.trim().is_empty()).map(block).collect()
    }

    /// A property; empty where the unit has none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A property that is a number; `None` for anything else, and for systemd's word for no number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok().filter(|number| *number != u64::MAX)
    }

    /// A property that is a moment on the machine's clock, `Sun 2026-11-22 03:00:00 UTC`.
    #[must_use]
    pub fn moment(&self, name: &str) -> Option<Timestamp> {
        let mut words = self.get(name).split(' ').skip(1);
        let (date, time) = (words.next()?, words.next()?);
        format!("{date}T{time}Z").parse().ok()
    }

    /// A property that is a list of words.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).split_ascii_whitespace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_taken_by_unit() {
        let text = "Id=web.service\nNRestarts=3\nMainPID=18446744073709551615\nStatusText=a=b\n\n\
                    Id=web.timer\nNextElapseUSecRealtime=Sun 2026-11-22 03:00:00 UTC\nLastTriggerUSec=n/a\n";
        let shown = Shown::parse_all(text);
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[0].get("Id"), "web.service");
        assert_eq!((shown[0].number("NRestarts"), shown[0].number("MainPID")), (Some(3), None));
        assert_eq!(shown[0].get("StatusText"), "a=b");
        assert_eq!(shown[1].moment("NextElapseUSecRealtime"), Some("2026-11-22T03:00:00Z".parse().unwrap()));
        assert_eq!(shown[1].moment("LastTriggerUSec"), None);
        assert_eq!(shown[1].get("Nothing"), "");
    }
}
