//! Durations and moments as people say them.

use jiff::Timestamp;

/// A duration in milliseconds, in the two units that matter: `340 ms`, `1.2 s`, `3 min 4 s`, `2 h 5 min`.
#[must_use]
pub fn duration(ms: u64) -> String {
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let tenths = ms.saturating_add(50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    seconds(tenths / 10)
}

/// A duration for an estimate, where a tenth of a second would claim too much.
pub(super) fn estimate(ms: u64) -> String {
    if ms < 1000 { "1 s".to_owned() } else { seconds(ms.saturating_add(500) / 1000) }
}

/// A duration in whole seconds: `12 s`, `3 min 4 s`.
pub(super) fn seconds(seconds: u64) -> String {
    let pair = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {big_unit}"),
        _ => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// How long ago something was, in one unit: `2 min ago`. A moment in the future (clocks differ) is `just now`.
#[must_use]
pub fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    match seconds {
        ..2 => "just now".to_owned(),
        2..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// A moment to the second, in UTC: `2026-11-21T05:32:10Z`.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let said: Vec<String> =
            [0, 999, 1000, 1249, 59_949, 59_950, 184_000, 7_500_000, 90_000_000].map(duration).to_vec();
        assert_eq!(said, ["0 ms", "999 ms", "1.0 s", "1.2 s", "59.9 s", "1 min", "3 min 4 s", "2 h 5 min", "1 d 1 h"]);
        assert_eq!([1, 12_400, 61_000].map(estimate), ["1 s", "12 s", "1 min 1 s"]);
        assert!(!duration(u64::MAX).is_empty());
    }

    #[test]
    fn ages_have_one_unit() {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).expect("a time");
        let said = [-5, 1, 30, 150, 7300, 200_000].map(|s| age(at(s), at(0)));
        assert_eq!(said, ["just now", "just now", "30 s ago", "2 min ago", "2 h ago", "2 d ago"]);
        assert_eq!(stamp(at(0)), "1970-01-12T13:46:40Z");
    }
}
