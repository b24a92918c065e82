//! What can be wrong with a package, in words.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::Digest;

/// How many problems are kept; the others are only counted.
const MOST: usize = 50;

/// The longest piece of a package's own text that a message repeats, in characters.
const MOST_SHOWN: usize = 120;

/// Why a package cannot be built or used.
#[derive(Debug, Error)]
pub enum PackageError {
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What orch was doing: `read`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The archive is damaged, unsafe, or not what its manifest says.
    #[error("the package {} is refused: {problems}", path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problems: Problems,
    },
    /// The package would be written into the folder that it is made of.
    #[error("the package {} would lie in {}, the folder that is packed", output.display(), folder.display())]
    OutputInside {
        /// The package.
        output: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be packed.
    #[error("no package can be made of {}: {problems}", path.display())]
    Unpackable {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problems: Problems,
    },
}

impl PackageError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// A package that is refused for one reason.
    #[must_use]
    pub fn refused(path: impl Into<PathBuf>, fault: Fault) -> Self {
        let mut problems = Problems::default();
        problems.push(None, fault);
        Self::Refused { path: path.into(), problems }
    }

    /// The same refusal with one more reason.
    #[must_use]
    pub fn and(mut self, fault: Fault) -> Self {
        if let Self::Refused { problems, .. } | Self::Unpackable { problems, .. } = &mut self {
            problems.push(None, fault);
        }
        self
    }

    /// What happened, without the problems.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Io { .. } | Self::OutputInside { .. } => self.to_string(),
            Self::Refused { path, .. } => format!("the package {} is refused", path.display()),
            Self::Unpackable { path, .. } => format!("no package can be made of {}", path.display()),
        }
    }

    /// Everything that is wrong with the package; none when it could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Io { .. } | Self::OutputInside { .. } => &[],
            Self::Refused { problems, .. } | Self::Unpackable { problems, .. } => &problems.list,
        }
    }

    /// How many problems there are beyond those that were kept.
    #[must_use]
    pub fn more_problems(&self) -> usize {
        match self {
            Self::Io { .. } | Self::OutputInside { .. } => 0,
            Self::Refused { problems, .. } | Self::Unpackable { problems, .. } => problems.more,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        // Advice that does not fit all that is wrong would mislead.
        let mut hints = self.problems().iter().map(|problem| problem.fault.hint());
        let special = hints.next().flatten().filter(|first| hints.all(|hint| hint == Some(first)));
        match (self, special) {
            (Self::Io { .. }, _) => None,
            (Self::OutputInside { .. }, _) => {
                Some("give `--output` with a place outside, or it would be a part of the next package".to_owned())
            }
            (_, Some(hint)) => Some(hint.to_owned()),
            (Self::Refused { .. }, None) => Some("`orch package build` makes packages without any of this".to_owned()),
            (Self::Unpackable { .. }, None) => Some("mend what is named, and build again".to_owned()),
        }
    }
}

/// The problems of a package: the first ones, and how many more there are.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn push(&mut self, entry: Option<&str>, fault: Fault) {
        if self.list.len() < MOST {
            self.list.push(Problem { entry: entry.map(shown), fault });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.list.first() {
            write!(f, "{first}")?;
        }
        match (self.list.len() + self.more).saturating_sub(1) {
            0 => Ok(()),
            1 => f.write_str(" (and one more problem)"),
            more => write!(f, " (and {more} more problems)"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, folder or link that it is about, made safe to show; `None` for the package as a whole.
    pub entry: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            Some(entry) => write!(f, "`{entry}` {}", self.fault),
            None => write!(f, "{}", self.fault),
        }
    }
}

/// What is wrong. Those that are about one entry read as a sentence behind its name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The file is no gzip file, or its content is not what was packed.
    #[error("it is no gzip file, or it is damaged or cut off: {0}")]
    Gzip(String),
    /// The tar archive in it is damaged, or written in a way that programs read differently.
    #[error("the tar archive in it {0}")]
    Tar(&'static str),
    /// Something follows after the archive, which some programs would unpack and others not.
    #[error("something follows after the end of the archive")]
    Trailing,
    /// It unpacks to more than is allowed.
    #[error("it unpacks to more than {most} bytes, the most that an archive of {packed} bytes may")]
    Bomb {
        /// The most bytes.
        most: u64,
        /// The size of the archive.
        packed: u64,
    },
    /// It has too many entries.
    #[error("it has more than {0} files, folders and links")]
    TooMany(usize),
    /// The archive is another one than was asked for.
    #[error("its sha256 is {found}, not {expected}")]
    Sha256 {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// A name begins at the root of the file system.
    #[error("is an absolute path")]
    Absolute,
    /// A name has `..` in it.
    #[error("has `..` in its path")]
    Parent,
    /// A name has a part that is empty or `.`.
    #[error("has a part in its path that is empty or `.`")]
    OddPart,
    /// A name is no text.
    #[error("has a name that is not UTF-8")]
    NotText,
    /// A name has a control character in it.
    #[error("has a control character in its name")]
    Control,
    /// A name is too long.
    #[error("has a path of more than {0} bytes, or a part of more than 255")]
    LongName(usize),
    /// An entry is there twice.
    #[error("is there twice")]
    Twice,
    /// An entry is something that a package may not hold.
    #[error("is {0}; a package holds files, folders and links to them")]
    Special(&'static str),
    /// A file gives whoever runs it another user's rights.
    #[error("has a set-uid, set-gid or sticky bit (mode {0:04o})")]
    SetId(u32),
    /// Everybody on the host could change the file.
    #[error("may be changed by every user of the host (mode {0:04o})")]
    WorldWritable(u32),
    /// A link or folder says that it has content.
    #[error("is {0} and has content")]
    Content(&'static str),
    /// A link leads out of the package.
    #[error("is a link that leads out of the package: {0}")]
    Escapes(String),
    /// Links lead to each other without end, or so often that nobody means it.
    #[error("is a link that leads round in a circle: {0}")]
    Circle(String),
    /// A hard link whose file does not stand before it.
    #[error("is a hard link to {0}, which is no file that stands before it")]
    NoTarget(String),
    /// Something stands below what is no folder.
    #[error("stands below {0}, which is no folder")]
    Below(String),
    /// There is no manifest.
    #[error("there is no `manifest.yaml` at its top")]
    NoManifest,
    /// The manifest is not a file.
    #[error("is not a file")]
    NotFile,
    /// The manifest is too large.
    #[error("is larger than {0} bytes")]
    LargeManifest(u64),
    /// The manifest is wrong at a place.
    #[error("is wrong in line {line}, column {column}: {message}")]
    Manifest {
        /// The line, from 1.
        line: usize,
        /// The column, in characters from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The entry point is not there.
    #[error("is the entry point, and it is not there")]
    NoEntryPoint,
    /// Something that is to be run is no file.
    #[error("is to be run, and is no file")]
    NotProgram,
    /// Something that is to be run may not be.
    #[error("is to be run, and is not executable (mode {0:04o})")]
    NotExecutable(u32),
    /// A script is there under both its names.
    #[error("is there as `{0}` too: a package has one of them")]
    TwoScripts(&'static str),
    /// A file is not what the manifest says.
    #[error("has the sha256 {found}, and the manifest says {expected}")]
    Checksum {
        /// What the manifest says.
        expected: Digest,
        /// What the file has.
        found: Digest,
    },
    /// A file is not in the manifest.
    #[error("has no checksum in the manifest, where others have one")]
    Unlisted,
    /// A file is in the manifest only.
    #[error("has a checksum in the manifest, and is no file of the package")]
    Missing,
    /// A file changed while it was packed.
    #[error("changed while it was packed")]
    Changed,
    /// The manifest of a folder says what the build writes.
    #[error("has `checksums`, which the build writes")]
    HasChecksums,
    /// The checksums cannot be added to the manifest.
    #[error("is written in a way that checksums cannot be added to")]
    CannotAdd,
}

impl Fault {
    /// What to do about it, where that is something special.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoManifest => {
                "`manifest.yaml` stands at the top of the archive, not in a folder in it: pack the content of the \
                 folder, as `orch package build DIR` does"
            }
            Self::SetId(_) | Self::WorldWritable(_) => "take the bits away with `chmod u-s,g-s,o-wt`",
            Self::NotExecutable(_) => "`chmod +x` makes it executable",
            Self::HasChecksums => "take `checksums` out of it",
            Self::CannotAdd => "write it as a block, one key on a line, beginning in the first column",
            Self::Sha256 { .. } => "get the package again, or ask whoever made it which digest is right",
            Self::Changed => "build again when nothing writes to the folder",
            _ => return None,
        })
    }
}

/// Text of a package made safe to show, on one line and of bounded length.
pub(super) fn shown(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars().take(MOST_SHOWN) {
        // Beyond ASCII only letters and digits are shown as they are: the others could hide or reorder text.
        if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() {
            safe.push(c)
        } else {
            safe.extend(c.escape_default())
        }
    }
    if text.chars().nth(MOST_SHOWN).is_some() {
        safe.push_str("...");
    }
    safe
}
