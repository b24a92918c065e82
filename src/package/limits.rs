//! What a package may cost whoever reads or unpacks it.

/// What a package may cost; what goes beyond is refused while it is read, before it is held or written anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that the archive may unpack to, headers and padding included.
    pub unpacked: u64,
    /// How many times its packed size an archive may unpack to; it counts only beyond [`Limits::any_ratio`].
    pub ratio: u64,
    /// So many bytes an archive may unpack to whatever its packed size is.
    pub any_ratio: u64,
    /// The most files, folders and links.
    pub entries: usize,
    /// The most bytes of the manifest. The checksums are in it: about 140 bytes for each file.
    pub manifest: u64,
    /// The most bytes of the name of a file, its folders included, and of the target of a link.
    pub path: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked: 4 << 30, ratio: 200, any_ratio: 64 << 20, entries: 100_000, manifest: 16 << 20, path: 512 }
    }
}

impl Limits {
    /// The most bytes that an archive of a packed size may unpack to.
    pub(super) fn unpacked_from(&self, packed: u64) -> u64 {
        packed.saturating_mul(self.ratio).max(self.any_ratio).min(self.unpacked)
    }
}
