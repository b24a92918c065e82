//! A TCP connection that is accepted.

use std::io;

use tokio::net::TcpStream;

use super::{ProbeAnswer, cause, dialled, net};
use crate::health::Target;

pub(super) async fn probe(target: Target<'_>, label: &str, host: &str, port: u16) -> ProbeAnswer {
    let connected = match dialled::dial(target, net::bare(host), port).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => connect(host, port).await.map_err(|error| cause(&error)),
        Err(error) => Err(error),
    };
    match connected {
        Ok(()) => ProbeAnswer::healthy(format!("{label}: connected")),
        Err(error) => ProbeAnswer::unhealthy(format!("{label}: {error}")),
    }
}

async fn connect(host: &str, port: u16) -> io::Result<()> {
    let addresses = net::resolve(host, port).await?;
    // Tries each in turn; the error is that of the last.
    TcpStream::connect(addresses.as_slice()).await.map(drop)
}
