//! Commands that run as the program of a slot does.

use std::time::Duration;

use super::{Detached, rights};
use crate::backend::host::Slot;
use crate::backend::{Answer, BackendError, Command, ExecRequest};
use crate::model::Text;

const INSIDE: &str = include_str!("scripts/inside.sh");
const EXEC: &str = include_str!("scripts/exec.sh");

/// What `timeout` exits with when it ended a command.
const TOOK_TOO_LONG: i32 = 124;

impl Detached {
    /// Runs a command on the machine as the user of a program, and waits for it.
    ///
    /// # Errors
    /// When the machine cannot be asked, or the command takes too long.
    pub async fn probe(&self, slot: &Slot, command: &Command<'_>) -> Result<Answer, BackendError> {
        let limit = format!("{:.3}", command.timeout.as_secs_f64());
        let words = [limit.as_str(), command.program.reveal()];
        let values = words.into_iter().chain(command.args.iter().map(Text::reveal));
        let script = self.script(INSIDE, &slot.folder(), values).within(command.timeout + Duration::from_secs(10));
        let output = self.run(slot, &script).await?;
        let text = output.text();
        let (code, said) = text.split_once('\n').unwrap_or((&text, ""));
        match code.strip_prefix("code ").and_then(|code| code.parse().ok()) {
            Some(TOOK_TOO_LONG) => Err(BackendError::new(format!("no end within {:?}", command.timeout))),
            Some(exit_code) => Ok(Answer { exit_code, output: said.to_owned() }),
            None => Err(self.refusal(slot, output.code, "its shell did not say how the command ended")),
        }
    }

    /// Runs a command on the machine as the user of a program, with the input and output of a request.
    ///
    /// # Errors
    /// When the machine cannot be reached.
    pub async fn exec(&self, slot: &Slot, request: ExecRequest) -> Result<i32, BackendError> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut words = vec![text(&request.user), text(&request.working_dir), request.env.len().to_string()];
        words.extend(request.env.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        words.extend(request.argv.iter().cloned());
        let script = self.script(EXEC, &slot.folder(), words.iter().map(String::as_str));
        self.shell.exec(rights(slot), &script, request).await
    }
}
