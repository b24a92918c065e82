//! Which files a configuration is read from.

use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Report, shorten};
use super::source::{Sources, reason};

/// The names that are looked for where no file is named.
const DEFAULT_NAMES: [&str; 2] = ["orch.yaml", "orch.yml"];

/// Finds and reads the configuration files; the numbers of those that could be read.
pub(crate) fn read(cwd: &Path, named: &[PathBuf], sources: &mut Sources, report: &Report) -> Vec<u32> {
    let mut paths: Vec<PathBuf> = Vec::new();
    if named.is_empty() {
        paths.extend(default_file(cwd, report));
    }
    for named in named {
        let path: PathBuf = cwd.join(named).components().collect();
        if path.is_dir() {
            paths.extend(folder(&path, &shown(cwd, &path), report));
        } else {
            paths.push(path);
        }
    }
    let mut unique: Vec<PathBuf> = Vec::new();
    for path in paths {
        // A file that is named twice, say by itself and by its folder, is one file.
        if !unique.contains(&path) {
            unique.push(path);
        }
    }
    read_all(cwd, unique, sources, report)
}

/// Reads files by their paths; the numbers of those that could be read.
pub(crate) fn read_all(
    cwd: &Path,
    paths: impl IntoIterator<Item = PathBuf>,
    sources: &mut Sources,
    report: &Report,
) -> Vec<u32> {
    let read = paths.into_iter().filter_map(|path| {
        let path: PathBuf = cwd.join(path).components().collect();
        sources.read(shown(cwd, &path), path).map_err(|problem| report.push(problem)).ok()
    });
    read.collect()
}

/// A path as it is shown: relative to the current folder where it is below it.
fn shown(cwd: &Path, path: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}

fn default_file(cwd: &Path, report: &Report) -> Option<PathBuf> {
    let found: Vec<PathBuf> = DEFAULT_NAMES.iter().map(|name| cwd.join(name)).filter(|path| path.exists()).collect();
    let problem = match found.len() {
        1 => return found.into_iter().next(),
        0 => Diagnostic::error("config::no_file", "there is no `orch.yaml` in this folder")
            .help("write one to start from with `orch init`, or name a file with `-f`"),
        _ => Diagnostic::error("config::two_files", "both `orch.yaml` and `orch.yml` are in this folder")
            .help("remove one of them, or name the file with `-f`"),
    };
    report.push(problem);
    None
}

/// The YAML files of a folder, sorted by name.
fn folder(path: &Path, name: &str, report: &Report) -> Vec<PathBuf> {
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml") && path.is_file();
    let listed = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
    match listed {
        Ok(mut paths) => {
            paths.retain(is_yaml);
            paths.sort();
            if paths.is_empty() {
                let message = format!("there is no `.yaml` or `.yml` file in the folder `{}`", shorten(name));
                report.push(Diagnostic::error("config::no_file", message).help("name another folder, or a file"));
            }
            paths
        }
        Err(error) => {
            let message = format!("the folder `{}` cannot be read: {}", shorten(name), reason(&error));
            report.push(Diagnostic::error("config::unreadable", message).help("check the path and its permissions"));
            Vec::new()
        }
    }
}
