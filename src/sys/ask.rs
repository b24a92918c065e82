//! What a program of this machine answers to a question that changes nothing.

use std::process::Stdio;

/// Runs a program to its end, without input, and gives what it prints.
///
/// # Errors
/// Why it could not be run, or what it says where it fails.
pub fn ask_program(program: &str, args: &[&str]) -> Result<String, String> {
    #[expect(clippy::disallowed_methods, reason = "sys is where children are started")]
    let mut command = std::process::Command::new(program);
    let output = command.args(args).stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no `{program}` here"),
        _ => format!("`{program}` cannot be run: {error}"),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
