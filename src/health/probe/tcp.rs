//! A TCP connection that is accepted.

use std::io;

use tokio::net::TcpStream;

use super::{ProbeAnswer, cause, net};

pub(super) async fn probe(label: &str, host: &str, port: u16) -> ProbeAnswer {
    match connect(host, port).await {
        Ok(()) => ProbeAnswer::healthy(format!("{label}: connected")),
        Err(error) => ProbeAnswer::unhealthy(format!("{label}: {}", cause(&error))),
    }
}

async fn connect(host: &str, port: u16) -> io::Result<()> {
    let addresses = net::resolve(host, port).await?;
    // Tries each in turn; the error is that of the last.
    TcpStream::connect(addresses.as_slice()).await.map(drop)
}
