//! Watches how much memory the process and its children really use.
//!
//! The worker core knows the bytes of results; what tasks allocate on the way,
//! what an allocator keeps and what a child holds it does not. While a pool has
//! work, a thread asks the system ten times a second and tells the core the
//! difference, which spills and pauses by it. Beyond the last mark the largest
//! child is ended: its task fails and says why, instead of the machine failing.
//! A thread cannot be ended, so without children the pause is the last resort.

use super::Inner;
use crate::node::Uplink;
use oxidask_sched::Nanos;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(100);
/// What threads, the allocator and interpreters of children may take for themselves
/// without being counted: so many bytes, or, without children, this share of a
/// small limit.
const SLACK_BYTES: u64 = 64 << 20;
const SLACK_SHARE: u64 = 16;
/// Between two requests that the C library give back what is free.
const TRIM_NS: Nanos = 1_000_000_000;
/// A child below this share of the limit is not what fills the memory.
const CULPRIT_SHARE: u64 = 20;

/// Is told when memory becomes short and when it no longer is.
static ON_PRESSURE: OnceLock<fn(is_short: bool)> = OnceLock::new();

/// Has `tell` called when this process takes noticeably more memory than its results
/// do, and again when it no longer does: for a program with an allocator of its own,
/// which keeps what is free and can be told not to. The first one told stays.
pub fn on_memory_pressure(tell: fn(is_short: bool)) {
    let _ = ON_PRESSURE.set(tell);
}

/// What has been said of the memory, and when the C library was last asked.
#[derive(Default)]
struct Pressure {
    is_short: bool,
    trim_at: Nanos,
}

impl Pressure {
    fn update(&mut self, is_short: bool, now: Nanos) {
        if std::mem::replace(&mut self.is_short, is_short) != is_short
            && let Some(tell) = ON_PRESSURE.get()
        {
            tell(is_short);
        }
        if is_short && now >= self.trim_at {
            self.trim_at = now + TRIM_NS;
            trim_c_library();
        }
    }
}

/// Wakes and ends the thread that watches.
#[derive(Default)]
pub(super) struct Monitor {
    is_awake: AtomicBool,
    gate: Arc<Gate>,
    /// What the process used before the first work.
    first_bytes: OnceLock<u64>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    has_thread: bool,
    awake: bool,
    closed: bool,
}

impl Monitor {
    /// Has the thread watch from now on, because there is work.
    pub fn wake<U: Uplink>(&self, pool: &Arc<Inner<U>>) {
        if pool.memory_limit == u64::MAX || self.is_awake.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut state = self.gate.state.lock();
        state.awake = true;
        if !std::mem::replace(&mut state.has_thread, true) {
            let (gate, pool) = (self.gate.clone(), Arc::downgrade(pool));
            // Without the thread, only what the core knows counts.
            let _ = std::thread::Builder::new().name("oxidask-memory".into()).spawn(move || watch(&gate, &pool));
        }
        self.gate.changed.notify_all();
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.gate.state.lock().closed = true;
        self.gate.changed.notify_all();
    }
}

impl Gate {
    /// Waits until there is work; false if the pool is closed.
    fn wait_for_work(&self) -> bool {
        let mut state = self.state.lock();
        while !state.awake && !state.closed {
            self.changed.wait(&mut state);
        }
        !state.closed
    }

    /// Waits for the next look; false if the pool is closed.
    fn wait_for_period(&self) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            self.changed.wait_for(&mut state, PERIOD);
        }
        !state.closed
    }
}

fn watch<U: Uplink>(gate: &Gate, pool: &Weak<Inner<U>>) {
    let mut pressure = Pressure::default();
    while gate.wait_for_work() {
        let Some(baseline) = pool.upgrade().map(|pool| pool.idle_bytes()) else { return };
        loop {
            if !gate.wait_for_period() {
                return;
            }
            let Some(pool) = pool.upgrade() else { return };
            // Who takes work from now on wakes this thread again.
            pool.monitor.is_awake.store(false, Ordering::SeqCst);
            let has_work = pool.look(baseline, &mut pressure);
            let mut state = gate.state.lock();
            let is_awake = has_work || pool.monitor.is_awake.load(Ordering::SeqCst);
            pool.monitor.is_awake.store(is_awake, Ordering::SeqCst);
            state.awake = is_awake;
            if !is_awake {
                pressure.update(false, pool.now());
                break;
            }
        }
    }
}

impl<U: Uplink> Inner<U> {
    /// What the process uses and does not count as the pool's: what its user has
    /// now that there is no work yet; for a process that is a worker and nothing
    /// else, what it had before its first work.
    fn idle_bytes(self: &Arc<Self>) -> u64 {
        let now = || {
            let resident = self.with(|_, node, _| node.core().memory().0);
            own_bytes().unwrap_or(0).saturating_sub(resident)
        };
        if self.peers.is_some() { *self.monitor.first_bytes.get_or_init(now) } else { now() }
    }

    /// Tells the node how much is in use; answers whether it has work.
    fn look(self: &Arc<Self>, baseline: u64, pressure: &mut Pressure) -> bool {
        let children = self.children.bytes();
        let of_children: u64 = children.iter().map(|&(_, bytes)| bytes).sum();
        let used = own_bytes().map_or(0, |own| own.saturating_sub(baseline)).saturating_add(of_children);
        let (has_work, extra, total) = self.with(|now, node, _| {
            let resident = node.core().memory().0;
            let slack = match &self.child {
                Some(_) => SLACK_BYTES,
                None => SLACK_BYTES.min(self.memory_limit / SLACK_SHARE),
            };
            let extra = used.saturating_sub(resident).saturating_sub(slack);
            node.process_memory(now, extra);
            node.tick(now);
            (node.has_work(), extra, resident.saturating_add(extra))
        });
        pressure.update(extra > self.memory_limit / 10, self.now());
        if total as f64 > self.memory_limit as f64 * self.terminate
            && let Some((largest, bytes)) = children.into_iter().max_by_key(|&(_, bytes)| bytes)
            && bytes > self.memory_limit / CULPRIT_SHARE
        {
            largest.end_for_memory(bytes, self.memory_limit);
        }
        has_work
    }
}

/// Bytes that this process uses and cannot be had back by closing a file.
fn own_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(field(&status, "RssAnon:")? + field(&status, "RssShmem:")?)
}

/// Bytes that another process uses alone.
pub(crate) fn private_bytes(process: u32) -> Option<u64> {
    field(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?, "RssAnon:")
}

/// A size in the text of `/proc/…/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Asks the C library, from which Python's libraries have their memory, to give back
/// what it holds and nobody uses.
fn trim_c_library() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> i32;
        }
        // SAFETY: the function is part of glibc, which this target links. It takes a
        // plain number, touches only memory that is free, and locks for itself.
        unsafe { malloc_trim(0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        let before = own_bytes().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let with_block = own_bytes().unwrap();
        assert!(with_block > before + (32 << 20), "{before} {with_block}");
        assert!(private_bytes(std::process::id()).unwrap() > 32 << 20);
        drop(block);
        trim_c_library();
    }

    #[test]
    fn the_allocator_is_told_of_changes_alone() {
        static TOLD: Mutex<Vec<bool>> = Mutex::new(Vec::new());
        on_memory_pressure(|is_short| TOLD.lock().push(is_short));
        let mut pressure = Pressure::default();
        for is_short in [false, true, true, false, false] {
            pressure.update(is_short, 0);
        }
        assert_eq!(*TOLD.lock(), [true, false]);
        assert_eq!(pressure.trim_at, TRIM_NS);
    }

    #[test]
    fn a_status_is_understood() {
        assert_eq!(field("Name:\tx\nRssAnon:\t     12 kB\n", "RssAnon:"), Some(12 * 1024));
        assert_eq!(field("Name:\tx\n", "RssAnon:"), None);
    }
}
