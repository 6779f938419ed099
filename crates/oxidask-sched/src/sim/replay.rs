//! What is said about a failure.

use super::client::Wish;
use super::world::World;

impl World {
    /// What hinders the end.
    pub fn explain(&self) -> String {
        let mut lines = vec![format!("time {} µs, released: {}", self.now / 1000, self.is_released)];
        for (client, record) in self.clients.iter().enumerate() {
            for (logical, (_, wish)) in record.wishes.iter().filter(|(_, (_, wish))| *wish == Wish::Pending) {
                let id = self.id_of[*logical];
                let why = id.map(|id| self.scheduler.explain(id).to_string());
                lines.push(format!("client {client} wants task {logical} ({id:?}): {wish:?}, {why:?}"));
            }
        }
        for (logical, id) in self.id_of.iter().enumerate() {
            let Some(id) = *id else { continue };
            let why = self.scheduler.explain(id);
            let at = self.scheduler.assignment(id).map(|(worker, _)| self.nodes[worker.0 as usize].core.explain(id));
            lines.push(format!("task {logical} is {id:?}: {why}; {}", at.map_or(String::new(), |at| at.to_string())));
        }
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.alive && !node.declared_lost) {
            let (n_orders, n_pieces) = (node.core.n_orders(), node.core.n_pieces());
            lines
                .push(format!("worker {number}: {n_orders} orders, {n_pieces} pieces, {:?} stored", node.store.keys()));
        }
        lines.truncate(60);
        lines.join("\n  ")
    }
}

/// Says how to see a failure again.
pub(super) struct Replay(pub u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "simulation of seed {0} failed; replay with\n  OXIDASK_SIM_SEED={0} OXIDASK_SIM_TRACE=1 \
                 cargo test --release -p oxidask-sched --test simulator -- --nocapture one_seed",
                self.0
            );
        }
    }
}
