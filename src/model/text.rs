//! Text from the file, which may be secret.

use std::fmt;
use std::sync::Arc;

/// A piece of text from the file that knows whether it may be shown.
///
/// It implements neither `Serialize` nor a revealing `Display`, so a secret cannot reach state, a
/// plan, a log or an event by accident: whoever needs the value calls [`Text::reveal`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text {
    value: Arc<str>,
    sensitive: bool,
}

impl Text {
    /// Takes text that may be shown.
    #[must_use]
    pub fn plain(value: impl Into<Arc<str>>) -> Self {
        Self { value: value.into(), sensitive: false }
    }

    /// Takes text that may be secret.
    #[must_use]
    pub fn sensitive(value: impl Into<Arc<str>>) -> Self {
        Self { value: value.into(), sensitive: true }
    }

    /// The same text, marked as possibly secret.
    #[must_use]
    pub fn into_sensitive(self) -> Self {
        Self { sensitive: true, ..self }
    }

    /// The value itself, for the workload and for nothing else when it is sensitive.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// Whether the value may be secret.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// The value, or `(sensitive)` in its place.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.sensitive { "(sensitive)" } else { &self.value }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.shown(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensitive_text_does_not_show() {
        let text = Text::sensitive("hunter2");
        assert!(!format!("{text:?} {}", text.shown()).contains("hunter2"));
        assert_eq!(text.reveal(), "hunter2");
    }
}
