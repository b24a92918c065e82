use super::*;
use crate::model::{Address, BackendKind, Exit, ObjectId, ObjectState, OpId, ServiceName};

const SECOND: Duration = Duration::from_secs(1);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn policy() -> CheckPolicy {
    CheckPolicy { interval: SECOND, retries: 2, ..CheckPolicy::default() }
}

fn revision(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// A gate without an object.
fn checks(checks: &[CheckPolicy]) -> Gate {
    gate(checks, Kind::Permanent, false)
}

fn gate(checks: &[CheckPolicy], kind: Kind, watched: bool) -> Gate {
    with(checks.iter().map(|policy| GateCheck { policy: *policy, native: false }).collect(), kind, watched)
}

fn with(checks: Vec<GateCheck>, kind: Kind, watched: bool) -> Gate {
    Gate::new(GatePolicy {
        checks,
        kind,
        settle: ms(300),
        timeout: Duration::from_secs(60),
        revision: watched.then(|| revision("new")),
    })
}

fn answer(healthy: bool) -> ProbeAnswer {
    ProbeAnswer { healthy, detail: if healthy { "200" } else { "503" }.to_owned() }
}

fn object(state: ObjectState) -> ObservedObject {
    ObservedObject {
        incarnation: Some("first".to_owned()),
        pid: Some(7),
        ..ObservedObject::new(
            BackendKind::Process,
            ObjectId::new("web-1"),
            OpId::new("run.1"),
            Address::only(ServiceName::new("web").unwrap()),
            revision("new"),
            state,
        )
    }
}

fn seen(state: ObjectState) -> Look {
    Look::Object { object: Box::new(object(state)), lasted: None }
}

fn restarted(restarts: u32) -> Look {
    let incarnation = Some(format!("after {restarts}"));
    Look::Object {
        object: Box::new(ObservedObject { restarts, incarnation, ..object(ObjectState::Running) }),
        lasted: None,
    }
}

fn code(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, out_of_memory: false }
}

fn missed(reason: &str) -> Decision {
    Decision::Missed(reason.to_owned())
}

/// Plays a world in which answers take no time: `healthy` answers each check at each time, `state`
/// is what a look sees. Returns when the gate was decided, how, and when each probe was.
fn play(
    gate: &mut Gate,
    healthy: impl Fn(usize, Duration) -> bool,
    state: impl Fn(Duration) -> Look,
) -> (Duration, Decision, Vec<(usize, Duration)>) {
    let mut now = Duration::ZERO;
    let mut probes = Vec::new();
    loop {
        match gate.next(now) {
            Decision::ProbeNow(due) => {
                for check in due {
                    probes.push((check, now));
                    gate.probed(check, &answer(healthy(check, now)), now);
                }
            }
            Decision::LookNow => gate.looked(state(now), now),
            Decision::WaitUntil(until) => {
                assert!(until > now, "{until:?} is not after {now:?}");
                now = until;
            }
            decided => return (now, decided, probes),
        }
    }
}

fn running(_: Duration) -> Look {
    seen(ObjectState::Running)
}

fn millis(probes: &[(usize, Duration)], check: usize) -> Vec<u128> {
    probes.iter().filter(|(of, _)| *of == check).map(|(_, at)| at.as_millis()).collect()
}

#[test]
fn the_first_probe_is_at_once_and_the_next_ones_are_quick() {
    let policy = CheckPolicy { retries: 9, ..policy() };
    let (at, decided, probes) = play(&mut checks(&[policy]), |_, at| at >= ms(4000), running);
    assert_eq!((at, decided), (ms(4550), Decision::Passed));
    assert_eq!(millis(&probes, 0), [0, 50, 150, 350, 750, 1550, 2550, 3550, 4550]);
}

#[test]
fn probes_never_come_less_often_than_the_interval_says() {
    let policy = CheckPolicy { interval: ms(20), retries: 4, ..policy() };
    let (_, _, probes) = play(&mut checks(&[policy]), |_, _| false, running);
    assert_eq!(millis(&probes, 0), [0, 20, 40, 60, 80]);
}

#[test]
fn retries_count_intervals_and_not_quick_probes() {
    let (at, decided, probes) = play(&mut checks(&[policy()]), |_, _| false, running);
    assert_eq!((at, decided), (ms(2000), missed("unhealthy for 2.0 s: 503")));
    assert!(probes.len() > 3);
    let none = CheckPolicy { retries: 0, ..policy() };
    assert_eq!(play(&mut checks(&[none]), |_, _| false, running).0, ms(1000));
}

#[test]
fn a_pass_in_the_last_moment_counts() {
    let (at, decided, _) = play(&mut checks(&[policy()]), |_, at| at >= ms(2000), running);
    assert_eq!((at, decided), (ms(2000), Decision::Passed));
}

#[test]
fn failures_in_the_start_period_do_not_count() {
    let slow = CheckPolicy { start_period: 5 * SECOND, ..policy() };
    let (at, decided, _) = play(&mut checks(&[slow]), |_, at| at > ms(6000), running);
    assert_eq!((at, decided), (ms(6550), Decision::Passed));
    assert_eq!(play(&mut checks(&[slow]), |_, _| false, running).0, ms(7000));
}

#[test]
fn a_check_of_the_backend_is_read_often_and_has_the_time_that_the_backend_takes() {
    let policy = CheckPolicy { interval: 10 * SECOND, timeout: 5 * SECOND, retries: 1, ..policy() };
    let native = || with(vec![GateCheck { policy, native: true }], Kind::Permanent, true);
    // The engine's first probe comes after an interval; what it finds is noticed at once.
    let (at, decided, _) = play(&mut native(), |_, at| at >= ms(10_001), running);
    assert_eq!(decided, Decision::Passed);
    assert!(at < ms(10_250), "{at:?}");
    let (at, decided, _) = play(&mut native(), |_, _| false, running);
    assert_eq!((at, decided), (25 * SECOND, missed("unhealthy for 25.0 s: 503")));
}

#[test]
fn the_deadline_decides_whatever_the_retries_allow() {
    let short = CheckPolicy { deadline: Some(ms(700)), ..policy() };
    let (at, decided, _) = play(&mut checks(&[short]), |_, _| false, running);
    assert_eq!((at, decided), (ms(700), missed("not healthy within 700ms: 503")));
    let patient = CheckPolicy { retries: 1000, deadline: Some(90 * SECOND), ..policy() };
    assert_eq!(play(&mut checks(&[patient]), |_, _| false, running).0, 60 * SECOND);
}

#[test]
fn a_probe_that_never_answers_ends_at_the_deadline() {
    let mut gate = checks(&[policy()]);
    assert_eq!(gate.next(ms(0)), Decision::ProbeNow(vec![0]));
    assert_eq!(gate.next(ms(0)), Decision::WaitUntil(60 * SECOND));
    assert_eq!(gate.next(60 * SECOND), missed("not healthy within 60s: no answer yet"));
}

#[test]
fn the_threshold_asks_for_passes_in_a_row_at_the_quick_pace() {
    let thrice = CheckPolicy { success_threshold: 3, ..policy() };
    let (at, decided, probes) = play(&mut checks(&[thrice]), |_, at| at != ms(50), running);
    assert_eq!(decided, Decision::Passed);
    assert_eq!((at, millis(&probes, 0)), (ms(250), vec![0, 50, 100, 150, 250]));
}

#[test]
fn all_checks_must_pass_and_a_later_failure_takes_a_pass_away() {
    let policy = CheckPolicy { retries: 5, ..policy() };
    // The first passes, fails once at its next interval, and passes again; the second is late.
    let healthy = |check, at| if check == 0 { at != ms(1000) } else { at >= ms(1025) };
    let (at, decided, probes) = play(&mut checks(&[policy, policy]), healthy, running);
    assert_eq!((at, decided), (ms(1550), Decision::Passed));
    assert_eq!(millis(&probes, 0), [0, 1000, 1050]);
    let healthy = |check, at| if check == 0 { at < ms(1000) } else { at >= ms(1025) };
    let (at, decided, _) = play(&mut checks(&[policy, policy]), healthy, running);
    assert_eq!((at, decided), (ms(5000), missed("unhealthy for 5.0 s: 503")));
}

#[test]
fn what_orch_does_not_run_passes_at_once_without_checks() {
    assert_eq!(checks(&[]).next(Duration::ZERO), Decision::Passed);
}

#[test]
fn an_object_that_is_not_up_misses_at_once() {
    for (state, reason) in [
        (ObjectState::Exited(code(1)), "exited with code 1 after 0.1 s"),
        (ObjectState::Exited(code(0)), "exited with code 0 after 0.1 s"),
        (
            ObjectState::Exited(Exit { code: None, signal: Some(9), out_of_memory: true }),
            "killed by signal 9 (out of memory) after 0.1 s",
        ),
        (ObjectState::CrashLoop(code(3)), "given up after 0 restarts: exited with code 3 the last time"),
        (ObjectState::Stopped, "it was stopped while its gate waited"),
        (ObjectState::Lost, "it was lost: what kept it running is gone"),
    ] {
        for checks in [&[][..], &[policy()]] {
            let down = |at| seen(if at < ms(150) { ObjectState::Running } else { state.clone() });
            let (at, decided, _) = play(&mut gate(checks, Kind::Permanent, true), |_, _| false, down);
            assert_eq!((at, decided), (ms(150), missed(reason)));
        }
    }
    let (_, decided, _) = play(&mut gate(&[], Kind::Permanent, true), |_, _| true, |_| Look::Gone);
    assert_eq!(decided, missed("it is gone: someone removed it"));
}

#[test]
fn another_revision_never_passes() {
    let old = |_| Look::Object {
        object: Box::new(ObservedObject { revision: revision("old"), ..object(ObjectState::Running) }),
        lasted: None,
    };
    let (at, decided, _) = play(&mut gate(&[policy()], Kind::Permanent, true), |_, _| true, old);
    let reason = format!("revision {} runs, not {} as it should", revision("old").short(), revision("new").short());
    assert_eq!((at, decided), (Duration::ZERO, Decision::Missed(reason)));
}

#[test]
fn without_checks_it_must_keep_running_until_it_has_settled() {
    let (at, decided, _) = play(&mut gate(&[], Kind::Permanent, true), |_, _| true, running);
    assert_eq!((at, decided), (ms(300), Decision::Passed));
    // It has been running for long: nothing is left to wait for.
    let old = |_| Look::Object { object: Box::new(object(ObjectState::Running)), lasted: Some(SECOND) };
    assert_eq!(play(&mut gate(&[], Kind::Permanent, true), |_, _| true, old).0, Duration::ZERO);
    // A look says so at the end of it, not before it.
    let ends = |at| seen(if at < ms(299) { ObjectState::Running } else { ObjectState::Exited(code(1)) });
    let (at, decided, _) = play(&mut gate(&[], Kind::Permanent, true), |_, _| true, ends);
    assert_eq!((at, decided), (ms(300), missed("exited with code 1 after 0.3 s")));
}

#[test]
fn a_restart_starts_the_settling_over() {
    let once = |at| if at < ms(200) { running(at) } else { restarted(1) };
    let (at, decided, _) = play(&mut gate(&[], Kind::Permanent, true), |_, _| true, once);
    // The look that would have let it pass at 300 ms finds the restart.
    assert_eq!((at, decided), (ms(600), Decision::Passed));
}

#[test]
fn passes_while_it_restarts_do_not_count() {
    let state = |at| match at {
        at if at < SECOND => seen(ObjectState::Restarting),
        _ => restarted(1),
    };
    let policy = CheckPolicy { retries: 9, ..policy() };
    let (at, decided, probes) = play(&mut gate(&[policy], Kind::Permanent, true), |_, _| true, state);
    assert_eq!(decided, Decision::Passed);
    assert!(at >= SECOND && at <= ms(1300), "{at:?}");
    assert!(probes.len() < 12, "{probes:?}");
}

#[test]
fn passes_of_another_incarnation_do_not_count() {
    let mut gate = gate(&[CheckPolicy { success_threshold: 2, ..policy() }], Kind::Permanent, true);
    assert_eq!(gate.next(ms(0)), Decision::ProbeNow(vec![0]));
    gate.probed(0, &answer(true), ms(0));
    assert_eq!(gate.next(ms(0)), Decision::LookNow);
    gate.looked(seen(ObjectState::Running), ms(1));
    assert_eq!(gate.next(ms(50)), Decision::ProbeNow(vec![0]));
    gate.probed(0, &answer(true), ms(50));
    // Both passed, but the look that confirms it finds another one running.
    assert_eq!(gate.next(ms(50)), Decision::LookNow);
    gate.looked(restarted(1), ms(51));
    assert!(matches!(gate.next(ms(51)), Decision::WaitUntil(_)));
    assert_eq!(gate.next(ms(101)), Decision::ProbeNow(vec![0]));
}

#[test]
fn a_probe_that_outlives_an_incarnation_does_not_count() {
    let mut gate = gate(&[policy()], Kind::Permanent, true);
    assert_eq!(gate.next(ms(0)), Decision::ProbeNow(vec![0]));
    assert_eq!(gate.next(ms(0)), Decision::LookNow);
    gate.looked(seen(ObjectState::Running), ms(1));
    assert_eq!(gate.next(ms(51)), Decision::LookNow);
    gate.looked(restarted(1), ms(52));
    gate.probed(0, &answer(true), ms(53));
    assert!(matches!(gate.next(ms(53)), Decision::WaitUntil(_)));
    assert_eq!(gate.next(ms(153)), Decision::ProbeNow(vec![0]));
    gate.probed(0, &answer(true), ms(154));
    assert_eq!(gate.next(ms(154)), Decision::LookNow);
    gate.looked(restarted(1), ms(155));
    assert_eq!(gate.next(ms(155)), Decision::Passed);
}

#[test]
fn a_look_from_before_the_pass_does_not_confirm_it() {
    let mut gate = gate(&[policy()], Kind::Permanent, true);
    assert_eq!(gate.next(ms(0)), Decision::ProbeNow(vec![0]));
    assert_eq!(gate.next(ms(0)), Decision::LookNow);
    gate.probed(0, &answer(true), ms(5));
    gate.looked(seen(ObjectState::Running), ms(6));
    assert_eq!(gate.next(ms(6)), Decision::LookNow);
    gate.looked(seen(ObjectState::Running), ms(7));
    assert_eq!(gate.next(ms(7)), Decision::Passed);
}

#[test]
fn an_object_that_cannot_be_looked_at_is_waited_for() {
    let blind = |_| Look::Unknown("connection reset".to_owned());
    let (at, decided, _) = play(&mut gate(&[], Kind::Permanent, true), |_, _| true, blind);
    assert_eq!((at, decided), (60 * SECOND, missed("not up within 60s, and it cannot be looked at: connection reset")));
}

#[test]
fn a_job_passes_when_it_exits_0_whatever_its_checks_say() {
    let exits = |exit| move |at| seen(if at < SECOND { ObjectState::Running } else { ObjectState::Exited(code(exit)) });
    let (at, decided, probes) = play(&mut gate(&[policy()], Kind::Job, true), |_, _| false, exits(0));
    assert_eq!((decided, probes.len()), (Decision::Passed, 0));
    assert!(at >= SECOND && at <= ms(1250), "{at:?}");
    let (_, decided, _) = play(&mut gate(&[], Kind::Job, true), |_, _| true, exits(2));
    assert!(matches!(decided, Decision::Missed(reason) if reason.starts_with("exited with code 2 after 1.")));
    let (at, decided, _) = play(&mut gate(&[], Kind::Job, true), |_, _| true, running);
    assert_eq!((at, decided), (60 * SECOND, missed("not done within 60s")));
}

#[test]
fn absurd_durations_neither_overflow_nor_spin() {
    let absurd =
        CheckPolicy { interval: Duration::MAX, start_period: Duration::MAX, deadline: Some(Duration::MAX), ..policy() };
    assert_eq!(play(&mut checks(&[absurd]), |_, _| false, running).0, 60 * SECOND);
    let nothing = CheckPolicy { interval: Duration::ZERO, ..policy() };
    assert_eq!(play(&mut checks(&[nothing]), |_, _| false, running).0, ms(2));
    let mut gate = Gate::new(GatePolicy {
        checks: Vec::new(),
        kind: Kind::Permanent,
        settle: Duration::MAX,
        timeout: Duration::MAX,
        revision: Some(revision("new")),
    });
    assert_eq!(gate.next(ms(0)), Decision::LookNow);
    gate.looked(seen(ObjectState::Running), ms(1));
    assert_eq!(gate.next(ms(1)), Decision::WaitUntil(ms(51)));
}

#[test]
fn a_decision_stands() {
    let mut gate = gate(&[policy()], Kind::Permanent, true);
    gate.looked(seen(ObjectState::Stopped), ms(1));
    let decided = gate.next(ms(1));
    gate.looked(Look::Gone, ms(2));
    assert_eq!(gate.next(ms(2)), decided);
}
