//! Futures that run side by side in one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A handful of futures that run side by side in one task and may borrow from it. Dropping it
/// cancels those that have not ended.
///
/// Each wake polls all of them, so it is for tens of futures and not for thousands.
pub(super) struct InFlight<'a, T>(Vec<Boxed<'a, T>>);

impl<'a, T> InFlight<'a, T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, future: impl Future<Output = T> + Send + 'a) {
        self.0.push(Box::pin(future));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What the next one to end gives. While there is none it never returns.
    pub(super) async fn next(&mut self) -> T {
        poll_fn(|context| {
            for index in 0..self.0.len() {
                if let Poll::Ready(value) = self.0[index].as_mut().poll(context) {
                    drop(self.0.swap_remove(index));
                    return Poll::Ready(value);
                }
            }
            Poll::Pending
        })
        .await
    }
}
