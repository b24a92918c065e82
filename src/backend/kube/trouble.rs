//! What a cluster and its tools complain about, in their own words, and the way out.

use crate::backend::BackendError;

/// How much of a complaint is told, in bytes.
const LONGEST: usize = 2000;

/// An error in the words of the tool, with a hint.
///
/// `doing` says what orch was doing to what: `apply the manifests of web`.
#[must_use]
pub fn trouble(doing: &str, said: &str) -> BackendError {
    let told = told(said);
    let error = BackendError::new(if told.is_empty() {
        format!("cannot {doing}: the tool said nothing and failed")
    } else {
        format!("cannot {doing}: {told}")
    });
    match hint(said) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Whether a complaint says that the server cannot be reached, or went away.
#[must_use]
pub fn is_unreachable(said: &str) -> bool {
    [
        "connection refused",
        "was refused - did you specify",
        "Unable to connect to the server",
        "no such host",
        "i/o timeout",
        "connection reset",
        "EOF",
        "the server is currently unable",
        "TLS handshake timeout",
        "network is unreachable",
    ]
    .iter()
    .any(|word| said.contains(word))
}

/// Whether a complaint says that the credentials count no more.
#[must_use]
pub fn is_unauthorized(said: &str) -> bool {
    ["Unauthorized", "You must be logged in", "the server has asked for the client to provide credentials"]
        .iter()
        .any(|word| said.contains(word))
}

/// Whether a complaint says that what was asked for is not there.
#[must_use]
pub fn is_not_found(said: &str) -> bool {
    said.contains("(NotFound)") || said.contains("not found")
}

fn hint(said: &str) -> Option<String> {
    let says = |word: &str| said.contains(word);
    let hint = if is_unauthorized(said) || says("expired") {
        "the credentials of the kubeconfig are no longer taken: log in again (`kubectl auth whoami` says who you are), \
         then apply again"
    } else if says("exec: executable") || says("getting credentials") {
        "see why the kubeconfig's credential plugin fails: run its command by hand"
    } else if says("x509") {
        "the certificates of the kubeconfig do not fit the server: get a new kubeconfig"
    } else if says("context was not found") || says("does not exist in") && says("context") {
        "see `kubectl config get-contexts`, and correct `kube_context`"
    } else if says("stat ") && says("no such file") || says("kubeconfig") && says("invalid") {
        "correct `kubeconfig`, or set KUBECONFIG"
    } else if is_unreachable(said) {
        "see whether the API server of the cluster is up and can be reached (`kubectl cluster-info`), then apply again: \
         what was done is found"
    } else if says("is being terminated") || says("because it is being terminated") {
        "the namespace is being deleted: wait until it is gone (`kubectl get namespace`), then apply again"
    } else if says("(Forbidden)") || says("is forbidden") {
        "let the user of the kubeconfig do this with a role (`kubectl auth can-i --list`), or use another context"
    } else if says("Apply failed with") && says("conflict") {
        "take the field out of the manifests where the other manager is to have it, or set `force_conflicts: true` to \
         take it over"
    } else if says("field is immutable") || says("are forbidden") {
        "the field cannot change while the object lives: delete the object (`kubectl delete`), then apply again"
    } else if says("no matches for kind") || says("doesn't have a resource type") {
        "the cluster does not know the kind: apply its CustomResourceDefinition first, or correct `apiVersion`"
    } else if says("namespaces") && is_not_found(said) {
        "make the namespace (`kubectl create namespace`), or put it into the manifests"
    } else if says("exceeds the limit") || says("Too long") || says("too large") {
        "what is kept of the objects does not fit into one Secret of the cluster: split the manifests over services"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// The complaint as a fragment: one line, without what the tools write before and after each error.
fn told(said: &str) -> String {
    let noise = |line: &&str| {
        let line = line.trim();
        let klog = line.get(..1).is_some_and(|first| matches!(first, "E" | "I" | "W"))
            && line.get(1..5).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        !line.is_empty() && !klog && !line.starts_with("Warning:") && !line.starts_with("WARNING:")
    };
    // What follows explains the flags of kubectl, which nobody of orch's gives.
    let said = said.split("Please review the fields above").next().unwrap_or_default();
    let mut lines: Vec<&str> = said.lines().filter(noise).map(str::trim).collect();
    if lines.is_empty() {
        lines = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.drain(..lines.len().saturating_sub(1));
    }
    let parts: Vec<&str> = lines
        .into_iter()
        .map(|line| line.trim_start_matches("error: ").trim_start_matches("Error: "))
        .map(|line| line.trim_end_matches('.'))
        .collect();
    let mut text = parts.join("; ").replace(":; ", ": ");
    if let Some((at, _)) = text.char_indices().find(|(at, _)| *at >= LONGEST) {
        text.truncate(at);
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_keeps_its_words_and_gets_a_way_out() {
        for (said, message, hint) in [
            (
                "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
                "cannot look: The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
                "API server",
            ),
            (
                "error: You must be logged in to the server (Unauthorized)",
                "cannot look: You must be logged in to the server (Unauthorized)",
                "log in again",
            ),
            (
                "error: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas\nPlease review the fields above--they currently have other managers. Here\nare the ways",
                "cannot look: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1: .spec.replicas",
                "force_conflicts",
            ),
            (
                "Error from server (Forbidden): configmaps \"a\" is forbidden: unable to create new content in namespace x because it is being terminated",
                "cannot look: Error from server (Forbidden): configmaps \"a\" is forbidden: unable to create new content in namespace x because it is being terminated",
                "being deleted",
            ),
        ] {
            let error = trouble("look", said);
            assert_eq!(error.message, message);
            assert!(error.hint.as_deref().is_some_and(|text| text.contains(hint)), "{:?}", error.hint);
        }
    }
}
