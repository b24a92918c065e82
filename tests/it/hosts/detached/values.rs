//! What a program is given arrives as it was given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use orch::model::{LogPolicy, ObjectState, Place, RemoteSpec, RestartMode, Text};

use super::{Bench, context, exited, instance, shell, shells};

const HOSTILE: [&str; 11] =
    ["", " ", "a b", "it's", "\"$(touch /tmp/orch-hostile)\"", "`id`;\n$HOME\\", "ünï😀", "-n", "!x", "%s\t*", "\n\n"];

#[tokio::test]
async fn arguments_and_variables_arrive_byte_for_byte_under_every_shell() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        let mut spec = RemoteSpec::new(Place::Here, Text::plain("sleep"));
        spec.args.push(Text::sensitive("1000"));
        spec.env = (0..).map(|n| format!("V_{n}")).zip(HOSTILE.map(Text::sensitive)).collect();
        for name in ["user", "uid", "folder", "slot", "mark", "part", "PATH", "TZ"] {
            spec.env.insert(name.to_owned(), Text::plain(format!("/usr/bin:/bin:{name}")));
        }
        for name in ["UID", "IFS", "PPID", "RANDOM"] {
            spec.env.insert(name.to_owned(), Text::plain("7"));
        }
        bench.create("run.1", spec.clone()).await;
        let pid = bench.until("it sleeps", |object| {
            let comm = object.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
            comm.as_deref() == Some("sleep\n")
        });
        let pid = pid.await.pid.unwrap();
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environ: BTreeMap<String, String> = environ
            .split(|byte| *byte == 0)
            .filter_map(|entry| str::from_utf8(entry).unwrap().split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in &spec.env {
            assert_eq!(environ.get(name).map(String::as_str), Some(value.reveal()), "{interpreter}: {name}");
        }
        assert_eq!(environ["ORCH_OP_ID"], "run.1");
        assert_eq!(environ["ORCH_ADDRESS"], "web");
        assert!(environ["HOME"].starts_with('/') && environ["LANG"] == "C.UTF-8", "{environ:?}");
        let expected = ["USER", "LOGNAME", "HOME", "SHELL", "LANG", "ORCH_SERVICE", "ORCH_ADDRESS", "ORCH_OP_ID"];
        let others = expected.iter().copied().chain(["ORCH_OBJECT", "PWD", "OLDPWD", "SHLVL", "_"]);
        let known: Vec<&str> = spec.env.keys().map(String::as_str).chain(others).collect();
        assert!(environ.keys().all(|name| known.contains(&name.as_str())), "{environ:?}");
        // No signal is ignored or blocked: a shell does both to what it starts in the background.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        for field in ["SigBlk:\t", "SigIgn:\t"] {
            let own = std::fs::read_to_string("/proc/self/status").unwrap();
            let of = |text: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap().to_owned();
                u64::from_str_radix(&line, 16).unwrap()
            };
            // SIGPIPE is ignored in a program of Rust, but not in what it starts. Those above 31 are the C library's.
            let inherited = of(&own) & !(1 << 12);
            assert_eq!(of(&status) & !inherited & 0x7fff_ffff, 0, "{interpreter}: {field}");
        }
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), PathBuf::from("/"));
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let mut open: Vec<_> = open.map(|fd| (fd.file_name(), std::fs::read_link(fd.path()).unwrap())).collect();
        // What whoever runs the tests has left open for everything below it is not the keeper's.
        open.retain(|(fd, link)| {
            std::fs::read_link(PathBuf::from("/proc/self/fd").join(fd)).ok().as_ref() != Some(link)
        });
        open.retain(|(fd, _)| !["0", "1", "2"].contains(&fd.to_str().unwrap()));
        assert_eq!(open, [], "{interpreter}");
        bench.remove().await;
    }
    assert!(!PathBuf::from("/tmp/orch-hostile").exists());
}

#[tokio::test]
async fn arguments_are_not_changed_on_their_way() {
    for interpreter in shells() {
        let bench = Bench::with(interpreter, LogPolicy::default());
        let mut spec = shell("for value; do printf '<%s>' \"$value\"; done; echo; echo end >&2");
        spec.args.push(Text::plain("sh"));
        spec.args.extend(HOSTILE.map(Text::sensitive));
        spec.restart.mode = RestartMode::Never;
        bench.create("run.1", spec).await;
        bench.until("it ends", |object| object.state == ObjectState::Exited(exited(0))).await;
        let expected: String = HOSTILE.iter().map(|value| format!("<{value}>")).collect();
        bench.until_logged("end").await;
        assert_eq!(bench.log(), format!("{expected}\nend\n"), "{interpreter}");
        bench.remove().await;
    }
}

#[tokio::test]
async fn a_secret_in_a_variable_that_shells_keep_is_refused() {
    let bench = Bench::new();
    let mut spec = shell("exec sleep 1000");
    spec.env.insert("UID".to_owned(), Text::sensitive("hush"));
    let error = bench.detached.create(&context("run.1"), &bench.slot, &instance(spec)).await.unwrap_err();
    assert!(error.message.contains("UID") && !error.message.contains("hush") && error.hint.is_some(), "{error}");
    assert!(!bench.folder().exists());
}
