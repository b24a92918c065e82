//! What holds for any folder, and for any damage.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::Digest;
use crate::package::EntryKind;

/// A part of a path: ordinary names, and odd ones.
fn part() -> impl Strategy<Value = String> {
    let odd = "[^/\\x00-\\x1f\\x7f-\\u{9f}]{1,40}".prop_filter("no part of a path", |part| {
        part != "." && part != ".." && part != ".git" && !part.contains(char::is_control)
    });
    prop_oneof![3 => "[a-z]{1,3}", 1 => odd, 1 => "[a-z]{90,110}"]
}

/// Files by path, none of which stands below another.
fn files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let path = prop::collection::vec(part(), 1..4).prop_map(|parts| parts.join("/"));
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    prop::collection::btree_map(path, content, 0..12).prop_map(|files| {
        let paths: Vec<String> = files.keys().cloned().collect();
        let below = |path: &str| paths.iter().any(|other| path.starts_with(&format!("{other}/")));
        let taken = |path: &str| path.len() > 500 || path.starts_with("scripts/") || path.starts_with("manifest.yaml");
        files.into_iter().filter(|(path, _)| !below(path) && !taken(path)).collect()
    })
}

fn source(files: &BTreeMap<String, Vec<u8>>) -> Source {
    let source = Source::new(&[]);
    files.iter().for_each(|(path, content)| source.write(path, content));
    source
}

/// The paths of all that is no folder.
fn files_below(folder: &Path) -> BTreeSet<String> {
    let (mut todo, mut found) = (vec![folder.to_owned()], BTreeSet::new());
    while let Some(here) = todo.pop() {
        for path in std::fs::read_dir(here).unwrap().map(|item| item.unwrap().path()) {
            if path.symlink_metadata().unwrap().is_dir() {
                todo.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// A package with some of everything.
fn package() -> Vec<u8> {
    let source = Source::new(&[("bin/x", "#!/bin/sh\n"), ("lib/a", &"text ".repeat(900)), ("config/b", "c: d\n")]);
    std::os::unix::fs::symlink("a", source.path("lib/b")).unwrap();
    source.bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_packed_is_what_is_read(files in files()) {
        let source = source(&files);
        let built = source.build().unwrap();
        let contents = Archive::open(&built.path, &Limits::default()).unwrap();
        let found: BTreeMap<_, _> = contents.entries.iter().filter(|entry| entry.path != "manifest.yaml")
            .filter_map(|entry| Some((entry.path.clone(), entry.sha256?))).collect();
        let expected: BTreeMap<_, _> = files.iter().map(|(path, content)| (path.clone(), Digest::of(content))).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(contents.manifest.checksums, expected);
        prop_assert!(std::fs::read(&built.path).unwrap() == source.bytes());
    }

    #[test]
    fn a_damaged_package_never_passes_as_another(at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut bytes = package();
        let whole = open(&bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(contents) = open(&bytes) {
            // A bit that says nothing about the content, such as the time in the gzip header. Its digest tells.
            prop_assert_ne!(contents.sha256, whole.sha256);
            prop_assert_eq!(Contents { sha256: whole.sha256, ..contents }, whole);
        }
    }

    #[test]
    fn a_package_that_is_cut_off_never_passes(at in any::<prop::sample::Index>()) {
        let bytes = package();
        prop_assert!(open(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_damaged_tar_archive_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), sums in any::<bool>()) {
        let mut tar = Tar::new().pax(&[("path", "lib/x")]).file("x", "content").symlink("lib/y", "x").hard_link("z", "lib/x");
        let at = at.index(tar.0.len());
        tar.0[at] = byte;
        if sums {
            let block = at / 512 * 512;
            let mut header = Header::from_byte_slice(&tar.0[block..block + 512]).clone();
            header.set_cksum();
            tar.0[block..block + 512].copy_from_slice(header.as_bytes());
        }
        let archive = tempfile::NamedTempFile::new().unwrap();
        (&archive).write_all(&tar.gzip()).unwrap();
        if let Ok(contents) = Archive::open(archive.path(), &Limits::default()) {
            // What passes is unpacked alike by both programs, and nothing else is.
            for program in [&["tar", "-xzf"][..], &["busybox", "tar", "-xzf"]] {
                let (folder, _) = unpack(program, archive.path());
                let expected = contents.entries.iter().filter(|entry| entry.kind != EntryKind::Folder);
                let expected: BTreeSet<_> = expected.map(|entry| entry.path.clone()).collect();
                prop_assert_eq!(files_below(folder.path()), expected, "{:?}", program);
                for entry in contents.entries.iter().filter(|entry| entry.sha256.is_some()) {
                    let found = std::fs::read(folder.path().join(&entry.path)).unwrap();
                    prop_assert_eq!(Some(Digest::of(&found)), entry.sha256);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), text in "\\PC{0,200}") {
        prop_assert!(open(&bytes).is_err());
        prop_assert!(open(&gzip(&bytes)).is_err());
        let _ = Tar::default().file("manifest.yaml", &text).open();
    }
}
