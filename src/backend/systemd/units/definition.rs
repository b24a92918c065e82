//! What a slot consists of: files, and the units that they define.

use std::collections::BTreeMap;

use crate::model::{Digest, Text, UnitScope};

/// What a slot consists of. A path that begins with `~/` is below the home of the user who logs in.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// Whether the units are another's, to which files of orch's only add something.
    pub others: bool,
    /// The files, in the order in which they are put in place.
    pub pieces: Vec<Piece>,
    /// Folders that go with the slot when nothing else is in them.
    pub folders: Vec<String>,
    /// Every unit, for what they do.
    pub units: Vec<String>,
    /// The units that are started and stopped.
    pub start: Vec<String>,
    /// The units that are to start with the machine.
    pub enable: Vec<String>,
    /// The units that are not to.
    pub disable: Vec<String>,
}

/// A file of a slot.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its path.
    pub path: String,
    /// What is in it.
    pub body: Body,
    /// Its mode, `0o644`; of no meaning for a link.
    pub mode: u32,
    /// Its owner, `USER:GROUP`; whoever writes it where it is not given.
    pub owner: Option<String>,
}

/// What is in a file of a slot.
#[derive(Debug, Clone)]
pub enum Body {
    /// This text.
    Text(Text),
    /// What is in another file of the same machine.
    Copy {
        /// That file.
        from: String,
        /// What has to be in it.
        sha256: Digest,
    },
    /// Nothing: it is a symbolic link to this path.
    Link(String),
}

impl Piece {
    /// A file with this text, which only its owner reads where it may be secret.
    #[must_use]
    pub fn text(path: impl Into<String>, content: Text) -> Self {
        let mode = if content.is_sensitive() { 0o600 } else { 0o644 };
        Self { path: path.into(), body: Body::Text(content), mode, owner: None }
    }

    /// A symbolic link.
    #[must_use]
    pub fn link(path: impl Into<String>, to: impl Into<String>) -> Self {
        Self { path: path.into(), body: Body::Link(to.into()), mode: 0o777, owner: None }
    }

    /// The sha256 of what is in it; of a link, of where it leads.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match &self.body {
            Body::Text(text) => Digest::of(text.reveal().as_bytes()),
            Body::Copy { sha256, .. } => *sha256,
            Body::Link(to) => Digest::of(to.as_bytes()),
        }
    }
}

impl Definition {
    /// The digest of each of its files, for its stamp.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.pieces.iter().map(|piece| (piece.path.clone(), piece.digest())).collect()
    }

    /// The definition as the script takes it, item by item.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec!["base".to_owned(), if self.others { "others" } else { "own" }.to_owned()];
        for piece in &self.pieces {
            let owner = || piece.owner.clone().unwrap_or_else(|| "-".to_owned());
            let (mode, digest) = (format!("{:04o}", piece.mode), piece.digest().to_string());
            let path = piece.path.clone();
            words.extend(match &piece.body {
                Body::Text(text) => vec!["file".to_owned(), path, mode, owner(), digest, text.reveal().to_owned()],
                Body::Copy { from, .. } => vec!["copy".to_owned(), path, mode, owner(), digest, from.clone()],
                Body::Link(to) => vec!["link".to_owned(), path, digest, to.clone()],
            });
        }
        let lists = [
            ("dir", &self.folders),
            ("unit", &self.units),
            ("start", &self.start),
            ("enable", &self.enable),
            ("disable", &self.disable),
        ];
        for (kind, list) in lists {
            words.extend(list.iter().flat_map(|name| [kind.to_owned(), name.clone()]));
        }
        words
    }
}

/// Where a manager looks for the units that an administrator, or a user, adds.
#[must_use]
pub fn unit_folder(scope: UnitScope) -> &'static str {
    match scope {
        UnitScope::System => "/etc/systemd/system",
        UnitScope::User => "~/.config/systemd/user",
    }
}
