//! Logs of a project, and commands inside it.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt};

use super::look::{self, Container, Doing};
use super::{ComposeBackend, detect, stamp};
use crate::backend::docker::{Engine, exec, stream_log, tail_log};
use crate::backend::{BackendError, ExecRequest, LogLine, LogQuery, LogStream};

impl ComposeBackend {
    /// The last lines of what is not well, or of everything where all is well, each after its service.
    pub(super) async fn last_lines(&self, project: &str, lines: usize) -> Result<Vec<String>, BackendError> {
        let engine = self.engine().await?;
        let containers = look::of_project(&engine, project).await?;
        let is_ill = |container: &&Container| !matches!(container.doing, Doing::Well | Doing::Succeeded { .. });
        let ill: Vec<&Container> = containers.iter().filter(is_ill).collect();
        let chosen = if ill.is_empty() { containers.iter().collect() } else { ill };
        let each = lines.checked_div(chosen.len()).unwrap_or(lines).max(1);
        let mut all = Vec::new();
        for container in chosen {
            let told = tail_log(&engine, &container.id, each).await?;
            all.extend(told.into_iter().map(|line| format!("{} | {line}", container.service)));
        }
        Ok(all)
    }

    /// The logs of all containers as they come, each line after its service.
    pub(super) async fn stream(&self, project: &str, query: LogQuery) -> Result<LogStream, BackendError> {
        let engine = self.engine().await?;
        let containers = look::of_project(&engine, project).await?;
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for container in &containers {
            *count.entry(&container.service).or_default() += 1;
        }
        let mut streams = Vec::new();
        for container in &containers {
            let several = count.get(container.service.as_str()).is_some_and(|count| *count > 1);
            let prefix =
                if several { format!("{}-{}", container.service, container.number) } else { container.service.clone() };
            let stream = stream_log(&engine, &container.id, query).await?;
            let stream = stream.map_ok(move |line| LogLine { text: format!("{prefix} | {}", line.text), ..line });
            streams.push(stream.boxed());
        }
        if query.follow {
            return Ok(Box::pin(futures_util::stream::select_all(streams)));
        }
        let mut all: Vec<LogLine> = Vec::new();
        for stream in streams {
            all.extend(stream.try_collect::<Vec<LogLine>>().await?);
        }
        all.sort_by_key(|line| line.at);
        let first = all.len().saturating_sub(query.lines.unwrap_or(usize::MAX));
        Ok(Box::pin(futures_util::stream::iter(all.split_off(first).into_iter().map(Ok))))
    }

    /// Runs a command inside the container that stands for the project.
    pub(super) async fn run_inside(&self, project: &str, request: ExecRequest) -> Result<i32, BackendError> {
        let engine = self.engine().await?;
        let containers = look::of_project(&engine, project).await?;
        let chosen = self.chosen(&engine, project, &containers).await?;
        exec(&engine, &chosen, request).await
    }

    /// The container that commands run in: of the Compose service that is named as orch's own, else of the first one of
    /// `gate`, else the only one.
    async fn chosen(&self, engine: &Engine, project: &str, containers: &[Container]) -> Result<String, BackendError> {
        let address = self.known(project).map(|known| known.address.clone());
        let address = address.or_else(|| containers.iter().find_map(|found| stamp::address(&found.labels)));
        let own = address.map(|address| address.service.to_string());
        let gate = self.expected(project).gate.into_iter().next();
        for name in own.into_iter().chain(gate) {
            let of_service = |container: &&Container| container.service == name && container.is_up();
            if let Some(container) = containers.iter().find(of_service) {
                return Ok(container.id.clone());
            }
            let all = look::summaries(engine, None).await?;
            if let Some(id) = detect::find(project, &name, None, &all).and_then(|(_, container)| container.id.clone()) {
                return Ok(id);
            }
        }
        let up: Vec<&Container> = containers.iter().filter(|container| container.is_up()).collect();
        match up.as_slice() {
            [only] => Ok(only.id.clone()),
            [] => Err(BackendError::new(format!(
                "cannot run a command in the Compose project {project}: nothing of it runs"
            ))
            .with_hint("`orch start` starts it")),
            several => {
                let names: Vec<&str> = several.iter().map(|container| container.service.as_str()).collect();
                Err(BackendError::new(format!(
                    "cannot run a command in the Compose project {project}: it has several services ({})",
                    names.join(", ")
                ))
                .with_hint("name the one that is meant first in `gate`, or use `docker compose exec`"))
            }
        }
    }
}
