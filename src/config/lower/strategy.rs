//! How a change goes over the copies of a service.

use super::{Lowering, Target};
use crate::config::diagnostic::Diagnostic;
use crate::config::field::{Field, OneOrMany, Short, given};
use crate::config::raw::{RawAmount, RawService, RawStrategy};
use crate::config::source::Span;
use crate::model::{Amount, BackendKind, Strategy};

impl Lowering<'_> {
    /// A strategy; what makes no sense for the service is reported.
    pub(super) fn strategy(&self, raw: &RawService, backend: Option<BackendKind>) -> Option<Strategy> {
        let (span, short) = raw.strategy.as_ref().and_then(Field::located)?;
        let copies = raw.replicas.is_some() || !matches!(self.target, Target::Here | Target::One(_));
        let known = backend.is_some() && !matches!(self.target, Target::Wrong);
        let full = match short {
            Short::Short(sizes) => {
                if known && !copies {
                    self.no_copies(span, "max_parallel");
                }
                return Some(Strategy { max_parallel: self.sizes(span, sizes), ..Strategy::default() });
            }
            Short::Full(full) => full,
        };
        if known && !copies {
            for (key, span) in of_copies(full) {
                self.no_copies(span, key);
            }
        }
        if let (Some(field), true, Target::Here) = (&full.confirm, known, self.target) {
            let message = "`confirm` waits for a connection to a host, and this service has none";
            let help = "take the key away, or give the service a `host` or `hosts`";
            self.report.push(Diagnostic::error("config::strategy", message).at(field.span).help(help));
        }
        let usual = Strategy::default();
        Some(Strategy {
            max_parallel: match full.max_parallel.as_ref().and_then(Field::located) {
                Some((span, sizes)) => self.sizes(span, sizes),
                None => usual.max_parallel,
            },
            canary: self.in_range(full.canary.as_ref(), 0..=1000, 0),
            min_healthy_time: given(full.min_healthy_time.as_ref()).map_or(usual.min_healthy_time, |delay| delay.0),
            max_failures: given(full.max_failures.as_ref()).map_or(usual.max_failures, |amount| amount.0),
            pause: given(full.pause.as_ref()).map(|pause| pause.0),
            on_failure: given(full.on_failure.as_ref()).copied(),
            confirm: given(full.confirm.as_ref()).map(|period| period.0),
        })
    }

    fn sizes(&self, span: Span, sizes: &OneOrMany<RawAmount>) -> Vec<Amount> {
        if sizes.0.is_empty() {
            self.error(span, "no batch has a size", "write a number such as 1, or a list such as `[1, \"25%\"]`");
        }
        for (span, size) in sizes.0.iter().filter_map(Field::located) {
            if matches!(size.0, Amount::Count(0) | Amount::Percent(0)) {
                self.error(span, "a batch has at least one copy", "write a number from 1, or a part from `1%`");
            }
        }
        sizes.0.iter().filter_map(Field::get).map(|size| size.0).collect()
    }

    fn no_copies(&self, span: Span, key: &str) {
        let message = format!("`{key}` is about several copies, and this service has one");
        let help = "give it `hosts` or `replicas`, or take the key away";
        self.report.push(Diagnostic::error("config::strategy", message).at(span).help(help));
    }
}

/// The keys that are about several copies, with their places.
fn of_copies(raw: &RawStrategy) -> impl Iterator<Item = (&'static str, Span)> {
    let keys = [
        ("max_parallel", raw.max_parallel.as_ref().map(|field| field.span)),
        ("canary", raw.canary.as_ref().map(|field| field.span)),
        ("max_failures", raw.max_failures.as_ref().map(|field| field.span)),
        ("pause", raw.pause.as_ref().map(|field| field.span)),
        ("on_failure", raw.on_failure.as_ref().map(|field| field.span)),
    ];
    keys.into_iter().filter_map(|(key, span)| Some((key, span?)))
}
