//! What runs a service: a package on a host.

use super::backend::{stop_signal, stop_timeout};
use super::remote::normal;
use super::{Lowering, Slot};
use crate::config::diagnostic::{Diagnostic, shorten};
use crate::config::field::{Field, RawText, given};
use crate::config::interpolate::absolute;
use crate::config::raw::RawPackage;
use crate::config::secret::mark_url;
use crate::config::source::Span;
use crate::model::{Digest, HOST_REFERENCE, Kind, PackageSource, PackageSpec, Place};

/// Folders that hold more than a package.
const SHARED: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/lost+found",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/snap",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/games",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/libx32",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/games",
    "/usr/local/include",
    "/usr/local/lib",
    "/usr/local/libexec",
    "/usr/local/man",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/local/src",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
    "/var",
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/local",
    "/var/lock",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/run",
    "/var/spool",
    "/var/tmp",
    "/var/www",
];

/// Folders below which nothing is a package's own.
const SYSTEM: &[&str] =
    &["/bin/", "/boot/", "/dev/", "/etc/systemd/", "/lib/", "/proc/", "/sbin/", "/sys/", "/usr/bin/", "/usr/sbin/"];

impl Lowering<'_> {
    /// A package, its place still this machine and its ports still empty; `None` when its archive or its
    /// folder is wrong.
    pub(super) fn package(&self, raw: &RawPackage, active: bool, slots: &mut Vec<Slot>) -> Option<PackageSpec> {
        let given_sum = raw.sha256.as_ref().and_then(Field::located).map(|(span, text)| (span, self.sum(span, text)));
        let archive = raw.package.located().and_then(|(span, text)| self.archive(span, text, given_sum, active));
        let folder = raw.install_path.located().map(|(span, path)| {
            let path = self.install_path(span, path);
            slots.push(Slot::folder(span, path.clone()));
            path
        });
        let lists = [raw.pre_install.as_ref(), raw.post_install.as_ref()].map(|list| self.commands(list));
        let (env, args) = (self.host_env(raw.env.as_ref()), self.texts(raw.args.as_ref()));
        let user = self.user_name(raw.run_as.as_ref());
        let keep = self.in_range(raw.keep.as_ref(), 2..=1000, 5);
        let restart = self.restart(raw.restart.as_ref(), Some(Kind::Permanent));
        let (source, sha256) = archive?;
        let [pre_install, post_install] = lists;
        Some(PackageSpec {
            sha256,
            keep,
            pre_install,
            post_install,
            env,
            args,
            user,
            run: given(raw.run.as_ref()).copied(),
            stop_signal: stop_signal(raw.stop_signal.as_ref()),
            stop_timeout: stop_timeout(raw.stop_timeout.as_ref()),
            restart,
            ..PackageSpec::new(Place::Here, source, folder?)
        })
    }

    /// Where the archive is, and its digest; the digest that the file gives must be the archive's.
    fn archive(
        &self,
        span: Span,
        text: &RawText,
        given: Option<(Span, Option<Digest>)>,
        active: bool,
    ) -> Option<(PackageSource, Option<Digest>)> {
        let value = text.0.reveal();
        if value.contains(HOST_REFERENCE) {
            let help = "every host of a service gets the same archive; make a service of its own for another one";
            self.error(span, "`${host:..}` may not stand here", help);
            return None;
        }
        self.one_line(span, value);
        if value.is_empty() {
            self.error(span, "the package has no name", "name an archive, or an `https://` address");
            return None;
        }
        if let Some((scheme, rest)) = value.split_once("://") {
            if !matches!(scheme, "http" | "https") || rest.is_empty() || value.parse::<hyper::Uri>().is_err() {
                let shown = shorten(mark_url(text.0.clone()).shown()).clone();
                let message = format!("`{shown}` is not an address that a package can be fetched from");
                self.error(span, message, "write it as `https://HOST/PATH`, or name a file of this machine");
                return None;
            }
            let Some((_, sum)) = given else {
                let message = "a package that is fetched needs its `sha256`";
                let help = "add `sha256: ...`, as `sha256sum` or `orch package inspect` says it";
                self.report.push(Diagnostic::error("config::missing_key", message).at(span).help(help));
                return None;
            };
            return Some((PackageSource::Url(mark_url(text.0.clone())), sum));
        }
        if text.0.is_sensitive() {
            let help = "a path is shown in plans; write it out, or use an address";
            self.report.push(
                Diagnostic::error("config::sensitive", "a sensitive value may not be the path of a package")
                    .at(span)
                    .help(help),
            );
            return None;
        }
        let path = absolute(self.sources.folder(span), value);
        let found = if active { self.file_digest(span, value, "the package") } else { None };
        if let (Some((sum_span, Some(wanted))), Some(found)) = (given, found)
            && wanted != found
        {
            let message = format!("the package `{}` has another sha256", shorten(value));
            let problem = Diagnostic::error("config::sha256", message).label(sum_span, "this is not its sha256");
            let help = format!("it is {found}; fetch the right archive, or correct `sha256`");
            self.report.push(problem.label(span, "the package").help(help));
        }
        Some((PackageSource::File(path), found.or(given.and_then(|(_, wanted)| wanted))))
    }

    fn sum(&self, span: Span, text: &str) -> Option<Digest> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let digest = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let digest = digest.and_then(|digits| digits.parse().ok());
        if digest.is_none() {
            self.error(span, format!("`{}` is not a sha256", shorten(text)), "write its 64 hexadecimal digits");
        }
        digest
    }

    fn install_path(&self, span: Span, text: &str) -> String {
        self.one_line(span, text);
        let path = text.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(text);
        let is_home = path.strip_prefix("/home/").is_some_and(|name| !name.contains('/'));
        if !path.starts_with('/') {
            let message = format!("`{}` is no absolute path", shorten(text));
            self.error(span, message, "write the whole path on the host, from `/`");
        } else if normal(path).as_deref() != Some(path) {
            let help = normal(path).map_or("write where it leads, without `..`".to_owned(), |path| {
                format!("write it as `{}`", shorten(&path))
            });
            self.error(span, format!("`{}` is not written as it is", shorten(text)), help);
        } else if is_home || SHARED.contains(&path) || SYSTEM.iter().any(|folder| path.starts_with(folder)) {
            let message = format!("`{}` belongs to more than a package", shorten(text));
            let name = self.project.as_str();
            self.error(span, message, format!("use a folder that is all the package's own, such as `/opt/{name}`"));
        }
        path.to_owned()
    }

    /// Shell commands of a host.
    fn commands(&self, raw: Option<&Field<Vec<Field<RawText>>>>) -> Vec<crate::model::Text> {
        for (span, text) in given(raw).into_iter().flatten().filter_map(Field::located) {
            if text.0.reveal().trim().is_empty() {
                self.error(span, "the command is empty", "write a shell command, or take it out");
            }
        }
        self.texts(raw)
    }
}
