//! What can be known of services whose user failed, kept before they are taken down.

use std::io::Write;
use std::path::Path;

use super::{Logs, OpError, Project, status};
use crate::backend::LogQuery;
use crate::sys::{self, Durability};

/// How many lines of each log are kept, the last ones.
const LINES: usize = 100_000;

/// Keeps the log of every instance that has one, `LOG.log`, and what each is doing, `status.json`, in a folder. What
/// cannot be kept is told, and keeps nothing else from being kept.
pub async fn keep_evidence(project: &Project, folder: &Path) -> Vec<OpError> {
    let mut problems = Vec::new();
    if let Err(error) = sys::create_private_dir(folder).map_err(OpError::io("make", folder)) {
        return vec![error];
    }
    let rows = match status::status(project, &[]).await {
        Ok(found) => found.rows,
        Err(error) => return vec![error],
    };
    let path = folder.join("status.json");
    let text = serde_json::to_vec_pretty(&rows).map_err(std::io::Error::from);
    let written = text.and_then(|text| sys::write_atomic(&path, &text, Durability::Atomic));
    problems.extend(written.map_err(OpError::io("write", &path)).err());
    // What was never applied, or is not orch's, has no log.
    for row in rows.iter().filter(|row| row.has_log()) {
        problems.extend(keep_log(project, &row.service.to_string(), folder).await.err());
    }
    problems
}

async fn keep_log(project: &Project, name: &str, folder: &Path) -> Result<(), OpError> {
    let query = LogQuery { lines: Some(LINES), since: None, follow: false };
    let mut logs = Logs::open(project, name, query).await?;
    let mut text = Vec::new();
    let path = folder.join(format!("{name}.log"));
    while let Some(lines) = logs.next().await? {
        for line in lines {
            if let Some(at) = line.at {
                write!(text, "{at} ").map_err(OpError::io("write", &path))?;
            }
            writeln!(text, "{}", line.text).map_err(OpError::io("write", &path))?;
        }
    }
    sys::write_atomic(&path, &text, Durability::Atomic).map_err(OpError::io("write", &path))
}
