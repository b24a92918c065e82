//! A port of this machine that leads to a port of an object, through `kubectl port-forward`.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::tool::{Kept, Tool};
use super::trouble::trouble;
use crate::backend::BackendError;

/// How long kubectl may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A forwarded port; it is open for as long as this is kept, and no longer than orch runs.
pub struct Forward {
    kept: Kept,
    port: u16,
}

impl Forward {
    pub(super) async fn start(
        tool: &Tool,
        flags: &[String],
        namespace: &str,
        object: &str,
        port: u16,
    ) -> Result<Self, BackendError> {
        let doing = format!("forward a port to {object}");
        let mut args = flags.to_vec();
        args.extend([format!("--namespace={namespace}"), "port-forward".to_owned(), "--address=127.0.0.1".to_owned()]);
        args.extend([object.to_owned(), format!(":{port}")]);
        let mut kept = Kept::start(tool, &args, None)?;
        let pipes = kept.child().and_then(|child| Some((child.stdout.take()?, child.stderr.take()?)));
        let Some((stdout, mut stderr)) = pipes else { return Err(BackendError::new("kubectl has no pipes")) };
        let mut output = BufReader::new(stdout);
        let listening = async {
            let mut line = String::new();
            while output.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                if let Some(port) = local_port(&line) {
                    return Some(port);
                }
                line.clear();
            }
            None
        };
        let Ok(Some(port)) = tokio::time::timeout(PATIENCE, listening).await else {
            drop(kept);
            let mut said = String::new();
            let _ = tokio::time::timeout(Duration::from_secs(1), stderr.read_to_string(&mut said)).await;
            return Err(trouble(&doing, &said));
        };
        // It tells of each connection; a pipe that nobody reads would stop it.
        tokio::spawn(async move {
            let (mut rest, mut complaints) = (tokio::io::sink(), tokio::io::sink());
            let _ =
                tokio::join!(tokio::io::copy(&mut output, &mut rest), tokio::io::copy(&mut stderr, &mut complaints));
        });
        Ok(Self { kept, port })
    }

    /// The port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it still is open: kubectl ends when the pod behind it does.
    pub fn is_open(&mut self) -> bool {
        self.kept.child().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }
}

/// The port in `Forwarding from 127.0.0.1:41234 -> 80`.
fn local_port(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_kubectl_says() {
        assert_eq!(local_port("Forwarding from 127.0.0.1:41234 -> 80\n"), Some(41234));
        assert_eq!(local_port("Handling connection for 41234\n"), None);
    }
}
