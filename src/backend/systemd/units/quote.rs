//! Values in the syntax of systemd's files.
//!
//! What a service is given must arrive byte for byte, and systemd reads more into a value than its bytes:
//! quotes, escapes, specifiers (`%n`) and variables (`$NAME`).

use std::fmt::Write as _;

use crate::backend::BackendError;

/// A command line that systemd takes apart into exactly these words.
pub(super) fn command_line<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<String, BackendError> {
    let mut words = words.into_iter();
    let program = words.next().filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| BackendError::new("a command needs a program"))?;
    if program.starts_with(['@', '-', ':', '+', '!', '|']) {
        // systemd reads those as prefixes, whatever the quotes.
        return Err(BackendError::new(format!("`{program}` cannot be a program of a unit"))
            .with_hint("give it as an absolute path"));
    }
    let mut line = String::new();
    if program.contains('$') {
        // Variables are put into every word but this one, the program's name as it is called by.
        quote(&format!("@{program}"), false, &mut line)?;
        line.push(' ');
    }
    quote(program, program.contains('$'), &mut line)?;
    for word in words {
        line.push(' ');
        quote(word, true, &mut line)?;
    }
    Ok(line)
}

/// Adds a word in double quotes. `variables` says whether systemd looks for variables in it.
fn quote(word: &str, variables: bool, line: &mut String) -> Result<(), BackendError> {
    line.push('"');
    for character in word.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '%' => line.push_str("%%"),
            '$' if variables => line.push_str("$$"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            '\0' => return Err(BackendError::new("an argument cannot hold a NUL byte")),
            control if control.is_ascii_control() => {
                // Writing to a string does not fail.
                let _ = write!(line, "\\x{:02x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
    line.push('"');
    Ok(())
}

/// A value that stands for itself, without specifiers.
pub(in crate::backend) fn literal(value: &str) -> String {
    value.replace('%', "%%")
}

/// The content of an environment file. Its values are in double quotes, in which a backslash before four
/// characters is all that systemd takes away.
pub(super) fn environment<'v>(values: impl IntoIterator<Item = (&'v str, &'v str)>) -> Result<String, BackendError> {
    let mut content = String::new();
    for (name, value) in values {
        let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
        let is_name = name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit());
        if !is_name {
            return Err(BackendError::new(format!("systemd takes no variable of the name `{name}`"))
                .with_hint("names of variables are letters, digits and `_`, and do not begin with a digit"));
        }
        if value.contains('\0') {
            return Err(BackendError::new(format!("the variable {name} cannot hold a NUL byte")));
        }
        content.push_str(name);
        content.push_str("=\"");
        for character in value.chars() {
            if matches!(character, '"' | '\\' | '$' | '`') {
                content.push('\\');
            }
            content.push(character);
        }
        content.push_str("\"\n");
    }
    Ok(content)
}

/// Checks a value of a setting in systemd's own syntax: it must end with its line.
pub(super) fn setting<'v>(name: &str, value: &'v str) -> Result<&'v str, BackendError> {
    let value = value.trim_end_matches('\n');
    let lines: Vec<&str> = value.split('\n').collect();
    let goes_on = |line: &&str| line.ends_with('\\');
    let whole = lines.split_last().is_some_and(|(last, others)| others.iter().all(goes_on) && !goes_on(last));
    if !whole || value.contains('\0') {
        return Err(BackendError::new(format!("{name} of a unit has to be one line")).with_hint(
            "end a line with a backslash to go on in the next one, or give the command as a list of words",
        ));
    }
    Ok(value)
}

/// A time span as systemd reads it, exact to the microsecond.
pub(in crate::backend) fn span(duration: std::time::Duration) -> String {
    let micros = duration.as_micros();
    if micros.is_multiple_of(1_000_000) { format!("{}s", micros / 1_000_000) } else { format!("{micros}us") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_systemd() {
        let line =
            command_line(["/bin/echo", "", "a b", "50%", "$HOME ${X}", "q\"\\'", "l1\nl2\t\u{1}é;", ";"]).unwrap();
        assert_eq!(line, r#""/bin/echo" "" "a b" "50%%" "$$HOME $${X}" "q\"\\'" "l1\nl2\t\x01é;" ";""#);
        assert_eq!(command_line(["/opt/a$b", "c"]).unwrap(), r#""@/opt/a$b" "/opt/a$$b" "c""#);
        assert!(command_line(["-x"]).is_err() && command_line([]).is_err() && command_line(["/a", "\0"]).is_err());
    }

    #[test]
    fn an_environment_file_keeps_values_as_they_are() {
        let content = environment([("A", "1\n2"), ("B_2", "\"$x`\\y' %")]).unwrap();
        assert_eq!(content, "A=\"1\n2\"\nB_2=\"\\\"\\$x\\`\\\\y' %\"\n");
        for wrong in ["", "2A", "a.b", "a b", "é"] {
            assert!(environment([(wrong, "")]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_is_one_line_that_may_go_on() {
        assert_eq!(setting("ExecStart", "/bin/a \\\n  b\n").unwrap(), "/bin/a \\\n  b");
        for wrong in ["a\nExecStart=/bin/b", "a\\", "a\\\n"] {
            assert!(setting("ExecStart", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_exact() {
        use std::time::Duration;
        assert_eq!(span(Duration::from_secs(90)), "90s");
        assert_eq!(span(Duration::from_millis(100)), "100000us");
    }
}
