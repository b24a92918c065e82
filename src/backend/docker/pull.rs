//! Gets images, with progress.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::connect::Engine;
use super::error::failed;
use super::flight::Flights;
use super::local::LocalImage;
use super::pins::parse;
use super::reference::{Reference, image_id};
use super::registry;
use crate::backend::{BackendError, ProgressSink};
use crate::event::Progress;
use crate::model::{DockerSpec, PullPolicy};

/// How often the bytes of a layer are told at most.
const PACE: Duration = Duration::from_millis(100);

/// The pulls of an engine that are under way.
#[derive(Default)]
pub(super) struct Pulls {
    flights: Flights<String, Result<(), BackendError>>,
    /// Everybody who waits for a pull hears how far it is.
    audience: Mutex<BTreeMap<String, BTreeMap<u64, ProgressSink>>>,
}

/// Makes the engine have the image that a pin stands for; what to make a container from, which is
/// the name in the file as long as that stands for the image.
///
/// Where the engine has the image, no registry is asked. It can be dropped at any time: what the
/// engine got by then it keeps, and the next one begins where that ends.
pub(super) async fn ensure(
    engine: &Engine,
    spec: &DockerSpec,
    pin: Option<&str>,
    progress: &ProgressSink,
) -> Result<String, BackendError> {
    let image = &spec.image;
    let named = LocalImage::find(engine, image).await?;
    if named.as_ref().is_some_and(|named| pin.is_none_or(|pin| named.is(pin))) {
        return Ok(image.clone());
    }
    if image_id(image).is_some() {
        return Err(gone(image, image));
    }
    let reference = parse(image)?;
    let pinned = match pin {
        Some(pin) => reference.at(pin),
        None => reference.to_string(),
    };
    let mut found = LocalImage::find(engine, &pinned).await?;
    if let (None, Some(pin)) = (&found, pin) {
        found = LocalImage::find(engine, pin).await?;
    }
    let found = match found {
        Some(found) => found,
        None if spec.pull_policy == PullPolicy::Never => return Err(gone(image, pin.unwrap_or(image))),
        None => {
            engine.pulls().pull(engine, &reference, &pinned, progress).await?;
            let found = LocalImage::find(engine, &pinned).await?;
            found.ok_or_else(|| BackendError::new(format!("the engine pulled {pinned} and does not have it")))?
        }
    };
    if let (None, Some(tag)) = (&reference.digest, &reference.tag) {
        // Under the other policies a tag that stands for something else was moved by hand since the
        // plan: that is a change, and moving it back would hide it from the next plan.
        let follows = matches!(spec.pull_policy, PullPolicy::Always | PullPolicy::Every(_));
        if named.is_none() || follows {
            let options = TagImageOptionsBuilder::default().repo(&reference.repository()).tag(tag).build();
            let tagged = engine.tag_image(found.id(), Some(options)).await;
            tagged.map_err(|error| failed(&format!("tag the image {pinned} as {image}"), &error))?;
            return Ok(image.clone());
        }
    }
    // By its id where the repository does not know it.
    match pin {
        Some(pin) if found.id() == pin => Ok(pin.to_owned()),
        _ => Ok(pinned),
    }
}

fn gone(image: &str, pin: &str) -> BackendError {
    let what = if pin == image { String::new() } else { format!(" as {pin}") };
    BackendError::new(format!("the engine does not have the image {image}{what}, it was removed or pruned"))
        .with_hint("pull, build or import it there again, and plan again")
}

impl Pulls {
    /// Pulls an image, or waits for whoever pulls it already.
    async fn pull(
        &self,
        engine: &Engine,
        reference: &Reference,
        pinned: &str,
        progress: &ProgressSink,
    ) -> Result<(), BackendError> {
        let _seat = self.listen(pinned, progress);
        let key = pinned.to_owned();
        self.flights.run(&key, self.pull_alone(engine, reference, pinned)).await
    }

    async fn pull_alone(&self, engine: &Engine, reference: &Reference, pinned: &str) -> Result<(), BackendError> {
        let login = engine.logins().of(&reference.domain).await;
        let doing = format!("pull {pinned}");
        let options = CreateImageOptionsBuilder::default().from_image(pinned).build();
        crate::crash_point!("docker.pull.before");
        let mut lines = engine.create_image(Some(options), None, login.credentials.clone());
        let mut reporter = Reporter::default();
        let mut begun = false;
        while let Some(line) = lines.next().await {
            let line = line.and_then(|line| match line.error_detail {
                Some(detail) => Err(Error::DockerStreamError { error: detail.message.unwrap_or_default() }),
                None => Ok(line),
            });
            let line = line.map_err(|error| {
                let told = registry::refused(&doing, &error, reference, &login);
                let hint = told.hint.clone().unwrap_or_default();
                match reference.digest {
                    Some(_) => told,
                    // A pin that is an image id looks like any other.
                    None => told.with_hint(format!(
                        "{hint}{}if no registry ever had the image, it was removed from the engine: make it again and plan again",
                        if hint.is_empty() { "" } else { "; " }
                    )),
                }
            })?;
            if let Some(progress) = reporter.told(reference, line) {
                let is_layer = progress.part.is_some();
                self.tell(pinned, &progress);
                if is_layer && !begun {
                    begun = true;
                    crate::crash_point!("docker.pull.layer");
                }
            }
        }
        crate::crash_point!("docker.pull.after");
        Ok(())
    }

    fn listen<'a>(&'a self, pinned: &str, progress: &ProgressSink) -> Seat<'a> {
        let mut audience = self.audience();
        let listeners = audience.entry(pinned.to_owned()).or_default();
        let number = listeners.last_key_value().map_or(0, |(number, _)| number + 1);
        listeners.insert(number, progress.clone());
        Seat { pulls: self, pinned: pinned.to_owned(), number }
    }

    fn tell(&self, pinned: &str, progress: &Progress) {
        let listeners: Vec<ProgressSink> =
            self.audience().get(pinned).into_iter().flat_map(BTreeMap::values).cloned().collect();
        for listener in listeners {
            listener.tell(progress.clone());
        }
    }

    fn audience(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<u64, ProgressSink>>> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the audience of a pull, free again when it is dropped.
struct Seat<'a> {
    pulls: &'a Pulls,
    pinned: String,
    number: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut audience = self.pulls.audience();
        if let Some(listeners) = audience.get_mut(&self.pinned) {
            listeners.remove(&self.number);
            if listeners.is_empty() {
                audience.remove(&self.pinned);
            }
        }
    }
}

/// Tells what is worth telling of a pull: every change of a status, and bytes at a pace.
#[derive(Default)]
struct Reporter(BTreeMap<Option<String>, (String, Instant)>);

impl Reporter {
    fn told(&mut self, reference: &Reference, line: CreateImageInfo) -> Option<Progress> {
        let status = line.status?;
        // Of this line the id is the tag or the digest, not a layer.
        let part = line.id.filter(|_| !status.starts_with("Pulling from"));
        let now = Instant::now();
        if let Some((before, at)) = self.0.get(&part)
            && *before == status
            && now.duration_since(*at) < PACE
        {
            return None;
        }
        self.0.insert(part.clone(), (status.clone(), now));
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let detail = line.progress_detail.unwrap_or_default();
        let (current, total) = (bytes(detail.current), bytes(detail.total).filter(|total| *total > 0));
        Some(Progress { what: reference.to_string(), part, status, current, total })
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn line(id: &str, status: &str, current: i64) -> CreateImageInfo {
        let detail = ProgressDetail { current: Some(current), total: Some(100), ..ProgressDetail::default() };
        CreateImageInfo {
            id: (!id.is_empty()).then(|| id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(detail),
            error_detail: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_change_of_a_layer_is_told_and_its_bytes_at_a_pace() {
        let (mut reporter, image) = (Reporter::default(), Reference::parse("localhost:5000/x:1").unwrap());
        let mut told = |id: &str, status: &str, current: i64| {
            let told = reporter.told(&image, line(id, status, current))?;
            Some((told.part.unwrap_or_default(), told.status, told.current))
        };
        let says = |part: &str, status: &str, current| Some((part.to_owned(), status.to_owned(), Some(current)));
        assert_eq!(told("1", "Pulling from x", 0), says("", "Pulling from x", 0), "the tag is no layer");
        assert_eq!(told("a", "Downloading", 1), says("a", "Downloading", 1));
        assert_eq!(told("a", "Downloading", 2), None);
        assert_eq!(told("b", "Downloading", 3), says("b", "Downloading", 3), "another layer");
        assert_eq!(told("a", "Extracting", 4), says("a", "Extracting", 4), "another status");
        tokio::time::advance(PACE).await;
        assert_eq!(told("a", "Extracting", 5), says("a", "Extracting", 5));
        assert_eq!(told("a", "Extracting", 6), None);
    }

    #[test]
    fn who_leaves_hears_no_more() {
        let pulls = Pulls::default();
        let heard = std::sync::Arc::new(Mutex::new(Vec::new()));
        let sink = |name: &'static str| {
            let heard = heard.clone();
            ProgressSink::new(move |_| heard.lock().unwrap().push(name))
        };
        let progress = Progress { what: "x".into(), part: None, status: "s".into(), current: None, total: None };
        let one = pulls.listen("x", &sink("one"));
        let other = pulls.listen("x", &sink("other"));
        let elsewhere = pulls.listen("y", &sink("elsewhere"));
        pulls.tell("x", &progress);
        drop(one);
        let third = pulls.listen("x", &sink("third"));
        pulls.tell("x", &progress);
        drop((other, third, elsewhere));
        pulls.tell("x", &progress);
        assert_eq!(*heard.lock().unwrap(), ["one", "other", "other", "third"]);
        assert!(pulls.audience().is_empty());
    }
}
