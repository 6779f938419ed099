//! The tasks of a scenario: what clients may ask for.

use super::{Random, combine};
use crate::event::{GroupSpec, Piece, ResourceId, WorkerName};

/// How often a task fails before it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Succeed,
    Errors(u32),
    Crashes(u32),
    Fatal,
}

/// A task as clients see it. The scheduler's number for it changes each time it
/// is forgotten and asked for again.
#[derive(Clone, Debug)]
pub(super) struct Logical {
    pub key: u64,
    /// What it reads: a task, and a part or the whole.
    pub inputs: Vec<(usize, u32)>,
    pub bytes: u64,
    pub bytes_known: bool,
    pub duration: u64,
    pub group: u32,
    pub plan: Plan,
    /// A value that a client brings.
    pub is_data: bool,
    /// What it must evaluate to.
    pub value: u64,
}

/// The value of a piece of a result.
pub(super) fn piece_value(whole: u64, part: u32) -> u64 {
    if part == Piece::WHOLE { whole } else { combine(whole, u64::from(part)) }
}

/// All tasks of a scenario, inputs before their consumers.
pub(super) struct Universe {
    pub tasks: Vec<Logical>,
    pub groups: Vec<GroupSpec>,
}

/// How a universe is made.
#[derive(Clone, Debug)]
pub(super) struct GraphScale {
    pub n_tasks: usize,
    pub bytes_max: u64,
    pub duration_max: u64,
    /// One in so many tasks fails at times; 0 for none.
    pub failing: u64,
    /// Names of workers that groups may ask for.
    pub n_names: u32,
    pub constrained: bool,
    pub with_data: bool,
}

impl Universe {
    pub fn random(random: &mut Random, scale: &GraphScale) -> Self {
        let mut universe = Universe { tasks: Vec::new(), groups: Vec::new() };
        for number in 0..random.range(1, 5) {
            let mut spec = GroupSpec { retries: random.below(3) as u32, ..GroupSpec::default() };
            if scale.constrained && number > 0 && random.one_in(2) {
                if random.one_in(2) {
                    spec.workers = vec![WorkerName(random.below(u64::from(scale.n_names)) as u32)];
                    spec.allow_other_workers = random.one_in(2);
                } else {
                    spec.resources = vec![(ResourceId(0), 1.0)];
                }
            }
            universe.groups.push(spec);
        }
        while universe.tasks.len() < scale.n_tasks {
            universe.add_shape(random, scale);
        }
        universe
    }

    fn add_shape(&mut self, random: &mut Random, scale: &GraphScale) {
        let room = (scale.n_tasks - self.tasks.len()).min(60) as u64;
        match random.below(6) {
            0 => self.chain(random, scale, room),
            1 => self.tree(random, scale, room),
            2 => self.shuffle(random, scale, room),
            3 => self.diamonds(random, scale, room),
            4 => self.fan(random, scale, room),
            _ => self.any(random, scale, room),
        }
    }

    fn add(&mut self, random: &mut Random, scale: &GraphScale, inputs: Vec<(usize, u32)>) -> usize {
        let key = random.next();
        let is_data = inputs.is_empty() && scale.with_data && random.one_in(6);
        let value =
            inputs.iter().fold(key, |value, &(input, part)| combine(value, piece_value(self.tasks[input].value, part)));
        let plan = if scale.failing == 0 || !random.one_in(scale.failing) {
            Plan::Succeed
        } else {
            match random.below(8) {
                0..4 => Plan::Errors(random.range(1, 3) as u32),
                4..7 => Plan::Crashes(random.range(1, 5) as u32),
                _ => Plan::Fatal,
            }
        };
        self.tasks.push(Logical {
            key,
            inputs,
            bytes: random.range(1, scale.bytes_max),
            bytes_known: random.one_in(2),
            duration: random.range(1, scale.duration_max),
            group: random.below(self.groups.len() as u64) as u32,
            plan: if is_data { Plan::Succeed } else { plan },
            is_data,
            value,
        });
        self.tasks.len() - 1
    }

    fn chain(&mut self, random: &mut Random, scale: &GraphScale, room: u64) {
        let mut last = self.add(random, scale, Vec::new());
        for _ in 0..random.below(room.min(20)) {
            last = self.add(random, scale, vec![(last, Piece::WHOLE)]);
        }
    }

    fn tree(&mut self, random: &mut Random, scale: &GraphScale, room: u64) {
        let n_leaves = random.range(1, (room / 2).max(1));
        let mut level: Vec<usize> = (0..n_leaves).map(|_| self.add(random, scale, Vec::new())).collect();
        while level.len() > 1 {
            let width = random.range(2, 4) as usize;
            let groups: Vec<Vec<usize>> = level.chunks(width).map(<[usize]>::to_vec).collect();
            level = groups
                .into_iter()
                .map(|group| self.add(random, scale, group.into_iter().map(|task| (task, Piece::WHOLE)).collect()))
                .collect();
        }
    }

    fn shuffle(&mut self, random: &mut Random, scale: &GraphScale, room: u64) {
        let n = random.range(1, (room / 3).clamp(1, 8));
        let sources: Vec<usize> = (0..n).map(|_| self.add(random, scale, Vec::new())).collect();
        let splits: Vec<usize> =
            sources.into_iter().map(|source| self.add(random, scale, vec![(source, Piece::WHOLE)])).collect();
        for part in 0..n as u32 {
            self.add(random, scale, splits.iter().map(|&split| (split, part)).collect());
        }
    }

    fn diamonds(&mut self, random: &mut Random, scale: &GraphScale, room: u64) {
        let mut last = self.add(random, scale, Vec::new());
        for _ in 0..random.range(1, (room / 4).clamp(1, 6)) {
            let sides: Vec<usize> =
                (0..random.range(1, 3)).map(|_| self.add(random, scale, vec![(last, Piece::WHOLE)])).collect();
            let mut inputs: Vec<(usize, u32)> = sides.into_iter().map(|side| (side, Piece::WHOLE)).collect();
            if random.one_in(3) {
                inputs.push(inputs[0]);
            }
            last = self.add(random, scale, inputs);
        }
    }

    /// One result that many read, some its parts.
    fn fan(&mut self, random: &mut Random, scale: &GraphScale, room: u64) {
        let source = self.add(random, scale, Vec::new());
        for part in 0..random.range(1, room.max(1)) as u32 {
            let part = if random.one_in(2) { part } else { Piece::WHOLE };
            let own =
                if random.one_in(3) { vec![(self.add(random, scale, Vec::new()), Piece::WHOLE)] } else { Vec::new() };
            self.add(random, scale, [vec![(source, part)], own].concat());
        }
    }

    /// Tasks that read anything that came before.
    fn any(&mut self, random: &mut Random, scale: &GraphScale, room: u64) {
        for _ in 0..random.range(1, room.max(1)) {
            let n_before = self.tasks.len() as u64;
            let n_inputs = if n_before == 0 { 0 } else { random.below(4) };
            let inputs = (0..n_inputs)
                .map(|_| {
                    let part = if random.one_in(4) { random.below(3) as u32 } else { Piece::WHOLE };
                    (random.below(n_before) as usize, part)
                })
                .collect();
            self.add(random, scale, inputs);
        }
    }

    /// These tasks and all that they need, inputs first.
    pub fn closure(&self, wants: &[usize]) -> Vec<usize> {
        let mut needed = vec![false; self.tasks.len()];
        for &task in wants {
            needed[task] = true;
        }
        for task in (0..self.tasks.len()).rev() {
            if needed[task] {
                for &(input, _) in &self.tasks[task].inputs {
                    needed[input] = true;
                }
            }
        }
        (0..self.tasks.len()).filter(|&task| needed[task]).collect()
    }
}
