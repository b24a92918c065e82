//! `orch import`: reads what another tool has, and writes what orch makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::OpError;
use crate::import::{self, Compose, Files, ImportError, Imported, Procfile, Unit};
use crate::sys::{self, Durability};

/// The most that is read of one file.
const MOST: u64 = 32 << 20;

/// The names that Compose looks for, the first one first.
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// Where units are looked for that are named, where `systemctl` cannot be asked.
const UNIT_FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];

/// The file system.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let size = std::fs::metadata(path).map(|found| found.len());
        match size.and_then(|size| {
            if size > MOST { Err(std::io::ErrorKind::FileTooLarge.into()) } else { std::fs::read(path) }
        }) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("it does not exist".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_there(&self, path: &Path) -> bool {
        path.is_file()
    }
}

impl From<ImportError> for OpError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Source(problems) => Self::Config(problems),
            ImportError::Request { message, hint } => Self::Request { message, hint },
        }
    }
}

/// What is read, and where what is written is to be.
#[derive(Debug, Clone, Default)]
pub struct ImportFrom {
    /// The files, as they were given.
    pub files: Vec<PathBuf>,
    /// The folder that relative paths start from.
    pub cwd: PathBuf,
    /// The folder that orch's file is to be in.
    pub folder: PathBuf,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

/// Imports a Compose project: the files that are given, or those that Compose would find.
///
/// # Errors
/// When there is none, or one makes no sense.
pub fn import_compose(from: &ImportFrom, project: Option<&str>, env_files: &[PathBuf]) -> Result<Imported, OpError> {
    let paths = if from.files.is_empty() {
        found(&from.cwd)?
    } else {
        from.files.iter().map(|path| absolute(&from.cwd, path)).collect()
    };
    let what = Compose {
        paths,
        project: project.map(str::to_owned),
        env_files: env_files.iter().map(|path| absolute(&from.cwd, path)).collect(),
        env: from.env.clone(),
        cwd: from.cwd.clone(),
        folder: from.folder.clone(),
    };
    Ok(import::compose(&what, &Disk)?)
}

/// The file that Compose would read in a folder, and the one that changes it.
fn found(folder: &Path) -> Result<Vec<PathBuf>, OpError> {
    let Some(first) = COMPOSE_FILES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file()) else {
        let message = format!("there is no Compose file in {}", folder.display());
        return Err(OpError::request(message, format!("name one; these are looked for: {}", COMPOSE_FILES.join(", "))));
    };
    let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let over = ["yaml", "yml"].map(|end| folder.join(format!("{}.override.{end}", name(&first))));
    Ok([first].into_iter().chain(over.into_iter().filter(|path| path.is_file()).take(1)).collect())
}

/// Imports a Procfile, with the `.env` beside it.
///
/// # Errors
/// When it cannot be read, or a line makes no sense.
pub fn import_procfile(from: &ImportFrom) -> Result<Imported, OpError> {
    let given = from.files.first().cloned().unwrap_or_else(|| PathBuf::from("Procfile"));
    let path = absolute(&from.cwd, &given);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let env = folder.join(".env");
    let env = env.is_file().then(|| text(&env).map(|text| (shown(&from.cwd, &env), text))).transpose()?;
    let what = Procfile {
        name: shown(&from.cwd, &path),
        text: text(&path)?,
        env,
        folder: import::relative(&from.folder, folder),
    };
    Ok(import::procfile(&what)?)
}

/// Imports units: files, or names that `systemctl` is asked about. `user` means those of this user's manager.
///
/// # Errors
/// When a unit is not there, or makes no sense.
pub fn import_systemd(from: &ImportFrom, units: &[String], user: bool) -> Result<Imported, OpError> {
    let mut found: Vec<Unit> = Vec::new();
    let mut names = BTreeSet::new();
    for given in units {
        let unit = match given.contains('/') || absolute(&from.cwd, Path::new(given)).is_file() {
            true => unit_file(from, given, user)?,
            false => unit_named(from, given, user)?,
        };
        if names.insert(unit.name.clone()) {
            found.push(unit);
        }
    }
    Ok(import::systemd(&found)?)
}

/// A unit by its file, and the drop-ins beside it. `web@a.service` is an instance of `web@.service`.
fn unit_file(from: &ImportFrom, given: &str, user: bool) -> Result<Unit, OpError> {
    let path = absolute(&from.cwd, Path::new(given));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let template = name.split_once('@').and_then(|(stem, rest)| Some(format!("{stem}@.{}", rest.rsplit_once('.')?.1)));
    let file = match template {
        Some(template) if !path.is_file() => path.with_file_name(template),
        _ => path.clone(),
    };
    let mut fragments = vec![(shown(&from.cwd, &file), text(&file)?)];
    let folder = PathBuf::from(format!("{}.d", file.display()));
    let mut drop_ins: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(_) => Vec::new(),
    };
    drop_ins.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    drop_ins.sort();
    for drop_in in drop_ins {
        fragments.push((shown(&from.cwd, &drop_in), text(&drop_in)?));
    }
    let parent = file.parent().unwrap_or(Path::new("/"));
    let own = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let whole = format!("{}/{own}", import::relative(&from.folder, parent));
    let user = user || file.components().any(|part| part.as_os_str() == "user");
    Ok(Unit { name, fragments, path: Some(whole), user })
}

/// A unit by its name: what `systemctl cat` says, or the file in the folders of the system.
fn unit_named(from: &ImportFrom, given: &str, user: bool) -> Result<Unit, OpError> {
    let kinds = [".service", ".timer", ".socket", ".path", ".target", ".mount"];
    let name =
        if kinds.iter().any(|kind| given.ends_with(kind)) { given.to_owned() } else { format!("{given}.service") };
    let manager = if user { "--user" } else { "--system" };
    let asked = sys::ask_program("systemctl", &[manager, "--no-pager", "cat", "--", &name]);
    if let Ok(text) = &asked
        && let Some(fragments) = cat(text)
    {
        let path = fragments.first().map(|(path, _)| path.clone());
        return Ok(Unit { name, fragments, path, user });
    }
    if !user && let Some(folder) = UNIT_FOLDERS.into_iter().find(|folder| Path::new(folder).join(&name).is_file()) {
        return unit_file(from, &format!("{folder}/{name}"), user);
    }
    let why = asked.err().unwrap_or_else(|| "systemctl says nothing about it".to_owned());
    Err(OpError::request(
        format!("the unit {name} cannot be read: {}", why.trim()),
        "name its file in the place of its name",
    ))
}

/// The files in what `systemctl cat` prints: each has its path in a comment above it.
fn cat(text: &str) -> Option<Vec<(String, String)>> {
    let mut fragments: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let path = line.strip_prefix("# /").filter(|path| {
            !path.contains(' ')
                && [".d/", ".service", ".timer", ".socket", ".path", ".target", ".mount"]
                    .iter()
                    .any(|part| path.contains(part))
        });
        match (path, fragments.last_mut()) {
            (Some(path), _) => fragments.push((format!("/{path}"), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    (!fragments.is_empty()).then_some(fragments)
}

/// Writes what was imported.
///
/// # Errors
/// When there is a file already and `force` is not given, or it cannot be written.
pub fn write_imported(path: &Path, text: &str, force: bool) -> Result<(), OpError> {
    if path.exists() && !force {
        return Err(OpError::request(
            format!("{} is there already", path.display()),
            "name another file with `-o`, or let `--force` write it anew",
        ));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(OpError::io("make", folder))?;
    }
    sys::write_atomic(path, text.as_bytes(), Durability::Durable).map_err(OpError::io("write", path))
}

fn text(path: &Path) -> Result<String, OpError> {
    let bytes = Disk.read(path).map_err(|why| {
        OpError::request(format!("{} cannot be read: {why}", path.display()), "name a file that is there")
    })?;
    String::from_utf8(bytes)
        .map_err(|_| OpError::request(format!("{} is not UTF-8 text", path.display()), "name a text file"))
}

/// A path without `.` and with `..` taken as it is written.
fn absolute(cwd: &Path, path: &Path) -> PathBuf {
    cwd.join(path).components().collect()
}

fn shown(cwd: &Path, path: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}
