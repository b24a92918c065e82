//! What runs a service: manifests of Kubernetes.

use super::disk::{self, Found};
use super::{Draft, Lowering};
use crate::config::diagnostic::shorten;
use crate::config::field::{Field, OneOrMany, given};
use crate::config::interpolate::absolute;
use crate::config::raw::RawKubernetes;
use crate::config::secret::mark_url;
use crate::config::source::Span;
use crate::model::{KubeCluster, KubernetesSpec, Manifest, Text};

/// The longest name of a namespace.
const NAMESPACE: usize = 63;
/// What makes a folder one that `kubectl kustomize` builds.
const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The endings of manifests in a folder.
const ENDINGS: [&str; 3] = ["*.json", "*.yaml", "*.yml"];

impl Lowering<'_> {
    /// Manifests; `None` when nothing says where they are.
    pub(super) fn kubernetes(&self, raw: &RawKubernetes, draft: &Draft) -> Option<KubernetesSpec> {
        let namespace = raw.namespace.as_ref().and_then(Field::located).map_or_else(
            || "default".to_owned(),
            |(span, name)| {
                self.dns_name(span, name, ("namespace", NAMESPACE, false), "");
                name.clone()
            },
        );
        if let Some((span, name)) = raw.kube_context.as_ref().and_then(Field::located) {
            self.one_line(span, name);
            if name.is_empty() {
                self.error(span, "the context has no name", "name a context of the kubeconfig, or leave the key out");
            }
        }
        let (span, OneOrMany(list)) = raw.manifests.located()?;
        if list.is_empty() {
            self.error(span, "there is no manifest", "name a file, a pattern, a folder or an address");
        }
        let mut manifests = Vec::new();
        for (span, text) in list.iter().filter_map(Field::located) {
            self.one_line(span, text);
            self.manifest(span, text, draft.active, &mut manifests);
        }
        let flag = |field: &Option<Field<bool>>, usual| given(field.as_ref()).copied().unwrap_or(usual);
        let cluster = KubeCluster {
            kubeconfig: self.home_path(raw.kubeconfig.as_ref()).map(|path| path.display().to_string()),
            context: given(raw.kube_context.as_ref()).cloned(),
        };
        Some(KubernetesSpec {
            prune: flag(&raw.prune, true),
            server_side: flag(&raw.server_side, true),
            force_conflicts: flag(&raw.force_conflicts, false),
            ..KubernetesSpec::new(cluster, namespace, manifests)
        })
    }

    /// Adds what one entry stands for. What an inactive service would read need not be there.
    fn manifest(&self, span: Span, text: &str, active: bool, found: &mut Vec<Manifest>) {
        if text.is_empty() {
            self.error(span, "the path is empty", "name a file, a pattern, a folder or an address");
            return;
        }
        if ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
            if mark_url(Text::plain(text)).is_sensitive() {
                let help = "download it with the password, and name the file";
                self.error(span, "the address of a manifest may not hold a password", help);
            }
            found.push(Manifest::Url(text.to_owned()));
            return;
        }
        if !active {
            return;
        }
        let folder = self.sources.folder(span);
        let path = absolute(folder, text);
        let patterns = if disk::is_pattern(text) {
            vec![text.to_owned()]
        } else if self.disk.look(&path) == Found::Folder {
            if KUSTOMIZATION.iter().any(|name| path.join(name).is_file()) {
                found.push(Manifest::Kustomize(path));
                return;
            }
            ENDINGS.iter().map(|ending| format!("{}/{ending}", text.trim_end_matches('/'))).collect()
        } else {
            found.extend(self.file(span, text));
            return;
        };
        let mut paths = Vec::new();
        for pattern in patterns {
            match disk::expand(folder, &pattern) {
                Ok(matched) => paths.extend(matched),
                Err(reason) => self.error(span, reason, "name fewer files"),
            }
        }
        if paths.is_empty() {
            let message = format!("no manifest is at `{}`", shorten(text));
            self.error(span, message, "correct the path; a relative one is relative to this file");
        }
        paths.sort();
        found.extend(paths.iter().filter_map(|path| self.file(span, path)));
    }

    fn file(&self, span: Span, path: &str) -> Option<Manifest> {
        let content = Text::sensitive(self.scope.content(path, span)?);
        Some(Manifest::File { path: path.to_owned(), content })
    }
}
