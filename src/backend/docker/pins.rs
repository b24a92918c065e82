//! What images stand for now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;

use super::connect::{Engine, Engines};
use super::local::LocalImage;
use super::reference::{Reference, image_id};
use super::registry;
use crate::backend::{BackendError, PinAnswers};
use crate::model::{DockerSpec, Pins, PullPolicy, Service, Spec};
use crate::sys;

/// How many images are asked about at once.
const AT_ONCE: usize = 8;

/// What several services may ask the same of.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Question<'a> {
    host: Option<&'a str>,
    image: &'a str,
    policy: String,
}

/// An image that was found.
struct Found {
    pin: String,
    /// What else pins the very same image, as far as the engine has it.
    same: BTreeSet<String>,
}

/// Asks for each service, as [`Observer::pins`](crate::backend::Observer::pins) says: each image once,
/// several at a time.
pub(super) async fn pins(engines: &Engines, services: &[&Service], recorded: &Pins) -> PinAnswers {
    let mut questions: BTreeMap<Question<'_>, (&DockerSpec, Vec<&Service>)> = BTreeMap::new();
    for service in services {
        let Spec::Docker(spec) = &service.spec else { continue };
        let question =
            Question { host: spec.host.as_deref(), image: &spec.image, policy: spec.pull_policy.to_string() };
        questions.entry(question).or_insert_with(|| (spec, Vec::new())).1.push(service);
    }
    let asked: Vec<_> =
        questions.into_values().map(|(spec, services)| ask(engines, spec, services, recorded)).collect();
    let mut asked = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
    let mut answers = PinAnswers::new();
    while let Some((services, found)) = asked.next().await {
        for service in services {
            let answer = match &found {
                Ok(Found { pin, same }) => {
                    let kept = recorded.get(&service.name).filter(|recorded| same.contains(*recorded));
                    Ok(kept.unwrap_or(pin).clone())
                }
                Err(error) => Err(error.clone()),
            };
            answers.insert(service.name.clone(), answer);
        }
    }
    answers
}

/// Finds the image of services that ask the same.
async fn ask<'a>(
    engines: &Engines,
    spec: &DockerSpec,
    services: Vec<&'a Service>,
    recorded: &Pins,
) -> (Vec<&'a Service>, Result<Found, BackendError>) {
    let before = services.iter().filter_map(|service| recorded.get(&service.name));
    let before: BTreeSet<&str> = before.map(String::as_str).collect();
    let found = match engines.get(spec.host.as_deref()).await {
        Ok(engine) => find(&engine, spec, &before).await,
        Err(error) => Err(error),
    };
    (services, found)
}

async fn find(engine: &Engine, spec: &DockerSpec, recorded: &BTreeSet<&str>) -> Result<Found, BackendError> {
    let image = &spec.image;
    if let Some(id) = image_id(image) {
        let local = LocalImage::find(engine, &id).await?;
        let local = local.ok_or_else(|| absent(image, "an image id can only be one that the engine has"))?;
        return Ok(Found { pin: id, same: local.pins() });
    }
    let reference = parse(image)?;
    if let Some(digest) = &reference.digest {
        return Ok(Found { pin: digest.clone(), same: BTreeSet::new() });
    }
    if spec.pull_policy != PullPolicy::Always {
        let local = LocalImage::find(engine, image).await?;
        match (local, spec.pull_policy) {
            (None, PullPolicy::Never) => {
                return Err(absent(
                    image,
                    "its `pull_policy` is `never`: pull, build or import it there, or change the policy",
                ));
            }
            (Some(local), PullPolicy::Every(age)) if !is_younger(&local, age) => {}
            (Some(local), _) => return Ok(Found { pin: local.pin(&reference).to_owned(), same: local.pins() }),
            (None, _) => {}
        }
    }
    let pin = registry::digest(engine, &reference).await?;
    // Only where it could look like a change is it worth asking what the engine has.
    let differs = recorded.iter().any(|recorded| *recorded != pin);
    let local = if differs { LocalImage::find(engine, &reference.at(&pin)).await? } else { None };
    Ok(Found { pin, same: local.map(LocalImage::pins).unwrap_or_default() })
}

/// Reads the name of an image.
pub(super) fn parse(image: &str) -> Result<Reference, BackendError> {
    Reference::parse(image).map_err(|why| {
        BackendError::new(format!("`{image}` is no name of an image: {why}")).with_hint(
            "write it as `[REGISTRY/]REPOSITORY[:TAG]`, such as `postgres:16` or `registry.example.com/api:1.2`",
        )
    })
}

fn absent(image: &str, hint: &str) -> BackendError {
    BackendError::new(format!("the engine does not have the image {image}")).with_hint(hint)
}

fn is_younger(local: &LocalImage, age: Duration) -> bool {
    let Some(tagged) = local.tagged else { return false };
    // A clock of the engine that is ahead makes the image younger, not older.
    sys::now().duration_since(tagged).unsigned_abs() < age || tagged > sys::now()
}
