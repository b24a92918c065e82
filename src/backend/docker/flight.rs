//! Work that several ask for at once and that is done once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    fn entries(&self) -> MutexGuard<'_, BTreeMap<K, Arc<OnceCell<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn work_is_done_once_for_all_who_wait_and_anew_for_who_comes_later() {
        let (flights, done, go) = (Flights::default(), Cell::new(0), Notify::new());
        let work = || async {
            go.notified().await;
            done.set(done.get() + 1);
            done.get()
        };
        let together = async { tokio::join!(flights.run(&"a", work()), flights.run(&"a", work())) };
        let mut together = Box::pin(together);
        assert_eq!(together.as_mut().now_or_never(), None);
        go.notify_one();
        assert_eq!(together.await, (1, 1));
        go.notify_one();
        assert_eq!(flights.run(&"a", work()).await, 2);
        assert!(flights.entries().is_empty());
    }

    #[tokio::test]
    async fn who_waits_takes_over_from_who_is_cancelled() {
        let (flights, begun) = (Flights::default(), Cell::new(Vec::new()));
        let work = |name: &'static str, ends: bool| {
            let begun = &begun;
            async move {
                let mut names = begun.take();
                names.push(name);
                begun.set(names);
                if !ends {
                    std::future::pending::<()>().await;
                }
                name
            }
        };
        let mut first = Box::pin(flights.run(&1, work("first", false)));
        let mut second = Box::pin(flights.run(&1, work("second", true)));
        assert_eq!((first.as_mut().now_or_never(), second.as_mut().now_or_never()), (None, None));
        drop(first);
        assert_eq!(second.await, "second");
        assert_eq!(begun.take(), ["first", "second"]);
    }
}
