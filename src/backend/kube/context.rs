//! Which context of a kubeconfig is the current one, by kubectl's own rules: files are cheaper to read than a kubectl
//! is to start, and every look at a cluster waits for this.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::yaml;
use crate::model::KubeCluster;

/// The current context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Current {
    /// This one; `None` where no file names one, as within a cluster.
    Known(Option<String>),
    /// A file cannot be read or makes no sense: kubectl says what is wrong with it.
    Unclear,
}

/// Looks into the kubeconfig files that kubectl would take, the first of which to name a context decides.
pub(super) fn current(cluster: &KubeCluster, env: &BTreeMap<String, String>) -> Current {
    let listed = env.get("KUBECONFIG").filter(|list| !list.is_empty());
    let files: Vec<PathBuf> = match (&cluster.kubeconfig, listed, env.get("HOME")) {
        (Some(path), ..) => vec![PathBuf::from(path)],
        (None, Some(list), _) => std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect(),
        (None, None, Some(home)) => vec![Path::new(home).join(".kube/config")],
        (None, None, None) => return Current::Unclear,
    };
    for file in files {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && cluster.kubeconfig.is_none() => continue,
            Err(_) => return Current::Unclear,
        };
        let Ok(documents) = yaml::parse(&text) else { return Current::Unclear };
        let named = documents.first().and_then(|config| config.get("current-context"));
        match named {
            Some(Value::String(name)) if !name.is_empty() => return Current::Known(Some(name.clone())),
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Current::Unclear,
        }
    }
    Current::Known(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_names_a_context_decides() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name).display().to_string();
            crate::sys::write_atomic(Path::new(&path), text.as_bytes(), crate::sys::Durability::Atomic).unwrap();
            path
        };
        let without = file("without", "apiVersion: v1\nkind: Config\ncurrent-context: \"\"\n");
        let (one, two) = (file("one", "current-context: one\n"), file("two", "{\"current-context\": \"two\"}"));
        let bad = file("bad", "current-context: {\n");
        let gone = folder.path().join("gone").display().to_string();
        let of = |list: &[&String]| {
            let list = list.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(":");
            current(&KubeCluster::default(), &BTreeMap::from([("KUBECONFIG".to_owned(), list)]))
        };
        let known = |name: &str| Current::Known(Some(name.to_owned()));
        assert_eq!(of(&[&gone, &without, &one, &two]), known("one"));
        assert_eq!(of(&[&two, &one]), known("two"));
        assert_eq!(of(&[&without, &gone]), Current::Known(None));
        assert_eq!(of(&[&bad, &one]), Current::Unclear);

        let named = |path: &str| KubeCluster { kubeconfig: Some(path.to_owned()), context: None };
        let env = BTreeMap::from([("KUBECONFIG".to_owned(), one.clone())]);
        assert_eq!(current(&named(&two), &env), known("two"));
        assert_eq!(current(&named(&gone), &env), Current::Unclear);
        let home = BTreeMap::from([("HOME".to_owned(), folder.path().display().to_string())]);
        assert_eq!(current(&KubeCluster::default(), &home), Current::Known(None));
        std::fs::create_dir(folder.path().join(".kube")).unwrap();
        file(".kube/config", "current-context: mine\n");
        assert_eq!(current(&KubeCluster::default(), &home), known("mine"));
    }
}
