//! A small HTTP service to try orch with.
//!
//! `orch-demo prepare FILE` writes a file; `orch-demo serve --port N` answers `GET /` with the text
//! of `--file`, or of the service at `--upstream`, under the greeting in `$GREETING`. `GET /health`
//! is 200 while what it needs is there, else 503.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["prepare", file] => prepare(Path::new(file)),
        ["serve", options @ ..] => serve(options),
        _ => Err("usage: orch-demo prepare FILE | serve --port N [--file FILE | --upstream HOST:PORT]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "orch-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn prepare(file: &Path) -> Done {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = std::fs::File::create(file)?;
    writeln!(out, "apples: 12\npears: 7")?;
    Ok(())
}

/// Where the text of a service comes from.
enum Text {
    Own,
    File(String),
    Upstream(String),
}

impl Text {
    fn get(&self) -> Result<String, Box<dyn std::error::Error>> {
        match self {
            Self::Own => Ok(String::new()),
            Self::File(path) => Ok(std::fs::read_to_string(path)?),
            Self::Upstream(address) => fetch(address),
        }
    }
}

fn serve(options: &[&str]) -> Done {
    let (mut port, mut text) = (0, Text::Own);
    for pair in options.chunks(2) {
        match pair {
            ["--port", number] => port = number.parse()?,
            ["--file", path] => text = Text::File((*path).to_owned()),
            ["--upstream", address] => text = Text::Upstream((*address).to_owned()),
            other => return Err(format!("unknown option {other:?}").into()),
        }
    }
    #[expect(clippy::disallowed_methods, reason = "a service is configured by its environment")]
    let greeting = std::env::var("GREETING").unwrap_or_default();
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            scope.spawn(|| {
                // One bad connection is no reason to go down, nor is a log that cannot be written.
                if let Err(error) = stream.map_err(Into::into).and_then(|stream| answer(stream, &greeting, &text)) {
                    let _ = writeln!(std::io::stdout(), "a request failed: {error}");
                }
            });
        }
    });
    Ok(())
}

fn answer(mut stream: TcpStream, greeting: &str, text: &Text) -> Done {
    let request = head(&mut stream)?;
    let (status, body) = match text.get() {
        Ok(_) if request.starts_with("GET /health ") => ("200 OK", "ok\n".to_owned()),
        Ok(text) if greeting.is_empty() => ("200 OK", text),
        Ok(text) => ("200 OK", format!("{greeting}\n{text}")),
        Err(error) => ("503 Service Unavailable", format!("{error}\n")),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes())?;
    Ok(())
}

/// Reads a request to its empty line: a connection that is closed with something unread in it is
/// reset, and the answer is lost.
fn head(stream: &mut TcpStream) -> Result<String, Box<dyn std::error::Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 64 * 1024 {
        match stream.read(&mut part)? {
            0 => break,
            length => request.extend_from_slice(&part[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

fn fetch(address: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(format!("{address} does not answer as it should").into()),
    }
}
