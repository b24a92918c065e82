//! The health check that the engine runs inside a container.

use super::Lowering;
use crate::config::field::{Field, OneOrList, RawText};
use crate::config::secret::mark_url;
use crate::config::source::Span;
use crate::model::{CheckPolicy, EngineCheck, Text};

/// What turns the image's own check off.
const NONE: &str = "NONE";

/// Whether a test turns the check off.
pub(in crate::config::lower) fn is_none(raw: &OneOrList<RawText, RawText>) -> bool {
    match raw {
        OneOrList::One(text) => text.0.reveal() == NONE,
        OneOrList::List(list) => list.first().and_then(Field::get).is_some_and(|first| first.0.reveal() == NONE),
    }
}

impl Lowering<'_> {
    /// The engine's check; `None` when its test is wrong.
    pub(in crate::config::lower) fn engine_check(
        &self,
        raw: &Field<OneOrList<RawText, RawText>>,
        policy: CheckPolicy,
    ) -> Option<EngineCheck> {
        let (span, raw) = raw.located()?;
        let test = match raw {
            OneOrList::One(text) if is_none(raw) => vec![text.0.clone()],
            OneOrList::One(text) => {
                self.no_nul(span, text.0.reveal());
                vec![Text::plain("CMD-SHELL"), mark_url(text.0.clone())]
            }
            OneOrList::List(list) => self.test_list(span, self.text_list(list))?,
        };
        if test.iter().skip(1).all(|text| text.reveal().trim().is_empty()) && test[0].reveal() != NONE {
            self.error(span, "the test has no command", "write what the engine is to run, or leave `test` out");
        }
        if policy.retries == 0 {
            self.error(span, "the engine has no check with 0 retries", "give it `retries` of 1 or more");
        }
        for (name, time) in [("interval", policy.interval), ("timeout", policy.timeout)] {
            if time.as_millis() == 0 {
                self.error(span, format!("the {name} of a container's check is at least 1 ms"), "make it longer");
            }
        }
        let CheckPolicy { interval, timeout, retries, start_period, .. } = policy;
        Some(EngineCheck { test, interval, timeout, retries, start_period })
    }

    fn test_list(&self, span: Span, mut list: Vec<Text>) -> Option<Vec<Text>> {
        let wrong = match (list.first().map(Text::reveal), list.len()) {
            (None, _) => Some("the test is empty"),
            (Some(NONE), 2..) => Some("nothing follows `NONE`"),
            (Some("CMD-SHELL"), 1 | 3..) => Some("`CMD-SHELL` is followed by one text"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let help = "write `[CMD, PROGRAM, ARGUMENT]`, `[CMD-SHELL, \"TEXT\"]` or a text for the container's shell";
            self.error(span, wrong, help);
            return None;
        }
        if !matches!(list[0].reveal(), "CMD" | "CMD-SHELL" | NONE) {
            list.insert(0, Text::plain("CMD"));
        }
        Some(list)
    }
}
