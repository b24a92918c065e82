//! A text with references in it, as orch's file has it.

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The text itself.
    Literal(String),
    /// What stands between `${` and `}`.
    Reference(String),
}

/// A text with references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) Vec<Part>);

impl Words {
    pub(super) fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Literal(text.into())])
    }

    /// A value of the environment, which must be set.
    pub(super) fn environment(name: &str) -> Self {
        Self(vec![Part::Reference(format!("env:{name}"))])
    }

    pub(super) fn push(&mut self, part: Part) {
        match (self.0.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(more)) => before.push_str(&more),
            (_, Part::Literal(text)) if text.is_empty() => {}
            (_, part) => self.0.push(part),
        }
    }

    /// The text, where nothing is referred to.
    pub(super) fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// As the file has it: `${` of the text itself is `$${`.
    pub(super) fn written(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.replace("${", "$${"),
            Part::Reference(inner) => format!("${{{inner}}}"),
        };
        self.0.iter().map(part).collect()
    }

    /// Whether it would be read back as something else: a `$` of the text before a reference.
    pub(super) fn is_unwritable(&self) -> bool {
        self.0.windows(2).any(|pair| matches!(pair, [Part::Literal(text), Part::Reference(_)] if text.ends_with('$')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_of_the_text_stays_one() {
        let mut words = Words::literal("a ${B} $$ ");
        words.push(Part::Literal("c".to_owned()));
        words.push(Part::Reference("env:D".to_owned()));
        assert_eq!(words.written(), "a $${B} $$ c${env:D}");
        assert_eq!(words.plain(), None);
        assert!(!words.is_unwritable());
        assert!(Words(vec![Part::Literal("$".into()), Part::Reference("env:D".into())]).is_unwritable());
    }
}
