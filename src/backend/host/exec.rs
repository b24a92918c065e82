//! Commands that a person runs on a machine, with the input and output of orch itself.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::process::{Input, Intake, Process, Rest};
use super::remote::Use;
use super::{Rights, Script, Shell};
use crate::backend::{BackendError, ExecRequest};

/// How much is passed on at once, in bytes.
const BLOCK: usize = 16 * 1024;

pub(super) async fn exec(
    shell: &Shell,
    rights: Rights,
    script: &Script,
    request: ExecRequest,
) -> Result<i32, BackendError> {
    if request.terminal.is_some() {
        return Err(BackendError::new(format!("a command on {} gets no terminal from orch", shell.place))
            .with_hint("run it with `orch exec -T`, or log in with `ssh -t`"));
    }
    let ExecRequest { stdin: from, mut stdout, mut stderr, .. } = request;
    let mut process = shell.start(rights, Intake::Framed, Use::Stream).await?;
    let mut stdin = process.stdin.take();
    let begins = async {
        if let Some(stdin) = &mut stdin {
            let _ = stdin.write_all(&script.framed_for_exec()).await;
            let _ = stdin.flush().await;
        }
        process.begins().await
    };
    let has_begun = tokio::time::timeout(script.timeout(), begins).await.map_err(|_| shell.too_slow(script))?;
    if !has_begun {
        drop(stdin);
        let Process { stderr, ending, .. } = process;
        return Err(shell.refused(rights, Rest::of(stderr, ending).end().await));
    }
    let Process { stdout: mut out, stderr: mut err, ending, .. } = process;
    let output = async {
        let (out, err) = tokio::join!(pass(&mut out, &mut stdout), pass(&mut err, &mut stderr));
        out.and(err)
    };
    let beside = async {
        feed(from, stdin).await;
        // The output says when it is over, not the input.
        std::future::pending::<()>().await;
    };
    let passed = tokio::select! {
        passed = output => passed,
        () = beside => Ok(()),
    };
    passed.map_err(|error| {
        BackendError::new(format!("cannot pass on the output of a command on {}: {error}", shell.place))
    })?;
    ending.wait().await.map_err(|_| {
        BackendError::new(format!("the connection to {} was lost before the command ended", shell.place))
            .with_hint("it may still run there")
    })
}

async fn pass<R>(from: &mut R, to: &mut Pin<Box<dyn AsyncWrite + Send>>) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
{
    let mut block = vec![0; BLOCK];
    loop {
        let read = from.read(&mut block).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&block[..read]).await?;
        to.flush().await?;
    }
}

/// Passes the input on, and closes the command's own when it ends.
async fn feed(from: Option<Pin<Box<dyn AsyncRead + Send>>>, to: Option<Input>) {
    let (Some(mut from), Some(mut to)) = (from, to) else { return };
    let mut block = vec![0; BLOCK];
    // A command that reads no more, or has ended, is no failure: its output and exit code tell.
    while let Ok(read @ 1..) = from.read(&mut block).await {
        if to.write_all(&block[..read]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
