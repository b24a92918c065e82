//! How text may look: colours, signs and the width there is.

use std::fmt;

use super::Environment;
use crate::plan::Action;

/// When output is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` says otherwise.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl ColorChoice {
    /// Whether to colour a stream.
    ///
    /// What the command line says wins; then `NO_COLOR` (<https://no-color.org>), then
    /// `CLICOLOR_FORCE` (<https://bixense.com/clicolors>), then whether it is a capable terminal.
    #[must_use]
    pub fn colored(self, is_terminal: bool, env: &Environment) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if env.no_color => false,
            Self::Auto => env.color_forced || (is_terminal && !env.dumb_terminal),
        }
    }
}

/// A colour or weight that every terminal knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Heavier.
    Bold,
    /// Less visible.
    Dim,
    /// What failed or goes.
    Red,
    /// What is well or comes.
    Green,
    /// What changes, or deserves a look.
    Yellow,
    /// What is replaced.
    Magenta,
    /// What is only recorded.
    Cyan,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Magenta => "35",
            Self::Cyan => "36",
        }
    }

    /// The colour of an action, the same in every view.
    #[must_use]
    pub fn of_action(action: Action) -> Self {
        match action {
            Action::Create | Action::Start => Self::Green,
            Action::Update | Action::Restart | Action::Stop => Self::Yellow,
            Action::Replace { .. } => Self::Magenta,
            Action::Delete => Self::Red,
            Action::Adopt | Action::Forget => Self::Cyan,
        }
    }
}

/// How text may look where it is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether ANSI colours are understood and wanted.
    pub color: bool,
    /// How many columns there are; `None` where nothing needs to fit (a pipe, a file).
    pub width: Option<usize>,
    /// Whether characters outside ASCII can be shown.
    pub unicode: bool,
}

impl Look {
    /// No colours and no width limit.
    #[must_use]
    pub fn plain() -> Self {
        Self { color: false, width: None, unicode: true }
    }

    /// Text in a colour, if colours are wanted.
    #[must_use]
    pub fn paint<T: fmt::Display>(self, paint: Paint, text: T) -> Painted<T> {
        Painted { paint: self.color.then_some(paint), text }
    }

    /// What stands between a statement and its reason.
    #[must_use]
    pub fn dash(self) -> &'static str {
        if self.unicode { "—" } else { "--" }
    }

    /// What stands where text was cut.
    #[must_use]
    pub fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}

/// Text with a colour around it.
#[derive(Debug, Clone, Copy)]
pub struct Painted<T> {
    paint: Option<Paint>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.paint {
            Some(paint) => write!(f, "\x1b[{}m{}\x1b[0m", paint.code(), self.text),
            None => self.text.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let quiet = Environment { no_color: true, ..Environment::default() };
        let forced = Environment { color_forced: true, ..Environment::default() };
        let dumb = Environment { dumb_terminal: true, ..Environment::default() };
        let plain = Environment::default();
        assert!(ColorChoice::Always.colored(false, &quiet));
        assert!(!ColorChoice::Never.colored(true, &forced));
        assert!(!ColorChoice::Auto.colored(true, &quiet));
        assert!(ColorChoice::Auto.colored(false, &forced));
        assert!(!ColorChoice::Auto.colored(true, &dumb));
        assert!(ColorChoice::Auto.colored(true, &plain));
        assert!(!ColorChoice::Auto.colored(false, &plain));
    }

    #[test]
    fn colour_is_only_there_when_wanted() {
        let look = Look { color: true, ..Look::plain() };
        assert_eq!(look.paint(Paint::Red, "x").to_string(), "\x1b[31mx\x1b[0m");
        assert_eq!(Look::plain().paint(Paint::Red, "x").to_string(), "x");
    }
}
