//! One block of 512 bytes at the head of each entry of a tar archive.
//!
//! It is read strictly: what one program may read in another way than the next one is refused, for the
//! archive is checked here and unpacked by a program that orch does not choose.

use super::problem::Fault;

/// The size of a block, of which a tar archive is made.
pub(super) const BLOCK: usize = 512;

/// What the head of an entry says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The name, without the end that an extended header may hold.
    pub(super) name: Vec<u8>,
    /// The target of a link.
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) flag: u8,
}

impl Header {
    /// Reads a block. The error is one after which nothing behind it can be read either.
    pub(super) fn read(block: &[u8; BLOCK]) -> Result<Self, Fault> {
        let sum =
            block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) });
        if octal(&block[148..156]) != Some(sum.sum()) {
            return Err(Fault::Tar("is damaged: the checksum of a header is wrong"));
        }
        let mut name = text(&block[..100]);
        match &block[257..265] {
            b"ustar\x0000" => {
                let prefix = text(&block[345..500]);
                if !prefix.is_empty() {
                    name = [&prefix[..], b"/", &name].concat();
                }
                if block[500..].iter().any(|byte| *byte != 0) {
                    return Err(Fault::Tar("has headers of an unknown form"));
                }
            }
            // GNU's own fields stand where others look for the beginning of the name.
            b"ustar  \0" if block[345..].iter().all(|byte| *byte == 0) => {}
            b"ustar  \0" => return Err(Fault::Tar("has headers of GNU's incremental or sparse form")),
            _ => return Err(Fault::Tar("has headers that are neither of the ustar nor of the GNU form")),
        }
        let size = octal(&block[124..136]).ok_or(Fault::Tar("is damaged: the size of an entry is no number"))?;
        let mode = octal(&block[100..108]).and_then(|mode| u32::try_from(mode & 0o7777).ok());
        let mode = mode.ok_or(Fault::Tar("is damaged: the mode of an entry is no number"))?;
        // Owners, times and device numbers are not used, but a program may stop where they are no numbers.
        if [108..116, 116..124, 136..148, 329..337, 337..345].into_iter().any(|field| !is_number(&block[field])) {
            return Err(Fault::Tar("is damaged: a field of a header is no number"));
        }
        Ok(Self { name, link: text(&block[157..257]), mode, size, flag: block[156] })
    }
}

/// The text of a field, which ends at the first NUL.
fn text(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// Whether a field is a number of any form: octal, nothing, or binary as its first bit says.
fn is_number(field: &[u8]) -> bool {
    octal(field).is_some() || field.iter().all(|byte| *byte == 0) || matches!(field[0], 0x80 | 0xff)
}

/// An octal number with spaces before it, and spaces or NULs behind it.
fn octal(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|byte| *byte != b' ')?;
    let digits: Vec<u8> = field[start..].iter().copied().take_while(|byte| matches!(byte, b'0'..=b'7')).collect();
    let rest = &field[start + digits.len()..];
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 8 + u64::from(digit - b'0')))
}
