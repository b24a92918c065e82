//! The builder: what it packs, what it leaves out, what it refuses.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;
use crate::package::{Entry, EntryKind, build};

fn hello() -> Source {
    let source = Source::new(&[
        ("bin/service", "#!/bin/sh\necho hello\n"),
        ("config/service.yaml", "port: 8080\n"),
        ("scripts/pre-start.sh", "#!/bin/sh\n"),
        ("lib/libcustom.so.1", "elf"),
        (&format!("lib/{}/{}", "a".repeat(120), "b".repeat(120)), "deep"),
        (".hidden", "packed too"),
        ("we ird/\"q\\uote'd\" # ü 🚀", "odd"),
    ]);
    source.write("manifest.yaml", "# mine\nname: hello\nversion: 1.0.0\nentry_point: bin/service");
    symlink("libcustom.so.1", source.path("lib/libcustom.so")).unwrap();
    symlink(format!("{}/{}", "a".repeat(120), "b".repeat(120)), source.path("lib/far")).unwrap();
    std::fs::create_dir(source.path("empty")).unwrap();
    source
}

#[test]
fn a_folder_is_packed_whole() {
    let source = hello();
    let built = source.build().unwrap();
    assert_eq!(built.path, source.home.path().join("hello-1.0.0.tar.gz"));
    let contents = Archive::open(&built.path, &Limits::default()).unwrap();
    assert_eq!((contents.sha256, contents.packed_bytes), (built.sha256, built.packed_bytes));
    let listed = listed(&contents);
    assert_eq!(listed.len(), 17, "{listed:#?}");
    assert_eq!(listed["bin/service"], "file 755 21");
    assert_eq!(listed["config/service.yaml"], "file 644 11");
    assert_eq!(listed["empty"], "folder 755 0");
    assert_eq!(listed["we ird/\"q\\uote'd\" # ü 🚀"], "file 644 3");
    let link = contents.entry("lib/libcustom.so").map(|entry: &Entry| &entry.kind);
    assert_eq!(link, Some(&EntryKind::Symlink { target: "libcustom.so.1".into() }));
    let files = contents.entries.iter().filter(|entry| entry.sha256.is_some() && entry.path != "manifest.yaml");
    assert!(files.clone().all(|entry| contents.manifest.checksums.get(&entry.path) == entry.sha256.as_ref()));
    assert_eq!(files.count(), contents.manifest.checksums.len());
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let (one, other) = (hello(), hello());
    let file = |source: &Source, path: &str| std::fs::File::options().write(true).open(source.path(path)).unwrap();
    file(&other, "bin/service").set_modified(std::time::UNIX_EPOCH).unwrap();
    other.mode("bin/service", 0o755);
    other.mode("config/service.yaml", 0o664);
    other.mode("lib", 0o700);
    // Another order in the folder: what was first is there last.
    let moved = other.home.path().join("aside");
    std::fs::rename(other.path("bin"), &moved).unwrap();
    std::fs::create_dir(other.path(".git")).unwrap();
    std::fs::rename(moved, other.path("bin")).unwrap();
    let bytes = one.bytes();
    assert!(bytes == other.bytes());
    assert!(bytes == one.bytes(), "built again over itself");
    // What gives these bytes is known: a change of them changes the digest of every package there is.
    insta::assert_snapshot!(one.build().unwrap().sha256.short(), @"d1a9c5709886");
    one.mode("config/service.yaml", 0o755);
    assert!(bytes != one.bytes());
}

#[test]
fn the_manifest_keeps_its_text_and_gets_checksums() {
    let source = Source::new(&[("bin/x", "")]);
    let text = "# Mine.\nname:   hello # here\nversion: \"1.0.0\"\ndescription: |\n  Two\n\n  lines.\n\n";
    source.write("manifest.yaml", text);
    let built = source.build().unwrap();
    let (folder, done) = unpack(&["tar", "-xzf"], &built.path);
    assert!(done);
    let packed = std::fs::read_to_string(folder.path().join("manifest.yaml")).unwrap();
    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(packed, format!("{text}checksums:\n  \"bin/x\": sha256:{sum}\n"));
    assert_eq!(std::fs::read_to_string(source.path("manifest.yaml")).unwrap(), text);
    for (text, problem) in [
        ("{name: a, version: 1}\n", "`manifest.yaml` is written in a way that checksums cannot be added to"),
        ("name: a\nversion: 1\n...\n", "`manifest.yaml` is written in a way that checksums cannot be added to"),
        (&*packed, "`manifest.yaml` has `checksums`, which the build writes"),
    ] {
        source.write("manifest.yaml", text);
        assert_eq!(problems(source.build()), problem);
    }
}

#[test]
fn tar_and_busybox_unpack_what_was_packed() {
    let source = hello();
    let built = source.build().unwrap();
    for program in [&["tar", "-xzf"][..], &["busybox", "tar", "-xzf"]] {
        let (folder, done) = unpack(program, &built.path);
        assert!(done, "{program:?}");
        let contents = Archive::open(&built.path, &Limits::default()).unwrap();
        for entry in &contents.entries {
            let path = folder.path().join(&entry.path);
            let found = std::fs::symlink_metadata(&path).unwrap();
            match &entry.kind {
                EntryKind::Symlink { target } => {
                    assert_eq!(std::fs::read_link(&path).unwrap(), PathBuf::from(target));
                }
                EntryKind::Folder => assert!(found.is_dir()),
                _ => {
                    assert_eq!(found.permissions().mode() & 0o100, entry.mode & 0o100, "{}", entry.path);
                    let digest = crate::model::Digest::of(&std::fs::read(&path).unwrap());
                    assert_eq!(Some(digest), entry.sha256, "{}", entry.path);
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_packed_is_named_all_at_once() {
    let source = Source::new(&[("bin/x", ""), ("scripts/post-start", "")]);
    source.write("manifest.yaml", "name: hello\nversion: 1\nentry_point: bin/service\n");
    source.mode("bin/x", 0o4755);
    source.mode("scripts/post-start", 0o644);
    symlink("/etc/passwd", source.path("absolute")).unwrap();
    symlink("../../x", source.path("bin/out")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        source.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _listener = UnixListener::bind(source.path("socket")).unwrap();
    std::fs::create_dir(source.path("a\tb")).unwrap();
    use std::os::unix::ffi::OsStrExt as _;
    std::fs::create_dir(source.folder().join(std::ffi::OsStr::from_bytes(b"\xff"))).unwrap();
    let mut lines: Vec<_> = problems(source.build()).lines().map(str::to_owned).collect();
    lines.sort();
    insta::assert_debug_snapshot!(lines, @r#"
    [
        "`\\u{fffd}` has a name that is not UTF-8",
        "`a\\tb` has a control character in its name",
        "`absolute` is a link that leads out of the package: /etc/passwd",
        "`bin/out` is a link that leads out of the package: ../../x",
        "`bin/service` is the entry point, and it is not there",
        "`bin/x` has a set-uid, set-gid or sticky bit (mode 4755)",
        "`pipe` is a named pipe; a package holds files, folders and links to them",
        "`scripts/post-start` is to be run, and is not executable (mode 0644)",
        "`socket` is a socket; a package holds files, folders and links to them",
    ]
    "#);
    assert_eq!(std::fs::read_dir(source.home.path()).unwrap().count(), 1, "something was left");
}

#[test]
fn a_manifest_is_needed() {
    let source = Source::new(&[]);
    std::fs::remove_file(source.path("manifest.yaml")).unwrap();
    assert_eq!(problems(source.build()), "there is no `manifest.yaml` at its top");
    source.write("manifest.yaml", "");
    assert_eq!(problems(source.build()), "`manifest.yaml` is wrong in line 1, column 1: it is empty");
    source.write("manifest.yaml", "name: hello\nversion: 1 2\n");
    assert!(problems(source.build()).contains("is wrong in line 2, column 10: `1 2` is no version"));
    std::fs::remove_file(source.path("manifest.yaml")).unwrap();
    symlink("m", source.path("manifest.yaml")).unwrap();
    assert!(problems(source.build()).contains("`manifest.yaml` is not a file"));
    let nowhere = build(Path::new("/nowhere"), None, Path::new("/tmp"), &Limits::default()).unwrap_err();
    assert!(nowhere.to_string().starts_with("cannot read /nowhere"), "{nowhere}");
}

#[test]
fn what_is_at_the_output_is_replaced_whole_or_not_at_all() {
    let source = Source::new(&[("bin/x", "")]);
    let output = source.home.path().join("out.tar.gz");
    let build = || build(&source.folder(), Some(&output), Path::new("/nowhere"), &Limits::default());
    build().unwrap();
    let before = std::fs::read(&output).unwrap();
    source.mode("bin/x", 0o4755);
    assert!(build().is_err());
    assert!(std::fs::read(&output).unwrap() == before);
    source.mode("bin/x", 0o755);
    source.write("bin/x", "more");
    build().unwrap();
    assert!(std::fs::read(&output).unwrap() != before);
    let names = std::fs::read_dir(source.home.path()).unwrap().count();
    assert_eq!(names, 2, "something was left");
}

#[test]
fn a_package_in_its_own_folder_is_refused() {
    let source = Source::new(&[("bin/x", "")]);
    for output in ["p.tar.gz", "bin/p.tar.gz", "../source/p.tar.gz"] {
        let output = source.path(output);
        let error = build(&source.folder(), Some(&output), Path::new("/"), &Limits::default()).unwrap_err();
        assert!(matches!(error, PackageError::OutputInside { .. }), "{error}");
        assert!(error.hint().unwrap().contains("--output"));
    }
}

#[test]
fn what_no_reader_would_take_is_not_built() {
    let source = Source::new(&[]);
    source.write("lib/zeros", vec![0; 65 << 20]);
    let problem = problems(source.build());
    assert!(problem.starts_with("it unpacks to more than 67108864 bytes"), "{problem}");
    assert_eq!(std::fs::read_dir(source.home.path()).unwrap().count(), 1, "something was left");
}
