//! Re-derives everything that is stored twice.

use super::task::{NONE, Task, queue};
use super::{Scheduler, TaskState};
use crate::event::{TaskId, WorkerId};

impl Scheduler {
    /// Asserts that all redundant facts agree. Looks at every task and edge, so
    /// it is for tests and the simulator.
    ///
    /// # Panics
    /// If the core has a bug.
    pub fn check(&self) {
        assert!(self.out.is_empty() && self.fresh.is_empty() && self.unneeded.is_empty() && self.touched.is_empty());
        let mut n_tasks = 0;
        let mut n_claims = 0;
        for (index, record) in self.tasks.records.iter().enumerate() {
            let task = TaskId(index as u32);
            if record.state == TaskState::Vacant {
                assert_eq!((record.dependents, record.claims, record.holders), (NONE, NONE, NONE), "{task:?}");
                assert_eq!((record.n_inputs, record.n_waiters, record.unsettled), (0, 0, 0), "{task:?}");
                continue;
            }
            n_tasks += 1;
            n_claims += self.check_task(task, record);
        }
        assert_eq!(n_tasks, self.n_tasks);
        assert_eq!(n_claims, self.claims.len());
        assert_eq!(n_claims, self.clients.values().map(|client| client.n_claimed).sum::<usize>());
        self.check_queues();
        for &worker in &self.alive {
            self.check_worker(worker);
        }
        assert_eq!(self.workers.iter().flatten().count(), self.alive.len());
    }

    /// One task's facts; answers how many clients claim it.
    fn check_task(&self, task: TaskId, record: &Task) -> usize {
        let mut n_waiters = 0;
        let mut edge = record.dependents;
        let mut previous = NONE;
        while edge != NONE {
            let link = &self.edges[edge];
            assert_eq!((link.input, link.previous), (task, previous));
            assert!(self.inputs(link.consumer).contains(&edge));
            n_waiters += u32::from(self.tasks[link.consumer].state.is_active());
            previous = edge;
            edge = link.next;
        }
        assert_eq!(record.n_waiters, n_waiters, "{task:?} {:?}", record.state);
        let missing = |edge: &u32| self.tasks[self.edges[*edge].input].state != TaskState::Done;
        let n_missing = self.inputs(task).filter(missing).count() as u32;
        let is_needed = record.is_needed();
        match record.state {
            TaskState::Vacant => {}
            TaskState::Idle => assert!(!is_needed, "{task:?} is needed but idle"),
            TaskState::Waiting => {
                assert!(is_needed);
                assert_eq!(record.n_missing, n_missing, "{task:?}");
                assert!(n_missing > 0 || !record.runnable, "{task:?} waits for nothing");
                let is_doomed = |edge: u32| self.tasks[self.edges[edge].input].state.is_bad();
                assert!(!self.inputs(task).any(is_doomed), "{task:?} waits for what will not come");
            }
            TaskState::Ready => {
                assert!(is_needed && record.runnable);
                assert_eq!(n_missing, 0, "{task:?} is ready without its inputs");
                assert_ne!(record.place, queue::FRESH);
            }
            TaskState::Assigned => {
                assert!(is_needed && record.runnable);
                let worker = self.worker(WorkerId(record.place)).expect("assigned to a live worker");
                assert_eq!(worker.assigned[record.position as usize], task);
            }
            TaskState::Done => {
                assert!(is_needed, "{task:?} is held but not needed");
                assert_ne!(record.holders, NONE, "{task:?}");
            }
            TaskState::Failed | TaskState::Lost => assert!(self.tasks.get(TaskId(record.place)).is_some()),
            TaskState::Cancelled => {}
        }
        if record.state != TaskState::Done {
            assert_eq!(record.holders, NONE, "{task:?}");
        }
        if !is_needed && record.unsettled == 0 && self.kept_back.is_empty() {
            assert_ne!(record.dependents, NONE, "{task:?} should be forgotten");
        }
        let mut n_claims = 0;
        let mut claim = record.claims;
        while claim != NONE {
            assert!(self.claims[claim].count > 0);
            n_claims += 1;
            claim = self.claims[claim].next;
        }
        n_claims
    }

    fn check_queues(&self) {
        let n_queued = |place: u32| {
            self.tasks.records.iter().filter(|record| record.state == TaskState::Ready && record.place == place).count()
        };
        assert_eq!(self.global.live, n_queued(queue::GLOBAL));
        let queued = self.tasks.records.iter().filter(|r| r.state == TaskState::Ready && r.place == queue::GLOBAL);
        assert_eq!(self.global_ns, queued.map(|record| u64::from(record.estimate)).sum::<u64>());
        let n_constrained: usize = self.groups.iter().flatten().map(|group| group.queue.live).sum();
        assert_eq!(n_constrained, n_queued(queue::GROUP));
    }

    fn check_worker(&self, worker: WorkerId) {
        let record = self.worker(worker).expect("it is in the list of the living");
        assert_eq!(record.id, worker);
        let is_assigned =
            |task: &TaskId| self.tasks[*task].state == TaskState::Assigned && self.tasks[*task].place == worker.0;
        assert!(record.assigned.iter().all(is_assigned));
        let in_flight_ns: u64 = record.assigned.iter().map(|&task| u64::from(self.tasks[task].estimate)).sum();
        assert_eq!(record.in_flight_ns, in_flight_ns);
        let reserved: u64 = record.assigned.iter().map(|&task| self.tasks[task].reserved).sum();
        assert_eq!(record.reserved, reserved);
        let of_this = self.alive.iter().filter_map(|&other| self.worker(other)).flat_map(|other| &other.copying);
        assert_eq!(record.n_copies as usize, of_this.filter(|copy| copy.source == worker).count());
        let mut held: Vec<TaskId> = record.held.clone();
        held.sort_unstable();
        held.dedup();
        held.retain(|&task| self.holders.contains(self.tasks[task].holders, worker));
        assert_eq!(held.len(), record.n_held);
        if record.local.live > 0 || record.local_ns > 0 {
            let queued =
                self.tasks.records.iter().filter(|task| task.state == TaskState::Ready && task.place == worker.0);
            let (n_queued, queued_ns) = queued.fold((0, 0), |(n, ns), task| (n + 1, ns + u64::from(task.estimate)));
            assert_eq!((record.local.live, record.local_ns), (n_queued, queued_ns));
        }
        for &(name, total, used) in &record.resources {
            let occupied: f64 = record
                .assigned
                .iter()
                .flat_map(|&task| &self.group(self.tasks[task].group).spec.resources)
                .filter(|resource| resource.0 == name)
                .map(|resource| resource.1)
                .sum();
            assert!((used - occupied).abs() < 1e-6 && used <= total + 1e-6, "{name:?} of {worker:?}");
        }
    }
}
