//! A definition in the place of another one, and what stands in its way.

use orch::model::{Digest, ObjectState, Place, RemoteSpec, Text, Upload};

use super::{Bench, context, instance, shell};

#[tokio::test]
async fn a_switch_is_taken_back_by_the_same_path() {
    let bench = Bench::new();
    let upload = bench.store.with_extension("program");
    let target = bench.store.with_extension("d").join("bin/web");
    let spec = |text: &str| {
        std::fs::write(&upload, format!("#!/bin/sh\necho {text} \"$1\"\nexec sleep 1000\n")).unwrap();
        let content = Some(Digest::of(&std::fs::read(&upload).unwrap()));
        RemoteSpec {
            upload: Some(Upload { path: upload.clone(), content }),
            args: vec![Text::plain(format!("of {text}"))],
            ..RemoteSpec::new(Place::Here, Text::plain(target.to_str().unwrap()))
        }
    };
    let (one, two) = (instance(spec("one")), spec("two"));
    spec("one");
    let two = instance(two);
    bench.detached.create(&context("run.1"), &bench.slot, &one).await.unwrap();
    bench.until_logged("one of one").await;
    let first = bench.look().await;
    assert_eq!((first.revision, first.drift.len()), (one.revision, 0));
    spec("two");
    bench.detached.switch(&context("run.2"), &bench.slot, &two).await.unwrap();
    bench.until_logged("two of two").await;
    let second = bench.until("it runs", |object| object.state == ObjectState::Running).await;
    assert_eq!((second.op_id.as_str(), second.revision), ("run.2", two.revision));
    assert_ne!(second.incarnation, first.incarnation);

    bench.detached.revert(&context("run.2"), &bench.slot).await.unwrap();
    let back = bench.until("it runs", |object| object.state == ObjectState::Running).await;
    assert_eq!((back.op_id.as_str(), back.revision, back.drift.len()), ("run.1", one.revision, 0));
    bench.until("the old program", |_| bench.log().ends_with("one of one\n")).await;
    // Once more, as after a crash: it is back already.
    bench.detached.revert(&context("run.2"), &bench.slot).await.unwrap();
    assert_eq!(bench.look().await.incarnation, back.incarnation);

    std::fs::write(&target, "#!/bin/sh\n").unwrap();
    let edited = bench.look().await;
    assert_eq!(edited.drift[0].detail, format!("{} was edited", target.display()));
    bench.remove().await;
    assert!(!target.exists());
}

#[tokio::test]
async fn what_is_not_the_slots_is_left_alone_and_what_is_missing_is_told() {
    let bench = Bench::new();
    let foreign = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(foreign.path(), "mine").unwrap();
    let uploaded = RemoteSpec {
        upload: Some(Upload {
            path: "/bin/true".into(),
            content: Some(Digest::of(&std::fs::read("/bin/true").unwrap())),
        }),
        ..RemoteSpec::new(Place::Here, Text::plain(foreign.path().to_str().unwrap()))
    };
    let missing = RemoteSpec::new(Place::Here, Text::plain("orch-no-such-program"));
    let user = RemoteSpec { user: Some("orch-nobody".to_owned()), ..shell("true") };
    let folder = RemoteSpec { working_dir: Some("/orch/none".to_owned()), ..shell("true") };
    for (spec, told) in [
        (uploaded, "is there already, and is not of this service"),
        (missing, "there is no program orch-no-such-program"),
        (user, "there is no user orch-nobody"),
        (folder, "there is no folder /orch/none"),
    ] {
        let error = bench.detached.create(&context("run.1"), &bench.slot, &instance(spec)).await.unwrap_err();
        assert!(error.message.contains(told) && error.hint.is_some(), "{error}");
        assert!(!bench.folder().exists(), "{told}");
    }
    assert_eq!(std::fs::read_to_string(foreign.path()).unwrap(), "mine");
    // A refused switch changes nothing.
    bench.create("run.1", shell("exec sleep 1000")).await;
    let before = bench.look().await;
    let missing = instance(RemoteSpec::new(Place::Here, Text::plain("/orch/none")));
    bench.detached.switch(&context("run.2"), &bench.slot, &missing).await.unwrap_err();
    let after = bench.look().await;
    assert_eq!((after.incarnation, after.op_id, after.drift), (before.incarnation, before.op_id, before.drift));
    bench.remove().await;
}
