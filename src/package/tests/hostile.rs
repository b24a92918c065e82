//! Attacks, each in an archive of its own made byte by byte.

use super::*;
use crate::model::Digest;

#[track_caller]
fn refused(tar: Tar, problem: &str) {
    assert_eq!(tar.problems(), problem);
}

#[test]
fn names_that_lead_out() {
    refused(Tar::new().file("../x", ""), "`../x` has `..` in its path");
    refused(Tar::new().file("bin/../../x", ""), "`bin/../../x` has `..` in its path");
    refused(Tar::new().file("bin/..", ""), "`bin/..` has `..` in its path");
    refused(Tar::new().folder("../"), "`../` has `..` in its path");
    refused(Tar::new().file("/etc/cron.d/x", ""), "`/etc/cron.d/x` is an absolute path");
    refused(Tar::new().file(".//etc/x", ""), "`.//etc/x` has a part in its path that is empty or `.`");
}

#[test]
fn names_that_programs_read_differently() {
    refused(Tar::new().file("bin//x", ""), "`bin//x` has a part in its path that is empty or `.`");
    refused(Tar::new().file("bin/./x", ""), "`bin/./x` has a part in its path that is empty or `.`");
    refused(Tar::new().file("././x", ""), "`././x` has a part in its path that is empty or `.`");
    refused(Tar::new().file("bin/x/", ""), "`bin/x/` has a part in its path that is empty or `.`");
    refused(Tar::new().file("", ""), "`` has a part in its path that is empty or `.`");
    refused(Tar::new().file(".", ""), "`.` has a part in its path that is empty or `.`");
    refused(Tar::new().file("a\nb", ""), "`a\\nb` has a control character in its name");
    refused(Tar::new().file("a\u{9b}31m", ""), "`a\\u{9b}31m` has a control character in its name");
    let bytes = Tar::new().entry("x", b"", |header| header.as_old_mut().name[..2].copy_from_slice(&[0xff, 0xfe]));
    refused(bytes, "`\\u{fffd}\\u{fffd}` has a name that is not UTF-8");
    let long = "x".repeat(600);
    let problem = Tar::new().pax(&[("path", &long)]).file("x", "").problems();
    assert!(problem.ends_with("...` has a path of more than 512 bytes, or a part of more than 255"), "{problem}");
    let part = "y".repeat(300);
    assert!(Tar::new().pax(&[("path", &part)]).file("x", "").problems().contains("a part of more than 255"));
}

#[test]
fn extended_headers_are_no_way_around() {
    let evil = "../../etc/passwd";
    refused(Tar::new().pax(&[("path", evil)]).file("x", ""), "`../../etc/passwd` has `..` in its path");
    refused(Tar::new().extended(b'L', b"../../etc/passwd\0").file("x", ""), "`../../etc/passwd` has `..` in its path");
    // A program that does not know the extension would take the header's own name.
    refused(Tar::new().pax(&[("path", "fine")]).file(evil, ""), "`fine` has `..` in its path");
    refused(Tar::new().pax(&[("path", "fine")]).file("/etc/x", ""), "`fine` is an absolute path");
    refused(Tar::new().pax(&[("path", "a\0b")]).file("x", ""), "`a\\u{0}b` has a control character in its name");
    let link = "is a link that leads out of the package: ../../etc";
    refused(Tar::new().pax(&[("linkpath", "../../etc")]).symlink("l", "fine"), &format!("`l` {link}"));
    refused(Tar::new().pax(&[("linkpath", "fine")]).symlink("l", "../../etc"), &format!("`l` {link}"));
    refused(Tar::new().extended(b'K', b"../../etc\0").symlink("l", "fine"), &format!("`l` {link}"));
    let short = Tar::new().file("a", "").pax(&[("linkpath", "a")]).hard_link("l", "../../etc/passwd");
    refused(short, "`l` has `..` in its path");
    let twice = "the tar archive in it names an entry twice over";
    refused(Tar::new().pax(&[("path", "a"), ("path", "b")]).file("x", ""), twice);
    refused(Tar::new().pax(&[("path", "a")]).pax(&[("path", "b")]).file("x", ""), twice);
    refused(Tar::new().pax(&[("path", "a")]).extended(b'L', b"b").file("x", ""), twice);
    refused(Tar::new().extended(b'L', b"a").extended(b'L', b"b").file("x", ""), twice);
    refused(Tar::new().extended(b'L', b"a").pax(&[("path", "b")]).file("x", ""), twice);
    refused(Tar::new().pax(&[("path", "a")]), "the tar archive in it ends with an extended header");
    refused(
        Tar::new().extended(b'g', record("path", "../x").as_bytes()).file("x", ""),
        "the tar archive in it has an extended header for all its entries",
    );
    assert!(Tar::new().extended(b'g', record("comment", "a commit").as_bytes()).file("x", "").open().is_ok());
    refused(
        Tar::new().pax(&[("size", "4096")]).file("x", ""),
        "the tar archive in it gives a size in an extended header",
    );
    refused(
        Tar::new().pax(&[("SCHILY.xattr.security.capability", "cap_setuid=ep")]).file("x", ""),
        "the tar archive in it has an extended header with attributes that a package may not have",
    );
    let damaged = "the tar archive in it is damaged: an extended header cannot be read";
    for data in ["9 path=x", "99 path=x\n", "0 a=b\n", "-1 a=b\n", "6 ab\n", "x", "8 a=bcdef\n", " =\n", "3 \n"] {
        refused(Tar::new().extended(b'x', data.as_bytes()).file("x", ""), damaged);
    }
    let long = vec![b'a'; 100_000];
    refused(Tar::new().extended(b'L', &long), "the tar archive in it has an extended header that is too long");
}

#[test]
fn entries_that_are_there_twice() {
    refused(Tar::new().file("bin/x", "").file("bin/x", "other"), "`bin/x` is there twice");
    refused(Tar::new().file("bin/x", "").file("./bin/x", "other"), "`bin/x` is there twice");
    refused(Tar::new().folder("bin").symlink("bin", "config"), "`bin` is there twice");
    refused(Tar::new().file("manifest.yaml", "name: other\nversion: 2\n"), "`manifest.yaml` is there twice");
}

#[test]
fn links_that_lead_out() {
    let out = |name: &str, target: &str| format!("`{name}` is a link that leads out of the package: {target}");
    refused(Tar::new().symlink("l", "/etc"), &out("l", "/etc"));
    refused(Tar::new().symlink("l", "../x"), &out("l", "../x"));
    refused(Tar::new().symlink("a/b/l", "../../../x"), &out("a/b/l", "../../../x"));
    refused(Tar::new().symlink("l", "a/../../x"), &out("l", "a/../../x"));
    refused(Tar::new().symlink("l", ""), &out("l", ""));
    // Each is harmless alone: the second one is at the top when it goes up.
    let through = Tar::new().folder("a").symlink("a/top", "..").symlink("a/l", "top/../x");
    refused(through, &out("a/l", "top/../x"));
    let circle = Tar::new().symlink("a", "b").symlink("b", "a");
    let round = |name: &str, target: &str| format!("`{name}` is a link that leads round in a circle: {target}");
    refused(circle, &format!("{}\n{}", round("a", "b"), round("b", "a")));
    // Seen by a program that cuts the target short, another link leads out.
    let (deep, far) = ("d".repeat(99), format!("{}/e/x", "d".repeat(99)));
    let cut = Tar::new().symlink("l", "m/../../manifest.yaml").pax(&[("linkpath", &far)]).symlink("m", &deep);
    refused(cut, &out("l", "m/../../manifest.yaml"));
}

#[test]
fn what_stands_below_a_link_or_a_file() {
    let below = |name: &str, what: &str| format!("`{name}` stands below {what}, which is no folder");
    refused(Tar::new().folder("real").symlink("l", "real").file("l/x", ""), &below("l/x", "l"));
    refused(Tar::new().file("l/deep/x", "").symlink("l", "real"), &below("l/deep/x", "l"));
    refused(Tar::new().file("f", "").file("f/x", ""), &below("f/x", "f"));
    refused(Tar::new().file("f", "").hard_link("h", "f").file("h/x", ""), &below("h/x", "h"));
}

#[test]
fn hard_links_name_a_file_that_stands_before() {
    let no = |name: &str, target: &str| {
        format!("`{name}` is a hard link to {target}, which is no file that stands before it")
    };
    refused(Tar::new().hard_link("h", "later").file("later", ""), &no("h", "later"));
    refused(Tar::new().symlink("l", "manifest.yaml").hard_link("h", "l"), &no("h", "l"));
    refused(Tar::new().folder("d").hard_link("h", "d"), &no("h", "d"));
    refused(Tar::new().hard_link("h", "/etc/passwd"), "`h` is an absolute path");
    refused(Tar::new().hard_link("h", "../x"), "`h` has `..` in its path");
}

#[test]
fn what_is_no_file_folder_or_link() {
    for (flag, what) in [
        (b'3', "a character device"),
        (b'4', "a block device"),
        (b'6', "a named pipe"),
        (b'S', "a sparse file"),
        (b'7', "of an unknown kind"),
        (b'D', "of an unknown kind"),
        (b'M', "of an unknown kind"),
        (b'V', "of an unknown kind"),
        (b'N', "of an unknown kind"),
        (b'Z', "of an unknown kind"),
    ] {
        refused(
            Tar::new().kind("x", flag),
            &format!("`x` is {what}; a package holds files, folders and links to them"),
        );
    }
    let sparse = Tar::new().pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.name", "../x")]).file("x", "");
    refused(sparse, "the tar archive in it has a sparse file");
    let content = Tar::new().entry("x", b"x", |header| header.set_entry_type(EntryType::Directory));
    refused(content, "`x` is a folder and has content");
}

#[test]
fn bits_that_give_away_rights() {
    for mode in [0o4755, 0o2755, 0o1755, 0o6755] {
        refused(
            Tar::new().mode("bin/x", mode),
            &format!("`bin/x` has a set-uid, set-gid or sticky bit (mode {mode:o})"),
        );
    }
    refused(Tar::new().mode("bin/x", 0o777), "`bin/x` may be changed by every user of the host (mode 0777)");
    let folder = Tar::new().entry("tmp", b"", |header| {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o1777);
    });
    refused(folder, "`tmp` has a set-uid, set-gid or sticky bit (mode 1777)");
}

#[test]
fn headers_that_programs_read_differently() {
    let damaged = "the tar archive in it is damaged: the checksum of a header is wrong";
    let mut flipped = Tar::new();
    flipped.0[0] = b'M';
    refused(flipped, damaged);
    let no_magic = Tar::new().entry("x", b"", |header| header.as_mut_bytes()[257..265].fill(0));
    refused(no_magic, "the tar archive in it has headers that are neither of the ustar nor of the GNU form");
    let sparse_fields = Tar::new().entry("x", b"", |header| header.as_mut_bytes()[386] = b'1');
    refused(sparse_fields, "the tar archive in it has headers of GNU's incremental or sparse form");
    let size = "the tar archive in it is damaged: the size of an entry is no number";
    for field in [*b"\x80\0\0\0\0\0\0\0\0\0\x02\0", *b"-0000000001\0", *b"\0\0\0\0\0\0\0\0\0\0\0\0", *b"00000 00001\0"]
    {
        refused(Tar::new().entry("x", b"", |header| header.as_old_mut().size = field), size);
    }
    let huge = Tar::new().entry("x", b"", |header| header.as_old_mut().size = *b"77777777777\0");
    assert!(huge.problems().starts_with("it unpacks to more than 67108864 bytes"));
    let mode = Tar::new().entry("x", b"", |header| header.as_old_mut().mode = *b"rwxr-xr\0");
    refused(mode, "the tar archive in it is damaged: the mode of an entry is no number");
}

#[test]
fn what_stands_behind_the_end() {
    let trailing = "something follows after the end of the archive";
    let hidden = Tar::new().raw(&[0; 512]).file("../x", "");
    refused(hidden, trailing);
    refused(Tar::new().raw(&[0; 1024]).file("../x", ""), trailing);
    let twice = [Tar::new().gzip(), Tar::new().file("../x", "").gzip()].concat();
    assert_eq!(problems(open(&twice)), trailing);
    assert_eq!(problems(open(&[&Tar::new().gzip()[..], b"x"].concat())), trailing);
    let cut = "the tar archive in it is cut off";
    assert_eq!(problems(open(&gzip(&Tar::new().0))), cut);
    assert_eq!(problems(open(&gzip(&Tar::new().raw(&[0; 512]).0))), cut);
    assert_eq!(problems(open(&gzip(&Tar::new().0[..700]))), cut);
    assert!(problems(open(b"")).starts_with("it is no gzip file"));
    assert!(problems(open(b"PK\x03\x04 not a gzip file")).starts_with("it is no gzip file"));
}

#[test]
fn bombs_are_left_unread() {
    let small = Limits { any_ratio: 1 << 20, ..Limits::default() };
    let bomb = Tar::new().entry("bomb", &vec![0; 8 << 20], |_| {}).gzip();
    assert!(bomb.len() < 100_000);
    let most = bomb.len() as u64 * 200;
    let bomb = |limits: &Limits, bytes: &[u8]| problems(open_within(bytes, limits));
    let packed = Tar::new().entry("bomb", &vec![0; 64 << 20], |_| {}).gzip();
    assert!(bomb(&Limits::default(), &packed).starts_with("it unpacks to more than 67108864 bytes"), "{most}");
    let zeros = gzip(&Tar::new().raw(&vec![0; 8 << 20]).0);
    assert!(bomb(&small, &zeros).starts_with("it unpacks to more than"));
    let flat = Limits { unpacked: 4096, ..Limits::default() };
    assert!(bomb(&flat, &Tar::new().file("x", &"y".repeat(8000)).gzip()).contains("more than 4096 bytes"));
    let few = Limits { entries: 3, ..Limits::default() };
    let many = Tar::new().folder("a").folder("b").folder("c").gzip();
    assert_eq!(bomb(&few, &many), "it has more than 3 files, folders and links");
    let short = Limits { manifest: 10, ..Limits::default() };
    assert_eq!(bomb(&short, &Tar::new().gzip()), "`manifest.yaml` is larger than 10 bytes");
}

#[test]
fn following_links_has_an_end() {
    // Each link stands for the next one twice: two to the power of 40 steps.
    let mut links = Tar::new();
    for n in 0..40 {
        links = links.symlink(&format!("l{n}"), &format!("l{}/../l{}", n + 1, n + 1));
    }
    assert!(links.problems().contains("leads round in a circle"));
}

#[test]
fn checksums_are_held_against_every_file() {
    let manifest = |sums: &[(&str, &[u8])]| {
        let lines = sums.iter().map(|(path, content)| format!("  {path}: sha256:{}\n", Digest::of(content)));
        format!("{MANIFEST}checksums:\n{}", lines.collect::<String>())
    };
    let tar = |sums: &[(&str, &[u8])]| {
        Tar::default().file("manifest.yaml", &manifest(sums)).file("a", "one").file("b", "two")
    };
    assert!(tar(&[("a", b"one"), ("b", b"two")]).open().is_ok());
    let wrong = format!("`b` has the sha256 {}, and the manifest says {}", Digest::of(b"two"), Digest::of(b"2"));
    refused(tar(&[("a", b"one"), ("b", b"2")]), &wrong);
    refused(tar(&[("a", b"one")]), "`b` has no checksum in the manifest, where others have one");
    let missing = "has a checksum in the manifest, and is no file of the package";
    refused(tar(&[("a", b"one"), ("b", b"two"), ("c", b"")]), &format!("`c` {missing}"));
    let link = tar(&[("a", b"one"), ("b", b"two"), ("h", b"two"), ("l", b"two")]).hard_link("h", "b").symlink("l", "b");
    refused(link, &format!("`l` {missing}"));
    let itself = tar(&[("a", b"one"), ("b", b"two"), ("manifest.yaml", b"")]);
    refused(itself, &format!("`manifest.yaml` {missing}"));
}

#[test]
fn what_is_to_be_run_can_be_run() {
    let tar = || Tar::default().file("manifest.yaml", &format!("{MANIFEST}entry_point: bin/service\n"));
    refused(tar(), "`bin/service` is the entry point, and it is not there");
    refused(tar().mode("bin/service", 0o644), "`bin/service` is to be run, and is not executable (mode 0644)");
    refused(tar().folder("bin/service"), "`bin/service` is to be run, and is no file");
    assert!(tar().mode("lib/x", 0o755).symlink("bin/service", "../lib/x").open().is_ok());
    assert!(tar().mode("lib/x", 0o755).hard_link("bin/service", "lib/x").open().is_ok());
    refused(tar().symlink("bin/service", "nothing"), "`bin/service` is the entry point, and it is not there");
    refused(
        Tar::new().file("scripts/pre-start.sh", ""),
        "`scripts/pre-start.sh` is to be run, and is not executable (mode 0644)",
    );
    refused(
        Tar::new().mode("scripts/pre-start.sh", 0o755).mode("scripts/pre-start", 0o755),
        "`scripts/pre-start.sh` is there as `scripts/pre-start` too: a package has one of them",
    );
}

#[test]
fn a_manifest_is_needed_at_the_top() {
    refused(Tar::default().file("bin/x", ""), "there is no `manifest.yaml` at its top");
    refused(Tar::default().file("hello/manifest.yaml", MANIFEST), "there is no `manifest.yaml` at its top");
    refused(Tar::default().file("m", MANIFEST).symlink("manifest.yaml", "m"), "`manifest.yaml` is not a file");
    refused(Tar::default().folder("manifest.yaml"), "`manifest.yaml` is not a file");
    refused(
        Tar::default().file("manifest.yaml", "name: hello\n"),
        "`manifest.yaml` is wrong in line 1, column 1: the key `version` is missing",
    );
}

#[test]
fn every_problem_is_named_up_to_a_number() {
    let mut tar = Tar::default().file("../x", "").kind("fifo", b'6').mode("s", 0o4755);
    let lines = tar.problems();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    for n in 0..100 {
        tar = tar.kind(&format!("fifo{n}"), b'6');
    }
    let error = tar.open().unwrap_err();
    assert_eq!((error.problems().len(), error.more_problems()), (50, 54));
    assert!(error.to_string().ends_with("(and 103 more problems)"), "{error}");
}
