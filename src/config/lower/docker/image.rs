//! References to images: what the engine would refuse is said where it is written.

use super::Lowering;
use crate::config::diagnostic::shorten;
use crate::config::source::Span;

impl Lowering<'_> {
    /// Checks a reference.
    pub(super) fn image(&self, span: Span, text: &str) {
        if let Err((reason, help)) = reference(text) {
            self.error(span, format!("`{}` cannot be an image: {reason}", shorten(text)), help);
        }
    }
}

/// What is wrong with a reference `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, and what to do.
fn reference(text: &str) -> Result<(), (&'static str, String)> {
    let usual = || "write it as `NAME:TAG`, `HOST:PORT/NAME:TAG` or `NAME@sha256:DIGEST`".to_owned();
    if text.is_empty() {
        return Err(("it is empty", usual()));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(("it holds a space", usual()));
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(("the digest after `@` is not `sha256:` and 64 digits", usual()));
    }
    // What follows the last `:` is a tag, unless that is the port of the registry.
    let (name, tag) = match named.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (named, None),
    };
    match tag {
        Some("") => return Err(("its tag is empty", "write the tag after `:`, or take the `:` away".into())),
        Some(tag) if !is_tag(tag) => {
            let help = "a tag has letters, digits, `_`, `-` and `.`, at most 128, and starts with none of `-` and `.`";
            return Err(("its tag is wrong", help.into()));
        }
        _ => {}
    }
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if first == "localhost" || first.contains(['.', ':', '[']) => (Some(first), path),
        _ => (None, name),
    };
    if registry.is_some_and(|registry| !is_registry(registry)) {
        return Err(("its registry is not a host name with or without a port", usual()));
    }
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        let lower = shorten(&text.replacen(path, &path.to_ascii_lowercase(), 1));
        return Err(("the name of a repository is in lower case", format!("did you mean `{lower}`?")));
    }
    if name.len() > 255 || !path.split('/').all(is_component) {
        let help = "its parts have lower-case letters and digits, with single `.`, `_`, `__` or `-` between them";
        return Err(("its name is wrong", help.into()));
    }
    Ok(())
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_tag(tag: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    tag.len() <= 128 && tag.chars().all(known) && !tag.starts_with(['-', '.'])
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, rest.strip_prefix(':').or(Some(""))),
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_name = !host.is_empty() && host.chars().all(known) && !host.starts_with('-');
    let is_host = if text.starts_with('[') { host.parse::<std::net::Ipv6Addr>().is_ok() } else { is_name };
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether a part of a path has letters and digits with separators between, never beside, them.
fn is_component(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = part.starts_with(is_word) && part.ends_with(is_word);
    let separators = part.split(is_word).filter(|separator| !separator.is_empty());
    ends && separators
        .into_iter()
        .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_known() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "postgres",
            "postgres:15",
            "library/postgres:15-alpine",
            "localhost/app",
            "localhost:5000/team/app:v1.2_x",
            "Registry.example.com/app",
            "[::1]:5000/app",
            "a__b/c--d.e",
            &format!("app@{digest}"),
            &format!("host.example:1/app:1@{digest}"),
            &digest,
        ] {
            assert_eq!(reference(text), Ok(()), "{text}");
        }
        for (text, reason) in [
            ("", "empty"),
            ("a b", "a space"),
            ("postgres:", "tag is empty"),
            ("postgres:-1", "tag is wrong"),
            ("Postgres", "lower case"),
            ("host.example/Team/app", "lower case"),
            ("app@sha256:abc", "digest"),
            ("app@", "digest"),
            ("a//b", "name is wrong"),
            ("/a", "name is wrong"),
            ("a/", "name is wrong"),
            ("-a", "name is wrong"),
            ("a___b", "name is wrong"),
            ("ü", "name is wrong"),
            ("host.example:x/app", "registry"),
            ("[::1/app", "registry"),
            ("https://host/app", "registry"),
        ] {
            let found = reference(text);
            assert!(found.as_ref().is_err_and(|(found, _)| found.contains(reason)), "{text}: {found:?}");
        }
        assert_eq!(reference("Shop/API:1").unwrap_err().1, "did you mean `shop/api:1`?");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}|[a-zA-Z0-9@:/._\\[\\]-]{0,40}") {
            let _ = reference(&text);
        }
    }
}
