//! `orch package`

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::Exit;
use crate::cli::args::{PackageArgs, PackageCommand, PackageVerifyArgs};
use crate::cli::run::{print, print_json};
use crate::cli::session::Session;
use crate::model::Digest;
use crate::ops::{self, OpError};
use crate::package::{Contents, EntryKind, PackageError};
use crate::report::{Cell, Look, Paint, Table, escape, size};

pub(super) fn run(args: &PackageArgs, session: &mut Session) -> Result<Exit, OpError> {
    match &args.command {
        PackageCommand::Build(args) => {
            let output = args.output.as_ref().map(|output| session.path(output));
            let mut built = ops::build_package(&session.path(&args.folder), output.as_deref(), &session.cwd)?;
            // A path below the current folder is shown as it would be typed.
            if let Ok(below) = built.path.strip_prefix(&session.cwd) {
                built.path = below.to_owned();
            }
            if args.json {
                print_json(session, &built)?;
            } else {
                let (path, bytes) = (built.path.display().to_string(), built.packed_bytes);
                let text = format!("Wrote {}, {}.\nsha256 {}\n", escape(&path), size(bytes), built.sha256);
                print(session, &text)?;
            }
        }
        PackageCommand::Inspect(args) => {
            let contents = ops::inspect_package(&session.path(&args.file))?;
            if args.json {
                print_json(session, &contents)?;
            } else {
                print(session, &details(&contents, session.output.look))?;
            }
        }
        PackageCommand::Verify(args) => return verify(args, session),
    }
    Ok(Exit::Done)
}

/// What `orch package verify --json` prints.
#[derive(Debug, Serialize)]
struct Verified {
    valid: bool,
    sha256: Option<Digest>,
    has_checksums: Option<bool>,
    problems: Vec<Found>,
    more_problems: usize,
}

/// One problem.
#[derive(Debug, Serialize)]
struct Found {
    entry: Option<String>,
    message: String,
}

fn verify(args: &PackageVerifyArgs, session: &mut Session) -> Result<Exit, OpError> {
    match ops::verify_package(&session.path(&args.file), args.sha256) {
        Ok(contents) if args.json => {
            print_json(
                session,
                &Verified {
                    valid: true,
                    sha256: Some(contents.sha256),
                    has_checksums: Some(!contents.manifest.checksums.is_empty()),
                    problems: Vec::new(),
                    more_problems: 0,
                },
            )?;
            Ok(Exit::Done)
        }
        Ok(contents) => {
            print(session, &verified(&contents, args.sha256.is_some()))?;
            Ok(Exit::Done)
        }
        Err(error) if args.json && !error.problems().is_empty() => {
            print_json(session, &refused(&error))?;
            Ok(Exit::Error)
        }
        Err(error) => Err(error.into()),
    }
}

fn refused(error: &PackageError) -> Verified {
    let found = error.problems().iter();
    let found = found.map(|problem| Found { entry: problem.entry.clone(), message: problem.fault.to_string() });
    Verified {
        valid: false,
        sha256: None,
        has_checksums: None,
        problems: found.collect(),
        more_problems: error.more_problems(),
    }
}

fn verified(contents: &Contents, pinned: bool) -> String {
    let manifest = &contents.manifest;
    let files = contents.entries.iter().filter(|entry| entry.sha256.is_some()).count();
    let checksums = match manifest.checksums.len() {
        0 => "no checksums in its manifest".to_owned(),
        1 => "1 checksum holds".to_owned(),
        many => format!("{many} checksums hold"),
    };
    let pinned = if pinned { ", as expected" } else { "" };
    format!(
        "Valid: {} {}, {files} file{}, {checksums}.\nsha256 {}{pinned}\n",
        manifest.name,
        manifest.version,
        if files == 1 { "" } else { "s" },
        contents.sha256
    )
}

fn details(contents: &Contents, look: Look) -> String {
    let manifest = &contents.manifest;
    let mut text = format!("{}\n", look.paint(Paint::Bold, format!("{} {}", manifest.name, manifest.version)));
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "  {key:<12} {}", escape(value));
    };
    if let Some(description) = &manifest.description {
        line("description", description.trim());
    }
    if let Some(entry_point) = &manifest.entry_point {
        line("entry point", entry_point);
    }
    if !manifest.args.is_empty() {
        line("args", &serde_json::to_string(&manifest.args).unwrap_or_default());
    }
    for (index, (name, value)) in manifest.env.iter().enumerate() {
        line(if index == 0 { "env" } else { "" }, &format!("{name}={value}"));
    }
    line(
        "checksums",
        &if manifest.checksums.is_empty() { "none".to_owned() } else { manifest.checksums.len().to_string() },
    );
    line("size", &format!("{}, unpacked {}", size(contents.packed_bytes), size(contents.unpacked_bytes)));
    line("sha256", &contents.sha256.to_string());
    let mut table = Table::new(&["MODE", "SIZE", "PATH"]);
    for entry in &contents.entries {
        let (length, path) = match &entry.kind {
            EntryKind::File => (entry.size.to_string(), entry.path.clone()),
            EntryKind::Folder => ("-".to_owned(), format!("{}/", entry.path)),
            EntryKind::Symlink { target } => ("-".to_owned(), format!("{} -> {target}", entry.path)),
            EntryKind::HardLink { target } => ("-".to_owned(), format!("{} = {target}", entry.path)),
        };
        table.row(vec![Cell::new(format!("{:04o}", entry.mode)), Cell::new(length).right(), Cell::new(path)]);
    }
    format!("{text}\n{}", table.render(look))
}
