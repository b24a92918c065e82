//! `orch status`: what is recorded, held against what there is now. Needs no lock.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::{Probing, ask, observe};
use super::{OpError, Project, pins};
use crate::model::{Address, Observation};
use crate::report::StatusRow;
use crate::state::{LockHolder, State};

/// What `orch status` shows.
pub struct Status {
    /// A row for each instance of the file and of the state, by address.
    pub rows: Vec<StatusRow>,
    /// Who is changing the project right now.
    pub holder: Option<LockHolder>,
}

/// Looks at every instance of the file and of the state; those of `services` only, where any is named.
///
/// # Errors
/// When the state cannot be read, a backend cannot be asked, or a service is not known.
pub async fn status(project: &Project, services: &[String]) -> Result<Status, OpError> {
    let state = project.store.read()?;
    let key = project.key()?;
    let instances = project.instances(&key, &state, &pins::recorded(&state));
    let observers = project.observers(&key, &state);
    let listings = ask(&observers).await?;
    let observed = observe(&observers, listings, &instances, &state, &project.probe_env(), Probing::Once).await?;
    let chosen = choose(services, addresses(&state, instances.keys()))?;
    let nothing = Observation::default();
    let row = |address: Address| {
        let found = observed.get(&address).unwrap_or(&nothing);
        let record = state.records.get(&address);
        StatusRow::new(address, record, found)
    };
    let holder = project.store.peek_lock()?;
    Ok(Status { rows: chosen.into_iter().map(row).collect(), holder })
}

fn addresses<'a>(state: &'a State, wanted: impl Iterator<Item = &'a Address>) -> BTreeSet<Address> {
    state.records.keys().chain(state.pending.keys()).chain(wanted).cloned().collect()
}

/// The addresses that some names mean: a service's name means all of its instances.
///
/// # Errors
/// When a name means nothing.
pub(super) fn choose(names: &[String], known: BTreeSet<Address>) -> Result<Vec<Address>, OpError> {
    if names.is_empty() {
        return Ok(known.into_iter().collect());
    }
    let mut chosen = BTreeMap::new();
    for name in names {
        let before = chosen.len();
        let means = |address: &&Address| address.to_string() == *name || address.service.as_str() == name;
        chosen.extend(known.iter().filter(means).map(|address| (address.clone(), ())));
        if chosen.len() == before && !chosen.keys().any(|address| means(&address)) {
            return Err(unknown(name, &known));
        }
    }
    Ok(chosen.into_keys().collect())
}

/// The error for a name that means nothing, with the nearest one that does.
pub(super) fn unknown(name: &str, known: &BTreeSet<Address>) -> OpError {
    let names = known.iter().map(ToString::to_string);
    // Two letters swapped are one slip, in a short name too.
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(known, name);
    let nearest = names.map(|known| (likeness(&known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((likeness, known)) if likeness > 0.6 => format!("did you mean `{known}`?"),
        _ => "`orch status` lists the services".to_owned(),
    };
    OpError::request(format!("there is no service `{name}`, neither in the file nor in the state"), hint)
}
