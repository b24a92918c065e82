//! What a supervisor does next: a pure state machine over exits, commands and time.
//!
//! It never touches a process. Every input returns the actions that the supervisor carries out, in
//! order; after [`Action::Spawn`] it reports [`Machine::spawned`] or [`Machine::not_spawned`].

use std::time::Duration;

use super::super::wire::Policy;
use crate::model::{Exit, Kind, ObjectState, RestartMode};

/// A point in time: how long after the supervisor's start.
pub(super) type Moment = Duration;

/// How often what outlived SIGKILL is killed again: a process that forks may be one step ahead.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// What a supervisor can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Run, if it does not.
    Start,
    /// End everything, and stay to be started again.
    Stop,
    /// End everything and run again.
    Restart,
    /// End everything, the supervisor too.
    Quit,
}

/// What the supervisor does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Start the program.
    Spawn,
    /// Send the stop signal to the group of the leader, which is not reaped yet.
    Ask,
    /// Send the stop signal to what the leader left behind.
    AskStragglers,
    /// Kill everything that is left.
    Kill,
    /// Write the new state.
    Enter(ObjectState),
    /// End the supervisor; nothing runs.
    Quit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing runs and nothing is due.
    Down,
    /// The program is being spawned; `asked` tells a command from a restart by policy.
    Starting { asked: bool },
    /// The leader runs.
    Running { since: Moment },
    /// All that runs is being ended; it is killed at the deadline.
    Ending { deadline: Moment, killed: bool, then: Then },
    /// Nothing runs until the next restart.
    Waiting { until: Moment },
}

/// What happens once nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The leader exited by itself after running this long: the restart policy decides.
    Decide {
        ran: Duration,
    },
    Stop,
    Start,
    Quit,
}

/// The state machine of one supervisor.
#[derive(Debug)]
pub(super) struct Machine {
    phase: Phase,
    kind: Kind,
    policy: Policy,
    /// Restarts since it last ran long enough to count as well.
    in_a_row: u32,
    restarts: u32,
    last_exit: Option<Exit>,
}

impl Machine {
    /// A machine about to spawn the program for the first time.
    pub(super) fn new(kind: Kind, policy: Policy) -> Self {
        Self { phase: Phase::Starting { asked: true }, kind, policy, in_a_row: 0, restarts: 0, last_exit: None }
    }

    /// How often it was restarted by policy since it was last started by command.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How the program ended the last time.
    pub(super) fn last_exit(&self) -> Option<&Exit> {
        self.last_exit.as_ref()
    }

    /// Whether the program runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// Whether nothing runs and nothing is due.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.phase, Phase::Down)
    }

    /// Whether something is being ended, so that the last exit is worth noticing.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    /// Takes a new policy; one that is already being carried out keeps its deadline.
    pub(super) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// When [`Machine::tick`] wants to be called.
    pub(super) fn due(&self) -> Option<Moment> {
        match self.phase {
            Phase::Ending { deadline, .. } => Some(deadline),
            Phase::Waiting { until } => Some(until),
            _ => None,
        }
    }

    /// The program was started.
    pub(super) fn spawned(&mut self, now: Moment) -> Vec<Action> {
        self.phase = Phase::Running { since: now };
        vec![Action::Enter(ObjectState::Running)]
    }

    /// The program could not be started; the exit is the one a shell would give.
    pub(super) fn not_spawned(&mut self, now: Moment, exit: Exit) -> Vec<Action> {
        self.last_exit = Some(exit.clone());
        if self.phase == (Phase::Starting { asked: true }) {
            self.phase = Phase::Down;
            return vec![Action::Enter(ObjectState::Exited(exit))];
        }
        self.decide(now, Duration::ZERO)
    }

    /// The leader exited and was reaped; `empty` when it left nothing behind.
    pub(super) fn leader_exited(&mut self, now: Moment, exit: Exit, empty: bool) -> Vec<Action> {
        self.last_exit = Some(exit);
        match self.phase {
            Phase::Running { since } => {
                let deadline = now.saturating_add(self.policy.stop_timeout);
                let then = Then::Decide { ran: now.saturating_sub(since) };
                self.phase = Phase::Ending { deadline, killed: false, then };
                if empty { self.emptied(now) } else { vec![Action::AskStragglers] }
            }
            Phase::Ending { .. } if empty => self.emptied(now),
            Phase::Ending { killed, .. } => vec![if killed { Action::Kill } else { Action::AskStragglers }],
            _ => Vec::new(),
        }
    }

    /// Nothing is left: neither the leader nor anything that descends from it.
    pub(super) fn emptied(&mut self, now: Moment) -> Vec<Action> {
        let Phase::Ending { then, .. } = self.phase else { return Vec::new() };
        match then {
            Then::Decide { ran } => self.decide(now, ran),
            Then::Stop => self.down(ObjectState::Stopped),
            Then::Start => self.spawn(true),
            Then::Quit => {
                self.phase = Phase::Down;
                vec![Action::Enter(ObjectState::Stopped), Action::Quit]
            }
        }
    }

    /// Someone asked for something.
    pub(super) fn command(&mut self, now: Moment, command: Command) -> Vec<Action> {
        match (self.phase, command) {
            // A supervisor that is on its way out does not turn round.
            (Phase::Ending { then: Then::Quit, .. } | Phase::Starting { .. }, _)
            | (Phase::Running { .. }, Command::Start) => Vec::new(),
            (Phase::Running { .. }, _) => {
                let deadline = now.saturating_add(self.policy.stop_timeout);
                self.phase = Phase::Ending { deadline, killed: false, then: then(command) };
                vec![Action::Ask]
            }
            (Phase::Ending { deadline, killed, .. }, _) => {
                self.phase = Phase::Ending { deadline, killed, then: then(command) };
                Vec::new()
            }
            (Phase::Down | Phase::Waiting { .. }, Command::Start | Command::Restart) => self.spawn(true),
            (Phase::Down | Phase::Waiting { .. }, Command::Stop) => self.down(ObjectState::Stopped),
            (Phase::Down, Command::Quit) => vec![Action::Quit],
            (Phase::Waiting { .. }, Command::Quit) => {
                self.phase = Phase::Down;
                vec![Action::Enter(ObjectState::Stopped), Action::Quit]
            }
        }
    }

    /// Time went by.
    pub(super) fn tick(&mut self, now: Moment) -> Vec<Action> {
        match self.phase {
            Phase::Waiting { until } if until <= now => {
                self.restarts = self.restarts.saturating_add(1);
                self.spawn(false)
            }
            Phase::Ending { deadline, then, .. } if deadline <= now => {
                self.phase = Phase::Ending { deadline: now.saturating_add(KILL_AGAIN), killed: true, then };
                vec![Action::Kill]
            }
            _ => Vec::new(),
        }
    }

    fn spawn(&mut self, asked: bool) -> Vec<Action> {
        if asked {
            self.in_a_row = 0;
            self.restarts = 0;
        }
        self.phase = Phase::Starting { asked };
        vec![Action::Enter(ObjectState::Starting), Action::Spawn]
    }

    fn down(&mut self, state: ObjectState) -> Vec<Action> {
        self.phase = Phase::Down;
        vec![Action::Enter(state)]
    }

    /// The restart policy: again, or down for good. The supervisor of a job that is down ends.
    fn decide(&mut self, now: Moment, ran: Duration) -> Vec<Action> {
        let policy = self.policy.restart;
        let exit = self.last_exit.clone().unwrap_or(Exit { code: None, signal: None, out_of_memory: false });
        if ran >= policy.reset_after {
            self.in_a_row = 0;
        }
        let again = match policy.mode {
            // A job that succeeded is done, whatever its policy.
            RestartMode::Always => self.kind != Kind::Job || !exit.is_success(),
            RestartMode::OnFailure => !exit.is_success(),
            RestartMode::Never => false,
        };
        if again && self.in_a_row < policy.max_restarts {
            let doubled = policy.delay.saturating_mul(1_u32.checked_shl(self.in_a_row).unwrap_or(u32::MAX));
            self.in_a_row += 1;
            self.phase = Phase::Waiting { until: now.saturating_add(doubled.min(policy.max_delay)) };
            return vec![Action::Enter(ObjectState::Restarting)];
        }
        let state = if again { ObjectState::CrashLoop(exit) } else { ObjectState::Exited(exit) };
        let mut actions = self.down(state);
        if self.kind == Kind::Job {
            actions.push(Action::Quit);
        }
        actions
    }
}

fn then(command: Command) -> Then {
    match command {
        Command::Start | Command::Restart => Then::Start,
        Command::Stop => Then::Stop,
        Command::Quit => Then::Quit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogPolicy, RestartPolicy, StopSignal};

    const FAILED: Exit = Exit { code: Some(1), signal: None, out_of_memory: false };
    const DONE: Exit = Exit { code: Some(0), signal: None, out_of_memory: false };

    fn at(millis: u64) -> Moment {
        Duration::from_millis(millis)
    }

    fn policy(mode: RestartMode) -> Policy {
        Policy {
            stop_signal: StopSignal::SigTerm,
            stop_timeout: at(500),
            log: LogPolicy::default(),
            restart: RestartPolicy {
                mode,
                delay: at(100),
                max_delay: at(300),
                max_restarts: 3,
                reset_after: at(10_000),
            },
        }
    }

    fn running(kind: Kind, mode: RestartMode) -> Machine {
        let mut machine = Machine::new(kind, policy(mode));
        assert_eq!(machine.spawned(at(0)), [Action::Enter(ObjectState::Running)]);
        machine
    }

    fn starting() -> [Action; 2] {
        [Action::Enter(ObjectState::Starting), Action::Spawn]
    }

    #[test]
    fn delays_double_up_to_the_longest_and_end_in_a_crash_loop() {
        let mut machine = running(Kind::Permanent, RestartMode::OnFailure);
        let mut now = at(0);
        for delay in [100, 200, 300] {
            assert_eq!(machine.leader_exited(now, FAILED, true), [Action::Enter(ObjectState::Restarting)]);
            assert_eq!(machine.due(), Some(now + at(delay)));
            assert_eq!(machine.tick(now + at(delay - 1)), []);
            now += at(delay);
            assert_eq!(machine.tick(now), starting());
            machine.spawned(now);
        }
        assert_eq!(machine.restarts(), 3);
        assert_eq!(machine.leader_exited(now, FAILED, true), [Action::Enter(ObjectState::CrashLoop(FAILED))]);
        assert_eq!(machine.due(), None);
        assert_eq!(machine.command(now, Command::Start), starting());
        assert_eq!(machine.restarts(), 0);
    }

    #[test]
    fn running_long_enough_starts_the_count_again() {
        let mut machine = running(Kind::Permanent, RestartMode::Always);
        let mut now = at(0);
        for _ in 0..10 {
            now += at(10_000);
            assert_eq!(machine.leader_exited(now, DONE, true), [Action::Enter(ObjectState::Restarting)]);
            now += at(100);
            assert_eq!(machine.tick(now), starting());
            machine.spawned(now);
        }
    }

    #[test]
    fn the_policy_tells_success_from_failure() {
        for (kind, mode, exit, last) in [
            (Kind::Permanent, RestartMode::OnFailure, DONE, ObjectState::Exited(DONE)),
            (Kind::Permanent, RestartMode::Never, FAILED, ObjectState::Exited(FAILED)),
            (Kind::Permanent, RestartMode::Always, DONE, ObjectState::Restarting),
            (Kind::Job, RestartMode::OnFailure, FAILED, ObjectState::Restarting),
        ] {
            assert_eq!(running(kind, mode).leader_exited(at(5), exit, true), [Action::Enter(last)]);
        }
        for (mode, exit) in [(RestartMode::Always, DONE), (RestartMode::Never, FAILED)] {
            let actions = running(Kind::Job, mode).leader_exited(at(5), exit.clone(), true);
            assert_eq!(actions, [Action::Enter(ObjectState::Exited(exit)), Action::Quit]);
        }
    }

    #[test]
    fn a_stop_escalates_until_nothing_is_left() {
        let mut machine = running(Kind::Permanent, RestartMode::Always);
        assert_eq!(machine.command(at(1_000), Command::Stop), [Action::Ask]);
        assert_eq!(machine.tick(at(1_499)), []);
        assert_eq!(machine.tick(at(1_500)), [Action::Kill]);
        assert_eq!(machine.leader_exited(at(1_510), FAILED, false), [Action::Kill]);
        assert_eq!(machine.tick(at(1_600)), [Action::Kill]);
        assert_eq!(machine.emptied(at(1_610)), [Action::Enter(ObjectState::Stopped)]);
        assert_eq!(machine.command(at(2_000), Command::Start), starting());
    }

    #[test]
    fn the_leader_is_not_the_group() {
        let mut machine = running(Kind::Permanent, RestartMode::Always);
        machine.command(at(0), Command::Stop);
        assert_eq!(machine.leader_exited(at(10), DONE, false), [Action::AskStragglers]);
        assert_eq!(machine.tick(at(500)), [Action::Kill]);
        assert_eq!(machine.emptied(at(501)), [Action::Enter(ObjectState::Stopped)]);
        // What a leader that crashed left behind goes before it is started again.
        let mut machine = running(Kind::Permanent, RestartMode::Always);
        assert_eq!(machine.leader_exited(at(10), FAILED, false), [Action::AskStragglers]);
        assert_eq!(machine.emptied(at(20)), [Action::Enter(ObjectState::Restarting)]);
    }

    #[test]
    fn the_last_command_counts_except_after_quit() {
        let mut machine = running(Kind::Permanent, RestartMode::Never);
        assert_eq!(machine.command(at(0), Command::Restart), [Action::Ask]);
        assert_eq!(machine.command(at(1), Command::Stop), []);
        assert_eq!(machine.command(at(2), Command::Quit), []);
        assert_eq!(machine.command(at(3), Command::Start), []);
        assert_eq!(machine.leader_exited(at(4), DONE, true), [Action::Enter(ObjectState::Stopped), Action::Quit]);
        let mut machine = running(Kind::Permanent, RestartMode::Never);
        machine.command(at(0), Command::Restart);
        assert_eq!(machine.leader_exited(at(4), DONE, true), starting());
    }

    #[test]
    fn a_failed_spawn_by_policy_counts_and_one_by_command_does_not_repeat() {
        let missing = Exit { code: Some(127), signal: None, out_of_memory: false };
        let mut machine = running(Kind::Permanent, RestartMode::OnFailure);
        machine.leader_exited(at(0), FAILED, true);
        machine.tick(at(100));
        assert_eq!(machine.not_spawned(at(100), missing.clone()), [Action::Enter(ObjectState::Restarting)]);
        assert_eq!(machine.command(at(101), Command::Restart), starting());
        let last = [Action::Enter(ObjectState::Exited(missing.clone()))];
        assert_eq!(machine.not_spawned(at(102), missing), last);
    }
}
