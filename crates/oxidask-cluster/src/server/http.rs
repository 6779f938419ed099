//! The scheduler's state for monitors: a small HTTP server that only reads.
//!
//! `/health` says that the scheduler answers, `/metrics` counts for Prometheus,
//! `/json/…` tells the same and more as JSON. No request changes anything, and no
//! answer holds a secret, a value or a function. What a peer sends is held to
//! [`REQUEST_MAX`] bytes and [`TIMEOUT`], and only so many are served at once.

use super::Shared;
use crate::protocol::ClusterInfo;
use oxidask_sched::Counts;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Longest head of a request.
const REQUEST_MAX: usize = 8 << 10;
/// Longest time for a request and its answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most requests at once; more wait in the system's queue.
const AT_ONCE: usize = 32;

/// What the pages are made from, taken under the lock in one go.
pub(super) struct Snapshot {
    pub info: ClusterInfo,
    pub counts: Counts,
    pub n_clients: usize,
}

/// Serves for ever.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            // Who is too slow is left without an answer.
            let _ = tokio::time::timeout(TIMEOUT, answer(&shared, stream)).await;
            drop(slot);
        });
    }
}

/// Listens at `address`.
pub(super) async fn listen(address: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

async fn answer(shared: &Shared, mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).await?;
        head.extend_from_slice(&chunk[..count]);
        if head.len() > REQUEST_MAX {
            return respond(&mut stream, &Page::error(431, "the request is too long")).await;
        }
        if count == 0 {
            return Ok(());
        }
    }
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let page = match std::str::from_utf8(line).map(|line| line.split(' ').collect::<Vec<_>>()).as_deref() {
        Ok(["GET" | "HEAD", target, "HTTP/1.0" | "HTTP/1.1"]) => page(shared, target),
        Ok([_, _, "HTTP/1.0" | "HTTP/1.1"]) => Page::error(405, "only GET is served here"),
        _ => Page::error(400, "this is not an HTTP request"),
    };
    let is_head = head.starts_with(b"HEAD ");
    respond(&mut stream, &if is_head { Page { body: String::new(), ..page } } else { page }).await
}

struct Page {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Page {
    fn error(status: u16, why: &str) -> Self {
        Page { status, kind: "text/plain; charset=utf-8", body: format!("{why}\n") }
    }

    fn json(value: &serde_json::Value) -> Self {
        Page { status: 200, kind: "application/json", body: value.to_string() }
    }
}

async fn respond(stream: &mut TcpStream, page: &Page) -> std::io::Result<()> {
    let reason = match page.status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Request Header Fields Too Large",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        page.status,
        page.kind,
        page.body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(page.body.as_bytes()).await?;
    stream.shutdown().await
}

fn page(shared: &Shared, target: &str) -> Page {
    let path = target.split('?').next().unwrap_or(target);
    match path {
        "/health" => Page { status: 200, kind: "text/plain; charset=utf-8", body: "ok".to_owned() },
        "/metrics" => {
            let body = metrics(&shared.state.lock().snapshot());
            Page { status: 200, kind: "text/plain; version=0.0.4; charset=utf-8", body }
        }
        "/json/identity.json" => Page::json(&identity(&shared.state.lock().snapshot())),
        "/json/counts.json" => Page::json(&counts(&shared.state.lock().snapshot())),
        "/" | "/json" | "/json/" | "/json/index.html" => Page::json(&serde_json::json!({
            "pages": ["/health", "/metrics", "/json/identity.json", "/json/counts.json"]
        })),
        _ => Page::error(404, "there is no such page; / lists them"),
    }
}

/// Who is there, and how they are.
pub(super) fn identity(snapshot: &Snapshot) -> serde_json::Value {
    let workers: serde_json::Map<String, serde_json::Value> = snapshot
        .info
        .workers
        .iter()
        .map(|worker| {
            let intro = &worker.intro;
            let resources: serde_json::Map<_, _> =
                intro.resources.iter().map(|(name, amount)| (name.clone(), serde_json::json!(amount))).collect();
            let told = serde_json::json!({
                "type": "Worker",
                "id": worker.id,
                "name": intro.name,
                "pid": intro.pid,
                "nthreads": intro.n_slots,
                "memory_limit": intro.memory_limit,
                "local_directory": intro.local_directory,
                "resources": resources,
                "last_seen_seconds": worker.silent_ms as f64 / 1e3,
                "metrics": {
                    "managed_bytes": worker.metrics.resident,
                    "spilled_bytes": worker.metrics.spilled,
                    "memory": worker.metrics.process,
                    "paused": worker.metrics.is_paused,
                },
            });
            (intro.address.clone(), told)
        })
        .collect();
    serde_json::json!({
        "type": "Scheduler",
        "address": snapshot.info.address,
        "pid": snapshot.info.pid,
        "n_clients": snapshot.n_clients,
        "workers": workers,
    })
}

/// How many there are of what.
fn counts(snapshot: &Snapshot) -> serde_json::Value {
    let Snapshot { info, counts, n_clients } = snapshot;
    serde_json::json!({
        "workers": info.workers.len(),
        "clients": n_clients,
        "cores": info.workers.iter().map(|worker| worker.intro.n_slots).sum::<u32>(),
        "tasks": counts.known,
        "waiting": counts.waiting,
        "queued": counts.queued,
        "processing": counts.assigned,
        "memory": counts.done,
        "erred": counts.bad,
        "released": counts.idle,
    })
}

/// The same for Prometheus.
fn metrics(snapshot: &Snapshot) -> String {
    let Snapshot { info, counts, n_clients } = snapshot;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, rows: &[(String, f64)]| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP oxidask_{name} {help}\n# TYPE oxidask_{name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(text, "oxidask_{name}{labels} {value}");
        }
    };
    let tasks = [
        ("waiting", counts.waiting),
        ("queued", counts.queued),
        ("processing", counts.assigned),
        ("memory", counts.done),
        ("erred", counts.bad),
        ("released", counts.idle),
    ];
    let rows: Vec<_> = tasks.map(|(state, n)| (format!("{{state=\"{state}\"}}"), n as f64)).into();
    gauge("scheduler_tasks", "Tasks by state.", &rows);
    gauge("scheduler_clients", "Clients with a session.", &[(String::new(), *n_clients as f64)]);
    let n_paused = info.workers.iter().filter(|worker| worker.metrics.is_paused).count();
    let states = [("paused", n_paused), ("running", info.workers.len() - n_paused)];
    let rows: Vec<_> = states.map(|(state, n)| (format!("{{state=\"{state}\"}}"), n as f64)).into();
    gauge("scheduler_workers", "Workers by state.", &rows);
    let mut each = |name: &str, help: &str, value: &dyn Fn(&crate::protocol::WorkerInfo) -> f64| {
        let label = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let rows: Vec<_> = info
            .workers
            .iter()
            .map(|worker| (format!("{{worker=\"{}\"}}", label(&worker.intro.name)), value(worker)))
            .collect();
        gauge(name, help, &rows);
    };
    each("worker_threads", "Tasks that a worker runs at once.", &|worker| f64::from(worker.intro.n_slots));
    each("worker_memory_limit_bytes", "Results that a worker may hold in memory.", &|worker| {
        worker.intro.memory_limit as f64
    });
    each("worker_managed_bytes", "Results in a worker's memory.", &|worker| worker.metrics.resident as f64);
    each("worker_spilled_bytes", "Results on a worker's disk.", &|worker| worker.metrics.spilled as f64);
    each("worker_process_bytes", "Memory of a worker's process.", &|worker| worker.metrics.process as f64);
    each("worker_silent_seconds", "Time since a worker's last message.", &|worker| worker.silent_ms as f64 / 1e3);
    text
}
