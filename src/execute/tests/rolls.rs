//! Rolls over a fleet, against the fake backend: who is changed, who is left alone, who goes back.

use super::*;
use crate::model::{Amount, Machine, Pause, Place, RemoteSpec, RollFailure, Strategy};

fn fleet(arg: &str, strategy: Strategy) -> Vec<Service> {
    fleet_on(&["h1", "h2", "h3", "h4", "h5"], arg, strategy)
}

fn fleet_on(hosts: &[&str], arg: &str, strategy: Strategy) -> Vec<Service> {
    let spec = RemoteSpec { args: vec![Text::plain(arg)], ..RemoteSpec::new(Place::Here, Text::plain("/bin/x")) };
    let machine = |host: &str| Arc::new(Machine { name: host.to_owned(), ..Machine::at("10.0.0.1") });
    let hosts = Some(hosts.iter().copied().map(machine).collect());
    let web = Service {
        hosts,
        strategy: Some(strategy),
        settle: Duration::from_millis(10),
        ..Service::new(ServiceName::new("web").unwrap(), Spec::Ssh(Box::new(spec)))
    };
    let mut after = process("after", arg, &[("web", Condition::Started)]);
    after.dependencies[0].condition = Condition::Healthy;
    vec![web, after]
}

fn pairs() -> Strategy {
    Strategy { max_parallel: vec![Amount::Count(2)], canary: 1, ..Strategy::default() }
}

/// Brings the fleet up in its first version, then changes it with one host that fails.
async fn changed(strategy: &Strategy, broken: &[&str]) -> (Bench, Ran) {
    let mut bench = Bench::new(OnFailure::Rollback);
    bench.apply(&fleet("1", strategy.clone())).await;
    let wanted = fleet("2", strategy.clone());
    for host in broken {
        break_it(&bench, &wanted, &format!("web@{host}"), Fault::Crashes);
    }
    let ran = bench.apply(&wanted).await;
    (bench, ran)
}

/// The hosts that have the second version.
async fn second(bench: &Bench, strategy: &Strategy) -> Vec<String> {
    let wanted = instances(&fleet("2", strategy.clone()));
    let objects = bench.fake.list().await.unwrap().objects;
    let has = |object: &&crate::model::ObservedObject| wanted[&object.address].revision == object.revision;
    objects.iter().filter(has).map(|object| object.address.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn batch_comes_after_batch_and_what_depends_on_them_last() {
    let (bench, ran) = changed(&pairs(), &[]).await;
    assert_eq!((ran.report.outcome, ran.report.done), (RunOutcome::Succeeded, 6));
    let calls = bench.fake.calls();
    let switches: Vec<&str> = calls.iter().filter_map(|call| call.strip_prefix("switch ")).collect();
    assert_eq!(switches[0], "web@h1");
    assert_eq!(BTreeSet::from_iter(&switches[1..3]), BTreeSet::from_iter(&["web@h2", "web@h3"]));
    assert_eq!(BTreeSet::from_iter(&switches[3..5]), BTreeSet::from_iter(&["web@h4", "web@h5"]));
    let batches: Vec<usize> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            What::RollBatch { batch, .. } => Some(*batch),
            _ => None,
        })
        .collect();
    assert_eq!(batches, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_batch_stops_the_roll_and_puts_back_what_was_changed() {
    let (bench, ran) = changed(&pairs(), &["h3"]).await;
    assert_eq!(ran.report.outcome, RunOutcome::Failed);
    // h1 and h2 were changed and went back, h3 failed, h4, h5 and what depends on them were not begun.
    assert_eq!((ran.report.done, ran.report.failed, ran.report.skipped), (0, 3, 3));
    assert_eq!(second(&bench, &pairs()).await, Vec::<String>::new());
    for host in ["h1", "h2", "h3", "h4", "h5"] {
        assert_eq!(bench.status(&format!("web@{host}")), Some(RecordStatus::Healthy), "{host}");
    }
    // What is recorded is what runs: the next plan is the same one again.
    let again = bench.plan(&fleet("2", pairs())).await;
    assert_eq!(again.steps.iter().filter(|step| step.address.service.as_str() == "web").count(), 5);
}

#[tokio::test(start_paused = true)]
async fn as_many_as_are_tolerated_may_fail() {
    let strategy = Strategy { max_failures: Amount::Percent(40), ..pairs() };
    let (bench, ran) = changed(&strategy, &["h1", "h4"]).await;
    assert_eq!((ran.report.outcome, ran.report.done, ran.report.failed), (RunOutcome::Failed, 4, 2));
    assert_eq!(second(&bench, &strategy).await, ["after", "web@h2", "web@h3", "web@h5"]);
    assert!(
        ran.events
            .iter()
            .any(|event| matches!(event, What::StepFinished { address, .. } if address.to_string() == "after"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_roll_that_halts_leaves_what_was_changed() {
    let strategy = Strategy { on_failure: Some(RollFailure::Halt), ..pairs() };
    let (bench, ran) = changed(&strategy, &["h2"]).await;
    assert_eq!((ran.report.done, ran.report.failed, ran.report.skipped), (2, 1, 3));
    assert_eq!(second(&bench, &strategy).await, ["web@h1", "web@h3"]);
}

/// Says no from the second question on.
#[derive(Default)]
struct Once(Mutex<usize>);

#[async_trait::async_trait]
impl crate::execute::Ask for Once {
    async fn go_on(&self, _: &str) -> bool {
        let mut asked = self.0.lock().unwrap();
        *asked += 1;
        *asked < 2
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_says_no_stops_the_roll() {
    let strategy = Strategy { pause: Some(Pause::Ask), ..pairs() };
    let mut bench = Bench::new(OnFailure::Rollback);
    bench.apply(&fleet("1", strategy.clone())).await;
    bench.ask = Arc::new(Once::default());
    let ran = bench.apply(&fleet("2", strategy.clone())).await;
    assert_eq!((ran.report.done, ran.report.failed, ran.report.skipped), (0, 3, 3));
    assert_eq!(second(&bench, &strategy).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_a_pause_and_keeps_what_was_done() {
    let strategy = Strategy { pause: Some(Pause::Millis(3_600_000)), ..pairs() };
    let mut bench = Bench::new(OnFailure::Rollback);
    bench.apply(&fleet("1", strategy.clone())).await;
    let (signals, receiver) = mpsc::unbounded_channel();
    let wanted = fleet("2", strategy.clone());
    let (ran, ()) = tokio::join!(bench.apply_with(&wanted, receiver, usize::MAX), async {
        // Within the pause, which paused time would otherwise pass over at once.
        tokio::time::sleep(Duration::from_secs(60)).await;
        signals.send(Signal::Interrupt).unwrap();
    });
    assert_eq!((ran.report.outcome, ran.report.done, ran.report.skipped), (RunOutcome::Interrupted, 1, 5));
    assert_eq!(second(&bench, &strategy).await, ["web@h1"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stay_well_fails_after_its_gate() {
    let strategy = Strategy { min_healthy_time: Duration::from_secs(10), ..pairs() };
    let mut bench = Bench::new(OnFailure::Rollback);
    bench.apply(&fleet("1", strategy.clone())).await;
    let fake = bench.fake.clone();
    let wanted = fleet("2", strategy.clone());
    let (_signals, receiver) = mpsc::unbounded_channel();
    let (ran, ()) = tokio::join!(bench.apply_with(&wanted, receiver, usize::MAX), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        fake.crash("web@h1");
    });
    assert_eq!((ran.report.done, ran.report.failed, ran.report.skipped), (0, 1, 5));
    assert_eq!(second(&bench, &strategy).await, Vec::<String>::new());
}

/// How long a change of so many hosts takes, so many at a time, where each takes 2 s, in virtual time.
async fn takes(hosts: usize, at_a_time: u32) -> Duration {
    let names: Vec<String> = (0..hosts).map(|n| format!("h{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let strategy = Strategy { max_parallel: vec![Amount::Count(at_a_time)], ..Strategy::default() };
    let mut bench = Bench::new(OnFailure::Rollback);
    bench.fake.take(Duration::from_secs(2));
    let began = tokio::time::Instant::now();
    let ran = bench.apply(&fleet_on(&names, "1", strategy)).await;
    assert_eq!(ran.report.outcome, RunOutcome::Succeeded);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn time_grows_with_hosts_by_parallelism() {
    let round = takes(10, 10).await;
    for (hosts, at_a_time, rounds) in [(500, 10, 50), (500, 50, 10), (500, 250, 2), (100, 10, 10)] {
        let took = takes(hosts, at_a_time).await;
        // The last step, of what depends on the fleet, comes after all of them.
        let most = round * rounds;
        assert!(
            took <= most && took >= Duration::from_secs(2) * rounds,
            "{hosts} by {at_a_time}: {took:?} of {most:?}"
        );
    }
}
