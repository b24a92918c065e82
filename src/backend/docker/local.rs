//! Images that an engine has.

use std::collections::BTreeSet;

use bollard::models::ImageInspect;
use jiff::Timestamp;

use super::connect::Engine;
use super::error::{failed, is_missing};
use super::reference::Reference;
use crate::backend::BackendError;

/// An image that an engine has.
#[derive(Debug, Clone)]
pub(super) struct LocalImage {
    id: String,
    /// The repositories that it came from or went to, and its digest there.
    digests: BTreeSet<(String, String)>,
    /// When the engine last gave it a tag; `None` for never.
    pub(super) tagged: Option<Timestamp>,
}

impl LocalImage {
    /// What an engine has under a name, a digest or an id.
    pub(super) async fn find(engine: &Engine, name: &str) -> Result<Option<Self>, BackendError> {
        match engine.inspect_image(name).await {
            Ok(found) => Ok(Some(Self::read(found))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(&format!("look at the image {name}"), &error)),
        }
    }

    /// Reads what the engine says of an image.
    pub(super) fn read(found: ImageInspect) -> Self {
        let digest = |known: &String| {
            let known = Reference::parse(known).ok()?;
            Some((known.repository(), known.digest?))
        };
        let tagged = found.metadata.and_then(|metadata| metadata.last_tag_time);
        let tagged = tagged.and_then(|time| time.parse::<Timestamp>().ok());
        Self {
            id: found.id.unwrap_or_default(),
            digests: found.repo_digests.iter().flatten().filter_map(digest).collect(),
            tagged: tagged.filter(|time| *time > Timestamp::UNIX_EPOCH),
        }
    }

    /// Whether a pin stands for this very image. A digest is of the content, so it does not matter in
    /// which repository the image has it.
    pub(super) fn is(&self, pin: &str) -> bool {
        self.id == pin || self.digests.iter().any(|(_, digest)| digest == pin)
    }

    /// What pins it: its digest in the repository, or its id where the repository is not known to
    /// have it.
    pub(super) fn pin(&self, reference: &Reference) -> &str {
        let repository = reference.repository();
        let own = self.digests.iter().find(|(of, _)| *of == repository);
        own.map_or(&self.id, |(_, digest)| digest)
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Everything that pins it.
    pub(super) fn pins(self) -> BTreeSet<String> {
        let mut pins: BTreeSet<String> = self.digests.into_iter().map(|(_, digest)| digest).collect();
        pins.insert(self.id);
        pins
    }
}
