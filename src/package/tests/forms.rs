//! The forms of archives that are taken: what `tar` of this or that system writes.

use super::*;
use crate::package::{EntryKind, Script};

#[test]
fn a_package_made_by_hand_is_read() {
    let contents = Tar::new()
        .folder("bin/")
        .mode("bin/service", 0o755)
        .folder("config")
        .file("config/service.yaml", "a: 1\n")
        .mode("scripts/pre-start.sh", 0o755)
        .mode("scripts/health-check", 0o700)
        .file("lib/libcustom.so.1", "elf")
        .symlink("lib/libcustom.so", "libcustom.so.1")
        .hard_link("bin/alias", "bin/service")
        .open()
        .unwrap();
    insta::assert_debug_snapshot!(listed(&contents), @r#"
    {
        "bin": "folder 755 0",
        "bin/alias": "hard link 644 0",
        "bin/service": "file 755 10",
        "config": "folder 755 0",
        "config/service.yaml": "file 644 5",
        "lib/libcustom.so": "symbolic link 644 0",
        "lib/libcustom.so.1": "file 644 3",
        "manifest.yaml": "file 644 27",
        "scripts/health-check": "file 700 10",
        "scripts/pre-start.sh": "file 755 10",
    }
    "#);
    assert_eq!(contents.unpacked_bytes, 10 + 5 + 3 + 27 + 10 + 10);
    assert_eq!(contents.entry("lib/libcustom.so.1").unwrap().sha256, Some(crate::model::Digest::of(b"elf")));
    assert_eq!(contents.script(Script::PreStart), Some("scripts/pre-start.sh"));
    assert_eq!(contents.script(Script::HealthCheck), Some("scripts/health-check"));
    assert_eq!(contents.script(Script::PostStart), None);
    assert!(contents.manifest.checksums.is_empty());
}

#[test]
fn a_leading_dot_is_what_tar_of_a_folder_writes() {
    let contents =
        Tar::default().folder("./").file("./manifest.yaml", MANIFEST).folder("./bin/").file("./bin/x", "").open();
    let contents = contents.unwrap();
    assert_eq!(listed(&contents).into_keys().collect::<Vec<_>>(), ["bin", "bin/x", "manifest.yaml"]);
}

#[test]
fn long_names_of_either_form_are_honoured() {
    let long = format!("lib/{}/x", "d".repeat(150));
    let target = format!("{}/x", "d".repeat(150));
    let forms = [
        Tar::new().extended(b'L', format!("{long}\0").as_bytes()).file(&long[..100], "content"),
        Tar::new().pax(&[("path", &long), ("mtime", "1.5"), ("uid", "7")]).file("whatever", "content"),
        // The prefix of the ustar form.
        Tar::new().entry("x", b"content", |header| {
            *header = ustar_of(header);
            let ustar = header.as_ustar_mut().unwrap();
            ustar.prefix[..long.len() - 2].copy_from_slice(&long.as_bytes()[..long.len() - 2]);
        }),
    ];
    for form in forms {
        let contents = form.open().unwrap();
        assert_eq!(contents.entry(&long).unwrap().size, 7);
    }
    let links = [
        Tar::new().extended(b'K', format!("{target}\0").as_bytes()).symlink("lib/l", &target[..100]),
        Tar::new().pax(&[("linkpath", &target)]).symlink("lib/l", ""),
    ];
    for form in links {
        let contents = form.open().unwrap();
        assert_eq!(contents.entry("lib/l").unwrap().kind, EntryKind::Symlink { target: target.clone() });
    }
}

#[test]
fn links_are_followed_as_a_kernel_does() {
    let inside = Tar::new()
        .file("releases/1/bin/run", "")
        .symlink("current", "releases/1")
        .symlink("bin", "current/bin")
        .symlink("up", "current/../../manifest.yaml")
        .symlink("nowhere", "not/there")
        .symlink("top", ".");
    assert_eq!(inside.open().unwrap().entries.len(), 7);
    // `current/..` is `releases`, not the top: two more steps up are one too many.
    let outside = inside.symlink("out", "current/../../../x");
    assert_eq!(outside.problems(), "`out` is a link that leads out of the package: current/../../../x");
}

#[test]
fn what_tar_and_busybox_write_is_taken() {
    let source = Source::new(&[("bin/x", "#!/bin/sh\n"), (&format!("lib/{}/{}", "a".repeat(90), "b".repeat(90)), "z")]);
    for program in [
        &["tar", "--format=gnu", "-czf"][..],
        &["tar", "--format=pax", "-czf"],
        &["tar", "--format=ustar", "-czf"],
        &["busybox", "tar", "-czf"],
    ] {
        let archive = source.home.path().join("by-hand.tar.gz");
        pack(program, &archive, &source.folder());
        let contents = Archive::open(&archive, &Limits::default()).unwrap();
        assert_eq!(contents.entries.len(), 6, "{program:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the archives of other programs are what is tested")]
fn pack(program: &[&str], archive: &Path, folder: &Path) {
    let mut command = std::process::Command::new(program[0]);
    let status = command.args(&program[1..]).arg(archive).arg("-C").arg(folder).arg(".").status().unwrap();
    assert!(status.success());
}

/// The same header in the ustar form.
fn ustar_of(header: &Header) -> Header {
    let mut ustar = Header::new_ustar();
    ustar.as_mut_bytes()[..257].copy_from_slice(&header.as_bytes()[..257]);
    ustar
}
