//! Executes the transcripts of README.md and docs/tutorial.md.
//!
//! A document runs from top to bottom in one empty folder. Each `console` block holds commands, on
//! lines that start with `$ `, each followed by what it prints (stdout and stderr, as they come) and,
//! where it does not exit 0, by a line `? CODE`. In what is expected, `[..]` stands for any part of a
//! line and a line `...` for any lines. A block `yaml file=NAME` writes a file. Other blocks are for
//! reading only. `cargo build` does nothing here: the binaries of this build are in `target/release`.
//!
//! `UPDATE=1 cargo test --features failpoints,demo --test docs` puts in what was printed where it is
//! not what was expected.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_readme_does_what_it_says() {
    run("README.md", 4, &[18080, 18081, 18082]);
}

#[test]
fn the_tutorial_does_what_it_says() {
    run("docs/tutorial.md", 40, &[18090, 18091]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Executes a document, which must hold at least so many commands and listens on these ports.
/// Others may be in use on this machine: the document runs with free ones in their place.
#[expect(clippy::disallowed_methods, reason = "a test reads its own switch, and writes into the checkout")]
fn run(document: &str, commands: usize, ports: &[u16]) {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let sandbox = Sandbox::new(ports);
    let mut executed = 0;
    let mut wrong = String::new();
    let mut updated = String::new();
    for part in parts(&text) {
        match part {
            Part::Text(text) => updated.push_str(text),
            Part::File { name, content, text } => {
                let path = sandbox.folder().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, sandbox.with_free_ports(content)).unwrap();
                updated.push_str(text);
            }
            Part::Command { line, command, expected, code } => {
                executed += 1;
                let (found, found_code) = sandbox.sh(&command);
                let prompt = format!("$ {}\n", command.replace('\n', "\n> "));
                updated.push_str(&prompt);
                if matches(expected, &found) && code == found_code {
                    updated.push_str(expected);
                } else {
                    write!(
                        wrong,
                        "{document}:{line}: $ {command}\n--- expected (exit {code})\n{expected}--- found (exit {found_code})\n{found}\n"
                    )
                    .unwrap();
                    updated.push_str(&with_wildcards(&found, sandbox.folder()));
                }
                if found_code != 0 {
                    writeln!(updated, "? {found_code}").unwrap();
                }
            }
        }
    }
    let left = sandbox.supervisors();
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(root().join(document), updated).unwrap();
    } else {
        assert!(wrong.is_empty(), "{wrong}");
        // What the test compared is the document, whole: nothing in it was taken for something else.
        assert_eq!(updated, text, "{document} was not read as it is written");
    }
    assert!(executed >= commands, "{document} has {executed} commands only");
    assert!(left.is_empty(), "{document} leaves processes running: {left:?}");
}

/// A part of a document.
enum Part<'a> {
    /// To be read only.
    Text(&'a str),
    /// A file to write.
    File { name: &'a str, content: &'a str, text: &'a str },
    /// A command, what it prints and how it exits.
    Command { line: usize, command: String, expected: &'a str, code: i32 },
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut lines = Lines { text, at: 0, number: 0 };
    while let Some(line) = lines.next() {
        let from = lines.at - line.len();
        parts.push(Part::Text(line));
        let Some(kind) = line.strip_prefix("```").map(str::trim_end).filter(|kind| !kind.is_empty()) else { continue };
        if kind == "console" {
            console(&mut lines, &mut parts);
            continue;
        }
        let body = lines.at;
        while lines.next().is_some_and(|line| !line.starts_with("```")) {}
        let close = lines.text[..lines.at].rfind("```").unwrap();
        if let Some(name) = kind.strip_prefix("yaml file=") {
            parts.pop();
            parts.push(Part::File { name, content: &text[body..close], text: &text[from..lines.at] });
        } else {
            parts.push(Part::Text(&text[body..lines.at]));
        }
    }
    parts
}

/// Reads a console block to its end.
fn console<'a>(lines: &mut Lines<'a>, parts: &mut Vec<Part<'a>>) {
    loop {
        let line = lines.next().expect("a block ends");
        if line.starts_with("```") {
            parts.push(Part::Text(line));
            return;
        }
        let Some(command) = line.strip_prefix("$ ") else { panic!("line {}: no command: {line}", lines.number) };
        let mut command = command.trim_end().to_owned();
        let number = lines.number;
        while let Some(more) = lines.peek().strip_prefix("> ") {
            command.push('\n');
            command.push_str(more.trim_end());
            lines.next();
        }
        let (from, mut code) = (lines.at, 0);
        let mut to = from;
        loop {
            let next = lines.peek();
            if next.starts_with("$ ") || next.starts_with("```") {
                break;
            }
            lines.next();
            if let Some(number) = next.strip_prefix("? ") {
                code = number.trim().parse().expect("an exit code");
                break;
            }
            to = lines.at;
        }
        parts.push(Part::Command { line: number, command, expected: &lines.text[from..to], code });
    }
}

struct Lines<'a> {
    text: &'a str,
    at: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn peek(&self) -> &'a str {
        let rest = &self.text[self.at..];
        &rest[..rest.find('\n').map_or(rest.len(), |end| end + 1)]
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek();
        self.at += line.len();
        self.number += 1;
        (!line.is_empty()).then_some(line)
    }
}

/// Whether a text is what is expected, wildcards and all.
fn matches(expected: &str, found: &str) -> bool {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    // `reached[i]`: the lines of `expected` so far stand for the first `i` lines of `found`.
    let mut reached = vec![false; found.len() + 1];
    reached[0] = true;
    for line in expected {
        let mut next = vec![false; found.len() + 1];
        for at in 0..=found.len() {
            next[at] = if line == "..." {
                reached[..=at].contains(&true)
            } else {
                at > 0 && reached[at - 1] && matches_line(line, found[at - 1])
            };
        }
        reached = next;
    }
    reached[found.len()]
}

fn matches_line(expected: &str, found: &str) -> bool {
    let mut pieces = expected.trim_end().split("[..]");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = found.trim_end().strip_prefix(first) else { return false };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// What was printed, with what differs from run to run taken out: a first version of what to expect.
fn with_wildcards(found: &str, folder: &Path) -> String {
    let mut text = found.replace(&folder.display().to_string(), "[..]");
    for (pattern, instead) in [
        // Tables: pids, times and users decide how wide their columns are.
        (r"(?m)^(SERVICE +STATE +HEALTH) .*$", "$1  [..]"),
        (
            r"(?m)^(\S+ +(?:running|completed|stopped|exited|lost|external|missing) +\S+) .* (\d+)  (\S.*)$",
            "$1  [..]  $2  $3",
        ),
        (r"(?m)^(RUN +STARTED +WHO) .*$", "$1  [..]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[..]"),
        (r"\d{8}T\d{6}Z-[0-9a-f]{6}(\.\d+)?", "[..]"),
        (r"\b\d+(\.\d+)? (ms|s)( ago)?\b", "[..]"),
        (r"just now", "[..]"),
        (r"\b\w+@[\w.-]+", "[..]"),
        (r"\bpid \d+", "[..]"),
        (r"\block id [0-9a-f]+", "lock id [..]"),
        (r"\b[0-9a-f]{12,64}\b", "[..]"),
        // How often a gate had to probe is a matter of time.
        (r"(?m)^(.* waiting for its gate)\n(.* waiting: .*\n)*", "$1\n...\n"),
        (r"\(probe \d+\)", "(probe [..])"),
    ] {
        text = regex_lite::Regex::new(pattern).unwrap().replace_all(&text, instead).into_owned();
    }
    text
}

/// A folder to run a document in. Whatever is still supervised when it is dropped is ended.
struct Sandbox {
    folder: tempfile::TempDir,
    /// The ports of the document, and the free ones that take their place.
    ports: Vec<(String, String)>,
}

impl Sandbox {
    #[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
    fn new(ports: &[u16]) -> Self {
        // All are held until each is known, so that no two are the same; five digits, as wide as those they stand for.
        let held: Vec<_> = ports.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let free = held.iter().map(|listener| listener.local_addr().unwrap().port().to_string());
        let ports = ports.iter().map(ToString::to_string).zip(free).collect();
        let sandbox = Self { folder: tempfile::tempdir().unwrap(), ports };
        let bin = sandbox.folder().join("target/release");
        std::fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orch"), bin.join("orch")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_orch-demo"), bin.join("orch-demo")).unwrap();
        std::fs::write(bin.join("cargo"), "#!/bin/sh\n# The binaries are built.\n").unwrap();
        std::fs::set_permissions(bin.join("cargo"), PermissionsExt::from_mode(0o755)).unwrap();
        sandbox.copy(&root().join("examples"), &sandbox.folder().join("examples"));
        sandbox
    }

    fn with_free_ports(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (documented, free)| text.replace(documented, free))
    }

    fn with_documented_ports(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (documented, free)| text.replace(free, documented))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
    fn copy(&self, from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap();
            match path.is_dir() {
                // What was applied from the checkout stays there.
                true if name.to_string_lossy().starts_with('.') => {}
                true => self.copy(&path, &to.join(name)),
                false => {
                    let text = std::fs::read_to_string(&path).unwrap();
                    std::fs::write(to.join(name), self.with_free_ports(&text)).unwrap();
                }
            }
        }
    }

    /// Runs a command; gives what it printed, and its exit code.
    #[expect(clippy::disallowed_methods, reason = "a test starts what it is about")]
    fn sh(&self, command: &str) -> (String, i32) {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.folder().join("target/release").display());
        let mut sh = Command::new("timeout");
        sh.args(["60", "sh", "-c", &format!("exec 2>&1\n{}", self.with_free_ports(command))])
            .current_dir(self.folder())
            .env_clear();
        sh.env("PATH", path).env("HOME", self.folder()).env("TZ", "UTC").env("LANG", "C.UTF-8");
        let output = sh.stdin(Stdio::null()).output().unwrap();
        (self.with_documented_ports(&String::from_utf8_lossy(&output.stdout)), output.status.code().unwrap_or(-1))
    }

    /// The supervisors of objects below the folder, whatever became of the state.
    fn supervisors(&self) -> Vec<u32> {
        let below = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("__supervise") && line.contains(&*self.folder().to_string_lossy())
        };
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(below).collect()
    }
}

impl Drop for Sandbox {
    #[expect(clippy::disallowed_methods, reason = "a test ends what it started")]
    fn drop(&mut self) {
        // A supervisor that is asked to end takes all that it runs with it.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            let left = self.supervisors();
            if left.is_empty() {
                return;
            }
            let pids = left.iter().map(ToString::to_string);
            let _ = Command::new("kill").args(pids).stderr(Stdio::null()).status();
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn wildcards_stand_for_what_they_should() {
    assert!(matches("a [..] c\n", "a b c\n") && matches("a\n...\nd\n", "a\nb\nc\nd\n") && matches("...\n", ""));
    assert!(matches("[..]", "x") && matches("a[..]b[..]", "aXbY") && matches("", ""));
    assert!(!matches("a\n", "a\nb\n") && !matches("a [..] c\n", "a b d\n") && !matches("a\n...\nd\n", "a\nb\n"));
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    let mut documents = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["docs", "docs/design"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        documents.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    let link = regex_lite::Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    let mut links = 0;
    for document in documents {
        let path = root().join(&document);
        let text = std::fs::read_to_string(&path).unwrap();
        for target in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            links += 1;
            assert!(path.parent().unwrap().join(&target).exists(), "{document} links to {target}, which is not there");
        }
    }
    assert!(links > 20, "{links} links only");
}

#[test]
fn what_the_documents_name_in_src_and_tests_exists() {
    let named = regex_lite::Regex::new(r"`((?:src|tests|examples|schemas|docs)/[\w./-]+)`").unwrap();
    for document in ["README.md", "docs/architecture.md", "docs/design/journal.md", "docs/design/planning.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for path in named.captures_iter(&text).map(|found| found[1].to_owned()) {
            assert!(root().join(&path).exists(), "{document} names {path}, which is not there");
        }
    }
    // The modules of the table of invariants are named without `src/`.
    let short =
        regex_lite::Regex::new(r"`((?:state|plan|execute|ops|health|backend|cli|sys|config|graph|model)/[\w./-]+)`");
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for path in short.unwrap().captures_iter(&text).map(|found| found[1].to_owned()) {
        assert!(root().join("src").join(&path).exists(), "docs/architecture.md names {path}, which is not there");
    }
}
