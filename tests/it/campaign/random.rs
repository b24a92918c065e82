//! At least two hundred kills at random moments, of orch, of services and of supervisors, over files
//! that change all the while.

use std::time::{Duration, Instant};

use orch::sys::Identity;
use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, job, service, tell};
use crate::support::wait_until;

const KILLS: usize = 220;

/// A small generator, so that a failed campaign can be run again: its seed is printed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A random file and what must run when it is applied.
fn file(dice: &mut Dice) -> (String, Vec<(String, String)>) {
    let mut text = String::new();
    let mut expected = Vec::new();
    let mut last: Option<&str> = None;
    if dice.roll(3) == 0 {
        text += &job(&dice.roll(3).to_string());
        last = Some("job");
    }
    for name in ["a", "b", "c"] {
        if dice.roll(4) == 0 {
            continue;
        }
        let version = dice.roll(3).to_string();
        let mut more = String::new();
        if let Some(needed) = last.filter(|_| dice.roll(2) == 0) {
            more += &format!("    dependencies: [{needed}]\n");
        }
        if dice.roll(3) == 0 {
            more += "    lifecycle: {create_before_destroy: true}\n";
        }
        text += &service(name, &version, &more);
        expected.push((name.to_owned(), version));
        last = Some(name);
    }
    if text.is_empty() {
        text = "  {}\n".to_owned();
    }
    (text, expected)
}

fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(i32::try_from(pid).unwrap()) {
        // It may just have ended by itself.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[test]
fn two_hundred_kills() {
    let seed = std::env::var("ORCH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    println!("seed {seed}; ORCH_TEST_SEED={seed} repeats it");
    let mut dice = Dice(seed);
    let world = World::new();
    let (mut kills, mut rounds) = (0, 0);
    // How long an apply takes, so that kills fall all over it, whatever the machine.
    let mut typical = Duration::from_millis(100);
    while kills < KILLS {
        rounds += 1;
        let (text, expected) = file(&mut dice);
        world.write(&text);
        for _ in 0..=dice.roll(3) {
            let began = Instant::now();
            let mut apply = world.start(&["apply", "--auto-approve"]);
            let moment = typical.mul_f64(dice.roll(1000) as f64 / 1000.0);
            while began.elapsed() < moment && apply.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            if apply.try_wait().unwrap().is_none() {
                apply.kill().unwrap();
                kills += 1;
            }
            apply.wait().unwrap();
        }
        if dice.roll(4) == 0 {
            let victims: Vec<u32> = match dice.roll(2) {
                0 => world.running().into_keys().collect(),
                _ => world.supervisors(),
            };
            if !victims.is_empty() {
                let victim = victims[usize::try_from(dice.roll(victims.len() as u64)).unwrap()];
                let identity = Identity::of(victim);
                kill(victim);
                kills += 1;
                // On a machine with much to do it takes its time to die; until then it is as it was.
                wait_until("it is dead", || !identity.as_ref().is_some_and(Identity::is_alive));
            }
        }
        let began = Instant::now();
        let expected: Vec<(&str, &str)> = expected.iter().map(|(s, v)| (s.as_str(), v.as_str())).collect();
        world.converge(&expected, &format!("seed {seed}, round {rounds}, {kills} kills\n{text}"));
        typical = (typical * 3 + began.elapsed()) / 4;
    }
    tell(&format!("random: {kills} kills in {rounds} rounds"));
}
