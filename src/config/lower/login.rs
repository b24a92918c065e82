//! How a machine is named where it is reached: `[USER@]HOST[:PORT]`.

use std::net::Ipv6Addr;

use crate::config::diagnostic::shorten;

/// The parts of `[USER@]HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    /// A host name, or an IP address without brackets.
    pub(super) address: String,
    pub(super) port: Option<u16>,
}

impl Login {
    /// Takes a login apart.
    ///
    /// # Errors
    /// When it is none, as a reason for the user.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        if user.is_some_and(|user| !is_user(user)) {
            return Err(format!("`{}` is not the name of a user", shorten(user.unwrap_or_default())));
        }
        let bad = || format!("`{}` is not a host name or address", shorten(rest));
        let (address, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(bad)?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(bad)?) };
                (Some(address).filter(|address| address.parse::<Ipv6Addr>().is_ok()).ok_or_else(bad)?, port)
            }
            // Without brackets only an address of version 6 has several colons.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => match rest.split_once(':') {
                Some((address, port)) => (address, Some(port)),
                None => (rest, None),
            },
        };
        if !is_address(address) {
            return Err(bad());
        }
        let port = port.map(|port| match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(format!("`{}` is not a port from 1 to 65535", shorten(port))),
        });
        Ok(Self { user: user.map(str::to_owned), address: address.to_owned(), port: port.transpose()? })
    }
}

/// Whether a text is a host name, a `Host` of the user's SSH configuration, or an IP address. It never
/// starts with `-`: `ssh` would take it for an option.
pub(super) fn is_address(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.parse::<Ipv6Addr>().is_ok()
        || (text.len() <= 253
            && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(part))
}

/// Whether a text is the name or number of a user or group.
pub(super) fn is_user(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '+' | '@');
    text.len() <= 256
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.strip_suffix('$').unwrap_or(text).chars().all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_taken_apart() {
        let login = |user: Option<&str>, address: &str, port| {
            Ok(Login { user: user.map(str::to_owned), address: address.to_owned(), port })
        };
        assert_eq!(Login::parse("web1"), login(None, "web1", None));
        assert_eq!(Login::parse("deploy@10.0.0.1:2222"), login(Some("deploy"), "10.0.0.1", Some(2222)));
        assert_eq!(Login::parse("a@b@host"), login(Some("a@b"), "host", None));
        assert_eq!(Login::parse("fd00::1"), login(None, "fd00::1", None));
        assert_eq!(Login::parse("x@[fd00::1]:22"), login(Some("x"), "fd00::1", Some(22)));
        for bad in [
            "",
            "@h",
            "a b",
            "-oProxyCommand=x",
            "x@-h",
            "-x@h",
            "h:",
            "h:0",
            "h:99999",
            "h:+1",
            "[h]:1",
            "a\nb",
            "h;x",
            "$(x)",
            "::::",
        ] {
            assert!(Login::parse(bad).is_err(), "{bad}");
        }
    }
}
