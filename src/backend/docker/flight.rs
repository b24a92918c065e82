//! Work that several ask for at once and that is done once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Work under way, by what it is for.
pub(super) struct Flights<K, T>(Mutex<BTreeMap<K, Arc<OnceCell<T>>>>);

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone, T: Clone> Flights<K, T> {
    /// Does the work, or waits for whoever does it already and gets the same outcome. When that one
    /// is cancelled, the next that waits does its own work. Nothing is kept once it is done: who asks
    /// later starts anew.
    pub(super) async fn run(&self, key: &K, work: impl Future<Output = T>) -> T {
        let cell = self.entries().entry(key.clone()).or_default().clone();
        let outcome = cell.get_or_init(|| work).await.clone();
        let mut entries = self.entries();
        if entries.get(key).is_some_and(|entry| Arc::ptr_eq(entry, &cell)) {
            entries.remove(key);
        }
        outcome
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, BTreeMap<K, Arc<OnceCell<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
