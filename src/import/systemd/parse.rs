//! Reads unit files: sections, settings, lines that go on.

use crate::import::Place;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// The settings of a unit, those of its drop-ins after its own; an empty value takes earlier ones away.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Vec<Setting>);

impl Settings {
    /// Reads files in their order: the unit's own, then its drop-ins.
    pub(super) fn of(fragments: &[(String, String)]) -> Self {
        let mut settings = Self::default();
        for (file, text) in fragments {
            settings.read(file, text);
        }
        settings
    }

    fn read(&mut self, file: &str, text: &str) {
        let mut section = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
                section = name.to_owned();
                continue;
            }
            let mut whole = line.trim_end().to_owned();
            // A comment inside of a line that goes on is passed over.
            while whole.ends_with('\\') {
                whole.pop();
                match lines.find(|(_, next)| !next.trim_start().starts_with(['#', ';'])) {
                    Some((_, next)) => whole = format!("{} {}", whole.trim_end(), next.trim()),
                    None => break,
                }
            }
            let Some((name, value)) = whole.split_once('=') else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            if value.is_empty() {
                self.0.retain(|setting| setting.section != section || setting.name != name);
            } else {
                let place = Place { file: file.to_owned(), line: at + 1 };
                self.0.push(Setting { section: section.clone(), name, value, place });
            }
        }
    }

    /// Takes the settings of one name out.
    pub(super) fn take(&mut self, section: &str, name: &str) -> Vec<Setting> {
        let (taken, left) = self.0.drain(..).partition(|setting| setting.section == section && setting.name == name);
        self.0 = left;
        taken
    }

    /// The last of one name, which is the one that counts.
    pub(super) fn take_last(&mut self, section: &str, name: &str) -> Option<Setting> {
        self.take(section, name).pop()
    }

    /// The words of lists of names.
    pub(super) fn take_words(&mut self, section: &str, name: &str) -> Vec<String> {
        let taken = self.take(section, name);
        taken.iter().flat_map(|setting| setting.value.split_whitespace()).map(str::to_owned).collect()
    }

    /// Takes what is left of a section.
    pub(super) fn take_section(&mut self, section: &str) -> Vec<Setting> {
        let (taken, left) = self.0.drain(..).partition(|setting| setting.section == section);
        self.0 = left;
        taken
    }

    /// What is left.
    pub(super) fn rest(self) -> Vec<Setting> {
        self.0
    }
}

/// The assignments of `Environment=`, with systemd's quotes; `None` when a quote is not closed.
pub(super) fn assignments(text: &str) -> Option<Vec<(String, String)>> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            break;
        }
        let mut word = String::new();
        let mut quote = None;
        loop {
            match (chars.next(), quote) {
                (None, None) => break,
                (None, Some(_)) => return None,
                (Some('\\'), _) => match chars.next()? {
                    'n' => word.push('\n'),
                    't' => word.push('\t'),
                    's' => word.push(' '),
                    c => word.push(c),
                },
                (Some(c), Some(open)) if c == open => quote = None,
                (Some(c @ ('"' | '\'')), None) => quote = Some(c),
                (Some(c), None) if c.is_whitespace() => break,
                (Some(c), _) => word.push(c),
            }
        }
        words.push(word);
    }
    words
        .into_iter()
        .map(|word| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_systemd_reads_them() {
        let unit = "# note\n[Service]\nExecStart=/bin/a \\\n  # not this\n  b\\\n c\nAfter = x\n; no\nbroken\n";
        let drop_in = "[Service]\nExecStart=\nExecStart=/bin/b\n[Unit]\nAfter=a b\nAfter=c\n";
        let mut settings = Settings::of(&[("a".into(), unit.into())]);
        let exec = settings.take_last("Service", "ExecStart").expect("a setting");
        assert_eq!((exec.value.as_str(), exec.place.to_string().as_str()), ("/bin/a b c", "a:3"));
        let mut settings = Settings::of(&[("a".into(), unit.into()), ("b".into(), drop_in.into())]);
        let exec = settings.take("Service", "ExecStart");
        assert_eq!(exec.iter().map(|one| one.value.as_str()).collect::<Vec<_>>(), ["/bin/b"]);
        assert_eq!(settings.take_words("Unit", "After"), ["a", "b", "c"]);
        assert_eq!(settings.rest().len(), 1);
    }

    #[test]
    fn environments_have_quotes() {
        let read = |text: &str| assignments(text);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("A=1 \"B=two words\" 'C=x\"y' D=\\\"z"),
            Some(vec![pair("A", "1"), pair("B", "two words"), pair("C", "x\"y"), pair("D", "\"z"),])
        );
        assert_eq!(read("\"A=1"), None);
        assert_eq!(read("A"), None);
    }
}
