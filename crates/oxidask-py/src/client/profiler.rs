//! Looks again and again at what the tasks of this process do, so that whoever asks
//! later is told where their time went.
//!
//! One thread does so while tasks run, and sleeps while there are none: an idle
//! worker costs nothing. What a look is, and what is kept, `oxidask._profile` knows.

use parking_lot::{Condvar, Mutex};
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static BEGUN: Once = Once::new();

/// Whether the profiler sleeps until a task begins. Set, and looked at before a
/// function is called, only by who holds the GIL: so no task begins unseen.
static ASLEEP: AtomicBool = AtomicBool::new(false);
static LOCK: Mutex<()> = Mutex::new(());
static WOKEN: Condvar = Condvar::new();

/// Looks in a row at which nothing ran, before the profiler falls asleep.
const IDLE_LOOKS: u32 = 50;

/// The calling thread runs tasks of the worker at `address` from now on.
pub fn enter(py: Python<'_>, address: &str) {
    // None of what is asked here may keep a task from running.
    let entered = py.import(intern!(py, "oxidask._profile")).and_then(|module| {
        let seconds = module.call_method1(intern!(py, "enter"), (address,))?.extract::<Option<f64>>()?;
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    });
    match entered {
        Ok(Some(interval)) => BEGUN.call_once(|| begin(interval)),
        Ok(None) => {}
        Err(error) => error.write_unraisable(py, None),
    }
}

/// A batch of tasks is about to begin on a thread that holds the GIL.
pub fn tasks_begin() {
    if ASLEEP.load(Ordering::Relaxed) && ASLEEP.swap(false, Ordering::SeqCst) {
        // Under the lock, so that a profiler that is about to sleep hears of it.
        let _guard = LOCK.lock();
        WOKEN.notify_one();
    }
}

fn begin(interval: Duration) {
    let watch = move || {
        let mut n_idle = 0;
        loop {
            std::thread::sleep(interval);
            let Some(looked) = Python::try_attach(|py| look(py, &mut n_idle)) else { return };
            if looked.is_err() {
                // Nobody could be told but the worker's own log; it has the traceback.
                return;
            }
            let mut guard = LOCK.lock();
            while ASLEEP.load(Ordering::SeqCst) {
                WOKEN.wait(&mut guard);
            }
        }
    };
    // Without the thread there are no profiles, and everything else goes on.
    let _ = std::thread::Builder::new().name("oxidask-profiler".to_owned()).spawn(watch);
}

fn look(py: Python<'_>, n_idle: &mut u32) -> PyResult<()> {
    let module = py.import(intern!(py, "oxidask._profile"))?;
    let found = module.call_method0(intern!(py, "look")).and_then(|found| found.extract::<bool>());
    let found = found.inspect_err(|error| error.clone_ref(py).write_unraisable(py, None))?;
    *n_idle = if found { 0 } else { *n_idle + 1 };
    if *n_idle >= IDLE_LOOKS {
        *n_idle = 0;
        ASLEEP.store(true, Ordering::SeqCst);
    }
    Ok(())
}
