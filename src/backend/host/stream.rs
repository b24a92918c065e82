//! Lines of a script as it prints them.

use std::pin::Pin;

use futures_util::Stream;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::process::{Input, Intake, Process, Rest, Written};
use super::remote::Use;
use super::{Rights, Script, Shell};
use crate::backend::BackendError;

/// Lines as they are printed, without their ends.
pub type Lines = Pin<Box<dyn Stream<Item = Result<String, BackendError>> + Send>>;

/// A script that prints.
struct Printing {
    place: String,
    /// Its end is what tells the machine that nobody listens any more.
    stdin: Option<Input>,
    stdout: BufReader<Written>,
    /// `None` once its end was told.
    rest: Option<Rest>,
}

pub(super) async fn stream(shell: &Shell, rights: Rights, script: &Script) -> Result<Lines, BackendError> {
    let mut process = shell.start(rights, Intake::Framed, Use::Stream).await?;
    let mut stdin = process.stdin.take();
    let begins = async {
        if let Some(stdin) = &mut stdin {
            let _ = stdin.write_all(&script.framed_until_hangup()).await;
            let _ = stdin.flush().await;
        }
        process.begins().await
    };
    let has_begun = tokio::time::timeout(script.timeout(), begins).await.map_err(|_| shell.too_slow(script))?;
    let Process { stdout, stderr, ending, .. } = process;
    let rest = Rest::of(stderr, ending);
    if !has_begun {
        drop((stdin, stdout));
        return Err(shell.refused(rights, rest.end().await));
    }
    let printing = Printing { place: shell.place.to_string(), stdin, stdout, rest: Some(rest) };
    Ok(Box::pin(futures_util::stream::unfold(printing, |mut printing| async {
        printing.next().await.map(|line| (line, printing))
    })))
}

impl Printing {
    async fn next(&mut self) -> Option<Result<String, BackendError>> {
        let mut line = Vec::new();
        match self.stdout.read_until(b'\n', &mut line).await {
            Ok(1..) => {
                line.pop_if(|last| *last == b'\n');
                return Some(Ok(String::from_utf8_lossy(&line).into_owned()));
            }
            Ok(0) => {}
            Err(error) => return Some(Err(self.failed(&error.to_string()))),
        }
        let rest = self.rest.take()?;
        self.stdin = None;
        let (ended, said) = rest.end().await;
        match ended {
            Ok(0) => None,
            Ok(code) if said.is_empty() => Some(Err(self.failed(&format!("it exited {code}")))),
            Ok(_) => Some(Err(self.failed(said.lines().next_back().unwrap_or_default()))),
            Err(_) => Some(Err(self.failed("the connection was lost"))),
        }
    }

    fn failed(&self, what: &str) -> BackendError {
        BackendError::new(format!("what is read on {} broke off: {what}", self.place))
    }
}
