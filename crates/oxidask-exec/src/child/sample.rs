//! Asks a process about the functions that it runs, while it runs them.
//!
//! A child runs tasks on its main thread and reads its socket only between
//! batches, so samples go over a socket of their own, which a thread of the child
//! answers. What may be asked is not known here: who knows the language of the
//! functions registers a [`Sampler`].

use super::message::{receive_with, send_with};
use oxidask_core::{Error, ErrorKind, Result};
use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, recv};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Answers a question about the functions that this process runs, text by text: what
/// its threads do, say. Called on a thread of its own, while others run tasks.
pub type Sampler = fn(&str) -> Result<String>;

static SAMPLER: OnceLock<Sampler> = OnceLock::new();

/// What one executor answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What users call the task that it runs, if that is known.
    pub task: Option<String>,
    /// What the [`Sampler`] answered there, or why it did not.
    pub answer: std::result::Result<String, String>,
}

/// Registers who answers in this process; the first one counts.
pub fn set_sampler(sampler: Sampler) {
    // A second one would be of the same module, loaded twice.
    let _ = SAMPLER.set(sampler);
}

/// Asks this process.
///
/// # Errors
/// If nobody has registered to answer, or the sampler's.
pub fn sample_here(question: &str) -> Result<String> {
    let sampler = SAMPLER
        .get()
        .ok_or_else(|| Error::new(ErrorKind::Missing, "this process runs no functions that can be looked into"))?;
    sampler(question)
}

/// The child's side: answers until the parent is gone.
pub(super) fn serve(socket: OwnedFd) {
    let socket = UnixStream::from(socket);
    let answer = move || {
        while let Ok(Some(((number, question), _))) = receive_with::<(u32, String)>(&socket) {
            let sample = sample_here(&question).map_err(|error| error.message().to_owned());
            if send_with(&socket, &(number, sample), &[]).is_err() {
                return;
            }
        }
    };
    // Without the thread nobody answers, and the parent says so.
    let _ = std::thread::Builder::new().name("oxidask-sampler".to_owned()).spawn(answer);
}

/// The parent's side.
pub(super) struct Watch {
    socket: UnixStream,
    /// The number of the newest question; a late answer has an older one.
    asked: u32,
}

impl Watch {
    /// One end, and the other for the child.
    pub fn pair() -> std::io::Result<(Self, UnixStream)> {
        let (socket, theirs) = UnixStream::pair()?;
        Ok((Watch { socket, asked: 0 }, theirs))
    }

    /// Asks.
    ///
    /// # Errors
    /// In words: the child did not answer in time, or cannot.
    pub fn sample(&mut self, question: &str, timeout: Duration) -> std::result::Result<String, String> {
        let deadline = Instant::now() + timeout;
        self.asked = self.asked.wrapping_add(1);
        let gone = || "the process has ended".to_owned();
        send_with(&self.socket, &(self.asked, question), &[]).map_err(|_| gone())?;
        loop {
            if !self.is_readable(deadline.saturating_duration_since(Instant::now())) {
                return Err(format!("the process did not answer within {timeout:?}: native code may hold the GIL"));
            }
            let Ok(Some(((number, sample), _))) =
                receive_with::<(u32, std::result::Result<String, String>)>(&self.socket)
            else {
                return Err(gone());
            };
            if number == self.asked {
                return sample;
            }
        }
    }

    fn is_readable(&self, timeout: Duration) -> bool {
        // A timeout of zero would be none at all.
        let timeout = timeout.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(timeout)).is_ok()
            && rustix::io::retry_on_intr(|| recv(&self.socket, &mut [0_u8; 1][..], RecvFlags::PEEK)).is_ok()
    }
}
