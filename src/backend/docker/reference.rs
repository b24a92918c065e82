//! Names of images: `[DOMAIN/]PATH[:TAG][@DIGEST]`, by the grammar of the distribution project and with
//! the defaults of the `docker` command.

use std::fmt;

/// The registry of names that have no domain.
pub(super) const DEFAULT_DOMAIN: &str = "docker.io";
/// Where the images of the default registry are whose path has one part.
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// The name of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    /// The registry, as the engine calls it: a host, with a port where it is not the usual one.
    pub(super) domain: String,
    /// The repository in the registry.
    pub(super) path: String,
    /// The tag; `latest` where there is neither a tag nor a digest.
    pub(super) tag: Option<String>,
    /// The digest: `sha256:` and 64 hexadecimal digits.
    pub(super) digest: Option<String>,
}

impl Reference {
    /// Reads a name; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("a digest is `sha256:` and 64 hexadecimal digits");
        }
        // A colon before the last slash belongs to the port of the domain.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(
                "a tag is at most 128 letters, digits and `_`, `.` and `-`, and begins with none of the last two",
            );
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, rest)) if names_a_host(first) => (first, rest.to_owned()),
            _ => (DEFAULT_DOMAIN, name.to_owned()),
        };
        let domain = if domain == "index.docker.io" { DEFAULT_DOMAIN } else { domain };
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') { format!("{OFFICIAL}{path}") } else { path };
        if !is_domain(domain) {
            return Err("its registry is not a host name");
        }
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err("a repository is written in lower case");
        }
        if !path.split('/').all(is_component) || domain.len() + path.len() >= 255 {
            return Err("a repository is made of lower-case letters and digits, with single separators between them");
        }
        let tag = tag.or(if digest.is_none() { Some(DEFAULT_TAG) } else { None });
        Ok(Self { domain: domain.to_owned(), path, tag: tag.map(Into::into), digest: digest.map(Into::into) })
    }

    /// The repository with its registry: `docker.io/library/busybox`.
    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// What the repository has under a digest.
    pub(super) fn at(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.domain, self.path)
    }
}

impl fmt::Display for Reference {
    /// In full: `docker.io/library/busybox:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => write!(f, "@{digest}"),
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

/// The image id that a name is, in full: `sha256:` and 64 digits, or the digits alone, which no
/// repository may be called.
pub(super) fn image_id(text: &str) -> Option<String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    is_hex(digits).then(|| format!("sha256:{digits}"))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_hex)
}

fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
        && text.bytes().next().is_some_and(word)
}

/// Whether the first part of a name is a registry and not a part of the path.
fn names_a_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(|c| c.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// A part of a path: words of lower-case letters and digits with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(is_word).filter(|between| !between.is_empty());
    text.starts_with(is_word)
        && text.ends_with(is_word)
        && separators
            .into_iter()
            .all(|between| matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_completed_as_docker_completes_them() {
        let at = format!("quay.io/a/b@{DIGEST}");
        let both = format!("busybox:1@{DIGEST}");
        let full = format!("docker.io/library/busybox@{DIGEST}");
        for (written, wanted) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("grafana/grafana", "docker.io/grafana/grafana:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
            ("localhost/x", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest"),
            ("127.0.0.1:5000/a/b__c/d--e:v1", "127.0.0.1:5000/a/b__c/d--e:v1"),
            ("[::1]:5000/x:1", "[::1]:5000/x:1"),
            ("Registry/x", "Registry/x:latest"),
            ("x:Tag_1.2-3", "docker.io/library/x:Tag_1.2-3"),
            (&at, &at),
            (&both, &full),
        ] {
            let found = Reference::parse(written).map(|found| found.to_string());
            assert_eq!(found.as_deref(), Ok(wanted), "{written}");
            assert_eq!(Reference::parse(wanted).unwrap().to_string(), wanted, "{wanted} is not in full");
        }
    }

    #[test]
    fn a_repository_and_its_digests_read_as_one() {
        let written = Reference::parse("localhost:5000/x:1").unwrap();
        let known = Reference::parse(&written.at(DIGEST)).unwrap();
        assert_eq!(known.repository(), "localhost:5000/x");
        assert_eq!((known.tag, known.digest.as_deref()), (None, Some(DIGEST)));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(256);
        let tag = format!("x:{}", "t".repeat(129));
        for wrong in [
            "",
            ":",
            "@",
            "x:",
            "x@",
            "x@sha256:12",
            "X",
            "a/X",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a._b",
            "a___b",
            "x y",
            "x:a b",
            "x:-a",
            "host.name:port/x",
            "ho_st.x/y",
            "host:99999/x",
            "[::1/x",
            "../x",
            "a/../b",
            "a?b",
            "a#b",
            "a%2fb",
            "https://x/y",
            &long,
            &tag,
        ] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_no_name() {
        let digits = DIGEST.strip_prefix("sha256:").unwrap();
        assert_eq!(image_id(DIGEST).as_deref(), Some(DIGEST));
        assert_eq!(image_id(digits).as_deref(), Some(DIGEST));
        assert_eq!(image_id("0123456789ab"), None);
        assert_eq!(image_id("busybox"), None);
    }
}
